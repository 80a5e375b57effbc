//! Runs one stage through the engine and compares.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seclang::{Adjusted, Evaluation, Hit, RuleSet, Settings, Source, Transaction};

use super::backend;
use super::compare::{self, Matched};
use super::wire::Request;

/// What stands around the rules in CRS's own test set-up: the recommended configuration of the engine.
pub const ENGINE: &str = r#"
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecRequestBodyLimit 13107200
SecResponseBodyLimit 1048576
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z0-9.-]+[+])?json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,deny,status:400,msg:'Failed to parse request body.',logdata:'%{reqbody_error_msg}',severity:2"
"#;

/// The settings of CRS's tests, from their README.
pub const TESTS: &str = r#"
SecAction "id:900005,phase:1,nolog,pass,ctl:ruleEngine=DetectionOnly,ctl:ruleRemoveById=910000,setvar:tx.blocking_paranoia_level=4,setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"
"#;

/// The folder with CRS, if it is there.
pub fn crs() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/crs"));
    let found = std::env::var_os("BULKHEAD_CRS").map_or(beside, PathBuf::from);
    if found.join("rules").is_dir() {
        return Some(found);
    }
    eprintln!("skipped: {} is not there; set BULKHEAD_CRS", found.display());
    None
}

/// CRS as its tests want it.
pub fn rules(crs: &Path, evaluation: Evaluation) -> Arc<RuleSet> {
    load(crs, TESTS, Settings { evaluation, ..settings() })
}

/// Limits above those of CRS's tests.
pub fn settings() -> Settings {
    let limits = seclang::body::BodyLimits { arguments: 1000, depth: 512, ..Default::default() };
    Settings { limits, shown: 4096, ..Settings::default() }
}

/// CRS with the settings of its tests, `tests`.
pub fn load(crs: &Path, tests: &str, settings: Settings) -> Arc<RuleSet> {
    let text = |name: &str, text: &str| Source::Text { name: name.to_owned(), text: text.to_owned() };
    let path = |path: PathBuf| Source::Path(path);
    let sources = [
        text("engine", ENGINE),
        path(crs.join("crs-setup.conf.example")),
        text("tests", tests),
        path(crs.join("rules/*.conf")),
    ];
    match RuleSet::load(&sources, settings) {
        Ok(rules) => Arc::new(rules),
        Err(errors) => panic!("{}", errors.iter().map(|error| format!("{error}\n")).collect::<String>()),
    }
}

/// One request (and the answer to it) through all phases.
pub fn judge(transaction: &mut Transaction, request: &Request) {
    judge_adjusted(transaction, request, &[]);
}

/// The same, with adjustments.
pub fn judge_adjusted(transaction: &mut Transaction, request: &Request, adjusted: &[&Adjusted]) {
    transaction.begin(1_790_000_000, b"0123456789abcdef");
    assert!(adjusted.iter().all(|adjusted| transaction.apply(adjusted)), "made for these rules");
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    transaction.connection(address(40_000), address(80));
    transaction.request_line(&request.method, &request.uri, &request.protocol);
    for (name, value) in &request.headers {
        transaction.request_header(name, value);
    }
    let _ = transaction.request_headers();
    let _ = transaction.request_body(&request.body);
    let response = backend::answer(request);
    for (name, value) in &response.headers {
        transaction.response_header(name.as_bytes(), value.as_bytes());
    }
    let _ = transaction.response_headers(response.status, b"HTTP/1.1");
    let _ = transaction.response_body(&response.body);
    transaction.logging();
}

/// What matched, for [`super::compare`]; what is not printable is escaped.
pub fn matched(hits: &[Hit]) -> Vec<Matched> {
    let show = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            match byte {
                0x20..=0x7e => text.push(char::from(*byte)),
                _ => write!(text, "\\x{byte:02x}").expect("a string takes it"),
            }
            text
        })
    };
    let line = |hit: &Hit| compare::line(hit.rule, &show(&hit.message), &show(&hit.data));
    hits.iter().map(|hit| Matched { rule: hit.rule, line: line(hit) }).collect()
}
