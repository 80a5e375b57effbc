//! The same hostile answers for a client that speaks HTTP/2: a stream has no bytes in which two answers could be confused, so what counts
//! is that it ends visibly (an answer with its end, or an error), and that the streams behind it get answers of their own.

use std::net::SocketAddr;
use std::time::Instant;

use harness::clients::frames::{Event, Frames, block, flag, kind};

use super::hostile::{PATIENCE, Stage};
use super::{Came, Must};
use crate::recorder::mark;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Answer(u16, Vec<u8>),
    Reset(u32),
    Nothing,
}

/// One case on a connection of its own, and two streams behind it.
pub fn ask(stage: &Stage, number: usize, address: SocketAddr, host: &str) -> Result<(), String> {
    let case = &stage.cases[number];
    let mut frames = Frames::connect(address, host).map_err(|error| error.to_string())?;
    frames.start(&[]).map_err(|error| error.to_string())?;
    let mark = mark(number);
    let own = stream(&mut frames, 1, case.method, host, &format!("/case-{mark}"));
    let verdict = judge(&case.must, &own);
    stage.wait_for_later(number);
    for round in 1..=2 {
        let target = format!("/after-{mark}-{round}");
        let next = stream(&mut frames, 1 + 2 * round, "GET", host, &target);
        if next != Outcome::Answer(200, format!("{target}\n").into_bytes()) {
            return Err(format!("stream {round} behind it got {next:?}; {verdict:?}"));
        }
    }
    verdict
}

fn stream(frames: &mut Frames, stream: u32, method: &str, host: &str, path: &str) -> Outcome {
    let fields = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)];
    let post = method == "POST";
    let end = if post { 0 } else { flag::END_STREAM };
    let _ = frames.send(kind::HEADERS, flag::END_HEADERS | end, stream, &block(&fields));
    if post {
        let _ = frames.send(kind::DATA, flag::END_STREAM, stream, b"abc");
    }
    let until = Instant::now() + PATIENCE;
    let (mut status, mut body) = (0, Vec::new());
    loop {
        let Event::Frame(frame) = frames.next(until.saturating_duration_since(Instant::now())) else {
            return Outcome::Nothing;
        };
        match frame.kind {
            kind::PING if !frame.has(flag::ACK) => drop(frames.send(kind::PING, flag::ACK, 0, &frame.payload)),
            _ if frame.stream != stream => {}
            // Interim answers have heads of their own.
            kind::HEADERS if status < 200 => status = frame.status().unwrap_or(0),
            kind::DATA => body.extend_from_slice(&frame.payload),
            kind::RST_STREAM => return Outcome::Reset(frame.error().unwrap_or(0)),
            _ => {}
        }
        if frame.stream == stream && matches!(frame.kind, kind::HEADERS | kind::DATA) && frame.has(flag::END_STREAM) {
            return Outcome::Answer(status, body);
        }
    }
}

fn judge(must: &Must, own: &Outcome) -> Result<(), String> {
    let gateway = matches!(own, Outcome::Answer(502 | 504, _));
    let stopped = gateway || matches!(own, Outcome::Reset(code) if *code != 0);
    let passed = |came: &Came| *own == Outcome::Answer(came.status, came.body.clone());
    let right = match must {
        Must::BadGateway => gateway,
        Must::Stopped => stopped,
        Must::Passed(came) => passed(came),
        Must::PassedOrStopped(came) => stopped || passed(came),
    };
    if right { Ok(()) } else { Err(format!("ended with {own:?} instead of {must:?}")) }
}
