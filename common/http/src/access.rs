//! Access lists: ordered rules, the first that matches decides. One vocabulary for http-filter (network, method, host, path, header, SNI) and
//! forward-proxy (network, user, destination, port, method).
//!
//! Pure: facts in, decision out; nothing is allocated for a decision and no rule is ever skipped because of an error (a rule that cannot
//! be understood is refused when it is made). A rule in observe mode is reported but decides nothing.
//!
//! - [`matchers`]: what a rule can ask, as data
//! - [`networks`]: large sets of client networks, found by binary search

mod matchers;
mod networks;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use http::{HeaderMap, Method};

pub use matchers::{Conditions, HeaderMatch, HeaderPattern, NamePattern, PathPattern, PatternError};
pub use networks::Networks;

/// What a rule does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let the request on.
    Allow,
    /// Refuse it.
    Deny,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Appears in log, metric, refusal page and `explain`.
    pub name: String,
    /// What to do.
    pub action: Action,
    /// Report only.
    pub observe: bool,
    /// All of these must hold. Empty conditions always hold.
    pub when: Conditions,
    /// None of these may hold (as a whole).
    pub unless: Option<Conditions>,
}

impl Rule {
    /// A rule that acts.
    #[must_use]
    pub fn new(name: impl Into<String>, action: Action, when: Conditions) -> Self {
        Rule { name: name.into(), action, observe: false, when, unless: None }
    }

    fn matches(&self, facts: &Facts<'_>) -> bool {
        self.when.hold(facts) && !self.unless.as_ref().is_some_and(|unless| unless.hold(facts))
    }
}

/// Rules in their order, and what happens when none matches.
#[derive(Debug, Clone)]
pub struct RuleSet {
    /// Judged from first to last.
    pub rules: Vec<Rule>,
    /// When no rule matches.
    pub default: Action,
}

/// What is known of a request. Everything is borrowed; absent facts match no condition that asks for them.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The client as found by [`crate::headers::client_address`].
    pub client: IpAddr,
    /// Who has proved to be who.
    pub user: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// Host as [`crate::host::Authority::host`] writes it; the destination in forward-proxy.
    pub host: &'a str,
    /// Port of the destination, or the local one behind termination.
    pub port: Option<u16>,
    /// Path as [`crate::normalise::normalise_path`] writes it; empty for CONNECT.
    pub path: &'a str,
    /// Header lines.
    pub headers: Option<&'a HeaderMap>,
    /// Server name of the TLS handshake, lower case.
    pub sni: Option<&'a str>,
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'r> {
    /// The request may go on.
    pub allow: bool,
    /// The rule that decided; none: the default.
    pub rule: Option<&'r str>,
    /// The first rule in observe mode that matched before, and what it would have done.
    pub observed: Option<(&'r str, Action)>,
}

impl RuleSet {
    /// A set without rules.
    #[must_use]
    pub fn always(default: Action) -> Self {
        RuleSet { rules: Vec::new(), default }
    }

    /// The first rule that matches decides.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision<'_> {
        let mut observed = None;
        for rule in &self.rules {
            if !rule.matches(facts) {
                continue;
            }
            if rule.observe {
                observed = observed.or(Some((rule.name.as_str(), rule.action)));
                continue;
            }
            return Decision { allow: rule.action == Action::Allow, rule: Some(&rule.name), observed };
        }
        Decision { allow: self.default == Action::Allow, rule: None, observed }
    }
}
