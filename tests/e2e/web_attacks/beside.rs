//! `bulkhead explain` about web attacks, and shadow rules: what is said beside the traffic, and never disturbs it.

use super::{FORM, JSON, blocking, get, line, post, world};
use harness::backends::Backend;
use harness::{World, eventually, within};
use serde_json::Value;

fn explain(world: &World, words: &[&str]) -> Value {
    let config = world.config().to_string_lossy().into_owned();
    let all: Vec<&str> = ["explain"].iter().chain(words).chain(&["--json", "--config", &config]).copied().collect();
    let output = world.bulkhead(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The stage's step: its decision, its rule, and its facts as one text.
fn step(value: &Value) -> (String, String, String) {
    let steps = value["stages"].as_array().unwrap().iter().flat_map(|one| one["steps"].as_array().unwrap());
    let step = steps.into_iter().find(|step| step["stage"] == "web-attacks").unwrap_or_else(|| panic!("{value:#}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&step["decision"]), text(&step["rule"]), format!("{:#}", step))
}

fn refused(value: &Value) -> bool {
    value["refused"].is_object()
}

#[test]
fn what_rules_would_say_is_explained_and_leaves_no_trace() {
    within(60, || {
        let backend = Backend::application();
        let world = blocking(
            "waf-explain",
            &backend,
            r#"
            [[http-filter.web-attacks.scope]]
            name = "watched"
            paths = "/watched/*"
            mode = "detect"
            [[http-filter.web-attacks.scope]]
            name = "free"
            paths = "/free/*"
            mode = "off"
            [[http-filter.web-attacks.exclude]]
            name = "editor"
            paths = "/edit"
            arguments = ["html"]
            "#,
        );
        let url = |path: &str| format!("http://www.test:{}{path}", world.http().port());
        let (decision, _, facts) = step(&explain(&world, &[&url("/?a=fine")]));
        assert_eq!(decision, "no rule matches");
        assert!(facts.contains("block") && facts.contains("0, refused from 5 on"), "{facts}");
        let answer = explain(&world, &[&url("/?a=evil")]);
        let (decision, rule, facts) = step(&answer);
        assert!(refused(&answer) && decision.contains("refused by rule 199") && rule == "199", "{answer:#}");
        for word in ["rule 101", "ARGS:a = evil", "test.conf:", "5, refused from 5 on"] {
            assert!(facts.contains(word), "{word}: {facts}");
        }
        // Scopes and exclusions by their names.
        let answer = explain(&world, &[&url("/watched/?a=evil")]);
        let (decision, _, facts) = step(&answer);
        assert!(!refused(&answer) && decision.contains("would be refused") && facts.contains("watched"), "{answer:#}");
        let (decision, _, facts) = step(&explain(&world, &[&url("/free/?a=evil")]));
        assert!(decision.contains("not looked at") && facts.contains("free"), "{facts}");
        let answer = explain(&world, &[&url("/edit?html=evil")]);
        assert!(!refused(&answer) && step(&answer).2.contains("editor"), "{answer:#}");
        // Bodies: a form by itself, JSON by its header.
        let answer = explain(&world, &[&url("/"), "--data", "a=evil&b=1"]);
        assert!(refused(&answer) && step(&answer).2.contains("ARGS:a"), "{answer:#}");
        assert!(!refused(&explain(&world, &[&url("/"), "--data", "a=fine"])));
        let words = [&url("/")[..], "--data", "{\"x\":[\"evil\"]}", "--header", "Content-Type: application/json"];
        let answer = explain(&world, &words);
        assert!(refused(&answer) && step(&answer).2.contains("json.x"), "{answer:#}");
        let answer = explain(&world, &[&url("/"), "--data", "{", "--header", "Content-Type: application/json"]);
        assert!(step(&answer).0.contains("malformed"), "{answer:#}");
        let file = world.config().with_file_name("body.txt");
        std::fs::write(&file, "c=evil").unwrap();
        assert!(refused(&explain(&world, &[&url("/"), "--data", &format!("@{}", file.display())])));
        // Secrets are masked here as well.
        let (_, _, facts) = step(&explain(&world, &[&url("/?password=evil-secret")]));
        assert!(facts.contains("(masked)") && !facts.contains("evil-secret"), "{facts}");
        assert_eq!((get(&world, "/?a=evil"), post(&world, "/", FORM, b"a=fine").status), (403, 200));
        for (name, count) in [("web_attacks_inspected", 2), ("web_attacks_refused", 1)] {
            assert_eq!(world.figure("http-filter", name), count, "{name}");
        }
    });
}

/// Refuses what the rules at work let pass, and lets pass what they refuse.
const SHADOW: &str = r#"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" "id:21,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule ARGS "@contains strange" "id:501,phase:2,deny,status:403,msg:'strange',tag:'attack-strange'"
SecRule ARGS "@contains both" "id:102,phase:2,pass,msg:'both'"
"#;

#[test]
fn shadow_rules_tell_where_they_differ_and_disturb_nobody() {
    within(60, || {
        let backend = Backend::application();
        let keys = "mode = \"block\"\nrules = [\"rules/test.conf\"]\nshadow = [\"rules/next.conf\"]\n";
        let world = world("waf-shadow", &backend, keys).file("rules/next.conf", SHADOW).start();
        assert_eq!(get(&world, "/?a=strange"), 200, "the shadow refuses nothing");
        let told = line(&world, "web-attack-shadow", "\"/\"");
        assert_eq!((&told["live"], &told["shadow"]), (&"pass".into(), &"refuse".into()), "{told}");
        assert_eq!((&told["only_live"], &told["only_shadow"]), (&"".into(), &"501".into()));
        assert_eq!(told["request_id"].as_str().unwrap().len(), 32);
        assert_eq!(get(&world, "/live?a=evil"), 403);
        let told = line(&world, "web-attack-shadow", "/live");
        assert_eq!(
            (&told["live"], &told["shadow"], &told["live_score"]),
            (&"refuse".into(), &"pass".into(), &5.into())
        );
        assert_eq!(told["only_live"], "101,199");
        // Bodies are seen by both.
        assert_eq!(post(&world, "/json", JSON, b"{\"a\":\"strange\"}").status, 200);
        assert_eq!(line(&world, "web-attack-shadow", "/json")["only_shadow"], "501");
        assert_eq!(get(&world, "/same?a=nothing"), 200);
        eventually(5, "all were judged", || {
            (world.figure("http-filter", "web_attack_shadow_judged") == 4).then_some(())
        });
        assert_eq!(world.figure("http-filter", "web_attack_shadow_differences"), 3);
        assert_eq!(world.figure("http-filter", "web_attack_shadow_dropped"), 0);
        assert!(!world.log().iter().any(|line| line.contains("/same") && line.contains("shadow")));
        let url = format!("http://www.test:{}/?a=strange", world.http().port());
        assert!(step(&explain(&world, &[&url])).2.contains("would refuse (score 0, rules 501)"));
    });
}

/// Where the shadow's thread has more to do than it can, requests are left out and counted, and nobody waits for it.
#[test]
fn a_slow_shadow_is_left_behind() {
    within(120, || {
        let backend = Backend::application();
        let slow = "SecRule ARGS \"@rx (?:[^x]{0,300}y){4}q\" \"id:%,phase:2,pass,msg:'slow'\"\n";
        let rules: String = (600..620).map(|id| slow.replace('%', &id.to_string())).collect();
        let keys = "mode = \"block\"\nrules = [\"rules/test.conf\"]\nshadow = [\"rules/next.conf\"]\nmax_waiting = 1\nbudget = \"5s\"\n";
        let world = world("waf-shadow-slow", &backend, keys).file("rules/next.conf", &rules).start();
        let body = format!("a={}", "y".repeat(3000));
        for _ in 0..20 {
            assert_eq!(post(&world, "/", FORM, body.as_bytes()).status, 200);
        }
        let dropped = eventually(30, "some are dropped", || {
            let dropped = world.figure("http-filter", "web_attack_shadow_dropped");
            let judged = world.figure("http-filter", "web_attack_shadow_judged");
            (dropped + judged == 20).then_some(dropped)
        });
        assert!(dropped > 0);
    });
}
