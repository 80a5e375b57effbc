//! Programs a test needs that a machine may lack. A missing one skips the test and says so; where the environment says
//! `CI=true` a skip is a failure, so that nobody can lose a test without noticing.

use std::io::Write;
use std::path::PathBuf;

/// Where programs are looked for: `PATH`, and the folders of system programs that an ordinary user's `PATH` leaves out.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(extra).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// `if !need("name of the test", "curl") { return }`
pub fn need(test: &str, program: &str) -> bool {
    find(program).is_some() || skip(test, &format!("needs {program}"))
}

/// Skips for another reason. Returns `false`, for use beside [`need`].
///
/// # Panics
/// With `CI=true`.
pub fn skip(test: &str, why: &str) -> bool {
    say(&format!("SKIP {test}: {why}"));
    let ci = std::env::var("CI").as_deref() == Ok("true");
    assert!(!ci, "{test} was skipped ({why}), and with CI=true a skip is a failure");
    false
}

/// Says that a part of a test could not be looked at by this user; no program would change that.
pub fn note(test: &str, what: &str) {
    say(&format!("NOTE {test}: {what}"));
}

/// Past the test runner, which shows only what failing tests print.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
