//! Renews certificates when their files change: the processes that use them can open nothing any more. Watches the folders of
//! the files (inotify(7)) and, where a path leads over symbolic links, those of the links as well, since certbot and Kubernetes
//! swap a link; and looks at all files once a minute, for file systems that tell nobody (NFS) and folders beyond the kernel's
//! limit of watches. Several changes in a row are one. What has changed is read by `bulkhead reload --certificates` as a process of its
//! own, as every reload ([`super::reload`]); tls-terminator judges it and keeps the last good pair where the new one is not good.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::config::{Config, FileReference, Text};
use common::ipc::directory::Changes;
use common::process::Process;
use common::sys::memory;
use rustix::fs::inotify;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::reload::tell_what_it_said;
use crate::notes::{self, Reloaded};
use crate::siblings;

/// How long whoever has just started is left alone.
const FIRST: Duration = Duration::from_millis(200);
/// A file is looked at when nothing has changed for so long.
const SETTLE: Duration = Duration::from_millis(300);
/// Or after so long, where something changes all the time.
const LONGEST: Duration = Duration::from_secs(3);
/// How often all files are looked at, whatever the kernel tells.
const POLL: Duration = Duration::from_secs(60);
/// How soon it is tried again after a process could not take the files; doubled up to [`POLL`].
const RETRY: Duration = Duration::from_secs(5);
/// File systems stamp with a clock that is behind by up to a tick of the kernel.
const CLOCK_SLACK: Duration = Duration::from_millis(20);
/// Links of links that are followed.
const MAX_LINKS: usize = 8;
/// Folders that are watched; the others are looked at once a minute.
const MOST_FOLDERS: usize = 8192;

/// The configuration that is at work, as far as renewals go.
#[derive(Debug)]
pub struct AtWork {
    text: Text,
    watch: bool,
    /// The files, as they were when the processes read them.
    looks: Looks,
}

impl AtWork {
    /// Of this text. Call it before its files are read by the processes: a change after that is seen.
    pub fn new(text: Text, config: &Config) -> Self {
        let ours = |file: &&FileReference| file.is_for(Process::TlsTerminator);
        let looks = Looks::of(config.files.iter().filter(ours).map(|file| &*file.path));
        Self { text, watch: config.tls_terminator.watch, looks }
    }

    /// Of what a reload has put to work. What has changed since it began may have come too late for it.
    fn after(reloaded: Reloaded) -> Option<Self> {
        let (config, _) = reloaded.text.parse().ok()?;
        let mut at_work = Self::new(reloaded.text, &config);
        at_work.looks.forget_since(reloaded.began);
        Some(at_work)
    }

    fn is_watched(&self) -> bool {
        self.watch && !self.looks.0.is_empty()
    }
}

/// Watches until the launcher stops. What `bulkhead reload` puts to work, whoever calls it, is watched from then on.
pub async fn watch(file: PathBuf, mut at_work: AtWork, runtime_dir: PathBuf) {
    let notes = Folders::of([&*runtime_dir].into_iter(), inotify::WatchFlags::MOVED_TO);
    sleep(FIRST).await;
    memory::give_back();
    loop {
        tokio::select! {
            () = renew_whenever(&file, &at_work), if at_work.is_watched() => {}
            next = next_reload(&notes, &runtime_dir) => at_work = next,
        }
    }
}

/// What the next reload puts to work.
async fn next_reload(notes: &Folders, runtime_dir: &Path) -> AtWork {
    loop {
        let _ = timeout(POLL, notes.changed()).await;
        let Some(reloaded) = notes::reloaded(runtime_dir) else { continue };
        let _ = fs::remove_file(runtime_dir.join(notes::RELOADED));
        match AtWork::after(reloaded) {
            Some(at_work) => return at_work,
            None => tracing::error!("what was reloaded cannot be read here: certificates are watched as before"),
        }
    }
}

