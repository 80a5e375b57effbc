//! Real handshakes of rustls with rustls. One end is then taken out, as the terminator does, and our record layer goes on in its place:
//! the traffic secrets come from a `KeyLog`, the sequence numbers from `dangerous_extract_secrets`.

use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex};

use rustls::crypto::{CipherSuiteCommon, CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, KeyLog, RootCertStore, ServerConfig, ServerConnection, SideData,
    SupportedCipherSuite, Tls13CipherSuite,
};
use tls_record::{Direction, Limits, RecordLayer, Secret, State, Suite};

/// The two application traffic secrets of a handshake.
#[derive(Default)]
pub struct Secrets {
    client: Mutex<Vec<u8>>,
    server: Mutex<Vec<u8>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        match label {
            "CLIENT_TRAFFIC_SECRET_0" => *self.client.lock().unwrap() = secret.to_vec(),
            "SERVER_TRAFFIC_SECRET_0" => *self.server.lock().unwrap() = secret.to_vec(),
            other => panic!("asked to log {other}"),
        }
    }

    fn will_log(&self, label: &str) -> bool {
        matches!(label, "CLIENT_TRAFFIC_SECRET_0" | "SERVER_TRAFFIC_SECRET_0")
    }
}

/// Two ends after a handshake, all of whose records have been delivered.
pub struct Pair {
    pub client: ClientConnection,
    pub server: ServerConnection,
    secrets: Arc<Secrets>,
}

impl Pair {
    pub fn new(suite: Suite) -> Self {
        Self::with_records_per_key(suite, u64::MAX)
    }

    /// rustls updates its keys after so many records, at the latest where the suite wants it.
    pub fn with_records_per_key(suite: Suite, limit: u64) -> Self {
        let secrets = Arc::new(Secrets::default());
        let provider =
            Arc::new(CryptoProvider { cipher_suites: vec![limited(suite, limit)], ..aws_lc_rs::default_provider() });
        let made = rcgen::generate_simple_self_signed(vec!["bulkhead.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        server.key_log = Arc::clone(&secrets) as Arc<dyn KeyLog>;
        server.enable_secret_extraction = true;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.enable_secret_extraction = true;
        let mut pair = Self {
            client: ClientConnection::new(Arc::new(client), ServerName::try_from("bulkhead.test").unwrap()).unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
            secrets,
        };
        while pair.step() {}
        assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
        assert_eq!(u16::from(pair.client.negotiated_cipher_suite().unwrap().suite()), u16::from(suite));
        pair
    }

    fn step(&mut self) -> bool {
        let (to_server, to_client) = (take(&mut self.client), take(&mut self.server));
        feed(&mut self.server, &to_server).unwrap();
        feed(&mut self.client, &to_client).unwrap();
        !to_server.is_empty() || !to_client.is_empty()
    }

    /// The server is taken out: the rustls client, and our layer in the server's place.
    pub fn without_server(self, limits: Limits) -> (ClientConnection, RecordLayer) {
        let suite = suite_of(&self.server);
        let extracted = self.server.dangerous_extract_secrets().unwrap();
        let read = direction(suite, &self.secrets.client, extracted.rx.0);
        let write = direction(suite, &self.secrets.server, extracted.tx.0);
        assert!(write.sequence > 0, "the tickets count");
        (self.client, RecordLayer::new(State { suite, read, write }, limits).unwrap())
    }

    /// The client is taken out.
    pub fn without_client(self, limits: Limits) -> (ServerConnection, RecordLayer) {
        let suite = suite_of(&self.server);
        let extracted = self.client.dangerous_extract_secrets().unwrap();
        let read = direction(suite, &self.secrets.server, extracted.rx.0);
        let write = direction(suite, &self.secrets.client, extracted.tx.0);
        (self.server, RecordLayer::new(State { suite, read, write }, limits).unwrap())
    }
}

/// rustls's suite with another limit of records per key. It wants a `'static` one, so each of the few that tests make stays.
fn limited(suite: Suite, limit: u64) -> SupportedCipherSuite {
    let known = aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|known| u16::from(known.suite()) == u16::from(suite)).unwrap();
    let SupportedCipherSuite::Tls13(known) = known else { panic!("of TLS 1.3") };
    let common = CipherSuiteCommon {
        suite: known.common.suite,
        hash_provider: known.common.hash_provider,
        confidentiality_limit: known.common.confidentiality_limit.min(limit),
    };
    let &Tls13CipherSuite { hkdf_provider, aead_alg, quic, .. } = *known;
    SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite { common, hkdf_provider, aead_alg, quic })))
}

fn suite_of(connection: &ServerConnection) -> Suite {
    Suite::try_from(u16::from(connection.negotiated_cipher_suite().unwrap().suite())).unwrap()
}

fn direction(suite: Suite, secret: &Mutex<Vec<u8>>, sequence: u64) -> Direction {
    Direction { secret: Secret::new(suite, &secret.lock().unwrap()).unwrap(), sequence }
}

/// What a rustls connection wants to send.
pub fn take<D: SideData>(connection: &mut ConnectionCommon<D>) -> Vec<u8> {
    let mut out = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut out).unwrap();
    }
    out
}

/// Gives bytes to a rustls connection, record by record; returns the plaintext.
pub fn feed<D: SideData>(connection: &mut ConnectionCommon<D>, mut bytes: &[u8]) -> Result<Vec<u8>, rustls::Error> {
    let mut plain = Vec::new();
    while !bytes.is_empty() {
        let whole = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        let (mut record, rest) = bytes.split_at(whole);
        bytes = rest;
        while !record.is_empty() {
            connection.read_tls(&mut record).unwrap();
        }
        let state = connection.process_new_packets()?;
        let mut now = vec![0; state.plaintext_bytes_to_read()];
        connection.reader().read_exact(&mut now).unwrap();
        plain.append(&mut now);
    }
    Ok(plain)
}
