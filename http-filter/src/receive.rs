//! Connections come in over IPC: plain HTTP from sni-router, plaintext of TLS from tls-terminator.

use std::net::IpAddr;
use std::rc::Rc;

use common::config::TlsVersion;
use common::ipc::messages::Ends;
use common::ipc::messages::router_to_filter::PlainHttp;
use common::ipc::messages::terminator_to_filter::{ClientIdentity, Decrypted, Kind};
use common::ipc::receiver::Verdict;
use common::ipc::sender::Parcel;
use common::net::client_limit::{ClientKey, NoPlace, Place};
use common::net::quiet_stream::QuietStream;
use tokio::net::TcpStream;

use super::app::Instance;
use super::connection;

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
    let place = match enter(instance, ends.client.ip()) {
        Ok(place) => place,
        Err(verdict) => return verdict,
    };
    instance.metrics.connections_plain.up();
    let stream = parcel.descriptors.into_iter().next().map(std::net::TcpStream::from).map(TcpStream::from_std);
    if let Some(Ok(stream)) = stream {
        let _ = stream.set_nodelay(true);
        connection::start(instance, stream, Client { ends, tls: None }, place);
    }
    Verdict::Taken
}

/// A client whose TLS ends here.
pub fn decrypted(instance: &Rc<Instance>, parcel: Parcel<Decrypted>) -> Verdict {
    let Decrypted { kind: Kind::Relay, ends, server_name, alpn, version, ja4, identity, .. } = parcel.body;
    let place = match enter(instance, ends.client.ip()) {
        Ok(place) => place,
        Err(verdict) => return verdict,
    };
    instance.metrics.connections_tls.up();
    let h2 = alpn.as_deref() == Some(b"h2");
    let stream = parcel.descriptors.into_iter().next().map(QuietStream::from_handed_over);
    if let Some(Ok(stream)) = stream {
        connection::start(
            instance,
            stream,
            Client { ends, tls: Some(Tls { server_name, version, ja4, h2, identity }) },
            place,
        );
    }
    Verdict::Taken
}

fn enter(instance: &Instance, client: IpAddr) -> Result<Place, Verdict> {
    instance.clients.enter(ClientKey::from(client)).map_err(|no_place| match no_place {
        NoPlace::Full => {
            instance.metrics.full.up();
            Verdict::Full
        }
        NoPlace::ClientFull => {
            instance.metrics.client_full.up();
            Verdict::Taken // ours to refuse: its socket is dropped with the parcel
        }
    })
}
