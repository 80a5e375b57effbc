//! `bulkhead status`: asks every process how it is and prints a table, or JSON for machines.

mod certificates;
mod pools;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use common::ipc::messages::control::{Control, ControlReply, Status};
use common::wiring::launcher_socket;
use serde_json::{Value, json};

use crate::ask::{Crew, Reply, Silence, Target};
use crate::command_line::StatusOrder;
use crate::notes::{self, Trouble};
use crate::say::{say, span};

/// Figures in the table without `--figures`: each process's own table begins with what matters most.
const MAIN_FIGURES: usize = 4;

/// Prints how everybody is.
///
/// # Errors
/// When somebody who is needed does not answer.
pub fn run(order: &StatusOrder) -> Result<(), String> {
    let crew = Crew::at(&order.place)?;
    let replies = crew.ask(Control::Status)?;
    let pools = crew.ask(Control::Pools)?;
    let certificates = crew.ask(Control::Certificates)?;
    let troubles = notes::troubles(&crew.runtime_dir);
    if order.json {
        say(&format!("{:#}", as_json(&crew, &replies, &troubles, &pools, &certificates)));
    } else {
        say(&(table(&replies, order.figures, crew.file.as_ref())
            + &scaled(&crew)
            + &troubles_of(&replies, &troubles)
            + &certificates::table(&certificates)
            + &pools::table(&pools)));
    }
    let silent: Vec<String> = replies.iter().filter(|reply| status_of(reply).is_none()).map(name).collect();
    match (replies.is_empty(), silent.is_empty()) {
        (true, _) => Err(format!("error: no bulkhead runs in {}", crew.runtime_dir.display())),
        (false, true) => Ok(()),
        (false, false) => Err(format!("error: no answer from {}", silent.join(", "))),
    }
}

fn name((Target { process, instance, .. }, _): &Reply) -> String {
    format!("{process}@{instance}")
}

fn status_of((_, answer): &Reply) -> Option<&Status> {
    match answer {
        Ok(ControlReply::Status(status)) => Some(status),
        _ => None,
    }
}

/// Why there is no status, in a few words.
fn trouble((_, answer): &Reply) -> String {
    match answer {
        Err(silence) => silence.to_string(),
        Ok(_) => "answered something else: another release?".to_owned(),
    }
}

fn table(replies: &[Reply], all_figures: bool, file: Option<&(PathBuf, String)>) -> String {
    let mut text = format!(
        "{:<17} {:>8} {:>8} {:>11}  {:<9} {:<8} {}\n",
        "PROCESS", "INSTANCE", "PID", "UPTIME", "STATE", "SANDBOX", "FIGURES"
    );
    for reply in replies {
        let (Target { process, instance, .. }, _) = reply;
        let Some(status) = status_of(reply) else {
            let state = if matches!(reply.1, Err(Silence::NotRunning)) { "missing" } else { "SILENT" };
            let line =
                format!("{process:<17} {instance:>8} {:>8} {:>11}  {state:<9} {:<8} {}", "-", "-", "-", trouble(reply));
            text.push_str(&format!("{line}\n"));
            continue;
        };
        let state = if status.draining { "draining" } else { "serving" };
        let walls = if status.sandboxed { "holds" } else { "GAPS" };
        let shown = if all_figures { 0 } else { MAIN_FIGURES };
        let figures: Vec<String> =
            status.figures.iter().take(shown).map(|(name, value)| format!("{name}={value}")).collect();
        let uptime = uptime(status.uptime);
        let line = format!(
            "{process:<17} {instance:>8} {:>8} {uptime:>11}  {state:<9} {walls:<8} {}",
            status.pid,
            figures.join(" ")
        );
        text.push_str(&format!("{}\n", line.trim_end()));
        if all_figures {
            for (name, value) in &status.figures {
                text.push_str(&format!("    {name:<40} {value:>12}\n"));
            }
        }
    }
    if replies.iter().filter_map(status_of).any(|status| !status.sandboxed) {
        text.push_str("GAPS: `bulkhead sandbox` says which wall does not hold and why\n");
    }
    text + &configurations(replies, file)
}

/// Where another number runs than a start would bring: under `bulkhead up` only, because units do not read it in the file.
fn scaled(crew: &Crew) -> String {
    if !launcher_socket(&crew.runtime_dir).exists() {
        return String::new();
    }
    let differs = crew.configured.iter().filter_map(|(process, configured)| {
        let there = crew.targets.iter().filter(|target| target.process == *process).count();
        let same = u32::try_from(there).is_ok_and(|there| there == *configured);
        (!same)
            .then(|| format!("note: {process}: {there} run now, a start brings {configured} ({process}.instances)\n"))
    });
    differs.collect()
}

/// A line for each that keeps ending, whether it happens to serve at this moment or not.
fn troubles_of(replies: &[Reply], troubles: &[Trouble]) -> String {
    let known = replies.iter().filter_map(|reply| Some((name(reply), trouble_of(reply, troubles)?)));
    known.map(|(name, trouble)| format!("{name} {}\n", trouble.tell(SystemTime::now()))).collect()
}

fn trouble_of<'a>((target, _): &Reply, troubles: &'a [Trouble]) -> Option<&'a Trouble> {
    troubles.iter().find(|own| (own.process, own.instance) == (target.process, target.instance))
}

/// What should be said about the configurations that are at work: nothing, as long as all have the one of the file.
fn configurations(replies: &[Reply], file: Option<&(PathBuf, String)>) -> String {
    let at_work: BTreeSet<&str> = replies.iter().filter_map(status_of).map(|status| &*status.configuration).collect();
    match file {
        _ if at_work.len() > 1 => {
            "DIFFERENT CONFIGURATIONS: a process was started after the file had changed; `bulkhead reload` gives all the same\n".to_owned()
        }
        Some((path, digest)) if at_work.iter().any(|own| *own != digest) => {
            let path = path.display();
            format!("note: {path} has changed since it was put to work: `bulkhead reload {path}`\n")
        }
        _ => String::new(),
    }
}

