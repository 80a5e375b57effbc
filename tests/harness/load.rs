//! Clients that ask without a pause while something is done to the processes, and count what they did not get.
//!
//! A request is lost when it was sent and no whole answer came. A server may close a kept connection only where it has said so
//! (`Connection: close`, GOAWAY) before; a tunnel or WebSocket may not end at all.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clients::http::{Answer, get, read_answer};
use crate::clients::websocket::WebSocket;
use crate::clients::{multiplexed, tls};

/// Between two requests of one client: the machine has two processors and debug builds.
const PAUSE: Duration = Duration::from_millis(3);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where clients go, and what is there.
#[derive(Debug, Clone)]
pub struct Doors {
    /// TLS.
    pub https: SocketAddr,
    /// Plain HTTP.
    pub http: SocketAddr,
    /// The forward proxy.
    pub proxy: SocketAddr,
    /// A name that is terminated and served over HTTP; `/chat` is a WebSocket where one is asked for.
    pub www: &'static str,
    /// A name that is passed through to a TLS server.
    pub secure: &'static str,
    /// A plain server, for the forward proxy.
    pub server: SocketAddr,
}

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
    /// One TLS 1.2 connection for as long as it may be kept.
    KeptTls12,
    /// A full TLS 1.2 handshake for every request.
    NewTls12,
    /// One HTTP/2 connection for as long as it may be kept.
    KeptHttp2,
    /// A WebSocket over TLS that echoes all the time.
    WebSocket,
    /// The same over TLS 1.2.
    WebSocketTls12,
    /// One connection that is passed through, for as long as it lives.
    Passthrough,
    /// A new CONNECT tunnel for every request.
    NewTunnel,
    /// One CONNECT tunnel, for as long as it lives.
    Connect,
    /// One connection to the forward proxy with requests in absolute form, for as long as it may be kept.
    KeptForward,
}

impl Manner {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NewPlain,
        Self::KeptPlain,
        Self::NewTls,
        Self::KeptTls,
        Self::NewPassthrough,
        Self::KeptTls12,
        Self::NewTls12,
        Self::KeptHttp2,
        Self::WebSocket,
        Self::WebSocketTls12,
        Self::Passthrough,
        Self::NewTunnel,
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
            Self::NewTls12 => "new 1.2",
            Self::KeptHttp2 => "HTTP/2",
            Self::WebSocket => "WebSocket",
            Self::WebSocketTls12 => "1.2 socket",
            Self::Passthrough => "kept passthrough",
            Self::NewTunnel => "new tunnel",
            Self::Connect => "CONNECT",
            Self::KeptForward => "kept forward",
        }
    }
}

/// What a client did not get, or how its connection ended although nobody had said that it would.
pub type Lost = (Manner, String);

/// It runs until [`Load::end`].
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<(Manner, JoinHandle<Vec<String>>)>,
}

/// What came of it.
#[derive(Debug)]
pub struct Came {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were not.
    pub lost: Vec<Lost>,
}

impl Came {
    /// How many of each manner were lost: `0`, or `kept plain 2, new TLS 1`.
    pub fn told(&self) -> String {
        let mut counts: BTreeMap<Manner, usize> = BTreeMap::new();
        self.lost.iter().for_each(|(manner, _)| *counts.entry(*manner).or_default() += 1);
        let words: Vec<String> = counts.iter().map(|(manner, count)| format!("{} {count}", manner.words())).collect();
        if words.is_empty() { "0".to_owned() } else { words.join(", ") }
    }
}

