//! The way in: one record is opened in place, judged, and becomes data or an event. Knows nothing of what we send.

use super::hello::Assembly;
use super::keys::{Protection, VERSION};
use crate::alert::{self, Meaning};
use crate::fault::Fault;
use crate::frame::{HEADER, MAX_PLAINTEXT, content};
use crate::limits::Limits;
use crate::open::{Record, count};

/// The reading direction.
#[derive(Debug)]
pub(crate) struct Opener {
    keys: Protection,
    hello: Assembly,
    renegotiations: u32,
    empty_records: u32,
    warnings: u32,
}

impl Opener {
    pub(crate) fn new(keys: Protection) -> Self {
        Self { keys, hello: Assembly::default(), renegotiations: 0, empty_records: 0, warnings: 0 }
    }

    pub(crate) fn into_keys(self) -> Protection {
        self.keys
    }

    /// Whether nothing is begun that the next generation of this object could not know of.
    pub(crate) fn is_between_messages(&self) -> bool {
        !self.hello.is_open()
    }

    /// Opens the first record of `input`.
    pub(crate) fn open<'b>(&mut self, input: &'b mut [u8], limits: &Limits) -> Result<Record<'b>, Fault> {
        let Some((&mut header, rest)) = input.split_first_chunk_mut::<HEADER>() else {
            return Ok(Record::Incomplete(0));
        };
        let (kind, length) = self.judge(header)?;
        let consumed = HEADER + length;
        let Some(fragment) = rest.get_mut(..length) else {
            return Ok(Record::Incomplete(consumed));
        };
        let inner = self.keys.open(kind, fragment)?;
        if self.hello.is_open() && kind != content::HANDSHAKE {
            return Err(Fault::Interleaved);
        }
        match kind {
            content::DATA if inner.is_empty() => {
                count(&mut self.empty_records, limits.empty_records, Fault::TooManyEmptyRecords)?;
                Ok(Record::Nothing(consumed))
            }
            content::DATA => {
                self.empty_records = 0;
                Ok(Record::Data(consumed, inner))
            }
            content::HANDSHAKE => match self.hello.push(inner)? {
                0 => Ok(Record::Nothing(consumed)), // of a message whose length is bounded
                hellos => {
                    for _ in 0..hellos {
                        count(&mut self.renegotiations, limits.renegotiations, Fault::TooManyRenegotiations)?;
                    }
                    Ok(Record::Requested(consumed))
                }
            },
            _ => match alert::read_tls12(inner)? {
                Meaning::Close => Ok(Record::Closed(consumed)),
                Meaning::Ignore => {
                    count(&mut self.warnings, limits.warnings, Fault::TooManyWarnings)?;
                    Ok(Record::Nothing(consumed))
                }
            },
        }
    }

    /// Reads a header: type, and bytes of the fragment behind it.
    ///
    /// The type is authenticated with the rest, so a wrong one would be found anyhow; change_cipher_spec and what is not known are refused
    /// before that. Protection adds a known number of bytes, so the longest content gives the longest record (RFC 5246 §6.2.3
    /// allows 2,048 bytes for suites that pad or compress; there is none here).
    fn judge(&self, header: [u8; HEADER]) -> Result<(u8, usize), Fault> {
        let [kind, major, minor, high, low] = header;
        if ![content::ALERT, content::HANDSHAKE, content::DATA].contains(&kind) {
            return Err(Fault::ContentType(kind));
        }
        if [major, minor] != VERSION {
            return Err(Fault::Version([major, minor]));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > MAX_PLAINTEXT + self.keys.suite().expansion() {
            Err(Fault::RecordTooLong)
        } else {
            Ok((kind, length))
        }
    }
}
