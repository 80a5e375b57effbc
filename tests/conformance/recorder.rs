//! The backend that records what really left Bulkhead, and judges it: anything a strict server could not read in exactly one way is a
//! failure, whoever's case it was.

use std::collections::HashMap;
use std::io;

use harness::backends::application::header;
use harness::backends::strict::{self, Request};
use harness::backends::{Backend, Talk};

/// A backend that answers each request with what it understood of it.
pub fn backend() -> Backend {
    Backend::talking(talk)
}

fn talk(mut talk: Talk) -> io::Result<()> {
    loop {
        answer_one(&mut talk)?;
    }
}

/// Reads one request and says what it was.
pub fn answer_one(talk: &mut Talk) -> io::Result<()> {
    let (head, _) = read_request(talk)?;
    let (line, x) = (head.lines().next().unwrap_or_default().to_owned(), header(&head, "x").unwrap_or_default());
    let body = format!("{line}\n{x}\n");
    let body = if line.starts_with("HEAD ") { String::new() } else { body };
    let length = body.len();
    talk.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
}

/// The head (each byte a character) and the body of the next request.
pub fn read_request(talk: &mut Talk) -> io::Result<(String, Vec<u8>)> {
    let head: String = talk.read_until(b"\r\n\r\n")?.iter().map(|byte| char::from(*byte)).collect();
    let mut body = Vec::new();
    if header(&head, "transfer-encoding").is_some() {
        loop {
            let line = talk.read_until(b"\r\n")?;
            let size = String::from_utf8_lossy(&line).trim().to_owned();
            let size = usize::from_str_radix(&size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                while talk.read_until(b"\r\n")?.len() > 2 {}
                break;
            }
            body.extend(read_some(talk, size)?);
            talk.read_exactly(2)?;
        }
    } else if let Some(length) = header(&head, "content-length") {
        body = read_some(talk, length.parse().map_err(|_| io::ErrorKind::InvalidData)?)?;
    }
    Ok((head, body))
}

/// Longer than any body of a case: announced, but never sent.
const ENDLESS: usize = 1024 * 1024;

