//! Generated requests under CRS 4 at paranoia level 4: the same rules must match in both engines, but for differences named here and in
//! `docs/crs.md`. `DIFFERENTIAL=5000` compares that many requests,
//! `DIFFERENTIAL_SEED=8` others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seclang::transform::Transform;
use seclang::{Evaluation, Store, Transaction};
use serde_json::{Value, json};

use super::generator;
use super::oracle::{Oracle, latin1};
use super::random::Random;
use super::run;
use super::wire::Request;

/// The map of `%uXXXX` as our transformation has it, in the format of ModSecurity.
fn unicode_map(folder: &Path) -> PathBuf {
    let (mut text, mut out) = (String::from("20127 (US-ASCII)\n"), Vec::new());
    for code in 0x80..=0xffff_u32 {
        Transform::UrlDecodeUni.apply(format!("%u{code:04x}").as_bytes(), &mut out);
        write!(text, "{code:04x}:{:02x} ", out[0]).unwrap();
    }
    let path = folder.join("unicode.mapping");
    std::fs::write(&path, text + "\n").unwrap();
    path
}

/// CRS for the oracle: the same sources as [`run::rules`].
fn sources(crs: &Path, map: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(crs.join("rules")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    let mut sources = vec![
        json!({ "text": format!("{}\nSecUnicodeMapFile {} 20127\n", run::ENGINE, map.display()) }),
        json!({ "file": crs.join("crs-setup.conf.example") }),
        json!({ "text": run::TESTS }),
    ];
    sources.extend(files.into_iter().map(|path| json!({ "file": path })));
    sources
}

fn order(request: &Request) -> Value {
    let headers: Vec<[String; 2]> = request.headers.iter().map(|(name, value)| [latin1(name), latin1(value)]).collect();
    let version = latin1(&request.protocol).replace("HTTP/", "");
    json!({
        "method": latin1(&request.method), "uri": latin1(&request.uri), "version": version, "headers": headers, "body": latin1(&request.body),
        "client": "127.0.0.1", "response": { "status": 200, "headers": [["Content-Length", "0"]], "body": "" },
    })
}

/// The rules that look at `REQUEST_BODY`.
fn rules_on_bodies(crs: &Path) -> BTreeSet<u64> {
    let (mut found, mut named) = (BTreeSet::new(), false);
    for file in std::fs::read_dir(crs.join("rules")).unwrap().map(|entry| entry.unwrap().path()) {
        for line in std::fs::read_to_string(file).unwrap_or_default().lines().map(str::trim) {
            if let Some(rule) = line.strip_prefix("SecRule ") {
                named = rule
                    .split(' ')
                    .next()
                    .is_some_and(|targets| targets.split('|').any(|target| target == "REQUEST_BODY"));
            } else if let Some(id) = line.strip_prefix("\"id:").filter(|_| named) {
                found.extend(id.trim_end_matches(",\\").parse::<u64>());
            }
        }
    }
    found
}

/// Why the verdict of a rule may differ, which has been looked into; nothing if it must not.
fn explained(rule: u64, request: &Request, on_bodies: &BTreeSet<u64>) -> Option<&'static str> {
    let body_is_taken_apart = request.headers.iter().any(|(name, value)| {
        name == b"Content-Type"
            && [&b"application/json"[..], b"text/xml", b"multipart/"].iter().any(|kind| value.starts_with(kind))
    });
    match rule {
        949_110 => Some("the score of requests with other differences"),
        980_170 => Some("3.0.9 does not report a match to the server's log if the rule says noauditlog"),
        _ if body_is_taken_apart && on_bodies.contains(&rule) => {
            Some("3.0.9 fills REQUEST_BODY with every body, ModSecurity 2 and CRS's tests want it only with raw ones")
        }
        934_100 | 934_130 | 934_160 => Some("t:base64Decode: 3.0.9 empties what is not base64; 3.0.13 keeps it"),
        942_130 | 942_131 | 942_521 => Some(
            "a chain looks at the captures of the last argument; 3.0.9 visits arguments in the order of a hash table",
        ),
        _ => None,
    }
}

#[test]
fn generated_requests_match_the_same_rules() {
    let Some(crs) = run::crs() else { return };
    let directory = tempfile::tempdir().unwrap();
    let Some(mut oracle) = Oracle::start(&sources(&crs, &unicode_map(directory.path()))) else { return };
    let mut transaction = Transaction::new(run::rules(&crs, Evaluation::Planned), Some(Arc::new(Store::new(1000))));
    let number = |name: &str| std::env::var(name).ok().and_then(|count| count.parse::<u64>().ok());
    let (count, seed) = (number("DIFFERENTIAL").unwrap_or(300), number("DIFFERENTIAL_SEED").unwrap_or(7));
    let on_bodies = rules_on_bodies(&crs);
    assert!(on_bodies.contains(&920_272));
    let mut known = BTreeMap::<&str, usize>::new();
    let (mut random, mut differences, mut hits) = (Random::new(seed), BTreeMap::<String, Vec<String>>::new(), 0);
    for _ in 0..count {
        let request = generator::request(&mut random);
        run::judge(&mut transaction, &request);
        let ours: BTreeSet<u64> = transaction.hits().iter().map(|hit| hit.rule).collect();
        let theirs: BTreeSet<u64> = oracle.hits(&order(&request)).iter().map(|hit| u64::from(hit.id)).collect();
        hits += theirs.len();
        let different: Vec<u64> = ours.symmetric_difference(&theirs).copied().collect();
        for rule in &different {
            assert!(
                *rule != 949_110 || different.iter().any(|other| *other < 949_000),
                "the score of {}",
                order(&request)
            );
            if let Some(why) = explained(*rule, &request, &on_bodies) {
                *known.entry(why).or_default() += 1;
                continue;
            }
            let who = if ours.contains(rule) { "only ours" } else { "only theirs" };
            let found: Vec<String> =
                transaction.hits().iter().filter(|hit| hit.rule == *rule).map(|hit| latin1(&hit.data)).collect();
            differences.entry(format!("{rule} {who}")).or_default().push(format!("{found:?} {}", order(&request)));
        }
    }
    eprintln!("{count} requests, {hits} matches in libmodsecurity; differences that are known: {known:#?}");
    let text: String = differences
        .iter()
        .map(|(what, requests)| format!("{what}: {} times, such as {}\n", requests.len(), requests[0]))
        .collect();
    assert!(differences.is_empty(), "{text}");
}
