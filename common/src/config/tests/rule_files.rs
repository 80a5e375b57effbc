//! Rule files: patterns, includes and data files are found completely, by whoever may read them and again in what was read.

use super::*;
use crate::config::rule_files::{MAX_DEPTH, RuleFiles};
use crate::process::Process;
use std::fs;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.at(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, rules: &str) -> Loaded {
        let text = format!("{BASE}[http-filter.web-attacks]\nmode = \"block\"\nrules = {rules}\n");
        fs::write(self.at("b.toml"), text).unwrap();
        Text::read(&self.at("b.toml"))?.parse_with(NamedFiles::Required)
    }

    /// The names of what a process is given, from this folder.
    fn read(&self, rules: &str) -> Vec<String> {
        let (config, warnings) = self.config(rules).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(warnings.is_empty(), "{}", warnings[0]);
        let files = Files::read(&config.files, Process::HttpFilter).unwrap();
        assert!(Files::read(&config.files, Process::TlsTerminator).unwrap().is_empty());
        let again = RuleFiles::of(&config.http_filter.web_attacks.rules, &files).unwrap();
        assert!(again.iter().map(|(path, _)| path).eq(files.iter().map(|(path, _)| path)));
        let short = |path: &Path| path.strip_prefix(self.0.path()).unwrap_or(path).display().to_string();
        files.iter().map(|(path, _)| short(path)).collect()
    }

    /// Both who checks and who starts must be told, with all of `words`; the former also where the key stands.
    fn fails(&self, rules: &str, words: &[&str]) {
        let errors = self.config(rules).expect_err("an error").to_string();
        let text = fs::read_to_string(self.at("b.toml")).unwrap();
        let base = self.0.path();
        let config = Config::parse(&text, "b.toml", base).unwrap().0;
        let told = Files::read(&config.files, Process::HttpFilter).expect_err("an error").join("\n");
        assert!(errors.contains(&format!("b.toml:{}:", line_of(&text, "rules ="))), "{errors}");
        for word in words.iter().chain(&["http-filter.web-attacks.rules"]) {
            assert!(errors.contains(word) && told.contains(word), "{word}: {errors}\n{told}");
        }
    }
}

#[test]
fn patterns_includes_and_data_files_are_found() {
    let folder = Folder::new(&[
        (
            "all.load",
            "Include crs/setup.conf\nIncludeOptional crs/none.conf\nInclude crs/r*/*.conf\nIncludeOptional gone/*.conf\n",
        ),
        ("crs/setup.conf", "SecAction \"id:1,phase:1\""),
        ("crs/rules/b.conf", "SecRule ARGS \"@pmFromFile words.data more.data\" \\\n \"id:2\""),
        ("crs/rules/a.conf", "SecRule REMOTE_ADDR \"!@ipMatchFromFile ../nets\" \"id:3\""),
        ("crs/rules/words.data", "a"),
        ("crs/rules/more.data", "b"),
        ("crs/rules/unused.data", "c"),
        ("crs/rules/.hidden.conf", "Include nowhere.conf"),
        ("crs/readme/x.txt", ""),
        ("crs/nets", "192.0.2.0/24"),
    ]);
    fs::create_dir(folder.at("crs/rules/folder.conf")).unwrap();
    let crs =
        ["crs/rules/../nets", "crs/rules/a.conf", "crs/rules/b.conf", "crs/rules/more.data", "crs/rules/words.data"];
    assert_eq!(folder.read("\"all.load\""), [&["all.load"], &crs[..], &["crs/setup.conf"]].concat());
    assert_eq!(folder.read("\"crs/ru?es/*.conf\""), crs);
    assert_eq!(folder.read("[\"crs/setup.conf\", \"crs/*/b.conf\"]").len(), 4);
}

