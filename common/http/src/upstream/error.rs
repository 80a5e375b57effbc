//! Why there is no answer from a backend, in words that say who is at fault, with the status the client gets.

use std::fmt;

use http::StatusCode;

/// Why no connection came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialError {
    /// The host could not be reached, or refused; the text is the system's.
    Unreachable(String),
    /// The name has no address.
    NoAddress(String),
    /// Not connected before the deadline.
    Timeout,
    /// The TLS handshake failed; the text says why.
    Tls(String),
    /// The relay's rules forbid this destination; the text names the rule.
    Denied(String),
    /// No relay, or it is overloaded: our own fault.
    Unavailable(String),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialError::Unreachable(why) => write!(f, "the destination cannot be reached: {why}"),
            DialError::NoAddress(why) => write!(f, "the destination's name has no address: {why}"),
            DialError::Timeout => f.write_str("the destination did not accept the connection in time"),
            DialError::Tls(why) => write!(f, "TLS with the destination failed: {why}"),
            DialError::Denied(rule) => write!(f, "the destination is not allowed: {rule}"),
            DialError::Unavailable(why) => write!(f, "no connection can be made at the moment: {why}"),
        }
    }
}

impl std::error::Error for DialError {}

/// Why a request got no answer.
#[derive(Debug)]
pub enum SendError {
    /// No connection.
    Dial(DialError),
    /// The first byte of the answer did not come in time.
    FirstByte,
    /// The answer stopped in the middle for too long.
    Stalled,
    /// The whole request took longer than it may (`total_deadline`).
    Overdue,
    /// The connection ended before the answer was complete; the text says where.
    Closed(String),
    /// An HTTP/2 stream, or its connection, was ended before the answer was complete.
    Broken(h2::Error),
    /// The backend's bytes are not HTTP, or have two readings; the text says what is wrong.
    Protocol(&'static str),
    /// The request could not be read to its end or cannot be written: not the backend's fault.
    Request(Box<dyn std::error::Error + Send + Sync>),
}

impl SendError {
    /// What the client gets.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            SendError::Dial(DialError::Timeout) | SendError::FirstByte | SendError::Stalled | SendError::Overdue => {
                StatusCode::GATEWAY_TIMEOUT
            }
            SendError::Dial(DialError::Denied(_)) => StatusCode::FORBIDDEN,
            SendError::Dial(DialError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            SendError::Dial(_) | SendError::Closed(_) | SendError::Broken(_) | SendError::Protocol(_) => {
                StatusCode::BAD_GATEWAY
            }
            SendError::Request(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Short word for logs and metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            SendError::Dial(DialError::Unreachable(_)) => "unreachable",
            SendError::Dial(DialError::NoAddress(_)) => "no-address",
            SendError::Dial(DialError::Timeout) => "connect-timeout",
            SendError::Dial(DialError::Tls(_)) => "tls",
            SendError::Dial(DialError::Denied(_)) => "denied",
            SendError::Dial(DialError::Unavailable(_)) => "unavailable",
            SendError::FirstByte => "first-byte-timeout",
            SendError::Stalled => "stalled",
            SendError::Overdue => "overdue",
            SendError::Closed(_) => "closed",
            SendError::Broken(error) if error.is_reset() => "reset",
            SendError::Broken(_) => "closed",
            SendError::Protocol(_) => "protocol",
            SendError::Request(_) => "request",
        }
    }

    /// The server may be to blame (counts against its health).
    #[must_use]
    pub fn blames_backend(&self) -> bool {
        !matches!(self, SendError::Request(_) | SendError::Dial(DialError::Denied(_) | DialError::Unavailable(_)))
    }

    /// An error of an HTTP/2 stream or its connection. What h2 itself found wrong is the backend's bytes.
    pub(super) fn from_h2(error: h2::Error) -> Self {
        if error.is_library() { SendError::Protocol("its HTTP/2 is not valid") } else { SendError::Broken(error) }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Dial(error) => error.fmt(f),
            SendError::FirstByte => f.write_str("the backend did not answer in time"),
            SendError::Stalled => f.write_str("the backend stopped in the middle of its answer"),
            SendError::Overdue => f.write_str("the request was not answered to its end within total_deadline"),
            SendError::Closed(error) => write!(f, "the backend ended the connection: {error}"),
            SendError::Broken(error) => write!(f, "the backend broke off: {error}"),
            SendError::Protocol(error) => write!(f, "the backend's answer is not valid HTTP: {error}"),
            SendError::Request(error) => write!(f, "the request could not be sent: {error}"),
        }
    }
}

impl std::error::Error for SendError {
    /// An HTTP/2 backend's reason for breaking off, so that an HTTP/2 client is told the same one. Everything else is ours to name.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SendError::Broken(error) if error.is_reset() && error.is_remote() => Some(error),
            _ => None,
        }
    }
}
