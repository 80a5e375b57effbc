//! Who may go where: `[[forward-proxy.access]]`, `ports` and `access_default`, judged on values. Pure, no I/O, no clock.
//!
//! The first rule that matches decides. A rule in observe mode is only reported. Without a match a port outside `ports` is
//! refused, and `access_default` holds for the others. Every decision carries the name of what decided, which the
//! refusal shows to the client. Addresses behind *names* are not judged here but by passthrough-relay.
//!
//! Judged in two steps, because a user is known only after a password was checked: [`Policy::before_user`] refuses
//! clients that no user name could help, [`Policy::decide`] judges everything.

use std::net::IpAddr;
use std::sync::Arc;

use common::config::{Action, Destination as Pattern, ForwardProxy, ForwardRule, Host, PortSet, UserPattern};

use crate::destination::Destination;

/// Stands for the key `ports` where a refusal names its rule.
pub const PORTS: &str = "forward-proxy.ports";
/// Stands for the key `access_default`.
pub const DEFAULT: &str = "forward-proxy.access_default";

/// The rules of this process.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<ForwardRule>,
    ports: PortSet,
    default: Action,
}

/// What is known of a request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// Who has proved to be who.
    pub user: Option<&'a str>,
    /// The method, as written.
    pub method: &'a str,
    /// Where to.
    pub destination: &'a Destination,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// May go.
    Allow,
    /// May not.
    Deny,
    /// May not as nobody; a rule that asks for a user would have let it go.
    LogIn,
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Yes or no.
    pub verdict: Verdict,
    /// The rule that decided, or [`PORTS`], or [`DEFAULT`].
    pub rule: Arc<str>,
    /// The first rule in observe mode that matched before, and what it would have done.
    pub observed: Option<(Arc<str>, Action)>,
}

impl Policy {
    /// The configuration's.
    #[must_use]
    pub fn new(config: &ForwardProxy) -> Self {
        Self { rules: config.access.clone(), ports: config.ports.clone(), default: config.access_default }
    }

    /// The rule that refuses this client whatever its user, method and destination are; `None`: that remains to be seen.
    #[must_use]
    pub fn before_user(&self, client: IpAddr) -> Option<Arc<str>> {
        let first = self.rules.iter().find(|rule| !rule.observe && from(rule, client))?;
        let asks_only_that = first.users.is_empty()
            && first.destinations.is_empty()
            && first.ports.is_none()
            && first.methods.is_empty();
        (asks_only_that && first.action == Action::Deny).then(|| Arc::clone(&first.name))
    }

    /// The first match decides.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let mut observed = None;
        let mut user_would_help = false;
        for rule in self.rules.iter().filter(|rule| concerns(rule, facts)) {
            if !is_user(rule, facts.user) {
                user_would_help |= !rule.observe && facts.user.is_none() && rule.action == Action::Allow;
            } else if rule.observe {
                observed = observed.or_else(|| Some((Arc::clone(&rule.name), rule.action)));
            } else {
                return decision(rule.action, Arc::clone(&rule.name), user_would_help, observed);
            }
        }
        if !self.ports.contains(facts.destination.port) {
            return decision(Action::Deny, PORTS.into(), user_would_help, observed);
        }
        decision(self.default, DEFAULT.into(), user_would_help, observed)
    }
}

fn decision(action: Action, rule: Arc<str>, would_help: bool, observed: Option<(Arc<str>, Action)>) -> Decision {
    let verdict = match action {
        Action::Allow => Verdict::Allow,
        Action::Deny if would_help => Verdict::LogIn,
        Action::Deny => Verdict::Deny,
    };
    Decision { verdict, rule, observed }
}

fn from(rule: &ForwardRule, client: IpAddr) -> bool {
    rule.clients.as_ref().is_none_or(|networks| networks.contains(client))
}

/// Everything but the user.
fn concerns(rule: &ForwardRule, facts: &Facts<'_>) -> bool {
    from(rule, facts.client)
        && rule.ports.as_ref().is_none_or(|ports| ports.contains(facts.destination.port))
        && asks(&rule.methods, |method| **method == *facts.method)
        && asks(&rule.destinations, |pattern| leads_to(pattern, facts.destination))
}

fn is_user(rule: &ForwardRule, user: Option<&str>) -> bool {
    asks(&rule.users, |pattern| match pattern {
        UserPattern::Anybody => user.is_some(),
        UserPattern::Named(name) => user == Some(&**name),
    })
}

/// Names match names and networks match addresses: nothing is resolved here.
fn leads_to(pattern: &Pattern, destination: &Destination) -> bool {
    match (pattern, &destination.host) {
        (Pattern::Name(pattern), Host::Name(name)) => pattern.matches(name),
        (Pattern::Network(network), Host::Ip(address)) => network.contains(&address.to_canonical()),
        _ => false,
    }
}

fn asks<T>(list: &[T], holds: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(holds)
}

#[cfg(test)]
mod tests;
