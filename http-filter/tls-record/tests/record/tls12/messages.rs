//! Every content type and every message a peer can send after the handshake, limits, and the end of the numbers.

use std::io::IoSlice;

use tls_record::tls12::{RecordLayer, Suite, last_words};
use tls_record::{Alert, Fault, Limits, MAX_RECORD, Opened};

use super::peer::{Peer, pair, pair_at};

const NO_RENEGOTIATION: [u8; 2] = [1, 100];

fn aes() -> Suite {
    Suite::try_from(0xc02f).unwrap()
}

/// One suite per AEAD.
fn suites() -> [Suite; 3] {
    [0xc02b, 0xc030, 0xcca8].map(|number| Suite::try_from(number).unwrap())
}

fn nothing(layer: &mut RecordLayer, mut record: Vec<u8>) {
    let consumed = record.len();
    assert_eq!(layer.open(&mut record), Ok(Opened::Nothing { consumed }));
}

fn data(layer: &mut RecordLayer, mut record: Vec<u8>, text: &[u8]) {
    let consumed = record.len();
    assert_eq!(layer.open(&mut record), Ok(Opened::Data { consumed, plain: text }));
}

/// The record is refused with this fault, the peer is told with its alert, and nothing goes on afterwards.
fn refused(mut peer: Peer, mut layer: RecordLayer, mut record: Vec<u8>, fault: Fault) {
    assert_eq!(layer.open(&mut record), Err(fault));
    assert_eq!(layer.wants_control(), fault.alert().is_some());
    assert!(!layer.is_movable());
    let mut out = Vec::new();
    layer.control(&mut out);
    match fault.alert() {
        Some(alert) => {
            let mut sent = out.as_slice();
            assert_eq!(peer.receives.open(&mut sent), (vec![2, alert.0], 21), "{fault:?}");
            assert!(sent.is_empty());
        }
        None => assert!(out.is_empty()),
    }
    out.clear();
    layer.control(&mut out);
    layer.fail(&Fault::Internal, &mut out);
    layer.close(&mut out);
    assert_eq!(layer.seal(&[IoSlice::new(b"more")], 4, 4, &mut out), Err(fault));
    assert_eq!(layer.open(&mut peer.sends.record(23, b"more")), Err(fault));
    assert_eq!(layer.end(), Err(fault));
    assert!(out.is_empty() && !layer.wants_control(), "{fault:?}");
}

#[test]
fn every_type_but_three_is_refused_by_its_header() {
    for kind in (0..=255).filter(|kind| ![21, 22, 23].contains(kind)) {
        let (mut peer, layer) = pair(aes(), Limits::default());
        let record = peer.sends.record(kind, &[1]);
        refused(peer, layer, record, Fault::ContentType(kind));
        let (peer, layer) = pair(aes(), Limits::default());
        refused(peer, layer, vec![kind, 3, 3, 0, 1], Fault::ContentType(kind));
    }
    assert_eq!(Fault::ContentType(20).alert(), Some(Alert::UNEXPECTED_MESSAGE));
}

#[test]
fn every_other_version_is_refused() {
    for version in [[3, 0], [3, 1], [3, 2], [3, 4], [2, 3], [0, 0], [255, 255]] {
        let (mut peer, layer) = pair(aes(), Limits::default());
        let record = peer.sends.seal_as(23, version, b"text");
        refused(peer, layer, record, Fault::Version(version));
    }
    assert_eq!(Fault::Version([3, 1]).alert(), Some(Alert::PROTOCOL_VERSION), "RFC 5246 §E.1");
}

#[test]
fn what_is_in_the_clear_is_no_record() {
    for record in [
        &[21, 3, 3, 0, 2, 1, 0][..],
        &[21, 3, 3, 0, 2, 2, 80],
        &[23, 3, 3, 0, 4, 1, 2, 3, 4],
        &[22, 3, 3, 0, 4, 1, 0, 0, 0],
    ] {
        for suite in suites() {
            let (peer, layer) = pair(suite, Limits::default());
            refused(peer, layer, record.to_vec(), Fault::BadRecord);
        }
    }
}

