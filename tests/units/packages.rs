//! What is installed: `make install`, the package's list of files, the default configuration, manual and completions. No root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::needs::{find, need, note};
use harness::{binaries, certificates, folder};

use crate::package;

/// The folder that the packages are made from.
pub fn packaging() -> PathBuf {
    binaries::workspace().join("packaging")
}

/// Runs `make TARGET` with the programs of this build.
fn make(target: &str, root: &Path, prefix: &str) {
    let output = Command::new("make")
        .args(["--silent", target])
        .arg(format!("BUILT={}", binaries::folder().display()))
        .arg(format!("DESTDIR={}", root.display()))
        .arg(format!("PREFIX={prefix}"))
        .current_dir(binaries::workspace())
        .output()
        .expect("make was there a moment ago");
    assert!(output.status.success(), "make {target}: {}", both(&output));
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A line of `install.sh list`: what lies where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// `755`, `644` or `link`
    pub mode: String,
    /// Relative to the root of the repository (or where a link leads).
    pub source: String,
}

/// What belongs where: destination → mode and source.
pub fn listed() -> BTreeMap<String, Listed> {
    let output =
        Command::new(packaging().join("install.sh")).args(["list", "BUILT", "/usr"]).output().expect("a script");
    assert!(output.status.success(), "{}", both(&output));
    let text = String::from_utf8(output.stdout).expect("names are text");
    let entry = |line: &str| {
        let [mode, destination, source] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        (destination.to_owned(), Listed { mode: mode.to_owned(), source: source.to_owned() })
    };
    let listed: BTreeMap<_, _> = text.lines().map(entry).collect();
    assert!(listed.len() > 80, "only {} files: {listed:?}", listed.len());
    listed
}

/// Every file and link below, by its path.
fn tree(root: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("our own folder").flatten() {
            if entry.file_type().expect("our own folder").is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            found.push(format!("/{}", path.strip_prefix(root).expect("below").display()));
        }
    }
    found.sort();
    found
}

#[test]
fn make_install_puts_everything_in_its_place_and_uninstall_takes_it_away() {
    if !need("make_install", "make") {
        return;
    }
    let root = folder::temporary();
    make("install", root.path(), "/usr");
    let listed = listed();
    let names: Vec<&String> = listed.keys().collect();
    assert_eq!(tree(root.path()).iter().collect::<Vec<_>>(), names);
    for (destination, Listed { mode, source }) in &listed {
        let place = root.path().join(&destination[1..]);
        if mode == "link" {
            assert_eq!(fs::read_link(&place).unwrap(), Path::new(source), "{destination}");
            assert!(place.is_file(), "{destination} leads nowhere");
            continue;
        }
        let found = fs::metadata(&place).unwrap().permissions().mode() & 0o7777;
        assert_eq!(format!("{found:o}"), *mode, "{destination}");
        if !source.starts_with("BUILT") {
            let same = fs::read(&place).unwrap() == fs::read(binaries::workspace().join(source)).unwrap();
            assert!(same, "{destination} is not {source}");
        }
    }
    let config = root.path().join("etc/bulkhead/bulkhead.toml");
    fs::write(&config, "# mine\n").unwrap();
    make("install", root.path(), "/usr");
    assert_eq!(fs::read_to_string(&config).unwrap(), "# mine\n", "an installation wrote over a configuration");
    make("uninstall", root.path(), "/usr");
    assert_eq!(tree(root.path()), ["/etc/bulkhead/bulkhead.toml"], "left behind");
    assert!(!root.path().join("usr/lib/bulkhead").exists() && !root.path().join("usr/share/doc/bulkhead").exists());
}

/// Only the package has these: what Debian asks for, and the licence in Debian's form instead of ours.
const PACKAGE_ALONE: [&str; 1] = ["/usr/share/lintian/overrides/bulkhead"];
/// Only `make install` has these.
const BY_HAND_ALONE: [&str; 2] = ["/usr/share/doc/bulkhead/LICENSE-APACHE", "/usr/share/doc/bulkhead/LICENSE-MIT"];