#[test]
fn what_is_missing_is_named_with_the_place_that_names_it() {
    let folder = Folder::new(&[
        ("a.conf", "\nInclude missing.conf\n"),
        ("b.conf", "Include none*.conf\n"),
        ("c.conf", "SecRule ARGS \\\n\"@pmf missing.data\" \"id:1\""),
        ("d.conf", "Include d.conf"),
        ("empty/x", ""),
    ]);
    folder.fails("\"nothing.conf\"", &["nothing.conf: it does not exist"]);
    folder.fails("\"empty/*.conf\"", &["empty/*.conf: the pattern names no file"]);
    folder.fails("\"none/*.conf\"", &["none/*.conf: it does not exist"]);
    folder.fails("\"empty\"", &["empty: this is a directory"]);
    folder.fails("\"a.conf\"", &["a.conf:2 names", "missing.conf: it does not exist"]);
    folder.fails("\"b.conf\"", &["b.conf:1 names", "none*.conf: the pattern names no file"]);
    folder.fails("\"c.conf\"", &["c.conf:1 names", "missing.data: it does not exist"]);
    folder.fails("\"d.conf\"", &["d.conf:1 names", "includes itself"]);
    let help = folder.config("\"empty\"").unwrap_err().to_string();
    assert!(help.contains("`/*.conf` behind it"), "{help}");
}

#[test]
fn every_search_ends() {
    // Each includes all: without an end there would be 40^8 ways through them.
    let names: Vec<String> = (0..40).map(|number| format!("{number}.conf")).collect();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "Include *.conf")).collect();
    Folder::new(&all).fails("\"0.conf\"", &["includes itself"]);
    let depth = |depth: usize| {
        let chain: Vec<(String, String)> = (0..depth)
            .map(|at| {
                (format!("{at}.conf"), if at + 1 < depth { format!("Include {}.conf", at + 1) } else { String::new() })
            })
            .collect();
        Folder::new(&chain.iter().map(|(name, text)| (&**name, &**text)).collect::<Vec<_>>())
    };
    assert_eq!(depth(MAX_DEPTH).read("\"0.conf\"").len(), MAX_DEPTH);
    depth(MAX_DEPTH + 1).fails("\"0.conf\"", &["7.conf:1 names", "more than 8 deep"]);
    let large = Folder::new(&[("a.conf", "SecRule A \"@pmf large.data\" id:1")]);
    fs::File::create(large.at("large.data")).unwrap().set_len(65 << 20).unwrap();
    large.fails("\"a.conf\"", &["large.data: with it, the rule files are larger than 64 MiB"]);
    let many = Folder::new(&[]);
    (0..=2_000).for_each(|number| fs::write(many.at(&format!("{number}.conf")), "").unwrap());
    many.fails("\"*.conf\"", &["more than 2000 rule files"]);
}

#[test]
fn the_rules_of_debian_are_found() {
    if !Path::new("/usr/share/modsecurity-crs/owasp-crs.load").exists() {
        return eprintln!("modsecurity-crs is not installed: left out");
    }
    let found = Folder::new(&[]).read("\"/usr/share/modsecurity-crs/owasp-crs.load\"");
    let with = |end: &str| found.iter().filter(|path| path.ends_with(end)).count();
    let rules = fs::read_dir("/usr/share/modsecurity-crs/rules").unwrap();
    let names: Vec<String> = rules.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().filter(|name| name.ends_with(".conf")).all(|name| with(&format!("/rules/{name}")) == 1));
    assert!(with("/crs-setup.conf") == 1 && with(".data") >= 15, "{found:#?}");
}

#[test]
fn the_rules_of_crs_4_are_found() {
    let home = std::env::var_os("BULKHEAD_CRS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crs"), PathBuf::from);
    if !home.join("rules").is_dir() {
        return eprintln!("no CRS in {}: left out", home.display());
    }
    let shown = home.display();
    let found = Folder::new(&[]).read(&format!("[\"{shown}/crs-setup.conf.example\", \"{shown}/rules/*.conf\"]"));
    let names = fs::read_dir(home.join("rules")).unwrap().map(|entry| entry.unwrap().path());
    for path in names.filter(|path| path.extension().is_some_and(|end| end == "conf" || end == "data")) {
        let named = found.iter().any(|found| path.ends_with(found) || Path::new(found) == path);
        // Not every release names all of the files it brings.
        assert!(named || path.extension().is_some_and(|end| end == "data"), "{}", path.display());
    }
    assert!(found.iter().filter(|path| path.ends_with(".data")).count() >= 18, "{found:#?}");
}