#[test]
fn a_record_shorter_than_what_protection_adds_is_refused() {
    for suite in suites() {
        for length in 0..24_u8 {
            let (peer, layer) = pair(suite, Limits::default());
            let record = [&[23, 3, 3, 0, length][..], &vec![7; usize::from(length)]].concat();
            refused(peer, layer, record, Fault::BadRecord);
        }
    }
}

#[test]
fn a_record_is_as_long_as_its_content_allows_and_not_longer() {
    for suite in suites() {
        let (mut peer, mut layer) = pair(suite, Limits::default());
        let text = vec![b'x'; 16_384];
        let record = peer.sends.record(23, &text);
        assert!(record.len() <= MAX_RECORD);
        data(&mut layer, record.clone(), &text);
        // One byte more; the header alone is enough.
        let record = peer.sends.record(23, &vec![b'x'; 16_385]);
        let header = record[..5].to_vec();
        refused(peer, layer, record, Fault::RecordTooLong);
        for header in [header, vec![23, 3, 3, 0x48, 0], vec![21, 3, 3, 255, 255]] {
            let (peer, layer) = pair(suite, Limits::default());
            refused(peer, layer, header, Fault::RecordTooLong);
        }
    }
    assert_eq!(Fault::RecordTooLong.alert(), Some(Alert::RECORD_OVERFLOW), "RFC 5246 §6.2.1");
}

#[test]
fn nothing_is_changed_before_a_record_is_whole() {
    for suite in suites() {
        let (mut peer, mut layer) = pair(suite, Limits::default());
        let record = peer.sends.record(23, b"one text");
        for length in 0..record.len() {
            let mut part = record[..length].to_vec();
            let wanted = if length < 5 { 0 } else { record.len() };
            assert_eq!(layer.open(&mut part), Ok(Opened::Incomplete { wanted }));
            assert_eq!(part, record[..length]);
        }
        let two = [&record[..], b"what follows"].concat();
        let mut bytes = two.clone();
        let opened = layer.open(&mut bytes);
        assert_eq!(opened, Ok(Opened::Data { consumed: record.len(), plain: b"one text" }));
        assert_eq!(bytes[record.len()..], two[record.len()..]);
    }
}

#[test]
fn a_record_that_was_changed_anywhere_is_refused() {
    for suite in suites() {
        let length = pair(suite, Limits::default()).0.sends.record(23, b"text").len();
        for at in 0..length {
            for bit in 0..8 {
                let (mut peer, layer) = pair(suite, Limits::default());
                let mut record = peer.sends.record(23, b"text");
                record[at] ^= 1 << bit;
                let fault = match at {
                    0 if ![21, 22].contains(&record[0]) => Fault::ContentType(record[0]),
                    1 | 2 => Fault::Version([record[1], record[2]]),
                    3 if record[3] >= 0x80 || record[3] == 0x40 => Fault::RecordTooLong,
                    _ => Fault::BadRecord,
                };
                record.resize(length + 0x4000, 0); // for lengths that grew
                refused(peer, layer, record, fault);
            }
        }
    }
}

#[test]
fn records_come_once_and_in_order() {
    for suite in suites() {
        let (mut peer, mut layer) = pair(suite, Limits::default());
        let first = peer.sends.record(23, b"first");
        data(&mut layer, first.clone(), b"first");
        refused(peer, layer, first, Fault::BadRecord);
        let (mut peer, layer) = pair(suite, Limits::default());
        let (_lost, second) = (peer.sends.record(23, b"first"), peer.sends.record(23, b"second"));
        refused(peer, layer, second, Fault::BadRecord);
        // Nor can our own come back.
        let (peer, mut layer) = pair(suite, Limits::default());
        let mut own = Vec::new();
        layer.seal(&[IoSlice::new(b"own")], 9, 9, &mut own).unwrap();
        assert_eq!(layer.open(&mut own), Err(Fault::BadRecord));
        drop(peer);
    }
}

