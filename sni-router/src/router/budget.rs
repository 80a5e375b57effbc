//! What sni-router may need ([`common::budget`]). Pure.

use common::budget::{Budget, log, need, parcels, shared, times, wide};
use common::config::Config;
use common::net::farewell::MAX_LINGERING;
use common::process::Process;
use common::wiring::EDGES;

use super::admission::MAX_TRACKED;

/// Bytes of a client whose ClientHello is not whole; its bytes wait in the kernel.
const WAITING: usize = 2 * 1024;
/// Bytes of a connection on its way to another process.
const PARCEL: usize = 1024;
/// Bytes of an address whose rate is remembered, with the table's slack.
const ADDRESS: usize = 96;

const HELLOS: &str = "sni-router.max_hellos";
const HANDED_OVER: &str = "sni-router.max_waiting";

/// The sums for one instance.
pub fn budget(config: &Config) -> Budget {
    let router = &config.sni_router;
    let receivers =
        |name: &str| config.needed().into_iter().find(|(other, _)| *other == name).map_or(0, |(_, count)| count);
    let edges = EDGES.iter().filter(|edge| edge.sender == Process::SniRouter && edge.is_used(config));
    let on_their_way = edges
        .map(|edge| parcels(router.max_waiting, router.max_unacknowledged, receivers(edge.receiver.name())))
        .fold(0, u64::saturating_add);
    let listeners: usize = router.listen.iter().map(|listener| listener.addresses.len()).sum();
    let mut descriptors = vec![
        need(wide(router.max_hellos), HELLOS, "clients whose ClientHello is not whole"),
        need(on_their_way, HANDED_OVER, "clients on their way to another process"),
        need(MAX_LINGERING, "", "refused clients that read why"),
        need(times(listeners, 2), "", "listeners, and a spare descriptor for each"),
    ];
    descriptors.extend(shared(Process::SniRouter, config));
    Budget {
        connections: wide(router.max_hellos).saturating_add(on_their_way),
        limit: 0,
        descriptors,
        idle: vec![need(times(MAX_TRACKED, ADDRESS), "", "rates of addresses")],
        busy: vec![
            need(times(router.max_hellos, WAITING), HELLOS, "clients whose ClientHello is not whole"),
            need(on_their_way.saturating_mul(wide(PARCEL)), HANDED_OVER, "clients on their way to another process"),
            need(wide(router.client_hello_limit), "sni-router.client_hello_limit", "the ClientHello being looked at"),
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
    fn each_edge_that_is_used_has_its_queue() {
        let text = "[sni-router]\nmax_hellos = 50\nmax_waiting = 10\nmax_unacknowledged = 7\n[http-filter]\ninstances = 3\n\
             [[sni-router.listen]]\nname = \"web\"\naddress = [\"127.0.0.1:80\"]\nprotocol = \"http\"\n\
             [[http-filter.route]]\nname = \"none\"\nstatus = 404\n";
        let config = Config::parse(text, "test.toml", Path::new("/")).map_err(|errors| errors.to_string()).unwrap().0;
        let told = budget(&config);
        let amounts: Vec<u64> = told.descriptors.iter().take(4).map(|need| need.amount).collect();
        assert_eq!(amounts, [50, 10 + 3 * 7, MAX_LINGERING, 2]);
        assert_eq!(told.connections, 81);
    }

    #[test]
    fn the_default_limits_fit_into_what_the_unit_grants() {
        let router = Config::default().sni_router;
        let all = wide(router.max_hellos) + 3 * parcels(router.max_waiting, router.max_unacknowledged, 16);
        assert!(all < super::super::sandbox::POLICY.limits.open_files * 3 / 4, "{all}");
    }
}
