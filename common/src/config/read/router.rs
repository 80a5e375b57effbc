//! `[sni-router]`, its tables, and `[[route]]`.

use super::{
    ACTIONS, access, listen_addresses, listener_references, name, networks, reference, report_repeated, values,
};
use crate::config::checked::{
    Action, ConnectionRate, Fallback, ListenProtocol, Listener, NotTls, Otherwise, Refusal, Route, RouteAction,
    SniRouter,
};
use crate::config::diagnostic::Span;
use crate::config::ledger::Names;
use crate::config::pattern::NamePattern;
use crate::config::scalar::{Fault, pick, wrong_type};
use crate::config::tree::{Placed, Section};
use crate::config::value;
use std::num::NonZeroU32;
use std::sync::Arc;
use toml::de::DeValue;

/// A route, and where its parts stand.
pub(in crate::config) struct RouteDraft {
    pub(in crate::config) route: Route,
    pub(in crate::config) span: Span,
    pub(in crate::config) names: Vec<Placed<NamePattern>>,
}

pub(in crate::config) fn sni_router(section: &Section<'_>) -> SniRouter {
    let per_second = section.count32("connection_rate");
    let burst = section.count32("connection_burst");
    SniRouter {
        instances: section.count("instances"),
        client_hello_limit: section.count("client_hello_limit"),
        client_hello_deadline: section.duration("client_hello_deadline"),
        max_hellos: section.count("max_hellos"),
        max_hellos_per_address: section.count_up_to("max_hellos_per_address", "max_hellos"),
        connection_rate: NonZeroU32::new(per_second)
            .zip(NonZeroU32::new(burst))
            .map(|(per_second, burst)| ConnectionRate { per_second, burst }),
        hand_over_deadline: section.duration("hand_over_deadline"),
        max_unacknowledged: section.count("max_unacknowledged"),
        max_waiting: section.count("max_waiting"),
        listen: section.tables("listen").iter().filter_map(listener).collect(),
        otherwise: otherwise(&section.table("otherwise")),
        access: section.tables("access").iter().filter_map(|rule| access::rule(rule, Names::RouterRules)).collect(),
        access_default: section.choice("access_default", &ACTIONS).map_or(Action::Deny, |placed| placed.value),
    }
}

fn listener(section: &Section<'_>) -> Option<Listener> {
    let name = name(section, Names::Listeners);
    let addresses = listen_addresses(section);
    let protocol = section.choice("protocol", &[("tls", ListenProtocol::Tls), ("http", ListenProtocol::Http)]);
    let proxy_protocol_from = networks(section, "proxy_protocol_from");
    let proxy_protocol_deadline = section.duration("proxy_protocol_deadline");
    let backlog = section.count32("backlog");
    let defer_accept = section.duration("defer_accept");
    Some(Listener {
        name: name?.value,
        addresses,
        protocol: protocol?.value,
        proxy_protocol_from: proxy_protocol_from?,
        proxy_protocol_deadline,
        backlog,
        defer_accept,
    })
}

fn otherwise(section: &Section<'_>) -> Otherwise {
    let malformed = section.choice("malformed", &[("refuse", Refusal::Alert), ("close", Refusal::Close)]);
    Otherwise {
        no_sni: fallback(section, "no_sni"),
        unknown_name: fallback(section, "unknown_name"),
        malformed: malformed.map_or(Refusal::Alert, |placed| placed.value),
        not_tls: not_tls(section),
    }
}

fn fallback(section: &Section<'_>, key_name: &str) -> Fallback {
    let read = section.read(key_name, |key, found, span| match found {
        DeValue::String(text) => match pick(text, &[("refuse", false), ("close", true)])? {
            false => Ok(Fallback::Refuse),
            true => Ok(Fallback::Close),
        },
        DeValue::Table(table) => {
            let inline = Section::inline(section.ledger, table, key, span);
            let pool = reference(&inline, "passthrough", Names::Pools);
            let terminate = inline.flag("terminate");
            match (pool, terminate) {
                (Some(pool), None) => Ok(Fallback::Passthrough(pool.value)),
                (None, Some(true)) => Ok(Fallback::Terminate),
                _ => Err("exactly one of `passthrough = \"POOL\"` and `terminate = true` is wanted".to_owned().into()),
            }
        }
        other => Err(wrong_type(other, "a text or a table")),
    });
    read.map_or(Fallback::Refuse, |placed| placed.value)
}

