//! Takes client sockets from sni-router and leads each through its life: admission → certificate → handshake → hand-over →
//! relay → one log line.

use std::cell::RefCell;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ipc::Nothing;
use common::ipc::messages::router_to_terminator::Terminate;
use common::ipc::messages::terminator_to_filter::{ClientIdentity, Decrypted, Kind, TLS12_KEYS};
use common::ipc::receiver::{Arrival, Verdict};
use common::ipc::sender::Sender;
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, ServerConfig};
use tokio::net::TcpStream;

use crate::admission::{Admission, HandshakePlace, Place};
use crate::client_identity::{identity, with_certificate};
use crate::ending::{Ending, Failure};
use crate::handshake::{self, Shaken};
use crate::handshake_rate::Guard;
use crate::metrics::TerminatorFigures;
use crate::pulse::Clock;
use crate::relay::{Relay, Relayed};
use crate::secrets;
use crate::tls_config::Sites;
use crate::turn_away::{self, Complaints, offers_session};
use crate::under_way::{self, Handshake};
use crate::unserved;
use common::net::client_limit::NoPlace;
use common::net::quiet_stream::QuietStream;

/// What every connection needs.
#[derive(Debug)]
pub struct World {
    /// What handshakes that begin now are made with; a reload replaces it.
    pub current: RefCell<Rc<Generation>>,
    /// Who may come in.
    pub admission: Rc<Admission>,
    /// Coarse time.
    pub clock: Rc<Clock>,
    /// Towards http-filter.
    pub filters: Sender<Decrypted, Nothing>,
    /// The figures.
    pub figures: TerminatorFigures,
    /// Signatures by client network.
    pub guard: Rc<Guard>,
    /// About clients that are turned away.
    pub complaints: Complaints,
}

/// One configuration at work.
#[derive(Debug)]
pub struct Generation {
    /// Certificates and configurations.
    pub sites: Sites,
    /// Time for a handshake.
    pub handshake_deadline: Duration,
    /// How long nothing may move. Also how long sent bytes may stay unacknowledged: the kernel counts the time of a client
    /// that has merely stopped reading in (tcp(7), `TCP_USER_TIMEOUT`), so it must not be shorter.
    pub idle_deadline: Duration,
    /// `log.access`
    pub access_log: bool,
    /// `tls-terminator.warn_before`, in seconds.
    pub warn_before: i64,
}

impl World {
    /// For what begins now.
    pub fn now(&self) -> Rc<Generation> {
        Rc::clone(&self.current.borrow())
    }

    /// Begins to serve a socket, or gives it back. Called by the edge's receiver; never waits.
    pub fn receive(self: &Rc<Self>, arrival: Arrival<Terminate, Nothing>) -> Verdict {
        let Terminate { ends, server_name, ja4 } = arrival.parcel.body;
        let Some(socket) = arrival.parcel.descriptors.into_iter().next() else {
            return Verdict::Taken; // the receiver has checked the number; nothing came, nothing is lost
        };
        let (place, shaking) = match self.admission.admit(ends.client.ip()) {
            Ok(places) => places,
            Err(NoPlace::Full) => {
                self.figures.returned.up();
                return Verdict::Full;
            }
            Err(NoPlace::ClientFull) => return self.refuse_address(ends.client.ip()),
        };
        self.figures.received.up();
        let arrived = Arrived { ends, server_name, ja4, began: Instant::now(), place };
        match prepare(socket, self.now().idle_deadline) {
            Ok(client) => drop(tokio::task::spawn_local(Rc::clone(self).live(client, arrived, shaking))),
            Err(error) => tracing::error!("cannot use the socket that sni-router sent: {error}"),
        }
        Verdict::Taken
    }

    fn refuse_address(&self, client: IpAddr) -> Verdict {
        self.figures.refused_address.up();
        tracing::debug!(%client, "refused: max_connections_per_address");
        Verdict::Taken
    }

