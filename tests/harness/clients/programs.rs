//! Other real programs: `openssl s_client`, h2load.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::World;

/// Runs `openssl s_client` against a world's TLS listener, types `input`, and returns what it printed.
///
/// # Panics
/// When there is no openssl.
pub fn openssl(world: &World, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &world.https().to_string(), "-CAfile"])
        .arg(world.authority())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("need() was asked for openssl");
    let mut typed = child.stdin.take().expect("piped");
    let _ = typed.write_all(input.as_bytes());
    // It ends when its input does; give the answer a moment to come.
    std::thread::sleep(std::time::Duration::from_millis(700));
    drop(typed);
    child.wait_with_output().expect("our child")
}

/// Runs h2load against `https://name/path` of a world and returns its report.
///
/// # Panics
/// When there is no h2load.
pub fn h2load(world: &World, name: &str, path: &str, requests: u32, clients: u32, streams: u32) -> String {
    let address = world.https();
    let output = Command::new("h2load")
        .args(["-n", &requests.to_string(), "-c", &clients.to_string(), "-m", &streams.to_string()])
        .args(["--connect-to", &address.to_string()])
        .arg(format!("https://{name}:{}{path}", address.port()))
        .output()
        .expect("need() was asked for h2load");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
