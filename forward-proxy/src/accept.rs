//! The accept loop, and the first request of every connection.
//!
//! The first head is read by hand: nearly always it is there in one piece, and if it is CONNECT (most of what a forward
//! proxy sees) the connection never becomes part of an HTTP server or, if its bytes are there already, of the event loop.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use common::ipc::messages::Ends;
use common::net::accept::Acceptor;
use common::net::client_limit::{ClientKey, NoPlace, Place};
use common::net::farewell::part;
use common_http::framing::{Framing, Step, Violation};
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::access_log::Record;
use crate::connect_tunnel;
use crate::head::RequestHead;
use crate::plain_forward::{self, Past};
use crate::refuse::Refusal;
use crate::serve::Proxy;
use crate::succession;

/// Bytes read at a time while a first head is not whole; also the most that can be read behind it.
pub const FIRST_READ: usize = 4096;

/// Accepts on one socket until the process is told to stop.
///
/// # Errors
/// The listening socket itself fails.
pub async fn accept(proxy: Rc<Proxy>, socket: OwnedFd) -> io::Result<()> {
    let mut acceptor = Acceptor::new(socket, proxy.metrics.out_of_descriptors.clone())?;
    loop {
        proxy.way_out.room().await;
        let turn = acceptor.turn(|client, ends| {
            admit(&proxy, client, ends);
            true // nothing of it waits for the relay yet
        });
        turn.await?;
    }
}

/// Counts the connection and gives it a task of its own.
fn admit(proxy: &Rc<Proxy>, client: OwnedFd, ends: Ends) {
    proxy.metrics.accepted.up();
    match proxy.places.enter(ClientKey::from(ends.client.ip())) {
        Ok(place) => {
            drop(tokio::task::spawn_local(first_request(Rc::clone(proxy), client, Vec::new(), ends, place, true)))
        }
        Err(why) => {
            proxy.metrics.refused_full.up();
            let rule = match why {
                NoPlace::Full => "max_connections",
                NoPlace::ClientFull => "max_connections_per_address",
            };
            refuse(proxy, client, ends, &Refusal::too_many_connections(rule));
        }
    }
}

/// How the reading of a first head ended.
enum First {
    /// The first so many bytes are a whole, valid head.
    Whole(usize),
    Refused(Violation),
    Gone,
}

/// Serves a connection from its first head on, of which `bytes` were read already.
pub(crate) async fn first_request(
    proxy: Rc<Proxy>,
    client: OwnedFd,
    mut bytes: Vec<u8>,
    ends: Ends,
    place: Place,
    may_leave: bool,
) {
    let _held = proxy.metrics.connections.hold();
    let mut client = Client::New(client);
    let reading = first_head(&proxy, &mut client, &mut bytes);
    let first = tokio::select! {
        biased;
        () = proxy.stop.leaving(), if may_leave => None,
        first = tokio::time::timeout(proxy.now().header_deadline, reading) => Some(first),
    };
    let Some(first) = first else {
        let Ok(client) = client.stream() else { return };
        return succession::hand_on(&proxy, client, ends, 0, bytes);
    };
    let refusal = match first {
        Ok(First::Whole(length)) => {
            let (head, early) = bytes.split_at_checked(length).unwrap_or((&bytes, &[]));
            match RequestHead::read(head) {
                Some(head) if head.method == "CONNECT" => {
                    let Ok(client) = client.release() else { return };
                    return connect_tunnel::serve(&proxy, client, ends, &head, early).await;
                }
                Some(_) => {
                    let Ok(stream) = client.stream() else { return };
                    let past = Past { requests: 0, ahead: bytes, may_leave };
                    return plain_forward::serve(Rc::clone(&proxy), stream, past, ends, place).await;
                }
                None => Refusal::violation(Violation::BadRequestLine),
            }
        }
        Ok(First::Refused(violation)) => {
            proxy.metrics.malformed.up();
            Refusal::violation(violation)
        }
        Ok(First::Gone) => return proxy.metrics.vanished.up(),
        Err(_) => {
            proxy.metrics.head_timeouts.up();
            Refusal::violation(Violation::HeadTimeout)
        }
    };
    if let Ok(client) = client.release() {
        refuse(&proxy, client, ends, &refusal);
    }
}

/// Refuses a connection of which no request was understood.
fn refuse(proxy: &Proxy, client: OwnedFd, ends: Ends, refusal: &Refusal) {
    let mut record = Record::new(ends.client, "");
    record.refuse(refusal);
    proxy.log(&record);
    part(client, &refusal.bytes(&proxy.now().realm), &proxy.metrics.lingering);
}

async fn first_head(proxy: &Proxy, client: &mut Client, bytes: &mut Vec<u8>) -> First {
    let mut framing = Framing::new(proxy.now().framing);
    loop {
        // A client that has said nothing yet loses nothing when we stop and it has nowhere to go.
        let silent = bytes.is_empty();
        let read = tokio::select! {
            biased;
            read = client.read(bytes) => read,
            () = proxy.stop.stopping(), if silent => return First::Gone,
        };
        if !matches!(read, Ok(1..)) {
            return First::Gone;
        }
        match framing.feed(bytes) {
            Step::Head { len, .. } => return First::Whole(len),
            Step::Partial => {}
            Step::Refused(violation) => return First::Refused(violation),
            // Nothing else can come before a head.
            Step::Body { .. } | Step::Hold | Step::Discard { .. } => return First::Gone,
        }
    }
}

/// A client's socket, part of the event loop only if it had to be waited for.
enum Client {
    New(OwnedFd),
    Awaited(TcpStream),
    Gone,
}

impl Client {
    /// Reads what is there behind `bytes`, or waits for it. 0: the client has ended.
    async fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        bytes.reserve(FIRST_READ);
        if let Client::New(socket) = self {
            match receive(socket, bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            let stream = std::mem::replace(self, Client::Gone).stream()?;
            *self = Client::Awaited(stream);
        }
        let Client::Awaited(stream) = self else { return Ok(0) };
        stream.async_io(Interest::READABLE, || receive(&*stream, bytes)).await
    }

    /// As part of the event loop.
    fn stream(self) -> io::Result<TcpStream> {
        match self {
            Client::New(socket) => TcpStream::from_std(socket.into()),
            Client::Awaited(stream) => Ok(stream),
            Client::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// As a descriptor that no event loop knows.
    fn release(self) -> io::Result<OwnedFd> {
        match self {
            Client::New(socket) => Ok(socket),
            Client::Awaited(stream) => Ok(stream.into_std()?.into()),
            Client::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn receive(socket: impl std::os::fd::AsFd, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let buffer = rustix::buffer::spare_capacity(bytes);
    Ok(rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT)?.1)
}
