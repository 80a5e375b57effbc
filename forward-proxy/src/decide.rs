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

use common::config::{Action, Config, Files, ForwardProxy, PortSet};
use common_access::{self as access, Environment, Known, NoHeaders, Place, Request, RuleSet, system_clock};

use crate::destination::Destination;

/// Stands for the key `ports` where a refusal names its rule.
pub const PORTS: &str = "forward-proxy.ports";
/// Stands for the key `access_default`.
pub const DEFAULT: &str = "forward-proxy.access_default";

/// The rules of this process.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: RuleSet,
    ports: PortSet,
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
    /// Expressions that failed.
    pub failures: u32,
}

impl Policy {
    /// The configuration's, with its country file.
    ///
    /// # Errors
    /// Everything that is wrong with a rule or the country file.
    pub fn open(config: &Config, files: &Files) -> Result<Self, Vec<String>> {
        let asking = config.forward_proxy.access.iter().map(|rule| &rule.conditions);
        let environment = Environment::new(&config.access, files, asking, |path| Ok(path.to_owned()));
        Self::new(&config.forward_proxy, &environment.map_err(|error| vec![error])?)
    }

    /// The configuration's.
    ///
    /// # Errors
    /// Everything that is wrong with a rule.
    pub fn new(config: &ForwardProxy, environment: &Environment) -> Result<Self, Vec<String>> {
        let rules = RuleSet::compile(&config.access, config.access_default, Place::Forward, environment)?;
        Ok(Self { rules, ports: config.ports.clone() })
    }

    /// The rule that refuses this client whatever its user, method and destination are; `None`: that remains to be seen.
    #[must_use]
    pub fn before_user(&self, client: IpAddr) -> Option<Arc<str>> {
        let facts = access::Facts::of(client, &system_clock);
        let decision = self.rules.decide_early(&facts, Known::HELLO).filter(|decision| !decision.allow)?;
        decision.rule.map(|rule| Arc::clone(&rule.name))
    }

    /// The first match decides.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let Facts { client, user, method, destination } = *facts;
        let request = Request { method, host: "", path: "", query: None, headers: &NoHeaders, body_size: None };
        let decision = self.rules.decide(&access::Facts {
            user,
            request: Some(request),
            destination: Some(access::Destination { host: &destination.host, port: destination.port }),
            ..access::Facts::of(client, &system_clock)
        });
        let closed = decision.rule.is_none() && !self.ports.contains(destination.port);
        let verdict = match decision.allow && !closed {
            true => Verdict::Allow,
            false if decision.user_would_help => Verdict::LogIn,
            false => Verdict::Deny,
        };
        let rule = match decision.rule {
            Some(rule) => Arc::clone(&rule.name),
            None if closed => PORTS.into(),
            None => DEFAULT.into(),
        };
        let observed = decision.observed.map(|rule| (Arc::clone(&rule.name), rule.action));
        Decision { verdict, rule, observed, failures: decision.failures }
    }
}

#[cfg(test)]
mod tests;
