//! `[metrics]`: a port for Prometheus, on loopback unless the file says otherwise.

use crate::config::checked::MetricsPage;
use crate::config::ledger::Address;
use crate::config::tree::Section;
use crate::config::value;

pub(in crate::config) fn metrics(section: &Section<'_>) -> MetricsPage {
    let listen = section.text("listen", value::listen_address);
    let allow_remote = section.flag("allow_remote").unwrap_or(false);
    if let (Some(listen), Some(key)) = (&listen, section.key("listen")) {
        if !allow_remote && !listen.value.ip().is_loopback() {
            let error = section
                .ledger
                .error(key.path, "other machines can reach this address")
                .at(&listen.span, "not a loopback address")
                .help("write `127.0.0.1`, or say `allow_remote = true`");
            section.ledger.report(error);
        }
        let address = Address { key: key.path, address: listen.value, span: listen.span.clone() };
        section.ledger.addresses.borrow_mut().push(address);
    }
    MetricsPage { listen: listen.map(|listen| listen.value), max_connections: section.count("max_connections") }
}
