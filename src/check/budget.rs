//! What the processes may need at most, as `bulkhead check` shows it. The sums are theirs ([`common::budget`]); here they are compared
//! with what the processes will be granted, and drawn. Pure but for the question what this shell grants.

use std::path::Path;

use common::budget::{Reading, Told};
use common::process::Process;

use crate::plan::Plan;
use crate::siblings;

/// What one process may need, once for all its instances.
#[derive(Debug)]
pub struct Row {
    process: Process,
    instances: u32,
    reading: Reading,
}

/// Asks every process.
///
/// # Errors
/// One cannot be asked, or does not say it.
pub fn ask(plan: &Plan, file: &Path) -> Result<Vec<Row>, String> {
    let row = |(process, instances): &(Process, u32)| {
        let text = siblings::ask_for_budget(*process, file).map_err(|error| error.to_string())?;
        let reading = Reading::of(&text).ok_or_else(|| {
            format!("error: {process} does not say what it may need: it is not of the same release as `bulkhead`")
        })?;
        Ok(Row { process: *process, instances: *instances, reading })
    };
    plan.processes.iter().map(row).collect()
}

/// What is to be warned about: whoever may need more than its unit grants.
pub fn warnings(rows: &[Row], lines: &str, file: &str) -> Vec<String> {
    rows.iter().filter_map(|row| warning(row, lines, file)).collect()
}

fn warning(row: &Row, lines: &str, file: &str) -> Option<String> {
    let (most, limit) = (row.reading.most_descriptors(), row.reading.limit);
    if most <= limit {
        return None;
    }
    let parts = row.reading.descriptors.iter().filter(|part| !part.key.is_empty());
    let largest = parts.max_by_key(|part| part.amount)?;
    let place = line_of(lines, &largest.key).map_or_else(|| "by default".to_owned(), |line| format!("{file}:{line}"));
    Some(format!(
        "warning: {process} may need {} descriptors and its unit grants {}: lower `{key}` ({place}; it alone may need {}), or raise \
         LimitNOFILE= of bulkhead-{process}@.service (`ulimit -Hn` for `bulkhead up`)",
        grouped(most),
        grouped(limit),
        grouped(largest.amount),
        process = row.process,
        key = largest.key,
    ))
}

/// The line of the file on which a key of a section stands, from 1.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let (section, name) = key.rsplit_once('.')?;
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            let header = line.split('#').next().unwrap_or_default().trim();
            inside = header.trim_start_matches('[').trim_end_matches(']').trim() == section;
        } else if inside && line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return Some(number + 1);
        }
    }
    None
}