fn read_some(talk: &mut Talk, count: usize) -> io::Result<Vec<u8>> {
    if count > ENDLESS {
        talk.drain();
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    talk.read_exactly(count)
}

/// The mark of a case.
pub fn mark(number: usize) -> String {
    format!("mk{number:05}")
}

/// The mark that stands in a text.
fn mark_in(text: &str) -> Option<String> {
    let mark = text.get(text.find("mk")?..)?.get(..7)?;
    mark[2..].bytes().all(|byte| byte.is_ascii_digit()).then(|| mark.to_owned())
}

/// What was recorded, by mark.
#[derive(Debug, Default)]
pub struct Record {
    requests: HashMap<String, Vec<Request>>,
    /// What no server should have had to read, each a sentence.
    pub faults: Vec<String>,
}

impl Record {
    /// Judges all that was recorded so far by what may leave http-filter.
    pub fn of(backend: &Backend) -> Self {
        Self::judged(backend, conforms)
    }

    /// The same for the forward proxy, which writes nothing about the client and leaves names and paths alone.
    pub fn of_forwarded(backend: &Backend) -> Self {
        Self::judged(backend, |request| {
            let hop = request.headers.iter().find(|(name, _)| HOP_BY_HOP.contains(&name.as_str()));
            hop.map_or(Ok(()), |(name, _)| Err(format!("{name} must not leave")))
        })
    }

    fn judged(backend: &Backend, conforms: impl Fn(&Request) -> Result<(), String>) -> Self {
        let mut record = Self::default();
        for connection in backend.connections() {
            let (requests, fault) = strict::requests_and_fault(&connection.bytes(), true);
            requests.into_iter().for_each(|request| record.add(request, &conforms));
            record.faults.extend(fault.map(|fault| fault.chars().take(600).collect()));
        }
        record
    }

    fn add(&mut self, request: Request, conforms: &impl Fn(&Request) -> Result<(), String>) {
        if let Err(why) = conforms(&request) {
            self.faults.push(format!("{why}: {request:?}"));
        }
        match mark_in(&request.target).or_else(|| request.get("x").and_then(mark_in)) {
            Some(mark) => self.requests.entry(mark).or_default().push(request),
            None => self.faults.push(format!("nobody sent this: {request:?}")),
        }
    }

    /// The requests of one case, in no particular order.
    pub fn requests(&self, mark: &str) -> &[Request] {
        self.requests.get(mark).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Fields that belong to one connection and must have been taken off (RFC 9110 §7.6.1); `Connection` and `Upgrade` only for WebSocket.
const HOP_BY_HOP: [&str; 7] =
    ["te", "keep-alive", "proxy-connection", "proxy-authorization", "http2-settings", "expect", "trailer"];

/// Fields that Bulkhead writes itself: one value each, about this client.
const OURS: [(&str, &str); 3] =
    [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1;"), ("x-request-id", "")];

/// Fields that frame, route, authenticate or speak for the client (RFC 9110 §6.5.1).
const NO_TRAILERS: [&str; 14] = [
    "content-length",
    "transfer-encoding",
    "host",
    "authorization",
    "cookie",
    "content-type",
    "content-encoding",
    "trailer",
    "forwarded",
    "x-forwarded-for",
    "expect",
    "connection",
    "te",
    "upgrade",
];

fn conforms(request: &Request) -> Result<(), String> {
    if !(request.target.starts_with('/') || (request.target == "*" && request.method == "OPTIONS")) {
        return Err("the target is not in origin form".into());
    }
    let path = request.target.split('?').next().unwrap_or_default();
    if path.contains("//") || path.contains('\\') || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("the path can be read in two ways".into());
    }
    if request.target.contains('#') || !well_encoded(path) {
        return Err("the target has a fragment or broken percent-encoding".into());
    }
    let host = request.get("host").unwrap_or_default();
    if host.is_empty() || host.contains(['@', '/', ',', ' ', '\\', '%', '?', '#']) {
        return Err("Host is not one host".into());
    }
    for (name, _) in &request.headers {
        if HOP_BY_HOP.contains(&name.as_str()) || name.contains('_') || name.starts_with(':') {
            return Err(format!("{name} must not leave"));
        }
    }
    let websocket = request.get("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    let switches = !request.all("upgrade").is_empty() || !request.all("connection").is_empty();
    if switches && !(websocket && request.get("connection").is_some_and(|word| word == "upgrade")) {
        return Err("an upgrade to something other than WebSocket, or Connection with other words".into());
    }
    for (name, value) in OURS {
        if !request.get(name).is_some_and(|own| own.starts_with(value)) {
            return Err(format!("{name} is not ours"));
        }
    }
    if let Some((name, _)) = request.trailers.iter().find(|(name, _)| NO_TRAILERS.contains(&name.as_str())) {
        return Err(format!("{name} must not leave as a trailer"));
    }
    let lengths = request.all("content-length");
    if lengths.iter().any(|length| length.len() > 1 && length.starts_with('0')) {
        return Err("a length with a leading zero".into());
    }
    Ok(())
}

fn well_encoded(path: &str) -> bool {
    let bytes = path.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let whole = |at: usize| hex(at + 1) && hex(at + 2) && &bytes[at + 1..at + 3] != b"00";
    bytes.iter().enumerate().all(|(at, byte)| *byte != b'%' || whole(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Bulkhead would send, with a change.
    fn judged(line: &str, fields: &str) -> Result<(), String> {
        let ours = "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1;proto=http\r\nX-Request-Id: 1\r\n";
        let text = format!("{line}\r\n{fields}{ours}\r\n");
        let read = strict::requests(text.as_bytes(), false)?;
        read.iter().try_for_each(conforms)
    }

    #[test]
    fn the_judge_lets_pass_what_may_leave_and_nothing_else() {
        assert_eq!(judged("GET /a?b=//c HTTP/1.1", "Host: www.test\r\n"), Ok(()));
        assert_eq!(
            judged("OPTIONS * HTTP/1.1", "Host: www.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"),
            Ok(())
        );
        for (line, fields) in [
            ("GET http://www.test/ HTTP/1.1", "Host: www.test\r\n"),
            ("GET * HTTP/1.1", "Host: www.test\r\n"),
            ("GET  HTTP/1.1", "Host: www.test\r\n"),
            ("GET /a HTTP/1.0", "Host: www.test\r\n"),
            ("GET //a HTTP/1.1", "Host: www.test\r\n"),
            ("GET /a/../b HTTP/1.1", "Host: www.test\r\n"),
            ("GET /a\\b HTTP/1.1", "Host: www.test\r\n"),
            ("GET /a#b HTTP/1.1", "Host: www.test\r\n"),
            ("GET /a%0 HTTP/1.1", "Host: www.test\r\n"),
            ("GET /a%00 HTTP/1.1", "Host: www.test\r\n"),
            ("GET /a HTTP/1.1", ""),
            ("GET /a HTTP/1.1", "Host:\r\n"),
            ("GET /a HTTP/1.1", "Host: a@www.test\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\nHost: www.test\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\nTE: trailers\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\nExpect: 100-continue\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\nConnection: close\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\nX_A: b\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\nX-Forwarded-For: 6.6.6.6\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\nContent-Length: 00\r\n"),
            ("GET /a HTTP/1.1", "Host: www.test\r\n\"X: a\r\n"),
        ] {
            assert!(judged(line, fields).is_err(), "{line} {fields:?}");
        }
        assert_eq!((mark(17), mark_in("/after-mk00017?x")), ("mk00017".to_owned(), Some("mk00017".to_owned())));
    }
}