/// Renews whenever one of the files is another one than before.
async fn renew_whenever(file: &Path, at_work: &AtWork) {
    let mut newest: Option<Looks> = None;
    let mut folders = Folders::watch(&at_work.looks);
    memory::give_back(); // what the start and following links have taken
    let mut pause = Duration::ZERO; // something may have changed while processes started
    let mut retry = RETRY;
    loop {
        let _ = timeout(pause, folders.settled()).await;
        let known = newest.as_ref().unwrap_or(&at_work.looks);
        let looks = Looks::of(known.files());
        pause = POLL;
        if looks == *known {
            continue;
        }
        folders = Folders::watch(known); // a swapped link leads elsewhere
        let changed = looks.differences(known);
        tracing::info!("renewing: {changed}");
        match renew(file, &at_work.text.text).await {
            Ok(true) => (newest, retry) = (Some(looks), RETRY),
            Ok(false) => (pause, retry) = (retry, (2 * retry).min(POLL)), // it has said why
            Err(error) => {
                tracing::error!("renewing: {error}");
                (pause, retry) = (retry, (2 * retry).min(POLL));
            }
        }
    }
}

/// Whether it was taken.
async fn renew(file: &Path, text: &str) -> io::Result<bool> {
    let program = siblings::find("bulkhead").map_err(io::Error::other)?;
    let mut command = Command::new(program);
    command.arg("reload").arg("--certificates").arg("--stdin").arg(file);
    command.env_clear().envs(siblings::passed_environment());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    tell_what_it_said(&output);
    Ok(output.status.success())
}

/// How files look from outside: enough to see that one is another one, or has been written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Looks(Vec<(Box<Path>, Option<Look>)>);

type Look = (u64, u64, u64, i64, i64, i64, i64);

impl Looks {
    fn of<'a>(files: impl Iterator<Item = &'a Path>) -> Self {
        let look = |path: &Path| {
            let it = fs::metadata(path).ok()?;
            Some((it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()))
        };
        let files: BTreeSet<&Path> = files.collect();
        Self(files.into_iter().map(|path| (path.into(), look(path))).collect())
    }

    /// As if these had not been seen: what was written since then, by the clock that gave the time.
    fn forget_since(&mut self, began: SystemTime) {
        let since = began.checked_sub(CLOCK_SLACK).and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        let since = since.map_or((i64::MIN, 0), |since| {
            (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), i64::from(since.subsec_nanos()))
        });
        for (_, look) in &mut self.0 {
            *look = look.filter(|(.., seconds, nanos)| (*seconds, *nanos) < since);
        }
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| &**path)
    }

    /// The first few that differ, in words.
    fn differences(&self, before: &Self) -> String {
        const SHOWN: usize = 4;
        let differ = self.0.iter().zip(&before.0).filter(|(now, then)| now != then);
        let differ: Vec<String> = differ.map(|((path, _), _)| path.display().to_string()).collect();
        let more = differ.len().saturating_sub(SHOWN);
        let shown = differ.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        let verb = if differ.len() == 1 { "has" } else { "have" };
        if more == 0 { format!("{shown} {verb} changed") } else { format!("{shown} and {more} more {verb} changed") }
    }
}

/// The folders in which something would have to change.
struct Folders(Option<Changes>);

impl Folders {
    fn watch(looks: &Looks) -> Self {
        let folders = folders_of(looks.files());
        let events = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVED_FROM
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::ATTRIB;
        Self::of(folders.iter().map(PathBuf::as_path), events)
    }

    fn of<'a>(folders: impl Iterator<Item = &'a Path>, events: inotify::WatchFlags) -> Self {
        let events = events | inotify::WatchFlags::ONLYDIR;
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let changes = match inotify::init(flags) {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!("certificates are looked at once a minute only: inotify: {error}");
                return Self(None);
            }
        };
        for folder in folders.take(MOST_FOLDERS) {
            if let Err(error) = inotify::add_watch(&changes, folder, events) {
                let shown = folder.display();
                tracing::warn!(
                    "{shown} and what follows is looked at once a minute only: it cannot be watched: {error}"
                );
                break;
            }
        }
        Self(Changes::over(changes).ok())
    }

    /// Returns when something has changed.
    async fn changed(&self) {
        let Some(changes) = &self.0 else { return std::future::pending().await };
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when something has changed and then nothing for a moment.
    async fn settled(&self) {
        self.changed().await;
        let Some(changes) = &self.0 else { return };
        let latest = Instant::now() + LONGEST;
        while Instant::now() < latest {
            if timeout(SETTLE, changes.changed()).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(1)).await; // events come in bursts
        }
    }
}

