//! Much on one connection: large bodies both ways, compared by their hash; a great many small records; more records than one
//! key may seal.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256, digest};
use harness::backends::{Backend, Talk, application, websocket};
use harness::clients::curl::curl;
use harness::clients::http::{read_answer, read_head};
use harness::{need, within};

use crate::held::{Held, OLD_SUITES, SUITES, config};
use crate::program::openssl;
use crate::strange::{Strange, content};
use crate::world::{Handoff, SITE, describe, for_each, start};

const LARGE: usize = 64 << 20;
/// A whole number of periods of the pattern.
const BLOCK: usize = 251 * 256;

/// `/stream/N`: N bytes of the pattern, not kept in memory; anything with a body: its hash, in hexadecimal digits; a WebSocket
/// that echoes.
pub fn bulk(mut talk: Talk) -> io::Result<()> {
    let block = application::pattern_of(BLOCK);
    loop {
        let head = String::from_utf8_lossy(&talk.read_until(b"\r\n\r\n")?).into_owned();
        if application::header(&head, "upgrade").is_some() {
            talk.put_back(head.as_bytes());
            return websocket::talk(talk);
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        let body = if let Some(count) = path.strip_prefix("/stream/").and_then(|count| count.parse::<usize>().ok()) {
            talk.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n").as_bytes())?;
            let mut left = count;
            while left > 0 {
                let now = left.min(BLOCK);
                talk.say(&block[..now])?;
                left -= now;
            }
            continue;
        } else {
            let length = application::header(&head, "content-length").and_then(|length| length.parse().ok());
            let mut left: usize = length.unwrap_or(0);
            let mut hash = Context::new(&SHA256);
            let mut buffer = vec![0; 64 * 1024];
            while left > 0 {
                let most = left.min(buffer.len());
                let count = talk.read(&mut buffer[..most])?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                hash.update(&buffer[..count]);
                left -= count;
            }
            hex(hash.finish().as_ref())
        };
        talk.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hash of so many bytes of the pattern.
fn expected(count: usize) -> String {
    let block = application::pattern_of(BLOCK);
    let mut hash = Context::new(&SHA256);
    (0..count).step_by(BLOCK).for_each(|from| hash.update(&block[..BLOCK.min(count - from)]));
    hex(hash.finish().as_ref())
}

fn download(held: &mut Held) -> String {
    held.say(format!("GET /stream/{LARGE} HTTP/1.1\r\nHost: {SITE}\r\n\r\n").as_bytes());
    held.send_all();
    let head = read_head(held).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut left = LARGE;
    while left > 0 {
        let most = left.min(buffer.len());
        let count = held.read(&mut buffer[..most]).unwrap();
        assert!(count > 0, "the body ends {left} bytes early");
        hash.update(&buffer[..count]);
        left -= count;
    }
    hex(hash.finish().as_ref())
}

fn upload(held: &mut Held) -> String {
    held.say(format!("POST /hash HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes());
    let block = application::pattern_of(BLOCK);
    for from in (0..LARGE).step_by(BLOCK) {
        held.say(&block[..BLOCK.min(LARGE - from)]);
        held.send_all();
    }
    read_answer(held).unwrap().text()
}

#[test]
fn large_bodies_arrive_byte_for_byte() {
    let name = "large_bodies_arrive_byte_for_byte";
    if !need(name, "curl") {
        return;
    }
    within(150, || {
        let wanted = expected(LARGE);
        for_each(|handoff| {
            let backend = Backend::talking(bulk);
            let world = start("bulk", handoff, &backend);
            for suite in SUITES.into_iter().chain(OLD_SUITES).map(Some) {
                let mut held = Held::open(world.https(), config(suite));
                held.socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                // Both ways on one connection, so that neither direction's count is reset by the other.
                assert_eq!(upload(&mut held), wanted, "up with {suite:?}");
                assert_eq!(download(&mut held), wanted, "down with {suite:?}");
                backend.forget(); // or it would keep every upload
            }
            let came = curl(&world, "https", SITE, &format!("/stream/{LARGE}")).with(&["--http2"]).run();
            assert_eq!((came.status, came.body.len(), came.code), (200, LARGE, 0), "{}", came.complaint);
            assert_eq!(hex(digest(&SHA256, &came.body).as_ref()), wanted, "over HTTP/2");
        });
    });
}

#[test]
fn a_great_many_small_records_pass() {
    const SMALL: usize = 30_000;
    within(90, || {
        for_each(|handoff| {
            let backend = Backend::talking(bulk);
            let world = start("small-records", handoff, &backend);
            for suite in [SUITES[1], SUITES[2], OLD_SUITES[0], OLD_SUITES[2]].map(Some) {
                let mut held = Held::open(world.https(), config(suite));
                // To the server: a record for every byte.
                held.say(format!("POST /hash HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {SMALL}\r\n\r\n").as_bytes());
                for byte in application::pattern_of(SMALL) {
                    held.say(&[byte]);
                    if held.held.len() > 10_000 {
                        held.send_all();
                    }
                }
                held.send_all();
                assert_eq!(read_answer(&mut held).unwrap().text(), expected(SMALL), "{suite:?}");
                // From the server: answers, of which each is a record at least.
                for round in 0..50 {
                    (0..20).for_each(|at| {
                        held.say(format!("GET /stream/{at} HTTP/1.1\r\nHost: {SITE}\r\n\r\n").as_bytes())
                    });
                    held.send_all();
                    for at in 0..20 {
                        let answer = read_answer(&mut held).unwrap();
                        assert!(answer.body == application::pattern_of(at), "{suite:?}: answer {at} of round {round}");
                    }
                }
            }
        });
    });
}

/// KeyUpdate messages of the server, by what `-msgfile` has written.
fn renewals(messages: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(messages).expect("s_client writes it");
    text.lines().filter(|line| line.starts_with("<<<") && line.contains("KeyUpdate")).count()
}

#[test]
fn keys_are_renewed_before_they_wear_out() {
    const LIMIT: usize = 16;
    let name = "keys_are_renewed_before_they_wear_out";
    if !need(name, "openssl") {
        return;
    }
    within(90, || {
        let backend = Backend::talking(bulk);
        let limit = LIMIT.to_string();
        let world = describe("worn-keys", Handoff::Secrets, &backend).set("http-filter", "max_records_per_key", &limit);
        let world = world.start();
        for suite in SUITES {
            // A key seals 16 records and no more: 64 MiB need some 250 of them.
            let mut held = Held::open(world.https(), config(Some(suite)));
            held.socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            assert_eq!(download(&mut held), expected(LARGE), "{suite:?}");
            assert_eq!(upload(&mut held), expected(LARGE), "{suite:?}");
            backend.forget();
        }
        // And seen from outside: small answers, of which each is a record.
        let folder = tempfile::tempdir().unwrap();
        let messages = folder.path().join("messages");
        let file = messages.to_string_lossy().into_owned();
        let arguments = ["-tls1_3", "-servername", SITE, "-brief", "-no_ign_eof", "-msg", "-msgfile", &file];
        let mut program = openssl(&world, &arguments);
        for round in 0..10 * LIMIT {
            // The client renews its own key now and then, too.
            if round % 50 == 49 {
                program.send(b"K\n");
                program.wait_for("KEYUPDATE", round / 50 + 1);
            }
            let answer = program.ask(format!("GET /stream/{round} HTTP/1.1\r\nHost: {SITE}\r\n\r\n").as_bytes());
            assert!(answer.body == application::pattern_of(round), "answer {round}");
        }
        program.end();
        let seen = renewals(&messages);
        assert!(seen >= 9, "{seen} renewals in {} answers", 10 * LIMIT);
    });
}

/// Bytes of plaintext in each record of an answer with so many bytes.
fn record_sizes(strange: &mut Strange, count: usize) -> Vec<usize> {
    strange.say(content::DATA, format!("GET /stream/{count} HTTP/1.1\r\nHost: {SITE}\r\n\r\n").as_bytes());
    let (mut sizes, mut all) = (Vec::new(), Vec::new());
    loop {
        match strange.next() {
            Ok((content::DATA, bytes)) => {
                sizes.push(bytes.len());
                all.extend(bytes);
            }
            Ok((content::HANDSHAKE, _)) => {} // tickets
            other => panic!("{other:?} after {} bytes", all.len()),
        }
        // The head is in front of the body.
        let head = all.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
        if head > 0 && all.len() == head + count {
            assert!(all[head..] == application::pattern_of(count));
            return sizes;
        }
    }
}

#[test]
fn what_is_first_after_a_pause_comes_in_small_records() {
    const COUNT: usize = 400_000;
    /// One fits into a packet.
    const PACKET: usize = 1_500;
    within(60, || {
        let backend = Backend::talking(bulk);
        let world = describe("small-first", Handoff::Secrets, &backend).start();
        let mut strange = Strange::open(world.https());
        for pause in [Duration::ZERO, Duration::from_millis(1_600)] {
            std::thread::sleep(pause);
            let sizes = record_sizes(&mut strange, COUNT);
            let small = sizes.iter().take_while(|size| **size <= PACKET).count();
            assert!(small >= 5, "the first records after {pause:?}: {:?}", &sizes[..sizes.len().min(20)]);
            let largest = sizes.iter().max().copied().unwrap_or(0);
            assert!(largest > 10_000, "bulk comes in large ones: {largest}");
        }
        // And without a pause none is small but the last of a write.
        let sizes = record_sizes(&mut strange, COUNT);
        let small = sizes.iter().take_while(|size| **size <= PACKET).count();
        assert!(small <= 1, "without a pause: {:?}", &sizes[..sizes.len().min(20)]);
    });
}
