//! Telling a client no: which status, which rule, and why, in plain words (`text/plain`), so that a user can act on it or
//! show it to the operator.
//!
//! One type for all refusals, written either by hyper ([`Refusal::respond`]) or by hand ([`part`]) where a connection never
//! came to hyper. `Proxy-Status` (RFC 9209) says the same to programs. It must never carry bytes of a client that were not
//! judged before.

use std::borrow::Cow;

use bytes::Bytes;
use common_http::answer::Answer;
use common_http::framing::Violation;
use common_http::upstream::{DialError, SendError};
use http::header::{HeaderName, HeaderValue, PROXY_AUTHENTICATE, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::authenticate::NotAuthenticated;
use crate::decide::{DEFAULT, PORTS};
use crate::destination::{BadDestination, Destination};

/// The rule that stands for wrong or absent credentials.
pub const AUTHENTICATION: &str = "authentication";
/// The rule that stands for passthrough-relay's judgement of addresses.
pub const ADDRESS_GUARD: &str = "address-guard";

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// A refusal.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Status code.
    pub status: StatusCode,
    /// Name of the rule that refused, as it stands in the configuration, or of the part of the proxy that did.
    pub rule: Cow<'static, str>,
    /// What was wrong and what to do, in one or two sentences.
    pub reason: String,
    /// Error type of RFC 9209 §2.3.
    pub error: &'static str,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u64>,
    /// The connection cannot or must not be used again.
    pub close: bool,
}

impl Refusal {
    fn new(status: StatusCode, rule: &'static str, error: &'static str, reason: impl Into<String>) -> Self {
        let (rule, reason) = (Cow::Borrowed(rule), reason.into());
        Self { status, rule, reason, error, retry_after: None, close: false }
    }

    /// The request has no single reading; nothing after it on this connection is read.
    #[must_use]
    pub fn violation(violation: Violation) -> Self {
        let refusal = Self::new(violation.status(), "framing", "http_request_error", violation.text());
        Self { rule: Cow::Borrowed(violation.label()), close: true, ..refusal }
    }

    /// The target has no single reading.
    #[must_use]
    pub fn destination(error: BadDestination) -> Self {
        let reason = format!("The destination cannot be used: {error}. Write a plain name or address and a port.");
        Self::new(StatusCode::BAD_REQUEST, "destination", "http_request_error", reason)
    }

    /// `GET /path`: somebody took us for a web server.
    #[must_use]
    pub fn origin_form() -> Self {
        let reason = "This is a forward proxy, not a web server. Set it as the proxy of your program (curl: -x, environment: \
                      http_proxy and https_proxy); it takes CONNECT host:port and whole http:// URIs.";
        Self::new(StatusCode::BAD_REQUEST, "not-a-proxy-request", "http_request_error", reason)
    }

    /// `GET https://…`: we make no TLS connections for others.
    #[must_use]
    pub fn https() -> Self {
        let reason = "This proxy does not open https:// addresses for a client. Use CONNECT host:443 and speak TLS through the tunnel.";
        Self::new(StatusCode::NOT_IMPLEMENTED, "https-needs-connect", "http_request_error", reason)
    }

    /// `Max-Forwards` has come to its end (RFC 9110 §7.6.2).
    #[must_use]
    pub fn max_forwards() -> Self {
        let reason = "Max-Forwards does not let this request go further than this proxy.";
        Self::new(StatusCode::BAD_REQUEST, "max-forwards", "http_request_denied", reason)
    }

    /// No or wrong credentials.
    #[must_use]
    pub fn not_authenticated(why: NotAuthenticated) -> Self {
        let log_in = |reason: String| {
            Self::new(StatusCode::PROXY_AUTHENTICATION_REQUIRED, AUTHENTICATION, "http_request_denied", reason)
        };
        match why {
            NotAuthenticated::Missing => {
                log_in("This proxy needs a user name and a password (Proxy-Authorization: Basic).".to_owned())
            }
            NotAuthenticated::Malformed(what) => {
                log_in(format!("The Proxy-Authorization header cannot be read: {what}."))
            }
            NotAuthenticated::Wrong => log_in("User name or password is wrong.".to_owned()),
            NotAuthenticated::Throttled(seconds) => {
                let reason =
                    format!("Too many wrong passwords came from your address. Try again in {seconds} seconds.");
                let refusal =
                    Self::new(StatusCode::TOO_MANY_REQUESTS, "authentication-throttle", "http_request_denied", reason);
                Self { retry_after: Some(seconds), ..refusal }
            }
            NotAuthenticated::Busy => Self::unavailable("authentication", "Too many passwords wait to be checked."),
        }
    }

