//! How much CPU time rules cost, per request: CRS from `$BULKHEAD_CRS` (or `../shared/crs`) over ordinary requests and over bodies of each
//! type in four sizes, to show that cost grows with them and no faster. `cargo bench -p seclang [-- NAME] `; `PARANOIA=2`, `NAIVE=1`.
//!
//! Time is this thread's on a processor, as the kernel counts it: other load on the machine does not count.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seclang::{Evaluation, RuleSet, Settings, Source, Transaction, Verdict};

/// What modsecurity.conf-recommended has around CRS, as far as it matters here.
const ENGINE: &str = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "^(?:application|text)/xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecAction "id:900990,phase:1,pass,nolog,setvar:tx.crs_setup_version=4290"
"#;

/// The headers of a browser.
const HEADERS: [(&str, &str); 10] = [
    ("Host", "www.example.org"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Connection", "keep-alive"),
    ("Cookie", "session=0123456789abcdef; theme=dark"),
    ("Referer", "https://www.example.org/start"),
    ("Upgrade-Insecure-Requests", "1"),
    ("Cache-Control", "max-age=0"),
];

struct Case {
    name: String,
    uri: &'static str,
    kind: Option<&'static str>,
    body: Vec<u8>,
}

fn main() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let folder = std::env::var_os("BULKHEAD_CRS").map_or(beside, PathBuf::from);
    if !folder.join("rules").is_dir() {
        eprintln!("skipped: {} is not there; set BULKHEAD_CRS", folder.display());
        return;
    }
    let mut settings = Settings::default();
    // The largest bodies are to be inspected as a whole.
    settings.limits.arguments = 1_000_000;
    settings.limits.nodes = 1_000_000;
    if let Ok(level) = std::env::var("PARANOIA") {
        settings.variables.push(("blocking_paranoia_level".to_owned(), level));
    }
    if std::env::var_os("NAIVE").is_some() {
        settings.evaluation = Evaluation::Naive;
    }
    let sources = [
        Source::Text { name: "engine".to_owned(), text: ENGINE.to_owned() },
        Source::Path(folder.join("rules/*.conf")),
    ];
    let (start, before) = (Instant::now(), on_processor());
    let rules = RuleSet::load(&sources, settings).expect("CRS loads");
    println!(
        "loading {} rules: {:.2} s ({:.2} s of CPU)",
        rules.len(),
        start.elapsed().as_secs_f64(),
        (on_processor() - before).as_secs_f64()
    );
    let mut transaction = Transaction::new(Arc::new(rules), None);
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    for case in cases().iter().filter(|case| case.name.starts_with(&only)) {
        measure(&mut transaction, case);
    }
    println!("{}", memory());
}

fn measure(transaction: &mut Transaction, case: &Case) {
    let cold = on_processor();
    let verdict = run(transaction, case);
    let first = (on_processor() - cold).max(Duration::from_micros(20));
    let rounds = (Duration::from_millis(300).as_nanos() / first.as_nanos()).clamp(3, 3000);
    for _ in 0..rounds / 3 {
        let _ = run(transaction, case);
    }
    let start = on_processor();
    for _ in 0..rounds {
        let _ = run(transaction, case);
    }
    let each = (on_processor() - start) / u32::try_from(rounds).unwrap();
    let hits: Vec<u64> = transaction.hits().iter().map(|hit| hit.rule).collect();
    println!(
        "{:<22} {:>9} bytes {:>10.1} us {:>9} units of work {} {hits:?}",
        case.name,
        case.body.len(),
        each.as_secs_f64() * 1e6,
        transaction.work(),
        if verdict == Verdict::Pass { "passes" } else { "does not pass" },
    );
}

fn run(transaction: &mut Transaction, case: &Case) -> Verdict {
    transaction.begin(1_790_000_000, b"0123456789abcdef");
    transaction.connection("203.0.113.9:40000".parse().unwrap(), "192.0.2.1:443".parse().unwrap());
    let method: &[u8] = if case.kind.is_some() { b"POST" } else { b"GET" };
    transaction.request_line(method, case.uri.as_bytes(), b"HTTP/1.1");
    for (name, value) in HEADERS {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    if let Some(kind) = case.kind {
        transaction.request_header(b"Content-Type", kind.as_bytes());
        transaction.request_header(b"Content-Length", case.body.len().to_string().as_bytes());
    }
    match transaction.request_headers() {
        Verdict::Pass => transaction.request_body(&case.body),
        other => other,
    }
}

fn cases() -> Vec<Case> {
    let get = |name: &str, uri| Case { name: name.to_owned(), uri, kind: None, body: Vec::new() };
    let mut cases = vec![
        get("GET with arguments", "/shop/list?page=2&sort=price&category=garden+tools&q=blue+watering+can"),
        get("GET static", "/static/app.js"),
        get("GET attack", "/?a=1'+or+'1'='1&b=%3Cscript%3Ealert(1)%3C/script%3E"),
    ];
    let mut post = |name: String, kind, body: String| {
        cases.push(Case { name, uri: "/form", kind: Some(kind), body: body.into_bytes() })
    };
    post("form 30 fields".to_owned(), FORM, fields(1024));
    let objects: Vec<String> = (0..600).map(object).collect();
    post("JSON 600 objects".to_owned(), JSON, format!("[{}]", objects.join(",")));
    for kib in [1, 16, 64, 256] {
        let size = kib * 1024;
        post(format!("form {kib} KiB"), FORM, fields(size));
        post(
            format!("prose {kib} KiB"),
            FORM,
            format!("text={}", "The+quick+brown+fox+jumps+over+the+lazy+dog.+".repeat(size / 45)),
        );
        let objects: Vec<String> = (0..)
            .map(object)
            .scan(0, |sum, text| {
                *sum += text.len();
                (*sum < size).then_some(text)
            })
            .collect();
        post(format!("JSON {kib} KiB"), JSON, format!("[{}]", objects.join(",")));
        let items: String = (0..size / 60)
            .map(|n| format!("<item id=\"{n}\"><name>user {n}</name><city>Springfield</city></item>"))
            .collect();
        post(format!("XML {kib} KiB"), "application/xml", format!("<list>{items}</list>"));
        let mut noise = String::new();
        let mut seed = 12_345_u64;
        while noise.len() < size {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let _ = write!(noise, "{seed:x}");
        }
        let head = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n";
        post(format!("multipart {kib} KiB"), "multipart/form-data; boundary=b", format!("{head}{noise}\r\n--b--\r\n"));
    }
    cases
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn fields(size: usize) -> String {
    const WORDS: [&str; 11] =
        ["hello", "world", "some", "quiet", "value", "12345", "red", "blue", "name", "address", "city"];
    let word = |number: usize| WORDS.iter().cycle().nth(number % 11).unwrap();
    let mut form = String::new();
    for number in 0.. {
        if form.len() + 40 > size {
            break;
        }
        let _ = write!(form, "field{number}={}+{}+{number}&", word(number), word(number * 7 + 3));
    }
    form.pop();
    form
}

fn object(number: usize) -> String {
    format!(
        "{{\"id\":{number},\"name\":\"user {number}\",\"email\":\"user{number}@example.org\",\"city\":\"Springfield {}\",\"active\":true,\"tag\":\"t{}\",\"n\":{}}}",
        number % 40,
        number % 7,
        number * 31
    )
}

/// How long this thread has been on a processor.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|text| text.parse().ok()).expect("a number of nanoseconds"))
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM")).collect::<Vec<_>>().join(" ")
}