/// The table. `granted`: the limit that processes started from here would have.
pub fn table(rows: &[Row], granted: Option<u64>) -> String {
    let head =
        ["process", "connections", "descriptors", "granted", "memory, idle", "memory, at most"].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        let reading = &row.reading;
        [
            format!("{} × {}", row.process, row.instances),
            grouped(reading.connections),
            grouped(reading.most_descriptors()),
            grouped(reading.limit),
            format!("~{}", bytes(reading.idle_bytes())),
            format!("~{}", bytes(reading.most_bytes())),
        ]
    });
    let cells: Vec<[String; 6]> = std::iter::once(head).chain(cells).collect();
    let mut widths = [0; 6];
    for row in &cells {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let mut text = "each instance may need, at most:\n".to_owned();
    for row in &cells {
        let mut line = String::from(" ");
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = if column == 0 { format!(" {cell:<width$}") } else { format!("  {cell:>width$}") };
            line.push_str(&cell);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for row in rows {
        text.push_str(&format!("  {}: {}\n", row.process, largest(row)));
    }
    let short: Vec<&str> = granted.map_or_else(Vec::new, |granted| {
        let lacks = |row: &&Row| row.reading.most_descriptors() > granted;
        rows.iter().filter(lacks).map(|row| row.process.name()).collect()
    });
    if let (Some(granted), false) = (granted, short.is_empty()) {
        let granted = grouped(granted);
        text.push_str(&format!(
            "  `bulkhead up` from here grants {granted} (ulimit -Hn), less than: {}\n",
            short.join(", ")
        ));
    }
    text
}

/// Where it goes, so that whoever has too little knows where to save.
fn largest(row: &Row) -> String {
    let most = |parts: &[&Told]| parts.iter().max_by_key(|part| part.amount).map(|part| (*part).clone());
    let named = |part: &Told| match &*part.key {
        "" => part.what.clone(),
        key => format!("{} ({key})", part.what),
    };
    let descriptors: Vec<&Told> = row.reading.descriptors.iter().collect();
    let memory: Vec<&Told> = row.reading.idle.iter().chain(&row.reading.busy).collect();
    let descriptors = most(&descriptors).map(|part| format!("{} descriptors {}", grouped(part.amount), named(&part)));
    let memory = most(&memory).map(|part| format!("{} {}", bytes(part.amount), named(&part)));
    [descriptors, memory].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// `65,536`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes for people, rounded.
fn bytes(number: u64) -> String {
    let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let found = units.into_iter().find(|(unit, _)| number >= *unit);
    let Some((unit, name)) = found else { return format!("{number} B") };
    let tenths = u128::from(number) * 10 / u128::from(unit);
    if tenths >= 100 { format!("{} {name}", tenths / 10) } else { format!("{}.{} {name}", tenths / 10, tenths % 10) }
}

/// The limit of descriptors that a process started from here may give itself.
pub fn granted_here() -> Option<u64> {
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(amount: u64, key: &str) -> Told {
        Told { amount, key: key.to_owned(), what: "places".to_owned() }
    }

    fn row(limit: u64) -> Row {
        let reading = Reading {
            connections: 40_000,
            limit,
            descriptors: vec![told(80_000, "forward-proxy.max_connections"), told(90_000, "")],
            idle: vec![told(5 << 20, "")],
            busy: vec![told(3 << 30, "log.buffer")],
        };
        Row { process: Process::ForwardProxy, instances: 2, reading }
    }

    #[test]
    fn more_than_is_granted_names_what_to_lower_and_where() {
        let text = "# [forward-proxy]\nmax_connections = 1\n[forward-proxy] # here\n max_connections_per_address=3\nmax_connections = 40_000\n";
        let [warning] = &warnings(&[row(65_536)], text, "b.toml")[..] else { panic!("one") };
        for words in
            ["170,000", "65,536", "`forward-proxy.max_connections` (b.toml:5;", "bulkhead-forward-proxy@.service"]
        {
            assert!(warning.contains(words), "{words}: {warning}");
        }
        let [warning] = &warnings(&[row(65_536)], "", "b.toml")[..] else { panic!("one") };
        assert!(warning.contains("(by default;"), "{warning}");
        assert!(warnings(&[row(170_000)], text, "b.toml").is_empty(), "just enough");
    }

    #[test]
    fn the_table_says_it_in_one_line_each() {
        let text = table(&[row(200_000)], Some(20_000));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        for words in ["forward-proxy × 2", "40,000", "170,000", "200,000", "~5.0 MiB", "~3.0 GiB"] {
            assert!(lines.get(2).is_some_and(|line| line.contains(words)), "{words}: {text}");
        }
        assert!(
            lines.get(4).is_some_and(|line| line.contains("20,000 (ulimit -Hn), less than: forward-proxy")),
            "{text}"
        );
        assert_eq!(table(&[row(200_000)], Some(170_000)).lines().count(), 4);
    }

    #[test]
    fn figures_for_people() {
        assert_eq!([7, 1_000, 1_234_567].map(grouped), ["7", "1,000", "1,234,567"]);
        assert_eq!([9, 1536, 20 << 20, u64::MAX].map(bytes), ["9 B", "1.5 KiB", "20 MiB", "16777215 TiB"]);
    }
}