    async fn live(self: Rc<Self>, mut client: TcpStream, arrived: Arrived, shaking: HandshakePlace) {
        let _open = self.figures.connections.hold();
        let Some(config) = self.now().sites.for_name(arrived.server_name.as_deref()) else {
            self.refuse_name(&arrived);
            return handshake::refuse_name(&mut client).await;
        };
        if !self.guard.has_room(arrived.ends.client.ip()) && !offers_session(&client, &config) {
            drop(shaking);
            self.figures.refused_rate.up();
            self.complaints.rate(arrived.ends.client.ip());
            if turn_away::deny(&mut client).await.is_ok() {
                handshake::farewell(&mut client).await;
            }
            return;
        }
        let leaves = config.enable_secret_extraction;
        let whole = self.now().sites.hands_certificates_on(arrived.server_name.as_deref());
        let shaken = match self.shake(&mut client, config, &arrived).await {
            Ok(shaken) => shaken,
            Err(failure) => {
                failure.figure(&self.figures).up();
                tracing::debug!(client = %arrived.ends.client, server_name = arrived.server_name, "handshake failed: {failure}");
                drop(shaking);
                if matches!(failure, Failure::Tls(_) | Failure::TooMany) {
                    handshake::farewell(&mut client).await;
                }
                return;
            }
        };
        drop(shaking);
        let facts = match Facts::of(&shaken, leaves, whole) {
            Ok(facts) => facts,
            Err(why) => {
                self.figures.refused_identity.up();
                tracing::warn!(client = %arrived.ends.client, server_name = arrived.server_name, "closed: client certificate: {why}");
                return;
            }
        };
        facts.count(&self.figures);
        if facts.leaves && (facts.version == TLS13 || self.filters.is_read(TLS12_KEYS)) {
            self.hand_over(client, arrived, facts, shaken);
        } else {
            self.relay(client, arrived, facts, shaken).await;
        }
    }

    fn refuse_name(&self, arrived: &Arrived) {
        let (figure, why) = match self.now().sites.site_for(arrived.server_name.as_deref()) {
            None => (&self.figures.refused_name, "no site has this name"),
            Some(_) => (&self.figures.refused_certificate, "the site of this name has no good certificate"),
        };
        figure.up();
        tracing::debug!(client = %arrived.ends.client, server_name = arrived.server_name, "refused: {why}");
    }

    async fn shake(
        &self,
        client: &mut TcpStream,
        config: Arc<ServerConfig>,
        arrived: &Arrived,
    ) -> Result<Shaken, Failure> {
        let _shaking = self.figures.handshakes.hold();
        let handshake = Handshake::new(arrived.ends.client.ip(), &self.guard);
        let shake = handshake::shake(client, config, arrived.server_name.as_deref());
        let shake = under_way::within(Rc::clone(&handshake), shake);
        let outcome = tokio::time::timeout(self.now().handshake_deadline, shake).await.unwrap_or(Err(Failure::Late));
        let Err(failure) = outcome else { return outcome };
        if handshake.refused() {
            self.complaints.rate(arrived.ends.client.ip());
            if matches!(failure, Failure::Tls(rustls::Error::General(_))) {
                let _ = turn_away::deny(client).await; // rustls says nothing there in TLS 1.2, and nothing is encrypted yet
            }
            return Err(Failure::TooMany);
        }
        let (name, subject) = (arrived.server_name.as_deref(), handshake.subject());
        self.complaints.certificate(arrived.ends.client, name, &failure, subject.as_deref());
        Err(failure)
    }

    /// Gives http-filter the connection itself. From here on this process knows nothing of it.
    fn hand_over(&self, client: TcpStream, arrived: Arrived, facts: Facts, shaken: Shaken) {
        let parts = secrets::extract(*shaken.tls, shaken.caught, shaken.held).map_err(|error| error.to_string());
        let socket = client.into_std().map(OwnedFd::from).map_err(|error| error.to_string());
        match parts.and_then(|parts| Ok((parts, socket?))) {
            Ok((parts, socket)) => {
                self.log(&arrived, &facts, None);
                self.figures.handed_over.up();
                self.send(&arrived, facts, parts, socket);
            }
            Err(error) => {
                self.figures.undelivered.up();
                tracing::error!("a connection is closed because it cannot be handed over: {error}");
            }
        }
    }

    /// Stays between the client and http-filter.
    async fn relay(&self, mut client: TcpStream, arrived: Arrived, facts: Facts, mut shaken: Shaken) {
        let (filter, theirs): (QuietStream, OwnedFd) = match QuietStream::pair() {
            Ok(pair) => pair,
            Err(error) => {
                self.figures.undelivered.up();
                return tracing::error!("cannot make a stream to http-filter: {error}");
            }
        };
        if let Err(error) = shaken.read_on() {
            self.figures.handshakes_faulty.up();
            tracing::debug!(client = %arrived.ends.client, "the client broke the protocol behind its handshake: {error}");
            return handshake::refuse(&mut client, &shaken.unsent).await;
        }
        // An end that is not delivered gets an answer that says so: the relay takes it to the client, and says goodbye.
        self.send(&arrived, facts.clone(), Kind::Relay, theirs);
        let relay = Relay::new(&mut client, filter, shaken, self.clock.join(), &self.figures);
        let relayed = relay.run().await;
        relayed.ending.figure(&self.figures).up();
        self.log(&arrived, &facts, Some(relayed));
        if relayed.ending == Ending::Faulty {
            handshake::farewell(&mut client).await;
        }
    }

