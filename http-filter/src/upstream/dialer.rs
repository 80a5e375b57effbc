//! Connected sockets from passthrough-relay: this process cannot connect to anything itself.

use std::time::{Duration, Instant};

use common::ipc::messages::filter_to_relay::{Dial, DialRefusal, Dialed};
use common::ipc::sender::Sender;
use common_http::upstream::{DialError, Dialer, Endpoint};
use tokio::net::TcpStream;

/// How much longer than the relay's own deadline we wait for its answer.
const GRACE: Duration = Duration::from_millis(500);

/// Asks the relay.
#[derive(Debug)]
pub struct RelayDialer(pub Sender<Dial, Dialed>);

impl Dialer for RelayDialer {
    type Io = TcpStream;

    async fn dial(&self, endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, DialError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let question = Dial {
            endpoint: endpoint.to_string().into(),
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
        };
        let answer = tokio::time::timeout(left + GRACE, self.0.call(question, Vec::new()));
        let (dialed, sockets) = match answer.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(undelivered)) => return Err(DialError::Unavailable(format!("passthrough-relay: {undelivered}"))),
            Err(_) => return Err(DialError::Timeout),
        };
        match dialed {
            Dialed::Connected { .. } => connected(sockets),
            Dialed::Refused { reason, detail } => Err(refused(reason, detail.into())),
        }
    }
}

fn connected(sockets: Vec<std::os::fd::OwnedFd>) -> Result<TcpStream, DialError> {
    let socket = sockets.into_iter().next().ok_or_else(|| DialError::Unavailable("no socket came".to_owned()))?;
    TcpStream::from_std(socket.into()).map_err(|error| DialError::Unavailable(error.to_string()))
}

fn refused(reason: DialRefusal, detail: String) -> DialError {
    match reason {
        DialRefusal::NotConfigured | DialRefusal::ForbiddenAddress => DialError::Denied(detail),
        DialRefusal::Name => DialError::NoAddress(detail),
        DialRefusal::Connect => DialError::Unreachable(detail),
        DialRefusal::Deadline => DialError::Timeout,
        DialRefusal::Full => DialError::Unavailable(detail),
    }
}
