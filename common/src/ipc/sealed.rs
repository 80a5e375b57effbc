//! Bytes that are too many for a frame: a sealed memory file (memfd_create(2)) that the sender cannot change any more while
//! the receiver reads it. The front door makes one, a process reads it with the calls that its sandbox leaves it
//! (`lseek`, `read`, `fcntl(F_GET_SEALS)`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom, fcntl_add_seals, fcntl_get_seals, memfd_create, seek};

/// What a receiver insists on: nobody can write, cut or lengthen it, and the seals cannot be taken off.
const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// A sealed memory file with these bytes. `name` is for `/proc` only.
///
/// # Errors
/// The kernel's.
pub fn seal(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).filter(|_| written > 0).ok_or(io::ErrorKind::WriteZero)?;
    }
    fcntl_add_seals(&file, SEALS)?;
    Ok(file)
}

/// The bytes of a sealed memory file.
///
/// # Errors
/// It is not sealed, larger than `limit` bytes, or cannot be read.
pub fn read(file: impl AsFd, limit: u64) -> io::Result<Vec<u8>> {
    // Only memory files have seals: anything else answers EINVAL.
    let seals = fcntl_get_seals(&file).map_err(|_| io::Error::other("what was handed over is no memory file"))?;
    if !seals.contains(SEALS) {
        return Err(io::Error::other("the memory file that was handed over is not sealed"));
    }
    let size = seek(&file, SeekFrom::End(0))?;
    if size > limit {
        return Err(io::Error::other(format!("what was handed over has {size} bytes, at most {limit} are taken")));
    }
    let size = usize::try_from(size).map_err(io::Error::other)?;
    seek(&file, SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(io::Error::other)?;
    while bytes.len() < size {
        if rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes))? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_come_back_whole_and_cannot_be_changed() {
        let bytes: Vec<u8> = (0..300_000u32).map(|at| at.to_le_bytes()[0]).collect();
        let file = seal("test", &bytes).unwrap();
        assert!(rustix::io::write(&file, b"x").is_err() && rustix::fs::ftruncate(&file, 1).is_err());
        assert_eq!(read(&file, 300_000).unwrap(), bytes);
        assert_eq!(read(&file, 300_000).unwrap(), bytes, "also a second time");
        assert!(read(&file, 299_999).unwrap_err().to_string().contains("300000 bytes"));
        assert_eq!(read(seal("empty", b"").unwrap(), 0).unwrap(), b"");
    }

    #[test]
    fn what_is_not_sealed_is_not_read() {
        let open = memfd_create("open", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(read(&open, 10).unwrap_err().to_string().contains("not sealed"));
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        assert!(read(&pipe, 10).unwrap_err().to_string().contains("no memory file"));
    }
}
