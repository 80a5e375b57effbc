//! Adjustments: what differs from one transaction to another under the same rules, and only there.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use seclang::{
    Adjusted, Adjustments, Engine, Evaluation, Phase, Removal, RuleSet, Settings, Store, Transaction, Verdict,
};

const RULES: &str = r#"
SecRuleEngine On
SecRule &TX:level "@eq 0" "id:1,phase:1,nolog,pass,setvar:tx.level=1"
SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:2,phase:1,nolog,pass,ctl:requestBodyProcessor=JSON"
SecRule ARGS:level "@streq 2" "id:3,phase:1,nolog,pass,setvar:tx.level=2"
SecRule ARGS "@rx one" "id:101,phase:2,pass,tag:'words',tag:'paranoia-level/1',msg:'one in %{MATCHED_VAR_NAME}',severity:ERROR"
SecRule ARGS|REQUEST_COOKIES "@contains both" "id:102,phase:2,pass,tag:'words',tag:'attack-both'"
SecRule TX:level "@lt 2" "id:10,phase:2,nolog,pass,skipAfter:END"
SecRule ARGS "@rx two" "id:201,phase:2,pass,tag:'words',tag:'paranoia-level/2'"
SecRule REQUEST_METHOD "@streq GET" "id:202,phase:2,pass,tag:'paranoia-level/2',chain"
    SecRule ARGS:a "@rx link" "t:none"
SecRule TX:/^own_/ "@rx ." "id:203,phase:2,pass"
SecMarker "END"
SecRule ARGS "@contains refused" "id:301,phase:2,deny"
"#;

/// The rules, planned for level 1 only, planned for level 2 as well, and without a plan.
fn all() -> [Arc<RuleSet>; 3] {
    let two = vec![("level".to_owned(), "2".to_owned())];
    [
        Settings::default(),
        Settings { planned_variables: two, ..Settings::default() },
        Settings { evaluation: Evaluation::Naive, ..Settings::default() },
    ]
    .map(|settings| Arc::new(RuleSet::load_text(RULES, settings).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))))
}

fn judge(transaction: &mut Transaction, adjusted: &[Adjusted], query: &str) -> (Vec<u64>, Verdict) {
    transaction.begin(0, b"id");
    assert!(adjusted.iter().all(|adjusted| transaction.apply(adjusted)));
    transaction.request_line(b"GET", format!("/?{query}").as_bytes(), b"HTTP/1.1");
    transaction.request_header(b"Cookie", b"c=both");
    let _ = transaction.request_headers();
    let verdict = transaction.request_body(b"");
    (transaction.hits().iter().map(|hit| hit.rule).collect(), verdict)
}

/// Under each of the rule sets, with the adjustments: exactly these rules match. Without them, before and after: 102 and what else is `usual`.
fn expect(adjustments: &[Adjustments], query: &str, usual: &[u64], expected: &[u64]) {
    for rules in all() {
        let adjusted: Vec<Adjusted> = adjustments.iter().map(|own| rules.adjust(own).unwrap()).collect();
        let mut transaction = Transaction::new(rules, None);
        assert_eq!(judge(&mut transaction, &[], query).0, usual, "{query}");
        assert_eq!(judge(&mut transaction, &adjusted, query).0, expected, "{query} {adjustments:?}");
        assert_eq!(judge(&mut transaction, &[], query).0, usual, "{query}, after the adjusted one");
    }
}

fn removal(rules: &[u64], tags: &[&str], targets: &[&str]) -> Adjustments {
    let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let removal = Removal { rules: rules.iter().map(|id| *id..=*id).collect(), tags: own(tags), targets: own(targets) };
    Adjustments { removed: vec![removal], ..Adjustments::default() }
}

fn variables(list: &[(&str, &str)]) -> Adjustments {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Adjustments { variables: list.iter().map(own).collect(), ..Adjustments::default() }
}

