//! Living connections go on in another process when this one finishes: a client between two requests never learns that there was a change.
//!
//! A connection can move when nothing waits for an answer and no answer waits for the client: then all that is true of it is its socket,
//! the state of its record layer if it has one, what the handshake told, and at most the beginning of a request. [`Stream::part`] takes it
//! apart, [`take`] in the successor puts it together again. A WebSocket moves with both of its ends, unless the server's is TLS. HTTP/2
//! does not move: its compression tables and streams are hyper's; it is told
//! to go elsewhere (GOAWAY, RFC 9113 §6.8), and its streams finish here.
//!
//! Nothing is sealed from the moment a connection is parted, and the successor seals nothing before its acknowledgement has left
//! (`common::ipc::succession`): so no record number is used twice.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::ipc::messages::filter_to_successor::{HandedOn, MAX_AHEAD, Tls as ToldTls};
use common::ipc::messages::terminator_to_filter::Kind;
use common::ipc::receiver::Verdict;
use common::ipc::sender::Parcel;
use common::ipc::succession::Successor;
use common::net::client_limit::{ClientKey, Place};
use common::net::quiet_stream::QuietStream;
use common::observe::metrics::Figure;
use common_http::guarded::Guarded;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::app::Instance;
use super::connection::{self, Connection, Past};
use super::receive::{self, Client, Plaintext, Tls};
use super::tls_stream::TlsStream;
use super::upgrade::Tunnel;

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

/// The way out of this process: open from the moment that it is told to finish.
pub struct Leaving {
    told: Cell<bool>,
    tell: Notify,
    successor: RefCell<Option<Successor<HandedOn>>>,
    handed_on: Figure,
}

impl Leaving {
    /// Closed so far.
    pub fn new(handed_on: Figure) -> Rc<Self> {
        Rc::new(Self { told: Cell::new(false), tell: Notify::new(), successor: RefCell::default(), handed_on })
    }

    /// Waits until the process is told to finish.
    pub async fn told(&self) {
        while !self.told.get() {
            self.tell.notified().await;
        }
    }

    /// Where living connections go; `None`: nowhere, or the process is not to finish.
    pub fn successor(&self) -> Option<Successor<HandedOn>> {
        self.successor.borrow().clone().filter(Successor::is_there)
    }

    /// Tells everybody.
    pub fn open(&self, successor: Option<Successor<HandedOn>>) {
        self.told.set(true);
        *self.successor.borrow_mut() = successor;
        self.tell.notify_waiters();
    }

    /// Gives a connection away that was taken apart. False: there is nobody, or more is under way than a message holds; it is closed.
    fn give(&self, connection: &Connection, parted: Parted, websocket: Option<(OwnedFd, Vec<u8>)>) -> bool {
        let Parted { socket, kind, ahead } = parted;
        let fits = ahead.len() <= MAX_AHEAD && websocket.as_ref().is_none_or(|(_, rest)| rest.len() <= MAX_AHEAD);
        let Some(successor) = self.successor().filter(|_| fits) else { return false };
        let told = |(tls, kind): (&Tls, Kind)| ToldTls {
            kind,
            server_name: tls.server_name.clone(),
            version: tls.version.clone(),
            ja4: tls.ja4.clone(),
            identity: tls.identity.clone(),
        };
        let (server, to_client) = websocket.unzip();
        let message = HandedOn {
            ends: connection.client.ends,
            tls: connection.client.tls.as_ref().zip(kind).map(told).map(Box::new),
            requests: connection.ledger.requests(),
            ahead: ahead.into(),
            websocket: to_client.map(Vec::into_boxed_slice),
        };
        self.handed_on.up();
        successor.give(message, [Some(socket), server].into_iter().flatten().collect());
        true
    }
}

/// Gives a connection with nothing under way to the successor.
///
/// # Errors
/// It cannot move: here it is.
pub fn hand_on<S: Stream>(connection: &Connection, stream: Guarded<S>) -> Result<(), Box<Guarded<S>>> {
    let movable = connection.ledger.may_move() && stream.get_ref().is_movable();
    if !movable || connection.leaving.successor().is_none() {
        return Err(Box::new(stream));
    }
    let (stream, mut ahead) = stream.into_parts();
    if let Ok(parted) = stream.part() {
        ahead.extend(parted.ahead);
        connection.leaving.give(connection, Parted { ahead, ..parted }, None);
    }
    Ok(())
}

