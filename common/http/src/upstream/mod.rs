//! HTTP/1.1 and HTTP/2 connections to backends over sockets that somebody else dialled, kept alive and used again.
//!
//! - [`Dialer`]: where connected sockets come from (over IPC from the relay; this process cannot connect)
//! - [`Pool`] and [`Slot`]: per endpoint a last-in-first-out list of idle connections, limits, counters, one coarse sweep for all deadlines
//! - [`ResponseBody`]: streams the answer; gives its connection back when the answer is complete, closes it when dropped before
//!
//! No task per HTTP/1 connection: the request that uses a connection drives it inline, inside its own task. That saves two task switches per
//! request, makes back-pressure direct in both directions, and a client that goes away closes its backend connection by being dropped.
//! No timer per request either: see [`Pool::sweep`]. Single-threaded on purpose (`Rc`, `Cell`).

mod body;
mod error;
mod h1;
mod h2;
mod pool;
mod switched;
mod watched;

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

pub use body::ResponseBody;
pub use error::{DialError, SendError};
pub use h1::MOST_READ;
pub use h2::H2Limits;
pub use pool::{Counters, DialTime, Pool, PoolLimits, Slot, Unanswered};
pub use switched::{Switched, upgraded};

/// Where a backend is: a name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Host name or IP address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Endpoint { host: host.into(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Makes connected streams. Implemented over the Dial edge; must set `TCP_NODELAY` and keep to the deadline itself.
pub trait Dialer {
    /// What comes out: a TCP stream, or TLS over one.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Connects, or says why not, before `deadline`. Dropping the future gives up the attempt.
    fn dial(&self, endpoint: &Endpoint, deadline: Instant) -> impl Future<Output = Result<Self::Io, DialError>>;

    /// The same for HTTP/1.1 where [`Dialer::dial`] lets the backend choose.
    fn dial_http1(&self, endpoint: &Endpoint, deadline: Instant) -> impl Future<Output = Result<Self::Io, DialError>> {
        self.dial(endpoint, deadline)
    }

    /// Whether the backend has chosen HTTP/2; asked only where it could choose ([`H2Limits::or_http1`]).
    fn chose_h2(_io: &Self::Io) -> bool {
        true
    }
}

/// A request body that a pool can send.
pub trait RequestBody: Body<Data = Bytes> + 'static {
    /// A body of no bytes: what a request without body is sent with a second time.
    fn empty() -> Self;

    /// From here on it is read in a task of its own: the answer has begun before it was sent.
    fn detached(&mut self) {}
}

/// A client's body passed on as it comes, or none. A service that counts or inspects bodies has its own type.
#[derive(Debug, Default)]
pub enum PassedBody {
    /// No bytes.
    #[default]
    None,
    /// Streamed: read from the client only as fast as the backend takes it.
    Stream(hyper::body::Incoming),
}

impl From<hyper::body::Incoming> for PassedBody {
    fn from(body: hyper::body::Incoming) -> Self {
        if body.is_end_stream() { PassedBody::None } else { PassedBody::Stream(body) }
    }
}

impl Body for PassedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            PassedBody::None => Poll::Ready(None),
            PassedBody::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            PassedBody::None => true,
            PassedBody::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            PassedBody::None => SizeHint::with_exact(0),
            PassedBody::Stream(body) => body.size_hint(),
        }
    }
}

impl RequestBody for PassedBody {
    fn empty() -> Self {
        PassedBody::None
    }
}

impl RequestBody for http_body_util::Empty<Bytes> {
    fn empty() -> Self {
        http_body_util::Empty::new()
    }
}

impl RequestBody for http_body_util::Full<Bytes> {
    fn empty() -> Self {
        http_body_util::Full::new(Bytes::new())
    }
}
