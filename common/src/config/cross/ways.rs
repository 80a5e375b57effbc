//! Whether every way in leads somewhere, and only one way is meant: routes and sites.

use super::Drafts;
use super::covered::Covered;
use crate::config::checked::{Config, Fallback, ListenProtocol, RouteAction};
use crate::config::diagnostic::Span;
use crate::config::ledger::Ledger;
use crate::config::pattern::NamePattern;
use crate::config::read::router::RouteDraft;
use std::collections::HashMap;

/// No two routes decide the same hello.
pub(super) fn routes(ledger: &Ledger, config: &Config, routes: &[RouteDraft]) {
    // Routes without names stand for any name; they collide with each other under an empty key.
    let mut seen: HashMap<&str, Vec<(&RouteDraft, &Span)>> = HashMap::new();
    for draft in routes {
        let names = draft.names.iter().map(|placed| (placed.value.as_str(), &placed.span));
        let nameless = draft.names.is_empty().then_some(("", &draft.span));
        for (name, span) in names.chain(nameless) {
            let earlier = seen.entry(name).or_default();
            if let Some((_, first)) =
                earlier.iter().find(|(other, _)| !std::ptr::eq(*other, draft) && collide(other, draft))
            {
                let (key, what) = match name {
                    "" => ("route.alpn", "two routes take every name with the same `alpn`".to_owned()),
                    name => ("route.server_names", format!("two routes take `{name}`")),
                };
                let error = ledger
                    .error(key, what)
                    .at(span, "again")
                    .and(first, "first here")
                    .help("take the name out of one of them, or give them different `listen` or `alpn`");
                ledger.report(error);
            }
            earlier.push((draft, span));
        }
    }
    if let Some(first) = routes.first()
        && !has_listener(config, ListenProtocol::Tls)
        && !ledger.blames("sni-router.listen")
    {
        let warning = ledger
            .warning("route", "routes are never asked, because no `[[sni-router.listen]]` has `protocol = \"tls\"`")
            .at(&first.span, "the first route");
        ledger.report(warning);
    }
}

/// Whether one hello could fall under both, given that a name is the same.
fn collide(a: &RouteDraft, b: &RouteDraft) -> bool {
    let (a, b) = (&a.route, &b.route);
    let listeners = a.listen.is_empty() || b.listen.is_empty() || a.listen.iter().any(|name| b.listen.contains(name));
    let protocols = (a.alpn.is_empty() && b.alpn.is_empty()) || a.alpn.iter().any(|name| b.alpn.contains(name));
    listeners && protocols
}

/// A name stands in one site, and a route leads there.
pub(super) fn sites(ledger: &Ledger, config: &Config, drafts: &Drafts) {
    let reached = Reached::by(config);
    let mut seen: HashMap<&NamePattern, (usize, &Span)> = HashMap::new();
    for (index, draft) in drafts.sites.iter().enumerate() {
        let mut unreached = None;
        for name in &draft.names {
            match seen.get(&name.value) {
                Some((site, first)) if *site != index => {
                    let error = ledger
                        .error("site.names", format!("two sites have the name `{}`", name.value))
                        .at(&name.span, "again")
                        .and(first, "first here")
                        .help("two certificates for one name (RSA beside ECDSA) stand in one site, as lists");
                    ledger.report(error);
                }
                Some(_) => {}
                None => {
                    seen.insert(&name.value, (index, &name.span));
                }
            }
            if !reached.a_site(&name.value, index) && !ledger.blames("route") {
                unreached = unreached.or(Some(name));
            }
        }
        if let Some(name) = unreached {
            let warning = ledger
                .warning(
                    "site.names",
                    format!("no route leads to `{}`, so this site is never shown for it", name.value),
                )
                .at(&name.span, "not reached")
                .help("add a `[[route]]` with this name and `terminate = true`, or take the name out");
            ledger.report(warning);
        }
    }
}

/// For which names connections may come to tls-terminator.
struct Reached<'a> {
    everybody: bool,
    nameless: bool,
    names: Covered<'a>,
}

impl<'a> Reached<'a> {
    fn by(config: &'a Config) -> Self {
        let otherwise = &config.sni_router.otherwise;
        let terminating = || config.routes.iter().filter(|route| route.action == RouteAction::Terminate);
        Self {
            everybody: otherwise.unknown_name == Fallback::Terminate
                || terminating().any(|route| route.server_names.is_empty()),
            nameless: otherwise.no_sni == Fallback::Terminate,
            names: terminating().flat_map(|route| &route.server_names).collect(),
        }
    }

    /// Whether one of them may get to the site of this place in the file by this name.
    fn a_site(&self, name: &NamePattern, index: usize) -> bool {
        self.everybody || (index == 0 && self.nameless) || self.names.touches(name)
    }
}

/// What is terminated has a certificate, and http-filter knows what to do with it.
pub(super) fn termination(ledger: &Ledger, config: &Config, drafts: &Drafts) {
    if ledger.blames("site") {
        return;
    }
    let certified: Covered<'_> = config.sites.iter().flat_map(|site| &site.names).collect();
    for draft in drafts.routes.iter().filter(|draft| draft.route.action == RouteAction::Terminate) {
        for name in &draft.names {
            if certified.covers(&name.value) {
                continue;
            }
            let mut error = ledger
                .error(
                    "route.server_names",
                    format!("no `[[site]]` covers `{}`, which this route terminates", name.value),
                )
                .at(&name.span, "no certificate for this name")
                .help("add the name to the `names` of a `[[site]]`");
            let near = drafts.sites.iter().flat_map(|site| &site.names).find(|own| name.value.covers(&own.value));
            if let Some(near) = near {
                error = error.and(&near.span, "covers only a part of it");
            }
            ledger.report(error);
        }
        if draft.names.is_empty() && config.sites.is_empty() {
            let error = ledger.error("route.terminate", "this route terminates, and the file has no `[[site]]`");
            ledger.report(error.at(&draft.span, "no certificate to show"));
        }
    }
    let otherwise = &config.sni_router.otherwise;
    for (key, fallback) in [
        ("sni-router.otherwise.no_sni", &otherwise.no_sni),
        ("sni-router.otherwise.unknown_name", &otherwise.unknown_name),
    ] {
        if *fallback == Fallback::Terminate && config.sites.is_empty() {
            let error = ledger.error(key, "`terminate` shows the first `[[site]]`, and the file has none");
            ledger.report(match ledger.place(key) {
                Some(span) => error.at(&span, "no certificate to show"),
                None => error,
            });
        }
    }
}

fn has_listener(config: &Config, protocol: ListenProtocol) -> bool {
    config.sni_router.listen.iter().any(|listener| listener.protocol == protocol)
}
