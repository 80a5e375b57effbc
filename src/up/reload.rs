//! `SIGHUP`: the launcher starts this very program as `bulkhead reload CONFIG` and writes what it says into the log.
//!
//! In a process of its own, because judging a file takes threads and time: the launcher has one thread (the kernel ties "be
//! killed with your parent" to it) and never waits for anything but its children and signals.

use std::path::Path;
use std::process::{Output, Stdio};
use std::rc::Rc;

use tokio::process::Command;
use tokio::sync::Notify;

use crate::siblings;

/// Reloads whenever told to, one reload after the other; however often it is told meanwhile, one more follows. What it put to
/// work is noted by it and read by [`super::watch`].
pub async fn whenever(told: Rc<Notify>, file: std::path::PathBuf) {
    loop {
        told.notified().await;
        tracing::info!("SIGHUP: reloading {}", file.display());
        if let Err(error) = once(&file).await {
            tracing::error!("reload: {error}");
        }
    }
}

async fn once(file: &Path) -> std::io::Result<()> {
    let program = siblings::find("bulkhead").map_err(std::io::Error::other)?;
    let mut command = Command::new(program);
    command.arg("reload").arg(file);
    command.env_clear().envs(siblings::passed_environment());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    tell_what_it_said(&output);
    Ok(())
}

/// Into the log.
pub fn tell_what_it_said(output: &Output) {
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        tracing::info!("{line}");
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        match output.status.success() {
            true => tracing::warn!("reload: {line}"),
            false => tracing::error!("reload: {line}"),
        }
    }
}
