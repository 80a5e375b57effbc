//! What handshakes may agree on, over the whole file: versions and suites that leave nothing, instances that do not know one
//! another's tickets.

use crate::config::checked::{Config, TlsSuite, TlsVersion};
use crate::config::ledger::Ledger;

pub(super) fn judge(ledger: &Ledger, config: &Config) {
    let terminator = &config.tls_terminator;
    for site in &config.sites {
        let Some(suites) = site.suites(terminator) else { continue };
        let old = suites.iter().any(|suite| !TlsSuite::is_tls13(*suite));
        let new = suites.iter().any(|suite| suite.is_tls13());
        if !new && (!old || site.min_version(terminator) == TlsVersion::Tls13) {
            let name = site.names.first().map_or("", |name| name.as_str());
            let own = if site.suites.is_some() { "site.suites" } else { "tls-terminator.suites" };
            let error = ledger
                .error(
                    own,
                    format!("no handshake can succeed for `{name}`: `min_version` is 1.3, and no suite is of TLS 1.3"),
                )
                .help("add a suite that begins with `TLS_AES_` or `TLS_CHACHA20_`");
            ledger.report(match ledger.place(own) {
                Some(place) => error.at(&place, "suites of TLS 1.2 only"),
                None => error,
            });
        }
    }
    if terminator.instances > 1
        && terminator.tickets.keys.is_none()
        && let Some(place) = ledger.place("tls-terminator.instances")
    {
        let warning = ledger
            .warning("tls-terminator.ticket_keys", "the instances do not know one another's session tickets")
            .at(&place, "more than one")
            .help("`bulkhead ticket-keys rotate FILE` makes keys for all of them; name FILE in `ticket_keys`");
        ledger.report(warning);
    }
}