/// Told in whole seconds, so no fraction is claimed.
fn uptime(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { span(Duration::from_secs(seconds)) }
}

fn as_json(crew: &Crew, replies: &[Reply], troubles: &[Trouble], pools: &[Reply], certificates: &[Reply]) -> Value {
    let processes = replies.iter().map(|reply| {
        let (Target { process, instance, .. }, _) = reply;
        let mut own = match status_of(reply) {
            Some(status) => json!({
                "process": process.name(),
                "instance": instance,
                "pid": status.pid,
                "version": status.version,
                "uptime": status.uptime,
                "reloads": status.reloads,
                "configuration": status.configuration,
                "state": if status.draining { "draining" } else { "serving" },
                "sandboxed": status.sandboxed,
                "figures": status.figures.iter().map(|(name, value)| (name.to_string(), json!(value)))
                    .collect::<serde_json::Map<String, Value>>(),
            }),
            None => {
                json!({ "process": process.name(), "instance": instance, "state": "silent", "error": trouble(reply) })
            }
        };
        if let (Some(trouble), Some(own)) = (trouble_of(reply, troubles), own.as_object_mut()) {
            let next = trouble.next_try.duration_since(SystemTime::now()).unwrap_or_default();
            let next = u64::try_from(next.as_millis()).unwrap_or(u64::MAX);
            let told = json!({ "ended_in_a_row": trouble.in_a_row, "last": trouble.ending, "next_try_ms": next });
            own.insert("keeps_ending".to_owned(), told);
        }
        own
    });
    json!({
        "runtime_dir": crew.runtime_dir,
        "configuration": crew.file.as_ref().map(|(_, digest)| digest),
        "processes": processes.collect::<Vec<Value>>(),
        "pools": pools::json(pools),
        "certificates": certificates::json(certificates),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use common::process::Process;

    fn target(process: Process) -> Target {
        Target { process, instance: 1, socket: "/x".into() }
    }

    fn replies() -> Vec<Reply> {
        let status = Status {
            process: Process::SniRouter,
            instance: 1,
            pid: 77,
            version: "0.1.0".into(),
            uptime: 61,
            reloads: 0,
            configuration: "aa".into(),
            draining: false,
            sandboxed: false,
            figures: (0..6).map(|number| (format!("figure_{number}").into(), number)).collect(),
        };
        vec![
            (target(Process::SniRouter), Ok(ControlReply::Status(Box::new(status)))),
            (target(Process::HttpFilter), Err(Silence::NoAnswer(crate::ask::DEADLINE))),
            (target(Process::ForwardProxy), Err(Silence::NotRunning)),
        ]
    }

    #[test]
    fn the_table_shows_the_first_figures_and_who_is_silent() {
        let short = table(&replies(), false, None);
        assert!(short.contains("figure_3=3") && !short.contains("figure_4"), "{short}");
        assert!(short.contains("SILENT") && short.contains("no answer within 2 s"), "{short}");
        assert!(short.contains("missing") && short.contains("GAPS: `bulkhead sandbox`"), "{short}");
        assert!(table(&replies(), true, None).lines().any(|line| line.trim_start().starts_with("figure_5 ")));
    }

    #[test]
    fn a_file_that_is_not_at_work_is_told() {
        let file = |digest: &str| ("b.toml".into(), digest.to_owned());
        assert!(!table(&replies(), false, Some(&file("aa"))).contains("b.toml"));
        assert!(table(&replies(), false, Some(&file("bb"))).contains("b.toml has changed"));
        let mut two = replies();
        two.extend(replies());
        if let Some((_, Ok(ControlReply::Status(status)))) = two.first_mut() {
            status.configuration = "bb".into();
        }
        assert!(table(&two, false, None).contains("DIFFERENT CONFIGURATIONS"));
    }

    #[test]
    fn a_crash_loop_is_told_whether_it_is_silent_or_serves_for_a_moment() {
        let trouble = |process| Trouble {
            process,
            instance: 1,
            in_a_row: 5,
            ending: "exit code 3".to_owned(),
            next_try: SystemTime::now() + Duration::from_secs(600),
        };
        let troubles = [trouble(Process::SniRouter), trouble(Process::HttpFilter), trouble(Process::TlsTerminator)];
        let text = troubles_of(&replies(), &troubles);
        assert!(text.starts_with("sni-router@1 keeps ending: 5 times in a row, last with exit code 3"), "{text}");
        assert!(text.contains("http-filter@1 keeps ending") && !text.contains("tls-terminator"), "{text}");
        let crew = Crew {
            runtime_dir: "/x".into(),
            folder: "/x/control".into(),
            targets: Vec::new(),
            file: None,
            configured: Vec::new(),
        };
        let value = as_json(&crew, &replies(), &troubles, &[], &[]);
        assert_eq!(value["processes"][1]["keeps_ending"]["ended_in_a_row"], 5);
        assert_eq!(value["processes"][2].get("keeps_ending"), None);
    }

    #[test]
    fn machines_get_the_same() {
        let crew = Crew {
            runtime_dir: "/run/bulkhead".into(),
            folder: "/run/bulkhead/control".into(),
            targets: Vec::new(),
            file: None,
            configured: Vec::new(),
        };
        let value = as_json(&crew, &replies(), &[], &[], &[]);
        assert_eq!(value["processes"][0]["figures"]["figure_5"], 5);
        assert_eq!(value["processes"][0]["state"], "serving");
        assert_eq!(value["processes"][1]["state"], "silent");
    }
}