fn not_tls(section: &Section<'_>) -> NotTls {
    let read = section.read("not_tls", |key, found, span| match found {
        DeValue::String(text) => match pick(text, &[("refuse", 0), ("close", 1), ("redirect", 2)])? {
            0 => Ok(NotTls::Refuse),
            1 => Ok(NotTls::Close),
            _ => Ok(NotTls::Redirect),
        },
        DeValue::Table(table) => {
            let inline = Section::inline(section.ledger, table, key, span);
            match reference(&inline, "passthrough", Names::Pools) {
                Some(pool) => Ok(NotTls::Passthrough(pool.value)),
                None => Err(Fault::from("`passthrough = \"POOL\"` is wanted".to_owned())),
            }
        }
        other => Err(wrong_type(other, "a text or a table")),
    });
    read.map_or(NotTls::Refuse, |placed| placed.value)
}

pub(in crate::config) fn route(section: &Section<'_>) -> Option<RouteDraft> {
    let name = name(section, Names::Routes);
    let names = section.texts("server_names", NamePattern::parse);
    let alpn = section.texts("alpn", |text| value::alpn(text).map(|()| Arc::<str>::from(text)));
    report_repeated(section, "server_names", names.as_deref().unwrap_or_default(), "name");
    if names.is_none()
        && alpn.is_none()
        && let Some(key) = section.key("server_names")
    {
        let error = section
            .ledger
            .error(key.path, "a route says for which names it is (or at least for which `alpn`)")
            .at(&section.span, "`server_names` is missing here")
            .help("what happens to all other names stands in `[sni-router.otherwise]`");
        section.ledger.report(error);
    }
    let listen = values(listener_references(section));
    let action = route_action(section);
    let (names, name) = (names.unwrap_or_default(), name?);
    let route = Route {
        name: name.value,
        server_names: names.iter().map(|placed| placed.value.clone()).collect(),
        alpn: values(alpn.unwrap_or_default()),
        listen,
        action: action?,
        line: section.ledger.line_of(&section.span),
    };
    Some(RouteDraft { route, span: name.span, names })
}

/// Exactly one of `passthrough`, `terminate` and `refuse`.
fn route_action(section: &Section<'_>) -> Option<RouteAction> {
    let pool = reference(section, "passthrough", Names::Pools);
    let terminate = section.flag("terminate");
    let refuse = section.choice("refuse", &[("alert", Refusal::Alert), ("close", Refusal::Close)]);
    let given: Vec<&str> = ["passthrough", "terminate", "refuse"].into_iter().filter(|key| section.has(key)).collect();
    let key = section.key("passthrough")?;
    match given.as_slice() {
        [] => {
            let error = section
                .ledger
                .error(key.parent(), "the route does not say what happens")
                .at(&section.span, "in this route")
                .help("give exactly one of `passthrough = \"POOL\"`, `terminate = true`, `refuse = \"alert\"`");
            section.ledger.report(error);
        }
        [_] => {}
        [first, second, ..] => {
            let error = section
                .ledger
                .error(key.parent(), format!("`{first}` and `{second}` exclude each other"))
                .at(&section.span_of(second), format!("`{second}`"))
                .and(&section.span_of(first), format!("`{first}`"))
                .help("give exactly one of `passthrough`, `terminate` and `refuse`");
            section.ledger.report(error);
        }
    }
    if terminate == Some(false)
        && let Some(key) = section.key("terminate")
    {
        let error = section.ledger.error(key.path, "only `true` can be written; leave the key out instead");
        section.ledger.report(error.at(&section.span_of("terminate"), "found `false`"));
    }
    match (pool, terminate, refuse) {
        (Some(pool), _, _) => Some(RouteAction::Passthrough(pool.value)),
        (_, Some(true), _) => Some(RouteAction::Terminate),
        (_, _, Some(refusal)) => Some(RouteAction::Refuse(refusal.value)),
        _ => None,
    }
}
