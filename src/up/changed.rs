//! Waiting for what somebody else's task will have done. One bell for all: whoever waits looks again when it rings.

use std::rc::Rc;

use tokio::sync::Notify;

/// Rings when a keeper or the house has changed.
#[derive(Debug, Clone, Default)]
pub struct Changed(Rc<Notify>);

impl Changed {
    /// Something has.
    pub fn tell(&self) {
        self.0.notify_waiters();
    }

    /// Waits until `look` sees it.
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            let rung = self.0.notified(); // hears the bell from its making on
            if let Some(seen) = look() {
                return seen;
            }
            rung.await;
        }
    }
}
