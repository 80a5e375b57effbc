//! Requests that are made to cost: nesting, thousands of parameters and parts, bodies that never end, hundreds of them at a time. Each is
//! refused with a reason or served, everybody else is answered meanwhile, and the process stays small.

use std::fmt::Write as _;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::backends::Backend;
use harness::clients::http::{self, Answer};
use harness::clients::{from, raw};
use harness::{World, eventually, processes, within};
use serde_json::Value;

const SECTION: &str = "http-filter.web-attacks";
const FORM: &str = "application/x-www-form-urlencoded";
/// Resident memory that http-filter may have needed at most, unoptimised, in KiB.
const MOST_MEMORY: u64 = 160 * 1024;

fn world(name: &str, rules: &str, keys: &[(&str, &str)]) -> (World, Backend) {
    let backend = Backend::application();
    let mut builder = World::new(name)
        .file("rules.conf", rules)
        .set("log", "format", "\"json\"")
        .set(SECTION, "mode", "\"block\"")
        .set(SECTION, "rules", if rules.is_empty() { "[]" } else { "[\"rules.conf\"]" });
    for (key, value) in keys {
        let (section, key) = key.rsplit_once('.').unwrap_or((SECTION, key));
        builder = builder.set(section, key, value);
    }
    (builder.pool("app", &[backend.address()]).serves("app").start(), backend)
}

fn head(kind: &str, length: usize) -> String {
    format!("POST /x HTTP/1.1\r\nHost: www.test\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n")
}

fn post(address: SocketAddr, kind: &str, body: &[u8]) -> Answer {
    let mut stream = raw::connect(address);
    // A refusal may come before the last byte is out.
    let _ = stream.write_all(head(kind, body.len()).as_bytes()).and_then(|()| stream.write_all(body));
    http::read_answer(&mut stream).expect("an answer")
}

fn get(address: SocketAddr) -> Answer {
    http::get(&mut raw::connect(address), "www.test", "/innocent").expect("an answer")
}

/// Many rules without a literal that could tell beforehand that they do not match: a megabyte costs them seconds.
fn costly() -> String {
    let mut rules = String::new();
    for number in 0..400 {
        let (first, second) = (number % 20 + 1, number / 20 + 1);
        writeln!(
            rules,
            "SecRule ARGS \"@rx [a-f]{{{first},40}}[g-m]{{{second},40}}[n-z]{{7,}}[a-m]{{9,}}[!-/]\" \"id:{},phase:2,pass,nolog\"",
            100_001 + number
        )
        .unwrap();
    }
    rules
}

/// Letters in which hardly anything matches, but almost; with one sign, so that it cannot be told beforehand either.
fn letters(length: usize) -> Vec<u8> {
    let mut body = b"q=!".to_vec();
    body.extend(b"abcdefghijklmnopqrstuvwxyzfedcbamlkjihgzyxwvutsrqpon".iter().cycle().take(length - 3));
    body
}

/// Name, content type, body, and how it may be refused.
type Hostile = (&'static str, &'static str, Vec<u8>, &'static [(u16, &'static str)]);

