//! Where the bytes of named files come from: the disk before the sandbox closes, what was handed over at a reload.

use std::path::Path;

use common::config::Files;

/// Largest certificate or key file. A chain is a few KiB.
pub const MAX_FILE: usize = 1 << 20;

/// Gives the contents of a file, or a sentence that names it.
pub type Read<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// Reads a file of bounded size.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn from_disk(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file =
        common::credentials::open(path).map_err(|error| format!("{}: cannot open it: {error}", path.display()))?;
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("{}: cannot read it: {error}", path.display()))?;
    if bytes.len() > MAX_FILE {
        return Err(too_large(path));
    }
    Ok(bytes)
}

fn too_large(path: &Path) -> String {
    format!("{}: larger than {MAX_FILE} bytes, so hardly a certificate or key", path.display())
}

/// The same out of what was handed over.
///
/// # Errors
/// It was not handed over, or is too large.
pub fn from_files(files: &Files, path: &Path) -> Result<Vec<u8>, String> {
    let bytes = files.get(path)?;
    if bytes.len() > MAX_FILE {
        return Err(too_large(path));
    }
    Ok(bytes.to_vec())
}
