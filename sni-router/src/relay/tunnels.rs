//! What passthrough connections and CONNECT tunnels have in common: a place among the connections, the moving of bytes,
//! the account at the end.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::Instant;

use common::ipc::messages::Ends;
use common::net::client_limit::{ClientKey, ClientLimit, NoPlace, Place};
use common::observe::output;
use tokio::net::TcpStream;

use super::metrics::Metrics;
use super::pipes::PipePool;
use super::tunnel::{self, EndReason, TunnelEnd, TunnelOptions};

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
    /// Figures.
    pub metrics: Metrics,
}

/// Who is connected to whom, for the log.
#[derive(Debug)]
pub struct Parties<'a> {
    /// The client's side.
    pub ends: Ends,
    /// `passthrough` or `connect`.
    pub service: &'static str,
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

    /// Joins two sockets until their conversation is over.
    pub async fn join(
        &self,
        client: TcpStream,
        server: TcpStream,
        to_server: Vec<u8>,
        to_client: Vec<u8>,
        parties: Parties<'_>,
    ) {
        let began = Instant::now();
        let _open = self.metrics.connections.hold();
        let end = tunnel::run(client, server, to_server, to_client, &self.options.get(), &self.pipes).await;
        self.account(&end);
        if self.log.get() {
            output::access("tunnel ended", |line| {
                line.display("client", parties.ends.client);
                line.text("service", parties.service);
                line.maybe("name", parties.name);
                line.maybe("user", parties.user);
                line.maybe("pool", parties.pool);
                line.text("server", parties.server);
                line.number("bytes_in", end.a_to_b);
                line.number("bytes_out", end.b_to_a);
                line.number("total_us", u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
                line.display("end", Ended(&end.reason));
            });
        }
    }

    fn account(&self, end: &TunnelEnd) {
        self.metrics.bytes_in.add(end.a_to_b);
        self.metrics.bytes_out.add(end.b_to_a);
        self.metrics.bytes_spliced.add(end.spliced);
        match end.reason {
            EndReason::Finished => {}
            EndReason::Idle | EndReason::HalfClosedIdle => self.metrics.ended_idle.up(),
            EndReason::Read(..) | EndReason::Write(..) => self.metrics.ended_by_error.up(),
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
