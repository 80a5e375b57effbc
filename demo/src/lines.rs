//! What the demo prints, apart from the checks.

use crate::curl;
use crate::living::Living;
use crate::scenarios;
use crate::world::World;
use std::io::Write;

/// Prints a line. A closed pipe (`bulkhead demo | head`) is no reason to stop halfway.
pub fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Prints a line about something that went wrong.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "bulkhead-demo: {line}");
}

/// Processes, ports and folder.
#[must_use]
pub fn what_is_where(world: &World, front_door: u32, processes: &[Living]) -> String {
    let ports = world.ports;
    let also = |port| if ports.ipv6 { format!(" and [::1]:{port}") } else { String::new() };
    let mut lines = vec![
        "Bulkhead is up.".to_owned(),
        String::new(),
        format!("  TLS            127.0.0.1:{}{}", ports.https, also(ports.https)),
        format!("  plain HTTP     127.0.0.1:{}{}", ports.http, also(ports.http)),
        format!("  forward proxy  127.0.0.1:{}   user demo, password demo", ports.proxy),
        format!(
            "  HTTP backend   {}   HTTPS backend {}   (inside this program)",
            world.http_backend, world.https_backend
        ),
        format!("  folder         {}   bulkhead.toml, ca.pem, bulkhead.log …", world.folder.display()),
        String::new(),
        format!("  {:<18} {:>8} {:>8}", "process", "pid", "uid"),
        format!("  {:<18} {:>8} {:>8}", "bulkhead up", front_door, nix::unistd::geteuid()),
    ];
    lines.extend(processes.iter().map(|one| format!("  {:<18} {:>8} {:>8}", one.name, one.pid, one.uid)));
    lines.join("\n")
}

/// The lines to paste.
#[must_use]
pub fn to_paste(world: &World) -> String {
    let mut lines = vec!["Paste any of these into another terminal:".to_owned()];
    for scenario in scenarios::all().filter(|scenario| scenario.paste) {
        lines.push(format!("\n# {} → {}", scenario.about, scenario.expect.ending.text()));
        lines.push(curl::line(scenario, world));
    }
    lines.push("\nBulkhead's log follows. Ctrl-C stops everything.\n".into());
    lines.join("\n")
}
