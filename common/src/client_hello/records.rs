//! From TLS records to one handshake message (RFC 8446 §5.1).
//!
//! A client may cut its ClientHello into as many records as it likes, and many do cut it into several TCP segments,
//! so this is asked again and again with a longer prefix of the same stream. It keeps nothing between two calls: it
//! walks the record headers without copying, and copies fragments only once the whole hello is there *and* lies in
//! more than one record. Everything that can be refused from a header is refused when the header arrives.

use super::Malformed;
use std::borrow::Cow;

/// First byte of a record that carries handshake messages.
pub(super) const HANDSHAKE: u8 = 0x16;
const RECORD_HEADER: usize = 5;
const HANDSHAKE_HEADER: usize = 4;
const MAX_FRAGMENT: u16 = 1 << 14;
const CLIENT_HELLO: u8 = 1;

/// What records hold so far.
pub(super) enum Records<'a> {
    /// No verdict is possible before there are `at_least` bytes in all.
    Incomplete {
        at_least: usize,
    },
    Complete(Message<'a>),
}

/// The body of the ClientHello, and what it took to carry it.
pub(super) struct Message<'a> {
    /// Without the four bytes of the handshake header.
    pub(super) body: Cow<'a, [u8]>,
    /// Bytes of the stream up to the end of the last record of the hello.
    pub(super) wire_len: usize,
    pub(super) records: usize,
}

/// Finds the first handshake message in `bytes`, which begin with a handshake record.
/// `limit` bounds the records together, in bytes of the stream.
pub(super) fn gather(bytes: &[u8], limit: usize) -> Result<Records<'_>, Malformed> {
    let mut walk = Walk { limit, position: 0, declared: 0, records: 0, header: Header::default() };
    loop {
        let Some((length, present)) = walk.record(bytes)? else {
            return walk.wait_for(walk.cost_of_rest());
        };
        if present < length {
            return walk.wait_for(walk.first_use(bytes.len()));
        }
        if walk.header.total() == Some(walk.declared) {
            return Ok(Records::Complete(Message {
                body: body(bytes, walk.records, walk.position),
                wire_len: walk.position,
                records: walk.records,
            }));
        }
    }
}

/// Where the walk over the records stands.
struct Walk {
    limit: usize,
    /// End of the last record whose header was read; the record itself may not be there yet.
    position: usize,
    /// Bytes of handshake message in the records up to `position`.
    declared: usize,
    records: usize,
    header: Header,
}

impl Walk {
    /// Steps over one record. Returns its length and how much of it is present; `None` if its header is not whole.
    fn record(&mut self, bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
        let rest = bytes.get(self.position..).unwrap_or_default();
        check_record_type(rest)?;
        let Some((&[_, _, _, high, low], rest)) = rest.split_first_chunk::<RECORD_HEADER>() else {
            return Ok(None);
        };
        let length = u16::from_be_bytes([high, low]);
        if length == 0 || length > MAX_FRAGMENT {
            return Err(Malformed::RecordLength(length));
        }
        let length = usize::from(length);
        let present = rest.get(..length).unwrap_or(rest);
        self.records += 1;
        self.position += RECORD_HEADER + length;
        self.declared += length;
        // Before and after a look inside: what a header settles must not depend on how much follows it.
        self.check_limit()?;
        self.header.feed(present)?;
        self.check_limit()?;
        match self.header.total() {
            Some(total) if self.declared > total => Err(Malformed::TrailingBytes),
            _ => Ok(Some((length, present.len()))),
        }
    }

    /// The fewest bytes of the stream at which the hello can be whole, as far as is known.
    fn cost_of_rest(&self) -> usize {
        let missing = match self.header.total() {
            Some(total) => total.saturating_sub(self.declared),
            None => HANDSHAKE_HEADER.saturating_sub(self.declared),
        };
        let records = missing.div_ceil(usize::from(MAX_FRAGMENT));
        self.position + missing + records * RECORD_HEADER
    }

    /// Inside a record: the handshake header is worth looking at as soon as it is there, nothing else is before the end.
    fn first_use(&self, present: usize) -> usize {
        match self.header.missing() {
            missing if missing > 0 && self.declared >= HANDSHAKE_HEADER => present + missing,
            _ => self.cost_of_rest(),
        }
    }

    /// The hello must fill its last record, so a record that reaches beyond the limit is too much already.
    fn check_limit(&self) -> Result<(), Malformed> {
        if self.cost_of_rest() > self.limit { Err(Malformed::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    fn wait_for<'a>(&self, at_least: usize) -> Result<Records<'a>, Malformed> {
        self.check_limit()?;
        Ok(Records::Incomplete { at_least })
    }
}

/// Type and major version, as far as they are there. `legacy_record_version` is otherwise ignored (RFC 8446 §5.1).
fn check_record_type(record: &[u8]) -> Result<(), Malformed> {
    match record {
        [other, ..] if *other != HANDSHAKE => Err(Malformed::RecordInterleaved(*other)),
        [_, major, ..] if *major != 3 => Err(Malformed::RecordVersion),
        _ => Ok(()),
    }
}

/// The four bytes before the hello, which records may cut as well.
#[derive(Default)]
struct Header {
    bytes: [u8; HANDSHAKE_HEADER],
    filled: usize,
}

impl Header {
    fn feed(&mut self, fragment: &[u8]) -> Result<(), Malformed> {
        for (slot, byte) in self.bytes.iter_mut().skip(self.filled).zip(fragment) {
            *slot = *byte;
            self.filled += 1;
        }
        match self.bytes {
            [kind, ..] if self.filled > 0 && kind != CLIENT_HELLO => Err(Malformed::NotAClientHello(kind)),
            _ => Ok(()),
        }
    }

    /// Length of the whole message with this header, once it is known.
    fn total(&self) -> Option<usize> {
        let [_, a, b, c] = self.bytes;
        let length = u32::from_be_bytes([0, a, b, c]);
        (self.missing() == 0).then(|| usize::try_from(length).unwrap_or(usize::MAX).saturating_add(HANDSHAKE_HEADER))
    }

    fn missing(&self) -> usize {
        HANDSHAKE_HEADER.saturating_sub(self.filled)
    }
}

/// The message without its header: borrowed from a single record, joined from several.
fn body(bytes: &[u8], records: usize, wire_len: usize) -> Cow<'_, [u8]> {
    if records == 1 {
        return Cow::Borrowed(bytes.get(RECORD_HEADER + HANDSHAKE_HEADER..wire_len).unwrap_or_default());
    }
    let mut joined = Vec::with_capacity(wire_len.saturating_sub(records * RECORD_HEADER));
    let mut rest = bytes.get(..wire_len).unwrap_or_default();
    while let Some((&[_, _, _, high, low], after)) = rest.split_first_chunk::<RECORD_HEADER>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (fragment, next) = after.split_at(length);
        joined.extend_from_slice(fragment);
        rest = next;
    }
    joined.drain(..HANDSHAKE_HEADER.min(joined.len()));
    Cow::Owned(joined)
}
