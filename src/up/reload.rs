//! `SIGHUP`: the launcher starts this very program as `bulkhead reload CONFIG` and writes what it says into the log.
//!
//! In a process of its own, because judging a file takes threads and time: the launcher has one thread (the kernel ties "be
//! killed with your parent" to it) and never waits for anything but its children and signals.

use std::path::Path;
use std::process::{Output, Stdio};
use std::rc::Rc;

use tokio::process::Command;
use tokio::sync::Notify;

use super::watch::{AtWork, Watched};
use crate::siblings;

/// Reloads whenever told to, one reload after the other; however often it is told meanwhile, one more follows.
pub async fn whenever(told: Rc<Notify>, file: std::path::PathBuf, watched: Rc<Watched>) {
    loop {
        told.notified().await;
        tracing::info!("SIGHUP: reloading {}", file.display());
        let next = AtWork::of(&file); // before its files are read, so that later changes are seen
        match once(&file).await {
            Ok(false) => {}
            Ok(true) => {
                let next = next.filter(|next| next.is_text_of(&file)).or_else(|| AtWork::of(&file));
                *watched.at_work.borrow_mut() = next.map(Rc::new);
                watched.replaced.notify_one();
            }
            Err(error) => tracing::error!("reload: {error}"),
        }
    }
}

/// Whether it was taken.
async fn once(file: &Path) -> std::io::Result<bool> {
    let program = siblings::find("bulkhead").map_err(std::io::Error::other)?;
    let mut command = Command::new(program);
    command.arg("reload").arg(file);
    command.env_clear().envs(siblings::passed_environment());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    tell_what_it_said(&output);
    Ok(output.status.success())
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
