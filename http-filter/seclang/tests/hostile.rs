//! Requests made to be expensive stay inside limits and budget, whatever the rules. The rules are a few of the kinds that CRS has; with CRS at
//! hand (`$BULKHEAD_CRS`) the same is asked of all of it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use seclang::body::BodyLimits;
use seclang::{Evaluation, RuleSet, Settings, Source, Transaction, Verdict};

/// Units of work that a request may cost here.
const BUDGET: u64 = 2_000_000;

const RULES: &str = r#"
SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@contains xml" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule ARGS|ARGS_NAMES|REQUEST_BODY|XML:/* "@rx (?:\(\s*)+select.*?from" "id:3,phase:2,pass,t:none,t:urlDecodeUni,t:lowercase"
SecRule ARGS|ARGS_NAMES|XML:/* "@detectSQLi" "id:4,phase:2,pass,t:none,t:urlDecodeUni,t:removeNulls,multiMatch,setvar:'tx.seen_%{MATCHED_VAR_NAME}=%{MATCHED_VAR}'"
SecRule ARGS|ARGS_NAMES|XML:/* "@detectXSS" "id:5,phase:2,pass,t:none,t:htmlEntityDecode,t:jsDecode,t:cssDecode"
SecRule ARGS|ARGS_NAMES "@rx ^(.*)*a$" "id:6,phase:2,pass,capture,setvar:'tx.n=+1'"
SecRule TX:/^seen_/ "@rx ." "id:7,phase:2,pass"
SecRule ARGS|FILES|FILES_NAMES|MULTIPART_PART_HEADERS "@pm union select script eval" "id:8,phase:2,pass"
"#;

fn bodies() -> Vec<(&'static str, &'static str, String)> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let mut parts = String::new();
    for number in 0..10_000 {
        let _ = write!(parts, "--b\r\nContent-Disposition: form-data; name=\"f{number}\"\r\n\r\n' or 1=1\r\n");
    }
    let mut parameters = String::new();
    for number in 0..10_000 {
        let _ = write!(parameters, "a{number}=1'+or+'1'='1&");
    }
    vec![
        ("10,000 parameters", FORM, parameters),
        ("1 MiB of brackets", FORM, format!("a={}", "(".repeat(1 << 20))),
        ("1 MiB of encoded characters", FORM, format!("a={}", "%25%75%30%30%34%31".repeat(58_000))),
        ("deep JSON", "application/json", format!("{}1{}", "[".repeat(300_000), "]".repeat(300_000))),
        ("wide JSON", "application/json", format!("[{}0]", "{\"a\":\"' or 1=1 --\"},".repeat(30_000))),
        ("deep XML", "text/xml", format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000))),
        (
            "many entities",
            "text/xml",
            format!("<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\">]><a>{}</a>", "&b;".repeat(200_000)),
        ),
        ("10,000 parts", "multipart/form-data; boundary=b", format!("{parts}--b--\r\n")),
        (
            "one endless part header",
            "multipart/form-data; boundary=b",
            format!("--b\r\nContent-Disposition: {}", "x;".repeat(400_000)),
        ),
    ]
}

fn check(sources: &[Source], evaluation: Evaluation) {
    let settings = Settings { evaluation, ..Settings::default() };
    let longest = settings.limits.value_length as u64;
    let rules = RuleSet::load(sources, settings).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut transaction = Transaction::new(Arc::new(rules), None);
    for (name, kind, body) in bodies() {
        transaction.begin(0, b"id");
        transaction.set_budget(BUDGET);
        transaction.request_line(b"POST", b"/?a=b", b"HTTP/1.1");
        transaction.request_header(b"Content-Type", kind.as_bytes());
        let first = transaction.request_headers();
        assert_eq!(first, Verdict::Pass, "{name}");
        let verdict = transaction.request_body(body.as_bytes());
        // What is malformed is Pass without a rule that looks at REQBODY_ERROR, which these rules do not have.
        let malformed = matches!(name, "many entities" | "one endless part header");
        assert!(
            malformed || !matches!(verdict, Verdict::Pass),
            "{name}: not everything was looked at, and that is not said"
        );
        // The last step may exceed the budget by what is linear in one value: at most 16 units a byte, behind the longest chain.
        let most = BUDGET + 40 * longest.min(body.len() as u64);
        assert!(transaction.work() <= most, "{name}: {} units", transaction.work());
        transaction.logging();
    }
}

/// A body of about `size` bytes of each type, of many small values and of one large one.
fn grown(size: usize) -> Vec<(&'static str, &'static str, String)> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let many = |each: usize, piece: &dyn Fn(usize) -> String| (0..size / each).map(piece).collect::<String>();
    vec![
        ("form", FORM, many(20, &|number| format!("a{number:05}=1'+or+1=1--&"))),
        ("form of one value", FORM, format!("a={}", "select ( ".repeat(size / 9))),
        (
            "JSON",
            "application/json",
            format!("[{}0]", many(30, &|number| format!("{{\"a\":{number:05},\"b\":\"' or 1=1\"}},"))),
        ),
        ("deep JSON", "application/json", "[".repeat(size)),
        ("XML", "text/xml", format!("<a>{}</a>", many(30, &|number| format!("<b c=\"{number:05}\">' or 1=1</b>")))),
        ("deep XML", "text/xml", "<a>".repeat(size / 3)),
        (
            "multipart",
            "multipart/form-data; boundary=b",
            many(70, &|number| {
                format!("--b\r\nContent-Disposition: form-data; name=\"f{number:05}\"\r\n\r\n' or 1=1\r\n")
            }) + "--b--\r\n",
        ),
    ]
}

/// Four times the body, four times the work. (What it takes in time is for `benches/hostile.rs`: no test can rely on a clock.)
#[test]
fn work_grows_no_faster_than_bodies() {
    let most = 1 << 30;
    let limits = BodyLimits {
        arguments: most,
        nodes: most,
        parts: most,
        value_length: most,
        depth: 10_000,
        ..BodyLimits::default()
    };
    let sources = [Source::Text { name: "rules".to_owned(), text: RULES.to_owned() }];
    let rules = RuleSet::load(&sources, Settings { limits, ..Settings::default() });
    let mut transaction = Transaction::new(Arc::new(rules.unwrap_or_else(|errors| panic!("{errors:?}"))), None);
    let mut work = |kind: &str, body: &str| {
        transaction.begin(0, b"id");
        transaction.request_line(b"POST", b"/", b"HTTP/1.1");
        transaction.request_header(b"Content-Type", kind.as_bytes());
        let _ = transaction.request_headers();
        let _ = transaction.request_body(body.as_bytes());
        transaction.work()
    };
    for number in 0..grown(0).len() {
        let bodies = [1 << 10, 16 << 10, 64 << 10, 256 << 10].map(|size| grown(size).swap_remove(number));
        let works = bodies.each_ref().map(|(_, kind, body)| work(kind, body).max(1));
        for (pair, sizes) in works.windows(2).zip(bodies.windows(2)) {
            let ([less, more], [small, large]) = (pair, sizes) else { panic!("two of each") };
            let (less, more) = (less * large.2.len() as u64, more * small.2.len() as u64);
            assert!(more <= less * 5 / 4, "{}: {works:?}", small.0);
        }
    }
}

#[test]
fn hostile_bodies_stay_inside_the_budget() {
    let sources = [Source::Text { name: "rules".to_owned(), text: RULES.to_owned() }];
    check(&sources, Evaluation::Planned);
    check(&sources, Evaluation::Naive);
}

#[test]
fn hostile_bodies_stay_inside_the_budget_under_crs() {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/crs"));
    let folder = std::env::var_os("BULKHEAD_CRS").map_or(beside, PathBuf::from);
    if !folder.join("rules").is_dir() {
        eprintln!("skipped: {} is not there; set BULKHEAD_CRS", folder.display());
        return;
    }
    let text = |text: &str| Source::Text { name: "test".to_owned(), text: text.to_owned() };
    let engine = text(concat!(
        "SecRuleEngine DetectionOnly\n",
        "SecRule REQUEST_HEADERS:Content-Type \"@contains json\" \"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"\n",
        "SecRule REQUEST_HEADERS:Content-Type \"@contains xml\" \"id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML\"\n",
        "SecAction \"id:900990,phase:1,pass,nolog,setvar:tx.crs_setup_version=4290\"\n",
    ));
    check(&[engine, Source::Path(folder.join("rules/*.conf"))], Evaluation::Planned);
}
