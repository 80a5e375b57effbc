//! Both directions together: what one side's events oblige the other to, and what is final.

use std::io::IoSlice;

use crate::alert::Alert;
use crate::error::Error;
use crate::fault::Fault;
use crate::frame::content;
use crate::keys::Protection;
use crate::limits::Limits;
use crate::open::{Opener, Record};
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::suite::Suite;

/// One direction of a connection.
#[derive(Debug)]
pub struct Direction {
    /// Its present traffic secret.
    pub secret: Secret,
    /// Number of its next record under that secret.
    pub sequence: u64,
}

/// All that a hand-over carries. It can be used once: who has made a [`RecordLayer`] of it, or has sent it away, must not make another
/// (see the crate's documentation).
#[derive(Debug)]
pub struct State {
    /// The suite that was agreed on.
    pub suite: Suite,
    /// What the peer sends.
    pub read: Direction,
    /// What we send.
    pub write: Direction,
}

/// What stood at the beginning of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'b> {
    /// The record is not whole; nothing was changed.
    Incomplete {
        /// Bytes of the whole record, at most [`crate::MAX_RECORD`]; 0 if even its header is not whole.
        wanted: usize,
    },
    /// Data, at least one byte.
    Data {
        /// Bytes of the input that are done with, once `plain` is.
        consumed: usize,
        /// The plaintext, in the input.
        plain: &'b [u8],
    },
    /// A record without anything for the application.
    Nothing {
        /// Bytes of the input that are done with.
        consumed: usize,
    },
    /// close_notify, or something behind it, which is not looked at (§6.1).
    Closed {
        /// Bytes of the input that are done with.
        consumed: usize,
    },
}

/// The record layer of one connection.
#[derive(Debug)]
pub struct RecordLayer {
    suite: Suite,
    limits: Limits,
    opener: Opener,
    sealer: Sealer,
    /// The peer has asked for a new key of ours and not got it. However often it asks before we write, it is answered once.
    answer_due: bool,
    /// The peer's close_notify has come.
    peer_closed: bool,
    /// Our close_notify or alert has been sealed.
    finished: bool,
    /// What has ended the connection. Final.
    fault: Option<Fault>,
}

impl RecordLayer {
    /// A record layer that goes on where another stopped.
    ///
    /// # Errors
    /// If the parts do not fit together.
    pub fn new(state: State, limits: Limits) -> Result<Self, Error> {
        let State { suite, read, write } = state;
        for secret in [&read.secret, &write.secret] {
            if secret.suite() != suite {
                return Err(Error::OtherSuite { suite, found: secret.suite() });
            }
        }
        if read.secret.equals(&write.secret) {
            return Err(Error::SameSecret);
        }
        Ok(Self {
            suite,
            limits,
            opener: Opener::new(Protection::new(read.secret, read.sequence)?),
            sealer: Sealer::new(
                Protection::new(write.secret, write.sequence)?,
                limits.records_per_key.min(suite.records_per_key()),
            ),
            answer_due: false,
            peer_closed: false,
            finished: false,
            fault: None,
        })
    }

    /// What a successor needs to go on. The keys are dropped, so nothing can be sealed with them here any more.
    ///
    /// Only for a connection that [`Self::is_movable`]; of any other the successor would not know how it stands. The counts of [`Limits`]
    /// begin anew there.
    pub fn into_state(self) -> State {
        let direction = |keys: Protection| {
            let (secret, sequence) = keys.into_parts();
            Direction { secret, sequence }
        };
        State { suite: self.suite, read: direction(self.opener.into_keys()), write: direction(self.sealer.into_keys()) }
    }

    /// Whether [`State`] says all about this connection: nothing is owed to the peer, no message has come in part, nothing has ended.
    pub fn is_movable(&self) -> bool {
        !self.wants_control()
            && self.opener.is_between_messages()
            && !self.peer_closed
            && !self.finished
            && self.fault.is_none()
    }

