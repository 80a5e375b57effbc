//! How much memory CRS takes (`$BULKHEAD_CRS`, or `../shared/crs`): resident memory of a process of its own for each paranoia level, after loading,
//! after calibration, after 1,000 requests (a tenth of them attacks), and with a second thread that ran them too. `cargo bench -p seclang --bench memory`.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use seclang::{RuleSet, Settings, Source, Transaction};

const ENGINE: &str = r#"
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecAction "id:900990,phase:1,pass,nolog,setvar:tx.crs_setup_version=4290"
"#;

const WORDS: [&str; 24] = [
    "shop",
    "garden+tools",
    "blue",
    "10%25+off",
    "it%27s",
    "%22quoted%22",
    "select",
    "a+table",
    "%28really%29",
    "name%40example.org",
    "2026-11-23",
    "order",
    "--",
    "union",
    "%3Cb%3E",
    "price",
    "customer",
    "J%C3%B6rg",
    "a%2Fb",
    "x%3D1%26y",
    "the",
    "quick",
    "fox",
    "12%3A30",
];

const ATTACKS: [&str; 10] = [
    "1%27+or+%271%27%3D%271",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "../../../../etc/passwd",
    "%3Bcat+/etc/passwd%7Csh",
    "%24%7Bjndi:ldap://x/a%7D",
    "%3C%3Fphp+system(1)%3B",
    "%27+union+select+1,2+from+users--+",
    "%7B%7B7*7%7D%7D",
    "%22+onmouseover%3Dalert(1)+x%3D%22",
    "O:8:%22stdClass%22:0:%7B%7D",
];

fn main() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let folder = std::env::var_os("BULKHEAD_CRS").map_or(beside, PathBuf::from);
    if !folder.join("rules").is_dir() {
        eprintln!("skipped: {} is not there; set BULKHEAD_CRS", folder.display());
        return;
    }
    if let Ok(level) = std::env::var("PARANOIA") {
        return one(&folder, &level);
    }
    for level in 1..=4 {
        let own = std::env::current_exe().expect("this program");
        let status = Command::new(own).env("PARANOIA", level.to_string()).status().expect("it runs again");
        assert!(status.success(), "level {level}");
    }
}

fn one(folder: &Path, level: &str) {
    let sources = [
        Source::Text { name: "engine".to_owned(), text: ENGINE.to_owned() },
        Source::Path(folder.join("rules/*.conf")),
    ];
    let requests = requests();
    let empty = resident();
    let variables = vec![("blocking_paranoia_level".to_owned(), level.to_owned())];
    let rules = Arc::new(RuleSet::load(&sources, Settings { variables, ..Settings::default() }).expect("CRS loads"));
    let mut line = format!("level {level}: empty process {}, with rules + {}", mebi(empty), mebi(resident() - empty));
    let start = Instant::now();
    let _ = rules.calibrate(&mut || start.elapsed());
    write!(line, ", calibrated + {}", mebi(resident() - empty)).unwrap();
    // Transactions stay, as those of a proxy do.
    let first = run(&rules, &requests);
    write!(line, ", 1,000 requests + {}", mebi(resident() - empty)).unwrap();
    let second =
        std::thread::scope(|scope| scope.spawn(|| (run(&rules, &requests), resident())).join().expect("no panic"));
    write!(line, ", on a second thread + {}", mebi(second.1 - empty)).unwrap();
    println!("{line}; peak + {}; {} matches", mebi(status("VmHWM") - empty), first.1 + second.0.1);
}

fn run(rules: &Arc<RuleSet>, requests: &[(String, String)]) -> (Transaction, usize) {
    let mut transaction = Transaction::new(Arc::clone(rules), None);
    let mut hits = 0;
    for (uri, body) in requests {
        transaction.begin(1_790_000_000, b"0123456789abcdef");
        transaction.request_line(if body.is_empty() { b"GET" } else { b"POST" }, uri.as_bytes(), b"HTTP/1.1");
        transaction.request_header(b"Host", b"www.example.org");
        transaction
            .request_header(b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
        transaction.request_header(b"Accept", b"*/*");
        match body.as_bytes().first() {
            Some(b'{') => transaction.request_header(b"Content-Type", b"application/json"),
            Some(_) => transaction.request_header(b"Content-Type", b"application/x-www-form-urlencoded"),
            None => {}
        }
        let _ = transaction.request_headers();
        let _ = transaction.request_body(body.as_bytes());
        hits += transaction.hit_count();
    }
    (transaction, hits)
}

/// Targets and bodies, the same in each run.
fn requests() -> Vec<(String, String)> {
    let mut seed = 1_u32;
    let mut below = |most: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(seed >> 8).unwrap() % most
    };
    let mut list = Vec::new();
    for number in 0..1000 {
        let mut text = |most| (0..=below(most)).map(|_| WORDS[below(WORDS.len())]).collect::<Vec<_>>().join("+");
        let path = text(1);
        let query = format!("q={}&page={number}&sort={}", text(4), text(1));
        let body = match number % 3 {
            0 => String::new(),
            1 => format!("title={}&text={}&tag={}", text(5), text(60), text(2)),
            _ => format!(
                "{{\"id\":{number},\"name\":\"{}\",\"list\":[\"{}\",\"{}\"],\"ok\":true}}",
                text(2),
                text(8),
                text(30)
            ),
        };
        let attack = if number % 10 == 0 { ATTACKS[below(ATTACKS.len())] } else { "" };
        list.push((format!("/{path}?{query}&x={attack}"), body));
    }
    list
}

fn mebi(kibi: usize) -> String {
    format!("{}.{} MiB", kibi / 1024, kibi % 1024 * 10 / 1024)
}

fn resident() -> usize {
    status("VmRSS")
}

/// A line of the kernel's figures about this process, in KiB.
fn status(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find(|line| line.starts_with(name)).expect("a figure of this name");
    line.split_ascii_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
}
