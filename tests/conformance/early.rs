//! Answers that come before the request's body has: the rest of the body must stay a body for everybody, whether it comes, does not come,
//! or is something else, and the backend's connection, on which that body is still owed, must not serve anybody else.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use harness::backends::{Backend, Talk};
use harness::clients::frames::{Event, Frames, block, flag, kind};

use crate::recorder::{Record, mark, read_request};
use crate::run::read_answers;

/// What is owed: as long as the length says, and like a request.
const OWED: &str = "GET /smuggled HTTP/1.1\r\nHost: www.test\r\n\r\n";

/// What the client does when it has its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Sends the rest of the body, and then another request.
    Body,
    /// Sends another request instead.
    Request,
    /// Nothing.
    Nothing,
}

/// A backend that answers as soon as it has a head, and reads the body afterwards.
pub fn backend() -> Backend {
    Backend::talking(|mut talk| {
        loop {
            answer_at_once(&mut talk)?;
        }
    })
}

fn answer_at_once(talk: &mut Talk) -> io::Result<()> {
    let head = talk.read_until(b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&head).into_owned();
    let line = text.lines().next().unwrap_or_default();
    let body = format!("{line}\n");
    talk.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    talk.put_back(&head);
    read_request(talk).map(drop)
}

/// Runs the scenario in HTTP/1.1 with every framing and rest, then asks for something else on a connection of its own.
pub fn over_http_1(address: SocketAddr) -> Vec<String> {
    let mut wrong = Vec::new();
    let length = format!("Content-Length: {}", OWED.len());
    let chunks = format!("{:x}\r\n{OWED}\r\n0\r\n\r\n", OWED.len());
    let mut number = 0;
    for (framing, body) in [(length.as_str(), OWED), ("Transfer-Encoding: chunked", chunks.as_str())] {
        for rest in [Rest::Body, Rest::Request, Rest::Nothing] {
            for sent in [0, 1, body.len() / 2] {
                let mark = mark(number);
                number += 1;
                let name = format!("{framing}, {sent} bytes of the body, then {rest:?}");
                wrong.extend(one(address, &mark, framing, body, sent, rest).err().map(|why| format!("{name}: {why}")));
            }
        }
    }
    wrong
}

fn one(address: SocketAddr, mark: &str, framing: &str, body: &str, sent: usize, rest: Rest) -> Result<(), String> {
    let mut stream = connect(address);
    let head = format!("POST /early-{mark} HTTP/1.1\r\nHost: www.test\r\n{framing}\r\n\r\n{}", &body[..sent]);
    let _ = stream.write_all(head.as_bytes());
    let seen = read_answers(&mut stream, &["POST"]);
    if !seen.answers.first().is_some_and(|answer| answer.text().starts_with(&format!("POST /early-{mark} "))) {
        return Err(format!("no early answer: {seen:?}"));
    }
    let next = format!("GET /next-{mark} HTTP/1.1\r\nHost: www.test\r\n\r\n");
    let more = match rest {
        Rest::Body => format!("{}{next}", &body[sent..]),
        Rest::Request => next,
        Rest::Nothing => String::new(),
    };
    let _ = stream.write_all(more.as_bytes());
    own_answer(&mut connect(address), &format!("/other-{mark}"))?;
    if rest == Rest::Nothing {
        return Ok(());
    }
    // The connection has ended, or what comes is the answer to the next request, which can only be where the body has come.
    let seen = read_answers(&mut stream, &["GET"]);
    let own = |text: String| rest == Rest::Body && text.starts_with(&format!("GET /next-{mark} "));
    match &seen.answers[..] {
        [] => Ok(()),
        [answer] if answer.status >= 400 || own(answer.text()) => Ok(()),
        other => Err(format!("what followed was answered {other:?}")),
    }
}

/// The same over HTTP/2, where the rest of the body is DATA of its stream.
pub fn over_http_2(address: SocketAddr) -> Result<(), String> {
    let mut frames = Frames::connect(address, "www.test").map_err(|error| error.to_string())?;
    frames.start(&[]).map_err(|error| error.to_string())?;
    let head = |method: &str, path: &str| {
        block(&[(":method", method), (":scheme", "https"), (":authority", "www.test"), (":path", path)])
    };
    for number in 0..8_u32 {
        let (early, next) = (1 + 4 * number, 3 + 4 * number);
        let mark = mark(number as usize + 100);
        let _ = frames.send(kind::HEADERS, flag::END_HEADERS, early, &head("POST", &format!("/early-{mark}")));
        let answered = text_of(&mut frames, early)?;
        let _ = frames.send(kind::DATA, flag::END_STREAM, early, OWED.as_bytes());
        let _ = frames.send(
            kind::HEADERS,
            flag::END_HEADERS | flag::END_STREAM,
            next,
            &head("GET", &format!("/other-{mark}")),
        );
        let after = text_of(&mut frames, next)?;
        if !answered.starts_with(&format!("POST /early-{mark} ")) || !after.starts_with(&format!("GET /other-{mark} "))
        {
            return Err(format!("{answered:?}, then {after:?}"));
        }
    }
    Ok(())
}

fn text_of(frames: &mut Frames, stream: u32) -> Result<String, String> {
    let mut text = String::new();
    loop {
        let Event::Frame(frame) = frames.next(Duration::from_secs(8)) else { return Err("the connection ends".into()) };
        if frame.stream != stream {
            continue;
        }
        match frame.kind {
            kind::DATA => text.push_str(&String::from_utf8_lossy(&frame.payload)),
            kind::RST_STREAM => return Err(format!("reset: {:?}", frame.error())),
            _ => {}
        }
        if matches!(frame.kind, kind::DATA | kind::HEADERS) && frame.has(flag::END_STREAM) {
            return Ok(text);
        }
    }
}

fn own_answer(stream: &mut TcpStream, target: &str) -> Result<(), String> {
    let _ = stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: www.test\r\n\r\n").as_bytes());
    let seen = read_answers(stream, &["GET"]);
    let own = seen.answers.first().is_some_and(|answer| answer.text().starts_with(&format!("GET {target} ")));
    if own { Ok(()) } else { Err(format!("{target} got {seen:?}")) }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("Bulkhead listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.set_read_timeout(Some(Duration::from_secs(8))).expect("a TCP socket");
    stream
}

/// Nothing that was owed as a body left as a request.
pub fn smuggled(backend: &Backend) -> Vec<String> {
    Record::of(backend).faults
}
