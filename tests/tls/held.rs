//! A rustls client whose bytes are sent by hand: the test holds what TLS wants to say and decides how it travels.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use harness::certificates;
use harness::clients::http::{Answer, read_answer};
use harness::clients::raw;
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, ClientConnection, RootCertStore};

use crate::world::SITE;

/// The suites of TLS 1.3.
pub const SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// One of TLS 1.2 for each AEAD.
pub const OLD_SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// A client for [`SITE`] with one suite, or with any of TLS 1.2. It keeps sessions.
pub fn config(suite: Option<CipherSuite>) -> Arc<ClientConfig> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    let versions: &[&rustls::SupportedProtocolVersion] = match suite {
        Some(wanted) => {
            provider.cipher_suites.retain(|suite| suite.suite() == wanted);
            if OLD_SUITES.contains(&wanted) { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] }
        }
        None => &[&rustls::version::TLS12],
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificates::authority_der()).expect("our own authority");
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions);
    let mut config = config.expect("versions of rustls").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.enable_secret_extraction = true;
    Arc::new(config)
}

/// A connection.
pub struct Held {
    /// Its TLS.
    pub tls: ClientConnection,
    /// Its socket, without delay.
    pub socket: TcpStream,
    /// Sealed, and not sent yet.
    pub held: Vec<u8>,
}

impl Held {
    /// Shakes hands up to its own last flight, which is held.
    pub fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from(SITE).expect("a name");
        let tls = ClientConnection::new(config, name).expect("a valid configuration");
        let mut held = Self { tls, socket: raw::connect(address), held: Vec::new() };
        while held.tls.is_handshaking() {
            held.seal();
            // In a full handshake of TLS 1.2 the server speaks last: then our last flight cannot be held.
            held.send_all();
            held.hear().expect("the server shakes hands");
        }
        held.seal();
        held
    }

    /// Connects and sends even the last flight.
    pub fn open(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let mut held = Self::connect(address, config);
        held.send_all();
        held
    }

    /// Moves what TLS wants to say into what is held.
    pub fn seal(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.held).expect("a vector takes everything");
        }
    }

    /// Seals plaintext in a record of its own (several, if it is longer than one may be).
    pub fn say(&mut self, plaintext: &[u8]) {
        let mut rest = plaintext;
        while !rest.is_empty() {
            let taken = self.tls.writer().write(rest).expect("rustls takes plaintext");
            rest = &rest[taken..];
            self.seal();
        }
    }

    /// Sends all that is held, in one go.
    pub fn send_all(&mut self) {
        let bytes = std::mem::take(&mut self.held);
        self.socket.write_all(&bytes).expect("the server reads");
    }

    /// Sends all that is held, cut at these places.
    pub fn send_cut(&mut self, cuts: &[usize], pause: Duration) {
        let bytes = std::mem::take(&mut self.held);
        raw::send_in_pieces(&mut self.socket, &bytes, cuts, pause).expect("the server reads");
    }

    /// The next answer.
    pub fn answer(&mut self) -> io::Result<Answer> {
        read_answer(self)
    }

    fn hear(&mut self) -> io::Result<usize> {
        let count = self.tls.read_tls(&mut self.socket)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.tls.process_new_packets().map_err(io::Error::other)?;
        Ok(count)
    }
}

impl Write for Held {
    fn write(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        self.say(plaintext);
        let bytes = std::mem::take(&mut self.held);
        self.socket.write_all(&bytes)?;
        Ok(plaintext.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.hear()?,
                other => return other,
            };
        }
    }
}
