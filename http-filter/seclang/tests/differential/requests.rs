//! Generated requests under CRS 4 at paranoia level 4: the same rules must match in both engines, but for differences named here and in
//! `docs/crs.md`. `DIFFERENTIAL=5000` compares that many requests.

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

/// Rules whose verdict may differ for reasons that have been looked into; nothing if it must not.
fn explained(rule: u64, request: &Request) -> Option<&'static str> {
    let _ = request;
    match rule {
        949_110 | 980_170 => Some("follows from the others"),
        _ => None,
    }
}

#[test]
fn generated_requests_match_the_same_rules() {
    let Some(crs) = run::crs() else { return };
    let directory = tempfile::tempdir().unwrap();
    let Some(mut oracle) = Oracle::start(&sources(&crs, &unicode_map(directory.path()))) else { return };
    let mut transaction = Transaction::new(run::rules(&crs, Evaluation::Planned), Some(Arc::new(Store::new(1000))));
    let count = std::env::var("DIFFERENTIAL").ok().and_then(|count| count.parse().ok()).unwrap_or(300);
    let (mut random, mut differences, mut hits) = (Random::new(7), BTreeMap::<String, Vec<String>>::new(), 0);
    for _ in 0..count {
        let request = generator::request(&mut random);
        run::judge(&mut transaction, &request);
        let ours: BTreeSet<u64> = transaction.hits().iter().map(|hit| hit.rule).collect();
        let theirs: BTreeSet<u64> = oracle.hits(&order(&request)).iter().map(|hit| u64::from(hit.id)).collect();
        hits += theirs.len();
        for rule in ours.symmetric_difference(&theirs).filter(|rule| explained(**rule, &request).is_none()) {
            let who = if ours.contains(rule) { "only ours" } else { "only theirs" };
            let shown = format!("{} {} {}", latin1(&request.method), latin1(&request.uri), latin1(&request.body));
            differences.entry(format!("{rule} {who}")).or_default().push(shown);
        }
    }
    eprintln!("{count} requests, {hits} matches in libmodsecurity");
    let text: String = differences
        .iter()
        .map(|(what, requests)| format!("{what}: {} times, such as {:?}\n", requests.len(), requests[0]))
        .collect();
    assert!(differences.is_empty(), "{text}");
}
