//! `bulkhead reload --certificates`: gives tls-terminator the files of its sites as they are now, and nobody anything else. What
//! a file says that was edited and not reloaded stays out of it, so a certificate can be renewed by a timer at any time.
//!
//! `bulkhead up` does this by itself when a file has changed ([`crate::up`]); it hands over the text that is at work on standard
//! input, so that even then renewals go on.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use common::config::{Config, MAX_FILE};
use common::ipc::messages::control::{Control, ControlReply};
use common::process::Process;

use crate::ask::{Crew, event_loop, one};
use crate::plan::Plan;
use crate::reload::{COMMIT, Contents, commit, generation, name, parcels, prepare};
use crate::say::{count, say, span};

/// States of a certificate that whoever brings new files wants to hear of.
const TELLING: [&str; 3] = ["missing", "kept", "unstapled"];

/// Gives tls-terminator the files anew. `stdin`: the text comes from there, `file` is only its name.
///
/// # Errors
/// Why nobody has taken them.
pub fn run(file: &Path, stdin: bool) -> Result<(), String> {
    let begun = Instant::now();
    let file = std::path::absolute(file).map_err(|error| format!("error: {}: {error}", file.display()))?;
    let complain = |what: String| format!("error: {}: {what}", file.display());
    let text = if stdin { read_stdin() } else { common::config::read_text(&file) }.map_err(complain)?;
    let base = file.parent().unwrap_or(Path::new("/"));
    let parsed = Config::parse(&text, &file.display().to_string(), base);
    let (config, _) = parsed.map_err(|errors| errors.to_string())?;
    let plan = Plan::of(&config);
    // Before the files are read: whoever comes later has newer ones. And before anybody is counted: an upgrade that was at it has ended.
    let _alone = Crew::of(&config, &plan)?.alone()?;
    let mut crew = Crew::of(&config, &plan)?;
    crew.targets.retain(|target| target.process == Process::TlsTerminator);
    if crew.targets.is_empty() {
        return Err(complain("nothing is terminated, so there is no certificate to renew".to_owned()));
    }
    let contents = Contents { file: &file, text: &text, config: &config, files_only: true };
    let parcels = parcels(&crew, &contents)?;
    let generation = generation();
    event_loop()?.block_on(async {
        prepare(&mut crew, &parcels, generation).await?;
        commit(&crew, generation).await?;
        if !stdin {
            tell(&crew).await; // the log of whoever watches has it from the process itself
        }
        Ok::<(), String>(())
    })?;
    let processes = count(crew.targets.len(), "process works", "processes work");
    say(&format!(
        "certificates reloaded: {processes} with their files as they are now, after {}",
        span(begun.elapsed())
    ));
    Ok(())
}

fn read_stdin() -> Result<String, String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_FILE + 1).read_to_string(&mut text);
    read.map_err(|error| format!("its text cannot be read from standard input: {error}"))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(format!("the configuration is larger than {MAX_FILE} bytes"));
    }
    Ok(text)
}

/// Says which files were not good, so that the last good pair is kept.
pub async fn tell(crew: &Crew) {
    for target in crew.targets.iter().filter(|target| target.process == Process::TlsTerminator) {
        let Ok(ControlReply::Certificates(report)) = one(&target.socket, &Control::Certificates, COMMIT).await else {
            continue;
        };
        for state in report.notable.iter().filter(|state| TELLING.contains(&&*state.state)) {
            common::complain::complain(format_args!(
                "warning: {}: {} ([[site]] {}): {}",
                name(target),
                state.state,
                state.site,
                state.why
            ));
        }
    }
}
