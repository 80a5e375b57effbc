//! What bodies made to be expensive cost under CRS (`$BULKHEAD_CRS`, or `../shared/crs`), in four sizes each: nothing may grow faster than the
//! body. Limits are lifted, so that all of a body is looked at; the last column is what the product's limits and budget leave of it.
//! `cargo bench -p seclang --bench hostile [-- NAME]`; `BLESS=1` writes the table of `docs/crs.md`.
//!
//! Time is this thread's on a processor, as the kernel counts it: other load on the machine does not count, but for the caches that it takes.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seclang::body::BodyLimits;
use seclang::{RuleSet, Settings, Source, Transaction, Verdict};

const ENGINE: &str = r#"
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "^text/xml" "id:200000,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
SecAction "id:900990,phase:1,pass,nolog,setvar:tx.crs_setup_version=4290"
"#;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const XML: &str = "text/xml";
const MULTIPART: &str = "multipart/form-data; boundary=b";

/// Bytes of the bodies; how often the largest holds the next one is what the growth is measured against.
const SIZES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Name, content type, and a body of so many bytes.
type Kind = (&'static str, &'static str, fn(usize) -> String);

fn kinds() -> Vec<Kind> {
    vec![
        ("form: `(`", FORM, |size| format!("a={}", "(".repeat(size))),
        ("form: `1' or '1'='1`, 10,000 parameters in 256 KiB", FORM, |size| {
            fill(size, "", "", |n| format!("a{n}=1'+or+'1'='1&"))
        }),
        ("form: twice encoded", FORM, |size| format!("a={}", "%2541%u0042".repeat(size / 11))),
        ("form: quotes and backslashes", FORM, |size| format!("a={}", "\\'\"".repeat(size / 3))),
        ("form: `<a ` ", FORM, |size| format!("a={}", "<a ".repeat(size / 3))),
        ("form: `/*`", FORM, |size| format!("a={}", "/*".repeat(size / 2))),
        ("form: `../`", FORM, |size| format!("a={}", "../".repeat(size / 3))),
        ("form: `${`", FORM, |size| format!("a={}", "${".repeat(size / 2))),
        ("form: words of SQL", FORM, |size| format!("a={}", "select from union where ".repeat(size / 24))),
        ("form: words of shells", FORM, |size| format!("a={}", ";cat /etc/ ; wget x|sh ".repeat(size / 23))),
        ("form: noise", FORM, |size| format!("a={}", noise(size))),
        ("JSON: `(` in a string", JSON, |size| format!("[\"{}\"]", "(".repeat(size))),
        ("JSON: `[` without end", JSON, |size| "[".repeat(size)),
        ("JSON: 32 deep, again and again", JSON, |size| {
            fill(size, "[", "0]", |_| format!("{}1{},", "{\"a\":".repeat(31), "}".repeat(31)))
        }),
        ("JSON: objects", JSON, |size| fill(size, "[", "0]", |n| format!("{{\"id\":{n},\"q\":\"1' or '1'='1\"}},"))),
        ("XML: `<a>` without end", XML, |size| "<a>".repeat(size / 3)),
        ("XML: attributes", XML, |size| fill(size, "<a>", "</a>", |n| format!("<e a{n}=\"1' or '1'='1\"/>"))),
        ("multipart: 10,000 parts in 1 MiB", MULTIPART, |size| {
            fill(size, "", "--b--\r\n", |n| {
                format!(
                    "--b\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\n1' or '1'='1\r\n{}",
                    "x".repeat(20)
                )
            })
        }),
        ("multipart: a header without end", MULTIPART, |size| {
            format!("--b\r\nContent-Disposition: form-data; {}", "x=\"y\"; ".repeat(size / 7))
        }),
    ]
}

fn fill(size: usize, start: &str, end: &str, piece: impl Fn(usize) -> String) -> String {
    let mut text = start.to_owned();
    for number in 0.. {
        if text.len() + end.len() >= size {
            break;
        }
        text.push_str(&piece(number));
    }
    text + end
}

