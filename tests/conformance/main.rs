//! One reading of every message, proved: raw HTTP/1 requests, answers of hostile backends and HTTP/2 streams, each with what must come of
//! it, judged on both sides by readers that share no code with Bulkhead.
//!
//! [`case`] says what a case is, [`requests`] are the tables, [`run`] sends them and judges with [`recorder`] (what left) and
//! [`answer`] (what came back); [`answers`] are what a hostile backend says; [`report`] counts: no failure, no false refusal, at most ten lenient.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod answer;
mod answers;
mod case;
mod recorder;
mod report;
mod requests;
mod run;

use std::sync::Arc;

use harness::backends::Backend;
use harness::world::Builder;
use harness::{World, within};

use case::Case;
use recorder::Record;
use run::Over;

fn world(name: &str, backend: &Backend) -> Builder {
    World::new(name)
        .set("http-filter", "body_idle_deadline", "\"2s\"")
        .set("http-filter", "header_deadline", "\"3s\"")
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
}

#[test]
fn requests_over_plain_http() {
    within(110, || {
        let backend = recorder::backend();
        let world = world("conform-plain", &backend).start();
        let report = run::run(&requests::all(), Over::Tcp(world.http()), || Record::of(&backend));
        report.assert_clean("plain HTTP");
        assert!(report.cases() >= 1200 && report.plain() >= 150, "{} cases, {} plain", report.cases(), report.plain());
    });
}

#[test]
fn requests_where_ambiguous_paths_are_rejected() {
    within(60, || {
        let backend = recorder::backend();
        let world = world("conform-ambiguous", &backend).set("http-filter", "path", "\"reject-ambiguous\"").start();
        let report = run::run(&requests::ambiguous(), Over::Tcp(world.http()), || Record::of(&backend));
        report.assert_clean("reject-ambiguous");
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
        let report = run::run(&sample, Over::Tls(world.https()), || Record::of(&backend));
        report.assert_clean("TLS");
    });
}

/// Answers that are not refused yet; the guard on backend connections is being built. Must be empty in the end.
const WAITING_FOR_THE_RESPONSE_GUARD: &[&str] = &[
    "head: LF only",
    "head: LF behind the status line",
    "head: LF as the empty line",
    "head: an empty line before",
    "head: an LF before",
    "line: X: a\\n",
    "line: last X: a\\n",
    "interim: bare LF",
    "length: ",
    "two lengths: ",
    "encoding: ",
    "two encodings: ",
    "both: ",
    "chunk extension: ",
    "chunk size: first 00000000000000003",
    "chunk size: second 00000000000000003",
];

#[test]
fn answers_of_a_hostile_backend() {
    within(110, || {
        const LANES: usize = 16;
        let cases = Arc::new(answers::all());
        let backends: Vec<Backend> = (0..LANES).map(|_| answers::backend(&cases)).collect();
        let mut builder = World::new("conform-answers").set("http-filter", "body_idle_deadline", "\"1s\"").set(
            "http-filter",
            "response_deadline",
            "\"1s\"",
        );
        for (lane, backend) in backends.iter().enumerate() {
            builder = builder
                .pool_with(&format!("lane-{lane}"), &[backend.address()], "idle_deadline = \"1s\"")
                .http_route(&format!("name = \"lane-{lane}\"\nhosts = [\"lane-{lane}.test\"]\npool = \"lane-{lane}\""));
        }
        let world = builder.start();
        let host = |lane: usize| format!("lane-{lane}.test");
        let report = answers::run(&cases, LANES, world.http(), host, WAITING_FOR_THE_RESPONSE_GUARD);
        report.assert_clean("answers");
        report.assert_waiting(WAITING_FOR_THE_RESPONSE_GUARD);
        assert!(report.cases() >= 400, "{} cases", report.cases());
    });
}
