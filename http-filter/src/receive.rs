//! Connections come in over IPC: plain HTTP from sni-router, plaintext of TLS from tls-terminator.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use common::config::TlsVersion;
use common::ipc::messages::Ends;
use common::ipc::messages::router_to_filter::PlainHttp;
use common::ipc::messages::terminator_to_filter::{ClientIdentity, Decrypted, Kind};
use common::ipc::receiver::Verdict;
use common::ipc::sender::Parcel;
use common::net::client_limit::{ClientKey, NoPlace, Place};
use common::net::quiet_stream::QuietStream;
use tls_record::Limits;
use tokio::net::TcpStream;

use super::app::Instance;
use super::connection::{self, Past};
use super::no_place;
use super::tls_stream::TlsStream;

/// What is true of a client connection for as long as it lives.
#[derive(Debug)]
pub struct Client {
    /// Who is connected to what.
    pub ends: Ends,
    /// Present if the client speaks TLS.
    pub tls: Option<Tls>,
}

/// What the handshake told.
#[derive(Debug)]
pub struct Tls {
    /// The name that chose the certificate, lower case.
    pub server_name: Option<Box<str>>,
    /// Protocol version.
    pub version: Box<str>,
    /// JA4 fingerprint.
    pub ja4: Box<str>,
    /// Both sides agreed on HTTP/2.
    pub h2: bool,
    /// Who the client has proved to be, by certificate.
    pub identity: Option<Box<ClientIdentity>>,
}

impl Tls {
    /// The version in the words of the configuration.
    pub fn protocol(&self) -> Option<TlsVersion> {
        match &*self.version {
            "TLSv1.3" => Some(TlsVersion::Tls13),
            "TLSv1.2" => Some(TlsVersion::Tls12),
            _ => None,
        }
    }
}

impl Client {
    /// The name of the TLS connection, if there is one.
    pub fn server_name(&self) -> Option<&str> {
        self.tls.as_ref().and_then(|tls| tls.server_name.as_deref())
    }
}

/// A client of a plain-HTTP port.
pub fn plain(instance: &Rc<Instance>, parcel: Parcel<PlainHttp>) -> Verdict {
    let ends = parcel.body.ends;
    let Some(socket) = parcel.descriptors.into_iter().next() else { return Verdict::Taken };
    let place = match enter(instance, ends.client.ip()) {
        Ok(place) => place,
        Err(NoPlace::Full) => return Verdict::Full,
        Err(NoPlace::ClientFull) => return no_place::refuse(instance, socket, Kind::Relay, false),
    };
    instance.metrics.connections_plain.up();
    if let Ok(stream) = TcpStream::from_std(socket.into()) {
        let _ = stream.set_nodelay(true);
        connection::start(instance, stream, Client { ends, tls: None }, place, Past::default());
    }
    Verdict::Taken
}

/// A client whose TLS ends here.
pub fn decrypted(instance: &Rc<Instance>, parcel: Parcel<Decrypted>) -> Verdict {
    let Decrypted { kind, ends, server_name, alpn, version, ja4, identity, .. } = parcel.body;
    let Some(socket) = parcel.descriptors.into_iter().next() else { return Verdict::Taken };
    let h2 = alpn.as_deref() == Some(b"h2");
    let place = match enter(instance, ends.client.ip()) {
        Ok(place) => place,
        Err(NoPlace::Full) => return Verdict::Full,
        Err(NoPlace::ClientFull) => return no_place::refuse(instance, socket, kind, h2),
    };
    instance.metrics.connections_tls.up();
    let client = Client { ends, tls: Some(Tls { server_name, version, ja4, h2, identity }) };
    match kind {
        Kind::Relay => {
            if let Ok(stream) = QuietStream::from_handed_over(socket) {
                connection::start(instance, stream, client, place, Past::default());
            }
            Verdict::Taken
        }
        secrets @ (Kind::Tls13Secrets(_) | Kind::Tls12Keys(_)) => {
            let instance = Rc::clone(instance);
            Verdict::TakenOnce(Box::new(move || go_on(&instance, socket, secrets, client, place)))
        }
    }
}

/// Goes on with a TLS connection, now that nobody else can.
fn go_on(instance: &Rc<Instance>, socket: OwnedFd, secrets: Kind, client: Client, place: Place) {
    match plaintext(instance, socket, secrets) {
        Ok(Plaintext::Here(stream)) => connection::start(instance, *stream, client, place, Past::default()),
        Ok(Plaintext::Relayed(stream)) => connection::start(instance, stream, client, place, Past::default()),
        Err(error) => tracing::error!("tls-terminator handed over a connection that cannot be gone on with: {error}"),
    }
}

/// Where the plaintext of a TLS connection comes from.
pub enum Plaintext {
    /// tls-terminator opens and seals its records.
    Relayed(QuietStream),
    /// This process does.
    Here(Box<TlsStream>),
}

/// The plaintext of a TLS connection.
///
/// # Errors
/// The event loop does not take the socket, or the message makes no sense.
pub fn plaintext(instance: &Instance, socket: OwnedFd, kind: Kind) -> std::io::Result<Plaintext> {
    let limits = Limits { records_per_key: instance.app().config.max_records_per_key, ..Limits::default() };
    let (clock, client) = (instance.clock.clone(), |socket: OwnedFd| TcpStream::from_std(socket.into()));
    let stream = match kind {
        Kind::Relay => return QuietStream::from_handed_over(socket).map(Plaintext::Relayed),
        Kind::Tls13Secrets(secrets) => TlsStream::tls13(client(socket)?, *secrets, limits, clock),
        Kind::Tls12Keys(keys) => TlsStream::tls12(client(socket)?, *keys, limits, clock),
    };
    stream.map(Box::new).map(Plaintext::Here).map_err(std::io::Error::other)
}

/// A place for a connection.
///
/// # Errors
/// All places are taken: its sender offers it to others. Or all that its address may have: it is ours to refuse.
pub fn enter(instance: &Instance, client: IpAddr) -> Result<Place, NoPlace> {
    instance.clients.enter(ClientKey::from(client)).inspect_err(|no_place| {
        match no_place {
            NoPlace::Full => &instance.metrics.full,
            NoPlace::ClientFull => &instance.metrics.client_full,
        }
        .up();
    })
}