fn noise(size: usize) -> String {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        char::from(b"abcdefghijklmnopqrstuvwxyz0123456789 '\"()<>;|$./-_=*"[usize::try_from(seed % 52).unwrap()])
    };
    (0..size).map(|_| next()).collect()
}

fn main() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let folder = std::env::var_os("BULKHEAD_CRS").map_or(beside, PathBuf::from);
    if !folder.join("rules").is_dir() {
        eprintln!("skipped: {} is not there; set BULKHEAD_CRS", folder.display());
        return;
    }
    let sources = [
        Source::Text { name: "engine".to_owned(), text: ENGINE.to_owned() },
        Source::Path(folder.join("rules/*.conf")),
    ];
    let load = |limits| {
        let rules = RuleSet::load(&sources, Settings { limits, ..Settings::default() }).expect("CRS loads");
        Arc::new(rules)
    };
    let most = 64 << 20;
    let free =
        load(BodyLimits { arguments: most, nodes: most, parts: most, value_length: most, ..BodyLimits::default() });
    let limited = load(BodyLimits::default());
    let units = limited.calibrate(&mut on_processor);
    let (mut free, mut limited) = (Transaction::new(free, None), Transaction::new(limited, None));
    limited.set_budget(50 * units);
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    let mut table =
        "| body | 16 KiB | 64 KiB | 256 KiB | 1 MiB | 1 MiB with limits and budget |\n| --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for (name, kind, body) in kinds().into_iter().filter(|own| own.0.starts_with(&only)) {
        let mut row = format!("| {name} |");
        let mut last = (Duration::ZERO, String::new());
        for size in SIZES {
            let text = body(size);
            let (time, _) = measure(&mut free, kind, &text);
            write!(row, " {:.1} ms |", milli(time)).unwrap();
            last = (time, text);
        }
        let (time, verdict) = measure(&mut limited, kind, &last.1);
        write!(row, " {:.1} ms, {verdict} |", milli(time)).unwrap();
        println!("{row}");
        table.push_str(&row);
        table.push('\n');
    }
    if std::env::var_os("BLESS").is_some() && only.is_empty() {
        bless(&table);
    }
}

fn milli(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The best of a few: what the machine does besides only adds.
fn measure(transaction: &mut Transaction, kind: &str, body: &str) -> (Duration, &'static str) {
    let start = Instant::now();
    let mut best = Duration::MAX;
    let mut verdict = "";
    for round in 0..20 {
        let before = on_processor();
        verdict = run(transaction, kind, body);
        best = best.min(on_processor() - before);
        if round > 1 && start.elapsed() > Duration::from_millis(400) {
            break;
        }
    }
    (best, verdict)
}

fn run(transaction: &mut Transaction, kind: &str, body: &str) -> &'static str {
    transaction.begin(1_790_000_000, b"0123456789abcdef");
    transaction.request_line(b"POST", b"/form", b"HTTP/1.1");
    for (name, value) in [("Host", "www.example.org"), ("User-Agent", "x"), ("Accept", "*/*"), ("Content-Type", kind)] {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    let _ = transaction.request_headers();
    match transaction.request_body(body.as_bytes()) {
        Verdict::Pass if transaction.hit_count() == 0 => "no rule matches",
        Verdict::Pass => "rules match",
        Verdict::Partial(seclang::Partial::Budget) => "budget",
        Verdict::Partial(_) => "limit",
        Verdict::Interrupt(_) => "refused",
    }
}

fn bless(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/crs.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- begin: hostile -->\n", "<!-- end: hostile -->");
    let (before, rest) = text.split_once(begin).expect("a place for the table");
    let (_, after) = rest.split_once(end).expect("an end of the place");
    std::fs::write(path, format!("{before}{begin}{table}{end}{after}")).unwrap();
}

/// How long this thread has been on a processor.
fn on_processor() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap(), u32::try_from(now.tv_nsec).unwrap())
}
