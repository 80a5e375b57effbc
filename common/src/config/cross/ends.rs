//! The ends of the ways: http-filter and its pools, listeners, and who may use them.

use super::Drafts;
use crate::config::checked::{Action, Config, Fallback, HttpRoute, ListenProtocol, NotTls, RouteAction, SendProxy};
use crate::config::diagnostic::Span;
use crate::config::ledger::{Ledger, Names};

/// http-filter has a route when something comes to it.
pub(super) fn http_needs_route(ledger: &Ledger, config: &Config, drafts: &Drafts) {
    if !drafts.http_routes.is_empty() || ledger.blames("http-filter.route") {
        return;
    }
    let route = drafts.routes.iter().find(|draft| draft.route.action == RouteAction::Terminate);
    let listener = config.sni_router.listen.iter().find(|listener| listener.protocol == ListenProtocol::Http);
    let source = match (route, listener) {
        (Some(draft), _) => Some((draft.span.clone(), "this route terminates TLS")),
        (None, Some(listener)) => {
            defined(ledger, Names::Listeners, &listener.name).map(|span| (span, "this listener speaks HTTP"))
        }
        (None, None) if config.terminates() => ["no_sni", "unknown_name"]
            .into_iter()
            .find_map(|key| ledger.place(&format!("sni-router.otherwise.{key}.terminate")))
            .map(|span| (span, "this terminates TLS")),
        (None, None) => return,
    };
    let error = ledger
        .error("http-filter.route", "requests come to http-filter, and it has no route, so every answer would be 404")
        .help("add `[[http-filter.route]]` with a `name` and a `pool`");
    ledger.report(match source {
        Some((span, label)) => error.at(&span, label),
        None => error,
    });
}

/// Every route of http-filter is asked, and its pool suits it.
pub(super) fn http_routes(ledger: &Ledger, drafts: &Drafts) {
    for (index, draft) in drafts.http_routes.iter().enumerate() {
        let earlier = drafts.http_routes.iter().take(index).find(|earlier| takes_all(&earlier.route, &draft.route));
        if let Some(earlier) = earlier {
            let warning = ledger
                .warning(
                    "http-filter.route",
                    format!("`{}` is never asked, an earlier route takes all of it", draft.route.name),
                )
                .at(&draft.name, "never asked")
                .and(&earlier.name, "takes it first")
                .help("routes are tried in order; put the narrower one first");
            ledger.report(warning);
        }
        for (name, span) in &draft.pools {
            let pool = drafts.pools.iter().find(|pool| pool.pool.name == *name);
            let Some(pool) = pool.filter(|pool| pool.pool.proxy_protocol != SendProxy::None) else { continue };
            let error = ledger
                .error(
                    "http-filter.route.pool",
                    format!("the pool `{}` sends PROXY headers, and http-filter cannot", pool.pool.name),
                )
                .at(span, "used by http-filter")
                .and(&pool.proxy.span, "PROXY header here")
                .help("connections to a pool of http-filter are shared by clients; it sends `Forwarded` instead");
            ledger.report(error);
        }
    }
}

/// Whether every request that falls under `later` falls under `earlier` too.
fn takes_all(earlier: &HttpRoute, later: &HttpRoute) -> bool {
    let more = earlier.asks_more();
    let (earlier, later) = (&earlier.conditions, &later.conditions);
    let hosts = earlier.hosts.is_empty()
        || (!later.hosts.is_empty() && later.hosts.iter().all(|host| earlier.hosts.iter().any(|own| own.covers(host))));
    let paths = earlier.paths.is_empty()
        || (!later.paths.is_empty() && later.paths.iter().all(|path| earlier.paths.iter().any(|own| own.covers(path))));
    hosts && paths && !more
}

/// A pool that nobody uses was probably meant for something.
pub(super) fn pools(ledger: &Ledger, drafts: &Drafts) {
    let used = ledger.used.borrow();
    for draft in &drafts.pools {
        let spoken = draft.pool.transport.h2.is_some() || draft.pool.transport.tls.is_some();
        let passing = used.iter().find(|used| {
            used.names == Names::Pools && used.name == draft.pool.name && !used.key.starts_with("http-filter.")
        });
        if let Some(passing) = passing.filter(|_| spoken) {
            let error = ledger.error(
                passing.key,
                format!("the pool `{}` has a `protocol`, which only http-filter speaks", passing.name),
            );
            let error =
                error.at(&passing.span, "bytes pass here as they are").and(&draft.name.span, "has a `protocol`");
            ledger.report(error.help("give passthrough a pool of its own"));
        }
        if !used.iter().any(|used| used.names == Names::Pools && used.name == draft.pool.name) {
            let warning = ledger.warning("pool.name", format!("no route uses the pool `{}`", draft.pool.name));
            ledger.report(warning.at(&draft.name.span, "not used"));
        }
    }
}

/// A TLS listener whose connections have nowhere to go.
pub(super) fn dead_ends(ledger: &Ledger, config: &Config, drafts: &Drafts) {
    let otherwise = &config.sni_router.otherwise;
    let refusing =
        [&otherwise.no_sni, &otherwise.unknown_name].iter().all(|f| matches!(f, Fallback::Refuse | Fallback::Close))
            && !matches!(otherwise.not_tls, NotTls::Passthrough(_));
    let tls = config.sni_router.listen.iter().find(|listener| listener.protocol == ListenProtocol::Tls);
    if let Some(listener) = tls
        && refusing
        && drafts.routes.is_empty()
        && !ledger.blames("route")
        && let Some(span) = defined(ledger, Names::Listeners, &listener.name)
    {
        let warning = ledger
            .warning("route", "there is no `[[route]]`, so every TLS connection is refused")
            .at(&span, "this listener has nowhere to go");
        ledger.report(warning);
    }
}

/// A forward proxy that anybody who reaches it may use is found and abused within hours.
pub(super) fn open_proxy(ledger: &Ledger, config: &Config) {
    let proxy = &config.forward_proxy;
    let judged = proxy.require_user || proxy.access_default == Action::Deny;
    let asks_who = proxy
        .access
        .iter()
        .map(|rule| &rule.conditions)
        .any(|c| c.clients.is_some() || !c.users.is_empty() || c.when.is_some());
    let public = ledger.addresses.borrow();
    let public = public.iter().find(|a| a.key == "forward-proxy.listen.address" && !a.address.ip().is_loopback());
    if let Some(address) = public
        && !judged
        && !asks_who
    {
        let warning = ledger
            .warning(address.key, "whoever reaches this address may use the proxy, and nothing asks who they are")
            .at(&address.span, "not a loopback address")
            .help("give `users_file`, or rules with `clients` and `access_default = \"deny\"`, in `[forward-proxy]`");
        ledger.report(warning);
    }
}

/// Something is listened on.
pub(super) fn listeners(ledger: &Ledger, config: &Config) {
    let none = config.sni_router.listen.is_empty() && config.forward_proxy.listen.is_empty();
    if none && !ledger.blames("sni-router") && !ledger.blames("forward-proxy") {
        let error = ledger
            .error("", "the file has no listener, so nobody could connect")
            .help("add `[[sni-router.listen]]` or `[[forward-proxy.listen]]` with a `name` and an `address`");
        ledger.report(error);
    }
}

fn defined(ledger: &Ledger, names: Names, name: &str) -> Option<Span> {
    ledger.defined.borrow().iter().find(|d| d.names == names && *d.name == *name).map(|d| d.span.clone())
}
