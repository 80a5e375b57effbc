//! Sends each case as the first stream of a connection of its own, an ordinary request as the second, and judges what came and what left.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::backends::strict::Request;
use harness::clients::frames::{Event, Frames, block, flag, frame, kind};

use super::{Case, Field, Must};
use crate::recorder::{Record, mark};
use crate::report::Report;
use crate::run::{in_parallel, same};

/// Connections at once.
const LANES: usize = 24;
/// Longest silence before a stream counts as not answered.
const PATIENCE: Duration = Duration::from_secs(15);
/// Largest frame a server must take.
const FRAME: usize = 16_384;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Outcome {
    #[default]
    Nothing,
    Answer(u16, String),
    Reset(u32),
}

/// What a client saw.
#[derive(Debug, Default)]
struct Seen {
    own: Outcome,
    next: Outcome,
    /// GOAWAY with an error, or the end of the connection.
    ended: bool,
}

/// Runs all cases against the TLS port.
pub fn run(cases: &[Case], address: SocketAddr, record: impl FnOnce() -> Record, lenient: &[(&str, &str)]) -> Report {
    let seen = in_parallel(LANES, cases, |number, case| exchange(case, address, &mark(number)));
    let record = record();
    let mut report = Report::default();
    for (number, (case, seen)) in cases.iter().zip(&seen).enumerate() {
        let mark = mark(number);
        let verdict = judge(case, &mark, seen, record.requests(&mark));
        let (group, name) = case.group();
        report.note_stream(group, name, case.plain, verdict, lenient);
    }
    report.faults(record.faults);
    report
}

fn exchange(case: &Case, address: SocketAddr, mark: &str) -> Seen {
    let Ok(mut frames) = Frames::connect(address, "www.test") else { return Seen::default() };
    if frames.start(&[]).is_err() {
        return Seen::default();
    }
    let block = case.block.clone().map_or_else(|| encoded(&case.fields, mark), |block| marked(&block, mark, true));
    let mut bytes = head(1, &block, case.data.is_empty() && case.trailers.is_none());
    for (number, data) in case.data.iter().enumerate() {
        let last = number + 1 == case.data.len() && case.trailers.is_none();
        bytes.extend(frame(kind::DATA, if last { flag::END_STREAM } else { 0 }, 1, &marked(data, mark, false)));
    }
    if let Some(trailers) = &case.trailers {
        bytes.extend(head(1, &encoded(trailers, mark), true));
    }
    let after = format!("/after-{mark}");
    let next = [(":method", "GET"), (":scheme", "https"), (":authority", "www.test"), (":path", after.as_str())];
    bytes.extend(head(3, &self::block(&next), true));
    let _ = frames.raw(&bytes);
    watch(&mut frames)
}

/// A head in as many frames as it needs.
fn head(stream: u32, block: &[u8], end: bool) -> Vec<u8> {
    let pieces: Vec<&[u8]> = if block.is_empty() { vec![block] } else { block.chunks(FRAME).collect() };
    let mut bytes = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let (kind, begin) =
            if number == 0 { (kind::HEADERS, u8::from(end) * flag::END_STREAM) } else { (kind::CONTINUATION, 0) };
        let last = if number + 1 == pieces.len() { flag::END_HEADERS } else { 0 };
        bytes.extend(frame(kind, begin | last, stream, piece));
    }
    bytes
}

fn encoded(fields: &[Field], mark: &str) -> Vec<u8> {
    let marked: Vec<Field> =
        fields.iter().map(|(name, value)| (marked(name, mark, false), marked(value, mark, false))).collect();
    block(&marked)
}

/// The mark in place of its byte; in a ready-made block its length stands before it.
fn marked(bytes: &[u8], mark: &str, ready_made: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in bytes {
        match *byte {
            0xa7 => {
                if ready_made {
                    *out.last_mut().expect("a length") = mark.len() as u8;
                }
                out.extend_from_slice(mark.as_bytes());
            }
            byte => out.push(byte),
        }
    }
    out
}

fn watch(frames: &mut Frames) -> Seen {
    let (mut seen, end) = (Seen::default(), Instant::now() + PATIENCE);
    let mut bodies = [(0, String::new()), (0, String::new())];
    while seen.own == Outcome::Nothing || seen.next == Outcome::Nothing {
        let Event::Frame(frame) = frames.next(end.saturating_duration_since(Instant::now())) else {
            seen.ended = Instant::now() < end;
            break;
        };
        match frame.kind {
            kind::SETTINGS if !frame.has(flag::ACK) => drop(frames.send(kind::SETTINGS, flag::ACK, 0, &[])),
            kind::PING if !frame.has(flag::ACK) => drop(frames.send(kind::PING, flag::ACK, 0, &frame.payload)),
            kind::GOAWAY if frame.error() != Some(0) => seen.ended = true,
            _ => {}
        }
        let Some(at) = [1, 3].iter().position(|stream| *stream == frame.stream) else { continue };
        let (status, text) = &mut bodies[at];
        let outcome = if at == 0 { &mut seen.own } else { &mut seen.next };
        match frame.kind {
            kind::HEADERS if *status == 0 => *status = frame.status().unwrap_or(0),
            kind::DATA => text.push_str(&String::from_utf8_lossy(&frame.payload)),
            kind::RST_STREAM if *outcome == Outcome::Nothing => *outcome = Outcome::Reset(frame.error().unwrap_or(0)),
            _ => {}
        }
        if matches!(frame.kind, kind::HEADERS | kind::DATA) && frame.has(flag::END_STREAM) {
            *outcome = Outcome::Answer(*status, text.clone());
        }
    }
    seen
}

fn judge(case: &Case, mark: &str, seen: &Seen, left: &[Request]) -> Result<(), String> {
    let own: Vec<&Request> = left.iter().filter(|request| !request.target.contains("/after-")).collect();
    match &case.must {
        Must::Refused | Must::Broken | Must::Fatal if !own.is_empty() => Err(format!("left as {own:?}")),
        Must::Refused | Must::Broken => {
            if seen.ended && seen.own == Outcome::Nothing && seen.next == Outcome::Nothing && left.is_empty() {
                return Ok(());
            }
            let refused = matches!(&seen.own, Outcome::Reset(code) if *code != 0)
                || matches!(&seen.own, Outcome::Answer(400.., _));
            if !refused {
                return Err(format!("ended with {:?}, connection ended: {}", seen.own, seen.ended));
            }
            next_is_served(mark, seen)
        }
        Must::Fatal => {
            let ended = seen.ended && seen.own == Outcome::Nothing && seen.next == Outcome::Nothing && left.is_empty();
            if ended { Ok(()) } else { Err(format!("the connection must end, but {seen:?}, left {left:?}")) }
        }
        Must::Forwarded(sent) => {
            let [own] = own[..] else { return Err(format!("left {} times, {:?}", own.len(), seen.own)) };
            same(sent, mark, own)?;
            match &seen.own {
                Outcome::Answer(200, text)
                    if sent.method == "HEAD" || text.starts_with(&format!("{} ", own.method)) =>
                {
                    next_is_served(mark, seen)
                }
                other => Err(format!("ended with {other:?}")),
            }
        }
    }
}

fn next_is_served(mark: &str, seen: &Seen) -> Result<(), String> {
    match &seen.next {
        Outcome::Answer(200, text) if text.starts_with(&format!("GET /after-{mark} ")) => Ok(()),
        other => {
            Err(format!("the other stream ended with {other:?} (connection ended: {}); own {:?}", seen.ended, seen.own))
        }
    }
}