/// The folders of files, of the links that lead to them, and of what these lead to.
fn folders_of<'a>(files: impl Iterator<Item = &'a Path>) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for file in files {
        follow(file, &mut folders, &mut seen, MAX_LINKS);
    }
    folders
}

fn follow(path: &Path, folders: &mut BTreeSet<PathBuf>, seen: &mut BTreeSet<PathBuf>, links: usize) {
    folders.extend(path.parent().map(Path::to_owned));
    // The path itself and every folder on the way to it may be a link.
    for step in path.ancestors() {
        if !seen.insert(step.to_owned()) {
            return; // and so was everything above it
        }
        let (Ok(target), Some(folder)) = (fs::read_link(step), step.parent()) else { continue };
        folders.insert(folder.to_owned());
        if let (Ok(rest), true) = (path.strip_prefix(step), links > 0) {
            let target = folder.join(target);
            let resolved = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
            follow(&resolved, folders, seen, links - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    fn folders(file: &Path) -> BTreeSet<PathBuf> {
        folders_of([file].into_iter())
    }

    #[test]
    fn links_of_certbot_and_kubernetes_are_followed() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        for folder in ["archive/shop", "live/shop", "secret/..2027", "deep"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("archive/shop/cert1.pem"), "x").unwrap();
        symlink("../../archive/shop/cert1.pem", at("live/shop/cert.pem")).unwrap();
        let found = folders(&at("live/shop/cert.pem"));
        assert!(found.contains(&at("live/shop")), "{found:?}");
        assert!(found.contains(&at("live/shop/../../archive/shop")), "{found:?}");
        // Kubernetes: tls.crt → ..data/tls.crt, ..data → ..2027.
        fs::write(at("secret/..2027/tls.crt"), "x").unwrap();
        symlink("..2027", at("secret/..data")).unwrap();
        symlink("..data/tls.crt", at("secret/tls.crt")).unwrap();
        let found = folders(&at("secret/tls.crt"));
        assert!(found.contains(&at("secret")) && found.contains(&at("secret/..2027")), "{found:?}");
        // A circle ends.
        symlink("b", at("deep/a")).unwrap();
        symlink("a", at("deep/b")).unwrap();
        assert!(folders(&at("deep/a")).contains(&at("deep")));
    }

    #[test]
    fn a_file_that_is_written_swapped_or_gone_looks_different() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.crt");
        let files = [file.clone(), home.path().join("b.crt")];
        let mut before = Looks::of(files.iter().map(PathBuf::as_path));
        let mut differs = || {
            let now = Looks::of(files.iter().map(PathBuf::as_path));
            let differs = (now != before).then(|| now.differences(&before));
            before = now;
            differs
        };
        assert_eq!(differs(), None);
        fs::write(&file, "one").unwrap();
        assert!(differs().unwrap().contains("a.crt has changed"));
        fs::write(home.path().join("new"), "two").unwrap();
        fs::rename(home.path().join("new"), &file).unwrap();
        assert!(differs().is_some());
        fs::remove_file(&file).unwrap();
        assert!(differs().is_some());
        assert_eq!(differs(), None);
    }

    #[test]
    fn what_changed_after_a_reload_had_begun_is_looked_at_again() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.crt");
        fs::write(&file, "one").unwrap();
        let seen = Looks::of([&*file].into_iter());
        let forgetting = |began| {
            let mut looks = seen.clone();
            looks.forget_since(began);
            looks
        };
        let now = SystemTime::now();
        assert_eq!(forgetting(now + Duration::from_secs(60)), seen);
        assert_ne!(forgetting(now.checked_sub(Duration::from_secs(60)).unwrap()), seen);
    }

    #[test]
    fn a_change_in_a_watched_folder_wakes() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.crt");
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).unwrap().block_on(async {
            let folders = Folders::watch(&Looks::of([&*file].into_iter()));
            assert!(timeout(Duration::from_millis(50), folders.settled()).await.is_err());
            fs::write(&file, "one").unwrap();
            timeout(Duration::from_secs(10), folders.settled()).await.unwrap();
        });
    }
}
