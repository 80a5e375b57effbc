//! `--check`: sends every request of [`crate::scenarios`] with clients of its own and judges what comes.
//!
//! [`road`] (get there) → [`tls`], [`tunnel`] → [`exchange`] (one request) → [`got`] → [`judge`] (pure) → [`describe`] (pure)

mod describe;
mod exchange;
mod got;
mod judge;
mod road;
mod tls;
mod tunnel;

use crate::lines::say;
use crate::scenarios::{self, Ip, Road, Scenario};
use crate::world::World;
use got::Got;
use std::time::{Duration, Instant};

/// What has been found so far.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    /// Prints one finding and counts it.
    pub fn add(&mut self, name: &str, right: bool, expected: &str, got: &str) {
        let word = if right { "ok  " } else { "FAIL" };
        *(if right { &mut self.passed } else { &mut self.failed }) += 1;
        say(&format!("{word}  {name:<24}  expected {expected}  got {got}"));
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        say(&format!("skip  {name:<24}  {why}"));
    }

    /// Prints the last line; true only if nothing failed and something passed.
    #[must_use]
    pub fn finish(&self) -> bool {
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        say(&format!("{} passed, {} failed{skipped}", self.passed, self.failed));
        self.failed == 0 && self.passed > 0
    }
}

/// Sends every request, one after the other, and prints one line for each.
pub async fn run(world: &World, report: &mut Report) {
    for scenario in scenarios::all() {
        if matches!(scenario.road, Road::Tls { ip: Ip::V6, .. }) && !world.ports.ipv6 {
            report.skip(scenario.name, "this machine has no IPv6 loopback address");
            continue;
        }
        let start = Instant::now();
        let got = perform(scenario, world).await;
        let took = start.elapsed();
        let complaints = judge::judge(&scenario.expect, &got, world);
        let expected = describe::expected(&scenario.expect);
        let got = describe::got(&scenario.expect, &got, world, &complaints, took);
        report.add(scenario.name, complaints.is_empty(), &expected, &got);
    }
    attack_log(world, report).await;
}

/// The refused attacks must stand in the log with the rules that refused them. Lines are gathered before they are written: some patience.
async fn attack_log(world: &World, report: &mut Report) {
    let mut found = None;
    for _ in 0..50 {
        let log = std::fs::read_to_string(world.folder.join("bulkhead.log")).unwrap_or_default();
        found = log.lines().find_map(|line| rules_named(line).map(str::to_owned));
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let got = found.as_ref().map_or("no such line".to_owned(), |rules| format!("rules {rules}"));
    report.add("attack-log", found.is_some(), "a log line of a refused attack that names the rules", &got);
}

/// The rules that a line of the log names for a refused attack.
fn rules_named(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("attack_rules=").filter(|_| line.contains("web-attack"))?;
    let rules = rest.trim_start_matches('"').split(['"', ' ']).next()?;
    rules.starts_with(|first: char| first.is_ascii_digit()).then_some(rules)
}

/// Sends one request and waits for its end, at most until its deadline.
async fn perform(scenario: &Scenario, world: &World) -> Got {
    match tokio::time::timeout(scenario.expect.deadline, road::travel(scenario, world)).await {
        Ok(Ok(got)) => got,
        Ok(Err(got)) => *got,
        Err(_) => Got::error(format!("no end within {} s", scenario.expect.deadline.as_secs())),
    }
}

#[cfg(test)]
mod tests;