#[rustfmt::skip]
fn hostile() -> Vec<Hostile> {
    const LIMIT: &[(u16, &str)] = &[(413, "web-attack-limit")];
    const WRONG: &[(u16, &str)] = &[(400, "web-attack-body")];
    // Or a rule thinks so first.
    const NO_XML: &[(u16, &str)] = &[(400, "web-attack-body"), (403, "web-attack")];
    // Whatever the rules think of it.
    const ANY: &[(u16, &str)] = &[(200, "passed"), (403, "web-attack"), (403, "web-attack-budget")];
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>().into_bytes();
    let parts = |count: usize, kind: &str| many(count, &|number| format!("--b\r\nContent-Disposition: form-data; name=\"p{number}\"{kind}\r\n\r\n1\r\n")).into_iter().chain(*b"--b--\r\n").collect();
    let around = |before: &str, middle: Vec<u8>, after: &str| [before.as_bytes(), &middle, after.as_bytes()].concat();
    let multipart = "multipart/form-data; boundary=b";
    vec![
        ("JSON of 200,000 brackets", "application/json", vec![b'['; 200_000], LIMIT),
        ("JSON of 100,000 objects in each other", "application/json", b"{\"a\":".repeat(100_000), LIMIT),
        ("JSON of 200,000 numbers", "application/json", around("[0", b",0".repeat(200_000), "]"), LIMIT),
        ("JSON with a name of 100 KB", "application/json", around("{\"", vec![b'n'; 100_000], "\":1}"), LIMIT),
        ("JSON that breaks off", "application/json", b"{\"a\":\"b".to_vec(), WRONG),
        ("XML of 50,000 elements in each other", "text/xml", b"<a>".repeat(50_000), LIMIT),
        ("XML of 100,000 elements", "text/xml", around("<r>", b"<a/>".repeat(100_000), "</r>"), LIMIT),
        ("XML with a billion laughs", "text/xml", b"<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>".to_vec(), NO_XML),
        ("XML that breaks off", "text/xml", b"<a><b>".to_vec(), WRONG),
        ("10,000 parameters", FORM, many(10_000, &|number| format!("p{number}=v&")), LIMIT),
        ("500,000 ampersands", FORM, vec![b'&'; 500_000], &[(200, "passed"), (413, "web-attack-limit")]),
        ("a name of 100 KB", FORM, vec![b'n'; 100_000], LIMIT),
        ("10,000 parts", multipart, parts(10_000, ""), LIMIT),
        ("10,000 files", multipart, parts(10_000, "; filename=\"f\""), LIMIT),
        ("a part that breaks off", multipart, b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1".to_vec(), WRONG),
        ("more than rules look at", FORM, letters((1 << 20) + 1), LIMIT),
        ("a megabyte of (", FORM, around("q=", vec![b'('; (1 << 20) - 2], ""), ANY),
        ("a megabyte of quotes", FORM, around("q=", vec![b'\''; (1 << 20) - 2], ""), ANY),
        ("a megabyte of %", FORM, around("q=", b"%25".repeat((1 << 20) / 3 - 1), ""), ANY),
        ("a megabyte of /*", FORM, around("q=", b"/*".repeat((1 << 19) - 1), ""), ANY),
        ("a megabyte of <a", "application/json", around("{\"q\":\"", b"<a ".repeat((1 << 20) / 3 - 4), "\"}"), ANY),
    ]
}

#[test]
fn every_hostile_body_is_refused_with_a_reason_or_served_and_the_process_stays_small() {
    within(120, || {
        let (world, backend) = world("hostile", "", &[]);
        let mut wrong = Vec::new();
        for (number, (name, kind, body, expected)) in hostile().into_iter().enumerate() {
            backend.forget();
            let mut stream = from::connect_from(from::client_address(number as u32), world.http()).unwrap();
            let _ = stream.write_all(head(kind, body.len()).as_bytes()).and_then(|()| stream.write_all(&body));
            let answer = http::read_answer(&mut stream).expect("an answer");
            let line = line_of(&world, number as u32);
            let decision = line["decision"].as_str().unwrap_or_default();
            if !expected.contains(&(answer.status, decision)) {
                wrong.push(format!("{name}: {} {decision} instead of {expected:?}", answer.status));
            }
            let refused = answer.status != 200;
            let reason = line["reason"].as_str().unwrap_or_default();
            if refused && (reason.is_empty() || !answer.text().contains(reason)) {
                wrong.push(format!("{name}: does not say why: {:?}", answer.text()));
            }
            if refused && !backend.bytes().is_empty() {
                wrong.push(format!("{name}: the backend has some of it"));
            }
            drop(stream);
            assert_eq!(get(world.http()).status, 200, "after {name}");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_memory(&world);
    });
}

/// The line of the only request of this client.
fn line_of(world: &World, client: u32) -> Value {
    let address = format!("{}:", from::client_address(client));
    eventually(5, "the request has its line", || {
        let lines = world.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let own = |line: &Value| {
            line["message"] == "request" && line["client"].as_str().is_some_and(|client| client.starts_with(&address))
        };
        lines.into_iter().find(own)
    })
}

fn assert_memory(world: &World) {
    let most = processes::field(world.pid("http-filter"), "VmHWM").expect("a living process");
    let most: u64 = most.split_whitespace().next().and_then(|number| number.parse().ok()).expect("KiB");
    assert!(most <= MOST_MEMORY, "http-filter needed {most} KiB");
}

/// What is held of bodies is bounded. Two hundred clients send half of one each and wait.
#[test]
fn half_sent_bodies_take_what_they_may_and_no_more() {
    within(60, || {
        let held = [
            ("max_held", "\"64KiB\""),
            ("http-filter.body_idle_deadline", "\"20s\""),
            ("http-filter.min_body_rate", "0"),
        ];
        let (world, backend) = world("half-sent", "", &held);
        let half: Vec<TcpStream> = (0..200)
            .map(|number| {
                let mut stream = from::connect_from(from::client_address(number), world.http()).unwrap();
                stream.write_all(head(FORM, 4000).as_bytes()).unwrap();
                stream.write_all(&letters(2000)).unwrap();
                stream
            })
            .collect();
        eventually(10, "most of them are refused", || {
            (world.figure("http-filter", "web_attack_busy") >= 100).then_some(())
        });
        assert_eq!(get(world.http()).status, 200, "what has no body is served");
        let refused = post(world.http(), FORM, &letters(4000));
        assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{}", refused.text());
        assert!(backend.bytes().starts_with(b"GET /innocent "), "half a body went on");
        drop(half);
        eventually(10, "there is room again", || {
            (post(world.http(), FORM, &letters(4000)).status == 200).then_some(())
        });
        assert_memory(&world);
    });
}

/// A body that nobody sends ends at its deadline, and its place is free again although the client stays.
#[test]
fn bodies_that_do_not_come_are_given_up() {
    within(60, || {
        let (world, backend) =
            world("slow-bodies", "", &[("max_held", "\"64KiB\""), ("http-filter.body_idle_deadline", "\"1s\"")]);
        let mut slow: Vec<TcpStream> = (0..30)
            .map(|number| {
                let mut stream = from::connect_from(from::client_address(number), world.http()).unwrap();
                stream.write_all(head(FORM, 4000).as_bytes()).unwrap();
                stream.write_all(&letters(2000)).unwrap();
                stream
            })
            .collect();
        assert_eq!(get(world.http()).status, 200);
        for stream in &mut slow {
            let answer = http::read_answer(stream).expect("an answer");
            assert_eq!(answer.status, 408, "{}", answer.text());
        }
        assert_eq!(post(world.http(), FORM, &letters(4000)).status, 200);
        assert!(
            !String::from_utf8_lossy(&backend.bytes())
                .contains("POST /x HTTP/1.1\r\nhost: www.test\r\ncontent-type: x")
        );
    });
}

/// The budget ends what costs too much, in the words of the configuration.
#[test]
fn a_spent_budget_refuses_or_passes_and_is_counted() {
    within(100, || {
        for (over_budget, status) in [("\"reject\"", 403), ("\"pass\"", 200)] {
            let (world, _backend) = world("budget", &costly(), &[("budget", "\"1ms\""), ("over_budget", over_budget)]);
            let answer = post(world.http(), FORM, &letters(1 << 18));
            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!(world.figure("http-filter", "web_attack_over_budget"), 1);
            assert_eq!(post(world.http(), FORM, &letters(100)).status, 200, "a small one costs little");
        }
    });
}

/// Bodies that cost seconds are looked at beside the event loop: others are answered in the meantime.
#[test]
fn others_are_answered_while_heavy_bodies_are_looked_at() {
    within(100, || {
        let (world, _backend) = world("heavy-bodies", &costly(), &[("budget", "\"1s\"")]);
        let (address, over) = (world.http(), AtomicBool::new(false));
        let meanwhile = thread::scope(|scope| {
            let heavy: Vec<_> =
                (0..3).map(|_| scope.spawn(move || post(address, FORM, &letters(1 << 20)).status)).collect();
            let others = scope.spawn(|| {
                let mut answered = 0;
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(get(address).status, 200);
                    assert_eq!(post(address, FORM, b"q=small").status, 200);
                    answered += 1;
                }
                answered
            });
            let statuses: Vec<u16> = heavy.into_iter().map(|one| one.join().expect("no panic inside")).collect();
            over.store(true, Ordering::SeqCst);
            assert!(statuses.iter().all(|status| matches!(status, 200 | 403)), "{statuses:?}");
            others.join().expect("no panic inside")
        });
        assert!(meanwhile >= 2, "only {meanwhile} others were answered meanwhile");
        assert_eq!(world.figure("http-filter", "web_attack_bodies_inspected"), 3 + u64::try_from(meanwhile).unwrap());
        assert_memory(&world);
    });
}
