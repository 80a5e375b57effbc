//! What rules mean, one small rule set at a time, each under both evaluations.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use seclang::{Action, Evaluation, Interrupt, Partial, RuleSet, Settings, Store, Transaction, Verdict};

/// What a request came to.
#[derive(Debug, PartialEq)]
struct Outcome {
    verdict: Verdict,
    /// The rules that matched and are logged, with the last matched variable.
    hits: Vec<(u64, String)>,
    tx: Vec<Option<String>>,
}

struct Request<'a> {
    uri: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
}

const PLAIN: Request<'_> = Request { uri: "/", headers: &[("Host", "example.org")], body: "" };

fn run(rules: &str, request: &Request<'_>, ask: &[&str]) -> Outcome {
    let [planned, naive] = [Evaluation::Planned, Evaluation::Naive].map(|evaluation| {
        let settings = Settings { evaluation, ..Settings::default() };
        let rules = RuleSet::load_text(rules, settings).unwrap_or_else(|errors| panic!("{errors:?}"));
        let mut transaction = Transaction::new(Arc::new(rules), None);
        judge(&mut transaction, request, ask)
    });
    assert_eq!(planned, naive);
    planned
}

fn judge(transaction: &mut Transaction, request: &Request<'_>, ask: &[&str]) -> Outcome {
    transaction.begin(1000, b"id");
    transaction.connection("192.0.2.7:4000".parse().unwrap(), "192.0.2.1:443".parse().unwrap());
    transaction.request_line(b"POST", request.uri.as_bytes(), b"HTTP/1.1");
    for (name, value) in request.headers {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    let mut verdict = transaction.request_headers();
    if !matches!(verdict, Verdict::Interrupt(_)) {
        verdict = transaction.request_body(request.body.as_bytes());
    }
    transaction.logging();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        verdict,
        hits: transaction.hits().iter().map(|hit| (hit.rule, text(&hit.variable))).collect(),
        tx: ask.iter().map(|name| transaction.tx(name).map(text)).collect(),
    }
}

fn ids(rules: &str, uri: &str) -> Vec<u64> {
    run(rules, &Request { uri, ..PLAIN }, &[]).hits.into_iter().map(|hit| hit.0).collect()
}

