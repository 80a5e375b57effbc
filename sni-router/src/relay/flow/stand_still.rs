//! A direction between two turns, as a message and back: for a process that finishes and the one that goes on.
//!
//! No byte may be lost, doubled or moved out of its place: what was read and not written goes along, in order.

use std::io;
use std::os::fd::OwnedFd;

use common::ipc::messages::relay_to_successor::Direction;

use super::Flow;
use crate::relay::pipes::{PipePool, filled};

/// Up to so many bytes go inside the message; more go into a pipe, because a frame holds few of such messages.
const IN_THE_MESSAGE: usize = 4096;

impl Flow {
    /// Ends here and goes on elsewhere. `descriptors` gets the ends of the pipe, if there is one.
    pub(crate) fn stand_still(mut self, descriptors: &mut Vec<OwnedFd>) -> Direction {
        let mut held = self.held.split_off(self.sent.min(self.held.len()));
        let mut ends = self.pipe.take().filter(|pipe| pipe.bytes() > 0).and_then(|pipe| pipe.into_ends());
        // With a pipe there is nothing held: bytes are in one place.
        if ends.is_none()
            && held.len() > IN_THE_MESSAGE
            && let Some((read, write, outside)) = filled(&held)
        {
            held.truncate(outside);
            ends = Some((read, write));
        }
        let piped = ends.is_some();
        descriptors.extend(ends.into_iter().flat_map(|(read, write)| [read, write]));
        Direction {
            held: held.into(),
            piped,
            splicing: self.splicing,
            ended: self.ended,
            moved: self.moved,
            spliced: self.spliced,
            sent: None,
            over: None,
        }
    }

    /// The same direction in another process.
    ///
    /// # Errors
    /// What came along is no pipe.
    pub(crate) fn go_on(
        direction: Direction,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
        pipes: &PipePool,
    ) -> io::Result<Self> {
        let ends = if direction.piped { descriptors.next().zip(descriptors.next()) } else { None };
        let pipe = ends.map(|(read, write)| pipes.adopt(read, write)).transpose()?;
        Ok(Self {
            pipe: pipe.filter(|pipe| pipe.bytes() > 0),
            splicing: direction.splicing,
            ended: direction.ended,
            moved: direction.moved,
            spliced: direction.spliced,
            ..Self::new(direction.held.into_vec())
        })
    }
}
