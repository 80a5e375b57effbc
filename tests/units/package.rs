//! A .deb from the same metadata as `cargo deb` ([package.metadata.deb] in Cargo.toml), made by `dpkg-deb` from the programs of this
//! build, stripped: seconds instead of minutes, and no program that CI would have to build first.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::binaries;
use serde_json::Value;

/// Programs that making one takes.
pub const PROGRAMS: [&str; 2] = ["dpkg-deb", "strip"];
/// Where the metadata says that programs lie; `cargo deb` puts the folder of the profile in its place, and so do we.
const BUILT: &str = "target/release/";

/// What a file of the package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A program of this build.
    Program(String),
    /// A file of the repository.
    File(String),
    /// A link to there.
    Link(String),
}

/// `[package.metadata.deb]`, as cargo reads it.
pub fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(binaries::workspace())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = all["packages"].as_array().expect("a list");
    let front_door = packages.iter().find(|package| package["name"] == "bulkhead").expect("the front door");
    let mut deb = front_door["metadata"]["deb"].clone();
    deb["version"] = front_door["version"].clone();
    deb["description"] = front_door["description"].clone();
    deb
}

/// What belongs where, with its mode, by the list of `cargo deb`.
pub fn assets(deb: &Value) -> BTreeMap<String, (String, Content)> {
    let mut found = BTreeMap::new();
    for asset in deb["assets"].as_array().expect("a list") {
        if let Some(destination) = asset["link_name"].as_str() {
            // cargo-deb: the entry `dest` is created and leads to `link_name`.
            let place = asset["dest"].as_str().expect("a path");
            found.insert(format!("/{place}"), ("777".to_owned(), Content::Link(destination.to_owned())));
            continue;
        }
        let [source, destination, mode] = [0, 1, 2].map(|at| asset[at].as_str().expect("three texts"));
        let sources = expanded(source);
        assert!(!sources.is_empty(), "{source} of [package.metadata.deb] names no file");
        for source in sources {
            let name = source.rsplit('/').next().expect("never empty").to_owned();
            let place =
                if destination.ends_with('/') { format!("{destination}{name}") } else { destination.to_owned() };
            let content = match source.strip_prefix(BUILT) {
                Some(program) => Content::Program(program.to_owned()),
                None => Content::File(source),
            };
            assert!(found.insert(format!("/{place}"), (mode.to_owned(), content)).is_none(), "{place} is there twice");
        }
    }
    found
}

/// The files of `folder/*` and `folder/*.end`.
fn expanded(pattern: &str) -> Vec<String> {
    let Some((start, end)) = pattern.split_once('*') else { return vec![pattern.to_owned()] };
    let (folder, start) = start.rsplit_once('/').expect("a folder");
    let entries = fs::read_dir(binaries::workspace().join(folder)).expect("the folder is there").flatten();
    let files = entries.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name().into_string().unwrap());
    let mut files: Vec<String> = files
        .filter(|name| name.starts_with(start) && name.ends_with(end))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    files.sort();
    files
}

/// Makes packages of these versions in `folder`, all with the programs of this build, and says where they are.
pub fn make<const N: usize>(folder: &Path, versions: [&str; N]) -> [PathBuf; N] {
    let deb = metadata();
    let root = folder.join("root");
    for (place, (mode, content)) in assets(&deb) {
        let place = root.join(&place[1..]);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        match content {
            Content::Link(to) => symlink(to, &place).unwrap(),
            Content::File(source) => drop(fs::copy(binaries::workspace().join(source), &place).unwrap()),
            Content::Program(name) => strip(&binaries::path(&name), &place),
        }
        if !place.is_symlink() {
            let mode = u32::from_str_radix(&mode, 8).expect("octal");
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    versions.map(|version| {
        control(&deb, &root.join("DEBIAN"), version);
        let file = folder.join(format!("bulkhead_{version}.deb"));
        let output = Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .args([&root, &file])
            .output()
            .expect("dpkg-deb was there a moment ago");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        file
    })
}

/// Copies a program without its symbols.
pub fn strip(program: &Path, to: &Path) {
    let status = Command::new("strip").arg("-o").args([to, program]).status().expect("strip was there a moment ago");
    assert!(status.success(), "strip {program:?}");
}

/// The folder `DEBIAN`.
fn control(deb: &Value, folder: &Path, version: &str) {
    fs::create_dir_all(folder).unwrap();
    let text = |key: &str| deb[key].as_str().unwrap_or_else(|| panic!("[package.metadata.deb] has no {key}"));
    let depends = text("depends").replace("$auto", "libc6");
    let description = text("description");
    let fields = [
        ("Package", "bulkhead"),
        ("Version", version),
        ("Architecture", &architecture()),
        ("Section", text("section")),
        ("Priority", text("priority")),
        ("Maintainer", text("maintainer")),
        ("Depends", &depends),
        ("Description", description),
    ];
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    fs::write(folder.join("control"), lines).unwrap();
    let conffiles =
        deb["conf-files"].as_array().expect("a list").iter().map(|file| format!("{}\n", file.as_str().unwrap()));
    fs::write(folder.join("conffiles"), conffiles.collect::<String>()).unwrap();
    let scripts = binaries::workspace().join(text("maintainer-scripts"));
    for name in ["preinst", "postinst", "prerm", "postrm"] {
        let script = scripts.join(name);
        if script.is_file() {
            fs::copy(&script, folder.join(name)).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

fn architecture() -> String {
    let output = Command::new("dpkg").arg("--print-architecture").output().expect("dpkg-deb comes with dpkg");
    String::from_utf8(output.stdout).expect("a word").trim().to_owned()
}