fn some(list: &[&str]) -> Vec<Option<String>> {
    list.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn names_patterns_exclusions_and_counts_choose_values() {
    let rules = r#"
        SecRule ARGS:a "@streq 1" "id:1,phase:1,pass"
        SecRule ARGS:/^b/ "@streq 1" "id:2,phase:1,pass"
        SecRule ARGS|!ARGS:a "@streq 1" "id:3,phase:1,pass"
        SecRule ARGS|!ARGS:/^[ab]/ "@streq 1" "id:4,phase:1,pass"
        SecRule &ARGS "@eq 2" "id:5,phase:1,pass"
        SecRule &ARGS:none "@eq 0" "id:6,phase:1,pass"
        SecRule ARGS_NAMES "@rx ^A$" "id:7,phase:1,pass"
        SecRule ARGS_NAMES "@streq bb" "id:8,phase:1,pass"
    "#;
    assert_eq!(ids(rules, "/?A=1&x=2"), [1, 5, 6, 7], "names of collections do not care about case");
    assert_eq!(ids(rules, "/?bb=1&x=2"), [2, 3, 5, 6, 8]);
    assert_eq!(ids(rules, "/?c=1"), [3, 4, 6]);
}

#[test]
fn variables_are_set_for_every_match_even_of_a_chain_that_fails_later() {
    let rules = r#"
        SecRule ARGS "@rx ^x(.)" "id:1,phase:1,pass,capture,setvar:tx.n=+1,setvar:'tx.last_%{TX.1}=%{MATCHED_VAR_NAME}',chain"
            SecRule ARGS:go "@streq 1" "setvar:tx.chained=1"
        SecRule TX:n "@ge 2" "id:2,phase:1,pass,setvar:tx.n=-1,setvar:!tx.gone"
        SecAction "id:3,phase:1,pass,nolog,setvar:tx.flag"
    "#;
    let outcome = run(rules, &Request { uri: "/?a=xp&b=xq", ..PLAIN }, &["n", "last_p", "last_q", "chained", "flag"]);
    assert_eq!(outcome.hits, [(2, "TX:n".to_owned())]);
    assert_eq!(outcome.tx, [some(&["1", "ARGS:a", "ARGS:b"]), vec![None], some(&["1"])].concat());
    let outcome = run(rules, &Request { uri: "/?a=xp&go=1", ..PLAIN }, &["n", "chained"]);
    assert_eq!(outcome.hits, [(1, "ARGS:a".to_owned())]);
    assert_eq!(outcome.tx, some(&["1", "1"]));
}

#[test]
fn jumps_go_to_their_marker_or_over_a_number_of_rules() {
    let rules = r#"
        SecRule ARGS:jump "@streq 1" "id:1,phase:1,pass,nolog,skipAfter:END"
        SecAction "id:2,phase:1,pass"
        SecMarker END
        SecRule ARGS:skip "@streq 1" "id:3,phase:1,pass,nolog,skip:1"
        SecAction "id:4,phase:1,pass"
        SecAction "id:5,phase:1,pass"
        SecRule ARGS:end "@streq 1" "id:6,phase:1,pass,nolog,skipAfter:NOWHERE"
        SecAction "id:7,phase:1,pass"
        SecAction "id:8,phase:2,pass"
    "#;
    assert_eq!(ids(rules, "/"), [2, 4, 5, 7, 8]);
    assert_eq!(ids(rules, "/?jump=1"), [4, 5, 7, 8]);
    assert_eq!(ids(rules, "/?skip=1"), [2, 5, 7, 8]);
    assert_eq!(ids(rules, "/?end=1"), [2, 4, 5, 8], "a missing marker skips the rest of the phase");
}

#[test]
fn transformations_follow_one_another_and_multi_match_looks_at_each_step() {
    let rules = r#"
        SecRule ARGS:a "@streq a b" "id:1,phase:1,pass,t:none,t:lowercase,t:compressWhitespace"
        SecRule ARGS:a "@rx A" "id:2,phase:1,pass,t:none,t:lowercase"
        SecRule ARGS:a "@rx [Aa]" "id:3,phase:1,pass,t:none,t:lowercase,t:compressWhitespace,multiMatch,setvar:tx.steps=+1"
    "#;
    let outcome = run(rules, &Request { uri: "/?a=A++B", ..PLAIN }, &["steps"]);
    assert_eq!(outcome.hits.iter().map(|hit| hit.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(outcome.tx, some(&["3"]));
}

#[test]
fn the_first_refusal_counts_and_logging_still_runs() {
    let rules = r#"
        SecRule ARGS "@contains bad" "id:1,phase:2,deny,status:406"
        SecAction "id:2,phase:2,pass"
        SecAction "id:3,phase:5,pass"
    "#;
    let outcome = run(rules, &Request { uri: "/?a=bad", ..PLAIN }, &[]);
    assert_eq!(outcome.verdict, Verdict::Interrupt(Interrupt { status: 406, action: Action::Deny, rule: 1 }));
    assert_eq!(outcome.hits.iter().map(|hit| hit.0).collect::<Vec<_>>(), [1, 3]);
    let watching = format!("SecRuleEngine DetectionOnly\n{rules}");
    let outcome = run(&watching, &Request { uri: "/?a=bad", ..PLAIN }, &[]);
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(outcome.hits.iter().map(|hit| hit.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn block_is_what_the_default_of_the_phase_says() {
    let rules = r#"
        SecDefaultAction "phase:1,nolog,deny,status:429"
        SecRule ARGS:a "@streq 1" "id:1,phase:1,block,log"
        SecRule ARGS:b "@streq 1" "id:2,phase:1,redirect:'/other?%{ARGS.b}',log"
        SecRule ARGS:c "@streq 1" "id:3,phase:1,allow"
        SecAction "id:4,phase:2,drop,log"
    "#;
    let verdict = |uri| run(rules, &Request { uri, ..PLAIN }, &[]).verdict;
    let interrupt = |status, action, rule| Verdict::Interrupt(Interrupt { status, action, rule });
    assert_eq!(verdict("/?a=1"), interrupt(429, Action::Deny, 1));
    assert_eq!(verdict("/?b=1"), interrupt(302, Action::Redirect(b"/other?1".to_vec()), 2));
    assert_eq!(verdict("/?c=1"), Verdict::Pass);
    assert_eq!(verdict("/"), interrupt(403, Action::Drop, 4));
}

#[test]
fn rules_are_taken_away_at_load_and_for_one_transaction() {
    let rules = r#"
        SecRuleRemoveById 10 20-29
        SecRuleUpdateTargetById 30 "!ARGS:free"
        SecRuleUpdateTargetByTag shy "!ARGS"
        SecRule ARGS:ctl "@streq id" "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=40-41"
        SecRule ARGS:ctl "@streq tag" "id:2,phase:1,pass,nolog,ctl:ruleRemoveByTag=noisy"
        SecRule ARGS:ctl "@streq target" "id:3,phase:1,pass,nolog,ctl:ruleRemoveTargetById=40;ARGS:x,ctl:ruleRemoveTargetByTag=noisy;ARGS:x"
        SecRule ARGS:ctl "@streq off" "id:4,phase:1,pass,nolog,ctl:ruleEngine=Off"
        SecRule ARGS "@contains attack" "id:10,phase:1,pass"
        SecRule ARGS "@contains attack" "id:25,phase:1,pass"
        SecRule ARGS "@contains attack" "id:30,phase:1,pass"
        SecRule ARGS "@contains attack" "id:40,phase:1,pass"
        SecRule ARGS "@contains attack" "id:50,phase:1,pass,tag:noisy"
        SecRule ARGS|REQUEST_URI "@contains attack" "id:60,phase:1,pass,tag:shy"
    "#;
    assert_eq!(ids(rules, "/?x=attack"), [30, 40, 50, 60]);
    assert_eq!(ids(rules, "/?free=attack"), [40, 50, 60]);
    assert_eq!(ids(rules, "/?x=attack&ctl=id"), [30, 50, 60]);
    assert_eq!(ids(rules, "/?x=attack&ctl=tag"), [30, 40, 60]);
    assert_eq!(ids(rules, "/?x=attack&ctl=target"), [30, 60]);
    assert_eq!(ids(rules, "/?x=attack&ctl=off"), [0; 0]);
}

#[test]
fn bodies_are_taken_apart_by_type_or_by_command() {
    let rules = r#"
        SecRule REQUEST_HEADERS:Content-Type "@beginsWith application/json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
        SecRule ARGS_POST:a "@streq 1" "id:2,phase:2,pass"
        SecRule ARGS:json.a "@streq 1" "id:3,phase:2,pass"
        SecRule REQBODY_ERROR "!@eq 0" "id:4,phase:2,pass"
        SecRule REQUEST_BODY "@contains a" "id:5,phase:2,pass"
        SecRule FILES "@endsWith .php" "id:6,phase:2,pass"
    "#;
    let hits = |kind: &str, body: &str| {
        let request = Request { uri: "/", headers: &[("Content-Type", kind)], body };
        run(rules, &request, &[]).hits.into_iter().map(|hit| hit.0).collect::<Vec<_>>()
    };
    assert_eq!(hits("application/x-www-form-urlencoded", "a=1"), [2, 5]);
    assert_eq!(hits("application/json", r#"{"a":1}"#), [3]);
    assert_eq!(hits("application/json", r#"{"a":"#), [4, 5], "what cannot be taken apart is there as a whole");
    let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.php\"\r\n\r\nhello\r\n--b--\r\n";
    assert_eq!(hits("multipart/form-data; boundary=b", part), [6]);
}

#[test]
fn counters_live_on_in_the_store() {
    let rules = r#"
        SecAction "id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR},initcol:global=global"
        SecAction "id:2,phase:1,pass,nolog,setvar:ip.n=+1,expirevar:ip.n=60,setvar:global.n=+1"
        SecRule IP:n "@gt 2" "id:3,phase:1,deny,status:429"
        SecRule GLOBAL:n "@gt 4" "id:4,phase:1,pass,log"
    "#;
    let rules = Arc::new(RuleSet::load_text(rules, Settings::default()).unwrap());
    let store = Arc::new(Store::new(10));
    let mut transaction = Transaction::new(rules, Some(store));
    let mut request = |now, client: &str| {
        transaction.begin(now, b"");
        transaction.connection(format!("{client}:1").parse().unwrap(), "192.0.2.1:443".parse().unwrap());
        let refused = transaction.request_headers() != Verdict::Pass;
        (refused, transaction.hits().iter().any(|hit| hit.rule == 4))
    };
    assert_eq!(request(0, "192.0.2.7"), (false, false));
    assert_eq!(request(10, "192.0.2.7"), (false, false));
    assert_eq!(request(20, "192.0.2.7"), (true, false));
    assert_eq!(request(20, "192.0.2.8"), (false, false));
    assert_eq!(
        request(81, "192.0.2.7"),
        (false, true),
        "the client's counter has expired, that of all clients has not"
    );
}

#[test]
fn what_is_not_looked_at_is_said() {
    let rules = "SecRule ARGS \"@contains attack\" \"id:1,phase:2,deny\"\nSecRequestBodyLimit 20\nSecRequestBodyLimitAction ProcessPartial";
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let verdict = |settings: Settings, budget: u64, body: &str| {
        let mut transaction = Transaction::new(Arc::new(RuleSet::load_text(rules, settings).unwrap()), None);
        transaction.set_budget(budget);
        judge(&mut transaction, &Request { uri: "/", headers: &form, body }, &[]).verdict
    };
    assert_eq!(verdict(Settings::default(), u64::MAX, "a=b"), Verdict::Pass);
    assert_eq!(
        verdict(Settings::default(), u64::MAX, &format!("a=b&c={}", "x".repeat(30))),
        Verdict::Partial(Partial::Body)
    );
    let mut few = Settings::default();
    few.limits.arguments = 2;
    assert_eq!(
        verdict(few.clone(), u64::MAX, "a=1&b=2&c=attack"),
        Verdict::Partial(Partial::Limit(seclang::body::Limit::Arguments))
    );
    assert!(matches!(verdict(few, u64::MAX, "a=attack&b=2&c=3"), Verdict::Interrupt(_)), "what was seen is judged");
    for evaluation in [Evaluation::Planned, Evaluation::Naive] {
        let settings = Settings { evaluation, ..Settings::default() };
        assert_eq!(verdict(settings, 10, "a=attack"), Verdict::Partial(Partial::Budget));
    }
}

#[test]
fn mistakes_are_reported_with_their_places() {
    let wrong = |text: &str| {
        RuleSet::load_text(text, Settings::default())
            .map(|_| ())
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let all = wrong(concat!(
        "SecRule ARGS \"@rx (\" \"id:1\"\n",
        "# a comment\n",
        "SecRule ARG \\\n  \"@rx x\" \"id:2\"\n",
        "SecRule ARGS \"@foo x\" \"id:3\"\n",
        "SecRule ARGS \"@rx x\" \"id:4,t:nothing\"\n",
        "SecRule ARGS \"@rx x\" \"phase:1\"\n",
        "SecRule ARGS \"@rx x\" \"id:5,phase:7\"\n",
        "SecRule ARGS \"@rx x\" \"id:6,setvar:tx.a=%{nope}\"\n",
        "SecFoo On\n",
        "SecRule ARGS \"@rx x\" \"id:7,chain\"\n",
        "SecMarker X\n",
        "SecAction \"id:8,pass\"\nSecAction \"id:8,pass\"\n",
        "Include none/*.conf\n",
    ));
    let expected = [
        ":1: the pattern cannot be compiled",
        ":3: unknown variable: `ARG`",
        ":5: unknown operator: `foo`",
        ":6: unknown transformation: `nothing`",
        ":7: the rule has no id",
        ":8: unknown phase: `7`",
        ":9: unknown variable in a macro: `nope`",
        ":10: unknown directive: `SecFoo`",
        ":12: the rule before says `chain`",
        ":14: another rule has this id",
        ":15: the folder cannot be read",
    ];
    assert_eq!(all.len(), expected.len(), "{all:#?}");
    for (message, expected) in all.iter().zip(expected) {
        assert!(message.starts_with(&format!("(text){expected}")), "{message} should begin with {expected}");
    }
}
