//! CONNECT (RFC 9110 §9.3.6): decide, dial, give both sockets away. After that this process is out of the tunnel's path.
//!
//! The first CONNECT of a connection never comes to hyper: its head was read by hand, and the relay writes the 200, so a
//! tunnel costs one question and one hand-over. A CONNECT after other requests of a kept-alive connection is taken out of
//! hyper by an upgrade.
//!
//! A refused CONNECT always ends its connection: the client may have sent the first bytes of its tunnel already, and bytes
//! meant for somebody else must never be read as requests to us.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use common::ipc::messages::Ends;
use common::net::farewell::part;
use common_http::guarded::Guarded;
use common_http::rest::Lent;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::access_log::Record;
use crate::admit::{Asked, admit};
use crate::authenticate::basic::Given;
use crate::destination::Destination;
use crate::head::RequestHead;
use crate::outward::{MAX_EARLY, Tunnel};
use crate::plain_forward::Session;
use crate::refuse::Refusal;
use crate::serve::Proxy;

/// What the client reads before the first byte of its tunnel.
pub const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A connected destination, and whose it is.
#[derive(Debug)]
pub struct Reached {
    /// Its socket.
    pub server: OwnedFd,
    /// Its name.
    pub destination: Destination,
    /// Who authenticated.
    pub user: Option<Arc<str>>,
}

/// A connection whose first request is CONNECT. `early` is what was read behind the head.
pub async fn serve(proxy: &Proxy, client: OwnedFd, ends: Ends, head: &RequestHead<'_>, early: &[u8]) {
    let mut record = Record::new(ends.client, head.method);
    match reach(proxy, ends, head.target, head.credentials, &mut record).await {
        Ok(reached) => {
            record.answer(200);
            proxy.log(&record);
            let tunnel = tunnel(client, reached, ends, early.to_vec(), ESTABLISHED);
            proxy.way_out.splice(tunnel, &proxy.now().realm);
        }
        Err(refusal) => {
            record.refuse(&refusal);
            proxy.log(&record);
            part(client, &refusal.bytes(&proxy.now().realm), &proxy.metrics.lingering);
        }
    }
}

/// Decides and dials.
///
/// # Errors
/// The refusal, which must end the connection.
pub async fn reach(
    proxy: &Proxy,
    ends: Ends,
    target: &[u8],
    credentials: Given<'_>,
    record: &mut Record,
) -> Result<Reached, Refusal> {
    proxy.metrics.connects.up();
    let destination = Destination::of_connect(target).map_err(|error| {
        proxy.metrics.bad_destinations.up();
        Refusal::destination(error)
    })?;
    record.destination = destination.to_string();
    let asked = Asked { client: ends.client.ip(), method: "CONNECT", destination: &destination, credentials };
    let admitted = admit(proxy, asked).await.map_err(|(refusal, user)| {
        record.user = user;
        refusal
    })?;
    record.allow(admitted.user.clone(), &admitted.rule);
    let server = proxy.way_out.reach(&destination).await.map_err(|error| {
        proxy.count_dial(&error);
        Refusal::dial(&error, &destination)
    })?;
    Ok(Reached { server, destination, user: admitted.user })
}

/// After hyper has written the 200: takes the connection out of it and gives it away.
pub async fn hand_over(session: Rc<Session>, upgrade: hyper::upgrade::OnUpgrade, reached: Reached) {
    let Ok(upgraded) = upgrade.await else { return };
    let Some((client, early)) = take_apart(upgraded) else {
        return tracing::debug!("a tunnel ended before it was handed over");
    };
    if early.len() > MAX_EARLY {
        return tracing::debug!("a tunnel's client did not wait for the answer and sent too much");
    }
    let tunnel = tunnel(client, reached, session.ends, early, b"");
    session.proxy.way_out.splice(tunnel, &session.proxy.now().realm);
}

/// The client's socket, and the bytes of the tunnel that were read already, in their order.
fn take_apart(upgraded: Upgraded) -> Option<(OwnedFd, Vec<u8>)> {
    let parts = upgraded.downcast::<TokioIo<Lent<Guarded<TcpStream>>>>().ok()?;
    let (guarded, unread) = parts.io.into_inner().keep()?;
    let (stream, held) = guarded.into_parts();
    let early = [&*parts.read_buf, &*unread, &*held].concat();
    Some((stream.into_std().ok()?.into(), early))
}

fn tunnel(client: OwnedFd, reached: Reached, ends: Ends, to_server: Vec<u8>, to_client: &'static [u8]) -> Tunnel {
    let Reached { server, destination, user } = reached;
    let user = user.map(|user| Box::from(&*user));
    Tunnel { client, server, ends, label: destination.to_string(), user, to_server, to_client }
}
