//! A small HTTP/1.1 application that keeps connections alive:
//!
//! - `/bytes/N`: N bytes of a known pattern, with a length
//! - `/pieces`: five pieces in chunks, 100 ms apart, as server-sent events come
//! - `/echo`: the body it was sent
//! - `/sleep/N`: an answer after N milliseconds
//! - anything else: the head of the request, byte for byte, as the body
//!
//! It reads bodies by length or chunks and asks for nothing (`Expect` is answered with 100).

use std::io;
use std::thread;
use std::time::Duration;

use super::Talk;

/// A prime, so that a lost or doubled block shows.
const PERIOD: usize = 251;

/// The byte at a place of the pattern.
pub fn pattern(at: usize) -> u8 {
    (at % PERIOD) as u8
}

/// So many bytes of it.
pub fn pattern_of(count: usize) -> Vec<u8> {
    // By whole periods: in a debug build a byte at a time costs 30 ns each, and 100 answers of 3 MB would load the machine for seconds.
    let period: Vec<u8> = (0..PERIOD).map(pattern).collect();
    let mut all = period.repeat(count / PERIOD + 1);
    all.truncate(count);
    all
}

/// Serves one connection.
pub fn talk(mut talk: Talk) -> io::Result<()> {
    loop {
        let head = talk.read_until(b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&head).into_owned();
        if header(&text, "expect").is_some() {
            talk.say(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = read_body(&mut talk, &text)?;
        let mut words = text.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        answer(&mut talk, method, path, &head, body)?;
        if header(&text, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            return Ok(());
        }
    }
}

fn answer(talk: &mut Talk, method: &str, path: &str, head: &[u8], body: Vec<u8>) -> io::Result<()> {
    if path == "/pieces" {
        talk.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for number in 1..=5 {
            thread::sleep(Duration::from_millis(100));
            let piece = format!("data: piece {number}\n\n");
            talk.say(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes())?;
        }
        return talk.say(b"0\r\n\r\n");
    }
    let path = path.split('?').next().unwrap_or_default();
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|number| number.parse::<usize>().ok());
    let body = if let Some(count) = number("/bytes/") {
        pattern_of(count)
    } else if path == "/echo" {
        body
    } else {
        if let Some(pause) = number("/sleep/") {
            thread::sleep(Duration::from_millis(pause as u64));
        }
        head.to_vec()
    };
    let length = body.len();
    talk.say(format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
    if method == "HEAD" { Ok(()) } else { talk.say(&body) }
}

fn read_body(talk: &mut Talk, head: &str) -> io::Result<Vec<u8>> {
    if header(head, "transfer-encoding").is_some() {
        let mut body = Vec::new();
        loop {
            let line = talk.read_until(b"\r\n")?;
            let size = String::from_utf8_lossy(&line);
            let size = size.split([';', '\r']).next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                while talk.read_until(b"\r\n")?.len() > 2 {}
                return Ok(body);
            }
            body.extend(talk.read_exactly(size)?);
            talk.read_exactly(2)?;
        }
    }
    let length = header(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    talk.read_exactly(length)
}

/// A header's first value.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.split_once(':').filter(|(own, _)| own.eq_ignore_ascii_case(name));
    head.split("\r\n").skip(1).find_map(named).map(|(_, value)| value.trim())
}
