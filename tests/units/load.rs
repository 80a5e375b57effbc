//! Clients that ask without a pause while something is done to the units, and count what they did not get.
//!
//! A request is lost when it was sent and no whole answer came. A server may close a kept connection only where it has said so
//! (`Connection: close`) in the answer before.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::clients::http::{Answer, get};
use harness::clients::tls;

use crate::world::{HTTP, HTTPS, SECURE, WWW};

/// Between two requests of one client: the machine has two processors and debug builds.
const PAUSE: Duration = Duration::from_millis(3);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clients do.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// A new connection for every request to the plain port.
    NewPlain,
    /// One connection to the plain port for as long as it may be kept.
    KeptPlain,
    /// A full handshake for every request.
    NewTls,
    /// One TLS 1.3 connection for as long as it may be kept.
    KeptTls,
    /// A new connection for every request, passed through to the backend.
    NewPassthrough,
}

/// It runs until [`Load::end`].
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// One client of each manner, in the network of this thread.
    pub fn start(manners: &[Manner]) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let client = |manner: &Manner| {
            let (manner, over, answered) = (*manner, Arc::clone(&over), Arc::clone(&answered));
            thread::spawn(move || ask_until(manner, &over, &answered))
        };
        let clients = manners.iter().map(client).collect();
        Self { over, answered, clients }
    }

    /// Waits until so many more requests were answered.
    pub fn go_on(&self, count: u64) {
        let goal = self.answered.load(Ordering::SeqCst) + count;
        harness::eventually(60, "the clients get answers", || {
            (self.answered.load(Ordering::SeqCst) >= goal).then_some(())
        });
    }

    /// Ends it: how many requests were answered, and what was lost.
    pub fn end(self) -> (u64, Vec<String>) {
        self.over.store(true, Ordering::SeqCst);
        let lost =
            self.clients.into_iter().flat_map(|client| client.join().expect("a client does not panic")).collect();
        (self.answered.load(Ordering::SeqCst), lost)
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

fn ask_until(manner: Manner, over: &AtomicBool, answered: &AtomicU64) -> Vec<String> {
    let keeps = matches!(manner, Manner::KeptPlain | Manner::KeptTls);
    let mut lost = Vec::new();
    let mut stream: Option<Box<dyn Stream>> = None;
    while !over.load(Ordering::SeqCst) {
        let outcome = match stream.take() {
            Some(stream) => Ok(stream),
            None => connect(manner),
        };
        let host = if matches!(manner, Manner::NewPassthrough) { SECURE } else { WWW };
        let outcome = outcome.and_then(|mut stream| Ok((get(&mut stream, host, "/")?, stream)));
        match outcome {
            Ok((answer, kept)) if answer.status == 200 => {
                answered.fetch_add(1, Ordering::SeqCst);
                stream = (keeps && !closes(&answer)).then_some(kept);
            }
            Ok((answer, _)) => lost.push(format!("{manner:?}: {}", answer.head)),
            Err(error) => lost.push(format!("{manner:?}: {error}")),
        }
        thread::sleep(PAUSE);
    }
    lost
}

fn closes(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

fn connect(manner: Manner) -> io::Result<Box<dyn Stream>> {
    let dial = |address| -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    Ok(match manner {
        Manner::NewPlain | Manner::KeptPlain => Box::new(dial(HTTP)?),
        Manner::NewTls | Manner::KeptTls => Box::new(tls::client(WWW).over(dial(HTTPS)?)?),
        Manner::NewPassthrough => Box::new(tls::client(SECURE).over(dial(HTTPS)?)?),
    })
}
