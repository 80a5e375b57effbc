//! Both directions together: what one side's events oblige the other to, and what is final.

use std::io::IoSlice;

use super::keys::Protection;
use super::open::Opener;
use super::seal::Sealer;
use super::secret::Keys;
use super::suite::Suite;
use crate::alert::Alert;
use crate::error::Error;
use crate::fault::Fault;
use crate::frame::content;
use crate::layer::Opened;
use crate::limits::Limits;
use crate::open::Record;

/// One direction of a connection.
#[derive(Debug)]
pub struct Direction {
    /// Its key and IV.
    pub keys: Keys,
    /// Number of its next record.
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

/// The record layer of one connection; the same calls as [`crate::RecordLayer`].
#[derive(Debug)]
pub struct RecordLayer {
    suite: Suite,
    limits: Limits,
    opener: Opener,
    sealer: Sealer,
    /// The peer wants to shake hands again and has not been told no. However often it asks before that, it is told once.
    refusal_due: bool,
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
        if !read.keys.suite().is_like(suite) || !write.keys.suite().is_like(suite) {
            return Err(Error::OtherAead { suite: suite.into() });
        }
        if read.keys.equals(&write.keys) {
            return Err(Error::SameSecret);
        }
        Ok(Self {
            suite,
            limits,
            opener: Opener::new(Protection::new(read.keys, read.sequence)?),
            sealer: Sealer::new(
                Protection::new(write.keys, write.sequence)?,
                limits.records_per_key.min(suite.records_per_key()),
            ),
            refusal_due: false,
            peer_closed: false,
            finished: false,
            fault: None,
        })
    }

    /// What a successor needs to go on. The keys are dropped, so nothing can be sealed with them here any more.
    ///
    /// Only for a connection that [`Self::is_movable`]; of any other the successor would not know how it stands. The counts of [`Limits`]
    /// begin anew there, but for the records of the key, which are its number.
    #[must_use]
    pub fn into_state(self) -> State {
        let direction = |keys: Protection| {
            let (keys, sequence) = keys.into_parts();
            Direction { keys, sequence }
        };
        State { suite: self.suite, read: direction(self.opener.into_keys()), write: direction(self.sealer.into_keys()) }
    }

    /// Whether [`State`] says all about this connection: nothing is owed to the peer, no message has come in part, nothing has ended.
    #[must_use]
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
                self.refusal_due = !self.finished;
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

    /// Whether something must be sent that the application did not ask for: no_renegotiation, an alert.
    #[must_use]
    pub fn wants_control(&self) -> bool {
        match self.fault {
            Some(fault) => !self.finished && alert(fault).is_some(),
            None => self.refusal_due,
        }
    }

    /// Appends it. Bytes appended must be sent, in order, before anything that is sealed later. For a refusal, wait until the socket has
    /// taken what was sealed before; an alert need not wait.
    pub fn control(&mut self, out: &mut Vec<u8>) {
        if let Some(fault) = self.fault {
            self.fail(&fault, out);
        } else if std::mem::take(&mut self.refusal_due) {
            let refusal = if self.sealer.is_worn() {
                Err(Fault::Exhausted)
            } else {
                self.sealer.message(content::ALERT, &Alert::NO_RENEGOTIATION.message(), out)
            };
            if let Err(fault) = refusal {
                self.fail(&fault, out);
            }
        }
    }

    /// Seals as much of `parts` (gathered in order) as `limit` bytes of plaintext allow, in records of at most `record` bytes of plaintext (1
    /// to [`crate::MAX_PLAINTEXT`]), appended to `out`. Returns the bytes taken. `out` grows by [`super::OVERHEAD`] per record at most; a
    /// buffer that is used again does not allocate.
    ///
    /// # Errors
    /// After an end of our direction, or when sealing fails: [`Fault::Exhausted`] when the key is worn, and then [`Self::control`] has a
    /// close_notify. Records that were appended before stay, and are good.
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
        let sealed = self.sealer.data(parts, limit, record, out);
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
        if let Some(alert) = alert(first) {
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
        self.refusal_due = false;
        if let Err(fault) = self.sealer.message(content::ALERT, &alert.message(), out) {
            self.fault.get_or_insert(fault);
        }
    }
}

/// The alert for a fault. A key that is worn is nobody's mistake: the connection ends as any other does.
fn alert(fault: Fault) -> Option<Alert> {
    if fault == Fault::Exhausted { Some(Alert::CLOSE_NOTIFY) } else { fault.alert() }
}
