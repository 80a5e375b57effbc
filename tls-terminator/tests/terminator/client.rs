//! A blocking rustls client with everything a test may want to turn.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::ServerName;

use crate::world::World;

pub const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

pub struct Client {
    pub tls: ClientConnection,
    pub tcp: TcpStream,
}

/// A configuration that trusts the world's authority.
pub fn config(world: &World, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> ClientConfig {
    config_with(tls_terminator::tls_config::provider(), world, versions, alpn)
}

pub fn config_with(
    provider: CryptoProvider,
    world: &World,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(world.authority.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

impl Client {
    /// Connects; the handshake happens with the first byte.
    pub fn new(world: &World, config: ClientConfig, name: &str) -> Self {
        Self::shared(world, &Arc::new(config), name)
    }

    pub fn shared(world: &World, config: &Arc<ClientConfig>, name: &str) -> Self {
        let tcp = TcpStream::connect(world.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self { tls: ClientConnection::new(Arc::clone(config), name).unwrap(), tcp }
    }

    /// A client that everything is right for.
    pub fn good(world: &World) -> Self {
        Self::new(world, config(world, TLS13, &["http/1.1"]), "shop.example")
    }

    pub fn shake(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() || self.tls.wants_write() {
            self.tls.complete_io(&mut self.tcp)?;
        }
        Ok(())
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        rustls::Stream::new(&mut self.tls, &mut self.tcp).write_all(bytes)
    }

    pub fn receive(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        rustls::Stream::new(&mut self.tls, &mut self.tcp).read_exact(&mut bytes)?;
        Ok(bytes)
    }

    #[track_caller]
    pub fn echo(&mut self, bytes: &[u8]) {
        self.send(bytes).unwrap();
        assert_eq!(self.receive(bytes.len()).unwrap(), bytes);
    }

    /// Reads to the end. `Ok` only if the end came with `close_notify`.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        rustls::Stream::new(&mut self.tls, &mut self.tcp).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub fn goodbye(&mut self) {
        self.tls.send_close_notify();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp).unwrap();
        }
    }

    /// Sends `bytes` and reads as many, both at once. With `hold` it reads nothing before its own sending is stuck, that is,
    /// before every buffer on the way there and back is full. Returns how much was sent when reading began, and whether what
    /// came back is what was sent.
    pub fn duplex(&mut self, bytes: &[u8], hold: bool) -> (usize, bool) {
        self.tcp.set_nonblocking(true).unwrap();
        let (mut sent, mut got, mut same) = (0, 0, true);
        let (mut reading, mut stuck, mut sent_before) = (!hold, 0, 0);
        let began = Instant::now();
        let mut buffer = vec![0; 64 * 1024];
        while got < bytes.len() {
            assert!(began.elapsed() < Duration::from_secs(60), "sent {sent}, got {got} of {}", bytes.len());
            let mut moved = false;
            if sent < bytes.len() {
                let written = self.tls.writer().write(&bytes[sent..]).unwrap();
                sent += written;
                moved |= written > 0;
            }
            while self.tls.wants_write() {
                match self.tls.write_tls(&mut self.tcp) {
                    Ok(_) => moved = true,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            if !reading {
                stuck = if moved { 0 } else { stuck + 1 };
                std::thread::sleep(if moved { Duration::ZERO } else { Duration::from_millis(10) });
                (reading, sent_before) = (stuck > 40, sent);
                continue;
            }
            if self.tls.wants_read() {
                match self.tls.read_tls(&mut self.tcp) {
                    Ok(0) => panic!("end after {got} bytes"),
                    Ok(_) => moved = true,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{error}"),
                }
                self.tls.process_new_packets().unwrap();
            }
            if let Ok(read @ 1..) = self.tls.reader().read(&mut buffer) {
                same &= buffer[..read] == bytes[got..got + read];
                got += read;
            } else if !moved {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        self.tcp.set_nonblocking(false).unwrap();
        (sent_before, same)
    }
}

/// The alert or other reason in a failed handshake.
pub fn reason(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}
