//! From what the rules say to what becomes of a request. Pure.
//!
//! In detect mode nothing is ever refused, not for a limit either; what would have been stands in the log.

use std::borrow::Cow;

use common::config::{OverLimit, RejectOrPass, WebAttackMode};
use http::StatusCode;
use http::header::HeaderValue;
use seclang::{Action, Partial, Verdict};

use crate::response::Refusal;

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Never [`WebAttackMode::Off`].
    pub mode: WebAttackMode,
    /// Bodies above the limit, and requests with more in them than allowed.
    pub over_limit: OverLimit,
    /// Bodies that are not what they say.
    pub malformed_body: RejectOrPass,
    /// Requests that cost too much.
    pub over_budget: RejectOrPass,
}

/// Why a request is, or would have been, refused, or why it passed without being looked at as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A rule refused it.
    Attack {
        /// Which.
        rule: u64,
        /// With which status.
        status: u16,
        /// How.
        action: Action,
    },
    /// The body is larger than `max_body`.
    Large,
    /// More arguments, depth, nodes, parts, or longer names and values than allowed.
    Limit,
    /// The body has a content coding, which rules cannot look behind.
    Coded,
    /// The budget was spent before all rules had run.
    Budget,
    /// The body is not what its type says.
    Malformed,
    /// No room for the body, or no thread for it.
    Busy,
    /// The inspection itself failed: our own mistake.
    Failed,
}

impl Fault {
    /// What the verdict of a phase says; `None`: nothing.
    pub fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Pass => None,
            Verdict::Partial(Partial::Limit(_)) => Some(Self::Limit),
            Verdict::Partial(Partial::Body) => Some(Self::Large),
            Verdict::Partial(Partial::Budget) => Some(Self::Budget),
            // The rule files' own limit on bodies.
            Verdict::Interrupt(interrupt) if interrupt.rule == 0 => Some(Self::Large),
            Verdict::Interrupt(interrupt) => {
                Some(Self::Attack { rule: interrupt.rule, status: interrupt.status, action: interrupt.action })
            }
        }
    }

    /// One word for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Attack { .. } => "attack",
            Self::Large => "large-body",
            Self::Limit => "limit",
            Self::Coded => "coded-body",
            Self::Budget => "budget",
            Self::Malformed => "malformed-body",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}

impl Policy {
    /// Whether the request is refused for it.
    pub fn refuses(&self, fault: &Fault) -> bool {
        let blocks = self.mode == WebAttackMode::Block;
        blocks
            && match fault {
                Fault::Attack { .. } | Fault::Busy | Fault::Failed => true,
                Fault::Large | Fault::Limit | Fault::Coded => self.over_limit == OverLimit::Reject,
                Fault::Budget => self.over_budget == RejectOrPass::Reject,
                Fault::Malformed => self.malformed_body == RejectOrPass::Reject,
            }
    }

    /// Whether rules look at the beginning of a body that is too large.
    pub fn looks_at_part(&self) -> bool {
        match self.over_limit {
            OverLimit::InspectPart => true,
            OverLimit::Skip => false,
            // It is not refused after all.
            OverLimit::Reject => self.mode == WebAttackMode::Detect,
        }
    }
}

/// What the client gets, and where it is sent. `reference` is what its operator finds the request by.
pub fn refusal(fault: &Fault, reference: &str, h2: bool) -> (Refusal, Option<HeaderValue>) {
    let (status, decision, reason): (_, _, Cow<'static, str>) = match fault {
        Fault::Attack { status, .. } => (attack_status(*status), "web-attack", attack(reference).into()),
        Fault::Large => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "web-attack-limit",
            "The body of the request is larger than what this server can check for attacks.".into(),
        ),
        Fault::Limit => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "web-attack-limit",
            "The request has more, longer or more deeply nested parameters than this server accepts.".into(),
        ),
        Fault::Coded => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "web-attack-limit",
            "The body of the request is compressed, so this server cannot check it for attacks: send it without Content-Encoding.".into(),
        ),
        Fault::Budget => (
            StatusCode::FORBIDDEN,
            "web-attack-budget",
            "The request is too complex for this server to check it for attacks: send it in smaller parts.".into(),
        ),
        Fault::Malformed => (
            StatusCode::BAD_REQUEST,
            "web-attack-body",
            "The body of the request is not what its Content-Type says.".into(),
        ),
        Fault::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "web-attack-busy",
            "This server has as many requests to check for attacks as it can; try again in a moment.".into(),
        ),
        Fault::Failed => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "web-attack-failed",
            "This server failed to check the request for attacks, so it was not passed on.".into(),
        ),
    };
    let mut refusal = Refusal { status, reason, rule: None, decision, close: false };
    let mut location = None;
    match fault {
        Fault::Attack { action: Action::Drop, .. } => (refusal.status, refusal.close) = (StatusCode::FORBIDDEN, !h2),
        Fault::Attack { action: Action::Redirect(to), status, .. } => match HeaderValue::from_bytes(to) {
            Ok(to) => {
                let status = StatusCode::from_u16(*status).ok().filter(StatusCode::is_redirection);
                refusal.status = status.unwrap_or(StatusCode::FOUND);
                location = Some(to);
            }
            Err(_) => refusal.status = StatusCode::FORBIDDEN,
        },
        // The rest of the body is not wanted.
        Fault::Large | Fault::Coded | Fault::Busy => refusal.close = !h2,
        _ => {}
    }
    (refusal, location)
}

