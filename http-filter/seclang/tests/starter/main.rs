//! Bulkhead's starter rules (`http-filter/src/stages/web_attacks/starter.conf`) against a labelled list of requests of our own, and CRS 4 at
//! paranoia level 1 next to them where it is there. The rates are floors: a change of the rules may only raise them. `BLESS=1` rewrites the
//! table in `docs/web-attacks.md`; `STARTER_CORPUS=a.jsonl:b.jsonl` judges other lists and prints what came of them.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod corpus;
mod rates;

use std::path::PathBuf;
use std::sync::Arc;

use seclang::{Evaluation, RuleSet, Settings, Source, Transaction, Verdict};

use self::corpus::{Label, Request};
use self::rates::Rates;

/// The rules, as http-filter has them built in.
const STARTER: &str = include_str!("../../../src/stages/web_attacks/starter.conf");
/// The list.
const REQUESTS: &str = include_str!("requests.jsonl");

fn starter(level: u8, evaluation: Evaluation) -> RuleSet {
    let variables = [
        ("blocking_paranoia_level", level.to_string()),
        ("detection_paranoia_level", level.to_string()),
        ("inbound_anomaly_score_threshold", "5".to_owned()),
        ("outbound_anomaly_score_threshold", "4".to_owned()),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let source = Source::Text { name: "starter.conf".to_owned(), text: STARTER.to_owned() };
    RuleSet::load_from(&seclang::Disk, &[source], Settings { variables, evaluation, ..Settings::default() })
        .unwrap_or_else(|errors| panic!("{}", errors.iter().map(|error| format!("{error}\n")).collect::<String>()))
}

/// CRS 4 as it comes, blocking at level 1; `None` where it is absent.
fn crs() -> Option<RuleSet> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/crs"));
    let folder = std::env::var_os("BULKHEAD_CRS").map_or(beside, PathBuf::from);
    if !folder.join("rules").is_dir() {
        eprintln!("skipped: {} is not there; set BULKHEAD_CRS", folder.display());
        return None;
    }
    let engine = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" "id:1,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z0-9.-]+[+])?json" "id:2,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
"#;
    let sources = [
        Source::Text { name: "engine".to_owned(), text: engine.to_owned() },
        Source::Path(folder.join("crs-setup.conf.example")),
        Source::Path(folder.join("rules/*.conf")),
    ];
    Some(RuleSet::load(&sources, Settings::default()).unwrap_or_else(|errors| panic!("{}", errors[0])))
}

