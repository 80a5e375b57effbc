//! The one edge this process has: passthrough-relay dials for it and takes its tunnels.
//!
//! The relay resolves names and judges the address it connects to; nothing here may do either. A tunnel given away is
//! remembered until the relay says that it has it; if no relay takes it in time, the client is told so.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::ForwardProxy;
use common::ipc::directory::Directory;
use common::ipc::messages::Ends;
use common::ipc::messages::forward_to_relay::{DialRefusal, Dialed, Outward};
use common::ipc::sender::{Parcel, Sender, SenderLimits};
use common::net::farewell::part;
use common::wiring::FORWARD_TO_RELAY;
use common_http::upstream::{DialError, Dialer, Endpoint};
use tokio::net::TcpStream;

use crate::destination::Destination;
use crate::metrics::Metrics;
use crate::refuse::Refusal;

/// What a relay may take longer than the deadline it was given, before it is given up.
const GRACE: Duration = Duration::from_secs(1);
/// Bytes that may be handed over with a tunnel, each way (see [`Outward::Splice`]).
pub const MAX_EARLY: usize = 32 * 1024;

/// The way out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WayOut {
    relay: Sender<Outward, Dialed>,
    connect_deadline: Rc<Cell<Duration>>,
    realm: Rc<RefCell<Arc<str>>>,
    metrics: Metrics,
}

/// A tunnel to give away.
#[derive(Debug)]
pub struct Tunnel {
    /// The client's socket.
    pub client: OwnedFd,
    /// The destination's socket.
    pub server: OwnedFd,
    /// Whose it is.
    pub ends: Ends,
    /// The destination, for the log.
    pub label: String,
    /// Who authenticated.
    pub user: Option<Box<str>>,
    /// Read from the client already, at most [`MAX_EARLY`].
    pub to_server: Vec<u8>,
    /// The answer to CONNECT, if it is not written yet.
    pub to_client: &'static [u8],
}

impl WayOut {
    /// Starts the sending end; inside the runtime.
    #[must_use]
    pub fn start(directory: Directory, config: &ForwardProxy, metrics: &Metrics) -> Self {
        let realm = Rc::new(RefCell::new(Arc::clone(&config.realm)));
        let (counted, said) = (metrics.clone(), Rc::clone(&realm));
        let relay = Sender::start(FORWARD_TO_RELAY.name, directory, limits(config), move |parcel, why| {
            tracing::warn!("a tunnel was not taken: {why}");
            give_back(parcel, &said.borrow(), &why.to_string(), &counted);
        });
        let connect_deadline = Rc::new(Cell::new(config.connect_deadline));
        Self { relay, connect_deadline, realm, metrics: metrics.clone() }
    }

    /// Another configuration, for all clones.
    pub fn reload(&self, config: &ForwardProxy) {
        self.relay.set_limits(limits(config));
        self.connect_deadline.set(config.connect_deadline);
        *self.realm.borrow_mut() = Arc::clone(&config.realm);
    }

    /// Waits until there is room for more: what an accept loop does first.
    pub async fn room(&self) {
        self.relay.room().await;
    }

    /// Tunnels and questions that are still on their way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.relay.pending()
    }

    /// A socket connected to the destination.
    ///
    /// # Errors
    /// Who says no, and why.
    pub async fn dial(&self, host: String, port: u16, deadline: Duration) -> Result<(OwnedFd, SocketAddr), DialError> {
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        let question = Outward::Dial { host: host.into(), port, deadline_ms };
        let call = tokio::time::timeout(deadline.saturating_add(GRACE), self.relay.call(question, Vec::new()));
        let (answer, descriptors) = match call.await {
            Ok(Ok(answered)) => answered,
            Ok(Err(why)) => return Err(DialError::Unavailable(why.to_string())),
            Err(_) => return Err(DialError::Timeout),
        };
        match answer {
            Dialed::Connected { address } => match descriptors.into_iter().next() {
                Some(socket) => Ok((socket, address)),
                None => Err(DialError::Unavailable("the relay sent no socket".to_owned())),
            },
            Dialed::Refused { reason, detail } => Err(refused(reason, detail.into())),
        }
    }

    /// As [`WayOut::dial`], with the configured deadline.
    ///
    /// # Errors
    /// As there.
    pub async fn reach(&self, destination: &Destination) -> Result<OwnedFd, DialError> {
        let dialed = self.dial(destination.host_text(), destination.port, self.connect_deadline.get()).await?;
        Ok(dialed.0)
    }

    /// Gives a tunnel away; from here on this process is out of its path.
    pub fn splice(&self, tunnel: Tunnel, realm: &str) {
        let Tunnel { client, server, ends, label, user, to_server, to_client } = tunnel;
        self.metrics.tunnels.up();
        let body = Outward::Splice {
            ends,
            label: label.into(),
            user,
            to_server: to_server.into(),
            to_client: to_client.into(),
        };
        if let Err(parcel) = self.relay.hand_over(body, vec![client, server]) {
            give_back(parcel, realm, "too many tunnels wait for the relay", &self.metrics);
        }
    }
}

fn limits(config: &ForwardProxy) -> SenderLimits {
    SenderLimits {
        max_unacknowledged: config.max_unacknowledged,
        wait_deadline: config.connect_deadline.min(SenderLimits::default().wait_deadline),
        ..SenderLimits::default()
    }
}

/// The client hears that nobody took its tunnel, unless it was told already that it has one.
fn give_back(parcel: Parcel<Outward>, realm: &str, why: &str, metrics: &Metrics) {
    metrics.undelivered.up();
    let Outward::Splice { to_client, .. } = parcel.body else { return };
    if let Some(client) = parcel.descriptors.into_iter().next()
        && !to_client.is_empty()
    {
        part(client, &Refusal::unavailable("relay", why).bytes(realm), &metrics.lingering);
    }
}

fn refused(reason: DialRefusal, detail: String) -> DialError {
    match reason {
        DialRefusal::ForbiddenAddress | DialRefusal::NotConfigured => DialError::Denied(detail),
        DialRefusal::Name => DialError::NoAddress(detail),
        DialRefusal::Connect => DialError::Unreachable(detail),
        DialRefusal::Deadline => DialError::Timeout,
        DialRefusal::Full => DialError::Unavailable(detail),
    }
}

impl Dialer for WayOut {
    type Io = TcpStream;

    async fn dial(&self, endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, DialError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let (socket, _) = WayOut::dial(self, endpoint.host.clone(), endpoint.port, left).await?;
        stream(socket).map_err(|error| DialError::Unavailable(error.to_string()))
    }
}

/// A socket as part of the event loop.
///
/// # Errors
/// The system's.
pub fn stream(socket: OwnedFd) -> std::io::Result<TcpStream> {
    let socket = std::net::TcpStream::from(socket);
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    TcpStream::from_std(socket)
}
