//! Keys renewed in the middle (RFC 8446 §4.6.3), by the programs that people test with: by the client alone (`k`), and with an
//! answer asked for (`K`), again and again on one connection, with requests in between so that both directions are used.

use harness::backends::{Backend, application};
use harness::{World, need, within};

use crate::program::{Program, gnutls, openssl};
use crate::world::{SITE, for_each, start};

const DOWN: usize = 40_000;

/// Both directions work: an upload and a body of several records.
fn exchange(program: &mut Program, round: usize) {
    let up = vec![b'0' + (round % 8) as u8; 5_000 + round];
    let head = format!("POST /echo HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {}\r\n\r\n", up.len());
    let echo = program.ask(&[head.as_bytes(), &up].concat());
    assert_eq!((echo.status, echo.body == up), (200, true), "round {round}: {}", echo.head);
    let down = program.ask(format!("GET /bytes/{} HTTP/1.1\r\nHost: {SITE}\r\n\r\n", DOWN + round).as_bytes());
    assert!(down.status == 200 && down.body == application::pattern_of(DOWN + round), "round {round}: {}", down.head);
}

/// Types a command of s_client, as its reader wants it: a line by itself.
fn renew(program: &mut Program, letter: &str, done: usize) {
    program.send(format!("{letter}\n").as_bytes());
    program.wait_for("KEYUPDATE", done);
}

/// KeyUpdate messages (5 bytes) in what `-msgfile` has written, in one direction.
fn updates(messages: &std::path::Path, direction: &str) -> usize {
    let text = std::fs::read_to_string(messages).expect("s_client writes it");
    let fits = |line: &&str| line.starts_with(direction) && line.contains("KeyUpdate");
    text.lines().filter(fits).count()
}

fn by_openssl(world: &World, suite: &str, letters: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let messages = folder.path().join("messages");
    let file = messages.to_string_lossy().into_owned();
    let mut arguments = vec!["-tls1_3", "-ciphersuites", suite, "-servername", SITE, "-verify_hostname", SITE];
    arguments.extend(["-brief", "-no_ign_eof", "-msg", "-msgfile", &file]);
    let mut program = openssl(world, &arguments);
    exchange(&mut program, 0);
    for (round, letter) in (1..).zip(letters) {
        renew(&mut program, letter, round);
        exchange(&mut program, round);
    }
    // One answer to each that asked for one, and none to the others (§4.6.3).
    let asked = letters.iter().filter(|letter| **letter == "K").count();
    let (_, said) = program.end();
    assert_eq!(updates(&messages, ">>>"), letters.len(), "{suite}: {said}");
    assert_eq!(updates(&messages, "<<<"), asked, "{suite}: {letters:?}");
}

#[test]
fn openssl_renews_keys_as_often_as_it_likes() {
    let name = "openssl_renews_keys_as_often_as_it_likes";
    if !need(name, "openssl") {
        return;
    }
    within(90, || {
        for_each(|handoff| {
            let backend = Backend::application();
            let world = start("key-update", handoff, &backend);
            for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] {
                by_openssl(&world, suite, &["K", "k", "K", "K", "k", "k", "K", "k"]);
            }
            assert_eq!(world.figure("http-filter", "connections"), 0, "they have all gone");
        });
    });
}

#[test]
fn gnutls_renews_keys_as_often_as_it_likes() {
    let name = "gnutls_renews_keys_as_often_as_it_likes";
    if !need(name, "gnutls-cli") {
        return;
    }
    within(60, || {
        for_each(|handoff| {
            let backend = Backend::application();
            let world = start("key-update-gnutls", handoff, &backend);
            let priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3";
            let sni = format!("--sni-hostname={SITE}");
            let mut program = gnutls(&world, SITE, priorities, &["--inline-commands", &sni]);
            program.wait_for("Simple Client Mode", 1);
            exchange(&mut program, 0);
            for (round, command) in (1..).zip(["^rekey^", "^rekey1^", "^rekey1^", "^rekey^"]) {
                program.send(format!("{command}\n").as_bytes());
                program.wait_for("Rekey was completed", round);
                exchange(&mut program, round);
            }
            program.end();
        });
    });
}
