//! The other binaries of the release. They are found beside this one, never on the `PATH`: what is started as root must not
//! depend on who has put what where.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::process::Process;

/// How long a component may judge a configuration.
const CHECK_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// What of our environment the others get to see. Nothing else: a variable of the starter must not change what they do.
const PASSED: [&str; 3] = [
    "TZ",              // times in log lines
    "RUST_BACKTRACE",  // for whoever hunts an error of ours
    "LD_LIBRARY_PATH", // where the C library of the machine is not in the usual place
];

/// The variables that are passed on.
pub fn passed_environment() -> impl Iterator<Item = (&'static str, OsString)> {
    PASSED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Why a sibling cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SiblingError {
    /// It is not there.
    #[error(
        "error: the program `{name}` is not in {}: all programs of a release belong into one folder; in the source tree \
         `cargo build --release --workspace --bins` builds them",
        folder.display()
    )]
    Missing {
        /// Which.
        name: String,
        /// Where it should be.
        folder: PathBuf,
    },
    /// The kernel does not say where this program is.
    #[error("error: cannot find out where this program is (is /proc mounted?): {0}")]
    Lost(io::Error),
    /// It cannot be started or watched.
    #[error("error: cannot run {}: {cause}", program.display())]
    Unusable {
        /// Which.
        program: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It did not end.
    #[error("error: {} --check did not end within {CHECK_DEADLINE:?}", .0.display())]
    Hangs(PathBuf),
}

/// The path of a sibling.
///
/// # Errors
/// When it is not there.
pub fn find(name: &str) -> Result<PathBuf, SiblingError> {
    let own = std::env::current_exe().map_err(SiblingError::Lost)?;
    let folder = own.parent().unwrap_or(Path::new("/")).to_owned();
    let path = folder.join(name);
    if path.is_file() { Ok(path) } else { Err(SiblingError::Missing { name: name.to_owned(), folder }) }
}

/// Lets a component judge the file; `quick` leaves out what takes time and is found later anyway. `Ok(None)`: it has nothing against it; otherwise what it wrote.
///
/// # Errors
/// When the component cannot be asked.
pub fn ask_to_check(process: Process, file: &Path, quick: bool) -> Result<Option<String>, SiblingError> {
    let program = find(process.name())?;
    let mut words = vec![OsStr::new("--check"), file.as_os_str()];
    words.extend(quick.then_some(OsStr::new("--quick")));
    let output = run(&program, &words)?;
    if output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Ok(Some(if text.is_empty() { format!("error: {process} --check ended with {}", output.status) } else { text }))
}

/// What a component may need under the file, as it prints it; the file has been judged.
///
/// # Errors
/// When the component cannot be asked.
pub fn ask_for_budget(process: Process, file: &Path) -> Result<String, SiblingError> {
    let output = run(&find(process.name())?, &[OsStr::new("--budget"), file.as_os_str()])?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(program: &Path, words: &[&OsStr]) -> Result<Output, SiblingError> {
    let unusable = |cause| SiblingError::Unusable { program: program.to_owned(), cause };
    let mut command = Command::new(program);
    command.args(words);
    command.env_clear().envs(passed_environment());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(unusable)?;
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(unusable)? {
            Some(status) => break status,
            None if begun.elapsed() > CHECK_DEADLINE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(SiblingError::Hangs(program.to_owned()));
            }
            None => std::thread::sleep(POLL),
        }
    };
    Ok(Output { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() })
}

/// Whatever it writes is read at a side thread, so that it cannot block on a full pipe.
fn collect(pipe: Option<impl io::Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut text);
        }
        text
    })
}