    fn send(&self, arrived: &Arrived, facts: Facts, kind: Kind, descriptor: OwnedFd) {
        let message = Decrypted {
            kind,
            ends: arrived.ends,
            server_name: arrived.server_name.clone(),
            alpn: facts.alpn,
            version: facts.version.into(),
            suite: facts.suite,
            ja4: arrived.ja4.clone(),
            identity: facts.identity,
        };
        if let Err(parcel) = self.filters.hand_over(message, vec![descriptor]) {
            self.figures.undelivered.up();
            unserved::tell(parcel, &self.figures.lingering);
        }
    }

    /// One line per connection: when it ends here, or (without `relayed`) when it goes on without this process.
    fn log(&self, arrived: &Arrived, facts: &Facts, relayed: Option<Relayed>) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    client = %arrived.ends.client,
                    server_name = arrived.server_name.as_deref(),
                    version = facts.version,
                    suite = &*facts.suite,
                    alpn = facts.alpn.as_deref().map(|alpn| String::from_utf8_lossy(alpn)).as_deref(),
                    subject = facts.identity.as_ref().map(|identity| &*identity.subject),
                    resumed = facts.resumed,
                    bytes_in = relayed.map(|relayed| relayed.from_client),
                    bytes_out = relayed.map(|relayed| relayed.from_filter),
                    ms = u64::try_from(arrived.began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    end = relayed.map(|relayed| relayed.ending.as_str()),
                    "{}",
                    if relayed.is_some() { "connection ended" } else { "connection handed over" }
                )
            };
        }
        if self.now().access_log {
            line!(info);
        } else {
            line!(debug);
        }
    }
}

const TLS13: &str = "TLSv1.3";

/// A connection as it came.
#[derive(Debug)]
struct Arrived {
    ends: common::ipc::messages::Ends,
    server_name: Option<Box<str>>,
    ja4: Box<str>,
    began: Instant,
    #[allow(dead_code)] // held for as long as the connection lives
    place: Place,
}

/// What a handshake agreed on.
#[derive(Debug, Clone)]
struct Facts {
    /// The connection goes on in http-filter, keys and all.
    leaves: bool,
    version: &'static str,
    suite: Box<str>,
    alpn: Option<Box<[u8]>>,
    resumed: bool,
    post_quantum: bool,
    identity: Option<Box<ClientIdentity>>,
}

impl Facts {
    /// `leaves`: the site hands connections over. `whole`: its backends get certificates. `Err`: why rules cannot be asked about the
    /// client's certificate.
    fn of(shaken: &Shaken, leaves: bool, whole: bool) -> Result<Self, &'static str> {
        let tls = &shaken.tls;
        let version = match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TLS13,
            _ => "TLSv1.2",
        };
        let suite = tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
        let group = tls.negotiated_key_exchange_group().map(|group| group.name());
        let certificate = tls.peer_certificates().and_then(<[_]>::first);
        let read = if whole { with_certificate } else { identity };
        Ok(Self {
            leaves,
            version,
            // rustls says TLS13_, the registry (RFC 8446 §B.4) TLS_.
            suite: suite.replacen("TLS13_", "TLS_", 1).into(),
            alpn: tls.alpn_protocol().map(Into::into),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
            post_quantum: matches!(
                group,
                Some(NamedGroup::X25519MLKEM768 | NamedGroup::secp256r1MLKEM768 | NamedGroup::MLKEM1024)
            ),
            identity: certificate.map(|leaf| read(leaf).map(Box::new)).transpose()?,
        })
    }

    fn count(&self, figures: &TerminatorFigures) {
        if self.resumed { &figures.handshakes_resumed } else { &figures.handshakes_full }.up();
        if self.version == TLS13 { &figures.tls13 } else { &figures.tls12 }.up();
        if self.identity.is_some() {
            figures.client_certificates.up();
        }
        if self.post_quantum {
            figures.post_quantum.up();
        }
    }
}

/// Makes the socket ready: never blocks, sends at once, notices a client that is gone.
fn prepare(socket: OwnedFd, user_timeout: Duration) -> std::io::Result<TcpStream> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    let client = TcpStream::from_std(socket.into())?;
    // Not every stream a test hands over is TCP; these two only make things better.
    let _ = rustix::net::sockopt::set_tcp_nodelay(&client, true);
    let user_timeout = u32::try_from(user_timeout.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&client, user_timeout);
    Ok(client)
}
