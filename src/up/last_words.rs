//! What a program says that ends before it serves: it is started once more with its standard error in our hands.
//!
//! The lines of the processes go past the launcher, which cannot read them back for whoever has given an order. So only one that has
//! proved unable to start is started this way. Should it serve this time, it is asked to finish, as everybody is.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// How long it may take to end once more.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of it that are read, and lines that are told.
const MOST: u64 = 64 * 1024;
const LINES: usize = 10;

/// Its last lines, each indented; empty if it says nothing.
pub async fn of(mut command: Command) -> String {
    command.stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let mut child = match command.kill_on_drop(true).spawn() {
        Ok(child) => child,
        Err(error) => return format!("  {error}"),
    };
    let mut bytes = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = timeout(PATIENCE, stderr.take(MOST).read_to_end(&mut bytes)).await;
    }
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM); // still ours: nobody has waited for it
    }
    let _ = timeout(PATIENCE, child.wait()).await; // dropping it kills it
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LINES));
    last.map(|line| format!("  {line}")).collect::<Vec<String>>().join("\n")
}
