//! The course of one demo, from the folder's making to its removal.

use crate::arguments::Arguments;
use crate::backends::Backends;
use crate::certificates::{self, Certificates};
use crate::check::{self, Report};
use crate::folder::Folder;
use crate::launch::{self, Bulkhead, START_DEADLINE, STOP_DEADLINE, Start};
use crate::lines::{self, complain, say};
use crate::living::{self, PROCESSES};
use crate::output::Output;
use crate::ports::{Held, Ports};
use crate::signals::Signals;
use crate::world::World;
use crate::{configuration, curl};
use std::io::{Error, Result};
use std::path::Path;

/// How often to begin again with other ports when somebody took one of ours.
const TRIES: usize = 3;

/// Runs the demo; true if all went as it should.
///
/// # Errors
/// When it could not even begin: no folder, no ports, no `bulkhead` beside this program.
pub async fn run(arguments: &Arguments) -> Result<bool> {
    let mut signals = Signals::catch()?;
    let program = launch::sibling()?;
    let folder = Folder::create(arguments.dir.as_deref(), arguments.keep)
        .map_err(|error| Error::new(error.kind(), format!("cannot make the folder: {error}")))?;
    let certificates = certificates::make().map_err(Error::other)?;
    configuration::write_files(&folder, &certificates)?;
    let backends = Backends::start(&certificates.secure).await?;

    let up = start(&program, &folder, &backends, &certificates, &mut signals).await?;
    let Some((world, bulkhead)) = up else { return Ok(false) };
    let right = if arguments.check {
        check_all(&world, bulkhead, &mut signals).await?
    } else {
        wait(&world, bulkhead, &mut signals).await?
    };
    if folder.stays() {
        say(&format!("Left in place: {}", folder.path().display()));
    }
    Ok(right)
}

/// Starts Bulkhead and waits until it serves; `None` (and everything said) if it does not.
async fn start(
    program: &Path,
    folder: &Folder,
    backends: &Backends,
    certificates: &Certificates,
    signals: &mut Signals,
) -> Result<Option<(World, Bulkhead)>> {
    for tries_left in (0..TRIES).rev() {
        let held = Held::find()?;
        let world = world(folder, held.ports(), backends, certificates);
        let file = configuration::write(folder, &world)?;
        curl::write_files(folder, &world)?;
        let output = Output::to(&folder.join("bulkhead.log"))?;
        drop(held);
        let mut bulkhead = Bulkhead::start(program, &file, output)?;
        let problem = match bulkhead.wait_ready(signals).await? {
            Start::Ready => return Ok(Some((world, bulkhead))),
            Start::Interrupted => {
                bulkhead.stop(signals).await;
                return Ok(None);
            }
            Start::Died(status) => format!("`bulkhead up` ended before it served ({status})"),
            Start::Late => format!("`bulkhead up` did not print `ready` within {} s", START_DEADLINE.as_secs()),
        };
        let last = bulkhead.output().last();
        bulkhead.stop(signals).await;
        if tries_left > 0 && last.iter().any(|line| line.to_lowercase().contains("address already in use")) {
            continue;
        }
        complain(&format!("{problem}. What it said:"));
        show(&last);
        return Ok(None);
    }
    Ok(None)
}

fn world(folder: &Folder, ports: Ports, backends: &Backends, certificates: &Certificates) -> World {
    World {
        folder: folder.path().to_owned(),
        ports,
        http_backend: backends.http,
        https_backend: backends.https,
        ca: certificates.ca_der.clone(),
        leaves: [&certificates.www, &certificates.api, &certificates.secure].map(|signed| signed.der.clone()),
    }
}

/// Shows what there is and waits for Ctrl-C.
async fn wait(world: &World, mut bulkhead: Bulkhead, signals: &mut Signals) -> Result<bool> {
    let processes = living::children_of(bulkhead.pid());
    say(&lines::what_is_where(world, bulkhead.pid(), &processes));
    say("");
    say(&lines::to_paste(world));
    bulkhead.output().show();
    tokio::select! {
        () = signals.next() => {
            say("\nStopping.");
            let stop = bulkhead.stop(signals).await;
            say(&format!("Stopped: {}.", stop.words));
            Ok(stop.clean)
        }
        status = bulkhead.died() => {
            complain(&format!("`bulkhead up` ended by itself ({})", status?));
            bulkhead.stop(signals).await;
            Ok(false)
        }
    }
}

/// Checks everything, the stop included; true if all was right.
async fn check_all(world: &World, mut bulkhead: Bulkhead, signals: &mut Signals) -> Result<bool> {
    let mut report = Report::default();
    check_processes(&bulkhead, &mut report);
    let problem = tokio::select! {
        () = check::run(world, &mut report) => None,
        status = bulkhead.died() => Some(format!("`bulkhead up` ended by itself ({})", status?)),
        () = signals.next() => Some("interrupted".into()),
    };
    let last = bulkhead.output().last();
    let stop = bulkhead.stop(signals).await;
    let expected = format!("exit status 0 within {} s, no process left", STOP_DEADLINE.as_secs());
    report.add("stop", stop.clean, &expected, &stop.words);
    let right = report.finish() && problem.is_none();
    if let Some(problem) = problem {
        complain(&problem);
    }
    if !right {
        complain("the last lines of bulkhead.log:");
        show(&last);
    }
    Ok(right)
}

/// All five processes must be there.
fn check_processes(bulkhead: &Bulkhead, report: &mut Report) {
    let found = living::children_of(bulkhead.pid());
    let all = PROCESSES.iter().all(|name| found.iter().any(|living| living.name == *name));
    let found: Vec<_> = found.iter().map(|living| format!("{} (uid {})", living.name, living.uid)).collect();
    report.add("processes", all, &PROCESSES.join(", "), &found.join(", "));
}

fn show(lines: &[String]) {
    for line in lines {
        complain(&format!("| {line}"));
    }
}
