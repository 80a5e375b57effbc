//! What forward-proxy may need ([`common::budget`]). Pure.

use common::budget::{Budget, log, need, shared, times, wide};
use common::config::Config;
use common::net::farewell::MAX_LINGERING;
use common::process::Process;
use common_http::upstream::MOST_READ;

use crate::accept::FIRST_READ;
use crate::serve::{BUFFER_SLACK, IDLE_PER_SERVER, MAX_SERVERS};

/// A client's socket and that of its server: until a tunnel is handed over, or for as long as a request in absolute form lasts.
const SIDES: usize = 2;
/// Bytes of a connection between two requests.
const IDLE_CONNECTION: usize = 8 * 1024;

const CLIENTS: &str = "forward-proxy.max_connections";

/// The sums for one instance.
pub fn budget(config: &Config) -> Budget {
    let proxy = &config.forward_proxy;
    let clients = proxy.max_connections;
    let listeners: usize = proxy.listen.iter().map(|listener| listener.addresses.len()).sum();
    let mut descriptors = vec![
        need(times(clients, SIDES), CLIENTS, "clients' connections, and one to a server for each"),
        need(times(IDLE_PER_SERVER, MAX_SERVERS), "", "idle connections to servers"),
        need(MAX_LINGERING, "", "refused clients that read why"),
        need(times(listeners, 2), "", "listeners, and a spare descriptor for each"),
    ];
    descriptors.extend(shared(Process::ForwardProxy, config));
    let buffers = FIRST_READ.saturating_add(proxy.max_header_bytes).saturating_add(BUFFER_SLACK + 2 * MOST_READ);
    Budget {
        connections: wide(clients),
        limit: 0,
        descriptors,
        idle: vec![need(times(clients, IDLE_CONNECTION), CLIENTS, "connections without a request")],
        busy: vec![need(times(clients, buffers), CLIENTS, "requests in absolute form under way"), log(config)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_and_a_server_each() {
        let mut config = Config::default();
        config.forward_proxy.max_connections = 40;
        let told = budget(&config);
        let amounts: Vec<u64> = told.descriptors.iter().take(2).map(|need| need.amount).collect();
        assert_eq!((told.connections, amounts), (40, vec![80, times(IDLE_PER_SERVER, MAX_SERVERS)]));
    }

    #[test]
    fn the_default_limits_fit_into_what_the_unit_grants() {
        let most: u64 = budget(&Config::default()).descriptors.iter().map(|need| need.amount).sum();
        assert!(most < crate::sandbox::POLICY.limits.open_files, "{most}");
    }
}