/// One request through the phases 1 and 2: whether it is refused, and the rules that matched.
fn judge(transaction: &mut Transaction, request: &Request) -> (bool, Vec<u64>) {
    transaction.begin(1_790_000_000, b"0123456789abcdef");
    transaction.connection("203.0.113.9:40000".parse().unwrap(), "192.0.2.1:443".parse().unwrap());
    transaction.request_line(request.method.as_bytes(), request.uri.as_bytes(), b"HTTP/1.1");
    for (name, value) in &request.headers {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    let verdict = match transaction.request_headers() {
        Verdict::Pass => transaction.request_body(request.body.as_bytes()),
        refused => refused,
    };
    (matches!(verdict, Verdict::Interrupt(_)), transaction.hits().iter().map(|hit| hit.rule).collect())
}

fn rates(rules: RuleSet, requests: &[Request], told: bool) -> Rates {
    let mut transaction = Transaction::new(Arc::new(rules), None);
    let mut rates = Rates::default();
    for request in requests {
        let (refused, hits) = judge(&mut transaction, request);
        if told && refused != (request.label == Label::Attack) {
            println!("{} {refused} {hits:?} {} {}", request.set, request.uri, request.body);
        }
        rates.add(request, refused, &hits);
    }
    rates
}

#[test]
fn the_starter_rules_load_without_a_note_and_have_ids_of_their_own_range() {
    let rules = starter(1, Evaluation::Planned);
    assert!(rules.notes().is_empty(), "{:?}", rules.notes());
    assert!(rules.ids().all(|id| (1000..2000).contains(&id)));
    assert!((60..=120).contains(&rules.len()), "{}", rules.len());
}

#[test]
fn attacks_are_refused_and_the_harmless_pass() {
    let requests = corpus::read(REQUESTS);
    let ours = rates(starter(1, Evaluation::Planned), &requests, true);
    ours.print("starter rules");
    let crs = crs().map(|rules| rates(rules, &requests, false));
    if let Some(crs) = &crs {
        crs.print("CRS 4, level 1");
    }
    rates::publish(&ours, crs.as_ref());
    for (set, at_least) in FLOORS {
        let (refused, all) = ours.set(set);
        assert!(all > 0 && refused * 1000 >= all * at_least, "{set}: {refused} of {all}");
    }
    let (refused, all) = ours.label(Label::Benign);
    assert!(all >= 500 && refused * 1000 <= all * FALSE_POSITIVES, "{refused} of {all} harmless requests are refused");
}

/// The share of each set of attacks, in thousandths, that the rules refuse at least.
const FLOORS: &[(&str, usize)] = &[
    ("code", 980),
    ("commands", 980),
    ("crlf", 1000),
    ("files", 1000),
    ("headers", 1000),
    ("names and bytes", 1000),
    ("nosqli", 1000),
    ("scanners", 1000),
    ("sqli", 960),
    ("ssrf", 1000),
    ("traversal", 1000),
    ("xss", 990),
];
/// The share of harmless requests, in thousandths, that they may refuse.
const FALSE_POSITIVES: usize = 5;

/// An answer that gives an error message away is refused where answers are looked at; an ordinary one passes.
#[test]
fn leaks_in_answers_are_refused() {
    let settings = Settings { body_access: (None, Some(true)), ..Settings::default() };
    let source = Source::Text { name: "starter.conf".to_owned(), text: STARTER.to_owned() };
    let rules = RuleSet::load_from(&seclang::Disk, &[source], settings).expect("the rules load");
    let mut transaction = Transaction::new(Arc::new(rules), None);
    for (body, rule) in [
        ("<p>Our prices, select from the table</p>", None),
        ("You have an error in your SQL syntax; check the manual", Some(1960)),
        ("<b>Warning</b>:  fopen(x): failed in <b>/srv/a.php</b> on line <b>3</b>", Some(1961)),
        ("Traceback (most recent call last):\n  File \"a.py\", line 1", Some(1962)),
        ("<title>Index of /backup</title>", Some(1963)),
        ("-----BEGIN PRIVATE KEY-----\nMII", Some(1964)),
    ] {
        transaction.begin(0, b"1");
        transaction.request_line(b"GET", b"/", b"HTTP/1.1");
        assert_eq!(transaction.request_headers(), Verdict::Pass);
        assert_eq!(transaction.request_body(b""), Verdict::Pass);
        transaction.response_header(b"Content-Type", b"text/html");
        assert_eq!(transaction.response_headers(200, b"HTTP/1.1"), Verdict::Pass);
        let verdict = transaction.response_body(body.as_bytes());
        assert_eq!(transaction.hits().first().map(|hit| hit.rule), rule, "{body}");
        assert_eq!(matches!(verdict, Verdict::Interrupt(_)), rule.is_some(), "{body}");
    }
}

/// The plan may leave out work, never a match.
#[test]
fn the_plan_is_exact_for_these_rules_too() {
    let requests = corpus::read(REQUESTS);
    for level in [1, 2] {
        let [mut planned, mut naive] = [Evaluation::Planned, Evaluation::Naive]
            .map(|evaluation| Transaction::new(Arc::new(starter(level, evaluation)), None));
        for request in &requests {
            assert_eq!(judge(&mut planned, request), judge(&mut naive, request), "{}", request.uri);
        }
    }
}

/// Lists that others have: `STARTER_CORPUS=/a/list.jsonl:/another.jsonl`.
#[test]
fn other_lists() {
    let Ok(paths) = std::env::var("STARTER_CORPUS") else { return };
    let told = std::env::var_os("STARTER_TOLD").is_some();
    for path in paths.split(':') {
        let requests = corpus::read(&std::fs::read_to_string(path).expect("the list can be read"));
        let level = std::env::var("PARANOIA").map_or(1, |level| level.parse().expect("a level"));
        rates(starter(level, Evaluation::Planned), &requests, told).print("starter rules");
        if std::env::var_os("STARTER_CRS").is_some()
            && let Some(rules) = crs()
        {
            rates(rules, &requests, false).print("CRS 4, level 1");
        }
    }
}