#[test]
fn empty_messages_are_refused_empty_data_is_not() {
    for kind in [21, 22] {
        let (mut peer, layer) = pair(aes(), Limits::default());
        let record = peer.sends.record(kind, b"");
        refused(peer, layer, record, Fault::EmptyMessage);
    }
    let (mut peer, mut layer) = pair(aes(), Limits::default());
    let record = peer.sends.record(23, b"");
    nothing(&mut layer, record);
    assert!(layer.is_movable());
}

#[test]
fn every_handshake_message_but_client_hello_is_refused() {
    for kind in (0..=255).filter(|kind| *kind != 1) {
        let (mut peer, layer) = pair(aes(), Limits::default());
        let record = peer.sends.record(22, &[kind]);
        refused(peer, layer, record, Fault::Handshake(kind));
        let (mut peer, layer) = pair(aes(), Limits::default());
        let record = peer.sends.record(22, &[1, 0, 0, 1, 9, kind, 0, 0, 0]);
        refused(peer, layer, record, Fault::Handshake(kind));
    }
    assert_eq!(Fault::Handshake(0).alert(), Some(Alert::UNEXPECTED_MESSAGE), "HelloRequest is the server's");
}

/// A ClientHello of so many bytes behind its header.
fn hello(length: usize) -> Vec<u8> {
    [&[1][..], &u32::try_from(length).unwrap().to_be_bytes()[1..], &vec![7; length]].concat()
}

#[test]
fn a_new_handshake_is_refused_once_and_the_connection_goes_on() {
    for suite in suites() {
        for (length, piece) in [(0, 1), (0, 4), (1, 2), (300, 1), (300, 299), (300, 304), (65_535, 16_384)] {
            let (mut peer, mut layer) = pair(suite, Limits::default());
            let whole = hello(length);
            for piece in whole.chunks(piece) {
                assert!(!layer.wants_control());
                let record = peer.sends.record(22, piece);
                nothing(&mut layer, record);
                assert!(!layer.is_movable(), "a message in part, or a refusal that is due");
            }
            assert!(layer.wants_control(), "{length} in pieces of {piece}");
            let mut out = Vec::new();
            layer.control(&mut out);
            assert_eq!(peer.receives.open(&mut out.as_slice()), (NO_RENEGOTIATION.to_vec(), 21));
            assert!(layer.is_movable());
            let record = peer.sends.record(23, b"on");
            data(&mut layer, record, b"on");
            out.clear();
            layer.seal(&[IoSlice::new(b"and on")], 6, 6, &mut out).unwrap();
            assert_eq!(peer.receives.open_data(&out), b"and on");
            // The second time it is enough.
            let record = peer.sends.record(22, &hello(3));
            refused(peer, layer, record, Fault::TooManyRenegotiations);
        }
    }
    assert_eq!(Fault::TooManyRenegotiations.alert(), Some(Alert::UNEXPECTED_MESSAGE));
}

#[test]
fn two_hellos_in_one_record_are_two() {
    let two = [hello(4), hello(0)].concat();
    let (mut peer, layer) = pair(aes(), Limits::default());
    let record = peer.sends.record(22, &two);
    refused(peer, layer, record, Fault::TooManyRenegotiations);
    let limits = Limits { renegotiations: 2, ..Limits::default() };
    let (mut peer, mut layer) = pair(aes(), limits);
    let record = peer.sends.record(22, &two);
    nothing(&mut layer, record);
    let mut out = Vec::new();
    layer.control(&mut out);
    let mut sent = out.as_slice();
    assert_eq!(peer.receives.open(&mut sent), (NO_RENEGOTIATION.to_vec(), 21));
    assert!(sent.is_empty(), "told once");
}

