//! One configuration as one run of bytes: its text and the contents of the files that *one* process works with. A process
//! whose sandbox is closed opens nothing, so a reload brings everything in one piece.
//!
//! Pure. The bytes come from root or from whoever started the process, who could replace the process altogether; they are
//! still read with bounds, because a damaged archive must be an answer and not the end of a process.
//!
//! Format: [`MAGIC`], then fields of a 64-bit little-endian length and so many bytes: name of the file, base directory, text,
//! a field that is empty unless only the files are meant, the number of named files (without a length), and for each its path, a
//! field that is empty unless it could not be read and else says why, and its contents. Nothing may follow.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Files, MAX_FILE};

/// First bytes; the digit is the version of the format.
const MAGIC: &[u8; 8] = b"BULKHDR2";
/// Largest archive, in bytes.
pub const MAX_ARCHIVE: u64 = 256 << 20;
/// Most named files in one archive.
const MAX_FILES: usize = 65_536;
/// Longest path, in bytes (`PATH_MAX`).
const MAX_PATH: usize = 4096;

/// A configuration with everything that one process needs of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    /// Name of the file, for messages.
    pub file_name: String,
    /// What relative paths in the text are joined to.
    pub base: PathBuf,
    /// The text.
    pub text: String,
    /// The text is what is at work already; only the files are new.
    pub files_only: bool,
    /// Contents of the files of this process.
    pub files: Files,
}

/// Why bytes are no archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It does not begin as one, or is of another release.
    #[error("this is no configuration of this release: bulkhead and its processes must be of the same release")]
    Magic,
    /// It ends in the middle.
    #[error("the configuration that was handed over is cut off")]
    Short,
    /// A part that should be text is none.
    #[error("the configuration that was handed over is not UTF-8 text")]
    NotText,
    /// Something in it is larger than it may be.
    #[error(
        "the configuration that was handed over is larger than allowed (archive {MAX_ARCHIVE} bytes, text {MAX_FILE}, {MAX_FILES} files)"
    )]
    TooLarge,
    /// Bytes behind the end.
    #[error("the configuration that was handed over has bytes behind its end")]
    Trailing,
}

impl Archive {
    /// As bytes.
    ///
    /// # Errors
    /// [`ArchiveError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = MAGIC.to_vec();
        put(&mut bytes, self.file_name.as_bytes());
        put(&mut bytes, self.base.as_os_str().as_bytes());
        put(&mut bytes, self.text.as_bytes());
        put(&mut bytes, if self.files_only { b"files" } else { b"" });
        bytes.extend_from_slice(&u64::try_from(self.files.len()).unwrap_or(u64::MAX).to_le_bytes());
        for (path, contents) in self.files.iter() {
            put(&mut bytes, path.as_os_str().as_bytes());
            let (fault, contents) = match contents {
                Ok(contents) => ("", &**contents),
                Err(why) => (&**why, [].as_slice()),
            };
            put(&mut bytes, fault.as_bytes());
            put(&mut bytes, contents);
        }
        let small = self.files.len() <= MAX_FILES && length(self.text.as_bytes()) <= MAX_FILE;
        if small && length(&bytes) <= MAX_ARCHIVE { Ok(bytes) } else { Err(ArchiveError::TooLarge) }
    }

    /// From bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArchiveError> {
        if length(bytes) > MAX_ARCHIVE {
            return Err(ArchiveError::TooLarge);
        }
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(ArchiveError::Magic)?;
        let file_name = text(take(&mut rest)?, MAX_PATH)?;
        let base = path(take(&mut rest)?)?;
        let limit = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
        let text = text(take(&mut rest)?, limit)?;
        let files_only = !take(&mut rest)?.is_empty();
        let mut files = Vec::new();
        let count = number(&mut rest)?;
        if count > MAX_FILES {
            return Err(ArchiveError::TooLarge);
        }
        for _ in 0..count {
            let name = path(take(&mut rest)?)?;
            let fault = self::text(take(&mut rest)?, MAX_PATH)?;
            let contents = take(&mut rest)?;
            files.push((name, if fault.is_empty() { Ok(contents.into()) } else { Err(fault.into()) }));
        }
        if !rest.is_empty() {
            return Err(ArchiveError::Trailing);
        }
        Ok(Self { file_name, base, text, files_only, files: Files::with_faults(files) })
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn put(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend_from_slice(&length(field).to_le_bytes());
    bytes.extend_from_slice(field);
}

