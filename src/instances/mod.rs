//! The instances that run, and how to have more, fewer or others of them: under `bulkhead up` by asking the launcher
//! ([`launcher`]), under systemd by starting and stopping units ([`units`]). [`crate::scale`] and [`crate::upgrade`] say the same words in
//! both worlds.

mod launcher;
mod units;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use common::ipc::directory::MAX_INSTANCES;
use common::ipc::messages::control::{Control, ControlReply, Status};
use common::process::Process;
use rustix::fs::FlockOperation;

use crate::ask::{Crew, Target, one};
use crate::command_line::Place;
use crate::say::count;
use launcher::Launcher;
use units::Units;

/// Instances that start at a time: more would only slow each other down, and each has a deadline.
const AT_ONCE: usize = 4;
/// How long one may take to say how it is.
const QUESTION: Duration = Duration::from_secs(2);

/// The house, held by us alone: nobody else scales or upgrades meanwhile.
#[derive(Debug)]
pub struct Instances {
    place: Place,
    crew: Crew,
    world: World,
    _held: File,
}

/// Who starts and stops.
#[derive(Debug, Clone)]
enum World {
    Launcher(Launcher),
    Units(Units),
}

impl Instances {
    /// Finds out who starts and stops here, and takes hold.
    ///
    /// # Errors
    /// Nobody runs here, we may not, or somebody else is at it.
    pub fn at(place: &Place) -> Result<Self, String> {
        let crew = Crew::at(place)?;
        let failed = |error: std::io::Error| format!("error: {}: {error}", crew.folder.display());
        let held = File::open(&crew.folder).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("error: no bulkhead runs in {}", crew.runtime_dir.display()),
            std::io::ErrorKind::PermissionDenied => {
                "error: not for you: order as root or as the user who started it".to_owned()
            }
            _ => failed(error),
        })?;
        match rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err("error: another `bulkhead scale` or `upgrade` is at it: wait for its end".to_owned());
            }
            Err(error) => return Err(failed(error.into())),
        }
        let world = match Launcher::of(&crew.runtime_dir) {
            Some(launcher) => World::Launcher(launcher),
            None => World::Units(Units::found(&crew)?),
        };
        Ok(Self { place: place.clone(), crew, world, _held: held })
    }

    /// Numbers of a process that are there now, in order.
    pub fn of(&self, process: Process) -> Vec<u32> {
        let crew = Crew::at(&Place::RuntimeDir(self.crew.runtime_dir.clone()));
        let targets = crew.map(|crew| crew.targets).unwrap_or_default();
        targets.into_iter().filter(|target| target.process == process).map(|target| target.instance).collect()
    }

    /// How many of a process a start brings, by the configuration that was named.
    pub fn configured(&self, process: Process) -> Option<u32> {
        self.crew.configured.iter().find(|(known, _)| *known == process).map(|(_, count)| *count)
    }

    /// The configuration that was named.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Config(file) => Some(file.clone()),
            Place::RuntimeDir(_) => None,
        }
    }

    /// Whether numbers are names that somebody gave: units that are enabled and may have settings of their own.
    pub fn numbers_are_names(&self) -> bool {
        matches!(self.world, World::Units(_))
    }

    /// What one says of itself.
    pub async fn status(&self, process: Process, instance: u32) -> Option<Status> {
        let socket = self.crew.folder.join(common::wiring::instance_socket(process, instance));
        match one(&socket, &Control::Status, QUESTION).await {
            Ok(ControlReply::Status(status)) => Some(*status),
            _ => None,
        }
    }

    /// How to have so many after the next start, too.
    pub async fn how_to_keep(&self, process: Process, now: &[u32], before: &[u32]) -> String {
        match &self.world {
            World::Launcher(_) if self.configured(process) == u32::try_from(now.len()).ok() => {
                "a start brings as many".to_owned()
            }
            World::Launcher(_) => {
                let file =
                    self.file().map_or_else(|| "the configuration".to_owned(), |file| file.display().to_string());
                format!("until the next start; to keep it: `instances = {}` in [{process}] of {file}", now.len())
            }
            World::Units(units) => units.how_to_keep(process, now, before).await,
        }
    }

    /// Starts these and waits until they serve. If one does not, all of them are stopped again.
    ///
    /// # Errors
    /// Who does not serve, and why.
    pub async fn start(&self, process: Process, numbers: &[u32]) -> Result<(), String> {
        let mut begun = Vec::new();
        for some in numbers.chunks(AT_ONCE) {
            let outcomes = self.each(process, some, true).await;
            begun.extend(outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(number, _)| *number));
            let troubles = troubles(outcomes);
            if !troubles.is_empty() {
                let left = self.stop(process, &begun).await.err().map(|trouble| format!("\n{trouble}"));
                return Err(format!("{}{}", troubles.join("\n"), left.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// Lets these finish and waits for their end.
    ///
    /// # Errors
    /// Who did not finish, and why.
    pub async fn stop(&self, process: Process, numbers: &[u32]) -> Result<(), String> {
        let troubles = troubles(self.each(process, numbers, false).await);
        if troubles.is_empty() { Ok(()) } else { Err(troubles.join("\n")) }
    }

    async fn each(&self, process: Process, numbers: &[u32], start: bool) -> Vec<(u32, Result<(), String>)> {
        let task = |number: u32| {
            let (world, crew) = (self.world.clone(), self.crew.folder.clone());
            let socket = crew.join(common::wiring::instance_socket(process, number));
            let target = Target { process, instance: number, socket };
            (number, tokio::task::spawn_local(async move { world.change(&target, start).await }))
        };
        let tasks: Vec<_> = numbers.iter().copied().map(task).collect();
        let mut outcomes = Vec::new();
        for (number, task) in tasks {
            let outcome = task.await.unwrap_or_else(|error| Err(format!("error: {error}")));
            outcomes.push((number, outcome));
        }
        outcomes
    }

    /// The page of figures, with the program that is on the disk now.
    ///
    /// # Errors
    /// Why it could not be started.
    pub async fn start_page_again(&self) -> Result<(), String> {
        match &self.world {
            World::Launcher(launcher) => launcher.start_page_again().await,
            World::Units(units) => units.start_page_again().await,
        }
    }
}

impl World {
    async fn change(&self, target: &Target, start: bool) -> Result<(), String> {
        match self {
            Self::Launcher(launcher) => launcher.change(target, start).await,
            Self::Units(units) => units.change(target, start).await,
        }
    }
}

fn troubles(outcomes: Vec<(u32, Result<(), String>)>) -> Vec<String> {
    outcomes.into_iter().filter_map(|(_, outcome)| outcome.err()).map(|why| format!("error: {why}")).collect()
}

/// The lowest numbers that nobody has; fewer where there are no more.
pub fn free_numbers(taken: &[u32], wanted: usize) -> Vec<u32> {
    (1u32..).take(MAX_INSTANCES).filter(|number| !taken.contains(number)).take(wanted).collect()
}

/// `1, 2, 4`
pub fn list(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<String>>().join(", ")
}

/// `1 instance serves (2)`
pub fn serve(numbers: &[u32]) -> String {
    format!("{} ({})", count(numbers.len(), "instance serves", "instances serve"), list(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_small() {
        assert_eq!(free_numbers(&[1, 2], 2), [3, 4]);
        assert_eq!(free_numbers(&[3, 4], 3), [1, 2, 5]);
        let most: Vec<u32> = (2..=64).collect();
        assert_eq!(free_numbers(&most, 5), [1]);
        assert_eq!(serve(&[2]), "1 instance serves (2)");
    }
}