impl Load {
    /// One client of each manner, in the network of this thread.
    pub fn start(doors: &Doors, manners: &[Manner]) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let client = |manner: &Manner| {
            let doors = doors.clone();
            let (manner, over, answered) = (*manner, Arc::clone(&over), Arc::clone(&answered));
            (manner, thread::spawn(move || ask_until(&doors, manner, &over, &answered)))
        };
        let clients = manners.iter().map(client).collect();
        Self { over, answered, clients }
    }

    /// Waits until so many more requests were answered.
    pub fn go_on(&self, count: u64) {
        let goal = self.answered.load(Ordering::SeqCst) + count;
        crate::eventually(60, "the clients get answers", || {
            (self.answered.load(Ordering::SeqCst) >= goal).then_some(())
        });
    }

    /// Ends it.
    ///
    /// # Panics
    /// When a client has.
    pub fn end(self) -> Came {
        self.over.store(true, Ordering::SeqCst);
        let lost = |(manner, client): (Manner, JoinHandle<Vec<String>>)| {
            client.join().expect("a client does not panic").into_iter().map(move |why| (manner, why))
        };
        let lost = self.clients.into_iter().flat_map(lost).collect();
        Came { answered: self.answered.load(Ordering::SeqCst), lost }
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A connection, and how to ask over it.
enum Client {
    /// Requests of this host; absolute form where there is an authority.
    Http(Box<dyn Stream>, String, Option<SocketAddr>),
    Socket(WebSocket<Box<dyn Stream>>),
}

fn ask_until(doors: &Doors, manner: Manner, over: &AtomicBool, answered: &AtomicU64) -> Vec<String> {
    if manner == Manner::KeptHttp2 {
        return multiplex_until(doors, over, answered);
    }
    let new = [Manner::NewPlain, Manner::NewTls, Manner::NewTls12, Manner::NewPassthrough, Manner::NewTunnel];
    let new = new.contains(&manner);
    let mut lost = Vec::new();
    let mut kept: Option<Client> = None;
    while !over.load(Ordering::SeqCst) {
        let client = kept.take().map_or_else(|| connect(doors, manner), Ok);
        match client.and_then(ask) {
            Ok((client, may_stay)) => {
                answered.fetch_add(1, Ordering::SeqCst);
                kept = (may_stay && !new).then_some(client);
            }
            Err(error) => lost.push(error.to_string()),
        }
        thread::sleep(PAUSE);
    }
    lost
}

/// One request and its answer; whether the connection may be kept.
fn ask(client: Client) -> io::Result<(Client, bool)> {
    match client {
        Client::Http(mut stream, host, absolute) => {
            let answer = match absolute {
                None => get(&mut stream, &host, "/")?,
                Some(server) => {
                    write!(stream, "GET http://{server}/ HTTP/1.1\r\nHost: {server}\r\n\r\n")?;
                    read_answer(&mut stream)?
                }
            };
            if answer.status != 200 {
                return Err(io::Error::other(answer.head));
            }
            let may_stay = !closes(&answer);
            Ok((Client::Http(stream, host, absolute), may_stay))
        }
        Client::Socket(mut socket) => {
            socket.send(b"are you there?")?;
            let said = socket.receive()?;
            if said == b"are you there?" {
                Ok((Client::Socket(socket), true))
            } else {
                Err(io::Error::other("changed"))
            }
        }
    }
}

fn closes(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

fn connect(doors: &Doors, manner: Manner) -> io::Result<Client> {
    let dial = |address| -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let http = |stream: Box<dyn Stream>| Ok(Client::Http(stream, doors.www.to_owned(), None));
    match manner {
        Manner::NewPlain | Manner::KeptPlain => http(Box::new(dial(doors.http)?)),
        Manner::NewTls | Manner::KeptTls => http(Box::new(tls::client(doors.www).over(dial(doors.https)?)?)),
        Manner::NewTls12 | Manner::KeptTls12 => {
            http(Box::new(tls::client(doors.www).tls12().over(dial(doors.https)?)?))
        }
        Manner::WebSocket | Manner::WebSocketTls12 => {
            let client = tls::client(doors.www);
            let client = if manner == Manner::WebSocket { client } else { client.tls12() };
            let stream: Box<dyn Stream> = Box::new(client.over(dial(doors.https)?)?);
            let socket = WebSocket::open(stream, doors.www, "/chat");
            socket.map(Client::Socket).map_err(|refused| io::Error::other(refused.head))
        }
        Manner::NewPassthrough | Manner::Passthrough => {
            let stream = tls::client(doors.secure).over(dial(doors.https)?)?;
            Ok(Client::Http(Box::new(stream), doors.secure.to_owned(), None))
        }
        Manner::NewTunnel | Manner::Connect => {
            let (mut stream, server) = (dial(doors.proxy)?, doors.server);
            write!(stream, "CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n")?;
            let head = crate::clients::http::read_head(&mut stream)?;
            if !head.starts_with("HTTP/1.1 200") {
                return Err(io::Error::other(head));
            }
            Ok(Client::Http(Box::new(stream), server.to_string(), None))
        }
        Manner::KeptHttp2 => Err(io::Error::other("see multiplex_until")),
        Manner::KeptForward => Ok(Client::Http(Box::new(dial(doors.proxy)?), String::new(), Some(doors.server))),
    }
}

/// A client that was told GOAWAY opens another connection, and asks again what the server says it has not begun
/// (RFC 9113 §6.8, §8.7): all else that fails is lost.
fn multiplex_until(doors: &Doors, over: &AtomicBool, answered: &AtomicU64) -> Vec<String> {
    let mut lost = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let connection = multiplexed::try_run(doors.https, doors.www, async |client| {
            while !over.load(Ordering::SeqCst) {
                match client.get("/").await {
                    Ok(answer) if answer.head.status() == 200 => drop(answered.fetch_add(1, Ordering::SeqCst)),
                    Ok(answer) => return Some(answer.head.status().to_string()),
                    Err(error) if multiplexed::was_told_to_go(&error) => return None,
                    Err(error) => return Some(error.to_string()),
                }
                tokio::time::sleep(PAUSE).await;
            }
            None
        });
        match connection {
            Ok(trouble) => lost.extend(trouble),
            Err(error) => lost.push(error.to_string()),
        }
    }
    lost
}
