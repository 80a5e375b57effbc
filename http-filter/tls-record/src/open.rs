//! The way in: one record is opened in place, judged, and becomes data or an event. Knows nothing of what we send.

use crate::alert::{self, Meaning};
use crate::fault::Fault;
use crate::frame::{self, HEADER, content};
use crate::keys::Protection;
use crate::limits::Limits;
use crate::update::{Assembly, Request};

/// What a record was.
pub(crate) enum Record<'b> {
    /// It is not whole; bytes of it, 0 if even the header is not.
    Incomplete(usize),
    /// Data, of this many bytes on the wire.
    Data(usize, &'b [u8]),
    /// Nothing for the application.
    Nothing(usize),
    /// The peer asks for a new key of ours.
    Requested(usize),
    /// The last.
    Closed(usize),
}

/// The reading direction.
#[derive(Debug)]
pub(crate) struct Opener {
    keys: Protection,
    message: Assembly,
    key_updates: u32,
    empty_records: u32,
    warnings: u32,
}

impl Opener {
    pub(crate) fn new(keys: Protection) -> Self {
        Self { keys, message: Assembly::default(), key_updates: 0, empty_records: 0, warnings: 0 }
    }

    pub(crate) fn into_keys(self) -> Protection {
        self.keys
    }

    /// Whether nothing is begun that the next generation of this object could not know of.
    pub(crate) fn is_between_messages(&self) -> bool {
        !self.message.is_open()
    }

    /// Opens the first record of `input`.
    pub(crate) fn open<'b>(&mut self, input: &'b mut [u8], limits: &Limits) -> Result<Record<'b>, Fault> {
        let Some((&mut header, rest)) = input.split_first_chunk_mut::<HEADER>() else {
            return Ok(Record::Incomplete(0));
        };
        let length = frame::fragment_length(header)?;
        let consumed = HEADER + length;
        let Some(fragment) = rest.get_mut(..length) else {
            return Ok(Record::Incomplete(consumed));
        };
        let (kind, inner) = frame::inner(self.keys.open(header, fragment)?)?;
        if self.message.is_open() && kind != content::HANDSHAKE {
            return Err(Fault::Interleaved);
        }
        match kind {
            content::DATA if inner.is_empty() => self.empty(limits).map(|()| Record::Nothing(consumed)),
            content::DATA => {
                (self.key_updates, self.empty_records) = (0, 0);
                Ok(Record::Data(consumed, inner))
            }
            content::HANDSHAKE => match self.message.push(inner)? {
                None => Ok(Record::Nothing(consumed)), // at most four of a message, which is counted
                Some(request) => self.update(request, consumed, limits),
            },
            content::ALERT => match alert::read(inner)? {
                Meaning::Close => Ok(Record::Closed(consumed)),
                Meaning::Ignore => self.warned(limits).map(|()| Record::Nothing(consumed)),
            },
            other => Err(Fault::ContentType(other)),
        }
    }

    fn update<'b>(&mut self, request: Request, consumed: usize, limits: &Limits) -> Result<Record<'b>, Fault> {
        count(&mut self.key_updates, limits.key_updates, Fault::TooManyKeyUpdates)?;
        self.keys.update()?;
        Ok(match request {
            Request::Requested => Record::Requested(consumed),
            Request::NotRequested => Record::Nothing(consumed),
        })
    }

    fn empty(&mut self, limits: &Limits) -> Result<(), Fault> {
        count(&mut self.empty_records, limits.empty_records, Fault::TooManyEmptyRecords)
    }

    fn warned(&mut self, limits: &Limits) -> Result<(), Fault> {
        count(&mut self.warnings, limits.warnings, Fault::TooManyWarnings)
    }
}

/// One more.
pub(crate) fn count(counter: &mut u32, limit: u32, fault: Fault) -> Result<(), Fault> {
    *counter = counter.saturating_add(1);
    if *counter > limit { Err(fault) } else { Ok(()) }
}