#[test]
fn a_hello_has_an_end_and_nothing_stands_between_its_parts() {
    for length in [65_536, 0x00ff_ffff] {
        let (mut peer, layer) = pair(aes(), Limits::default());
        let [_, a, b, c] = u32::to_be_bytes(length);
        let record = peer.sends.record(22, &[1, a, b, c]);
        refused(peer, layer, record, Fault::HandshakeLength);
    }
    assert_eq!(Fault::HandshakeLength.alert(), Some(Alert::DECODE_ERROR));
    for part in [1, 3, 4, 20] {
        for (kind, content) in [(23, &b"data"[..]), (23, b""), (21, &[1, 0]), (21, &[2, 80])] {
            let (mut peer, mut layer) = pair(aes(), Limits::default());
            let record = peer.sends.record(22, &hello(40)[..part]);
            nothing(&mut layer, record);
            let record = peer.sends.record(kind, content);
            refused(peer, layer, record, Fault::Interleaved);
        }
    }
}

#[test]
fn warnings_are_ignored_a_few_times_and_what_is_fatal_ends() {
    for description in (1..=255).filter(|description| *description != 0) {
        let (mut peer, mut layer) = pair(aes(), Limits::default());
        let record = peer.sends.record(21, &[1, description]);
        nothing(&mut layer, record);
        assert!(layer.is_movable());
        let record = peer.sends.record(21, &[2, description]);
        refused(peer, layer, record, Fault::Alert(Alert(description)));
    }
    for level in (0..=255).filter(|level| ![1, 2].contains(level)) {
        let (mut peer, layer) = pair(aes(), Limits::default());
        let record = peer.sends.record(21, &[level, 0]);
        refused(peer, layer, record, Fault::AlertLevel(level));
    }
    assert_eq!(Fault::AlertLevel(3).alert(), Some(Alert::ILLEGAL_PARAMETER));
    for content in [&[1][..], &[1, 0, 0], &[1, 0, 1, 0], &[2, 80, 2, 80], &[0; 100]] {
        let (mut peer, layer) = pair(aes(), Limits::default());
        let record = peer.sends.record(21, content);
        refused(peer, layer, record, Fault::AlertLength);
    }
}

#[test]
fn floods_end() {
    let limits = Limits { empty_records: 2, warnings: 2, renegotiations: 2, ..Limits::default() };
    let flood = |kind: u8, content: &[u8], tolerated: u32, between: bool, fault: Option<Fault>| {
        let (mut peer, mut layer) = pair(aes(), limits);
        for _ in 0..tolerated {
            let record = peer.sends.record(kind, content);
            nothing(&mut layer, record);
            layer.control(&mut Vec::new());
            if between {
                let record = peer.sends.record(23, b"x");
                data(&mut layer, record, b"x");
            }
        }
        if let Some(fault) = fault {
            let mut record = peer.sends.record(kind, content);
            assert_eq!(layer.open(&mut record), Err(fault));
        }
    };
    flood(23, b"", 2, false, Some(Fault::TooManyEmptyRecords));
    flood(23, b"", 50, true, None);
    flood(21, &[1, 90], 2, true, Some(Fault::TooManyWarnings));
    flood(21, &[1, 100], 2, false, Some(Fault::TooManyWarnings));
    flood(22, &hello(10), 2, true, Some(Fault::TooManyRenegotiations));
}

#[test]
fn close_notify_ends_one_direction() {
    for level in [1, 2] {
        let (mut peer, mut layer) = pair(aes(), Limits::default());
        let mut record = peer.sends.record(21, &[level, 0]);
        let consumed = record.len();
        assert_eq!(layer.open(&mut record), Ok(Opened::Closed { consumed }));
        assert_eq!(layer.end(), Ok(()));
        assert!(!layer.is_movable());
        assert_eq!(layer.open(&mut [22; 7]), Ok(Opened::Closed { consumed: 7 }));
        let mut out = Vec::new();
        assert_eq!(layer.seal(&[IoSlice::new(b"still")], 5, 5, &mut out), Ok(5));
        assert_eq!(peer.receives.open_data(&out), b"still");
        out.clear();
        layer.close(&mut out);
        assert_eq!(peer.receives.open(&mut out.as_slice()), (vec![1, 0], 21));
    }
}

#[test]
fn after_our_close_nobody_is_refused_anything() {
    let (mut peer, mut layer) = pair(aes(), Limits::default());
    layer.close(&mut Vec::new());
    let record = peer.sends.record(22, &hello(9));
    nothing(&mut layer, record);
    assert!(!layer.wants_control());
    let record = peer.sends.record(23, b"late");
    data(&mut layer, record, b"late");
}