#[test]
fn the_package_holds_what_make_install_installs() {
    let by_hand = listed();
    let package = package::assets(&package::metadata());
    let places = |all: Vec<&String>, alone: &[&str]| -> Vec<String> {
        all.into_iter().filter(|place| !alone.contains(&place.as_str())).cloned().collect()
    };
    assert_eq!(
        places(package.keys().collect(), &PACKAGE_ALONE),
        places(by_hand.keys().collect(), &BY_HAND_ALONE),
        "Cargo.toml [package.metadata.deb] on the left, packaging/install.sh on the right"
    );
    for (place, (mode, content)) in package.iter().filter(|(place, _)| !PACKAGE_ALONE.contains(&place.as_str())) {
        let listed = &by_hand[place];
        let source = match content {
            package::Content::Program(name) => format!("BUILT/{name}"),
            package::Content::File(source) | package::Content::Link(source) => source.clone(),
        };
        assert_eq!(source, listed.source, "{place}");
        assert!(listed.mode == "link" || listed.mode == *mode, "{place}: {mode} and {}", listed.mode);
    }
    let changelog = fs::read_to_string(packaging().join("debian/changelog")).expect("it is there");
    let version = package::metadata()["version"].as_str().expect("a version").to_owned();
    assert!(
        changelog.starts_with(&format!("bulkhead ({version}-")),
        "packaging/debian/changelog knows another version"
    );
}

/// Where it is installed: CI does without, because compiling it takes longer than this whole suite (decision 0021).
#[test]
fn cargo_deb_makes_the_same_package() {
    let test = "cargo_deb_makes_the_same_package";
    if let Some(missing) = ["cargo-deb", "dpkg-deb", "strip"].into_iter().find(|program| find(program).is_none()) {
        note(test, &format!("{missing} is not here"));
        return;
    }
    let target = folder::temporary();
    fs::create_dir(target.path().join("dist")).unwrap();
    let deb = package::metadata();
    let ours = package::assets(&deb);
    for (_, content) in ours.values() {
        if let package::Content::Program(name) = content {
            package::strip(&binaries::path(name), &target.path().join("dist").join(name));
        }
    }
    let file = target.path().join("made.deb");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["deb", "--no-build", "--no-strip", "--fast", "--offline", "--output"])
        .arg(&file)
        .env("CARGO_TARGET_DIR", target.path())
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .current_dir(binaries::workspace())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", both(&output));
    let listing = Command::new("dpkg-deb").arg("--contents").arg(&file).output().expect("it is here");
    let listing = String::from_utf8(listing.stdout).expect("names are text");
    let mut made = BTreeMap::new();
    for line in listing.lines().filter(|line| !line.starts_with('d')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], "0/0", "{line}");
        made.insert(words[5].trim_start_matches('.').to_owned(), words[0].to_owned());
    }
    // What it adds by itself, and how it shrinks: the licence in Debian's form, the package's own history, gzip.
    for own in ["/usr/share/doc/bulkhead/copyright", "/usr/share/doc/bulkhead/changelog.Debian.gz"] {
        assert!(made.remove(own).is_some(), "{own} is missing");
    }
    let plain = |place: &String| place.trim_end_matches(".gz").to_owned();
    assert_eq!(made.keys().map(plain).collect::<Vec<_>>(), ours.keys().cloned().collect::<Vec<_>>());
    for (place, rights) in &made {
        let wanted = match ours[&plain(place)].0.as_str() {
            "755" => "-rwxr-xr-x",
            "644" => "-rw-r--r--",
            _ => "lrwxrwxrwx",
        };
        assert_eq!(rights, wanted, "{place}");
    }
    let fields = Command::new("dpkg-deb").args(["--field"]).arg(&file).output().expect("it is here");
    let fields = String::from_utf8(fields.stdout).expect("text");
    for line in ["Package: bulkhead", "systemd (>= 252)", "libc6 (>= "] {
        assert!(fields.contains(line), "no {line} in {fields}");
    }
}

#[test]
fn another_prefix_is_everywhere() {
    if !need("another_prefix", "make") {
        return;
    }
    let root = folder::temporary();
    make("install", root.path(), "/opt/proxy");
    let mut told = 0;
    for path in tree(root.path()).iter().filter(|path| !path.starts_with("/etc/")) {
        assert!(path.starts_with("/opt/proxy/"), "{path} lies outside");
        let text = fs::read(root.path().join(&path[1..])).unwrap();
        let Ok(text) = String::from_utf8(text) else { continue };
        let works_with_it = [".service", ".socket", ".8", ".1", "after-upgrade"].iter().any(|end| path.ends_with(end));
        assert!(!works_with_it || !text.contains("/usr/lib/bulkhead"), "{path} names /usr/lib/bulkhead");
        told += usize::from(text.contains("/opt/proxy/lib/bulkhead"));
    }
    assert!(told > 8, "only {told} files name the folder of the programs");
}

