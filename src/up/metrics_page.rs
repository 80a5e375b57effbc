//! Keeps `bulkhead metrics --serve` alive where the configuration asks for a port (`[metrics] listen`). The port is opened
//! here, as every other one, so that an address in use is told before anything starts.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Instant;

use common::sandbox::LAUNCHER_VARIABLE;
use common::sys::socket::pass_descriptors;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::backoff::Backoff;
use super::sockets::bind_listener;
use crate::siblings;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// What is needed to start it.
#[derive(Debug)]
pub struct MetricsPage {
    config: PathBuf,
    address: SocketAddr,
    listener: OwnedFd,
}

/// It runs; dropping this ends it.
#[derive(Debug)]
pub struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort(); // the child is killed with its handle: it holds nothing that could be lost
    }
}

impl MetricsPage {
    /// Takes the address; [`Self::listen`] opens it.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn new(address: SocketAddr, config: &Path) -> Result<Self, String> {
        let listener = bind_listener(address, false).map_err(|error| explain(address, error))?;
        Ok(Self { config: config.to_owned(), address, listener })
    }

    /// From here on somebody can connect.
    ///
    /// # Errors
    /// Why not.
    pub fn listen(&self) -> Result<(), String> {
        rustix::net::listen(&self.listener, BACKLOG).map_err(|error| explain(self.address, error))
    }

    /// Starts it, and again whenever it ends. Call inside the runtime.
    pub fn start(self: &Rc<Self>) -> Running {
        let page = Rc::clone(self);
        Running(tokio::task::spawn_local(async move {
            let mut backoff = Backoff::default();
            loop {
                let begun = Instant::now();
                let ending = match page.child() {
                    Ok(mut child) => child.wait().await.map(|status| status.to_string()),
                    Err(error) => Err(error),
                };
                let ending = ending.unwrap_or_else(|error| error.to_string());
                let next = backoff.ended(begun.elapsed());
                tracing::warn!("the page of figures ended with {ending}; starting it again");
                tokio::time::sleep(next.pause).await;
            }
        }))
    }

    fn child(&self) -> std::io::Result<Child> {
        let program = siblings::find("bulkhead").map_err(std::io::Error::other)?;
        let mut command = std::process::Command::new(program);
        command.arg("metrics").arg(&self.config).arg("--serve");
        command.env_clear().envs(siblings::passed_environment());
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "metrics");
        command.env(LAUNCHER_VARIABLE, std::process::id().to_string());
        command.stdin(Stdio::null()).process_group(0);
        pass_descriptors(&mut command, vec![self.listener.try_clone()?]);
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command.spawn()
    }
}

fn explain(address: SocketAddr, error: rustix::io::Errno) -> String {
    format!("error: [metrics] listen {address} cannot be opened: {}", std::io::Error::from(error))
}
