//! What passthrough connections and CONNECT tunnels have in common: a place among the connections, the moving of bytes,
//! the account at the end.

use std::cell::Cell;
use std::net::IpAddr;

use common::ipc::messages::Ends;
use common::ipc::messages::relay_to_successor::{self as message, HandedOn, Service};
use common::net::client_limit::{ClientKey, ClientLimit, NoPlace, Place};
use common::observe::output;
use tokio::net::TcpStream;

use super::leaving::Leaving;
use super::metrics::Metrics;
use super::pipes::PipePool;
use super::tunnel::{self, EndReason, Stop, Tunnel, TunnelEnd, TunnelOptions};

/// Moves bytes and counts them.
#[derive(Debug)]
pub struct Tunnels {
    /// Deadlines.
    pub options: Cell<TunnelOptions>,
    /// Pipes for bulk.
    pub pipes: PipePool,
    /// Places, in all and per client.
    pub limit: ClientLimit,
    /// Whether each end is logged.
    pub log: Cell<bool>,
    /// Whether tunnels go to a successor.
    pub leaving: Leaving,
    /// Figures.
    pub metrics: Metrics,
}

/// Who is connected to whom, for the log and for a successor.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    /// The client's side.
    pub ends: Ends,
    /// How it came about.
    pub service: Service,
    /// The name in the ClientHello, or the destination of a CONNECT.
    pub name: Option<&'a str>,
    /// Where it is connected to, as configured or asked for.
    pub server: &'a str,
    /// The pool, if there is one.
    pub pool: Option<&'a str>,
    /// The user, if somebody authenticated.
    pub user: Option<&'a str>,
}

impl Tunnels {
    /// A place for one more connection of this client.
    pub fn enter(&self, client: IpAddr) -> Result<Place, NoPlace> {
        let place = self.limit.enter(ClientKey::from(client));
        match &place {
            Ok(_) => {}
            Err(NoPlace::Full) => self.metrics.full.up(),
            Err(NoPlace::ClientFull) => {
                self.metrics.client_full.up();
                tracing::debug!(%client, "closed: this address holds max_connections_per_address already");
            }
        }
        place
    }

    /// A place for a tunnel that has lived in another process: it counts for its client, but was let in long ago. `None`: full.
    pub fn enter_again(&self, client: IpAddr) -> Option<Place> {
        self.limit.enter_again(ClientKey::from(client))
    }

    /// Joins two sockets until their conversation is over, or goes on elsewhere.
    pub fn join(
        &self,
        client: TcpStream,
        server: TcpStream,
        to_server: Vec<u8>,
        to_client: Vec<u8>,
        parties: Parties<'_>,
    ) -> impl Future<Output = ()> {
        self.carry(Tunnel::new(client, server, to_server, to_client), parties, true)
    }

    /// Cares for a tunnel until its conversation is over or, if it may leave, until it goes on elsewhere.
    pub async fn carry(&self, mut tunnel: Tunnel, parties: Parties<'_>, may_leave: bool) {
        let _open = self.metrics.connections.hold();
        let before = tunnel.moved();
        let options = self.options.get();
        let leave = async {
            match may_leave {
                true => self.leaving.begun().await,
                false => std::future::pending().await,
            }
        };
        let stop = tunnel.run(&options, &self.pipes, leave).await;
        self.count(before, tunnel.moved());
        match stop {
            Stop::Over(reason) => self.ended(&tunnel.close(reason), &parties),
            Stop::Asked => self.hand_on(tunnel, parties),
        }
    }

    fn hand_on(&self, tunnel: Tunnel, parties: Parties<'_>) {
        match tunnel.stand_still(parties.told()) {
            Ok((message, descriptors)) => {
                self.metrics.handed_on.up();
                self.leaving.give(HandedOn::Tunnel(Box::new(message)), descriptors);
            }
            Err(error) => tracing::error!("a tunnel cannot be handed on and is cut: {error}"),
        }
    }

    /// What moved here; what moved in another process was counted there.
    fn count(&self, [in_before, out_before, spliced_before]: [u64; 3], [bytes_in, bytes_out, spliced]: [u64; 3]) {
        self.metrics.bytes_in.add(bytes_in.saturating_sub(in_before));
        self.metrics.bytes_out.add(bytes_out.saturating_sub(out_before));
        self.metrics.bytes_spliced.add(spliced.saturating_sub(spliced_before));
    }

    fn ended(&self, end: &TunnelEnd, parties: &Parties<'_>) {
        if self.log.get() {
            output::access("tunnel ended", |line| {
                line.display("client", parties.ends.client);
                line.text("service", parties.service.name());
                line.maybe("name", parties.name);
                line.maybe("user", parties.user);
                line.maybe("pool", parties.pool);
                line.text("server", parties.server);
                line.number("bytes_in", end.a_to_b);
                line.number("bytes_out", end.b_to_a);
                line.number("total_us", u64::try_from(end.lasted.as_micros()).unwrap_or(u64::MAX));
                line.display("end", Ended(&end.reason));
            });
        }
        match end.reason {
            EndReason::Finished => {}
            EndReason::Idle | EndReason::HalfClosedIdle => self.metrics.ended_idle.up(),
            EndReason::Read(..) | EndReason::Write(..) => self.metrics.ended_by_error.up(),
        }
    }
}

impl<'a> Parties<'a> {
    fn told(self) -> message::Parties {
        message::Parties {
            ends: self.ends,
            service: self.service,
            name: self.name.map(Into::into),
            server: self.server.into(),
            pool: self.pool.map(Into::into),
            user: self.user.map(Into::into),
        }
    }

    /// As a predecessor told them.
    pub fn heard(parties: &'a message::Parties) -> Self {
        Self {
            ends: parties.ends,
            service: parties.service,
            name: parties.name.as_deref(),
            server: &parties.server,
            pool: parties.pool.as_deref(),
            user: parties.user.as_deref(),
        }
    }
}

struct Ended<'a>(&'a EndReason);

impl std::fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |side: &tunnel::Side| if *side == tunnel::Side::A { "client" } else { "server" };
        match self.0 {
            EndReason::Finished => f.write_str("finished"),
            EndReason::Idle => f.write_str("idle_deadline"),
            EndReason::HalfClosedIdle => f.write_str("half_closed_deadline"),
            EndReason::Read(who, error) => write!(f, "{} gone: {error}", side(who)),
            EndReason::Write(who, error) => write!(f, "{} does not take more: {error}", side(who)),
        }
    }
}
