//! The few calls that closing the jail needs and that neither nix, rustix nor caps offers safely.

use std::io;
use std::os::fd::RawFd;

/// Turns a kernel answer of -1 into an error.
fn check(answer: libc::c_long) -> io::Result<()> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes every descriptor from `first` up that is not in `keep` (sorted, ascending; entries below `first` are ignored).
///
/// For the start of a process only: a value that still owns one of the closed descriptors must never be used again. Its only
/// caller, [`crate::sandbox::close`], runs before there are connections or a runtime.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub fn close_all_but(first: RawFd, keep: &[RawFd]) -> io::Result<()> {
    let mut next = first;
    for fd in keep.iter().copied().filter(|fd| *fd >= first) {
        if fd > next {
            close_range(next, fd - 1)?;
        }
        next = fd.saturating_add(1);
    }
    close_range(next, RawFd::MAX)
}

/// Closes the descriptors `from` to `to`, both included.
fn close_range(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: the call takes three numbers and no pointer. That nobody uses the closed descriptors any more is what the
    // caller promises (see above); a descriptor number used after that is an error of the kernel's, not of memory.
    check(unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) })
}

/// Takes one capability out of the bounding set.
///
/// # Errors
/// `EINVAL` when the kernel has no capability of that number, `EPERM` without `CAP_SETPCAP`.
pub fn drop_from_bounding_set(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability))
}

/// Locks the secure bits: uid 0 is no longer special, capabilities cannot be kept over a change of uid nor made ambient.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn lock_secure_bits() -> io::Result<()> {
    let bits = libc::SECBIT_NOROOT
        | libc::SECBIT_NOROOT_LOCKED
        | libc::SECBIT_KEEP_CAPS_LOCKED
        | libc::SECBIT_NO_CAP_AMBIENT_RAISE
        | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    prctl(libc::PR_SET_SECUREBITS, libc::c_ulong::from(bits.cast_unsigned()))
}

/// Memory that was once writable can never become executable, and none can be both.
///
/// # Errors
/// `EINVAL` before Linux 6.3.
pub fn refuse_executable_memory() -> io::Result<()> {
    prctl(libc::PR_SET_MDWE, libc::c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN))
}

/// A `prctl` whose only argument is a number.
fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    let none: libc::c_ulong = 0;
    // SAFETY: the options above take one number; no pointer is passed.
    check(libc::c_long::from(unsafe { libc::prctl(option, value, none, none, none) }))
}
