//! The repository as the rules see it: its tracked files, and what cargo knows of its packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The root.
pub fn root() -> &'static Path {
    harness::binaries::workspace()
}

/// A file's text.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths of all tracked files (and new ones that are not ignored), from the root. Where there is no git, all files.
pub fn files() -> &'static [String] {
    static FILES: OnceLock<Vec<String>> = OnceLock::new();
    FILES.get_or_init(|| {
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(root())
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect());
        let all: Vec<String> = listed.unwrap_or_else(|| walk(root()));
        assert!(all.len() > 100, "only {} files were found", all.len());
        all.into_iter().filter(|path| root().join(path).is_file()).collect()
    })
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with("target") && name != ".git" {
            found.extend(walk(&path));
        } else if path.is_file() {
            found.push(path.strip_prefix(root()).unwrap().display().to_string());
        }
    }
    found
}

/// All Rust files.
pub fn rust_files() -> impl Iterator<Item = &'static str> {
    files().iter().map(String::as_str).filter(|path| path.ends_with(".rs"))
}

/// What cargo knows of the packages of the workspace.
pub fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let output = cargo()
            .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
            .current_dir(root())
            .output()
            .expect("cargo can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
    })
}

/// A package of the workspace.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Direct dependencies of the finished program (not of its tests).
    pub direct: BTreeSet<String>,
    /// All dependencies of the finished program.
    pub all: BTreeSet<String>,
    /// Roots of its crates: path from the root, kind (`lib`, `bin`, `test`).
    pub roots: Vec<(String, String)>,
    /// Names of its binaries.
    pub binaries: Vec<String>,
    /// Its folder from the root; empty for the root package.
    pub folder: PathBuf,
}

/// All packages of the workspace by name.
pub fn packages() -> &'static BTreeMap<String, Package> {
    static PACKAGES: OnceLock<BTreeMap<String, Package>> = OnceLock::new();
    PACKAGES.get_or_init(ask_cargo)
}

fn ask_cargo() -> BTreeMap<String, Package> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(package).map(|package| (package.name.clone(), package)).collect()
}

fn package(package: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let from_root = |path: &Value| {
        let path = PathBuf::from(text(path));
        path.strip_prefix(root()).map(Path::to_owned).unwrap_or(path)
    };
    let targets = package["targets"].as_array().unwrap();
    let roots =
        targets.iter().map(|target| (from_root(&target["src_path"]).display().to_string(), text(&target["kind"][0])));
    let binaries = targets.iter().filter(|target| text(&target["kind"][0]) == "bin");
    let normal = |dependency: &&Value| dependency["kind"].is_null();
    let direct = package["dependencies"].as_array().unwrap().iter().filter(normal);
    Package {
        name: text(&package["name"]),
        direct: direct.map(|dependency| text(&dependency["name"])).collect(),
        all: linked_into(package["name"].as_str().unwrap()),
        roots: roots.collect(),
        binaries: binaries.map(|target| text(&target["name"])).collect(),
        folder: from_root(&package["manifest_path"]).parent().unwrap().to_owned(),
    }
}

/// Names of everything that is linked into a package, itself left out. Asked of `cargo tree`, because the graph in
/// `cargo metadata` also holds optional dependencies that nobody has switched on.
fn linked_into(package: &str) -> BTreeSet<String> {
    let own = package.to_owned();
    linked(&["-p", package]).into_iter().filter(|name| *name != own).collect()
}

/// Names of everything that is linked into anything.
pub fn linked_anywhere() -> BTreeSet<String> {
    linked(&["--workspace"])
}

fn linked(which: &[&str]) -> BTreeSet<String> {
    let tree = ["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = cargo().args(tree).args(which).current_dir(root()).output().expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
