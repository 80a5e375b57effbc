//! Pure: what the first bytes of a connection say → where it goes.
//!
//! For one listener the order is: routes whose `alpn` the hello offers, then those without; within each an exact name
//! before the longest wildcard. What no route decides has an action of its own, per reason.

use std::sync::Arc;

use common::client_hello::{ClientHello, HostName, NamePattern, NameTable};
use common::config::{self, Config, Fallback, RouteAction};

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To passthrough-relay and this pool.
    Passthrough(Arc<str>),
    /// To tls-terminator.
    Terminate,
    /// Back, with a TLS alert of this description (RFC 8446 §6).
    Alert(u8),
    /// Back, without a word.
    Close,
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decider {
    /// A route, by name.
    Route(Arc<str>),
    /// `otherwise.no_sni`
    NoSni,
    /// `otherwise.unknown_name`
    UnknownName,
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where to.
    pub target: Target,
    /// Why.
    pub decider: Decider,
}

/// RFC 6066 §3: the server does not know the name.
pub const UNRECOGNIZED_NAME: u8 = 112;
/// RFC 8446 §6.2: the client is known, and may not come in.
pub const ACCESS_DENIED: u8 = 49;
/// RFC 8446 §6.2: no fault of the client.
pub const INTERNAL_ERROR: u8 = 80;

/// All routes of one listener.
#[derive(Debug)]
pub struct Routes {
    by_protocol: Vec<(Arc<str>, Names)>,
    by_name: Names,
    no_sni: Target,
    unknown_name: Target,
}

#[derive(Debug, Default)]
struct Names {
    table: NameTable<Decision>,
    any: Option<Decision>,
}

impl Names {
    fn get(&self, name: Option<&HostName>) -> Option<&Decision> {
        name.and_then(|name| self.table.get(name)).or(self.any.as_ref())
    }
}

impl Routes {
    /// Picks what concerns `listener` out of a checked configuration. Errors are contradictions that the check should
    /// have found.
    pub fn new(config: &Config, listener: &str) -> Result<Self, String> {
        let otherwise = &config.sni_router.otherwise;
        let mut routes = Self {
            by_protocol: Vec::new(),
            by_name: Names::default(),
            no_sni: fallback(&otherwise.no_sni),
            unknown_name: fallback(&otherwise.unknown_name),
        };
        for route in &config.routes {
            if route.listen.is_empty() || route.listen.iter().any(|name| **name == *listener) {
                routes.add(route)?;
            }
        }
        Ok(routes)
    }

    fn add(&mut self, route: &config::Route) -> Result<(), String> {
        let target = match &route.action {
            RouteAction::Passthrough(pool) => Target::Passthrough(Arc::clone(pool)),
            RouteAction::Terminate => Target::Terminate,
            RouteAction::Refuse(config::Refusal::Alert) => Target::Alert(UNRECOGNIZED_NAME),
            RouteAction::Refuse(config::Refusal::Close) => Target::Close,
        };
        let decision = Decision { target, decider: Decider::Route(Arc::clone(&route.name)) };
        if route.alpn.is_empty() {
            return fill(&mut self.by_name, route, &decision);
        }
        for protocol in &route.alpn {
            if !self.by_protocol.iter().any(|(known, _)| known == protocol) {
                self.by_protocol.push((Arc::clone(protocol), Names::default()));
            }
            if let Some((_, names)) = self.by_protocol.iter_mut().find(|(known, _)| known == protocol) {
                fill(names, route, &decision)?;
            }
        }
        Ok(())
    }

    /// Decides for a whole ClientHello.
    pub fn decide(&self, hello: &ClientHello) -> Decision {
        self.choose(hello.server_name.as_ref(), |protocol| hello.offers(protocol))
    }

    /// The same for what matters of one: its name, and whether it offers a protocol.
    pub fn choose(&self, name: Option<&HostName>, offers: impl Fn(&[u8]) -> bool) -> Decision {
        let offered = self.by_protocol.iter().filter(|(protocol, _)| offers(protocol.as_bytes()));
        let by_protocol = offered.filter_map(|(_, names)| names.get(name)).next();
        if let Some(decision) = by_protocol.or_else(|| self.by_name.get(name)) {
            return decision.clone();
        }
        match name {
            None => Decision { target: self.no_sni.clone(), decider: Decider::NoSni },
            Some(_) => Decision { target: self.unknown_name.clone(), decider: Decider::UnknownName },
        }
    }
}

fn fallback(action: &Fallback) -> Target {
    match action {
        Fallback::Refuse => Target::Alert(UNRECOGNIZED_NAME),
        Fallback::Close => Target::Close,
        Fallback::Passthrough(pool) => Target::Passthrough(Arc::clone(pool)),
        Fallback::Terminate => Target::Terminate,
    }
}

fn fill(names: &mut Names, route: &config::Route, decision: &Decision) -> Result<(), String> {
    if route.server_names.is_empty() {
        names.any.get_or_insert_with(|| decision.clone());
    }
    for pattern in &route.server_names {
        let pattern = NamePattern::parse(pattern.as_str()).map_err(|error| format!("route {}: {error}", route.name))?;
        names.table.insert(pattern, decision.clone()).map_err(|error| format!("route {}: {error}", route.name))?;
    }
    Ok(())
}
