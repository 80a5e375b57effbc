//! Clients that people have: openssl, gnutls, NSS and curl, in seventy-odd ways of being set up. Each verifies the certificate, gets a
//! body of several records, uploads one, and asks again on the same connection; every byte is compared, and so is what the
//! client says it agreed on.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use harness::backends::{Backend, application};
use harness::clients::curl::curl;
use harness::clients::frames::{block, flag, frame, kind, settings_payload};
use harness::clients::http::Answer;
use harness::{World, need, within};

use crate::program::{Program, gnutls, openssl};
use crate::world::{P384, SITE, for_each, start};

/// More than four records.
const DOWN: usize = 70_000;
/// Below what an HTTP/2 client has to open its window for.
const DOWN_H2: usize = 60_000;
/// Digits: no line of them is a command of `openssl s_client`.
const UP: usize = 30_000;

/// The program, and how it is set up.
enum Client {
    /// Arguments of `openssl s_client`.
    Openssl(&'static str),
    /// The same, speaking HTTP/2.
    OpensslH2(&'static str),
    /// The same twice: the second connection resumes the session of the first.
    OpensslResumes(&'static str),
    /// Priorities and arguments of `gnutls-cli`.
    Gnutls(&'static str, &'static str),
    /// Arguments of NSS's `tstclnt`.
    Nss(&'static str),
    /// Arguments of curl.
    Curl(&'static str),
}

impl Client {
    fn what(&self) -> &'static str {
        match self {
            Openssl(what) | OpensslH2(what) | OpensslResumes(what) | Nss(what) | Curl(what) | Gnutls(what, _) => what,
        }
    }
}

/// A client and what it must say that it agreed on.
type Case = (&'static str, Client, &'static [&'static str]);

use Client::{Curl, Gnutls, Nss, Openssl, OpensslH2, OpensslResumes};

const CASES: &[Case] = &[
    // TLS 1.3: suites, groups, certificates.
    (SITE, Openssl("-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256"), &["TLSv1.3", "TLS_AES_128_GCM_SHA256"]),
    (SITE, Openssl("-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384"), &["TLSv1.3", "TLS_AES_256_GCM_SHA384"]),
    (SITE, Openssl("-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256"), &["TLS_CHACHA20_POLY1305_SHA256"]),
    (SITE, Openssl("-tls1_3 -groups X25519"), &["X25519"]),
    (SITE, Openssl("-tls1_3 -groups P-256"), &["ECDH, prime256v1"]),
    (SITE, Openssl("-tls1_3 -groups P-384"), &["ECDH, secp384r1"]),
    // A share for a group that we do not have: HelloRetryRequest.
    (SITE, Openssl("-tls1_3 -groups P-521:P-256"), &["ECDH, prime256v1"]),
    (SITE, Openssl("-tls1_3 -groups X448:X25519 -ciphersuites TLS_AES_128_GCM_SHA256"), &["X25519"]),
    (SITE, Openssl("-tls1_3 -sigalgs ECDSA+SHA256"), &["Signature type: ECDSA"]),
    (SITE, Openssl("-tls1_3 -sigalgs RSA-PSS+SHA256"), &["Signature type: RSA-PSS"]),
    (SITE, Openssl("-tls1_3 -sigalgs RSA-PSS+SHA512"), &["Hash used: SHA512", "Signature type: RSA-PSS"]),
    (P384, Openssl("-tls1_3 -sigalgs ECDSA+SHA384:ECDSA+SHA256"), &["Hash used: SHA384", "Signature type: ECDSA"]),
    // TLS 1.2: every suite, both kinds of certificate.
    (SITE, Openssl("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256"), &["TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
    (SITE, Openssl("-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384"), &["ECDHE-ECDSA-AES256-GCM-SHA384"]),
    (SITE, Openssl("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305"), &["ECDHE-ECDSA-CHACHA20-POLY1305"]),
    (SITE, Openssl("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256"), &["ECDHE-RSA-AES128-GCM-SHA256"]),
    (SITE, Openssl("-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384"), &["ECDHE-RSA-AES256-GCM-SHA384"]),
    (SITE, Openssl("-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305"), &["ECDHE-RSA-CHACHA20-POLY1305"]),
    (
        SITE,
        Openssl("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 -sigalgs RSA+SHA256:ECDSA+SHA256"),
        &["Signature type: RSA"],
    ),
    (SITE, Openssl("-tls1_2 -groups P-384:P-256"), &["secp384r1"]),
    (P384, Openssl("-tls1_2"), &["Signature type: ECDSA"]),
    // Names and protocols.
    (SITE, Openssl("-tls1_3 -noservername"), &["TLSv1.3"]),
    (SITE, Openssl("-tls1_2 -noservername"), &["TLSv1.2"]),
    (SITE, Openssl("-tls1_3 -alpn http/1.1"), &["TLSv1.3"]),
    (SITE, Openssl("-tls1_2 -alpn http/1.1,http/1.0"), &["TLSv1.2"]),
    (SITE, OpensslH2("-tls1_3 -alpn h2,http/1.1"), &[]),
    (SITE, OpensslH2("-tls1_3 -alpn h2 -record_padding 512"), &[]),
    (SITE, OpensslH2("-tls1_2 -alpn h2"), &[]),
    // Tickets and sessions.
    (SITE, Openssl("-tls1_3 -no_ticket"), &["TLSv1.3"]),
    (SITE, Openssl("-tls1_2 -no_ticket"), &["TLSv1.2"]),
    (SITE, OpensslResumes("-tls1_3"), &["Reused, TLSv1.3"]),
    (SITE, OpensslResumes("-tls1_3 -allow_no_dhe_kex"), &["Reused, TLSv1.3"]),
    (SITE, OpensslResumes("-tls1_3 -groups P-521:P-256"), &["Reused, TLSv1.3"]),
    (SITE, OpensslResumes("-tls1_2"), &["Reused, TLSv1.2"]),
    // Records: small ones, split ones, padded ones; middleboxes without their compatibility.
    (SITE, Openssl("-tls1_3 -max_send_frag 512"), &["TLSv1.3"]),
    (SITE, Openssl("-tls1_2 -max_send_frag 512"), &["TLSv1.2"]),
    (SITE, Openssl("-tls1_3 -max_send_frag 1000 -split_send_frag 700"), &["TLSv1.3"]),
    (SITE, Openssl("-tls1_3 -maxfraglen 1024"), &["TLSv1.3"]),
    (SITE, Openssl("-tls1_2 -maxfraglen 512"), &["TLSv1.2"]),
    (SITE, Openssl("-tls1_3 -record_padding 4096"), &["TLSv1.3"]),
    (SITE, Openssl("-tls1_3 -record_padding 16384 -max_send_frag 600"), &["TLSv1.3"]),
    (SITE, Openssl("-tls1_3 -no_middlebox"), &["TLSv1.3"]),
    (SITE, Openssl("-no_tls1_3 -legacy_server_connect -comp"), &["TLSv1.2"]),
    (SITE, Openssl("-tls1_2 -no_etm -serverinfo 18,5"), &["TLSv1.2"]),
    (SITE, Openssl("-tls1_3 -status"), &["TLSv1.3"]),
    // gnutls.
    (SITE, Gnutls("NORMAL", "--alpn=http/1.1"), &["TLS1.3"]),
    (SITE, Gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM", ""), &["(AES-128-GCM)"]),
    (SITE, Gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-256-GCM", ""), &["(AES-256-GCM)"]),
    (SITE, Gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305", ""), &["(CHACHA20-POLY1305)"]),
    (SITE, Gnutls("NORMAL:-GROUP-ALL:+GROUP-SECP384R1", "--single-key-share"), &["SECP384R1"]),
    (SITE, Gnutls("NORMAL:-GROUP-ALL:+GROUP-FFDHE2048:+GROUP-X25519", "--single-key-share"), &["X25519"]),
    (SITE, Gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.2", "--noticket"), &["TLS1.2"]),
    (SITE, Gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA", ""), &["TLS1.2", "RSA"]),
    (SITE, Gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305", ""), &["(CHACHA20-POLY1305)"]),
    (SITE, Gnutls("SECURE128:%COMPAT", ""), &["TLS1.3"]),
    (SITE, Gnutls("NORMAL", "--disable-sni"), &["TLS1.3"]),
    (SITE, Gnutls("NORMAL", "--recordsize=1024"), &["TLS1.3"]),
    (SITE, Gnutls("NORMAL", "--resume --waitresumption"), &["This is a resumed session"]),
    (SITE, Gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.2", "--resume"), &["This is a resumed session"]),
    (P384, Gnutls("NORMAL", ""), &["ECDSA-SECP384R1-SHA384"]),
    // NSS, what Firefox has.
    (SITE, Nss("-V tls1.3:tls1.3"), &["SSL version 3.4"]),
    (SITE, Nss("-V tls1.2:tls1.2 -u -G"), &["SSL version 3.3"]),
    (SITE, Nss("-V tls1.2:tls1.3 -u -T -U -B"), &["SSL version 3.4"]),
    (SITE, Nss("-V tls1.3:tls1.3 -i 100"), &["SSL version 3.4"]),
    (SITE, Nss("-V tls1.3:tls1.3 -I x25519"), &["SSL version 3.4"]),
    (SITE, Nss("-V tls1.3:tls1.3 -I P384"), &["SSL version 3.4"]),
    (SITE, Nss("-V tls1.3:tls1.3 -J rsa_pss_rsae_sha256"), &["SSL version 3.4"]),
    (SITE, Nss("-V tls1.2:tls1.2 -g -u"), &["SSL version 3.3"]),
    (P384, Nss("-V tls1.2:tls1.3"), &["SSL version 3.4"]),
    // curl.
    (SITE, Curl("--http1.1 --tlsv1.3"), &["1.1"]),
    (SITE, Curl("--http2 --tlsv1.3"), &["2"]),
    (SITE, Curl("--http1.1 --tls-max 1.2"), &["1.1"]),
    (SITE, Curl("--http2 --tls-max 1.2"), &["2"]),
    (SITE, Curl("--no-alpn --tlsv1.3"), &["1.1"]),
    (SITE, Curl("--http2 --tls13-ciphers TLS_CHACHA20_POLY1305_SHA256 --curves P-384"), &["2"]),
    (P384, Curl("--http2"), &["2"]),
];

#[test]
fn every_client_is_served_every_byte() {
    let name = "every_client_is_served_every_byte";
    if !need(name, "openssl") || !need(name, "gnutls-cli") || !need(name, "tstclnt") || !need(name, "curl") {
        return;
    }
    assert!(CASES.len() >= 32);
    within(150, || {
        for_each(|handoff| {
            let backend = Backend::application();
            let world = start("matrix", handoff, &backend);
            let waiting: Mutex<VecDeque<&Case>> = Mutex::new(CASES.iter().collect());
            let failed: Mutex<Vec<&str>> = Mutex::default();
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        while let Some(case) = next(&waiting) {
                            // One that fails says why by its panic; the others are tried all the same.
                            let end = std::panic::catch_unwind(AssertUnwindSafe(|| try_client(&world, case)));
                            if end.is_err() {
                                failed.lock().expect("no panic inside").push(case.1.what());
                            }
                        }
                    });
                }
            });
            let failed = failed.into_inner().expect("no panic inside");
            assert!(failed.is_empty(), "{} of {} clients failed: {failed:#?}", failed.len(), CASES.len());
            assert_eq!(world.figure("http-filter", "connections"), 0, "they have all gone");
        });
    });
}

fn next<'a>(waiting: &Mutex<VecDeque<&'a Case>>) -> Option<&'a Case> {
    waiting.lock().expect("no panic inside").pop_front()
}

fn try_client(world: &World, (site, client, agreed): &Case) {
    let said = match client {
        Openssl(arguments) => by_openssl(world, site, arguments),
        OpensslH2(arguments) => by_openssl_h2(world, site, arguments),
        OpensslResumes(arguments) => by_openssl_twice(world, site, arguments),
        Gnutls(priorities, arguments) => by_gnutls(world, site, priorities, arguments),
        Nss(arguments) => by_nss(world, site, arguments),
        Curl(arguments) => by_curl(world, site, arguments),
    };
    for words in *agreed {
        assert!(said.contains(words), "{}: nothing is said of {words:?}: {said}", client.what());
    }
}

fn words<'a>(site: &'a str, arguments: &'a str) -> Vec<&'a str> {
    let mut words: Vec<&str> = arguments.split_whitespace().collect();
    if !arguments.contains("noservername") && !arguments.contains("disable-sni") {
        words.extend(["-servername", site]);
    }
    words
}

fn by_openssl(world: &World, site: &str, arguments: &str) -> String {
    let mut all = words(site, arguments);
    all.extend(["-brief", "-verify_hostname", site]);
    let mut program = openssl(world, &all);
    talk(&mut program, site, arguments);
    let (_, said) = program.end();
    assert!(said.contains("Verification: OK"), "{arguments}: {said}");
    said
}

/// Three requests of HTTP/1.1 on one connection.
fn talk(program: &mut Program, site: &str, what: &str) {
    let down = program.ask(format!("GET /bytes/{DOWN} HTTP/1.1\r\nHost: {site}\r\n\r\n").as_bytes());
    assert_body(&down, &application::pattern_of(DOWN), what);
    // What is typed at once and does not fit such a record is lost by gnutls-cli itself.
    let length = if what.contains("recordsize") { 900 } else { UP };
    let up: Vec<u8> = (0..length).map(|at| b'0' + (at % 7) as u8).collect();
    let head = format!("POST /echo HTTP/1.1\r\nHost: {site}\r\nContent-Length: {length}\r\n\r\n");
    let echo = program.ask(&[head.as_bytes(), &up].concat());
    assert_body(&echo, &up, what);
    let last = program.ask(format!("GET /last HTTP/1.1\r\nHost: {site}\r\n\r\n").as_bytes());
    assert!(last.status == 200 && last.text().starts_with("GET /last "), "{what}: {}", last.text());
}

fn assert_body(answer: &Answer, wanted: &[u8], what: &str) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.head);
    assert_eq!(answer.body.len(), wanted.len(), "{what}");
    let place = answer.body.iter().zip(wanted).position(|(came, wanted)| came != wanted);
    assert_eq!(place, None, "{what}: the first wrong byte");
}

fn by_openssl_h2(world: &World, site: &str, arguments: &str) -> String {
    let mut all = words(site, arguments);
    all.extend(["-quiet", "-verify_hostname", site]);
    let mut program = openssl(world, &all);
    let path = format!("/bytes/{DOWN_H2}");
    let fields = [(":method", "GET"), (":scheme", "https"), (":authority", site), (":path", path.as_str())];
    let mut bytes = harness::clients::frames::PREFACE.to_vec();
    bytes.extend(frame(kind::SETTINGS, 0, 0, &settings_payload(&[(1, 0)])));
    bytes.extend(frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block(&fields)));
    program.send(&bytes);
    let body = program.next("HTTP/2 answer", |new| Some((h2_body(new)?, new.len())));
    assert!(body == application::pattern_of(DOWN_H2), "{arguments}: {} bytes of another body", body.len());
    program.said()
}

/// The DATA of stream 1, once it is whole.
fn h2_body(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let head: [u8; 9] = bytes.get(..9)?.try_into().ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = bytes.get(9..9 + length)?;
        bytes = &bytes[9 + length..];
        if head[3] == kind::DATA && head[8] == 1 {
            body.extend_from_slice(payload);
            if head[4] & flag::END_STREAM != 0 {
                return Some(body);
            }
        }
    }
}

fn by_openssl_twice(world: &World, site: &str, arguments: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let session = folder.path().join("session");
    let session = session.to_string_lossy().into_owned();
    let mut said = String::new();
    for direction in ["-sess_out", "-sess_in"] {
        let mut all = words(site, arguments);
        all.extend(["-verify_hostname", site, direction, &session]);
        let mut program = openssl(world, &all);
        talk(&mut program, site, arguments);
        said = program.end().1;
    }
    said
}

fn by_gnutls(world: &World, site: &str, priorities: &str, arguments: &str) -> String {
    let name = format!("--sni-hostname={site}");
    let mut all: Vec<&str> = arguments.split_whitespace().collect();
    if !arguments.contains("disable-sni") {
        all.push(&name);
    }
    let mut program = gnutls(world, site, priorities, &all);
    program.wait_for("Simple Client Mode", 1);
    talk(&mut program, site, &format!("{priorities} {arguments}"));
    program.end().1
}

/// Without a database of authorities: the others verify.
fn by_nss(world: &World, site: &str, arguments: &str) -> String {
    let address = world.https();
    let mut command = Command::new("tstclnt");
    command.args(["-D", "-o", "-v", "-h", "127.0.0.1", "-a", site, "-p", &address.port().to_string()]);
    let mut program = Program::start(command.args(arguments.split_whitespace()));
    talk(&mut program, site, arguments);
    // It does not end by itself, whoever does.
    program.said()
}

fn by_curl(world: &World, site: &str, arguments: &str) -> String {
    let all: Vec<&str> = arguments.split_whitespace().collect();
    let down = curl(world, "https", site, &format!("/bytes/{DOWN}")).with(&all).run();
    assert_eq!((down.status, down.code), (200, 0), "{arguments}: {}", down.complaint);
    assert!(down.body == application::pattern_of(DOWN), "{arguments}: {} bytes of another body", down.body.len());
    let up = "7".repeat(UP);
    let echo = curl(world, "https", site, "/echo").with(&all).with(&["--data-binary", &up]).run();
    assert_eq!((echo.status, echo.text()), (200, up), "{arguments}: {}", echo.complaint);
    down.version
}
