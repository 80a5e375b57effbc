//! passthrough-relay → its successor: what is between a client and a server, stopped between two moves.
//!
//! Points in time travel as ages, because two processes share no clock that a message could name; the time on the way counts as none.

use std::time::Duration;

use super::Ends;
use super::router_to_relay::Passthrough;

/// What a relay that finishes leaves behind.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum HandedOn {
    /// A living tunnel. Carries the client's socket, the server's, and for each direction with a pipe (client to server first) the
    /// pipe's reading and its writing end.
    Tunnel(Box<Tunnel>),
    /// A client whose server has not answered yet: begun anew with the successor. Carries its socket, not a byte of it consumed.
    Client(Passthrough),
}

/// A tunnel as it stands.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Tunnel {
    /// Who is connected to whom.
    pub parties: Parties,
    /// Age of the tunnel.
    pub age: Duration,
    /// How long no byte has moved.
    pub quiet: Duration,
    /// From the client to the server.
    pub to_server: Direction,
    /// From the server to the client.
    pub to_client: Direction,
    /// Who was the first to say that it had finished.
    pub finished_first: Option<Side>,
    /// Bytes that may still be thrown away after one side has left.
    pub last_words: u32,
}

/// For the log, the limits and the balancer.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Parties {
    /// The client's side.
    pub ends: Ends,
    /// How the tunnel came about.
    pub service: Service,
    /// The name in the ClientHello, or the destination of a CONNECT.
    pub name: Option<Box<str>>,
    /// Where it is connected to, as configured or asked for.
    pub server: Box<str>,
    /// The pool, if there is one.
    pub pool: Option<Box<str>>,
    /// The user, if somebody authenticated.
    pub user: Option<Box<str>>,
}

/// What asked for a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Service {
    /// sni-router, for a client of a pool.
    Passthrough,
    /// forward-proxy, for a client going out.
    Connect,
}

/// One of the two parties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// One direction. Bytes that were read and not yet written: first `held`, then those in the pipe.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Direction {
    /// The beginning of what is under way; short, unless the kernel gave no pipe for it.
    pub held: Box<[u8]>,
    /// A pipe with bytes inside comes along.
    pub piped: bool,
    /// It has been moving bulk.
    pub splicing: bool,
    /// The end of its stream was read.
    pub ended: bool,
    /// Bytes delivered.
    pub moved: u64,
    /// How many of them never entered a process.
    pub spliced: u64,
    /// How long ago the last byte was delivered, if any was.
    pub sent: Option<Duration>,
    /// How it came to its end, if it did.
    pub over: Option<Over>,
}

/// How a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Over {
    /// Everything is delivered, the end of the stream too.
    Ended,
    /// Everything is delivered; of the end the receiver learns by a reset.
    EndedSilently,
    /// The receiver takes no more, with this error number of the kernel.
    NotTaken(i32),
}

impl Service {
    /// As the log says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::Connect => "connect",
        }
    }
}

impl Tunnel {
    fn descriptors(&self) -> usize {
        2 + 2 * usize::from(self.to_server.piped) + 2 * usize::from(self.to_client.piped)
    }
}

impl crate::ipc::Message for HandedOn {
    fn descriptors(&self) -> usize {
        match self {
            Self::Tunnel(tunnel) => tunnel.descriptors(),
            Self::Client(client) => client.descriptors(),
        }
    }
}
