//! One reading of every message, proved: raw HTTP/1 requests, answers of hostile backends and HTTP/2 streams, each with what must come of
//! it, judged on both sides by readers that share no code with Bulkhead.
//!
//! [`case`] says what a case is, [`requests`] are the tables, [`run`] sends them and judges with [`recorder`] (what left) and
//! [`answer`] (what came back); [`streams`] the same over HTTP/2; [`answers`] are what a hostile backend says; [`report`] counts: no failure, no false refusal, at most ten lenient.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod answer;
mod answers;
mod case;
mod early;
mod recorder;
mod report;
mod requests;
mod run;
mod streams;

use std::sync::Arc;

use harness::backends::Backend;
use harness::world::Builder;
use harness::{World, within};

use case::{Case, Must};
use recorder::Record;
use run::{Manner, Over};

fn world(name: &str, backend: &Backend) -> Builder {
    World::new(name)
        .set("http-filter", "body_idle_deadline", "\"4s\"")
        .set("http-filter", "header_deadline", "\"5s\"")
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
}

#[test]
fn requests_over_plain_http() {
    within(110, || {
        let backend = recorder::backend();
        let world = world("conform-plain", &backend).start();
        let report = run::run(&requests::all(), Over::Tcp(world.http()), Manner::AtOnce, || Record::of(&backend));
        report.assert_clean("plain HTTP");
        assert!(report.cases() >= 1200 && report.plain() >= 150, "{} cases, {} plain", report.cases(), report.plain());
    });
}

#[test]
fn requests_where_ambiguous_paths_are_rejected() {
    within(60, || {
        let backend = recorder::backend();
        let world = world("conform-ambiguous", &backend).set("http-filter", "path", "\"reject-ambiguous\"").start();
        let report = run::run(&requests::ambiguous(), Over::Tcp(world.http()), Manner::AtOnce, || Record::of(&backend));
        report.assert_clean("reject-ambiguous");
    });
}

#[test]
fn requests_in_pieces() {
    within(110, || {
        let backend = recorder::backend();
        let world = world("conform-pieces", &backend).start();
        let cases = requests::all();
        let report = run::run(&cases, Over::Tcp(world.http()), Manner::InPieces, || Record::of(&backend));
        report.assert_clean("in pieces");
    });
}

#[test]
fn requests_behind_an_ordinary_one() {
    within(110, || {
        let backend = recorder::backend();
        let world = world("conform-behind", &backend).start();
        let cases = requests::all();
        let report = run::run(&cases, Over::Tcp(world.http()), Manner::Behind, || Record::of(&backend));
        report.assert_clean("behind another");
    });
}

/// A sample: every sixth case, so that each table is represented. Host must be the name TLS was opened for, so tables of hosts are left out.
#[test]
fn requests_over_tls() {
    within(110, || {
        let backend = recorder::backend();
        let world = world("conform-tls", &backend).start();
        let sample: Vec<Case> =
            requests::all().into_iter().filter(|case| !case.group().contains("host")).step_by(6).collect();
        let report = run::run(&sample, Over::Tls(world.https()), Manner::AtOnce, || Record::of(&backend));
        report.assert_clean("TLS");
    });
}

/// What must be refused is refused there too: the same guard stands in front of it.
#[test]
fn requests_to_the_forward_proxy() {
    within(110, || {
        let backend = recorder::backend();
        let world = World::new("conform-forward")
            .forwards_to(&[backend.address()])
            .set("forward-proxy", "header_deadline", "\"5s\"")
            .start();
        let about_framing = |case: &Case| {
            let other =
                ["host", "path", "target", "absolute", "method", "upgrade", "connection", "size", "request line"];
            let refused = matches!(case.must, Must::Refused(_) | Must::Broken | Must::Waits);
            refused && !other.iter().any(|group| case.group().contains(group))
        };
        let cases: Vec<Case> = requests::all().into_iter().filter(about_framing).collect();
        let over = Over::Proxy(world.proxy(), backend.address());
        let report = run::run(&cases, over, Manner::AtOnce, || Record::of_forwarded(&backend));
        report.assert_clean("forward proxy");
        assert!(report.cases() >= 500, "{} cases", report.cases());
    });
}

/// Lanes that ask a hostile backend at once, each with a pool of its own.
const LANES: usize = 16;

fn hostile_world(name: &str, stage: &Arc<answers::Stage>, pieces: usize) -> (World, Vec<Backend>) {
    let backends: Vec<Backend> = (0..LANES).map(|_| answers::backend(stage, pieces)).collect();
    let names: Vec<String> = (0..LANES).map(lane).collect();
    let mut builder = World::new(name)
        .set("http-filter", "body_idle_deadline", "\"3s\"")
        .set("http-filter", "response_deadline", "\"3s\"")
        .terminates(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, backend) in names.iter().zip(&backends) {
        let route = format!("name = \"{name}\"\nhosts = [\"{name}\"]\npool = \"{name}\"");
        builder = builder.pool(name, &[backend.address()]).http_route(&route);
    }
    (builder.start(), backends)
}

