//! `bulkhead check`: the file as a whole first, then each needed component by its own binary, so that keys, certificates and
//! rules are judged by the code that will use them. Opens no port and changes nothing.

mod budget;

use std::path::Path;

use common::config::{Config, NamedFiles, Text};
use common::process::Process;

use crate::plan::Plan;
use crate::say::{count, say};
use crate::siblings;

/// Prints warnings, errors, an `ok:` line with what would run, and what it may need at most.
///
/// # Errors
/// What is wrong with the file.
pub fn run(file: &Path) -> Result<(), String> {
    let Judged { plan, text, .. } = judge(file, Why::Check)?;
    let rows = budget::ask(&plan, file)?;
    let name = file.display().to_string();
    budget::warnings(&rows, &text.text, &name).iter().for_each(common::complain::complain);
    say(&format!("ok: {name}: {}: {plan}", count(plan.size(), "process", "processes")));
    say(&budget::table(&rows, budget::granted_here()));
    Ok(())
}

/// What a file is judged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// To tell everything that is wrong with it.
    Check,
    /// To give it to processes that run. They judge it themselves before anybody takes it, and tls-terminator alone knows which
    /// certificates it can keep where new ones are broken: it is not asked here.
    Reload,
}

/// A file that is right as far as the front door can tell.
#[derive(Debug)]
pub struct Judged {
    /// What was judged.
    pub text: Text,
    /// What it means.
    pub config: Config,
    /// What it asks for.
    pub plan: Plan,
    warnings: Vec<String>,
}

/// Loads the file and asks every component that it needs. Warnings go to standard error.
///
/// # Errors
/// What is wrong with the file, in full, or which program is missing.
pub fn judge(file: &Path, why: Why) -> Result<Judged, String> {
    let named = if why == Why::Check { NamedFiles::Required } else { NamedFiles::Kept };
    let judged = look(file, named)?;
    ask_components(&judged.plan, file, &judged.warnings, why)?;
    Ok(judged)
}

/// The front door's own part of it: the processes themselves say the rest when they are started ([`crate::up`]).
///
/// # Errors
/// What is wrong with the file.
pub fn look(file: &Path, named: NamedFiles) -> Result<Judged, String> {
    let read =
        Text::read(file).and_then(|text| text.parse_with(named).map(|(config, warnings)| (text, config, warnings)));
    let (text, config, warnings) = read.map_err(|errors| errors.to_string())?;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    warnings.iter().for_each(common::complain::complain);
    let plan = Plan::of(&config);
    if plan.processes.is_empty() {
        return Err(format!(
            "error: {} has no listener, so no process has work: add [[sni-router.listen]] or [[forward-proxy.listen]]",
            file.display()
        ));
    }
    Ok(Judged { text, config, plan, warnings })
}

/// What a component has against a configuration, as it is shown.
pub fn complaint_of(process: Process, text: &str) -> String {
    format!("{process}:\n{text}")
}

fn ask_components(plan: &Plan, file: &Path, warnings: &[String], why: Why) -> Result<(), String> {
    let meant = |process: Process| why != Why::Reload || process != Process::TlsTerminator;
    // All at once; the threads have ended before any process is started.
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asked = plan.processes.iter().map(|(process, _)| *process).filter(|process| meant(*process));
        let ask = |process| scope.spawn(move || siblings::ask_to_check(process, file, why != Why::Check));
        let asked: Vec<_> = asked.map(|process| (process, ask(process))).collect();
        asked.into_iter().map(|(process, thread)| (process, thread.join())).collect()
    });
    let mut complaints: Vec<String> = Vec::new();
    for (process, answer) in answers {
        match answer {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(text))) => complaints.push(complaint_of(process, without(&text, warnings))),
            Ok(Err(error)) => complaints.push(error.to_string()),
            Err(_) => complaints.push(format!("error: asking {process} failed inside bulkhead; please report this")),
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

/// Each component reads the whole file and repeats its warnings, which have been shown.
fn without<'a>(text: &'a str, warnings: &[String]) -> &'a str {
    let mut rest = text;
    for warning in warnings {
        match rest.strip_prefix(warning.as_str()) {
            Some(behind) => rest = behind.trim_start_matches('\n'),
            None => break,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_not_shown_twice() {
        let warnings = ["warning: a".to_owned(), "warning: b".to_owned()];
        assert_eq!(without("warning: a\nwarning: b\nerror: c", &warnings), "error: c");
        assert_eq!(without("error: c", &warnings), "error: c");
    }
}
