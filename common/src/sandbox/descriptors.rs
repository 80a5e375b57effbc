//! Nothing is open but what the process named: a descriptor that leaked in from the starter is a hole in every other wall,
//! because none of them looks at descriptors that are already open.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::outcome::Outcome;
use crate::sys::jail;

/// Name of the layer.
pub const LAYER: &str = "descriptors";

/// The first descriptor that is not standard input, output or error.
const FIRST: RawFd = 3;

/// Closes everything above standard error that is neither in `keep` nor in `bait` (which the self-report closes itself).
#[must_use]
pub fn close<'a>(keep: impl Iterator<Item = BorrowedFd<'a>>, bait: impl Iterator<Item = BorrowedFd<'a>>) -> Outcome {
    let mut keep: Vec<RawFd> = keep.map(|fd| fd.as_raw_fd()).filter(|fd| *fd >= FIRST).collect();
    keep.sort_unstable();
    keep.dedup();
    let kept = keep.len();
    keep.extend(bait.map(|fd| fd.as_raw_fd()));
    keep.sort_unstable();
    match jail::close_all_but(FIRST, &keep) {
        Ok(()) => Outcome::holds(LAYER, format!("{kept} kept, every other above standard error closed")),
        Err(error) => Outcome::absent(LAYER, format!("close_range: {error}"), "use Linux 5.9 or newer"),
    }
}
