//! What came of a request, however it ended.

use crate::pattern::Comparison;
use hyper::header::HeaderMap;
use rustls::AlertDescription;
use rustls_pki_types::CertificateDer;
use std::error::Error;
use std::time::Duration;

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An HTTP answer.
    Status(u16),
    /// The forward proxy answered CONNECT with this instead of opening a tunnel.
    NoTunnel(u16),
    /// A TLS alert, by its name in RFC 8446 §6.
    Alert(String),
    /// Anything else that went wrong.
    Error(String),
}

/// What came.
#[derive(Debug)]
pub struct Got {
    /// How it ended.
    pub end: End,
    /// The protocol TLS agreed on, `""` for none; `None` without TLS.
    pub alpn: Option<String>,
    /// The server's certificate.
    pub certificate: Option<CertificateDer<'static>>,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub text: String,
    /// The whole body, held against the pattern.
    pub body: Comparison,
    /// From the first byte of the body to the last.
    pub over: Duration,
}

impl Got {
    /// Ended like this, nothing else known.
    #[must_use]
    pub fn ended(end: End) -> Self {
        Self {
            end,
            alpn: None,
            certificate: None,
            headers: HeaderMap::new(),
            text: String::new(),
            body: Comparison::default(),
            over: Duration::ZERO,
        }
    }

    /// Went wrong.
    #[must_use]
    pub fn error(what: String) -> Self {
        Self::ended(End::Error(what))
    }
}

impl From<std::io::Error> for Box<Got> {
    fn from(error: std::io::Error) -> Self {
        Box::new(from_error(&error))
    }
}

impl From<hyper::Error> for Box<Got> {
    fn from(error: hyper::Error) -> Self {
        Box::new(from_error(&error))
    }
}

impl From<http::Error> for Box<Got> {
    fn from(error: http::Error) -> Self {
        Box::new(from_error(&error))
    }
}

/// An alert if there is one among the causes, else the causes as text.
fn from_error(error: &(dyn Error + 'static)) -> Got {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(alert) = alert(error) {
            return Got::ended(End::Alert(alert));
        }
        let part = error.to_string();
        // Many errors repeat their cause.
        if !text.contains(&part) {
            text = if text.is_empty() { part } else { format!("{text}: {part}") };
        }
        cause = error.source();
    }
    Got::error(text)
}

fn alert(error: &(dyn Error + 'static)) -> Option<String> {
    // An I/O error hides the error it wraps from `source`.
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let tls = inner.and_then(|inner| inner.downcast_ref()).or_else(|| error.downcast_ref::<rustls::Error>());
    match tls? {
        // rustls spells this one its own way.
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => Some("unrecognized_name".into()),
        rustls::Error::AlertReceived(alert) => Some(snake_case(&format!("{alert:?}"))),
        _ => None,
    }
}

/// `DecodeError` → `decode_error`, as RFC 8446 writes it.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_found_inside_io_errors_and_named_as_in_the_rfc() {
        let tls = rustls::Error::AlertReceived(AlertDescription::UnrecognisedName);
        let got: Box<Got> = std::io::Error::new(std::io::ErrorKind::InvalidData, tls).into();
        assert_eq!(got.end, End::Alert("unrecognized_name".into()));
        let tls = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
        let got: Box<Got> = std::io::Error::new(std::io::ErrorKind::InvalidData, tls).into();
        assert_eq!(got.end, End::Alert("handshake_failure".into()));
    }

    #[test]
    fn other_errors_stay_errors() {
        let got: Box<Got> = std::io::Error::other("broken").into();
        assert_eq!(got.end, End::Error("broken".into()));
    }
}
