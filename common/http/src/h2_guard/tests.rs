//! Floods are found however the bytes are cut; busy decent clients are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

fn counts(each: u32) -> Counts {
    let some = Some(each);
    Counts {
        window: Duration::from_secs(10),
        resets: some,
        provoked_resets: some,
        settings: some,
        pings: some,
        priorities: some,
        empty_data: some,
        tiny_data: some,
        window_updates: some,
        unknown_frames: some,
        continuations: some,
        header_block: Some(1000),
    }
}

fn guard(each: u32) -> Guard {
    let mut guard = Guard::new(Arc::new(Budgets::new(&counts(each))));
    guard.received(PREFACE, 0).unwrap();
    guard
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[test]
fn each_kind_has_a_budget_of_its_own() {
    let cases: [(Flood, Vec<u8>); 10] = [
        (Flood::Resets, frame(kind::RST_STREAM, 0, 1, &[0; 4])),
        (Flood::Settings, frame(kind::SETTINGS, 0, 0, &[])),
        (Flood::Settings, frame(kind::SETTINGS, 1, 0, &[])),
        (Flood::Pings, frame(kind::PING, 0, 0, &[0; 8])),
        (Flood::Priorities, frame(kind::PRIORITY, 0, 3, &[0; 5])),
        (Flood::EmptyData, frame(kind::DATA, 0, 1, &[])),
        (Flood::EmptyData, frame(kind::DATA, PADDED, 1, &[99; 100])),
        (Flood::TinyData, frame(kind::DATA, 0, 1, &[1; 15])),
        (Flood::WindowUpdates, frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        (Flood::UnknownFrames, frame(0xfa, 0, 1, b"grease")),
    ];
    for (flood, bytes) in cases {
        let mut guard = guard(20);
        for number in 0..20 {
            assert_eq!(guard.received(&bytes, 5), Ok(()), "{flood}: number {number}");
        }
        assert_eq!(guard.received(&bytes, 5), Err(flood));
        assert_eq!(guard.verdict(), Err(flood));
    }
}

#[test]
fn a_budget_comes_back_with_time() {
    let mut guard = guard(10);
    let ping = frame(kind::PING, 0, 0, &[0; 8]);
    for second in 0..100 {
        guard.received(&ping, second * 1000).unwrap();
    }
    (0..10).for_each(|_| guard.received(&ping, 200_000).unwrap());
    assert_eq!(guard.received(&ping, 200_000), Err(Flood::Pings));
}

#[test]
fn data_that_ends_a_stream_or_is_worth_its_frame_is_free() {
    let mut guard = guard(1);
    for _ in 0..100 {
        guard.received(&frame(kind::DATA, END_STREAM, 1, &[]), 1).unwrap();
        guard.received(&frame(kind::DATA, 0, 1, &[0; 16]), 1).unwrap();
        guard.received(&frame(kind::DATA, PADDED, 1, &[[3; 20], [0; 20]].concat()), 1).unwrap();
    }
}

#[test]
fn header_blocks_end_somewhere() {
    let mut guard = guard(3);
    guard.received(&frame(kind::HEADERS, 0, 1, &[0; 10]), 1).unwrap();
    (0..3).for_each(|_| guard.received(&frame(kind::CONTINUATION, 0, 1, &[0; 10]), 1).unwrap());
    assert_eq!(guard.received(&frame(kind::CONTINUATION, 0, 1, &[0; 10]), 1), Err(Flood::Continuations));
    let mut guard = super::tests::guard(3);
    guard.received(&frame(kind::HEADERS, 0, 1, &[0; 900]), 1).unwrap();
    assert_eq!(guard.received(&frame(kind::CONTINUATION, 0, 1, &[0; 200]), 1), Err(Flood::HeaderBlock));
    let mut guard = super::tests::guard(3);
    for stream in 0..100 {
        guard.received(&frame(kind::HEADERS, 0, 2 * stream + 1, &[0; 900]), 1).unwrap();
        guard.received(&frame(kind::CONTINUATION, END_HEADERS, 2 * stream + 1, &[0; 100]), 1).unwrap();
    }
}

#[test]
fn answers_pay_for_resets_and_data_for_pings_and_window_updates() {
    let mut guard = guard(10);
    for number in 0..1000u32 {
        let stream = 2 * number + 1;
        guard.received(&frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &[0; 20]), 1).unwrap();
        guard
            .received(
                &[frame(kind::PRIORITY, 0, stream, &[0; 5]), frame(kind::PRIORITY, 0, stream, &[0; 5])].concat(),
                1,
            )
            .unwrap();
        guard.sent(&frame(kind::HEADERS, END_HEADERS, stream, &[0; 20]));
        guard.sent(&frame(kind::DATA, 0, stream, &[0; 5000]));
        guard.received(&frame(kind::PING, 0, 0, &[0; 8]), 1).unwrap();
        (0..8).for_each(|_| guard.received(&frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]), 1).unwrap());
        guard.sent(&frame(kind::DATA, END_STREAM, stream, &[]));
        guard.received(&frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]), 1).unwrap();
    }
}

