//! Memory that several processes, or several lives of one process, work on.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::AtomicU64;

use rustix::fs::{SealFlags, fcntl_get_seals, fstat};

/// A memory file, mapped for as long as the process lives, as numbers that others may change at any time.
#[derive(Debug)]
pub struct SharedWords(&'static [AtomicU64]);

impl SharedWords {
    /// Maps the whole of a memory file (memfd_create(2)). The descriptor may be closed afterwards; the mapping stays until the
    /// process ends. Call before the sandbox closes, once per process.
    ///
    /// # Errors
    /// It is no memory file, may be cut (`F_SEAL_SHRINK` is missing: touching what was cut off would end the process), is empty,
    /// or cannot be mapped.
    pub fn map(file: impl AsFd) -> io::Result<Self> {
        // Only memory files have seals: anything else answers EINVAL.
        let seals = fcntl_get_seals(&file).map_err(|_| io::Error::other("it is no memory file"))?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(io::Error::other("the memory file is not sealed against being cut"));
        }
        let bytes = usize::try_from(fstat(&file)?.st_size).map_err(io::Error::other)?;
        let count = bytes / size_of::<AtomicU64>();
        if count == 0 {
            return Err(io::Error::other("the memory file is empty"));
        }
        // SAFETY: a new mapping at an address of the kernel's choice, of a descriptor that is borrowed and so open; nothing that
        // exists is replaced.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_fd().as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping begins at a page, so it is aligned; it has `count` whole words, all of them initialised (a file reads
        // as zeros), and stays so: the file cannot be cut, and nobody unmaps it. Any bits are a valid u64, and because others
        // write at any time nobody looks at them but through atomics.
        Ok(Self(unsafe { std::slice::from_raw_parts(address.cast::<AtomicU64>(), count) }))
    }

    /// The words. What is in them may come from a process that was taken over: judge it.
    #[must_use]
    pub fn words(&self) -> &'static [AtomicU64] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use rustix::fs::{MemfdFlags, fcntl_add_seals, ftruncate, memfd_create};
    use std::sync::atomic::Ordering;

    #[test]
    fn two_mappings_are_one_memory() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, 8192).unwrap();
        assert!(SharedWords::map(&file).unwrap_err().to_string().contains("not sealed"));
        fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
        let (one, other) = (SharedWords::map(&file).unwrap(), SharedWords::map(&file).unwrap());
        drop(file);
        assert_eq!(one.words().len(), 1024);
        one.words()[1023].store(7, Ordering::Relaxed);
        assert_eq!(other.words()[1023].load(Ordering::Relaxed), 7);
    }

    #[test]
    fn only_memory_files_with_something_in_them() {
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        assert!(SharedWords::map(&pipe).unwrap_err().to_string().contains("no memory file"));
        let empty = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        fcntl_add_seals(&empty, SealFlags::SHRINK).unwrap();
        assert!(SharedWords::map(&empty).unwrap_err().to_string().contains("empty"));
    }
}