fn number(rest: &mut &[u8]) -> Result<usize, ArchiveError> {
    let (number, behind) = rest.split_first_chunk::<8>().ok_or(ArchiveError::Short)?;
    *rest = behind;
    usize::try_from(u64::from_le_bytes(*number)).map_err(|_| ArchiveError::TooLarge)
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ArchiveError> {
    let size = number(rest)?;
    let (field, behind) = rest.split_at_checked(size).ok_or(ArchiveError::Short)?;
    *rest = behind;
    Ok(field)
}

fn text(bytes: &[u8], most: usize) -> Result<String, ArchiveError> {
    if bytes.len() > most {
        return Err(ArchiveError::TooLarge);
    }
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ArchiveError::NotText)
}

fn path(bytes: &[u8]) -> Result<PathBuf, ArchiveError> {
    if bytes.len() > MAX_PATH {
        return Err(ArchiveError::TooLarge);
    }
    Ok(Path::new(OsStr::from_bytes(bytes)).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn archive() -> Archive {
        let files = [("/etc/b/users", b"ada:x".as_slice()), ("/etc/b/empty", b"")];
        Archive {
            file_name: "/etc/b/bulkhead.toml".into(),
            base: "/etc/b".into(),
            text: "[log]\nlevel = \"warn\"\n[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:1\"\n"
                .into(),
            files_only: true,
            files: Files::with_faults(
                files
                    .into_iter()
                    .map(|(path, bytes)| (PathBuf::from(path), Ok(bytes.into())))
                    .chain([("/etc/b/gone".into(), Err("it does not exist".into()))]),
            ),
        }
    }

    #[test]
    fn it_comes_back_as_it_was_and_can_be_judged() {
        let bytes = archive().encode().unwrap();
        let back = Archive::decode(&bytes).unwrap();
        assert_eq!(back, archive());
        assert_eq!(&**back.files.get(Path::new("/etc/b/users")).unwrap(), b"ada:x");
        let gone = back.files.get(Path::new("/etc/b/gone")).unwrap_err();
        assert!(gone.contains("/etc/b/gone") && gone.contains("does not exist"), "{gone}");
        let text = crate::config::Text { file_name: back.file_name, base: back.base, text: back.text.into() };
        assert_eq!(text.parse().unwrap().0.log.level, crate::config::LogLevel::Warn);
    }

    #[test]
    fn what_is_cut_damaged_or_too_large_is_refused() {
        let bytes = archive().encode().unwrap();
        for end in 0..bytes.len() {
            let expected = if end < 8 { ArchiveError::Magic } else { ArchiveError::Short };
            assert_eq!(Archive::decode(&bytes[..end]), Err(expected), "{end}");
        }
        assert_eq!(Archive::decode(&[bytes.as_slice(), b"x"].concat()), Err(ArchiveError::Trailing));
        assert_eq!(Archive::decode(b"something else"), Err(ArchiveError::Magic));
        let mut claims = MAGIC.to_vec();
        claims.extend_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(Archive::decode(&claims), Err(ArchiveError::Short));
        let long = Archive { text: "#".repeat(usize::try_from(MAX_FILE).unwrap() + 1), ..Archive::default() };
        assert_eq!(long.encode(), Err(ArchiveError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Archive::decode(&[MAGIC.as_slice(), &bytes].concat());
        }
    }
}
