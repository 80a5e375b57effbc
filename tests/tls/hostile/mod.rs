//! What strangers do who want harm, four hundred ways of it, and what becomes of them: by us in every hand-over, and by bare
//! rustls ([`crate::bare`]). The verdicts must be the same, or better by a reason that stands in [`BETTER`].
//!
//! The ideas are those of tlsfuzzer's scripts for TLS 1.3 (finished, record layer limits, zero length data, padding, CCS, KeyUpdate,
//! unrecognised groups, shuffled and many extensions, alerts, session id…); the code is ours, and knows both sides' keys.

mod handshakes;
mod hellos;
mod records;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use harness::backends::Backend;
use harness::within;

use crate::bare::Bare;
use crate::strange::Verdict;
use crate::world::{Handoff, for_each, start};

/// A name, and what is done.
type Probe = (String, Box<dyn Fn(SocketAddr) -> Verdict + Send + Sync>);

/// Where we differ from rustls on purpose: the beginning of a probe's name, what we say, and why.
const BETTER: &[(&str, &[Verdict], &str)] = &[
    // The router looks at what comes before the terminator does, and never reads a byte of what is no ClientHello.
    ("first: SSLv2", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("first: a close_notify", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("first: a fatal alert", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("first: an empty alert", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("first: an unknown type", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("first: data", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("ccs: before the hello", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("sent: in a record of version 0x0000", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("sent: in a record of version 0xffff", &[Verdict::Reset, Verdict::Closed], NO_TLS),
    ("first: plain HTTP", &[Verdict::Garbage], "it is told so, in plain HTTP"),
    ("first: a ServerHello", &[Verdict::Alert(10)], "unexpected_message is what it is"),
    ("first: a record that says it has 65535 bytes", &[Verdict::Alert(22)], "record_overflow is what it is"),
    ("sent: an empty record first", &[Verdict::Alert(22)], "a length that no record may have"),
    // Whatever is less than the whole hello does not wake the router before its deadline.
    (
        "sent: half of it, then",
        &[Verdict::Alert(10), Verdict::Silent],
        "unexpected_message, if it is seen before the deadline",
    ),
    ("sent: twice in one record", &[Verdict::Alert(50)], BEHIND),
    ("sent: Finished glued to it", &[Verdict::Alert(50)], BEHIND),
    ("name: an address", &[Verdict::Alert(47)], "RFC 6066 §3: literal addresses are not permitted"),
    ("name: an empty name", &[Verdict::Alert(47)], "well-formed, but no name"),
    ("name: two names", &[Verdict::Alert(47)], "well-formed, but which?"),
    // The alert is sent; what is still unread by then makes the kernel reset the connection, and who comes first is chance.
    (
        "early: 20 records of 16640 bytes",
        &[Verdict::Alert(20), Verdict::Reset],
        "bad_record_mac, after too much to read on",
    ),
    ("version: legacy 0x0000", &[Verdict::Alert(70)], NO_VERSION),
    ("version: legacy 0x0002", &[Verdict::Alert(70)], NO_VERSION),
    ("version: legacy 0x7f1c", &[Verdict::Alert(70)], NO_VERSION),
    ("version: legacy 0xffff", &[Verdict::Alert(70)], NO_VERSION),
];

/// The same where http-filter's own record layer answers (`handoff = "secrets"`), which may also say what rustls says.
const RECORD_LAYER: &[(&str, &[Verdict], &str)] = &[
    ("alert: 0 0", &[Verdict::Alert(0)], LEVEL),
    ("alert: 3 0", &[Verdict::Alert(0)], LEVEL),
    ("alert: 1 10", &[Verdict::Closed], LEVEL),
    ("alert: 1 112", &[Verdict::Closed], LEVEL),
    ("alert: 1 255", &[Verdict::Closed], LEVEL),
    ("alert: 255 40", &[Verdict::Closed], LEVEL),
    ("alert: an empty one", &[Verdict::Alert(10)], "§5.1: unexpected_message for an empty alert"),
    (
        "message: ",
        &[Verdict::Alert(10)],
        "§4.6: unexpected_message for what may not come, whether or not it could be read",
    ),
    ("type: ", &[Verdict::Alert(10)], UNEXPECTED),
    ("end: another hello, in the clear", &[Verdict::Alert(10)], UNEXPECTED),
    ("end: plain HTTP", &[Verdict::Alert(10)], UNEXPECTED),
    ("in the segment of Finished: an unknown type", &[Verdict::Alert(10)], UNEXPECTED),
    ("record: a head that says", &[Verdict::Alert(22)], OVERFLOW),
    ("record: 16641 bytes of noise", &[Verdict::Alert(22)], OVERFLOW),
    ("record: 16684 bytes of noise", &[Verdict::Alert(22)], OVERFLOW),
    ("record: 40000 bytes of noise", &[Verdict::Alert(22)], OVERFLOW),
    ("record: 65535 bytes of noise", &[Verdict::Alert(22)], OVERFLOW),
    ("in the segment of Finished: a head that says 65535", &[Verdict::Alert(22)], OVERFLOW),
    ("in the segment of Finished: a record too long", &[Verdict::Alert(22)], OVERFLOW),
    ("version 0x", &[Verdict::Served], "§5.2: authenticated as it came; there is nothing to read into it"),
];

const LEVEL: &str =
    "§6: the level says nothing; every alert but close_notify and user_canceled ends the connection, unanswered";
const UNEXPECTED: &str = "§5: unexpected_message for a type that may not come, or is not sealed";
const OVERFLOW: &str = "§5.2: record_overflow, said as soon as the head is there";
const NO_TLS: &str = "not TLS: closed without having been read, so the kernel resets it";
const BEHIND: &str = "behind a ClientHello its record must end (RFC 8446 §5.1); the router says so before it is read";
const NO_VERSION: &str =
    "protocol_version for what never was a TLS version, as tlsfuzzer's legacy-version script wants it";

fn probe(name: impl Into<String>, act: impl Fn(SocketAddr) -> Verdict + Send + Sync + 'static) -> Probe {
    (name.into(), Box::new(act))
}

/// Runs all of them, several at a time: most of what takes time is waiting for a server that says nothing.
fn verdicts(probes: &[Probe], address: SocketAddr) -> BTreeMap<&str, Option<Verdict>> {
    let waiting: Mutex<Vec<&Probe>> = Mutex::new(probes.iter().collect());
    let found = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no panic inside").pop();
                    let Some((name, act)) = next else { return };
                    // A probe that panics has not got as far as it wanted.
                    let verdict = catch_unwind(AssertUnwindSafe(|| act(address))).ok();
                    found.lock().expect("no panic inside").insert(name.as_str(), verdict);
                }
            });
        }
    });
    found.into_inner().expect("no panic inside")
}

fn judge(handoff: Handoff, name: &str, ours: Option<Verdict>, theirs: Option<Verdict>) -> Option<String> {
    if let Some((_, wanted, why)) = BETTER.iter().find(|(start, ..)| name.starts_with(start)) {
        let fits = ours.is_some_and(|ours| wanted.contains(&ours));
        return (!fits).then(|| format!("{name}: {ours:?}, but {wanted:?} is wanted ({why})"));
    }
    let own = RECORD_LAYER.iter().filter(|_| handoff == Handoff::Secrets).find(|(start, ..)| name.starts_with(start));
    if own.is_some_and(|(_, wanted, _)| ours.is_some_and(|ours| wanted.contains(&ours))) {
        return None;
    }
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return Some(format!("{name}: {ours:?}, and bare rustls {theirs:?}"));
    };
    let as_good = match theirs {
        Verdict::Closed | Verdict::Reset | Verdict::Alert(0) => is_an_end(ours),
        // Waits for more: an end is better, a service is not.
        Verdict::Silent => ours == Verdict::Silent || is_an_end(ours),
        _ => ours == theirs,
    };
    (!as_good).then(|| format!("{name}: {ours:?}, and bare rustls {theirs:?}"))
}

fn is_an_end(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Closed | Verdict::Reset | Verdict::Alert(_))
}

#[test]
fn nobody_is_treated_worse_than_by_bare_rustls() {
    within(150, || {
        let probes: Vec<Probe> =
            [hellos::probes(), handshakes::probes(), records::probes()].into_iter().flatten().collect();
        let bare = Bare::start();
        let theirs = verdicts(&probes, bare.address);
        assert_eq!(theirs.len(), probes.len(), "two probes have one name");
        for_each(|handoff| {
            let backend = Backend::application();
            let world = start("hostile", handoff, &backend);
            let ours = verdicts(&probes, world.https());
            if std::env::var_os("BULKHEAD_TEST_VERDICTS").is_some() {
                ours.iter().for_each(|(name, ours)| eprintln!("FIG {name}: {ours:?} / {:?}", theirs[name]));
            }
            let wrong: Vec<String> =
                ours.iter().filter_map(|(name, verdict)| judge(handoff, name, *verdict, theirs[name])).collect();
            assert!(wrong.is_empty(), "{} of {} probes: {wrong:#?}", wrong.len(), probes.len());
            drop(world);
        });
    });
}