#[test]
fn rules_are_removed_by_id_and_tag() {
    expect(&[removal(&[101], &[], &[])], "a=one", &[101, 102], &[102]);
    expect(&[removal(&[], &["words"], &[])], "a=one", &[101, 102], &[]);
    expect(&[removal(&[], &["^attack-"], &[])], "a=one", &[101, 102], &[101]);
    expect(&[removal(&[101], &["attack-both"], &[])], "a=one", &[101, 102], &[]);
    let range = Removal { rules: vec![100..=199], ..Removal::default() };
    expect(&[Adjustments { removed: vec![range], ..Adjustments::default() }], "a=one", &[101, 102], &[]);
    expect(&[removal(&[101], &[], &[]), removal(&[102], &[], &[])], "a=one", &[101, 102], &[]);
}

#[test]
fn values_are_not_looked_at() {
    expect(&[removal(&[101], &[], &["ARGS:a"])], "a=one", &[101, 102], &[102]);
    expect(&[removal(&[101], &[], &["ARGS:b"])], "a=one", &[101, 102], &[101, 102]);
    expect(&[removal(&[101], &[], &["ARGS:/^A/"])], "abc=one&b=one", &[101, 102], &[101, 102]);
    expect(&[removal(&[], &["words"], &["args:A", "REQUEST_COOKIES"])], "a=one", &[101, 102], &[]);
    // All rules.
    expect(&[removal(&[], &[], &["ARGS:a"])], "a=one+both", &[101, 102], &[102]);
    expect(&[removal(&[], &[], &["ARGS:a"]), removal(&[], &[], &["REQUEST_COOKIES:c"])], "a=one", &[101, 102], &[]);
    // The later links of a chain too.
    let two = || variables(&[("level", "2")]);
    expect(&[two()], "a=link", &[102], &[102, 202]);
    expect(&[two(), removal(&[202], &[], &["ARGS:a"])], "a=link", &[102], &[102]);
    expect(&[two(), removal(&[101], &[], &["ARGS:a"])], "a=link", &[102], &[102, 202]);
}

#[test]
fn variables_differ() {
    expect(&[variables(&[("LEVEL", "2")])], "a=two", &[102], &[102, 201]);
    expect(&[variables(&[("level", "2")]), variables(&[("level", "1")])], "a=two", &[102], &[102]);
    // A level that the rules raise themselves: planned or not, in view or not, what is reached matches.
    expect(&[variables(&[("other", "1")])], "a=two&level=2", &[102, 201], &[102, 201]);
    // One that no rule names in full.
    expect(&[variables(&[("own_x", "1"), ("level", "2")])], "a=1", &[102], &[102, 203]);
}

#[test]
fn the_engine_differs() {
    for rules in all() {
        let engine = |engine| rules.adjust(&Adjustments { engine: Some(engine), ..Adjustments::default() }).unwrap();
        let [detect, off, on] = [Engine::DetectionOnly, Engine::Off, Engine::On].map(engine);
        let mut transaction = Transaction::new(Arc::clone(&rules), None);
        assert!(matches!(judge(&mut transaction, &[], "a=refused").1, Verdict::Interrupt(_)));
        let (hits, verdict) = judge(&mut transaction, std::slice::from_ref(&detect), "a=refused");
        assert_eq!((hits, verdict, transaction.engine()), (vec![102, 301], Verdict::Pass, Engine::DetectionOnly));
        assert!(judge(&mut transaction, std::slice::from_ref(&off), "a=refused").0.is_empty());
        assert!(matches!(judge(&mut transaction, &[detect, on], "a=refused").1, Verdict::Interrupt(_)));
    }
}

#[test]
fn mistakes_are_named() {
    let [rules, other, _] = all();
    for (wrong, text) in [
        (removal(&[], &[], &["ARGZ:a"]), "ARGZ:a"),
        (removal(&[], &[], &["REQUEST_URI:a"]), "REQUEST_URI:a"),
        (removal(&[], &[], &["!ARGS:a"]), "!ARGS:a"),
        (removal(&[], &[], &["&ARGS:a"]), "&ARGS:a"),
        (removal(&[], &[], &["ARGS:/(/"]), "("),
        (removal(&[], &["(*"], &[]), "(*"),
        (removal(&[], &[], &[]), ""),
    ] {
        let mistake = rules.adjust(&wrong).unwrap_err();
        assert_eq!(mistake.text, text, "{mistake}");
        assert!(!mistake.problem.is_empty() && !mistake.to_string().starts_with(':'), "{mistake}");
    }
    let adjusted = rules.adjust(&removal(&[7, 101], &["nothing"], &[])).unwrap();
    let notes: Vec<&str> = adjusted.notes().iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes, ["7", "nothing"], "what names no rule is told, and is no mistake");
    let mut transaction = Transaction::new(other, None);
    assert!(!transaction.apply(&adjusted), "made for other rules");
}

