//! `bulkhead reload`: judges the file exactly as `bulkhead check` does, then gives every running process the text that was
//! judged and the contents of its files. They cannot read either: their sandboxes are closed.
//!
//! Two steps, so that either all take it or none: everybody *prepares* (reads, judges, builds, keeps aside); only if nobody
//! objects, everybody *commits*. What one process asks of another must be known there first, so the way out commits first
//! and the way in last.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::config::archive::Archive;
use common::config::{Config, Files};
use common::ipc::messages::control::{Control, ControlReply};
use common::ipc::sealed;
use common::process::Process;

use crate::ask::{Crew, Silence, Target, event_loop, one, one_with};
use crate::check::{self, Judged, Why};
use crate::notes::{self, LOCK, Reloaded};
use crate::renew;
use crate::say::{count, say, span};

/// How long a process may take to judge and build: a thousand keys are read, nothing is asked of the network.
const PREPARE: Duration = Duration::from_secs(30);
/// How long it may take to put in place what is ready.
pub const COMMIT: Duration = Duration::from_secs(5);

/// Receivers before senders: who commits, and who is upgraded, after whom.
pub const ORDER: [Process; 5] =
    [Process::PassthroughRelay, Process::HttpFilter, Process::TlsTerminator, Process::ForwardProxy, Process::SniRouter];

/// Gives the running processes the configuration as it is now.
///
/// # Errors
/// What is wrong with the file, or which process refuses it and why. Nothing has changed then, unless the message says so.
pub fn run(file: &Path) -> Result<(), String> {
    let (begun, began) = (Instant::now(), SystemTime::now());
    let file = std::path::absolute(file).map_err(|error| format!("error: {}: {error}", file.display()))?;
    let Judged { text, config, plan, .. } = check::judge(&file, Why::Reload)?;
    if common::config::read_text(&file).as_deref() != Ok(&*text.text) {
        return Err(format!(
            "error: {} was changed while it was judged; nothing was reloaded: try again",
            file.display()
        ));
    }
    // Before the files are read: whoever comes later has newer ones. And before anybody is counted: an upgrade that was at it has ended.
    let _alone = Crew::of(&config, &plan)?.alone()?;
    let mut crew = Crew::of(&config, &plan)?;
    let needed: Vec<(Process, u32)> = plan.instances().collect();
    let mut left_over = Vec::new();
    crew.targets.retain(|target| {
        let wanted = needed.contains(&(target.process, target.instance)) || lives(target);
        if !wanted {
            left_over.push(name(target));
        }
        wanted
    });
    if !left_over.is_empty() {
        common::complain::complain(format_args!(
            "warning: left alone because nobody is behind the socket: {}",
            left_over.join(", ")
        ));
    }
    let parcels = parcels(&crew, &Contents { file: &file, text: &text.text, config: &config, files_only: false })?;
    let generation = generation();
    event_loop()?.block_on(async {
        prepare(&mut crew, &parcels, generation).await?;
        commit(&crew, generation).await?;
        renew::tell(&crew).await;
        Ok::<(), String>(())
    })?;
    if crew.runtime_dir.join(LOCK).exists()
        && let Err(error) = notes::note_reload(&crew.runtime_dir, &Reloaded { text, began })
    {
        common::complain::complain(format_args!(
            "warning: the launcher could not be told which certificates to watch ({error}): they are those of the file before"
        ));
    }
    let processes = count(crew.targets.len(), "process works", "processes work");
    say(&format!("reloaded: {}: {processes} with it, after {}", file.display(), span(begun.elapsed())));
    Ok(())
}

/// Who is meant, in a message.
pub fn name(target: &Target) -> String {
    format!("{}@{}", target.process, target.instance)
}

/// Whether a process that the new configuration does not name is there: it will say why this cannot be reloaded.
fn lives(target: &Target) -> bool {
    let Ok(runtime) = event_loop() else { return true };
    let asked = runtime.block_on(one(&target.socket, &Control::Status, COMMIT));
    !matches!(asked, Err(Silence::Dead | Silence::NotRunning))
}

/// Tells one reload from another.
pub fn generation() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or_default() ^ (u64::from(std::process::id()) << 40)
}

/// What is handed over.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The configuration's name.
    pub file: &'a Path,
    /// Its text.
    pub text: &'a str,
    /// What it means.
    pub config: &'a Config,
    /// It is at work already; only the files that it names are new.
    pub files_only: bool,
}

