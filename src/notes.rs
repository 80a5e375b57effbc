//! What the launcher and the other verbs tell each other: small files in `runtime_dir`, which belongs to whoever started the launcher
//! and to nobody else. They replace one another whole, so whoever reads finds the old or the new one.
//!
//! `launcher.troubles` (the launcher → `status`): processes that keep ending. `launcher.reloaded` (`reload` → the launcher): the
//! text that is at work from now on, so that the launcher watches the right files.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::config::Text;
use common::config::archive::Archive;
use common::process::Process;

/// What a launcher holds for as long as it lives.
pub const LOCK: &str = "launcher.lock";
/// Processes that keep ending.
pub const TROUBLES: &str = "launcher.troubles";
/// The text that is at work.
pub const RELOADED: &str = "launcher.reloaded";
/// Largest note, in bytes: a configuration and its name.
const MAX_NOTE: u64 = 5 << 20;

/// A process that keeps ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub process: Process,
    /// Which instance.
    pub instance: u32,
    /// How often, without a long life between.
    pub in_a_row: u32,
    /// How it ended the last time, in words.
    pub ending: String,
    /// When it was or will be started again; whole milliseconds.
    pub next_try: SystemTime,
}

impl Trouble {
    /// In words, for `now`.
    pub fn tell(&self, now: SystemTime) -> String {
        let next = match self.next_try.duration_since(now) {
            Ok(pause) if !pause.is_zero() => format!("next try in {}", crate::say::span(pause)),
            _ => "started again".to_owned(),
        };
        format!("keeps ending: {} times in a row, last with {}; {next}; its log says why", self.in_a_row, self.ending)
    }

    fn line(&self) -> String {
        let next = self.next_try.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        format!("{} {} {} {next} {}\n", self.process, self.instance, self.in_a_row, self.ending.replace('\n', " "))
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next();
        let (process, instance, in_a_row) = (word()?.parse().ok()?, word()?.parse().ok()?, word()?.parse().ok()?);
        let next_try = UNIX_EPOCH.checked_add(Duration::from_millis(word()?.parse().ok()?))?;
        Some(Self { process, instance, in_a_row, ending: word()?.to_owned(), next_try })
    }
}

/// Notes all troubles there are.
///
/// # Errors
/// The note cannot be written.
pub fn note_troubles<'a>(runtime_dir: &Path, troubles: impl Iterator<Item = &'a Trouble>) -> io::Result<()> {
    let text: String = troubles.map(Trouble::line).collect();
    replace(runtime_dir, TROUBLES, text.as_bytes())
}

/// The troubles that the launcher has noted; none where no launcher runs.
pub fn troubles(runtime_dir: &Path) -> Vec<Trouble> {
    let text = read(runtime_dir, TROUBLES).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(Trouble::read).collect()
}

/// What a reload has put to work.
#[derive(Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The text.
    pub text: Text,
    /// Before its files were read.
    pub began: SystemTime,
}

/// Tells the launcher, where there is one.
///
/// # Errors
/// The note cannot be written.
pub fn note_reload(runtime_dir: &Path, reloaded: &Reloaded) -> io::Result<()> {
    let Text { file_name, base, text } = reloaded.text.clone();
    let archive = Archive { file_name, base, text: text.into(), ..Archive::default() };
    let began = reloaded.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let began = u64::try_from(began).unwrap_or(u64::MAX);
    let archive = archive.encode().map_err(io::Error::other)?;
    replace(runtime_dir, RELOADED, &[began.to_le_bytes().as_slice(), &archive].concat())
}

/// What `reload` has noted.
pub fn reloaded(runtime_dir: &Path) -> Option<Reloaded> {
    let bytes = read(runtime_dir, RELOADED).ok()?;
    let (began, archive) = bytes.split_first_chunk::<8>()?;
    let Archive { file_name, base, text, .. } = Archive::decode(archive).ok()?;
    let began = UNIX_EPOCH.checked_add(Duration::from_nanos(u64::from_le_bytes(*began)))?;
    Some(Reloaded { text: Text { file_name, base, text: text.into() }, began })
}

fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
    let written = options.open(&new).and_then(|mut file| file.write_all(bytes));
    let replaced = written.and_then(|()| fs::rename(&new, folder.join(name)));
    if replaced.is_err() {
        let _ = fs::remove_file(&new);
    }
    replaced
}

fn read(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(folder.join(name))?.take(MAX_NOTE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn troubles_come_back_and_go() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(troubles(home.path()), []);
        let next_try = UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        let ending = "signal 9 (SIGKILL)\nand more".to_owned();
        let trouble = Trouble { process: Process::HttpFilter, instance: 2, in_a_row: 5, ending, next_try };
        note_troubles(home.path(), [&trouble].into_iter()).unwrap();
        let back = troubles(home.path());
        assert_eq!(back.first().map(|one| one.ending.as_str()), Some("signal 9 (SIGKILL) and more"));
        assert_eq!(back, [Trouble { ending: "signal 9 (SIGKILL) and more".into(), ..trouble.clone() }]);
        let told = trouble.tell(next_try - Duration::from_millis(800));
        assert!(told.contains("5 times in a row") && told.contains("next try in 800 ms"), "{told}");
        assert!(trouble.tell(next_try).contains("started again"));
        note_troubles(home.path(), [].into_iter()).unwrap();
        assert_eq!(troubles(home.path()), []);
        fs::write(home.path().join(TROUBLES), "nonsense\nsni-router x 1 1 y\n\u{0}").unwrap();
        assert_eq!(troubles(home.path()), []);
    }

    #[test]
    fn a_reload_comes_back_as_it_was_noted() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(reloaded(home.path()), None);
        let text = Text { file_name: "b.toml".into(), base: "/etc/b".into(), text: "[log]\n".into() };
        let noted = Reloaded { text, began: UNIX_EPOCH + Duration::from_nanos(1_800_000_000_000_000_001) };
        note_reload(home.path(), &noted).unwrap();
        assert_eq!(reloaded(home.path()), Some(noted));
        fs::write(home.path().join(RELOADED), "12345678nonsense").unwrap();
        assert_eq!(reloaded(home.path()), None);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing else is left");
    }
}
