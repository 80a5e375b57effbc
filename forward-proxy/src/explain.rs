//! `bulkhead explain --proxy`: what would become of a client that wants to go out. Asks the policy that requests are judged by; no
//! password is checked, nothing is counted, nothing is dialled. Addresses are judged by passthrough-relay.

use common::config::{Action, Config};
use common::ipc::messages::explain::{Explain, Explained, Reach, Step, Then};

use crate::decide::{DEFAULT, Facts, PORTS, Verdict};
use crate::destination::Destination;
use crate::serve::Proxy;

/// What would become of this request.
#[must_use]
pub fn explain(proxy: &Proxy, config: &Config, question: &Explain) -> Explained {
    let listeners = &config.forward_proxy.listen;
    let shown = listeners.iter().map(|listener| {
        let addresses: Vec<String> = listener.addresses.iter().map(ToString::to_string).collect();
        format!("{} {}", listener.name, addresses.join(" "))
    });
    let mut steps = vec![Step::new("listener", shown.collect::<Vec<_>>().join(", "))];
    let tunnel = &*question.method == "CONNECT";
    let target = question.authority.as_bytes();
    let destination = if tunnel { Destination::of_connect(target) } else { Destination::of_authority(target, 80) };
    let destination = match destination {
        Ok(destination) => destination,
        Err(error) => {
            steps.push(Step::new("destination", format!("400: {error}")).refuses(true));
            return Explained::ends(steps);
        }
    };
    steps.push(Step::new("destination", format!("{} {destination}", question.method)));
    let now = proxy.now();
    let line = |rule: &str| config.forward_proxy.access.iter().find(|own| *own.name == *rule).map(|own| own.line);
    if let Some(rule) = now.policy.before_user(question.client) {
        let step = Step::new("access", "403: refused before a user is asked for").by(&rule, line(&rule));
        steps.push(step.refuses(true));
        return Explained::ends(steps);
    }
    let user = match user(proxy, question, now.require_user) {
        Ok((step, user)) => {
            steps.push(step);
            user
        }
        Err(step) => {
            steps.push(step.refuses(true));
            return Explained::ends(steps);
        }
    };
    let facts = Facts { client: question.client, user, method: &question.method, destination: &destination };
    let decision = now.policy.decide(&facts);
    let word = match decision.verdict {
        Verdict::Allow => "allowed",
        Verdict::Deny => "403: refused",
        Verdict::LogIn => "407: a user could be let through",
    };
    let by_key = [PORTS, DEFAULT].contains(&&*decision.rule);
    let mut step = Step::new("access", word).by(&decision.rule, line(&decision.rule).filter(|_| !by_key));
    if let Some((rule, action)) = &decision.observed {
        let would = if *action == Action::Deny { "refused" } else { "allowed" };
        step = step.fact("observed", format!("{rule} would have {would} it"));
    }
    steps.push(step.refuses(decision.verdict != Verdict::Allow));
    if decision.verdict != Verdict::Allow {
        return Explained::ends(steps);
    }
    let reach = Reach::Outward(destination.host_text().into(), destination.port);
    Explained::goes_on(steps, Then::Relay(reach))
}

/// The user as whom the rest is judged. The password is not asked for, so it is taken to be right.
fn user<'a>(proxy: &Proxy, question: &'a Explain, required: bool) -> Result<(Step, Option<&'a str>), Step> {
    match (question.user.as_deref(), proxy.authenticator.knows(question.user.as_deref())) {
        (Some(name), Some(true)) => Ok((Step::new("user", format!("{name}, if the password is right")), Some(name))),
        (Some(name), Some(false)) => Err(Step::new("user", format!("407: the users file has no user {name}"))),
        (Some(name), None) => Ok((
            Step::new("user", format!("{name} is nobody: there is no users_file, credentials are not looked at")),
            None,
        )),
        (None, _) if required => {
            Err(Step::new("user", "407: without a user nobody may go anywhere").by("require_user", None))
        }
        (None, _) => Ok((Step::new("user", "nobody"), None)),
    }
}