#[test]
fn a_body_is_read_if_somebody_looks_into_it() {
    let extra = "SecRule REQUEST_URI \"@contains raw\" \"id:7,phase:1,pass,ctl:forceRequestBodyVariable=On\"
        SecRule REQUEST_URI \"@contains none\" \"id:4,phase:1,pass,ctl:requestBodyAccess=Off\"
        SecRule REQUEST_URI \"@contains free\" \"id:5,phase:1,allow\"
        SecRule REQUEST_URI \"@contains bad\" \"id:6,phase:1,deny\"";
    let rules = RuleSet::load_text(&format!("{RULES}{extra}"), Settings::default());
    let rules = Arc::new(rules.unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
    let off = rules.adjust(&Adjustments { engine: Some(Engine::Off), ..Adjustments::default() }).unwrap();
    let mut transaction = Transaction::new(rules, None);
    for (uri, kind, reads) in [
        ("/", "", false),
        ("/", "image/png", false),
        ("/", "application/json", true),
        ("/", "application/x-www-form-urlencoded", true),
        ("/", "multipart/form-data; boundary=b", true),
        ("/raw", "image/png", true),
        ("/none", "application/json", false),
        ("/free", "application/json", false),
        ("/bad", "application/json", false),
        ("/off", "application/json", false),
    ] {
        transaction.begin(0, b"");
        if uri == "/off" {
            transaction.apply(&off);
        }
        transaction.request_line(b"POST", uri.as_bytes(), b"HTTP/1.1");
        transaction.request_header(b"Content-Type", kind.as_bytes());
        let _ = transaction.request_headers();
        assert_eq!(transaction.reads_body(), reads, "{uri} {kind}");
    }
}

#[test]
fn rules_tell_about_themselves() {
    let [rules, ..] = all();
    let rule = rules.rule(101).unwrap();
    assert_eq!((rule.id, rule.phase, rule.severity, rule.paranoia), (101, Phase::RequestBody, Some(3), Some(1)));
    assert_eq!((rule.message, rule.place.line), (Some("one in %{MATCHED_VAR_NAME}"), 6));
    assert_eq!(rule.tags.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["words", "paranoia-level/1"]);
    assert!(rules.rule(0).is_none() && rules.rule(999).is_none());
    assert_eq!(rules.rules().count(), rules.len());
}

/// A clock that runs, one that stands still, one that runs backwards.
#[test]
fn calibration_ends_and_is_above_zero() {
    let [rules, ..] = all();
    let mut now = Duration::ZERO;
    let mut running = || {
        now += Duration::from_millis(1);
        now
    };
    let units = rules.calibrate(&mut running);
    let mut transaction = Transaction::new(Arc::clone(&rules), None);
    let _ = judge(&mut transaction, &[], "a=1");
    assert!(units > transaction.work() && units < 1_000_000, "{units}: some requests in each of its milliseconds");
    assert!(rules.calibrate(&mut || Duration::from_secs(1)) > 0);
    let mut left = Duration::from_secs(100_000);
    assert!(
        rules.calibrate(&mut || {
            left -= Duration::from_secs(1);
            left
        }) > 0
    );
}

/// At compile time: rules are shared between threads, transactions go from one to another.
#[test]
fn threads_may_share_rules_and_pass_transactions_on() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Transaction>();
    send::<RuleSet>();
    sync::<RuleSet>();
    send::<Adjusted>();
    sync::<Adjusted>();
    send::<Store>();
    sync::<Store>();
}
