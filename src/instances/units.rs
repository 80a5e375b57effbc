//! Instances under systemd: `bulkhead-PROCESS@N.service`, started and stopped by `systemctl`, which waits until they serve
//! (`Type=notify`) or have ended. Their sockets come and go with them.

use std::path::Path;
use std::process::Stdio;

use common::process::Process;
use common::wiring::{CONTROL, EDGES, OBSERVE};
use tokio::process::Command;

use super::list;
use crate::ask::{Crew, Target};

/// Where a system that was booted with systemd says so (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// Never on the `PATH`: what root starts must not depend on it.
const FOLDERS: [&str; 2] = ["/usr/bin", "/bin"];
/// Last lines of a unit that are told.
const LINES: &str = "--lines=10";

/// systemd.
#[derive(Debug, Clone)]
pub struct Units;

impl Units {
    /// Where the sockets that were found belong to units.
    ///
    /// # Errors
    /// They do not.
    pub fn found(crew: &Crew) -> Result<Self, String> {
        let theirs = |target: &Target| {
            let socket = format!("bulkhead-{}-control@{}.socket", target.process, target.instance);
            let said = std::process::Command::new(program("systemctl"))
                .args(["show", "--value", "--property=Listen", &socket])
                .env_clear()
                .stdin(Stdio::null())
                .output();
            said.is_ok_and(|said| {
                let path = target.socket.to_string_lossy();
                String::from_utf8_lossy(&said.stdout).split_whitespace().any(|word| word == path)
            })
        };
        let living = || crew.targets.iter().find(|target| target.socket.exists());
        if Path::new(BOOTED).is_dir() && living().is_some_and(theirs) {
            return Ok(Self);
        }
        let dir = crew.runtime_dir.display();
        Err(match living() {
            None => format!("error: no bulkhead runs in {dir}"),
            Some(_) => format!("error: neither `bulkhead up` nor a unit of systemd cares for the processes in {dir}"),
        })
    }

    /// Which units to enable or disable.
    pub async fn how_to_keep(&self, process: Process, now: &[u32], before: &[u32]) -> String {
        let (mut enable, mut disable) = (Vec::new(), Vec::new());
        let mut numbers: Vec<u32> = now.iter().chain(before).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let enabled = run("systemctl", &["--quiet", "is-enabled", &service(process, number)]).await.is_ok();
            match (now.contains(&number), enabled) {
                (true, false) => enable.push(number),
                (false, true) => disable.push(number),
                _ => {}
            }
        }
        let order = |verb: &str, numbers: &[u32]| {
            let braces =
                if numbers.len() == 1 { list(numbers) } else { format!("{{{}}}", list(numbers).replace(", ", ",")) };
            (!numbers.is_empty()).then(|| format!("`systemctl {verb} bulkhead-{process}@{braces}.service`"))
        };
        let orders: Vec<String> = order("enable", &enable).into_iter().chain(order("disable", &disable)).collect();
        if orders.is_empty() {
            return "a start brings as many".to_owned();
        }
        format!("until the next start; to keep it: {}", orders.join(" and "))
    }

    /// Starts an instance, or lets it finish.
    ///
    /// # Errors
    /// It does not serve (then it is stopped, and its last lines are in the error), or had to be killed.
    pub async fn change(&self, target: &Target, start: bool) -> Result<(), String> {
        let name = format!("{}@{}", target.process, target.instance);
        let unit = service(target.process, target.instance);
        if !start {
            self.stop(target).await.map_err(|why| format!("{name}: {why}"))?;
            let result = run("systemctl", &["show", "--value", "--property=Result", &unit]).await.unwrap_or_default();
            return match result.trim() {
                "timeout" => Err(format!("{name} did not finish in time and was killed: what it still held is cut")),
                _ => Ok(()),
            };
        }
        // What an earlier life of this number wrote is of no interest.
        let before = run("journalctl", &["--show-cursor", "--lines=0", "--quiet"]).await.unwrap_or_default();
        let Err(why) = run("systemctl", &["start", &unit]).await else { return Ok(()) };
        let _ = self.stop(target).await; // or it would be tried for ever
        let mut query = vec!["--quiet", "--no-pager", "--output=cat", LINES, "--unit", &unit];
        let cursor =
            before.lines().find_map(|line| line.strip_prefix("-- cursor: ")).map(|at| format!("--after-cursor={at}"));
        query.extend(cursor.as_deref());
        let words = run("journalctl", &query).await.unwrap_or_default();
        let words: Vec<String> = words.lines().map(|line| format!("  {line}")).collect();
        Err(format!("{name} does not serve: {why}\n{}", words.join("\n")))
    }

    /// With its sockets, which go after it: when this returns nobody finds it any more.
    async fn stop(&self, target: &Target) -> Result<(), String> {
        let (process, number) = (target.process, target.instance);
        let own = EDGES.iter().filter(|edge| edge.receiver == process && !edge.is_succession());
        let mut units = vec![service(process, number)];
        units.extend(own.map(|edge| format!("bulkhead-{}@{number}.socket", edge.name)));
        units.extend([CONTROL, OBSERVE].map(|kind| format!("bulkhead-{process}-{kind}@{number}.socket")));
        let words: Vec<&str> = ["stop"].into_iter().chain(units.iter().map(String::as_str)).collect();
        run("systemctl", &words).await.map(drop)
    }

    /// The unit of the page, if it runs.
    ///
    /// # Errors
    /// It did not start.
    pub async fn start_page_again(&self) -> Result<(), String> {
        run("systemctl", &["try-restart", "bulkhead-metrics.service"]).await.map(drop)
    }
}

fn service(process: Process, number: u32) -> String {
    format!("bulkhead-{process}@{number}.service")
}

fn program(name: &str) -> String {
    let path = |folder: &str| format!("{folder}/{name}");
    FOLDERS.map(path).into_iter().find(|path| Path::new(path).exists()).unwrap_or_else(|| path("/usr/bin"))
}

/// Standard output.
///
/// # Errors
/// What it complained of, in one line.
async fn run(name: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program(name))
        .args(words)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("{name} cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let first = complaint.lines().next().unwrap_or_default().trim();
    Err(if first.is_empty() { format!("{name} ended with {}", output.status) } else { first.to_owned() })
}