    /// A rule that asks for a user would have let the request pass.
    #[must_use]
    pub fn log_in_for(rule: &str, destination: &Destination) -> Self {
        let refusal = Self::not_authenticated(NotAuthenticated::Missing);
        let reason =
            format!("{destination} is open to some users of this proxy only: log in (Proxy-Authorization: Basic).");
        Self { rule: Cow::Owned(rule.to_owned()), reason, ..refusal }
    }

    /// An access rule, `ports` or the default.
    #[must_use]
    pub fn denied(rule: &str, destination: &Destination) -> Self {
        let reason = match rule {
            PORTS => format!(
                "Port {} is not open through this proxy, and no rule opens it for {destination}.",
                destination.port
            ),
            DEFAULT => format!("No rule of this proxy lets you reach {destination}."),
            rule => format!("The rule \"{rule}\" of this proxy does not let you reach {destination}."),
        };
        let refusal = Self::new(StatusCode::FORBIDDEN, DEFAULT, "http_request_denied", reason);
        Self { rule: Cow::Owned(rule.to_owned()), ..refusal }
    }

    /// A rule that refuses the client wherever it wants to go.
    #[must_use]
    pub fn client_denied(rule: &str) -> Self {
        let reason = format!("The rule \"{rule}\" does not let your address use this proxy.");
        let refusal = Self::new(StatusCode::FORBIDDEN, DEFAULT, "http_request_denied", reason);
        Self { rule: Cow::Owned(rule.to_owned()), close: true, ..refusal }
    }

