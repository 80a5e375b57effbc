//! One order of decisions for tunnels and forwarded requests: client network → user → rules, port, default. The address
//! guard comes last and elsewhere, in passthrough-relay, when the destination is dialled.

use std::net::IpAddr;
use std::sync::Arc;

use common::net::client_limit::ClientKey;

use crate::authenticate::NotAuthenticated;
use crate::authenticate::basic::Given;
use crate::decide::{Facts, Verdict};
use crate::destination::Destination;
use crate::refuse::Refusal;
use crate::serve::Proxy;

/// A request that may go on to be dialled.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who has proved to be who.
    pub user: Option<Arc<str>>,
    /// The rule that let it go.
    pub rule: Arc<str>,
}

/// What is asked, after the framing and the destination were found sound.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The method.
    pub method: &'a str,
    /// Where to.
    pub destination: &'a Destination,
    /// The `Proxy-Authorization` header.
    pub credentials: Given<'a>,
}

/// Decides. Waits only while a password is checked. The second value of an error is the user, when one is known.
///
/// # Errors
/// The refusal.
pub async fn admit(proxy: &Proxy, asked: Asked<'_>) -> Result<Admitted, (Refusal, Option<Arc<str>>)> {
    let now = proxy.now();
    if let Some(rule) = now.policy.before_user(asked.client) {
        proxy.metrics.denied.up();
        return Err((Refusal::client_denied(&rule), None));
    }
    let user = match proxy.authenticator.authenticate(ClientKey::from(asked.client), asked.credentials).await {
        Ok(user) => Some(user),
        Err(NotAuthenticated::Missing) if !now.require_user => None,
        Err(why) => {
            let refusal = Refusal::not_authenticated(why);
            count_log_in(proxy, &refusal);
            return Err((refusal, None));
        }
    };
    let Asked { client, method, destination, .. } = asked;
    let decision = now.policy.decide(&Facts { client, user: user.as_deref(), method, destination });
    proxy.metrics.expression_failures.add(u64::from(decision.failures));
    if let Some((rule, action)) = &decision.observed {
        proxy.metrics.observed.up();
        tracing::info!(%client, user = user.as_deref(), %destination, rule = &**rule, "would be decided: {action:?} (observe)");
    }
    let refusal = match decision.verdict {
        Verdict::Allow => return Ok(Admitted { user, rule: decision.rule }),
        Verdict::Deny => {
            proxy.metrics.denied.up();
            Refusal::denied(&decision.rule, destination)
        }
        Verdict::LogIn => Refusal::log_in_for(&decision.rule, destination),
    };
    count_log_in(proxy, &refusal);
    Err((refusal, user))
}

fn count_log_in(proxy: &Proxy, refusal: &Refusal) {
    if refusal.status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        proxy.metrics.log_in.up();
    }
}
