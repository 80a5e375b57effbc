//! One connection of a case: what is said, and what is waited for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::clients::frames::{Event, Frame, Frames, PREFACE, block, flag, frame, kind, settings_payload};

use crate::Verdict;

/// Error codes (RFC 9113 §7).
pub mod code {
    #![allow(missing_docs)]
    pub const PROTOCOL: u32 = 1;
    pub const FLOW_CONTROL: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION: u32 = 9;
}

/// Settings (RFC 9113 §6.5.2).
pub mod setting {
    #![allow(missing_docs)]
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_STREAMS: u16 = 3;
    pub const WINDOW: u16 = 4;
    pub const FRAME: u16 = 5;
}

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(5);

/// A field.
pub type Field<'a> = (&'a str, &'a str);

/// Pseudo-header fields of an ordinary GET.
pub const GET: [Field<'static>; 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "www.test")];
/// Of a POST.
pub const POST: [Field<'static>; 4] =
    [(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "www.test")];

/// A connection to the TLS port.
pub struct Connection {
    frames: Frames,
    /// What the server's SETTINGS allow at once.
    pub max_streams: u32,
    /// The connection ended as it had to, but GOAWAY named another code than the specification.
    pub other_code: Option<u32>,
}

impl Connection {
    /// TLS only.
    pub fn open(address: SocketAddr) -> Result<Self, String> {
        let frames = Frames::connect(address, "www.test").map_err(|error| error.to_string())?;
        Ok(Self { frames, max_streams: u32::MAX, other_code: None })
    }

    /// Preface and SETTINGS in both directions.
    pub fn handshake(&mut self) -> Verdict {
        self.raw(PREFACE);
        self.settings(&[]);
        let (mut theirs, mut ours) = (false, false);
        while !(theirs && ours) {
            let frame = self.wait("SETTINGS", |frame| frame.kind == kind::SETTINGS)?;
            if frame.has(flag::ACK) {
                ours = true;
                continue;
            }
            theirs = true;
            self.max_streams = max_streams(&frame.payload).unwrap_or(u32::MAX);
            self.send(kind::SETTINGS, flag::ACK, 0, &[]);
        }
        Ok(())
    }

    /// Sends bytes; that the other side may have gone shows in what comes.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.frames.raw(bytes);
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.raw(&frame(kind, flags, stream, payload));
    }

    /// Sends SETTINGS.
    pub fn settings(&mut self, settings: &[(u16, u32)]) {
        self.send(kind::SETTINGS, 0, 0, &settings_payload(settings));
    }

    /// Sends a whole head.
    pub fn head(&mut self, stream: u32, fields: &[Field<'_>], end: bool) {
        let flags = flag::END_HEADERS | if end { flag::END_STREAM } else { 0 };
        self.send(kind::HEADERS, flags, stream, &block(fields));
    }

    /// Sends a head of GET that ends its stream.
    pub fn get(&mut self, stream: u32) {
        self.head(stream, &GET, true);
    }

    /// Sends a head with this behind the usual fields.
    pub fn head_with(&mut self, stream: u32, more: &[u8]) {
        let block = [&block(&GET)[..], more].concat();
        self.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &block);
    }

    /// Sends DATA.
    pub fn data(&mut self, stream: u32, bytes: &[u8], end: bool) {
        self.send(kind::DATA, if end { flag::END_STREAM } else { 0 }, stream, bytes);
    }

    /// Sends PRIORITY.
    pub fn priority(&mut self, stream: u32, depends_on: u32, weight: u8) {
        let payload = [&depends_on.to_be_bytes()[..], &[weight]].concat();
        self.send(kind::PRIORITY, 0, stream, &payload);
    }

    /// Sends RST_STREAM.
    pub fn reset(&mut self, stream: u32, code: u32) {
        self.send(kind::RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    /// Sends WINDOW_UPDATE.
    pub fn window(&mut self, stream: u32, increment: u32) {
        self.send(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
    }

    fn next(&mut self, end: Instant) -> Event {
        self.frames.next(end.saturating_duration_since(Instant::now()))
    }

    /// Waits for a frame.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Result<Frame, String> {
        let end = Instant::now() + PATIENCE;
        let mut came = Vec::new();
        loop {
            match self.next(end) {
                Event::Frame(frame) if wanted(&frame) => return Ok(frame),
                Event::Frame(frame) => came.push((frame.kind, frame.flags, frame.stream, frame.error())),
                other => return Err(format!("{what} must come, but {came:?} and {other:?} came")),
            }
        }
    }

    /// An answer's head.
    pub fn answered(&mut self, stream: u32) -> Verdict {
        self.wait("HEADERS", |frame| frame.kind == kind::HEADERS && frame.stream == stream).map(drop)
    }

    /// DATA of exactly this length.
    pub fn data_of(&mut self, length: usize) -> Verdict {
        let frame = self.wait("DATA", |frame| frame.kind == kind::DATA)?;
        if frame.payload.len() == length {
            Ok(())
        } else {
            Err(format!("{} bytes of DATA came, not {length}", frame.payload.len()))
        }
    }

    /// The end of a stream, in order.
    pub fn closed(&mut self, stream: u32) -> Verdict {
        let ends = |frame: &Frame| {
            frame.stream == stream && matches!(frame.kind, kind::HEADERS | kind::DATA) && frame.has(flag::END_STREAM)
        };
        self.wait("the end of the stream", ends).map(drop)
    }

    /// A PING is answered: the connection is in order.
    pub fn alive(&mut self) -> Verdict {
        let payload = *b"alive?!.";
        self.send(kind::PING, 0, 0, &payload);
        self.wait("PING with ACK", |frame| frame.kind == kind::PING && frame.has(flag::ACK) && frame.payload == payload)
            .map(drop)
    }

    /// The same, or the connection ends.
    pub fn alive_or_ended(&mut self) -> Verdict {
        let payload = *b"alive?!.";
        self.send(kind::PING, 0, 0, &payload);
        self.until_end("PING with ACK", |frame| frame.kind == kind::PING && frame.has(flag::ACK))
    }

    /// The connection ends.
    pub fn ended(&mut self) -> Verdict {
        self.until_end("the end of the connection", |_| false)
    }

    /// GOAWAY with one of these codes, or the end.
    pub fn connection_error(&mut self, codes: &[u32]) -> Verdict {
        let wanted =
            |frame: &Frame| frame.kind == kind::GOAWAY && frame.error().is_some_and(|code| codes.contains(&code));
        self.until_end(&format!("GOAWAY with one of {codes:?}"), wanted)
    }

    /// RST_STREAM or GOAWAY with one of these codes, or the end.
    pub fn stream_error(&mut self, codes: &[u32]) -> Verdict {
        let wanted = |frame: &Frame| frame.error().is_some_and(|code| codes.contains(&code));
        self.until_end(&format!("an error of the stream with one of {codes:?}"), wanted)
    }

    fn until_end(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Verdict {
        let end = Instant::now() + PATIENCE;
        let mut came = Vec::new();
        loop {
            match self.next(end) {
                Event::Frame(frame) if wanted(&frame) => return Ok(()),
                // Another code; what counts is whether the connection ends.
                Event::Frame(frame) if frame.kind == kind::GOAWAY && frame.error() != Some(0) => {
                    self.other_code = frame.error();
                    came.push((frame.kind, frame.flags, frame.stream, frame.error()));
                }
                Event::Frame(frame) => came.push((frame.kind, frame.flags, frame.stream, frame.error())),
                Event::Closed => return Ok(()),
                Event::Silence => return Err(format!("{what} must come, but only {came:?} came")),
            }
        }
    }
}

fn max_streams(payload: &[u8]) -> Option<u32> {
    let settings = payload.chunks_exact(6);
    let mut named = settings.filter(|one| u16::from_be_bytes([one[0], one[1]]) == setting::MAX_STREAMS);
    named.next_back().map(|one| u32::from_be_bytes([one[2], one[3], one[4], one[5]]))
}
