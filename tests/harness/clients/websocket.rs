//! A minimal WebSocket client (RFC 6455) over any stream.

use std::io::{self, Read, Write};

use super::http::{Answer, read_answer};
use crate::backends::websocket::{ACCEPT, KEY};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An open WebSocket.
#[derive(Debug)]
pub struct WebSocket<S> {
    stream: S,
}

impl<S: Read + Write> WebSocket<S> {
    /// Upgrades; the answer when it is refused.
    ///
    /// # Errors
    /// The answer that is not a valid 101.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn open(mut stream: S, host: &str, path: &str) -> Result<Self, Box<Answer>> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("the server reads");
        stream.flush().expect("the server reads");
        let answer = read_answer(&mut stream).expect("the server answers");
        if answer.status == 101 && answer.header("sec-websocket-accept") == Some(ACCEPT) {
            return Ok(Self { stream });
        }
        Err(Box::new(answer))
    }

    /// Sends a binary message of up to 65535 bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        self.frame(0x82, payload)
    }

    /// Reads one message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut start = [0; 2];
        self.stream.read_exact(&mut start)?;
        let length = match start[1] & 0x7f {
            126 => {
                let mut long = [0; 2];
                self.stream.read_exact(&mut long)?;
                usize::from(u16::from_be_bytes(long))
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }

    /// The closing handshake (§5.5.1).
    ///
    /// # Errors
    /// When the connection is gone before the other side agreed.
    pub fn close(mut self) -> io::Result<()> {
        self.frame(0x88, &1000u16.to_be_bytes())?;
        self.receive().map(drop)
    }

    fn frame(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame)?;
        self.stream.flush()
    }
}
