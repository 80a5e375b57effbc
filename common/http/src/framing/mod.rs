//! Strict HTTP/1 framing (RFC 9112) as a pure state machine: raw client bytes in, [`Step`]s out; no I/O, no clock, no allocation.
//!
//! Why it exists: hyper's parser is lenient or silent in places (bare LF, two equal lengths, a cut-off fragment …), and two parsers that read
//! one byte stream differently are what request smuggling is made of. So every byte passes here first ([`crate::guarded`]) and only a request with
//! exactly one possible reading goes on. It must never repair anything: what is ambiguous is refused.
//!
//! - [`violation`]: what can be wrong, with status and words
//! - [`head`]: request line and header lines
//! - [`chunked`]: chunked bodies and their trailers

mod bytes;
mod chunked;
mod head;
mod violation;

#[cfg(test)]
pub(crate) mod tests;

pub use bytes::list_has;
pub(crate) use bytes::{is_target_byte, is_tchar, trim_ows};
pub use chunked::is_forbidden_trailer;
pub use violation::Violation;

use chunked::Chunked;
use head::HeadScan;

/// Limits on what one request may take. All in bytes or counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Whole head with its final empty line; keep it below the read buffer limit given to hyper.
    pub head: usize,
    /// Request line without CR LF.
    pub request_line: usize,
    /// Number of header lines; hyper's own table has 100 places.
    pub headers: usize,
    /// Extensions of one chunk.
    pub chunk_extension: usize,
    /// Extensions of all chunks of one body (hyper gives up at 16 KiB).
    pub chunk_extensions_total: usize,
    /// Whole trailer section.
    pub trailers: usize,
    /// A Host that differs from an absolute-form target is ignored instead of refused: what RFC 9112 §3.2.2 asks of a forward proxy,
    /// which writes Host anew from the target. Never for a reverse proxy.
    pub target_wins: bool,
}

impl Limits {
    /// What we ship with: 16 KiB head, 8 KiB request line, 100 headers.
    pub const DEFAULT: Limits = Limits {
        head: 16 * 1024,
        request_line: 8 * 1024,
        headers: 100,
        chunk_extension: 256,
        chunk_extensions_total: 8 * 1024,
        trailers: 8 * 1024,
        target_wins: false,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a valid head says about what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How the body is delimited.
    pub body: Body,
    /// Another request may follow on this connection.
    pub keep_alive: bool,
    /// The bytes after this message may belong to another protocol (CONNECT, or `Upgrade` on HTTP/1.1).
    pub may_switch: bool,
}

/// How a request body is delimited (RFC 9112 §6.3; a request is never delimited by the end of the connection).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// No body.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// What the first bytes of the input given to [`Framing::feed`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The first `len` bytes are one whole valid head.
    Head {
        /// Bytes of the head with its final empty line.
        len: usize,
        /// What it announces.
        head: Head,
    },
    /// The first `len` bytes (≥ 1) belong to the body, chunk lines and trailers included.
    Body {
        /// Number of bytes.
        len: usize,
    },
    /// All of the input is the beginning of a head (or empty): keep it, and feed it again *from its first byte* with more behind it.
    Partial,
    /// A message that may switch protocols is complete: nothing more is read until [`Framing::stay_http`] (or the caller goes transparent).
    Hold,
    /// The last message is complete and was announced as such: `len` bytes (an old client's final CR LF) are to be thrown away.
    Discard {
        /// Number of bytes.
        len: usize,
    },
    /// Refused; this framing never accepts another byte.
    Refused(Violation),
}

#[derive(Debug, Clone)]
enum Phase {
    Head(HeadScan),
    Length(u64),
    Chunked(Chunked),
    AwaitSwitch,
    Closing(u8),
    Refused(Violation),
}

/// The framing of one client connection.
#[derive(Debug, Clone)]
pub struct Framing {
    limits: Limits,
    phase: Phase,
    current: Head,
}

/// How many stray CR/LF bytes after the last message are thrown away in silence.
const CLOSING_SLACK: u8 = 2;

impl Framing {
    /// A fresh connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let current = Head { body: Body::None, keep_alive: true, may_switch: false };
        Framing { limits, phase: Phase::Head(HeadScan::default()), current }
    }

    /// Says what the first bytes of `input` are. Total work over a connection is linear in its bytes, however they are split.
    pub fn feed(&mut self, input: &[u8]) -> Step {
        if input.is_empty() {
            return Step::Partial;
        }
        let step = match &mut self.phase {
            Phase::Head(scan) => match scan.scan(input, &self.limits) {
                Ok(None) => Step::Partial,
                Ok(Some((len, head))) => {
                    self.begin_body(head);
                    Step::Head { len, head }
                }
                Err(violation) => Step::Refused(violation),
            },
            Phase::Length(left) => {
                let have = u64::try_from(input.len()).unwrap_or(u64::MAX);
                let take = have.min(*left);
                *left -= take;
                if *left == 0 {
                    self.end_message();
                }
                Step::Body { len: usize::try_from(take).unwrap_or(input.len()) }
            }
            Phase::Chunked(chunked) => match chunked.feed(input, &self.limits) {
                Ok((len, false)) => Step::Body { len },
                Ok((len, true)) => {
                    self.end_message();
                    Step::Body { len }
                }
                Err((0, violation)) => Step::Refused(violation),
                // The valid part first; the machine stands on the bad byte and will refuse it next time.
                Err((len, _)) => Step::Body { len },
            },
            Phase::AwaitSwitch => Step::Hold,
            Phase::Closing(slack) => closing(slack, input),
            Phase::Refused(violation) => Step::Refused(*violation),
        };
        if let Step::Refused(violation) = step {
            self.phase = Phase::Refused(violation);
        }
        step
    }

    /// After [`Step::Hold`]: the answer did not switch protocols, so HTTP goes on.
    pub fn stay_http(&mut self) {
        if matches!(self.phase, Phase::AwaitSwitch) {
            self.phase = self.next_message();
        }
    }

    /// Inside a head of which at least one byte (beyond a tolerated empty line) has come.
    #[must_use]
    pub fn in_head(&self) -> bool {
        matches!(&self.phase, Phase::Head(scan) if scan.has_begun())
    }

    /// Inside a body.
    #[must_use]
    pub fn in_body(&self) -> bool {
        matches!(self.phase, Phase::Length(_) | Phase::Chunked(_))
    }

    /// No byte of this connection can ever be a request again.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing(_) | Phase::Refused(_))
    }

    fn begin_body(&mut self, head: Head) {
        self.current = head;
        match head.body {
            Body::None => self.end_message(),
            Body::Length(n) => self.phase = Phase::Length(n),
            Body::Chunked => self.phase = Phase::Chunked(Chunked::default()),
        }
    }

    fn end_message(&mut self) {
        self.phase = if self.current.may_switch { Phase::AwaitSwitch } else { self.next_message() };
    }

    fn next_message(&self) -> Phase {
        if self.current.keep_alive { Phase::Head(HeadScan::default()) } else { Phase::Closing(CLOSING_SLACK) }
    }
}

fn closing(slack: &mut u8, input: &[u8]) -> Step {
    let mut len = 0;
    for b in input {
        if *slack == 0 || !matches!(b, b'\r' | b'\n') {
            break;
        }
        *slack -= 1;
        len += 1;
    }
    if len == 0 { Step::Refused(Violation::BytesAfterClose) } else { Step::Discard { len } }
}
