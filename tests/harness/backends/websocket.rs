//! A WebSocket echo (RFC 6455): takes the upgrade and then sends back every byte of every frame, unmasked.
//!
//! [`talk`] agrees to one key only, the one of RFC 6455 §1.3, which [`crate::clients::websocket`] uses; [`talk_to_anybody`] to every one.

use std::io;

use base64::Engine;

use super::Talk;
use super::application::header;

/// The example key of RFC 6455 §1.3.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a server must answer to it.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Serves one connection.
pub fn talk(mut talk: Talk) -> io::Result<()> {
    let head = talk.read_until(b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&head).into_owned();
    if header(&head, "sec-websocket-key") != Some(KEY) || header(&head, "upgrade").is_none() {
        return talk.say(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n");
    }
    agree(&mut talk, ACCEPT)?;
    converse(talk)
}

/// The same for every key.
pub fn talk_to_anybody(mut talk: Talk) -> io::Result<()> {
    let head = talk.read_until(b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&head).into_owned();
    let key = header(&head, "sec-websocket-key").filter(|_| header(&head, "upgrade") == Some("websocket"));
    let Some(key) = key else { return talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain") };
    agree(&mut talk, &accept(key))?;
    converse(talk)
}

/// What a server must answer to a key (RFC 6455 §4.2.2).
pub fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::prelude::BASE64_STANDARD.encode(hash)
}

fn agree(talk: &mut Talk, accept: &str) -> io::Result<()> {
    let fields = format!("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}");
    talk.say(format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n\r\n").as_bytes())
}

fn converse(mut talk: Talk) -> io::Result<()> {
    loop {
        let start = talk.read_exactly(2)?;
        let length = match start[1] & 0x7f {
            126 => usize::from(u16::from_be_bytes(talk.read_exactly(2)?.try_into().expect("two bytes"))),
            127 => return Ok(()), // longer than any test needs
            short => usize::from(short),
        };
        let mask = talk.read_exactly(4)?; // clients mask (§5.3)
        let mut payload = talk.read_exactly(length)?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        talk.say(&frame(start[0], &payload))?;
        if start[0] & 0x0f == 8 {
            return Ok(());
        }
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}