/// As installed, and with every block that it offers.
#[test]
fn the_default_configuration_is_valid_and_so_is_every_block_it_offers() {
    let text = fs::read_to_string(packaging().join("bulkhead.toml")).expect("it is there");
    let place = folder::temporary();
    let check = |text: &str| {
        let file = place.path().join("bulkhead.toml");
        fs::write(&file, text).unwrap();
        let output = Command::new(binaries::path("bulkhead")).arg("check").arg(&file).output().expect("it is built");
        assert!(output.status.success(), "{}", both(&output));
        both(&output)
    };
    let said = check(&text);
    assert!(said.contains("every TLS connection is refused"), "it lets somebody in: {said}");
    let active: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let routes = active.iter().filter(|line| line.contains("route]]")).count();
    assert!(routes == 1 && active.contains(&"status = 403"), "one route, which refuses: {active:#?}");
    let signed = certificates::sign(&["www.example"]);
    fs::create_dir_all(place.path().join("secrets/tls-terminator")).unwrap();
    fs::write(place.path().join("www.pem"), &signed.pem).unwrap();
    fs::write(place.path().join("secrets/tls-terminator/www.key"), &signed.key_pem).unwrap();
    let said = check(&offered(&text));
    assert!(said.starts_with("ok:") && said.contains("5 processes"), "{said}");
}

/// The default configuration with its blocks: `#` directly before a key or a table.
pub fn offered(text: &str) -> String {
    let open = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(open).collect()
}

#[test]
fn the_manual_reads_without_a_warning() {
    let pages: Vec<PathBuf> =
        fs::read_dir(packaging().join("man")).expect("it is there").flatten().map(|entry| entry.path()).collect();
    assert!(pages.len() >= 7);
    let mut judged = 0;
    for page in &pages {
        if find("man").is_some() && find("groff").is_some() {
            let output = Command::new("man")
                .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
                .arg(page)
                .env("LC_ALL", "C.UTF-8")
                .output()
                .expect("man was there a moment ago");
            assert!(output.status.success() && output.stderr.is_empty(), "{page:?}: {}", both_errors(&output));
            judged += 1;
        }
        if find("mandoc").is_some() {
            let output = Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(page).output().expect("as above");
            assert!(output.status.success() && output.stdout.is_empty(), "{page:?}: {}", both(&output));
            judged += 1;
        }
    }
    if judged == 0 {
        note("the_manual", "neither man with groff nor mandoc is here to read it");
    }
}

fn both_errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn completions_offer_verbs_flags_keys_and_files() {
    let script = packaging().join("completions/bulkhead.bash");
    let complete = |line: &str| -> Vec<String> {
        let code = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _bulkhead; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let output = Command::new("bash")
            .args(["-c", code, "bash"])
            .arg(&script)
            .args(line.split(' '))
            .current_dir(packaging())
            .output()
            .expect("bash is everywhere here");
        assert!(output.status.success() && output.stderr.is_empty(), "{line}: {}", both(&output));
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(complete("bulkhead stat"), ["status"]);
    assert!(complete("bulkhead ").len() > 10);
    assert_eq!(complete("bulkhead status --fig"), ["--figures"]);
    assert_eq!(complete("bulkhead explain log.lev"), ["log.level"]);
    assert_eq!(complete("bulkhead explain https://a --tls-version 1.3"), ["1.3"]);
    assert_eq!(complete("bulkhead check bulkh"), ["bulkhead.toml"]);
    assert_eq!(complete("bulkhead status --runtime-dir comp"), ["completions"]);
    assert_eq!(complete("bulkhead help ref"), Vec::<String>::new());
    for (shell, file) in [("zsh", "_bulkhead"), ("fish", "bulkhead.fish")] {
        if find(shell).is_none() {
            note("completions", &format!("{shell} is not here to read its own"));
            continue;
        }
        let output = Command::new(shell).arg("-n").arg(packaging().join("completions").join(file)).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {}", both(&output));
    }
    if find("fish").is_some() {
        let code = format!(
            "source {}; complete -C 'bulkhead status --fig'",
            packaging().join("completions/bulkhead.fish").display()
        );
        let output = Command::new("fish").args(["-c", &code]).output().unwrap();
        assert!(both(&output).starts_with("--figures"), "{}", both(&output));
    }
}
