//! Living connections go on in another process when this one finishes: a client between two requests never learns that there was a change.
//!
//! A connection can move when nothing waits for an answer and no answer waits for the client: then all that is true of it is its socket,
//! the state of its record layer if it has one, what the handshake told, and at most the beginning of a request. [`Stream::part`] takes it
//! apart, [`take`] in the successor puts it together again. HTTP/2 does not move: its compression tables and streams are hyper's; it is told
//! to go elsewhere (GOAWAY, RFC 9113 §6.8), and its streams finish here.
//!
//! Nothing is sealed from the moment a connection is parted, and the successor seals nothing before its acknowledgement has left
//! (`common::ipc::succession`): so no record number is used twice.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use common::ipc::messages::filter_to_successor::{HandedOn, MAX_AHEAD, Tls as ToldTls};
use common::ipc::messages::terminator_to_filter::Kind;
use common::ipc::receiver::Verdict;
use common::ipc::sender::Parcel;
use common::net::quiet_stream::QuietStream;
use common_http::guarded::Guarded;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::app::Instance;
use super::connection::{self, Connection, Past};
use super::receive::{self, Client, Tls};
use super::tls_stream::TlsStream;

/// What is left of a stream that was taken apart.
pub struct Parted {
    /// The client's socket, or one end of a socketpair.
    pub socket: OwnedFd,
    /// How the plaintext comes; `None`: it is what the socket says.
    pub kind: Option<Kind>,
    /// Plaintext that was read and not given to anybody.
    pub ahead: Vec<u8>,
}

/// A client's stream, whatever it is made of.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sized + 'static {
    /// Whether its parts say all about it: nothing that was written waits to be sent.
    fn is_movable(&self) -> bool;

    /// Takes it apart.
    ///
    /// # Errors
    /// It is not movable, or the event loop does not let it go.
    fn part(self) -> io::Result<Parted>;
}

impl Stream for TcpStream {
    fn is_movable(&self) -> bool {
        true
    }

    fn part(self) -> io::Result<Parted> {
        Ok(Parted { socket: self.into_std()?.into(), kind: None, ahead: Vec::new() })
    }
}

impl Stream for QuietStream {
    fn is_movable(&self) -> bool {
        true
    }

    fn part(self) -> io::Result<Parted> {
        Ok(Parted { socket: self.into_socket()?, kind: Some(Kind::Relay), ahead: Vec::new() })
    }
}

/// Gives a connection to the successor, if there is one and the connection can move.
///
/// # Errors
/// It cannot: here it is, as far as something is left of it.
pub fn hand_on<S: Stream>(
    instance: &Instance,
    connection: &Connection,
    stream: Guarded<S>,
) -> Result<(), Option<Box<Guarded<S>>>> {
    let Some(successor) = instance.successor() else { return Err(Some(Box::new(stream))) };
    if !connection.ledger.may_move() || !stream.get_ref().is_movable() || !successor.is_there() {
        return Err(Some(Box::new(stream)));
    }
    let (stream, mut ahead) = stream.into_parts();
    let Parted { socket, kind, ahead: behind } = stream.part().map_err(|_| None)?;
    ahead.extend(behind);
    if ahead.len() > MAX_AHEAD {
        return Err(None);
    }
    let told = |(tls, kind): (&Tls, Kind)| ToldTls {
        kind,
        server_name: tls.server_name.clone(),
        version: tls.version.clone(),
        ja4: tls.ja4.clone(),
        identity: tls.identity.clone(),
    };
    let message = HandedOn {
        ends: connection.client.ends,
        tls: connection.client.tls.as_ref().zip(kind).map(told).map(Box::new),
        requests: connection.ledger.requests(),
        ahead: ahead.into(),
    };
    instance.metrics.handed_on.up();
    successor.give(message, vec![socket]);
    Ok(())
}

/// A connection that another process has served so far.
pub fn take(instance: &Rc<Instance>, parcel: Parcel<HandedOn>) -> Verdict {
    let place = match receive::enter(instance, parcel.body.ends.client.ip()) {
        Ok(place) => place,
        Err(verdict) => return verdict,
    };
    instance.metrics.taken_over.up();
    let instance = Rc::clone(instance);
    Verdict::TakenOnce(Box::new(move || {
        let Some(Revived { stream, client, past }) = revive(&instance, parcel) else { return };
        match stream {
            Kinds::Plain(stream) => connection::start(&instance, stream, client, place, past),
            Kinds::Relay(stream) => connection::start(&instance, stream, client, place, past),
            Kinds::Secrets(stream) => connection::start(&instance, *stream, client, place, past),
        }
    }))
}

/// A connection for which no successor had a place: it ends as an idle connection ends.
pub fn let_go(instance: &Rc<Instance>, parcel: Parcel<HandedOn>) {
    instance.metrics.came_back.up();
    let Some(Revived { stream, .. }) = revive(instance, parcel) else { return };
    tokio::task::spawn_local(async move {
        let _ = match stream {
            Kinds::Plain(mut stream) => stream.shutdown().await,
            Kinds::Relay(mut stream) => stream.shutdown().await,
            Kinds::Secrets(mut stream) => stream.shutdown().await,
        };
    });
}

enum Kinds {
    Plain(TcpStream),
    Relay(QuietStream),
    Secrets(Box<TlsStream>),
}

struct Revived {
    stream: Kinds,
    client: Client,
    past: Past,
}

/// Puts a connection together again. From here on it is ours alone.
fn revive(instance: &Instance, parcel: Parcel<HandedOn>) -> Option<Revived> {
    let HandedOn { ends, tls, requests, ahead } = parcel.body;
    let socket = parcel.descriptors.into_iter().next()?;
    let past = Past { requests, ahead: ahead.into() };
    let (stream, tls) = match tls.map(|tls| *tls) {
        None => (TcpStream::from_std(socket.into()).map(Kinds::Plain), None),
        Some(ToldTls { kind, server_name, version, ja4, identity }) => {
            let stream = match kind {
                Kind::Relay => QuietStream::from_handed_over(socket).map(Kinds::Relay),
                Kind::Tls13Secrets(secrets) => {
                    receive::stream_of(instance, socket, *secrets).map(Box::new).map(Kinds::Secrets)
                }
            };
            (stream, Some(Tls { server_name, version, ja4, h2: false, identity }))
        }
    };
    match stream {
        Ok(stream) => Some(Revived { stream, client: Client { ends, tls }, past }),
        Err(error) => {
            tracing::error!(
                "the http-filter before this one handed on a connection that cannot be gone on with: {error}"
            );
            None
        }
    }
}
