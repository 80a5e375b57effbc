//! What attackers speak: TCP and TLS from addresses of their own, HTTP/2 frames without any rule, and ways to find out that they were cut off.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use harness::clients::from::{client_address, connect_from};
use harness::clients::tls::{self, Stream};

use super::Stage;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
/// A GET for `/` in indexed fields (RFC 7541 appendix A), the authority as a literal.
pub const GET: &[u8] = b"\x82\x87\x84\x01\x08www.test";
/// The same with POST.
pub const POST: &[u8] = b"\x83\x87\x84\x01\x08www.test";

/// How long an attacker may take to be cut off: the deadlines of the stage, sweeps, and a slow machine.
const CUT: Duration = Duration::from_secs(20);

impl Stage {
    /// An address that nobody has had.
    pub fn address(&self) -> Ipv4Addr {
        client_address(self.attackers.fetch_add(1, Relaxed))
    }

    /// A TCP connection to the plain-HTTP port.
    pub fn plain(&self) -> TcpStream {
        connect_from(self.address(), self.world.http()).unwrap()
    }

    /// A TCP connection to the TLS port.
    pub fn bare(&self) -> TcpStream {
        connect_from(self.address(), self.world.https()).unwrap()
    }

    /// A TLS connection for HTTP/1.
    pub fn secure(&self) -> Stream {
        tls::client("www.test").over(self.bare()).unwrap()
    }

    /// An HTTP/2 connection; preface and SETTINGS are sent.
    pub fn h2(&self) -> H2 {
        let mut h2 = H2(self.h2_stream());
        h2.send(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(4, 0, 0, &[])].concat()).unwrap();
        h2
    }

    /// An HTTP/2 connection on which nothing has been said.
    pub fn h2_stream(&self) -> Stream {
        let stream = tls::client("www.test").alpn(&["h2"]).over(self.bare()).unwrap();
        stream.sock.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    /// A figure of http-filter.
    pub fn figure(&self, name: &str) -> u64 {
        self.world.figure("http-filter", name)
    }
}

/// Reads until the end and tells the first line of what came. Panics if there is no end in time.
pub fn cut(stream: &mut (impl Read + Socket)) -> String {
    stream.socket().set_read_timeout(Some(CUT)).unwrap();
    let (mut came, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => came.extend_from_slice(&buffer[..count]),
            Err(error) => {
                assert!(!is_timeout(&error), "not cut off within {CUT:?}; came: {}", first_line(&came));
                break;
            }
        }
    }
    first_line(&came)
}

/// Sends a piece every so often until that is over; tells the first line of what came back.
pub fn drip(
    stream: &mut (impl Read + Write + Socket),
    every: Duration,
    mut piece: impl FnMut(usize) -> Vec<u8>,
) -> String {
    stream.socket().set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let end = Instant::now() + CUT;
    let (mut came, mut buffer) = (Vec::new(), [0; 4096]);
    for number in 0.. {
        assert!(Instant::now() < end, "still not cut off after {CUT:?}; came: {}", first_line(&came));
        if stream.write_all(&piece(number)).and_then(|()| stream.flush()).is_err() {
            break;
        }
        thread::sleep(every);
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => came.extend_from_slice(&buffer[..count]),
            Err(error) if is_timeout(&error) => {}
            Err(_) => break,
        }
    }
    first_line(&came)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if line.starts_with(b"HTTP/") { format!("cut: {}", String::from_utf8_lossy(line)) } else { "cut".into() }
}

/// What has a TCP socket below.
pub trait Socket {
    fn socket(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Socket for Stream {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// A frame (RFC 9113 §4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A GET (END_STREAM) for another path.
pub fn get(path: &str) -> Vec<u8> {
    [b"\x82\x87\x01\x08www.test\x04".as_slice(), &[path.len() as u8], path.as_bytes()].concat()
}

/// An HTTP/2 connection.
pub struct H2(pub Stream);

impl H2 {
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Sends frames, many at a time, until the server has had enough; panics if it never has.
    pub fn flood(mut self, most: u32, frames: impl Fn(u32) -> Vec<u8>) -> String {
        let mut batch = Vec::new();
        for number in 0..most {
            batch.extend(frames(number));
            if batch.len() > 2000 || number + 1 == most {
                if self.send(&batch).is_err() {
                    return self.ending();
                }
                batch.clear();
            }
        }
        self.ending()
    }

    /// Waits for the end of the connection, and tells the code of GOAWAY if it came.
    pub fn ending(mut self) -> String {
        self.0.sock.set_read_timeout(Some(CUT)).unwrap();
        let mut goaway = None;
        loop {
            match self.read_frame() {
                Ok((7, _, _, payload)) => {
                    goaway = payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()))
                }
                Ok(_) => {}
                Err(error) => {
                    assert!(!is_timeout(&error), "not cut off within {CUT:?}");
                    return match goaway {
                        Some(11) => "cut: ENHANCE_YOUR_CALM".into(),
                        Some(code) => format!("cut: GOAWAY {code}"),
                        None => "cut".into(),
                    };
                }
            }
        }
    }

    /// Waits until so many streams have been reset, or the connection ended.
    pub fn resets(&mut self, wanted: usize) -> usize {
        self.0.sock.set_read_timeout(Some(CUT)).unwrap();
        let mut resets = 0;
        while resets < wanted {
            match self.read_frame() {
                Ok((3, ..)) => resets += 1,
                Ok((6, 0, _, payload)) => drop(self.send(&frame(6, 1, 0, &payload))),
                Ok(_) => {}
                Err(error) => {
                    assert!(!is_timeout(&error), "{resets} of {wanted} streams were reset within {CUT:?}");
                    return wanted;
                }
            }
        }
        resets
    }

    pub fn read_frame(&mut self) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload)?;
        Ok((head[3], head[4], u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]), payload))
    }
}

/// Waits.
pub fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
