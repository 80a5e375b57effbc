//! The memory in which http-filter notes what it is answering, so that its next life knows what the former one died of (decision
//! 0033). It belongs to whoever starts the process: `bulkhead up` keeps one file for all instances, and passes it as an inherited
//! descriptor; a systemd unit has one of its own, in the file descriptor store of the service manager.
//!
//! Here is only what both sides must agree upon: its name and its size. What stands in it is http-filter's business.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use crate::ipc::directory::MAX_INSTANCES;
use crate::notify;

/// Its name among the inherited descriptors.
pub const JOURNAL: &str = "journal";
/// Requests of one instance that can be noted at once; further ones are served without.
pub const SLOTS: usize = 4096;
/// Requests that can be under suspicion at once.
pub const SUSPECTS: usize = 64;
/// Words of 8 bytes of one slot and of one suspect.
pub const ROW: usize = 16;
/// Words before the suspects, and before the slots of an instance.
pub const HEAD: usize = 16;
/// Words of one instance.
pub const REGION: usize = HEAD + SLOTS * ROW;
/// Words before the first instance.
pub const SHARED: usize = HEAD + SUSPECTS * ROW;
/// Most instances of one file.
const MOST: usize = MAX_INSTANCES;

/// An empty journal for so many instances. Memory is taken only as it is used: some 128 bytes per request in flight. Nobody can
/// cut it, lengthen it or run it.
///
/// # Errors
/// The kernel's.
pub fn create(instances: usize) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Linux before 6.3 does not know the flag; there the mapping alone (never executable) has to do.
    let file = memfd_create("bulkhead-journal", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("bulkhead-journal", flags))?;
    let words = SHARED + instances.clamp(1, MOST) * REGION;
    ftruncate(&file, u64::try_from(words * size_of::<u64>()).map_err(io::Error::other)?)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// The first life of a service makes one and gives it to its service manager, which passes it to the next; `None`: there is none.
///
/// # Errors
/// It cannot be made, or the manager cannot be reached.
pub fn of_the_manager() -> io::Result<Option<OwnedFd>> {
    if !notify::is_there() {
        return Ok(None);
    }
    let journal = create(1)?;
    notify::keep(JOURNAL, journal.as_fd())?;
    Ok(Some(journal))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sys::shared::SharedWords;

    #[test]
    fn a_journal_has_room_for_its_instances_and_keeps_its_size() {
        for (instances, regions) in [(0, 1), (1, 1), (3, 3), (1000, MOST)] {
            let file = create(instances).unwrap();
            assert_eq!(SharedWords::map(&file).unwrap().words().len(), SHARED + regions * REGION);
            assert!(ftruncate(&file, 8).is_err() && ftruncate(&file, 1 << 40).is_err());
        }
    }
}
