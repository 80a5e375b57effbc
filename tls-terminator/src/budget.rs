//! What tls-terminator may need ([`common::budget`]). Pure.

use common::budget::{Budget, log, need, parcels, shared, times, wide};
use common::config::{Config, Handoff, Site};
use common::ipc::sender::SenderLimits;
use common::net::farewell::MAX_LINGERING;
use common::process::Process;

use crate::handshake_rate::NETWORKS;
use crate::scratch::{FROM_CLIENT, FROM_FILTER, MAX_HELD, RECORDS};

/// A relayed connection: the client's socket, our end of the stream to http-filter, and a second handle on that while it waits for room.
const RELAYED: usize = 3;
/// Bytes of a relayed connection in which nothing waits: rustls, and the task.
const IDLE_RELAYED: usize = 24 * 1024;
/// Bytes of a handshake beside what it has received: rustls, and what it sends.
const HANDSHAKE: usize = 32 * 1024;
/// Bytes of a private key that is ready to sign.
const READY_KEY: usize = 8 * 1024;
/// Bytes of a network whose rate is remembered (`common::limit::table`).
const NETWORK: usize = 24;

const CLIENTS: &str = "tls-terminator.max_connections";
const HANDSHAKES: &str = "tls-terminator.max_handshakes";

/// The sums for one instance.
pub fn budget(config: &Config) -> Budget {
    let terminator = &config.tls_terminator;
    let clients = terminator.max_connections;
    let relayed = if relays(config) { clients } else { 0 };
    let ours = if relays(config) { times(clients, RELAYED) } else { wide(clients) };
    let waiting = SenderLimits::default().max_waiting;
    let sent = parcels(waiting, terminator.max_unacknowledged, config.http_filter.instances);
    let mut descriptors = vec![
        need(ours, CLIENTS, "clients' connections, with the stream to http-filter where they are relayed"),
        need(sent, "tls-terminator.max_unacknowledged", "connections on their way to http-filter"),
        need(MAX_LINGERING, "", "refused clients that read why"),
    ];
    descriptors.extend(shared(Process::TlsTerminator, config));
    let rates = if terminator.full_handshakes.is_some() { times(NETWORKS, NETWORK) } else { 0 };
    Budget {
        connections: wide(clients),
        limit: 0,
        descriptors,
        idle: vec![
            need(times(relayed, IDLE_RELAYED), CLIENTS, "relayed connections (`handoff = \"relay\"`)"),
            need(times(terminator.ready_keys.min(config.sites.len()), READY_KEY), "tls-terminator.ready_keys", "keys"),
            need(wide(2 * (MAX_HELD + FROM_CLIENT) + FROM_FILTER + RECORDS), "", "buffers that all share"),
            need(rates, "", "rates of networks"),
        ],
        busy: vec![
            need(times(terminator.max_handshakes, MAX_HELD + HANDSHAKE), HANDSHAKES, "handshakes under way"),
            need(times(relayed, MAX_HELD + FROM_CLIENT + RECORDS), CLIENTS, "relayed bytes that are not taken"),
            log(config),
        ],
    }
}

/// Whether some connection may stay here for its whole life.
fn relays(config: &Config) -> bool {
    let terminator = &config.tls_terminator;
    config.sites.iter().any(|site: &Site| site.handoff.unwrap_or(terminator.handoff) == Handoff::Relay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(handoff: Handoff) -> Config {
        let mut config = Config { sites: vec![Site::default()], ..Config::default() };
        config.tls_terminator.max_connections = 100;
        config.tls_terminator.handoff = handoff;
        config
    }

    fn own(config: &Config) -> Option<u64> {
        budget(config).descriptors.first().map(|need| need.amount)
    }

    #[test]
    fn who_leaves_after_the_handshake_holds_one_descriptor_and_who_stays_three() {
        assert_eq!(own(&config(Handoff::Secrets)), Some(100));
        assert_eq!(own(&config(Handoff::Relay)), Some(300));
    }

    #[test]
    fn the_default_limits_fit_into_what_the_unit_grants() {
        let told = budget(&Config { sites: vec![Site::default()], ..Config::default() });
        let most: u64 = told.descriptors.iter().map(|need| need.amount).sum();
        assert!(most < crate::sandbox::POLICY.limits.open_files, "{most}");
    }
}