#[test]
fn resets_that_the_client_provoked_count_and_our_own_do_not() {
    let mut guard = guard(10);
    (0..100).for_each(|_| guard.sent(&frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8])));
    assert_eq!(guard.verdict(), Ok(()));
    (0..11).for_each(|_| guard.sent(&frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 1])));
    assert_eq!(guard.verdict(), Err(Flood::ProvokedResets));
}

#[test]
fn only_work_counts_as_work() {
    let mut guard = guard(10);
    for idle in [frame(kind::PING, 0, 0, &[0; 8]), frame(kind::SETTINGS, 0, 0, &[]), frame(kind::DATA, 0, 1, &[])] {
        guard.received(&idle, 1).unwrap();
        assert!(!guard.worked());
    }
    guard.received(&frame(kind::HEADERS, END_HEADERS, 1, &[0; 20]), 1).unwrap();
    assert!(guard.worked() && !guard.worked());
    guard.sent(&frame(kind::DATA, 0, 1, &[0; 20]));
    assert!(guard.worked());
}

#[test]
fn a_goaway_stands_between_frames_only() {
    let mut guard = guard(10);
    guard.received(&frame(kind::HEADERS, END_HEADERS, 7, &[0; 20]), 1).unwrap();
    let goaway = frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 11]);
    assert_eq!(guard.goaway(11).unwrap().as_slice(), goaway);
    let data = frame(kind::DATA, 0, 7, &[0; 20]);
    guard.sent(&data[..4]);
    assert_eq!(guard.goaway(11), None);
    guard.sent(&data[4..28]);
    assert_eq!(guard.goaway(11), None);
    guard.sent(&data[28..]);
    assert!(guard.goaway(11).is_some());
}

#[test]
fn no_limit_means_none() {
    let none = Counts {
        resets: None,
        provoked_resets: None,
        settings: None,
        pings: None,
        priorities: None,
        empty_data: None,
        tiny_data: None,
        window_updates: None,
        unknown_frames: None,
        continuations: None,
        header_block: None,
        ..counts(1)
    };
    let mut guard = Guard::new(Arc::new(Budgets::new(&none)));
    guard.received(PREFACE, 0).unwrap();
    for kind in 0..=255 {
        (0..50).for_each(|_| guard.received(&frame(kind, 0, 1, &[0; 40]), 0).unwrap());
    }
}

proptest! {
    /// However the bytes are cut, the same frames are seen.
    #[test]
    fn cuts_change_nothing(
        frames in proptest::collection::vec((0u8..20, any::<u8>(), any::<u32>(), 0usize..300), 1..40),
        cuts in proptest::collection::vec(1usize..40, 1..200),
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|(kind, flags, stream, length)| frame(*kind, *flags, *stream, &vec![7; *length])).collect();
        let whole = { let mut seen = Vec::new(); Walker::of_server().feed(&bytes, |frame| seen.push(*frame)); seen };
        prop_assert_eq!(whole.len(), frames.len());
        let (mut walker, mut seen, mut rest) = (Walker::of_server(), Vec::new(), bytes.as_slice());
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*cut));
            walker.feed(now, |frame| seen.push(*frame));
            rest = later;
            if rest.is_empty() { break }
        }
        prop_assert_eq!(seen, whole);
        prop_assert!(walker.at_boundary());
    }

    #[test]
    fn junk_never_panics(bytes: Vec<u8>, now: u64) {
        let mut guard = guard(5);
        let _ = guard.received(&bytes, now);
        guard.sent(&bytes);
        let _ = (guard.goaway(1), guard.worked());
    }
}
