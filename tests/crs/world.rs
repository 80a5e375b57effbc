//! The product with CRS in front of the backend that CRS's tests expect.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use harness::World;
use harness::backends::{Backend, Talk};

use crate::cases::Case;
use crate::{backend, wire};

/// The settings of CRS's tests, from their README: what is beyond our own keys.
const TESTS: &str = r#"
SecAction "id:900005,phase:1,nolog,pass,ctl:ruleRemoveById=910000,setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"
"#;

/// The name of the site over TLS where a request has no host that a site could have.
pub const SITE: &str = "localhost";

/// The folder with CRS, if it is there.
pub fn crs() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/crs"));
    let found = std::env::var_os("BULKHEAD_CRS").map_or(beside, PathBuf::from);
    if found.join("rules").is_dir() {
        return Some(found);
    }
    eprintln!("skipped: {} is not there; set BULKHEAD_CRS", found.display());
    None
}

/// Albedo, as the engine's own test plays it.
pub fn backend() -> Backend {
    Backend::talking(|mut talk| {
        loop {
            let request = request(&mut talk)?;
            let response = backend::answer(&wire::read(&request));
            let mut head = format!("HTTP/1.1 {} OK\r\n", response.status);
            for (name, value) in &response.headers {
                head += &format!("{name}: {value}\r\n");
            }
            talk.say(&[head.as_bytes(), b"\r\n"].concat())?;
            if !request.starts_with(b"HEAD ") {
                talk.say(&response.body)?;
            }
        }
    })
}

/// One request, with its body, as it came.
fn request(talk: &mut Talk) -> io::Result<Vec<u8>> {
    let mut bytes = talk.read_until(b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes).to_lowercase();
    if head.contains("\r\ntransfer-encoding:") {
        loop {
            let line = talk.read_until(b"\r\n")?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16);
            let size = size.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            bytes.extend(line);
            bytes.extend(talk.read_exactly(size + 2)?);
            if size == 0 {
                return Ok(bytes);
            }
        }
    }
    let length =
        head.split("\r\ncontent-length:").nth(1).and_then(|rest| rest.split("\r\n").next()?.trim().parse().ok());
    bytes.extend(talk.read_exactly(length.unwrap_or(0))?);
    Ok(bytes)
}

/// The host of a case, if it is a name that a certificate can have.
pub fn site(case: &Case) -> Option<String> {
    let header = case.input.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = header?.1.to_ascii_lowercase();
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    (host.split('.').all(label) && !host.split('.').all(number)).then_some(host)
}

/// Starts it. Nothing that is not about rules may refuse a case.
pub fn start(crs: &Path, server: &Backend, cases: &[Case]) -> World {
    let mut sites: BTreeSet<String> = cases.iter().filter_map(site).collect();
    sites.insert(SITE.to_owned());
    let sites: Vec<&str> = sites.iter().map(String::as_str).collect();
    let mut builder = World::new("crs")
        .set("log", "format", "\"json\"")
        .set("log", "buffer", "\"64MiB\"")
        .set("http-filter", "body_idle_deadline", "\"2s\"")
        .set("http-filter", "header_deadline", "\"2s\"");
    let rules = format!("[{:?}, \"tests.conf\", {:?}]", crs.join("crs-setup.conf.example"), crs.join("rules/*.conf"));
    for (key, value) in [
        ("mode", "\"detect\""),
        ("paranoia", "4"),
        ("responses", "true"),
        ("max_arguments", "1000"),
        ("max_depth", "256"),
        // What a slow machine may spend is no matter here.
        ("budget", "\"5s\""),
        ("unread_types", "[]"),
        // Patterns of the tests are about what was masked.
        ("mask", "[]"),
        ("rules", &rules),
    ] {
        builder = builder.set("http-filter.web-attacks", key, value);
    }
    builder.file("tests.conf", TESTS).terminates(&sites).pool("app", &[server.address()]).serves("app").start()
}