    /// Opens the first record of `input` in place. Never looks behind that record.
    ///
    /// # Errors
    /// What the peer did wrong. Final: every later call says the same, and [`Self::control`] has the alert.
    pub fn open<'b>(&mut self, input: &'b mut [u8]) -> Result<Opened<'b>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.peer_closed {
            return Ok(Opened::Closed { consumed: input.len() });
        }
        match self.opener.open(input, &self.limits) {
            Ok(Record::Data(consumed, plain)) => Ok(Opened::Data { consumed, plain }),
            Ok(Record::Incomplete(wanted)) => Ok(Opened::Incomplete { wanted }),
            Ok(Record::Nothing(consumed)) => Ok(Opened::Nothing { consumed }),
            Ok(Record::Requested(consumed)) => {
                self.answer_due = !self.finished;
                Ok(Opened::Nothing { consumed })
            }
            Ok(Record::Closed(consumed)) => {
                self.peer_closed = true;
                Ok(Opened::Closed { consumed })
            }
            Err(fault) => {
                self.fault = Some(fault);
                Err(fault)
            }
        }
    }

    /// Whether something must be sent that the application did not ask for: the answer to a KeyUpdate, an alert.
    pub fn wants_control(&self) -> bool {
        match self.fault {
            Some(fault) => !self.finished && fault.alert().is_some(),
            None => self.answer_due,
        }
    }

    /// Appends it. Bytes appended must be sent, in order, before anything that is sealed later.
    ///
    /// For an answer to a KeyUpdate, wait until the socket has taken what was sealed before: all requests that come until then have one answer,
    /// whereas a peer that asks and does not read could have one answer after the other pile up. An alert need not wait.
    pub fn control(&mut self, out: &mut Vec<u8>) {
        if let Some(fault) = self.fault {
            self.fail(&fault, out);
        } else if self.answer_due {
            self.answer_due = false;
            if let Err(fault) = self.sealer.update(out) {
                self.fail(&fault, out);
            }
        }
    }

    /// Seals as much of `parts` (gathered in order) as `limit` bytes of plaintext allow, in records of at most `record` bytes of plaintext (1
    /// to [`crate::MAX_PLAINTEXT`]), appended to `out`, with a KeyUpdate before them if one is owed and between them before a key has protected
    /// too many. Returns the bytes taken. `out` grows by [`crate::OVERHEAD`] per record; a buffer that is used again does not allocate.
    ///
    /// # Errors
    /// After an end of our direction, or when sealing fails. Records that were appended before stay, and are good.
    pub fn seal(
        &mut self,
        parts: &[IoSlice<'_>],
        limit: usize,
        record: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.finished {
            return Err(Fault::Finished);
        }
        let sealed = self.sealer.data(parts, limit, record, &mut self.answer_due, out);
        if let Err(fault) = sealed {
            self.fault = Some(fault);
        }
        sealed
    }

    /// Appends close_notify, once; nothing can be sealed afterwards. What the peer still sends can be opened.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.fault.is_none() {
            self.finish(Alert::CLOSE_NOTIFY, out);
        }
    }

    /// Appends the alert that fits, once, unless our direction has ended or the peer is not to be told; nothing can be sealed or opened
    /// afterwards. The first fault stays the one that is told.
    pub fn fail(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        let first = *self.fault.get_or_insert(*fault);
        if let Some(alert) = first.alert() {
            self.finish(alert, out);
        }
    }

    /// The socket ended.
    ///
    /// # Errors
    /// [`Fault::Truncated`] unless the peer's close_notify had come, or what ended the connection before.
    pub fn end(&self) -> Result<(), Fault> {
        match self.fault {
            Some(fault) => Err(fault),
            None if self.peer_closed => Ok(()),
            None => Err(Fault::Truncated),
        }
    }

    /// The last record of our direction.
    fn finish(&mut self, alert: Alert, out: &mut Vec<u8>) {
        if self.finished {
            return;
        }
        self.finished = true;
        self.answer_due = false;
        if let Err(fault) = self.sealer.message(content::ALERT, &alert.message(), out) {
            self.fault.get_or_insert(fault);
        }
    }
}
