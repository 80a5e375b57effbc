//! Frame headers of one direction of an HTTP/2 connection (RFC 9113 §4.1), found while the bytes pass: across arbitrary splits, without
//! copying or allocating, payloads skipped by their length. Of some payloads the first bytes are looked at.
//!
//! Whether the frames make sense is h2's business; this only counts on it that a peer which lies about lengths is cut off there.

/// Bytes of a frame header.
const HEAD: usize = 9;
/// Bytes of a payload that are looked at, at most.
const PEEK: usize = 4;
/// Bytes of the client's connection preface (RFC 9113 §3.4).
const PREFACE: u32 = 24;

/// Frame types (RFC 9113 §6).
pub mod kind {
    #![allow(missing_docs)]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    /// RFC 9218 §7.1.
    pub const PRIORITY_UPDATE: u8 = 16;
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of payload.
    pub length: u32,
    /// Type, see [`kind`].
    pub kind: u8,
    /// Flags; their meaning depends on the type.
    pub flags: u8,
    /// Stream, without the reserved bit.
    pub stream: u32,
    /// The first bytes of the payload: the padding of padded DATA, the code of RST_STREAM; else zero.
    pub peek: [u8; PEEK],
}

impl Frame {
    /// The sender has nothing more to say on this stream. Of DATA and HEADERS only.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// The header block is whole. Of HEADERS and CONTINUATION only.
    #[must_use]
    pub fn ends_headers(&self) -> bool {
        self.flags & END_HEADERS != 0
    }

    /// Bytes of data in a DATA frame, padding left out.
    #[must_use]
    pub fn data(&self) -> u32 {
        let [padding, ..] = self.peek;
        if self.flags & PADDED == 0 {
            self.length
        } else {
            self.length.saturating_sub(u32::from(padding)).saturating_sub(1)
        }
    }

    /// The error code of RST_STREAM.
    #[must_use]
    pub fn code(&self) -> u32 {
        u32::from_be_bytes(self.peek)
    }

    fn read(bytes: &[u8; HEAD]) -> Self {
        let [l2, l1, l0, kind, flags, s3, s2, s1, s0] = *bytes;
        let length = u32::from_be_bytes([0, l2, l1, l0]);
        let stream = u32::from_be_bytes([s3 & 0x7f, s2, s1, s0]);
        Frame { length, kind, flags, stream, peek: [0; PEEK] }
    }

    /// How much of the payload is to be looked at.
    fn wants(&self) -> usize {
        let wanted = match self.kind {
            kind::DATA if self.flags & PADDED != 0 => 1,
            kind::RST_STREAM => PEEK,
            _ => 0,
        };
        wanted.min(usize::try_from(self.length).unwrap_or(0))
    }
}

/// Walks over the bytes of one direction.
#[derive(Debug, Clone)]
pub struct Walker {
    /// A header that is not whole yet.
    head: [u8; HEAD],
    have: usize,
    /// A frame whose payload is still to be looked at, and how much of it has been.
    open: Option<(Frame, usize)>,
    /// Bytes to be skipped.
    skip: u32,
}

impl Walker {
    /// For what the client sends, preface included.
    #[must_use]
    pub fn of_client() -> Self {
        Walker { head: [0; HEAD], have: 0, open: None, skip: PREFACE }
    }

    /// For what the server sends.
    #[must_use]
    pub fn of_server() -> Self {
        Walker { skip: 0, ..Walker::of_client() }
    }

    /// Whether the last frame is whole, so that another one could stand here.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.have == 0 && self.skip == 0 && self.open.is_none()
    }

    /// Takes the next bytes; tells of each frame as soon as all that is looked at has come.
    pub fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(&Frame)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.get(count..).unwrap_or_default();
                self.skip = self.skip.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
            } else if let Some((frame, seen)) = &mut self.open {
                let Some((byte, rest)) = bytes.split_first() else { return };
                if let Some(place) = frame.peek.get_mut(*seen) {
                    *place = *byte;
                }
                (*seen, bytes) = (seen.saturating_add(1), rest);
                if *seen >= frame.wants() {
                    let frame = *frame;
                    self.open = None;
                    self.begin_skip(&frame, frame.wants());
                    tell(&frame);
                }
            } else if let Some(frame) = self.head(&mut bytes) {
                if frame.wants() > 0 {
                    self.open = Some((frame, 0));
                } else {
                    self.begin_skip(&frame, 0);
                    tell(&frame);
                }
            }
        }
    }

    fn begin_skip(&mut self, frame: &Frame, seen: usize) {
        self.skip = frame.length.saturating_sub(u32::try_from(seen).unwrap_or(0));
    }

    /// The next header, if it is whole now.
    fn head(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        if self.have == 0
            && let Some((head, rest)) = bytes.split_first_chunk::<HEAD>()
        {
            *bytes = rest;
            return Some(Frame::read(head));
        }
        let missing = HEAD.saturating_sub(self.have).min(bytes.len());
        let (now, rest) = bytes.split_at_checked(missing)?;
        self.head.get_mut(self.have..)?.get_mut(..missing)?.copy_from_slice(now);
        (self.have, *bytes) = (self.have.saturating_add(missing), rest);
        if self.have < HEAD {
            return None;
        }
        self.have = 0;
        Some(Frame::read(&self.head))
    }
}
