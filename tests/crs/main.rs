//! CRS's own regression tests (go-ftw format) as raw bytes through the whole product, over TCP and over TLS, in mode `detect` at paranoia
//! level 4: what the rules are told is what a client sent, whatever HTTP and TLS did in between.
//!
//! [`cases`], [`wire`], [`backend`] and [`compare`] are those of the engine's own test (`http-filter/seclang/tests/crs`): the same requests,
//! the same answers, the same expectations. [`world`] starts the product, [`send`] plays each case from an address of its own, [`heard`]
//! reads from the log what the product made of it, [`report`] counts and explains.
//!
//! CRS is `../shared/crs` or the folder in `$BULKHEAD_CRS`; where it is absent, the tests say so and pass. `BLESS=1` writes the table of
//! `docs/crs.md`; `CRS_TEST=920100` plays some cases only and shows what came of each.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../../http-filter/seclang/tests/crs/backend.rs"]
mod backend;
#[allow(dead_code, reason = "the engine's own test prints by group")]
#[path = "../../http-filter/seclang/tests/crs/cases.rs"]
mod cases;
#[path = "../../http-filter/seclang/tests/crs/compare.rs"]
mod compare;
#[path = "../../http-filter/seclang/tests/crs/wire.rs"]
#[allow(dead_code)] // the protocol: a proxy tells its backend its own
mod wire;

mod heard;
mod report;
mod send;
mod world;

use harness::within;

use report::Report;
use send::Over;

#[test]
fn the_tests_of_the_core_rule_set_over_tcp_and_tls() {
    let Some(crs) = world::crs() else { return };
    within(400, move || {
        let only = std::env::var("CRS_TEST").unwrap_or_default();
        let cases: Vec<_> = cases::load(&crs.join("tests/regression/tests"))
            .into_iter()
            .filter(|case| case.name.starts_with(&only))
            .collect();
        let server = world::backend();
        let world = world::start(&crs, &server, &cases);
        let mut report = Report::default();
        for over in [Over::Tcp, Over::Tls] {
            let answers = send::all(&world, over, &cases);
            let heard = heard::all(&world, over, cases.len());
            for ((case, answer), heard) in cases.iter().zip(&answers).zip(&heard) {
                report.add(over, case, *answer, heard);
            }
        }
        assert_eq!(world.figure("http-filter", "log_dropped"), 0, "the log lost lines");
        if only.is_empty() {
            report.publish();
        }
    });
}