    /// The destination was not connected.
    #[must_use]
    pub fn dial(error: &DialError, destination: &Destination) -> Self {
        let (status, rule, kind, reason) = match error {
            DialError::Denied(detail) => (
                StatusCode::FORBIDDEN,
                ADDRESS_GUARD,
                "destination_ip_prohibited",
                format!("The address guard of this proxy does not let you reach {destination}: {detail}."),
            ),
            DialError::NoAddress(detail) => (
                StatusCode::BAD_GATEWAY,
                "dns",
                "dns_error",
                format!("DNS gives no address for {destination}: {detail}."),
            ),
            DialError::Unreachable(detail) | DialError::Tls(detail) => (
                StatusCode::BAD_GATEWAY,
                "connect",
                "connection_refused",
                format!("{destination} cannot be reached: {detail}."),
            ),
            DialError::Timeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "connect-deadline",
                "connection_timeout",
                format!("{destination} did not accept a connection in time."),
            ),
            DialError::Unavailable(detail) => return Self::unavailable("relay", detail),
        };
        Self::new(status, rule, kind, reason)
    }

    /// A forwarded request got no answer.
    #[must_use]
    pub fn send(error: &SendError, violation: Option<Violation>, destination: &Destination) -> Self {
        match error {
            SendError::Dial(error) => Self::dial(error, destination),
            SendError::Request(_) => match violation {
                Some(violation) => Self::violation(violation),
                None => Self {
                    close: true,
                    ..Self::new(
                        error.status(),
                        "request-body",
                        "http_request_error",
                        "The request could not be read to its end.",
                    )
                },
            },
            error => {
                let kind = match error {
                    SendError::FirstByte | SendError::Stalled => "http_response_timeout",
                    SendError::Protocol(_) => "http_protocol_error",
                    _ => "connection_terminated",
                };
                let reason = format!("{destination} gave no usable answer: {}.", without_source(error));
                Self::new(error.status(), error.label(), kind, reason)
            }
        }
    }

    /// Our own fault, and a passing one.
    #[must_use]
    pub fn unavailable(rule: &'static str, why: &str) -> Self {
        let reason =
            format!("This proxy cannot serve the request just now: {why} Try again shortly.", why = sentence(why));
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, rule, "proxy_internal_error", reason);
        Self { retry_after: Some(1), ..refusal }
    }

    /// Too many connections; sent before anything was read.
    #[must_use]
    pub fn too_many_connections(rule: &'static str) -> Self {
        let reason = match rule {
            "max_connections_per_address" => "Your address holds as many connections to this proxy as it may.",
            _ => "This proxy holds as many connections as it may.",
        };
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, rule, "connection_limit_reached", reason);
        Self { retry_after: Some(1), close: true, ..refusal }
    }

    /// As a response. `realm` names what a password is wanted for.
    #[must_use]
    pub fn respond(&self, realm: &str) -> Response<Bytes> {
        let answer = Answer { rule: Some(&self.rule), close: self.close, ..Answer::new(self.status, &self.reason) };
        let mut response = answer.respond(None);
        let headers = response.headers_mut();
        if self.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && let Ok(challenge) = HeaderValue::try_from(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""))
        {
            headers.insert(PROXY_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Ok(status) = HeaderValue::try_from(format!("bulkhead; error={}", self.error)) {
            headers.insert(PROXY_STATUS, status);
        }
        response
    }

    /// As the bytes of an answer after which the connection is closed.
    #[must_use]
    pub fn bytes(&self, realm: &str) -> Vec<u8> {
        let response = Self { close: true, ..self.clone() }.respond(realm);
        let (status, reason) = (self.status.as_u16(), self.status.canonical_reason().unwrap_or("Refused"));
        let mut bytes = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
        for (name, value) in response.headers() {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", response.body().len()).as_bytes());
        bytes.extend_from_slice(response.body());
        bytes
    }
}

/// The reasons are ours, never a server's bytes; what the system says of a broken connection is for the log.
fn without_source(error: &SendError) -> String {
    match error {
        SendError::Closed(_) => "it closed the connection before its answer was complete".to_owned(),
        SendError::Protocol(what) => format!("its bytes are not valid HTTP/1 ({what})"),
        other => other.to_string(),
    }
}

/// With exactly one full stop.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn destination() -> Destination {
        Destination::of_connect(b"a.example:22").unwrap()
    }

    #[test]
    fn every_refusal_names_its_rule_and_says_why() {
        let detail = || "10.0.0.1 is a private address".to_owned();
        for (refusal, status, words) in [
            (Refusal::violation(Violation::BareLf), 400, ["rule: bare-lf", "lone LF"]),
            (Refusal::destination(BadDestination::NoPort), 400, ["rule: destination", "must name a port"]),
            (Refusal::origin_form(), 400, ["rule: not-a-proxy-request", "CONNECT"]),
            (Refusal::https(), 501, ["rule: https-needs-connect", "CONNECT"]),
            (Refusal::not_authenticated(NotAuthenticated::Missing), 407, ["rule: authentication", "password"]),
            (Refusal::not_authenticated(NotAuthenticated::Throttled(7)), 429, ["throttle", "7 seconds"]),
            (Refusal::not_authenticated(NotAuthenticated::Busy), 503, ["rule: authentication", "wait"]),
            (Refusal::log_in_for("forward-proxy.ports", &destination()), 407, ["log in", "a.example:22"]),
            (Refusal::denied("forward-proxy.ports", &destination()), 403, ["rule: forward-proxy.ports", "Port 22"]),
            (Refusal::denied("no-bank", &destination()), 403, ["rule: no-bank", "\"no-bank\""]),
            (Refusal::client_denied("guests"), 403, ["rule: guests", "your address"]),
            (Refusal::dial(&DialError::Denied(detail()), &destination()), 403, ["rule: address-guard", "private"]),
            (Refusal::dial(&DialError::NoAddress("NXDOMAIN".into()), &destination()), 502, ["DNS", "NXDOMAIN"]),
            (
                Refusal::dial(&DialError::Unreachable("refused".into()), &destination()),
                502,
                ["rule: connect", "refused"],
            ),
            (Refusal::dial(&DialError::Timeout, &destination()), 504, ["rule: connect-deadline", "in time"]),
            (Refusal::dial(&DialError::Unavailable("full".into()), &destination()), 503, ["rule: relay", "full."]),
            (Refusal::send(&SendError::FirstByte, None, &destination()), 504, ["first-byte-timeout", "in time"]),
            (Refusal::too_many_connections("max_connections"), 503, ["rule: max_connections", "as many"]),
        ] {
            let text = String::from_utf8(refusal.bytes("test realm")).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            assert!(
                head.contains("\r\nconnection: close") && head.contains("\r\nproxy-status: bulkhead; error="),
                "{head}"
            );
            assert!(head.contains("content-type: text/plain"), "{head}");
            assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
            assert_eq!(head.contains("Basic realm=\"test realm\""), status == 407, "{head}");
            assert!(words.iter().all(|word| body.contains(word)), "{words:?} {body}");
            assert!(body.starts_with(&format!("{status} ")), "{body}");
        }
    }
}
