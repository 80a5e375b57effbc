//! The last thing the router does with a connection: give it to the process that will own it.
//!
//! Until that process acknowledges, the socket is ours too; if nobody takes it in time, the client is told so.

use std::os::fd::OwnedFd;

use common::client_hello::ClientHello;
use common::config::SniRouter;
use common::ipc::directory::Directory;
use common::ipc::messages::Ends;
use common::ipc::messages::router_to_filter::PlainHttp;
use common::ipc::messages::router_to_relay::Passthrough;
use common::ipc::messages::router_to_terminator::Terminate;
use common::ipc::sender::{Parcel, Sender, SenderLimits, Undelivered};
use common::ipc::{Message, Nothing};
use common::net::farewell::part;
use common::wiring::{Edge, ROUTER_TO_FILTER, ROUTER_TO_RELAY, ROUTER_TO_TERMINATOR};

use super::metrics::Metrics;
use super::refuse::{alert, http_unavailable};
use super::route::INTERNAL_ERROR;

/// The edges this process may use, opened before the sandbox closed; absent where the configuration needs none.
#[derive(Debug, Default)]
pub struct Directories {
    /// To passthrough-relay.
    pub relay: Option<Directory>,
    /// To tls-terminator.
    pub terminator: Option<Directory>,
    /// To http-filter.
    pub filter: Option<Directory>,
}

/// The sending ends.
#[derive(Debug)]
pub struct HandOver {
    relay: Option<Sender<Passthrough, Nothing>>,
    terminator: Option<Sender<Terminate, Nothing>>,
    filter: Option<Sender<PlainHttp, Nothing>>,
    metrics: Metrics,
}

impl HandOver {
    /// Starts the senders; inside the runtime.
    pub fn start(directories: Directories, config: &SniRouter, metrics: &Metrics) -> Self {
        let limits = limits(config);
        Self {
            relay: start(&ROUTER_TO_RELAY, directories.relay, &limits, metrics),
            terminator: start(&ROUTER_TO_TERMINATOR, directories.terminator, &limits, metrics),
            filter: start(&ROUTER_TO_FILTER, directories.filter, &limits, metrics),
            metrics: metrics.clone(),
        }
    }

    /// Other bounds from now on.
    pub fn set_limits(&self, config: &SniRouter) {
        let limits = limits(config);
        self.relay.iter().for_each(|relay| relay.set_limits(limits));
        self.terminator.iter().for_each(|terminator| terminator.set_limits(limits));
        self.filter.iter().for_each(|filter| filter.set_limits(limits));
    }

    /// Waits until every edge has room: an accept loop does this before it takes more in.
    pub async fn room(&self) {
        while !self.has_room() {
            if let Some(relay) = &self.relay {
                relay.room().await;
            }
            if let Some(terminator) = &self.terminator {
                terminator.room().await;
            }
            if let Some(filter) = &self.filter {
                filter.room().await;
            }
        }
    }

    /// Whether every edge has room now.
    pub fn has_room(&self) -> bool {
        self.relay.as_ref().is_none_or(Sender::has_room)
            && self.terminator.as_ref().is_none_or(Sender::has_room)
            && self.filter.as_ref().is_none_or(Sender::has_room)
    }

    /// Connections that are still on their way.
    pub fn pending(&self) -> usize {
        self.relay.as_ref().map_or(0, Sender::pending)
            + self.terminator.as_ref().map_or(0, Sender::pending)
            + self.filter.as_ref().map_or(0, Sender::pending)
    }

    /// To the relay, bytes untouched.
    pub fn passthrough(&self, socket: OwnedFd, ends: Ends, pool: &str, hello: Option<&ClientHello>) {
        let body = Passthrough {
            ends,
            pool: pool.into(),
            server_name: hello.and_then(|hello| hello.server_name.as_ref()).map(|name| name.as_str().into()),
            alpn: hello.and_then(|hello| hello.alpn.first()).map(Into::into),
        };
        self.metrics.passthrough.up();
        send(self.relay.as_ref(), body, socket, &self.metrics);
    }

    /// To the terminator, ClientHello unread.
    pub fn terminate(&self, socket: OwnedFd, ends: Ends, hello: &ClientHello) {
        let body = Terminate {
            ends,
            server_name: hello.server_name.as_ref().map(|name| name.as_str().into()),
            ja4: hello.ja4.as_str().into(),
        };
        self.metrics.terminate.up();
        send(self.terminator.as_ref(), body, socket, &self.metrics);
    }

    /// To the filter, nothing read.
    pub fn plain_http(&self, socket: OwnedFd, ends: Ends) {
        self.metrics.plain_http.up();
        send(self.filter.as_ref(), PlainHttp { ends }, socket, &self.metrics);
    }
}

fn limits(config: &SniRouter) -> SenderLimits {
    SenderLimits {
        max_unacknowledged: config.max_unacknowledged,
        max_waiting: config.max_waiting,
        wait_deadline: config.hand_over_deadline,
        full_deadline: config.hand_over_deadline,
        ..SenderLimits::default()
    }
}

fn start<M: ToldOff>(
    edge: &'static Edge,
    directory: Option<Directory>,
    limits: &SenderLimits,
    metrics: &Metrics,
) -> Option<Sender<M, Nothing>> {
    let metrics = metrics.clone();
    let undelivered = move |parcel: Parcel<M>, why: Undelivered| {
        tracing::warn!(edge = edge.name, "client refused: {why}");
        give_back(parcel, &metrics);
    };
    directory.map(|directory| Sender::start(edge.name, directory, *limits, undelivered))
}

fn send<M: ToldOff>(sender: Option<&Sender<M, Nothing>>, body: M, socket: OwnedFd, metrics: &Metrics) {
    let refused = match sender {
        Some(sender) => sender.hand_over(body, vec![socket]).err(),
        None => Some(Parcel { body, descriptors: vec![socket] }),
    };
    if let Some(parcel) = refused {
        give_back(parcel, metrics);
    }
}

/// How a client hears that nobody could take it.
trait ToldOff: Message {
    fn apology() -> Vec<u8>;
}

impl ToldOff for Passthrough {
    fn apology() -> Vec<u8> {
        alert(INTERNAL_ERROR).to_vec()
    }
}

impl ToldOff for Terminate {
    fn apology() -> Vec<u8> {
        alert(INTERNAL_ERROR).to_vec()
    }
}

impl ToldOff for PlainHttp {
    fn apology() -> Vec<u8> {
        http_unavailable()
    }
}

fn give_back<M: ToldOff>(parcel: Parcel<M>, metrics: &Metrics) {
    metrics.undelivered.up();
    for socket in parcel.descriptors {
        part(socket, &M::apology(), &metrics.lingering);
    }
}
