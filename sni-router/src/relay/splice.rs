//! Splice: the two sockets of a CONNECT tunnel, joined here so that forward-proxy is out of the path.

use std::rc::Rc;

use common::ipc::messages::Ends;
use common::ipc::messages::relay_to_successor::Service;
use common::ipc::receiver::Verdict;
use common::net::client_limit::NoPlace;
use tokio::net::TcpStream;

use super::tunnels::{Parties, Tunnels};

/// A tunnel as forward-proxy hands it over.
#[derive(Debug)]
pub struct Splice {
    /// The client's side.
    pub ends: Ends,
    /// The destination.
    pub label: Box<str>,
    /// Who authenticated.
    pub user: Option<Box<str>>,
    /// Client, then server.
    pub sockets: Vec<std::os::fd::OwnedFd>,
    /// Already read from the client.
    pub to_server: Vec<u8>,
    /// Still to be written to the client.
    pub to_client: Vec<u8>,
}

/// Takes a tunnel, or returns it when this process is full.
pub fn take(tunnels: &Rc<Tunnels>, splice: Splice) -> Verdict {
    let place = match tunnels.enter(splice.ends.client.ip()) {
        Ok(place) => place,
        Err(NoPlace::Full) => return Verdict::Full,
        Err(NoPlace::ClientFull) => return Verdict::Taken, // ours to refuse: dropped here
    };
    tunnels.metrics.splices.up();
    let tunnels = Rc::clone(tunnels);
    tokio::task::spawn_local(async move {
        let _place = place;
        let mut sockets = splice.sockets.into_iter().map(|socket| TcpStream::from_std(socket.into()));
        let (Some(Ok(client)), Some(Ok(server))) = (sockets.next(), sockets.next()) else { return };
        let parties = Parties {
            ends: splice.ends,
            service: Service::Connect,
            name: Some(&splice.label),
            server: &splice.label,
            pool: None,
            user: splice.user.as_deref(),
        };
        tunnels.join(client, server, splice.to_server, splice.to_client, parties).await;
    });
    Verdict::Taken
}
