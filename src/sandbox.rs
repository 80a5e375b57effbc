//! `bulkhead sandbox`: what every living process says of its own jail.

use common::ipc::messages::control::{Control, ControlReply};
use common::sandbox::report::{Report, table};

use crate::ask::{Crew, Silence};
use crate::command_line::Place;
use crate::instances::units::Units;
use crate::say::say;

/// Prints each layer and each forbidden act of each process.
///
/// # Errors
/// When a wall does not hold, or somebody who is needed does not answer.
pub fn run(place: &Place) -> Result<(), String> {
    let crew = Crew::at(place)?;
    let mut reports: Vec<Report> = Vec::new();
    let mut troubles: Vec<String> = Vec::new();
    for (target, answer) in crew.ask(Control::Sandbox)? {
        let name = format!("{}@{}", target.process, target.instance);
        match answer {
            Ok(ControlReply::Sandbox(report)) => {
                if !report.holds() {
                    troubles.push(format!("error: {name}: {}", report.summary()));
                }
                reports.push(*report);
            }
            Ok(_) => troubles.push(format!("error: {name} answered something else: is it of another release?")),
            Err(silence @ Silence::NotRunning) => troubles.push(format!("error: {name}: {silence}")),
            Err(silence) => troubles.push(format!("error: {name} was not heard: {silence}")),
        }
    }
    if !reports.is_empty() {
        say(&table(&reports));
        say_exposure(&crew, &reports);
    } else if troubles.is_empty() {
        troubles.push(format!("error: no bulkhead runs in {}", crew.runtime_dir.display()));
    }
    if troubles.is_empty() { Ok(()) } else { Err(troubles.join("\n")) }
}

/// Where units of systemd care for the processes: what systemd itself thinks of these units, beside what the processes found out.
fn say_exposure(crew: &Crew, reports: &[Report]) {
    let Ok(units) = Units::found(crew) else { return };
    say("\nexposure of the units by `systemd-analyze security` (0 is best, 10 is worst):");
    for target in crew.targets.iter().filter(|target| reports.iter().any(|report| report.process == target.process)) {
        if let Some(exposure) = units.exposure(target.process, target.instance) {
            say(&format!("  {}@{}  {exposure}", target.process, target.instance));
        }
    }
}
