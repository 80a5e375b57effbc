//! The signals of the launcher: SIGTERM and SIGINT end it, SIGHUP reloads the configuration. A closed terminal sends SIGHUP
//! too; it ends the launcher in order instead of leaving files behind.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Stop; the name of the signal.
    End(&'static str),
    /// Read the configuration again.
    Reload,
}

/// Listens from its making on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    at_terminal: bool,
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
            at_terminal: has_terminal(),
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End("SIGTERM"),
            _ = self.interrupt.recv() => Wish::End("SIGINT"),
            _ = self.hang_up.recv() => match self.at_terminal && !has_terminal() {
                true => Wish::End("SIGHUP (the terminal was closed)"),
                false => Wish::Reload,
            },
        }
    }

    /// Waits for the next one that ends the launcher, and names it. A reload asked for meanwhile is not one of them.
    pub async fn end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                Wish::End(signal) => return signal,
                Wish::Reload => tracing::warn!("SIGHUP: no reload while processes start or stop"),
            }
        }
    }
}

/// A terminal that was closed is none any more (every request to it answers EIO).
fn has_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}
