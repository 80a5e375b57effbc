//! Resource limits: none of what a proxy never does, and enough descriptors for what it does.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use super::outcome::{Cover, Outcome};
use super::policy::{Policy, Threads};

/// Name of the layer.
pub const LAYER: &str = "limits";

/// Limits of zero for every process, with what they stand for.
const ZERO: &[(Resource, &str)] = &[
    (Resource::RLIMIT_CORE, "core dumps"), // keys and plaintext must not reach the disk
    (Resource::RLIMIT_MEMLOCK, "locked memory"), // nothing here locks memory
    (Resource::RLIMIT_MSGQUEUE, "message queues"), // nothing here uses them
];

/// Sets every limit. `open_files`: what the operator asks for; without it the hard limit is used in full.
#[must_use]
pub fn set(policy: &Policy, open_files: Option<u64>, keep: &[BorrowedFd<'_>]) -> Outcome {
    let mut outcome = Outcome::holds(LAYER, "no core dumps, locked memory or message queues");
    for (resource, what) in ZERO {
        if let Err(error) = setrlimit(*resource, 0, 0) {
            outcome.gap(format!("{what}: {error}"), Cover::Nothing);
        }
    }
    if policy.threads == Threads::None {
        match setrlimit(Resource::RLIMIT_NPROC, 0, 0) {
            Ok(()) => outcome.done.push_str(", no further thread or process"),
            Err(error) => outcome.gap(format!("further threads: {error}"), Cover::SystemCalls),
        }
    }
    match raise_open_files(open_files) {
        // Too few descriptors limit the service, not the jail: said, but no reason to refuse to serve.
        Ok(limit) if limit < policy.limits.open_files => outcome.done.push_str(&format!(
            ", only {limit} descriptors ({} wanted: raise LimitNOFILE= or ulimit -Hn)",
            policy.limits.open_files
        )),
        Ok(limit) => outcome.done.push_str(&format!(", {limit} descriptors")),
        Err(error) => outcome.done.push_str(&format!(", descriptors unchanged ({error})")),
    }
    if policy.write_paths.is_empty() && !keeps_a_file(keep) {
        match setrlimit(Resource::RLIMIT_FSIZE, 0, 0) {
            Ok(()) => outcome.done.push_str(", no byte into any file"),
            Err(error) => outcome.gap(format!("file size: {error}"), Cover::SystemCalls),
        }
    }
    outcome
}

/// Raises the soft limit to `wanted`, or to the hard limit; the hard limit itself where that is permitted. Answers the new one.
fn raise_open_files(wanted: Option<u64>) -> nix::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted: rlim_t = wanted.unwrap_or(hard);
    if wanted > hard && setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
        return Ok(wanted); // only root may
    }
    let limit = wanted.min(hard);
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard)?;
    Ok(limit)
}

/// Whether standard output, standard error or a kept descriptor is a regular file. A file size of zero would then end the
/// process with SIGXFSZ at its next log line.
fn keeps_a_file(keep: &[BorrowedFd<'_>]) -> bool {
    let is_file = |fd: BorrowedFd<'_>| {
        rustix::fs::fstat(fd).is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_file())
    };
    is_file(std::io::stdout().as_fd()) || is_file(std::io::stderr().as_fd()) || keep.iter().copied().any(is_file)
}