/// Joins the halves of a WebSocket, as long as it lives here; if this process finishes before it, it goes on in the successor.
pub async fn join(connection: &Connection, tunnel: Tunnel, idle: Duration) {
    let clock = connection.ledger.clock().clone();
    if let Some(moving) = tunnel.run(clock, idle, &connection.leaving).await {
        let client = Parted { ahead: moving.to_server, ..moving.client };
        connection.leaving.give(connection, client, Some((moving.server.socket, moving.to_client)));
    }
}

/// A connection that another process has served so far.
pub fn take(instance: &Rc<Instance>, parcel: Parcel<HandedOn>) -> Verdict {
    // It has been let in: several predecessors together may have let more of one address in than one may.
    let Some(place) = instance.clients.enter_again(ClientKey::from(parcel.body.ends.client.ip())) else {
        instance.metrics.full.up();
        return Verdict::Full;
    };
    instance.metrics.taken_over.up();
    let instance = Rc::clone(instance);
    Verdict::TakenOnce(Box::new(move || {
        let Some(Revived { stream, client, past, server }) = revive(&instance, parcel) else { return };
        match stream {
            Kinds::Plain(stream) => go_on(&instance, stream, client, place, past, server),
            Kinds::Relay(stream) => go_on(&instance, stream, client, place, past, server),
            Kinds::Secrets(stream) => go_on(&instance, *stream, client, place, past, server),
        }
    }))
}

fn go_on<S: Stream>(
    instance: &Rc<Instance>,
    stream: S,
    client: Client,
    place: Place,
    past: Past,
    server: Option<(TcpStream, Vec<u8>)>,
) {
    let Some((server, to_client)) = server else { return connection::start(instance, stream, client, place, past) };
    let idle = instance.app().config.tunnel_idle_deadline;
    let connection = Connection::new(instance, client, place);
    connection.ledger.go_on_after(past.requests);
    let client = Guarded::tunnel(stream, Arc::clone(&connection.ledger));
    let tunnel = Tunnel::new(Box::new(client), Box::new(server), past.ahead, to_client);
    tokio::task::spawn_local(async move { join(&connection, tunnel, idle).await });
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
    /// Of a WebSocket: the other end, and what the client has not got yet.
    server: Option<(TcpStream, Vec<u8>)>,
}

/// Puts a connection together again. From here on it is ours alone.
fn revive(instance: &Instance, parcel: Parcel<HandedOn>) -> Option<Revived> {
    let revived = put_together(instance, parcel);
    if let Err(error) = &revived {
        tracing::error!("the http-filter before this one handed on a connection that cannot be gone on with: {error}");
    }
    revived.ok()
}

fn put_together(instance: &Instance, parcel: Parcel<HandedOn>) -> io::Result<Revived> {
    let HandedOn { ends, tls, requests, ahead, websocket } = parcel.body;
    let mut sockets = parcel.descriptors.into_iter();
    let mut socket = || sockets.next().ok_or(io::ErrorKind::InvalidInput);
    let client = socket()?;
    let server = |rest: Box<[u8]>| Ok::<_, io::Error>((TcpStream::from_std(socket()?.into())?, rest.into_vec()));
    let server = websocket.map(server).transpose()?;
    let (stream, tls) = match tls.map(|tls| *tls) {
        None => (Kinds::Plain(TcpStream::from_std(client.into())?), None),
        Some(ToldTls { kind, server_name, version, ja4, identity }) => {
            let stream = match receive::plaintext(instance, client, kind)? {
                Plaintext::Relayed(stream) => Kinds::Relay(stream),
                Plaintext::Here(stream) => Kinds::Secrets(stream),
            };
            (stream, Some(Tls { server_name, version, ja4, h2: false, identity }))
        }
    };
    Ok(Revived { stream, client: Client { ends, tls }, past: Past { requests, ahead: ahead.into() }, server })
}
