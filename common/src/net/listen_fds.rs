//! Sockets the process was started with: `LISTEN_FDS`, `LISTEN_FDNAMES`, `LISTEN_PID` (sd_listen_fds(3)).
//!
//! systemd and `bulkhead up` use the same protocol, so there is one way to start. No process of ours opens a listening
//! socket itself.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::sys::socket::adopt_inherited;

const FIRST: i32 = 3;
/// Sockets that one process can be started with.
pub const MOST: usize = 512;

/// What was inherited and not yet taken, in order, by name.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(String, OwnedFd)>);

/// Why the inherited sockets cannot be used; the starter is at fault.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// No variable at all.
    #[error(
        "no sockets were passed (LISTEN_FDS is not set): start this process by its systemd unit or by `bulkhead up`"
    )]
    None,
    /// For somebody else.
    #[error("LISTEN_PID is {0}, which is not this process: the sockets were meant for another one")]
    OtherProcess(String),
    /// Not understandable.
    #[error(
        "LISTEN_FDS=\"{fds}\" with LISTEN_FDNAMES=\"{names}\" is not a list of {MOST} sockets at most, one name each"
    )]
    Malformed {
        /// As found.
        fds: String,
        /// As found.
        names: String,
    },
    /// A number in the list is not open.
    #[error("inherited descriptor {number} ({name}): {cause}")]
    Closed {
        /// The descriptor.
        number: i32,
        /// Its name.
        name: String,
        /// What the kernel says.
        cause: io::Error,
    },
}

impl Inherited {
    /// Reads the environment and takes the descriptors over. Call once, first thing.
    pub fn from_environment() -> Result<Self, InheritError> {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let (fds, names, pid) = (variable("LISTEN_FDS"), variable("LISTEN_FDNAMES"), variable("LISTEN_PID"));
        if fds.is_empty() {
            return Err(InheritError::None);
        }
        // `bulkhead up` cannot know the pid before it forks and leaves the variable out.
        if !pid.is_empty() && pid != std::process::id().to_string() {
            return Err(InheritError::OtherProcess(pid));
        }
        let mut taken = Vec::new();
        for (number, name) in (FIRST..).zip(split(&fds, &names)?) {
            let socket =
                adopt_inherited(number).map_err(|cause| InheritError::Closed { number, name: name.clone(), cause })?;
            taken.push((name, socket));
        }
        // Whatever else leaked in from the starter is nobody's.
        let keep: Vec<_> = taken.iter().map(|(_, socket)| socket.as_raw_fd()).collect();
        if let Err(error) = crate::sys::jail::close_all_but(FIRST, &keep) {
            crate::complain::complain(format_args!(
                "warning: descriptors that leaked in stay open: {error} (Linux 5.9 or newer closes them)"
            ));
        }
        Ok(Self(taken))
    }

    /// Takes every socket of that name.
    pub fn take_all(&mut self, name: &str) -> Vec<OwnedFd> {
        let (wanted, rest) = self.0.drain(..).partition(|(own, _)| own == name);
        self.0 = rest;
        let wanted: Vec<(String, OwnedFd)> = wanted;
        wanted.into_iter().map(|(_, socket)| socket).collect()
    }

    /// Names of what nobody took, for a warning.
    pub fn left(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn split(fds: &str, names: &str) -> Result<Vec<String>, InheritError> {
    let malformed = || InheritError::Malformed { fds: fds.to_owned(), names: names.to_owned() };
    let count: usize = fds.parse().ok().filter(|count| *count <= MOST).ok_or_else(malformed)?;
    let mut list: Vec<String> = names.split(':').map(str::to_owned).collect();
    if names.is_empty() {
        list = vec!["unknown".to_owned(); count];
    }
    if list.len() == count { Ok(list) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn as_many_names_as_sockets() {
        assert_eq!(split("2", "a:b").unwrap(), ["a", "b"]);
        assert_eq!(split("2", "").unwrap(), ["unknown", "unknown"]);
        for (fds, names) in [("x", "a"), ("-1", ""), ("2", "a"), ("1", "a:b"), ("513", "")] {
            assert!(matches!(split(fds, names), Err(InheritError::Malformed { .. })), "{fds} {names}");
        }
    }
}
