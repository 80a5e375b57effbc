//! Names and addresses: unique where they are given, known where they are used.

use crate::config::checked::{Config, ListenProtocol};
use crate::config::diagnostic::Span;
use crate::config::ledger::{Address, Ledger, Names, Used};
use crate::config::nearest::nearest;
use std::collections::{HashMap, HashSet};

/// A name is given once in its list.
pub(super) fn unique(ledger: &Ledger) {
    let mut seen: HashMap<(Names, &str), &Span> = HashMap::new();
    for defined in ledger.defined.borrow().iter() {
        let what = defined.names.singular();
        match seen.get(&(defined.names, &*defined.name)) {
            None => {
                seen.insert((defined.names, &defined.name), &defined.span);
            }
            Some(first) => {
                let error = ledger
                    .error(defined.key, format!("there are two {what}s named `{}`", defined.name))
                    .at(&defined.span, "again")
                    .and(first, "first here")
                    .help(format!("give every {what} a name of its own"));
                ledger.report(error);
            }
        }
    }
}

/// Every name that is used exists.
pub(super) fn known(ledger: &Ledger, config: &Config) {
    let defined = ledger.defined.borrow();
    // Only the router's own listeners can be meant; those of forward-proxy are in the list for uniqueness.
    let meant = || defined.iter().filter(|d| d.key != "forward-proxy.listen.name");
    let known: HashSet<(Names, &str)> = meant().map(|d| (d.names, &*d.name)).collect();
    for used in ledger.used.borrow().iter() {
        if !known.contains(&(used.names, &*used.name)) {
            let candidates: Vec<&str> = meant().filter(|d| d.names == used.names).map(|d| &*d.name).collect();
            report_unknown(ledger, used, &candidates);
        } else if used.key == "route.listen"
            && let Some(listener) = config.sni_router.listen.iter().find(|listener| listener.name == used.name)
            && listener.protocol != ListenProtocol::Tls
        {
            let mut error = ledger
                .error(
                    used.key,
                    format!("the listener `{}` speaks plain HTTP, and routes choose by ClientHello", used.name),
                )
                .at(&used.span, "not a TLS listener")
                .help("plain HTTP always goes to http-filter; `[[http-filter.route]]` chooses there");
            if let Some(place) = defined.iter().find(|d| d.names == Names::Listeners && d.name == used.name) {
                error = error.and(&place.span, "this listener");
            }
            ledger.report(error);
        }
    }
}

fn report_unknown(ledger: &Ledger, used: &Used, candidates: &[&str]) {
    let what = used.names.singular();
    let mut error = ledger
        .error(used.key, format!("there is no {what} named `{}`", used.name))
        .at(&used.span, format!("unknown {what}"));
    error = match candidates {
        [] => error.note(format!("the file has no {what}s at all")),
        some => error.note(format!("known {what}s: {}", some.iter().take(20).copied().collect::<Vec<_>>().join(", "))),
    };
    if let Some(near) = nearest(&used.name, candidates.iter().copied()) {
        error = error.help(format!("did you mean `{near}`?"));
    }
    ledger.report(error);
}

/// No two listeners want the same address.
pub(super) fn addresses(ledger: &Ledger) {
    let addresses = ledger.addresses.borrow();
    for (at, one) in addresses.iter().enumerate() {
        let Some(earlier) = addresses.iter().take(at).find(|earlier| overlap(earlier, one)) else { continue };
        let what = if earlier.address == one.address {
            format!("{} is listened on twice", one.address)
        } else {
            format!(
                "{} and {} cannot both be opened: one of them is every address of the machine",
                one.address, earlier.address
            )
        };
        ledger.report(ledger.error(one.key, what).at(&one.span, "again").and(&earlier.span, "first here"));
    }
}

/// Same port, same family (IPv6 listeners are v6-only), and the same address or one that stands for all.
fn overlap(a: &Address, b: &Address) -> bool {
    let (a, b) = (a.address, b.address);
    a.port() == b.port()
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}
