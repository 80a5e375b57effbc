//! The binaries under test, built once. `cargo test --workspace` does not build the binaries of *other* packages, so the
//! first test that needs one asks cargo for all of them; when nothing changed that takes a tenth of a second.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder that holds the binaries of this workspace, in the profile this test itself was built in.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let own = std::env::current_exe().expect("a test knows where it is");
        // target/<profile>/deps/e2e-0123456789abcdef
        let folder = own.ancestors().nth(2).expect("below target/<profile>/deps").to_owned();
        build(&folder);
        folder
    })
}

/// The path of one of them.
pub fn path(name: &str) -> PathBuf {
    folder().join(name)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

fn build(folder: &Path) {
    if std::env::var_os("BULKHEAD_TEST_PREBUILT").is_some() {
        return;
    }
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--workspace", "--bins", "--quiet", "--profile", profile, "--target-dir"])
        .arg(folder.parent().expect("target/<profile>"))
        .current_dir(workspace())
        .status()
        .expect("cargo can be started");
    assert!(built.success(), "cargo build --workspace --bins failed; no end-to-end test can run");
}

/// A folder with the binaries that `uid` may execute: the real one, or, where a folder above it is closed to others (a
/// checkout in somebody's home), copies in `spare`.
pub fn reachable_by(uid: u32, spare: &Path) -> PathBuf {
    use std::os::unix::process::CommandExt;
    let mut probe = Command::new(path("bulkhead"));
    probe.arg("--version").uid(uid).gid(uid).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    if probe.status().is_ok() {
        return folder().to_owned();
    }
    copies_in(spare)
}

/// Copies of all binaries, in `bin` below a folder.
pub fn copies_in(spare: &Path) -> PathBuf {
    let copies = spare.join("bin");
    std::fs::create_dir(&copies).expect("a folder for copies");
    crate::folder::open_to_all(&copies);
    for name in ["bulkhead", "bulkhead-demo"].into_iter().chain(common::process::Process::ALL.map(|p| p.name())) {
        if path(name).exists() {
            std::fs::copy(path(name), copies.join(name)).expect("a copy of a binary");
            crate::folder::open_to_all(&copies.join(name));
        }
    }
    copies
}
