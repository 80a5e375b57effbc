//! The signals that end the launcher. A closed terminal (SIGHUP) ends it in order, too, instead of leaving files behind.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from its making on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Must be called inside the runtime, before the first child is started.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hang_up.recv() => "SIGHUP",
        }
    }
}
