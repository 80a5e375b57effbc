//! front door → launcher: start one more instance, or let one go. What order they come in is the front door's business
//! (`bulkhead scale`, `bulkhead upgrade`); the launcher makes sockets, starts, waits and drains.

use crate::process::Process;

/// An order; always a call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Order {
    /// Make its sockets, start it from the program that is on the disk now, wait until it serves. Answered with
    /// [`Obeyed::Done`] then, or with [`Obeyed::Refused`], and nothing is left of it.
    Start {
        /// Which process; one that runs already.
        process: Process,
        /// A number that is free.
        instance: u32,
    },
    /// Take its edges away, let it finish, wait for its end. Answered with [`Obeyed::Done`] then, with [`Obeyed::Refused`]
    /// if it may not go or had to be killed.
    Stop {
        /// Which process.
        process: Process,
        /// Which instance; not the only one.
        instance: u32,
    },
    /// Start the page of figures again, from the program that is on the disk now. Answered with [`Obeyed::Done`].
    StartPageAgain,
}

/// The answer to an [`Order`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Obeyed {
    /// It is so.
    Done,
    /// It is not, and why.
    Refused(Box<str>),
}

impl crate::ipc::Message for Order {
    fn descriptors(&self) -> usize {
        0
    }
}

impl crate::ipc::Message for Obeyed {
    fn descriptors(&self) -> usize {
        0
    }
}
