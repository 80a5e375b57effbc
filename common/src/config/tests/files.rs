//! The step that looks for files, and the reading of the configuration file itself.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const TEXT: &str = r#"
[[sni-router.listen]]
name = "https"
address = "127.0.0.1:8443"
[[route]]
name = "www"
server_names = "www.example"
terminate = true
[[site]]
names = "www.example"
certificate = "www.pem"
key = "keys/www.key"
[[http-filter.route]]
name = "all"
pool = "p"
[[pool]]
name = "p"
servers = "127.0.0.1:9000"
[forward-proxy]
users_file = "users"
"#;

fn load_and_look(path: &Path) -> Loaded {
    Text::read(path)?.parse_with(NamedFiles::Required)
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("b.toml"), TEXT).unwrap();
    fs::create_dir(folder.path().join("keys")).unwrap();
    for name in ["www.pem", "keys/www.key", "users"] {
        let path = folder.path().join(name);
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn errors(folder: &tempfile::TempDir, mark: &str, words: &[&str]) {
    let errors = load_and_look(&folder.path().join("b.toml")).expect_err("an error");
    let line = line_of(TEXT, mark);
    let found = errors.errors().iter().any(|error| {
        let drawn = error.render(false);
        error.position().0 == line && words.iter().all(|word| drawn.contains(word))
    });
    assert!(found, "{errors}");
}

#[test]
fn all_there() {
    let folder = folder();
    let (config, warnings) = load_and_look(&folder.path().join("b.toml")).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(config.sites[0].certificates[0].key, folder.path().join("keys/www.key"));
}

#[test]
fn missing_empty_and_not_a_file() {
    let missing = folder();
    fs::remove_file(missing.path().join("www.pem")).unwrap();
    errors(&missing, "www.pem", &["`site.certificate`", "does not exist", "www.pem"]);
    // A component that only needs its own part loads it all the same.
    assert!(Config::load(&missing.path().join("b.toml")).is_ok());

    let empty = folder();
    fs::write(empty.path().join("keys/www.key"), "").unwrap();
    errors(&empty, "www.key", &["`site.key`", "the file is empty"]);

    let directory = folder();
    fs::remove_file(directory.path().join("users")).unwrap();
    fs::create_dir(directory.path().join("users")).unwrap();
    errors(&directory, "users_file", &["`forward-proxy.users_file`", "is a directory"]);
}

#[test]
fn a_file_that_may_not_be_read() {
    let folder = folder();
    fs::set_permissions(folder.path().join("keys/www.key"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(folder.path().join("keys/www.key")).is_ok() {
        eprintln!("skipped: this user (root) may read everything");
        return;
    }
    errors(&folder, "www.key", &["`site.key`", "permission denied"]);
}

#[test]
fn a_secret_everybody_can_read() {
    let folder = folder();
    fs::set_permissions(folder.path().join("keys/www.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (_, warnings) = load_and_look(&folder.path().join("b.toml")).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].render(false).contains("everybody on this machine can read this secret"));
    assert_eq!(warnings[0].key(), "site.key");
}

#[test]
fn the_configuration_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    assert!(Config::load(&path).err().unwrap().to_string().contains("cannot be opened"));
    assert!(Config::load(folder.path()).err().unwrap().to_string().contains("cannot be read"));
    fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
    assert!(Config::load(&path).err().unwrap().to_string().contains("not UTF-8 text: line 2"));
    fs::write(&path, vec![b'#'; usize::try_from(MAX_FILE).unwrap() + 1]).unwrap();
    assert!(Config::load(&path).err().unwrap().to_string().contains("larger than"));
}
