//! What stands behind the proxy in tests: a server of our own that records every byte it receives, so that a test can see
//! exactly what left the proxy, and a real nginx.
//!
//! [`Backend`] talks in one of several manners: [`application`] (HTTP/1.1), [`websocket`], echo, silence, or a closure that
//! misbehaves as a test needs it. [`strict`] judges recorded bytes without mercy.

pub mod application;
pub mod h2;
pub mod nginx;
pub mod strict;
pub mod websocket;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use crate::certificates::Signed;
use crate::limits::eventually;

/// Backends stand on an address of their own, so that "this machine" (127.0.0.1) and "the backend" can be told apart.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Longest silence a backend bears.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection as a test sees it afterwards.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where it came from.
    pub peer: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
    stream: Arc<TcpStream>,
}

impl Connection {
    /// Everything received so far (plaintext, where the backend speaks TLS).
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().expect("no panic inside").clone()
    }
}

/// A server.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Connection>>>,
    over: Arc<AtomicBool>,
}

/// What a manner of talking gets: one client.
pub struct Talk {
    stream: Box<dyn ReadWrite>,
    raw: TcpStream,
    record: Arc<Mutex<Vec<u8>>>,
    resets: Arc<AtomicBool>,
    /// Read but not yet used.
    ahead: Vec<u8>,
}

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

impl Backend {
    /// HTTP/1.1, see [`application`].
    pub fn application() -> Self {
        Self::talking(application::talk)
    }

    /// HTTP/1.1 over TLS with this certificate.
    pub fn tls_application(identity: &Signed) -> Self {
        Self::start((ADDRESS, 0).into(), Some(identity), application::talk)
    }

    /// HTTP/1.1 over TLS, for clients that show a certificate of the test authority.
    pub fn mutual_tls_application(identity: &Signed) -> Self {
        Self::start_with((ADDRESS, 0).into(), Some(server_config(identity, true)), application::talk)
    }

    /// In a manner of the test's own, over TLS.
    pub fn tls_talking(identity: &Signed, talk: impl Fn(Talk) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::start((ADDRESS, 0).into(), Some(identity), talk)
    }

    /// Sends back whatever comes, and ends when the client does.
    pub fn echo() -> Self {
        Self::talking(echo)
    }

    /// Records and says nothing.
    pub fn silent() -> Self {
        Self::talking(|mut talk| {
            talk.drain();
            Ok(())
        })
    }

    /// On this address instead: a trap that nobody should ever reach.
    pub fn trap(address: SocketAddr) -> Self {
        Self::start(address, None, |mut talk| talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntrap!\n"))
    }

    /// In a manner of the test's own.
    pub fn talking(talk: impl Fn(Talk) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::start((ADDRESS, 0).into(), None, talk)
    }

    fn start(
        address: SocketAddr,
        identity: Option<&Signed>,
        talk: impl Fn(Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(address, identity.map(|identity| server_config(identity, false)), talk)
    }

    fn start_with(
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        talk: impl Fn(Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a loopback address");
        // As servers have it, not the 128 of the standard library: what overflows waits a second for the kernel to try again.
        rustix::net::listen(&listener, 4096).expect("a listener can be told again");
        let address = listener.local_addr().expect("a bound socket");
        let backend = Self { address, connections: Arc::default(), over: Arc::default() };
        let (connections, over) = (Arc::clone(&backend.connections), Arc::clone(&backend.over));
        let talk = Arc::new(talk);
        thread::spawn(move || {
            while let Ok((stream, peer)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let _ = stream.set_nodelay(true);
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let record = Arc::new(Mutex::new(Vec::new()));
                let (Ok(kept), Ok(raw)) = (stream.try_clone(), stream.try_clone()) else { continue };
                let seen = Connection { peer, bytes: Arc::clone(&record), stream: Arc::new(kept) };
                connections.lock().expect("no panic inside").push(seen.clone());
                let (talk, tls) = (Arc::clone(&talk), tls.clone());
                thread::spawn(move || {
                    let stream: Box<dyn ReadWrite> = match tls.map(ServerConnection::new) {
                        Some(Ok(connection)) => Box::new(StreamOwned::new(connection, stream)),
                        Some(Err(_)) => return,
                        None => Box::new(stream),
                    };
                    let resets = Arc::new(AtomicBool::new(false));
                    let _ = talk(Talk { stream, raw, record, resets: Arc::clone(&resets), ahead: Vec::new() });
                    if resets.load(Ordering::SeqCst) {
                        // With no time to linger a disconnect is a reset, however many copies of the socket there are.
                        let _ = rustix::net::connect_unspec(&seen.stream);
                        return;
                    }
                    let _ = seen.stream.shutdown(Shutdown::Both);
                });
            }
        });
        backend
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All connections so far, oldest first.
    pub fn connections(&self) -> Vec<Connection> {
        self.connections.lock().expect("no panic inside").clone()
    }

    /// Forgets what was recorded so far, so that the next request is the first.
    pub fn forget(&self) {
        self.connections.lock().expect("no panic inside").clear();
    }

    /// All bytes of all connections so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.connections().iter().flat_map(Connection::bytes).collect()
    }

    /// Waits until some connection has received at least `count` bytes.
    pub fn wait_for_bytes(&self, count: usize) -> Vec<u8> {
        let enough = || self.connections().iter().map(Connection::bytes).find(|bytes| bytes.len() >= count);
        eventually(5, &format!("the backend receives {count} bytes"), enough)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the accept loop
        for connection in self.connections() {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

impl Talk {
    /// Reads once; 0 at the end. What comes is recorded.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            return Ok(count);
        }
        let count = self.stream.read(buffer)?;
        self.record.lock().expect("no panic inside").extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// Reads up to and including `end`.
    pub fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = all.windows(end.len()).position(|window| window == end) {
                self.ahead.splice(..0, all.drain(at + end.len()..));
                return Ok(all);
            }
            match self.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Reads exactly so many bytes.
    pub fn read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut all = vec![0; count];
        let mut have = 0;
        while have < count {
            match self.read(&mut all[have..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => have += more,
            }
        }
        Ok(all)
    }

    /// What was read is read again by whoever reads next.
    pub fn put_back(&mut self, bytes: &[u8]) {
        self.ahead.splice(..0, bytes.iter().copied());
    }

    /// Reads until the client ends or breaks off.
    pub fn drain(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while matches!(self.read(&mut buffer), Ok(1..)) {}
    }

    /// Sends.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Breaks off with a reset (RST) instead of an end.
    pub fn reset(&mut self) -> io::Result<()> {
        rustix::net::sockopt::set_socket_linger(&self.raw, Some(Duration::ZERO))?;
        self.resets.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Ends our direction only.
    pub fn end(&mut self) -> io::Result<()> {
        self.raw.shutdown(Shutdown::Write)
    }
}

fn echo(mut talk: Talk) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match talk.read(&mut buffer)? {
            0 => return talk.end(),
            count => talk.say(&buffer[..count])?,
        }
    }
}

fn server_config(identity: &Signed, mutual: bool) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let config = config.expect("default versions");
    let config = if mutual {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(crate::certificates::authority_der()).expect("our own authority");
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        config.with_client_cert_verifier(verifier.expect("our own authority"))
    } else {
        config.with_no_client_auth()
    };
    let mut config =
        config.with_single_cert(vec![identity.der.clone()], identity.key()).expect("a certificate of ours");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
