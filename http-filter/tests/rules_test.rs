//! `http-filter --rules-test` as the front door calls it: the real program, real files.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const RULES: &str = r#"
SecRule ARGS "@contains attack" "id:10,phase:2,block,msg:'The word attack',severity:CRITICAL,t:none,setvar:'tx.inbound_anomaly_score_pl1=+5'"
SecRule TX:INBOUND_ANOMALY_SCORE_PL1 "@ge %{tx.inbound_anomaly_score_threshold}" "id:949110,phase:2,deny,status:403,msg:'Score exceeded'"
"#;

const CORPUS: &str = r#"{"label":"attack","set":"words","uri":"/?q=attack"}
{"label":"attack","set":"words","uri":"/?q=unknown"}
{"label":"attack","set":"json","method":"POST","uri":"/","headers":{"Host":"h","Content-Type":"application/json"},"body":"{\"a\":[\"attack\"]}"}
{"label":"attack","set":"raw","uri":"/?q=\"attack\""}
{"label":"benign","set":"prose","uri":"/blog?q=an+attack+of+hunger"}
{"label":"benign","set":"prose","uri":"/blog?q=lunch"}
{"label":"benign","set":"broken","method":"POST","uri":"/","headers":{"Host":"h","Content-Type":"application/json"},"body":"{"}
"#;

const TESTS: &str = r#"
tests:
  - test_id: 1
    stages: [{input: {uri: "/?q=attack"}, output: {log: {expect_ids: [10]}}}]
  - test_id: 2
    stages: [{input: {uri: "/?q=lunch"}, output: {log: {no_expect_ids: [10]}}}]
  - test_id: 3
    stages: [{input: {method: POST, uri: /, data: "q=att ack"}, output: {log: {expect_ids: [10]}}}]
  - test_id: 4
    stages: [{input: {version: HTTP/9}, output: {status: 400}}]
"#;

/// Whatever a configuration must have.
const CONFIG: &str = r#"
[[sni-router.listen]]
name = "http"
address = "127.0.0.1:80"
protocol = "http"
[[http-filter.route]]
name = "all"
pool = "all"
[[pool]]
name = "all"
servers = "127.0.0.1:8080"
[http-filter.web-attacks]
mode = "detect"
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("a.conf", RULES), ("corpus.jsonl", CORPUS), ("10.yaml", TESTS), ("bulkhead.toml", CONFIG)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn run(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_http-filter"));
    command.arg("--rules-test").args(words).current_dir(folder).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn rates_of_a_corpus() {
    let folder = folder();
    let output = run(folder.path(), &["--rules", "*.conf", "--corpus", "corpus.jsonl", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["attacks"]["total"]["refused"], 2, "{report}");
    // No client can send a quote in a target: no rule sees it, and it is in no rate.
    let raw = &report["attacks"]["sets"]["raw"];
    assert_eq!((&raw["before_rules"], &raw["rate"]), (&1.into(), &Value::Null));
    assert_eq!(report["attacks"]["sets"]["words"]["rate"], 50.0);
    assert_eq!(report["benign"]["total"]["refused"], 2);
    assert_eq!(report["false_positives_by_limits"], 1, "a body that is no JSON");
    assert_eq!(report["false_positive_rules"][0]["rule"], 10);

    let listed = text(&run(folder.path(), &["--rules", "*.conf", "--corpus", ".", "--list"]));
    for part in [
        "passed: attack words: GET /?q=unknown (score 0; )",
        "refused: benign prose: GET /blog?q=an+attack+of+hunger",
        "10       1 times, in refused attacks      2 times  The word attack",
        "Detection is never 100 %",
    ] {
        assert!(listed.contains(part), "{part} in {listed}");
    }
}

#[test]
fn floors_decide_the_exit_code() {
    let folder = folder();
    let usual = ["--rules", "a.conf", "--corpus", "corpus.jsonl"];
    let with = |words: &[&str]| run(folder.path(), &[&usual, words].concat());
    assert_eq!(with(&["--min-detection", "66", "--max-false-positives", "67"]).status.code(), Some(0));
    let missed = with(&["--min-detection", "67"]);
    assert_eq!(missed.status.code(), Some(1));
    assert!(text(&missed).contains("missed: 66.67 % of the attacks are refused, 67 % should be"), "{}", text(&missed));
    assert_eq!(with(&["--max-false-positives", "66"]).status.code(), Some(1));
    assert_eq!(with(&["--paranoia", "5"]).status.code(), Some(64));
}

#[test]
fn the_configuration_counts_with_its_exclusions() {
    let folder = folder();
    let more = "rules = [\"*.conf\"]\nmalformed_body = \"pass\"\n\
                [[http-filter.web-attacks.exclude]]\nname = \"blog\"\npaths = \"/blog\"\nrules = [\"10\"]\narguments = [\"q\"]\n";
    fs::write(folder.path().join("bulkhead.toml"), format!("{CONFIG}{more}")).unwrap();
    let usual = ["--config", "bulkhead.toml", "--corpus", "corpus.jsonl", "--json"];
    let report = |words: &[&str]| -> Value {
        let output = run(folder.path(), &[&usual, words].concat());
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let found = report(&[]);
    assert_eq!(found["attacks"]["total"]["refused"], 2, "{found}");
    assert_eq!(found["benign"]["total"]["refused"], 0, "{found}");
    // The same configuration under other rules.
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::write(folder.path().join("other/b.conf"), RULES.replace("@contains attack", "@contains unknown")).unwrap();
    let found = report(&["--rules", "other/*.conf"]);
    assert_eq!(found["attacks"]["total"]["refused"], 1, "{found}");
}

#[test]
fn tests_of_a_rule_set() {
    let folder = folder();
    let output = run(folder.path(), &["--rules", "a.conf", "--crs-tests", "."]);
    assert_eq!(output.status.code(), Some(1));
    let found = text(&output);
    assert!(found.contains("tests: 2 passed, 1 failed, 1 only about HTTP in front of the rules: 66.67 %"), "{found}");
    assert!(found.contains("10-3: 10 does not match"), "{found}");
}

#[test]
fn the_built_in_corpus_holds_the_starter_rules_to_a_floor() {
    let folder = folder();
    let output =
        run(folder.path(), &["--config", "bulkhead.toml", "--min-detection", "90", "--max-false-positives", "6"]);
    assert!(output.status.success() && text(&output).contains("starter rules"), "{}", text(&output));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("bad.conf"), "SecRule ARGZ x \"id:1\"").unwrap();
    fs::write(at("bad.jsonl"), "{\"label\":\"attack\",\"uri\":\"/\"}\n{\u{1b}[31m").unwrap();
    for (words, expected) in [
        (vec!["--rules", "bad.conf"], "bad.conf:1"),
        (vec!["--rules", "none/*.conf"], "none"),
        (vec!["--rules", "a.conf", "--corpus", "bad.jsonl"], "bad.jsonl:2"),
        (vec!["--rules", "a.conf", "--crs-tests", "missing"], "missing"),
        (vec!["--config", "missing.toml"], "missing.toml"),
    ] {
        let output = run(folder.path(), &words);
        let found = text(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {found}");
        assert!(found.contains(expected) && !found.contains('\u{1b}'), "{words:?}: {found}");
    }
}