/// What the client gets in the place of an answer.
pub fn withheld(fault: &Fault, reference: &str) -> Refusal {
    let (status, decision, reason) = match fault {
        Fault::Attack { status, .. } => (
            attack_status(*status),
            "web-attack-answer",
            format!(
                "The application's answer gives away what it should not, so it was not passed on. Tell the operator of this server the \
                 reference number {reference}."
            ),
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "web-attack-failed",
            "This server failed to check the application's answer, so it was not passed on.".to_owned(),
        ),
    };
    Refusal { status, reason: reason.into(), rule: None, decision, close: false }
}

/// A rule may name any number; what an answer of ours can carry is an error.
fn attack_status(status: u16) -> StatusCode {
    let known = StatusCode::from_u16(status).ok();
    known.filter(|status| status.is_client_error() || status.is_server_error()).unwrap_or(StatusCode::FORBIDDEN)
}

fn attack(reference: &str) -> String {
    format!(
        "The request looks like an attack on the application, so it was not passed on. If it was not one, tell the operator of this \
         server the reference number {reference}."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use seclang::Interrupt;

    const BLOCK: Policy = Policy {
        mode: WebAttackMode::Block,
        over_limit: OverLimit::Reject,
        malformed_body: RejectOrPass::Reject,
        over_budget: RejectOrPass::Reject,
    };

    fn attack_by(action: Action, status: u16) -> Fault {
        Fault::Attack { rule: 1, status, action }
    }

    fn all() -> [Fault; 8] {
        [
            attack_by(Action::Deny, 403),
            Fault::Large,
            Fault::Limit,
            Fault::Coded,
            Fault::Budget,
            Fault::Malformed,
            Fault::Busy,
            Fault::Failed,
        ]
    }

    #[test]
    fn detection_never_refuses_and_each_policy_is_its_own() {
        let detect = Policy { mode: WebAttackMode::Detect, ..BLOCK };
        assert!(all().iter().all(|fault| BLOCK.refuses(fault) && !detect.refuses(fault)));
        for over_limit in [OverLimit::InspectPart, OverLimit::Skip] {
            let policy = Policy { over_limit, ..BLOCK };
            let refused = all().map(|fault| policy.refuses(&fault));
            assert_eq!(refused, [true, false, false, false, true, true, true, true]);
            assert_eq!(policy.looks_at_part(), over_limit == OverLimit::InspectPart);
        }
        assert!(!Policy { over_budget: RejectOrPass::Pass, ..BLOCK }.refuses(&Fault::Budget));
        assert!(!Policy { malformed_body: RejectOrPass::Pass, ..BLOCK }.refuses(&Fault::Malformed));
        assert!(!BLOCK.looks_at_part() && detect.looks_at_part());
    }

    #[test]
    fn what_rules_say() {
        let interrupt = |rule, action: Action| Verdict::Interrupt(Interrupt { status: 413, action, rule });
        assert_eq!(Fault::of(Verdict::Pass), None);
        assert_eq!(Fault::of(interrupt(0, Action::Deny)), Some(Fault::Large));
        assert_eq!(Fault::of(interrupt(1, Action::Deny)), Some(attack_by(Action::Deny, 413)));
        assert_eq!(Fault::of(Verdict::Partial(Partial::Budget)), Some(Fault::Budget));
    }

    #[test]
    fn answers() {
        let told = |fault: &Fault| {
            let (refusal, location) = refusal(fault, "ref-1", false);
            (refusal.status.as_u16(), refusal.decision, refusal.close, location)
        };
        let statuses = all().map(|fault| told(&fault).0);
        assert_eq!(statuses, [403, 413, 413, 415, 403, 400, 503, 500]);
        assert!(refusal(&all()[0], "ref-1", false).0.reason.contains("ref-1"));
        assert_eq!(told(&attack_by(Action::Deny, 406)).0, 406);
        assert_eq!(told(&attack_by(Action::Deny, 200)).0, 403, "an attack is not told that all is well");
        assert_eq!(told(&attack_by(Action::Drop, 444)), (403, "web-attack", true, None));
        let to = Action::Redirect(b"https://www.test/sorry".to_vec());
        let location = Some(HeaderValue::from_static("https://www.test/sorry"));
        assert_eq!(told(&attack_by(to.clone(), 302)), (302, "web-attack", false, location.clone()));
        assert_eq!(told(&attack_by(to, 403)), (302, "web-attack", false, location));
        assert_eq!(told(&attack_by(Action::Redirect(b"a\nb".to_vec()), 302)).0, 403);
    }
}