#[test]
fn a_worn_key_ends_the_connection_with_close_notify() {
    for suite in suites() {
        for records_per_key in [2, 3, 10] {
            let limits = Limits { records_per_key, ..Limits::default() };
            let (mut peer, mut layer) = pair(suite, limits); // the Finished was one of them
            let (mut out, mut taken) = (Vec::new(), 0);
            let end = loop {
                match layer.seal(&[IoSlice::new(&[b'x'; 35])], 35, 10, &mut out) {
                    Ok(count) => taken += count,
                    Err(fault) => break fault,
                }
            };
            assert_eq!(end, Fault::Exhausted);
            assert!(layer.wants_control());
            let mut bytes = out.as_slice();
            let mut arrived = 0;
            for _ in 2..records_per_key {
                arrived += peer.receives.open(&mut bytes).0.len();
            }
            assert!(bytes.is_empty() && arrived == taken, "{arrived} of {taken}");
            out.clear();
            layer.control(&mut out);
            assert_eq!(peer.receives.open(&mut out.as_slice()), (vec![1, 0], 21));
            assert_eq!(peer.receives.sequence, records_per_key);
            assert_eq!(layer.seal(&[IoSlice::new(b"x")], 1, 1, &mut out), Err(Fault::Exhausted));
        }
    }
    // The suite's own limit; a refusal is a record too.
    let (mut peer, mut layer) = pair_at(aes(), Limits::default(), 5, (1 << 24) - 1);
    let record = peer.sends.record(22, &hello(9));
    nothing(&mut layer, record);
    let mut out = Vec::new();
    layer.control(&mut out);
    assert_eq!(peer.receives.open(&mut out.as_slice()), (vec![1, 0], 21), "close_notify in its place");
    assert_eq!(layer.end(), Err(Fault::Exhausted));
    let chacha = Suite::try_from(0xcca9).unwrap();
    let (mut peer, mut layer) = pair_at(chacha, Limits::default(), 5, 1 << 30);
    out.clear();
    assert_eq!(layer.seal(&[IoSlice::new(b"text")], 4, 4, &mut out), Ok(4));
    assert_eq!(peer.receives.open_data(&out), b"text");
}

#[test]
fn sequence_numbers_do_not_wrap() {
    for suite in suites() {
        let (mut peer, mut layer) = pair_at(suite, Limits::default(), u64::MAX - 1, 7);
        let record = peer.sends.record(23, b"last");
        data(&mut layer, record, b"last");
        assert_eq!(layer.open(&mut [&[23, 3, 3, 0, 30][..], &[0; 30]].concat()), Err(Fault::Exhausted));
        let (_, mut layer) = pair_at(suite, Limits::default(), 1, u64::MAX - 1);
        let mut out = Vec::new();
        assert_eq!(layer.seal(&[IoSlice::new(b"text")], 4, 4, &mut out), Err(Fault::Exhausted));
        assert!(out.is_empty());
    }
}

#[test]
fn last_words_are_data_and_close_notify_under_the_next_numbers() {
    for suite in suites() {
        let (mut peer, layer) = pair_at(suite, Limits::default(), 3, 7);
        let words = b"nobody goes on".repeat(2000); // two records
        let sealed = last_words(layer.into_state().write, &words).unwrap();
        let (mut rest, mut data) = (sealed.as_slice(), Vec::new());
        while data.len() < words.len() {
            let (content, kind) = peer.receives.open(&mut rest);
            assert_eq!(kind, 23);
            data.extend(content);
        }
        assert!(data == words);
        assert_eq!(peer.receives.open(&mut rest), (vec![1, 0], 21), "close_notify");
        assert!(rest.is_empty());
    }
    let (_, worn) = pair_at(aes(), Limits::default(), 1, u64::MAX - 1);
    assert!(last_words(worn.into_state().write, b"x").is_err(), "no number is left");
}
