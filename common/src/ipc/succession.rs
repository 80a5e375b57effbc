//! Living connections go to whoever takes our place: another instance, the next generation, or, if nobody of the kind lives just now, the
//! next incarnation.
//!
//! Every process has a letter box for its own kind: one listening socket that the launcher or systemd keeps and all instances inherit. A
//! process that finishes stops reading it and puts its connections in. Who lives reads them at once and says *taken*, and what it has no
//! place for it gives back. If nobody reads, they lie in the kernel, and the sender may go: it has no copy left that could speak, so the
//! next reader is their only owner ([`super::receiver::Receiver::heir`]). The other direction of the rule: a sender that lives never ends a
//! channel, and a parcel is `TakenOnce`, so nobody begins what the sender could still give to somebody else.
//!
//! What a letter box holds is bounded by the kernel: some hundred connections in each of its 16 channels, and as many descriptors as
//! one process may have. What finds no room goes back to its owner, who ends it politely.

use std::time::Duration;

use super::directory::Directory;
use super::sender::{Parcel, Sender, SenderLimits};
use super::{Message, Nothing};
use crate::config::Shared;
use crate::wiring::Edge;

/// How long a connection may look for a place.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a reader may take to open its letter box before we go. Nothing is lost if it comes later, but it could not say any more that
/// it has no place.
const TO_BE_OPENED: Duration = Duration::from_millis(100);
/// A reader that lives is never given up: the parcels would have two owners.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The way to a successor.
pub struct Successor<M>(Sender<M, Nothing>);

impl<M> Clone for Successor<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> std::fmt::Debug for Successor<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Successor")
    }
}

impl<M: Message> Successor<M> {
    /// Looks for one; our own end of the letter box must be closed already. `None`: no one reads, and no one will, because everything is
    /// stopping. `back` gets the connections that found no place.
    pub async fn find(edge: &Edge, directory: Directory, back: impl Fn(Parcel<M>) + 'static) -> Option<Self> {
        let limits = SenderLimits {
            max_unacknowledged: usize::MAX,
            max_waiting: usize::MAX / 4, // its owner has as many connections as it may have, and no more
            wait_deadline: PATIENCE,
            full_deadline: PATIENCE,
            answer_deadline: NEVER,
            before_ready: true,
        };
        let sender = Sender::start(edge.name, directory, limits, move |parcel, _| back(parcel));
        sender.looked_around().await;
        sender.is_connected().then_some(Self(sender))
    }

    /// Whether there is still somebody to give to.
    pub fn is_there(&self) -> bool {
        self.0.is_connected()
    }

    /// How long to wait for what cannot be given away: long while somebody serves in our place, not so long while new clients wait for us.
    pub fn patience(successor: Option<&Self>, config: &Shared) -> Duration {
        if successor.is_some_and(|it| it.0.is_heard()) { config.drain_deadline } else { config.stop_deadline }
    }

    /// Gives one connection away. Nothing of it may be used from here on.
    pub fn give(&self, message: M, descriptors: Vec<std::os::fd::OwnedFd>) {
        if let Err(parcel) = self.0.hand_over(message, descriptors) {
            drop(parcel); // cannot be: there is no limit
        }
    }

    /// Connections that were taken by somebody who lives.
    pub fn taken(&self) -> u64 {
        self.0.counts().delivered
    }

    /// Waits until everything is taken, or lies where it will be found: then the process may end.
    pub async fn settled(&self) {
        let until = |done: fn(&Sender<M, Nothing>) -> bool| async move {
            while !done(&self.0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(TO_BE_OPENED, until(|sender| sender.pending() == 0)).await;
        let _ = tokio::time::timeout(PATIENCE, until(|sender| sender.unsettled() == 0)).await;
    }
}
