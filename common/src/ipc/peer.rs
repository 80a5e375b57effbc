//! Who is at the other end of a channel, asked once when it is accepted.
//!
//! The directory and mode of the socket already decide who can connect; this is the second lock on the same door, and it
//! puts a name into the log when somebody tries.

use std::os::fd::AsFd;

/// The user ids that may talk on an edge.
#[derive(Debug, Clone)]
pub struct PeerCheck {
    allowed: Vec<u32>,
    anybody: bool,
}

/// Why a peer was turned away.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Somebody else.
    #[error("the peer runs as uid {found} (pid {pid}), allowed on this edge: {allowed:?}")]
    Stranger {
        /// Its user.
        found: u32,
        /// Its process.
        pid: i32,
        /// Who may.
        allowed: Vec<u32>,
    },
    /// The kernel does not tell.
    #[error("cannot ask who the peer is: {0}")]
    Unknown(#[from] rustix::io::Errno),
}

impl PeerCheck {
    /// Allows these users.
    pub fn new(allowed: impl IntoIterator<Item = u32>) -> Self {
        Self { allowed: allowed.into_iter().collect(), anybody: false }
    }

    /// Allows whoever the mode of the socket lets in.
    pub fn anybody() -> Self {
        Self { allowed: Vec::new(), anybody: true }
    }

    /// Adds one more, e.g. the overflow uid under which everybody appears inside an unmapped user namespace.
    pub fn allow(&mut self, uid: u32) {
        self.allowed.push(uid);
    }

    /// Checks a connected socket (`SO_PEERCRED`, unix(7)).
    pub fn check(&self, socket: impl AsFd) -> Result<(), PeerError> {
        if self.anybody {
            return Ok(());
        }
        let peer = rustix::net::sockopt::socket_peercred(socket)?;
        let found = peer.uid.as_raw();
        if self.allowed.contains(&found) {
            return Ok(());
        }
        Err(PeerError::Stranger { found, pid: peer.pid.as_raw_nonzero().get(), allowed: self.allowed.clone() })
    }
}
