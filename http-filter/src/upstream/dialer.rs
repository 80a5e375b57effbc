//! Connected sockets from passthrough-relay: this process cannot connect to anything itself. TLS, where the pool has it, is spoken here.

use std::time::{Duration, Instant};

use common::config::{Files, Transport};
use common::ipc::messages::filter_to_relay::{Dial, DialRefusal, Dialed};
use common::ipc::sender::Sender;
use common_http::upstream::{DialError, Dialer, Endpoint};
use tokio::net::TcpStream;

use super::socket::Socket;
use super::tls::BackendTls;

/// How much longer than the relay's own deadline we wait for its answer.
const GRACE: Duration = Duration::from_millis(500);

/// Asks the relay, and shakes hands where the pool speaks TLS.
#[derive(Clone, Debug)]
pub struct RelayDialer {
    relay: Sender<Dial, Dialed>,
    tls: Option<BackendTls>,
}

impl RelayDialer {
    /// The way to the servers of a pool.
    ///
    /// # Errors
    /// What is wrong with the pool's TLS files.
    pub fn new(relay: Sender<Dial, Dialed>, transport: &Transport, files: &Files) -> Result<Self, String> {
        Ok(Self { relay, tls: BackendTls::new(transport, files)? })
    }

    /// Whether it would come out the same if it were made anew: the contents of files may change while their names stay.
    pub fn is_made_from(&self, transport: &Transport, files: &Files) -> bool {
        match (&self.tls, &transport.tls) {
            (Some(own), Some(tls)) => own.is_made_from(tls, files),
            (own, tls) => own.is_none() && tls.is_none(),
        }
    }
}

impl Dialer for RelayDialer {
    type Io = Socket;

    async fn dial(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Socket, DialError> {
        self.dial_for(endpoint, deadline, false).await
    }

    async fn dial_http1(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Socket, DialError> {
        self.dial_for(endpoint, deadline, true).await
    }

    fn chose_h2(io: &Socket) -> bool {
        io.chose_h2()
    }
}

impl RelayDialer {
    async fn dial_for(&self, endpoint: &Endpoint, deadline: Instant, http1: bool) -> Result<Socket, DialError> {
        let stream = self.connect(endpoint, deadline).await?;
        let Some(tls) = &self.tls else { return Ok(Socket::Plain(stream)) };
        let shaken = tokio::time::timeout_at(deadline.into(), tls.shake_hands(endpoint, stream, http1)).await;
        let late = || DialError::Tls("the server did not finish the handshake in time (connect_deadline)".to_owned());
        shaken.map_err(|_| late())?.map(|stream| Socket::Tls(Box::new(stream)))
    }

    async fn connect(&self, endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, DialError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let question = Dial {
            endpoint: endpoint.to_string().into(),
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
        };
        let answer = tokio::time::timeout(left + GRACE, self.relay.call(question, Vec::new()));
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
