//! Clients that ask without a pause while something is done to the units, and count what they did not get.
//!
//! A request is lost when it was sent and no whole answer came. A server may close a kept connection only where it has said so
//! (`Connection: close`) in the answer before.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::clients::http::{Answer, get};
use harness::clients::websocket::WebSocket;
use harness::clients::{multiplexed, tls, tunnel};

use crate::world::{HTTP, HTTPS, PROXY, SECURE, WWW};

/// Between two requests of one client: the machine has two processors and debug builds.
const PAUSE: Duration = Duration::from_millis(3);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// One TLS 1.2 connection for as long as it may be kept: tls-terminator stays in its path.
    KeptTls12,
    /// One HTTP/2 connection for as long as it may be kept.
    KeptHttp2,
    /// A WebSocket over TLS that echoes all the time.
    WebSocket,
    /// One connection that is passed through, for as long as it lives.
    Passthrough,
    /// One CONNECT tunnel, for as long as it lives.
    Connect,
    /// One connection to the forward proxy, for as long as it may be kept.
    KeptForward,
}

impl Manner {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::NewPlain,
        Self::KeptPlain,
        Self::NewTls,
        Self::KeptTls,
        Self::NewPassthrough,
        Self::KeptTls12,
        Self::KeptHttp2,
        Self::WebSocket,
        Self::Passthrough,
        Self::Connect,
        Self::KeptForward,
    ];

    /// In a table. None of them is part of another.
    pub fn words(self) -> &'static str {
        match self {
            Self::NewPlain => "new plain",
            Self::KeptPlain => "kept plain",
            Self::NewTls => "new TLS",
            Self::KeptTls => "kept 1.3",
            Self::NewPassthrough => "new passthrough",
            Self::KeptTls12 => "kept 1.2",
            Self::KeptHttp2 => "HTTP/2",
            Self::WebSocket => "WebSocket",
            Self::Passthrough => "kept passthrough",
            Self::Connect => "CONNECT",
            Self::KeptForward => "kept forward",
        }
    }
}

/// It runs until [`Load::end`].
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<Lost>>>,
}

/// What a client did not get, or how its connection ended although nobody had said that it would.
pub type Lost = (Manner, String);

impl Load {
    /// One client of each manner, in the network of this thread.
    /// `backend`: where those go who use the forward proxy.
    pub fn start(backend: SocketAddr, manners: &[Manner]) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let client = |manner: &Manner| {
            let (manner, over, answered) = (*manner, Arc::clone(&over), Arc::clone(&answered));
            thread::spawn(move || match manner {
                Manner::KeptHttp2 => multiplexed_until(&over, &answered),
                Manner::WebSocket => echo_until(&over, &answered),
                manner => ask_until(manner, backend, &over, &answered),
            })
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
    pub fn end(self) -> (u64, Vec<Lost>) {
        self.over.store(true, Ordering::SeqCst);
        let lost =
            self.clients.into_iter().flat_map(|client| client.join().expect("a client does not panic")).collect();
        (self.answered.load(Ordering::SeqCst), lost)
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

fn ask_until(manner: Manner, backend: SocketAddr, over: &AtomicBool, answered: &AtomicU64) -> Vec<Lost> {
    let keeps = !matches!(manner, Manner::NewPlain | Manner::NewTls | Manner::NewPassthrough);
    let mut lost = Vec::new();
    let mut stream: Option<Box<dyn Stream>> = None;
    while !over.load(Ordering::SeqCst) {
        let outcome = match stream.take() {
            Some(stream) => Ok(stream),
            None => connect(manner, backend),
        };
        let (host, target) = asked_for(manner, backend);
        let outcome = outcome.and_then(|mut stream| Ok((get(&mut stream, &host, &target)?, stream)));
        match outcome {
            Ok((answer, kept)) if answer.status == 200 => {
                answered.fetch_add(1, Ordering::SeqCst);
                stream = (keeps && !closes(&answer)).then_some(kept);
            }
            Ok((answer, _)) => lost.push((manner, answer.head)),
            Err(error) => lost.push((
                manner,
                format!("{error} at {:?}", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()),
            )),
        }
        thread::sleep(PAUSE);
    }
    lost
}

/// Host and target of its requests.
fn asked_for(manner: Manner, backend: SocketAddr) -> (String, String) {
    match manner {
        Manner::NewPassthrough | Manner::Passthrough => (SECURE.to_owned(), "/".to_owned()),
        Manner::Connect => (backend.to_string(), "/".to_owned()),
        Manner::KeptForward => (backend.to_string(), format!("http://{backend}/")),
        _ => (WWW.to_owned(), "/".to_owned()),
    }
}

/// GOAWAY is a word, too (RFC 9113 §6.8): what it says was not begun is asked again, elsewhere.
fn multiplexed_until(over: &AtomicBool, answered: &AtomicU64) -> Vec<Lost> {
    let mut lost = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let connection = multiplexed::try_run(HTTPS, WWW, async |client| {
            while !over.load(Ordering::SeqCst) {
                match client.get("/").await {
                    Ok(answer) if answer.head.status() == 200 => drop(answered.fetch_add(1, Ordering::SeqCst)),
                    Ok(answer) => return Some(answer.head.status().to_string()),
                    Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => return None,
                    Err(error) => return Some(error.to_string()),
                }
                tokio::time::sleep(PAUSE).await;
            }
            None
        });
        match connection {
            Ok(trouble) => lost.extend(trouble.map(|trouble| (Manner::KeptHttp2, trouble))),
            Err(error) => lost.push((Manner::KeptHttp2, error.to_string())),
        }
    }
    lost
}

fn echo_until(over: &AtomicBool, answered: &AtomicU64) -> Vec<Lost> {
    let mut lost = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let outcome = connect(Manner::KeptTls, HTTPS).and_then(|stream| {
            let mut socket = WebSocket::open(stream, WWW, "/chat").map_err(|no| io::Error::other(no.head))?;
            while !over.load(Ordering::SeqCst) {
                socket.send(b"are you there?")?;
                if socket.receive()? != b"are you there?" {
                    return Err(io::Error::other("another echo"));
                }
                answered.fetch_add(1, Ordering::SeqCst);
                thread::sleep(PAUSE);
            }
            socket.close()
        });
        lost.extend(outcome.err().map(|error| (Manner::WebSocket, error.to_string())));
    }
    lost
}

fn closes(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

fn connect(manner: Manner, backend: SocketAddr) -> io::Result<Box<dyn Stream>> {
    let dial = |address| -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    Ok(match manner {
        Manner::NewPlain | Manner::KeptPlain => Box::new(dial(HTTP)?),
        Manner::NewTls | Manner::KeptTls => Box::new(tls::client(WWW).over(dial(HTTPS)?)?),
        Manner::KeptTls12 => Box::new(tls::client(WWW).tls12().over(dial(HTTPS)?)?),
        Manner::NewPassthrough | Manner::Passthrough => Box::new(tls::client(SECURE).over(dial(HTTPS)?)?),
        Manner::KeptForward => Box::new(dial(PROXY)?),
        Manner::Connect => {
            let stream = dial(PROXY)?;
            Box::new(tunnel::over(stream, &backend.to_string(), "").map_err(|no| io::Error::other(no.head))?)
        }
        Manner::KeptHttp2 | Manner::WebSocket => unreachable!("they speak for themselves"),
    })
}
