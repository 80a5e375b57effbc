//! What passthrough-relay may need ([`common::budget`]). Pure.
//!
//! Not in the sums: while it connects to a name with several addresses, a dial holds a socket per address that it tries at the same time
//! (RFC 8305), [`MOST_ADDRESSES`](super::connect::MOST_ADDRESSES) at most. Such a socket that cannot be made is one address tried in vain.

use common::budget::{Budget, log, need, shared, times, wide};
use common::config::Config;
use common::process::Process;

use super::dial::MAX_DIALS;
use super::flow::SCRATCH_SIZE;
use super::pipes::PIPE_SIZE;
use super::resolve::{LONGEST_HOSTS, MOST_QUESTIONS};

/// Sockets of a tunnel.
const SIDES: usize = 2;
/// Ends of a pipe.
const ENDS: usize = 2;
/// Bytes of a tunnel in which nothing waits.
const IDLE_TUNNEL: usize = 2 * 1024;

const TUNNELS: &str = "passthrough-relay.max_connections";
const PIPES: &str = "passthrough-relay.splice_pipes";

/// The sums for one instance.
pub fn budget(config: &Config) -> Budget {
    let relay = &config.passthrough_relay;
    let (tunnels, pipes) = (relay.max_connections, relay.splice_pipes);
    let checked = config.pools.iter().filter(|pool| pool.health.is_some() && config.passes_to(&pool.name));
    let checks = checked.map(|pool| wide(pool.servers.len())).sum();
    let mut descriptors = vec![
        need(times(tunnels, SIDES), TUNNELS, "both sockets of each tunnel"),
        need(times(pipes, ENDS), PIPES, "pipes"),
        need(times(pipes, ENDS), PIPES, "pipes taken over from a predecessor"),
        need(MAX_DIALS, "", "connects for other processes"),
        need(wide(MOST_QUESTIONS), "", "questions to name servers"),
        need(checks, "", "health checks"),
    ];
    descriptors.extend(shared(Process::PassthroughRelay, config));
    Budget {
        connections: wide(tunnels),
        limit: 0,
        descriptors,
        idle: vec![
            need(times(tunnels, IDLE_TUNNEL), TUNNELS, "tunnels without bytes"),
            need(wide(LONGEST_HOSTS), "", "the machine's table of hosts, at most"),
        ],
        busy: vec![
            need(times(tunnels, SIDES * SCRATCH_SIZE), TUNNELS, "bytes that were read and not taken"),
            need(times(pipes, PIPE_SIZE), PIPES, "pipes, in the kernel"),
            log(config),
        ],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    #[test]
    fn two_sockets_a_tunnel_and_two_ends_a_pipe() {
        let text = "[passthrough-relay]\nmax_connections = 100\nsplice_pipes = 3\n";
        let told = budget(&Config::parse(text, "test.toml", Path::new("/")).unwrap().0);
        let amounts: Vec<u64> = told.descriptors.iter().take(4).map(|need| need.amount).collect();
        assert_eq!((told.connections, amounts), (100, vec![200, 6, 6, MAX_DIALS]));
        assert_eq!(told.busy.get(1).map(|need| need.amount), Some(3 << 20));
    }

    #[test]
    fn the_default_limits_fit_into_what_the_unit_grants() {
        let told = budget(&Config::default());
        let most: u64 = told.descriptors.iter().map(|need| need.amount).sum();
        assert!(most < super::super::sandbox::POLICY.limits.open_files, "{most}");
    }
}
