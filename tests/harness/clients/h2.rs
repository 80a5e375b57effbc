//! HTTP/2 frame by frame (RFC 9113), with header fields that no decent client would send: names and values are bytes, and
//! nothing is checked. Reads just enough of answers to tell how a request ended.

use std::io::{self, Read, Write};

use super::tls::Stream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Answer(u16, Vec<u8>),
    /// With an error of the stream (RST_STREAM, RFC 9113 §7).
    Reset(u32),
    /// With an error of the connection (GOAWAY, or simply closed).
    Closed,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    next: u32,
}

impl Connection {
    /// Speaks HTTP/2 over a TLS stream that agreed on it.
    ///
    /// # Panics
    /// When it did not, or the server closes at once.
    pub fn over(mut stream: Stream) -> Self {
        assert_eq!(stream.conn.alpn_protocol(), Some(b"h2".as_slice()), "the server does not speak HTTP/2");
        stream.write_all(PREFACE).expect("the server reads");
        let mut connection = Self { stream, next: 1 };
        connection.frame(SETTINGS, 0, 0, &[]).expect("the server reads");
        connection
    }

    /// The TCP socket below, for ending it rudely.
    pub fn into_socket(self) -> std::net::TcpStream {
        self.stream.sock
    }

    /// Sends a header block with these fields and, if there is one, a body; returns the stream's number.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, fields: &[(&[u8], &[u8])], body: Option<&[u8]>) -> io::Result<u32> {
        let stream = self.next;
        self.next += 2;
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let flags = END_HEADERS | if body.is_none() { END_STREAM } else { 0 };
        self.frame(HEADERS, flags, stream, &block)?;
        if let Some(body) = body {
            self.frame(DATA, END_STREAM, stream, body)?;
        }
        Ok(stream)
    }

    /// Sends a header block that is too long for one frame (HEADERS and CONTINUATION, RFC 9113 §6.10).
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_in_frames(&mut self, fields: &[(&[u8], &[u8])]) -> io::Result<u32> {
        let stream = self.next;
        self.next += 2;
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let (kind, begin) = if number == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
            let end = if number + 1 == pieces.len() { END_HEADERS } else { 0 };
            self.frame(kind, begin | end, stream, piece)?;
        }
        Ok(stream)
    }

    /// Sends any frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame)?;
        self.stream.flush()
    }

    /// Reads until this stream has ended. Only the first answer of a connection can be read (later ones may refer to it).
    pub fn outcome(&mut self, of: u32) -> Outcome {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let Ok((kind, flags, stream, payload)) = self.read_frame() else {
                return Outcome::Closed;
            };
            match kind {
                SETTINGS if flags & ACK == 0 => drop(self.frame(SETTINGS, ACK, 0, &[])),
                PING if flags & ACK == 0 => drop(self.frame(PING, ACK, 0, &payload)),
                GOAWAY if error_code(&payload[4..]) != 0 => return Outcome::Closed,
                RST_STREAM if stream == of && (status == 0 || error_code(&payload) != 0) => {
                    return Outcome::Reset(error_code(&payload));
                }
                HEADERS if stream == of && status == 0 => status = status_of(&payload),
                DATA if stream == of => body.extend(payload),
                _ => {}
            }
            if stream == of && matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return Outcome::Answer(status, body);
            }
        }
    }

    fn read_frame(&mut self) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok((head[3], head[4], stream, payload))
    }
}

fn error_code(payload: &[u8]) -> u32 {
    payload.get(..4).map_or(0, |code| u32::from_be_bytes(code.try_into().expect("four bytes")))
}

/// A field as a literal without indexing, no Huffman (RFC 7541 §6.2.2).
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        integer(&mut bytes, text.len());
        bytes.extend_from_slice(text);
    }
    bytes
}

/// An integer with a 7-bit prefix (RFC 7541 §5.1).
fn integer(bytes: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return bytes.push(value as u8);
    }
    bytes.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        bytes.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

/// `:status`, which servers send first: an entry of the static table, or a literal of three digits (RFC 7541 §6).
pub(super) fn status_of(block: &[u8]) -> u16 {
    const STATIC: [(u8, u16); 7] =
        [(0x88, 200), (0x89, 204), (0x8a, 206), (0x8b, 304), (0x8c, 400), (0x8d, 404), (0x8e, 500)];
    let block = if block.first().is_some_and(|first| first & 0xe0 == 0x20) { &block[1..] } else { block };
    let first = block[0];
    if let Some((_, status)) = STATIC.iter().find(|(byte, _)| *byte == first) {
        return *status;
    }
    let length = usize::from(block[1] & 0x7f);
    let text = &block[2..2 + length];
    let digits =
        if block[1] & 0x80 == 0 { text.iter().map(|byte| byte - b'0').collect() } else { huffman_digits(text) };
    digits.iter().fold(0, |status, digit| status * 10 + u16::from(*digit))
}

/// Digits in the Huffman code of RFC 7541 appendix B: 0, 1, 2 have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |all, bit| all << 1 | bit);
    let (mut digits, mut at) = (Vec::new(), 0);
    while digits.len() < 3 && at + 5 <= bits.len() {
        match number(&bits[at..at + 5]) {
            short @ 0..=2 => {
                digits.push(short);
                at += 5;
            }
            _ => {
                digits.push(number(&bits[at..at + 6]) - 0x19 + 3);
                at += 6;
            }
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_every_spelling() {
        assert_eq!(status_of(&[0x88, 1, 2]), 200);
        assert_eq!(status_of(&[0x48, 3, b'4', b'0', b'3']), 403);
        // 403 in Huffman: 011010 00000 011001, filled up with ones.
        assert_eq!(status_of(&[0x48, 0x83, 0b0110_1000, 0b0000_1100, 0b1111_1111]), 403);
    }
}
