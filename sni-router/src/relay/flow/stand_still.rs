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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

    use proptest::prelude::*;

    use super::*;
    use crate::relay::flow::SCRATCH_SIZE;

    /// What is still to be delivered, in order.
    fn left(flow: &Flow, ends: Option<&OwnedFd>) -> Vec<u8> {
        let mut all = flow.held[flow.sent..].to_vec();
        let mut piped = vec![0; flow.pipe.as_ref().map_or(0, crate::relay::pipes::HeldPipe::bytes)];
        let (mut have, wanted) = (0, piped.len());
        while have < wanted {
            have += rustix::io::read(ends.unwrap(), &mut piped[have..]).unwrap();
        }
        all.extend(piped);
        all
    }

    proptest! {
        #[test]
        fn what_is_left_is_left_in_its_order(length in 0..=SCRATCH_SIZE, part in 0.0f64..=1.0, hands in 1usize..4, seed in any::<u8>()) {
            let bytes: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ seed).collect();
            let sent = ((length as f64) * part) as usize;
            let pipes = PipePool::default();
            let mut flow = Flow { sent, moved: 7, spliced: 5, ended: true, ..Flow::new(bytes.clone()) };
            let mut reading = None;
            for _ in 0..hands {
                let mut descriptors = Vec::new();
                let direction = flow.stand_still(&mut descriptors);
                prop_assert_eq!(descriptors.len(), if direction.piped { 2 } else { 0 });
                prop_assert_eq!(direction.piped, length - sent > IN_THE_MESSAGE);
                prop_assert!(direction.held.len() <= IN_THE_MESSAGE);
                reading = descriptors.first().map(|end| end.try_clone().unwrap());
                flow = Flow::go_on(direction, &mut descriptors.into_iter(), &pipes).unwrap();
            }
            prop_assert_eq!((flow.moved, flow.spliced, flow.ended), (7, 5, true));
            prop_assert!(left(&flow, reading.as_ref()) == bytes[sent..]);
        }
    }
}
