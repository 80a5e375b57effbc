//! TLS by rustls, trusting the test authority only, blocking and full of details.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::raw;
use crate::certificates;

/// A TLS stream.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The ways in which a client may differ.
#[derive(Debug, Clone)]
pub struct Client {
    name: String,
    send_name: bool,
    alpn: Vec<Vec<u8>>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// A client that asks for this server and offers HTTP/1.1.
pub fn client(name: &str) -> Client {
    Client {
        name: name.to_owned(),
        send_name: true,
        alpn: vec![b"http/1.1".to_vec()],
        versions: rustls::ALL_VERSIONS.to_vec(),
    }
}

impl Client {
    /// Offers these protocols.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Does not say which server it wants.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.send_name = false;
        self
    }

    /// TLS 1.2 only.
    #[must_use]
    pub fn tls12(mut self) -> Self {
        self.versions = vec![&rustls::version::TLS12];
        self
    }

    fn connection(&self) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(certificates::authority_der()).expect("our own authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&self.versions);
        let mut config = config.expect("versions of rustls").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols.clone_from(&self.alpn);
        config.enable_sni = self.send_name;
        let name = ServerName::try_from(self.name.clone()).expect("a name");
        ClientConnection::new(Arc::new(config), name).expect("a valid configuration")
    }

    /// Connects and completes the handshake.
    ///
    /// # Errors
    /// What came instead: an alert is in the text, by its name in rustls.
    pub fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        self.over(raw::connect(address))
    }

    /// The same over a connection that exists.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn over(&self, stream: TcpStream) -> io::Result<Stream> {
        finish(self.connection(), stream)
    }

    /// The bytes of a ClientHello, and the connection that waits for the answer to it.
    pub fn hello(&self) -> (Vec<u8>, ClientConnection) {
        let mut connection = self.connection();
        let mut bytes = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut bytes).expect("a vector takes everything");
        }
        (bytes, connection)
    }
}

/// Goes on with a handshake whose ClientHello was sent by hand.
///
/// # Errors
/// As [`Client::connect`].
pub fn finish(mut connection: ClientConnection, mut stream: TcpStream) -> io::Result<Stream> {
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// The certificate the server showed.
pub fn certificate(stream: &Stream) -> Vec<u8> {
    let shown = stream.conn.peer_certificates().and_then(<[_]>::first);
    shown.map(|certificate| certificate.as_ref().to_vec()).unwrap_or_default()
}

/// Says goodbye properly (close_notify) and ends our direction.
pub fn goodbye(mut stream: Stream) {
    stream.conn.send_close_notify();
    let _ = stream.flush();
    let _ = stream.sock.shutdown(std::net::Shutdown::Write);
}
