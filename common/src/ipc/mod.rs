//! How the processes talk: `SOCK_SEQPACKET` channels that carry typed messages and descriptors.
//!
//! One message type per edge (see [`crate::wiring`]), so a process cannot even encode what it has no business asking.
//! The files stand in the order in which a message meets them: [`messages`] → [`codec`] → [`channel`] → [`sender`] →
//! (kernel) → [`receiver`]; [`directory`] tells a sender which receivers exist. [`ask`] is a sender of one question, [`succession`] one of living connections to whoever
//! takes the sender's place.
//!
//! **Acknowledged hand-over.** A sender keeps its copy of every descriptor until the receiver says *taken*, which the
//! receiver does at the end of the turn in which it began to serve. If the receiver dies, refuses or falls silent first,
//! the sender gives the same parcel to another instance. A receiver that finds its channel hung up drops what it has just
//! read, so a parcel never has two owners.
//!
//! Bump [`codec::VERSION`] whenever a message changes; peers with another version are refused with a clear error. A message that is only
//! *added*, or one more variant at the end of an enum, needs no other version but a higher [`codec::EDITION`]: a receiver says in its greeting which
//! it reads, and gets nothing above that. So two releases of one version work with each other while one takes the place of the other.

pub mod ask;
pub mod channel;
pub mod codec;
pub mod directory;
pub mod messages;
mod outbox;
pub mod peer;
pub mod receiver;
pub mod sealed;
pub mod secret;
pub mod sender;
pub mod succession;

use serde::{Serialize, de::DeserializeOwned};

/// A message of one edge: what it says, and how many descriptors travel with it.
pub trait Message: Serialize + DeserializeOwned + std::fmt::Debug + 'static {
    /// The exact number of descriptors that accompany this message; any other number is a protocol error.
    fn descriptors(&self) -> usize;

    /// The edition ([`codec::EDITION`]) that a receiver must read to understand this message.
    fn edition(&self) -> u64 {
        0
    }
}

/// The reply type of edges that only hand over: nothing but acknowledgements ever comes back.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Nothing {}

impl Message for Nothing {
    fn descriptors(&self) -> usize {
        match *self {}
    }
}
