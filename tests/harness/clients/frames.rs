//! HTTP/2 as bytes (RFC 9113): any frame in any order, and a header block made of whatever a test likes. Nothing is checked on the way
//! out; on the way in frames are taken apart and of header blocks only `:status` is read.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use super::h2::status_of;
use super::tls::{self, Stream};

/// What every client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 §6).
pub mod kind {
    #![allow(missing_docs)]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags.
pub mod flag {
    #![allow(missing_docs)]
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
}

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Stream, 0 for the connection.
    pub stream: u32,
    /// Payload.
    pub payload: Vec<u8>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A frame.
    Frame(Frame),
    /// The other side ended the connection, politely or not.
    Closed,
    /// Nothing within the time.
    Silence,
}

impl Frame {
    /// Whether it has this flag.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The error code of RST_STREAM or GOAWAY.
    pub fn error(&self) -> Option<u32> {
        let at = match self.kind {
            kind::RST_STREAM => 0,
            kind::GOAWAY => 4,
            _ => return None,
        };
        self.payload.get(at..at + 4).map(|code| u32::from_be_bytes(code.try_into().expect("four bytes")))
    }

    /// `:status` of an answer's HEADERS. Right only where the table size was set to 0 (see [`Frames::start`]).
    pub fn status(&self) -> Option<u16> {
        (self.kind == kind::HEADERS && !self.payload.is_empty()).then(|| status_of(&self.payload))
    }
}

/// A connection.
#[derive(Debug)]
pub struct Frames {
    stream: Stream,
    ahead: Vec<u8>,
    ended: bool,
}

impl Frames {
    /// TLS with ALPN `h2`; nothing of HTTP/2 is said yet.
    ///
    /// # Errors
    /// As [`tls::Client::connect`].
    pub fn connect(address: SocketAddr, name: &str) -> io::Result<Self> {
        let stream = tls::client(name).alpn(&["h2"]).connect(address)?;
        assert_eq!(stream.conn.alpn_protocol(), Some(b"h2".as_slice()), "the server does not speak HTTP/2");
        Ok(Self { stream, ahead: Vec::new(), ended: false })
    }

    /// Says the preface and settings (identifier, value; a table size of 0 among them) and waits until both sides have acknowledged.
    ///
    /// # Errors
    /// When the other side ends first.
    pub fn start(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        let mut all = vec![(1, 0)];
        all.extend_from_slice(settings);
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(kind::SETTINGS, 0, 0, &settings_payload(&all)));
        self.raw(&bytes)?;
        let (mut theirs, mut ours) = (false, false);
        while !(theirs && ours) {
            match self.next(Duration::from_secs(5)) {
                Event::Frame(frame) if frame.kind == kind::SETTINGS && frame.has(flag::ACK) => ours = true,
                Event::Frame(frame) if frame.kind == kind::SETTINGS => {
                    self.send(kind::SETTINGS, flag::ACK, 0, &[])?;
                    theirs = true;
                }
                Event::Frame(_) => {}
                Event::Closed | Event::Silence => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(())
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.raw(&frame(kind, flags, stream, payload))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The next frame within this time.
    pub fn next(&mut self, within: Duration) -> Event {
        let end = Instant::now() + within;
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(frame) = self.take() {
                return Event::Frame(frame);
            }
            let left = end.saturating_duration_since(Instant::now());
            if self.ended || left.is_zero() {
                return if self.ended { Event::Closed } else { Event::Silence };
            }
            let _ = self.stream.sock.set_read_timeout(Some(left.max(Duration::from_millis(1))));
            match self.stream.read(&mut buffer) {
                Ok(count @ 1..) => self.ahead.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => self.ended = true,
            }
        }
    }

    /// Ends the TCP connection.
    pub fn hang_up(&self) {
        let _ = self.stream.sock.shutdown(Shutdown::Both);
    }

    fn take(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.ahead.get(..9)?.try_into().expect("nine bytes");
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = self.ahead.get(9..9 + length)?.to_vec();
        self.ahead.drain(..9 + length);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }
}

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of a SETTINGS frame.
pub fn settings_payload(settings: &[(u16, u32)]) -> Vec<u8> {
    let one = |(name, value): &(u16, u32)| [name.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat();
    settings.iter().flat_map(one).collect()
}

/// Fields as literals without indexing and without Huffman (RFC 7541 §6.2.2).
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            integer(&mut bytes, 0, 7, text.len());
            bytes.extend_from_slice(text);
        }
    }
    bytes
}

/// An integer behind the bits of `first` that are not its prefix (RFC 7541 §5.1).
pub fn integer(bytes: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        return bytes.push(first | value as u8);
    }
    bytes.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_integers_are_written_as_the_specifications_say() {
        assert_eq!(frame(kind::PING, flag::ACK, 0, &[7; 8])[..9], [0, 0, 8, 6, 1, 0, 0, 0, 0]);
        assert_eq!(settings_payload(&[(4, 65535)]), [0, 4, 0, 0, 255, 255]);
        // RFC 7541 appendix C.1: 10 and 1337 with a 5-bit prefix, 42 with 8 bits.
        for (prefix, value, wanted) in [(5, 10, &[10][..]), (5, 1337, &[31, 154, 10]), (8, 42, &[42])] {
            let mut bytes = Vec::new();
            integer(&mut bytes, 0, prefix, value);
            assert_eq!(bytes, wanted);
        }
        assert_eq!(block(&[("a", "bc")]), [0, 1, b'a', 2, b'b', b'c']);
    }
}
