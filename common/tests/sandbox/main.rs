//! Every jail, really closed. A jail cannot be left and must be closed with one thread, so this test program starts *itself*
//! once per case: `sandbox --child CASE`. Run without arguments it runs all cases, as root and as an ordinary user where it
//! can; an argument picks the cases whose name contains it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cases;
mod policies;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The longest a case may take.
const LIMIT: Duration = Duration::from_secs(20);

/// "nobody": an ordinary user that every machine has a place for.
const ORDINARY: u32 = 65_534;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, case] = arguments.as_slice()
        && flag == "--child"
    {
        return child(case);
    }
    if arguments.iter().any(|argument| argument == "--list") {
        cases::ALL.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    parent(&wanted)
}

/// Runs one case in this process.
fn child(name: &str) -> ExitCode {
    match cases::ALL.iter().find(|case| case.name == name) {
        Some(case) => {
            cases::look_around();
            (case.run)();
            println!("case done");
            ExitCode::SUCCESS
        }
        None => ExitCode::from(2),
    }
}

/// Runs the cases, each in a process of its own, and counts.
fn parent(wanted: &[&String]) -> ExitCode {
    let is_root = nix::unistd::geteuid().is_root();
    let folder = tempfile::tempdir().unwrap();
    let program = reachable_copy(folder.path());
    let (mut passed, mut failed) = (0, 0);
    for case in cases::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|part| case.name.contains(part.as_str())) {
            continue;
        }
        for as_root in [true, false] {
            if as_root && !is_root {
                println!("test {} as root ... skipped: not started as root", case.name);
                continue;
            }
            let who = if as_root { "root" } else { "an ordinary user" };
            match run(&program, case.name, is_root && !as_root) {
                Ok(()) => {
                    passed += 1;
                    println!("test {} as {who} ... ok", case.name);
                }
                Err(why) => {
                    failed += 1;
                    println!("test {} as {who} ... FAILED\n{why}", case.name);
                }
            }
        }
    }
    println!("\ntest result: {passed} passed; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A copy of this program in a folder where everybody may write, because the ordinary user may not be able to reach the build
/// folder. Cases leave there what they cannot delete from inside their jail; it goes with the folder.
fn reachable_copy(folder: &Path) -> PathBuf {
    let program = folder.join("sandbox");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// One case in one process.
fn run(program: &Path, case: &str, switch_user: bool) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(["--child", case]).current_dir("/").env_remove("NOTIFY_SOCKET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if switch_user {
        command.uid(ORDINARY).gid(ORDINARY);
    }
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    let started = Instant::now();
    let status = loop {
        match process.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if started.elapsed() > LIMIT => {
                let _ = process.kill();
                break process.wait().map_err(|error| error.to_string())?;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut text = String::new();
    let _ = process.stdout.take().unwrap().read_to_string(&mut text);
    let finished = text.contains("case done");
    let _ = process.stderr.take().unwrap().read_to_string(&mut text);
    let ended = !text.contains("outlived");
    if status.success() && finished && ended { Ok(()) } else { Err(format!("{status}\n{text}")) }
}