/// One sealed memory file per target: nobody gets the files of another process.
///
/// # Errors
/// A file cannot be read, or no memory file can be made.
pub fn parcels(crew: &Crew, contents: &Contents<'_>) -> Result<Vec<OwnedFd>, String> {
    let Contents { file, text, config, files_only } = *contents;
    let base = file.parent().unwrap_or(Path::new("/")).to_owned();
    let encode = |process: Process| {
        let files = Files::read(&config.files, process).map_err(|errors| errors.join("\n"))?;
        let file_name = file.display().to_string();
        let archive = Archive { file_name, base: base.clone(), text: text.to_owned(), files_only, files };
        archive.encode().map_err(|error| format!("error: {error}"))
    };
    let mut contents: BTreeMap<Process, Vec<u8>> = BTreeMap::new();
    let mut parcels = Vec::new();
    for target in &crew.targets {
        let bytes = match contents.entry(target.process) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(encode(target.process)?),
        };
        let parcel = sealed::seal("bulkhead-reload", bytes);
        parcels.push(parcel.map_err(|error| format!("error: cannot make a memory file: {error}"))?);
    }
    Ok(parcels)
}

/// The first step, for all at once. If one refuses, the others drop what they have prepared. Whoever is finishing is not of the crew
/// any more.
///
/// # Errors
/// Who refuses, and why.
pub async fn prepare(crew: &mut Crew, parcels: &[OwnedFd], generation: u64) -> Result<(), String> {
    let mut asked = Vec::new();
    for (target, parcel) in crew.targets.iter().cloned().zip(parcels) {
        let parcel = parcel.try_clone().map_err(|error| format!("error: {error}"))?;
        asked.push(tokio::task::spawn_local(async move {
            let question = Control::Prepare { generation };
            let answer = one_with(&target.socket, &question, &[parcel.as_fd()], PREPARE).await;
            (matches!(answer, Ok(ControlReply::Finishing)), name(&target), complaints(answer))
        }));
    }
    let mut finishing = Vec::new();
    // The same complaint of several processes is said once.
    let mut refusals: Vec<(String, Vec<String>)> = Vec::new();
    for task in asked {
        let answer = task.await.map_err(|error| format!("error: asking a process failed: {error}"))?;
        let (finishes, name, complaints) = answer;
        if finishes {
            finishing.push(name.clone());
        }
        for complaint in complaints {
            match refusals.iter_mut().find(|(known, _)| *known == complaint) {
                Some((_, names)) => names.push(name.clone()),
                None => refusals.push((complaint, vec![name.clone()])),
            }
        }
    }
    crew.targets.retain(|target| !finishing.contains(&name(target)));
    if refusals.is_empty() {
        return Ok(());
    }
    let aborts = crew.targets.iter().cloned().map(|target| {
        tokio::task::spawn_local(async move { drop(one(&target.socket, &Control::Abort { generation }, COMMIT).await) })
    });
    for abort in aborts.collect::<Vec<_>>() {
        let _ = abort.await; // who cannot be told forgets by itself
    }
    let lines = refusals.iter().map(|(complaint, names)| format!("error: {}: {complaint}", names.join(", ")));
    Err(format!("{}\nnothing was reloaded: every process works with what it had", lines.collect::<Vec<_>>().join("\n")))
}

/// The second step, one kind of process after the other.
///
/// # Errors
/// Who could not, and why.
pub async fn commit(crew: &Crew, generation: u64) -> Result<(), String> {
    let mut failed = Vec::new();
    for process in ORDER {
        for target in crew.targets.iter().filter(|target| target.process == process) {
            let answer = one(&target.socket, &Control::Commit { generation }, COMMIT).await;
            failed.extend(complaints(answer).into_iter().map(|why| format!("error: {}: {why}", name(target))));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\nthe others have taken the new configuration. A process that has just died takes it when it starts again; \
         otherwise reload once more",
        failed.join("\n")
    ))
}

fn complaints(answer: Result<ControlReply, Silence>) -> Vec<String> {
    match answer {
        Ok(ControlReply::Done | ControlReply::Finishing) => Vec::new(),
        Ok(ControlReply::Refused(why)) => why.into_iter().map(String::from).collect(),
        Ok(_) => vec!["answered something else: another release?".to_owned()],
        Err(silence) => vec![silence.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_place_in_the_order_receivers_first() {
        for process in Process::ALL {
            assert_eq!(ORDER.iter().filter(|other| **other == process).count(), 1, "{process}");
        }
        let place = |process| ORDER.iter().position(|other| *other == process);
        for edge in common::wiring::EDGES.into_iter().filter(|edge| !edge.is_succession()) {
            if edge.receiver == Process::TlsTerminator || edge.receiver == Process::PassthroughRelay {
                assert!(place(edge.receiver) < place(edge.sender), "{}", edge.name);
            }
        }
    }
}
