//! TCP, byte by byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::PATIENCE;

/// Connects, with [`PATIENCE`] for every read.
///
/// # Panics
/// When the connection is refused.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("somebody listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
    stream
}

/// Sends in pieces that end at `cuts`, each in a segment of its own.
pub fn send_in_pieces(stream: &mut TcpStream, bytes: &[u8], cuts: &[usize], pause: Duration) -> io::Result<()> {
    let mut from = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        if cut <= from || cut > bytes.len() {
            continue;
        }
        stream.write_all(&bytes[from..cut])?;
        from = cut;
        if from < bytes.len() {
            thread::sleep(pause);
        }
    }
    Ok(())
}

/// Reads until the other side ends. A reset is an end too.
pub fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// In order (FIN).
    Closed,
    /// By a reset.
    Reset,
    /// Not at all, within the patience.
    Open,
}

/// Reads to the end and says what it was.
pub fn how_it_ends(stream: &mut TcpStream) -> (Vec<u8>, End) {
    let mut all = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (all, End::Closed),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return (all, End::Open);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (all, End::Reset),
        }
    }
}

/// How long after an answer's last byte another one may still begin.
const QUIET: Duration = Duration::from_millis(250);

/// Sends everything and reads what comes: until the other side ends, or has answered and is quiet. Our own direction stays
/// open, because HTTP servers may take its end for a client that has gone (RFC 9112 §9.6 leaves it to them).
pub fn ask(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    read_answers(&mut stream, |stream| stream)
}

/// Reads until the other side ends, or has said something and is quiet. `socket` finds the TCP socket below.
pub fn read_answers<S: Read>(stream: &mut S, socket: impl Fn(&mut S) -> &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
        let _ = socket(stream).set_read_timeout(Some(QUIET));
    }
    all
}
