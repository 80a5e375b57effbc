//! The yardstick: an HTTP/1.1 server on rustls and nothing else, with the certificates and protocols of the site under test. What
//! a stranger can do to it, he may be able to do to us; anything more is a fault of ours.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::world::{SITE, pairs};

/// A server; its thread ends with the test program.
pub struct Bare {
    /// Where it listens.
    pub address: SocketAddr,
}

/// The first pair whose key the client can verify with, as the terminator chooses; else the first, at which rustls finds out.
#[derive(Debug)]
struct Pairs(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Pairs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |pair: &&Arc<CertifiedKey>| pair.key.choose_scheme(hello.signature_schemes()).is_some();
        self.0.iter().find(fits).or(self.0.first()).cloned()
    }
}

impl Bare {
    /// Starts one.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback address");
        let address = listener.local_addr().expect("a bound socket");
        let config = config();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let config = Arc::clone(&config);
                thread::spawn(move || serve(config, stream));
            }
        });
        Self { address }
    }
}

fn config() -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let made = pairs().iter().filter(|pair| pair.site == SITE).map(|pair| {
        let key = provider.key_provider.load_private_key(pair.signed.key()).expect("a key of ours");
        Arc::new(CertifiedKey::new(vec![pair.signed.der.clone()], key))
    });
    let made = Pairs(made.collect());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.expect("default versions").with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(made));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().expect("randomness");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Arc::new(config)
}

/// Serves a client until it has had enough; then what rustls has to say is said, and read on a little, so that the client's
/// system does not throw it away for a reset.
fn serve(config: Arc<ServerConfig>, socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = socket.set_read_timeout(Some(Duration::from_secs(20)));
    let Ok(tls) = ServerConnection::new(config) else { return };
    let mut stream = StreamOwned::new(tls, socket);
    let end = talk(&mut stream);
    // What rustls says to a client that broke a rule it has said already, and where it says nothing we say nothing for it.
    let in_order =
        matches!(&end, Err(error) if error.kind() == io::ErrorKind::UnexpectedEof) && !stream.conn.is_handshaking();
    if in_order {
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
    let _ = stream.sock.shutdown(Shutdown::Write);
    let _ = stream.sock.set_read_timeout(Some(Duration::from_millis(200)));
    let mut rest = [0; 16 * 1024];
    while matches!(stream.sock.read(&mut rest), Ok(1..)) {}
}

/// Every request is answered with its own head.
fn talk(stream: &mut (impl Read + Write)) -> io::Result<()> {
    loop {
        let head = harness::clients::http::read_head(stream)?;
        let length = harness::backends::application::header(&head, "content-length");
        let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
        stream.read_exact(&mut body)?;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        stream.write_all(answer.as_bytes())?;
        stream.flush()?;
    }
}
