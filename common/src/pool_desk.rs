//! What operators ask and order of pools: how their servers are, and to let one go. Both processes that balance offer it
//! (http-filter for its routes, passthrough-relay for what passes through).

use std::time::Instant;

use crate::ipc::messages::control::{PoolState, ServerState};
use crate::net::balance::{Balancer, ServerStatus};

/// Servers that one answer may speak of: more do not fit into a frame.
pub const MOST_SERVERS: usize = 400;
/// Bytes of a name in it.
const LONGEST_NAME: usize = 100;

/// The pools of a process.
pub trait PoolDesk {
    /// Every pool, and what is known of its servers.
    fn pools(&self) -> Vec<PoolState>;

    /// Gives a server (`host:port` as configured) nothing new from now on (`true`), or takes that back. What it has under way
    /// ends as it will. Holds through reloads, not through a restart.
    ///
    /// # Errors
    /// One sentence: which name is not known, and which are.
    fn drain(&self, pool: &str, server: &str, drain: bool) -> Result<(), String>;
}

/// A pool as `status` shows it.
#[must_use]
pub fn state(name: &str, balancer: &Balancer) -> PoolState {
    let servers = balancer.status(Instant::now()).iter().map(server).collect();
    PoolState { name: cut(name), waiting: 0, servers, left_out: 0 }
}

fn server(status: &ServerStatus) -> ServerState {
    ServerState {
        label: cut(&status.label),
        state: status.state().into(),
        weight: status.weight,
        active: u64::try_from(status.active).unwrap_or(u64::MAX),
        failures: status.failures_in_a_row,
    }
}

fn cut(name: &str) -> Box<str> {
    name.get(..name.floor_char_boundary(LONGEST_NAME)).unwrap_or_default().into()
}

/// So many that they fit into an answer; each pool says how many of its servers are left out.
#[must_use]
pub fn fitting(pools: Vec<PoolState>) -> Vec<PoolState> {
    let mut room = MOST_SERVERS;
    let mut fit = Vec::new();
    for mut pool in pools.into_iter().take(MOST_SERVERS / 2) {
        let kept = pool.servers.len().min(room.saturating_sub(1));
        pool.left_out = u32::try_from(pool.servers.len() - kept).unwrap_or(u32::MAX);
        pool.servers.truncate(kept);
        room = room.saturating_sub(kept + 1);
        fit.push(pool);
    }
    fit
}

/// The answer to a drain when nothing is known of the pool.
#[must_use]
pub fn no_pool<'a>(process: &str, pool: &str, known: impl Iterator<Item = &'a str>) -> String {
    format!("{process} uses no pool `{pool}`; it uses: {}", known.collect::<Vec<_>>().join(", "))
}

/// The answer to a drain when the pool has no such server.
#[must_use]
pub fn no_server(pool: &str, server: &str, balancer: &Balancer) -> String {
    let known: Vec<String> = balancer.status(Instant::now()).into_iter().map(|server| server.label.into()).collect();
    format!("the pool `{pool}` has no server `{server}`; it has: {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]
    use super::*;
    use crate::ipc::codec::FrameWriter;
    use crate::ipc::messages::control::ControlReply;

    #[test]
    fn the_largest_answer_fits_into_a_frame() {
        let server = ServerState {
            label: "x".repeat(LONGEST_NAME).into(),
            state: "left out for 300 s".into(),
            weight: u64::MAX,
            active: u64::MAX,
            failures: u32::MAX,
        };
        let pool = |servers: usize| PoolState {
            name: "p".repeat(LONGEST_NAME).into(),
            waiting: u64::MAX,
            servers: vec![server.clone(); servers],
            left_out: 0,
        };
        for pools in [vec![pool(5000)], vec![pool(1); 5000], vec![pool(150); 4]] {
            let all: usize = pools.iter().map(|pool| pool.servers.len()).sum();
            let fit = fitting(pools);
            let shown: usize = fit.iter().map(|pool| pool.servers.len()).sum();
            assert!(shown < all && shown > 100, "{shown}");
            let mut frame = FrameWriter::default();
            assert!(frame.push(1, &ControlReply::Pools(fit)).unwrap());
        }
    }
}