fn lane(number: usize) -> String {
    format!("lane-{number}.test")
}

#[test]
fn answers_of_a_hostile_backend() {
    within(110, || {
        let stage = answers::Stage::new(answers::all());
        let (world, _backends) = hostile_world("conform-answers", &stage, 1);
        let report = answers::run(&stage, LANES, answers::Client::Http1(world.http()), lane);
        report.assert_clean("answers");
        assert!(report.cases() >= 400, "{} cases", report.cases());
    });
}

#[test]
fn answers_of_a_hostile_backend_in_pieces() {
    within(110, || {
        // What a backend says behind its answer may come when the connection serves somebody else: that nobody can tell apart.
        let behind = ["splitting", "no body", "interim", "switch", "head", "both"];
        let whole = |case: &answers::Case| case.bytes.len() < 100_000 && !behind.contains(&case.group().0);
        let stage = answers::Stage::new(answers::all().into_iter().filter(whole).collect());
        let (world, _backends) = hostile_world("conform-answers-pieces", &stage, 4);
        let report = answers::run(&stage, LANES, answers::Client::Http1(world.http()), lane);
        report.assert_clean("answers in pieces");
        assert!(report.cases() >= 400, "{} cases", report.cases());
    });
}

#[test]
fn answers_of_a_hostile_backend_over_http_2() {
    within(110, || {
        // An upgrade cannot be asked for over HTTP/2.
        let cases: Vec<answers::Case> = answers::all().into_iter().filter(|case| case.asks.is_empty()).collect();
        let stage = answers::Stage::new(cases);
        let (world, _backends) = hostile_world("conform-answers-h2", &stage, 1);
        let report = answers::run(&stage, LANES, answers::Client::Http2(world.https()), lane);
        report.assert_clean("answers over HTTP/2");
        assert!(report.cases() >= 400, "{} cases", report.cases());
    });
}

/// Ordinary requests pass the forward proxy as what they are, but for Host, which it writes anew, and Via, which it adds.
#[test]
fn ordinary_requests_to_the_forward_proxy() {
    within(60, || {
        let backend = recorder::backend();
        let world = World::new("conform-forward-plain").forwards_to(&[backend.address()]).start();
        let via = |mut case: Case| {
            if let Must::Forwarded(sent) = &mut case.must {
                sent.host = backend.address().to_string();
                let before =
                    sent.fields.iter().position(|(name, _)| name == "via").map(|at| sent.fields.remove(at).1 + ", ");
                sent.fields.push(("via".into(), before.unwrap_or_default() + "1.1 bulkhead"));
            }
            case
        };
        let plain = |case: &Case| case.plain && case.group() == "plain";
        let cases: Vec<Case> = requests::all().into_iter().filter(plain).map(via).collect();
        let over = Over::Proxy(world.proxy(), backend.address());
        let report = run::run(&cases, over, Manner::AtOnce, || Record::of_forwarded(&backend));
        report.assert_clean("forward proxy, plain");
        assert!(report.plain() >= 150, "{} plain", report.plain());
    });
}

/// `underscore_headers`: dropping is the default and judged with all other cases.
#[test]
fn names_with_underscores_by_policy() {
    for policy in ["refuse", "keep"] {
        within(60, move || {
            let backend = recorder::backend();
            let value = format!("\"{policy}\"");
            let world = world("conform-underscores", &backend).set("http-filter", "underscore_headers", &value).start();
            let report =
                run::run(&requests::underscores(policy == "keep"), Over::Tcp(world.http()), Manner::AtOnce, || {
                    Record::of_forwarded(&backend)
                });
            report.assert_clean(policy);
        });
    }
}

#[test]
fn answers_before_the_body() {
    within(60, || {
        let backend = early::backend();
        let world = world("conform-early", &backend).start();
        let mut wrong = early::over_http_1(world.http());
        wrong.extend(early::over_http_2(world.https()).err());
        wrong.extend(early::smuggled(&backend));
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

#[test]
fn streams_to_an_http_1_backend() {
    within(110, || {
        let backend = recorder::backend();
        let world = world("conform-h2", &backend).start();
        let report = streams::run(&streams::all(), world.https(), || Record::of(&backend), report::LENIENT);
        report.assert_clean("HTTP/2");
        assert!(report.cases() >= 400, "{} cases", report.cases());
    });
}
