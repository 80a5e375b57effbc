//! Every content type and every message a peer can send after the handshake: what is taken, what is refused, with which alert.

use std::io::IoSlice;

use tls_record::{Alert, Fault, Limits, Opened, RecordLayer, Suite};

use crate::peer::{Peer, pair, pair_at};

const SUITE: Suite = Suite::Aes128GcmSha256;
const REQUESTED: [u8; 5] = [24, 0, 0, 1, 1];
const NOT_REQUESTED: [u8; 5] = [24, 0, 0, 1, 0];

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
fn every_outer_type_but_application_data_is_refused() {
    for kind in (0..=255).filter(|kind| *kind != 23) {
        let (mut peer, layer) = pair(SUITE, Limits::default());
        let record = peer.sends.seal_as(kind, [3, 3], b"sealed well\x17");
        refused(peer, layer, record, Fault::Unprotected(kind));
        // In the clear: change_cipher_spec, close_notify, KeyUpdate, data. The header is enough.
        let (peer, layer) = pair(SUITE, Limits::default());
        refused(peer, layer, vec![kind, 3, 3, 0, 1], Fault::Unprotected(kind));
    }
    assert_eq!(Fault::Unprotected(20).alert(), Some(Alert::UNEXPECTED_MESSAGE), "RFC 8446 §5");
}

#[test]
fn every_inner_type_but_three_is_refused() {
    for kind in (1..=255).filter(|kind| ![21, 22, 23].contains(kind)) {
        let (mut peer, layer) = pair(SUITE, Limits::default());
        let record = peer.sends.record(kind, &[1]);
        refused(peer, layer, record, Fault::ContentType(kind));
    }
    assert_eq!(Fault::ContentType(20).alert(), Some(Alert::UNEXPECTED_MESSAGE), "RFC 8446 §5");
}

#[test]
fn the_version_in_the_header_says_nothing_but_is_authenticated() {
    for version in [[3, 1], [3, 4], [0, 0], [255, 255]] {
        let (mut peer, mut layer) = pair(SUITE, Limits::default());
        let record = peer.sends.seal_as(23, version, b"text\x17");
        data(&mut layer, record, b"text");
        let mut record = peer.sends.record(23, b"text");
        record[1..3].copy_from_slice(&version);
        refused(peer, layer, record, Fault::BadRecord);
    }
}

#[test]
fn a_record_of_padding_only_is_refused() {
    for length in [0, 1, 2, 100, 16384, 16385] {
        let (mut peer, layer) = pair(SUITE, Limits::default());
        let record = peer.sends.seal(&vec![0; length]);
        refused(peer, layer, record, Fault::NoContentType);
    }
    assert_eq!(Fault::NoContentType.alert(), Some(Alert::UNEXPECTED_MESSAGE), "RFC 8446 §5.4");
}

#[test]
fn a_record_shorter_than_its_tag_is_refused() {
    for length in 0..16_u8 {
        let (peer, layer) = pair(SUITE, Limits::default());
        let record = [&[23, 3, 3, 0, length][..], &vec![7; usize::from(length)]].concat();
        refused(peer, layer, record, Fault::BadRecord);
    }
}

#[test]
fn empty_messages_are_refused_empty_data_is_not() {
    for kind in [21, 22] {
        for padding in [0, 1, 300] {
            let (mut peer, layer) = pair(SUITE, Limits::default());
            let record = peer.sends.seal(&[&[kind][..], &vec![0; padding]].concat());
            refused(peer, layer, record, Fault::EmptyMessage);
        }
    }
    let (mut peer, mut layer) = pair(SUITE, Limits::default());
    let record = peer.sends.record(23, b"");
    nothing(&mut layer, record);
    assert!(layer.is_movable());
}

#[test]
fn every_handshake_message_but_key_update_is_refused() {
    for kind in (0..=255).filter(|kind| *kind != 24) {
        let (mut peer, layer) = pair(SUITE, Limits::default());
        // Its first byte is enough, and it does not matter what stands behind it.
        let record = peer.sends.record(22, &[kind]);
        refused(peer, layer, record, Fault::Handshake(kind));
        let (mut peer, layer) = pair(SUITE, Limits::default());
        let record = peer.sends.record(22, &[&[kind, 0, 0, 1, 0][..], &NOT_REQUESTED].concat());
        refused(peer, layer, record, Fault::Handshake(kind));
    }
}

#[test]
fn a_key_update_has_one_byte_and_two_values() {
    for (message, fault) in [
        (&[24, 0, 0, 0][..], Fault::KeyUpdateLength),
        (&[24, 0, 0, 2, 0, 0], Fault::KeyUpdateLength),
        (&[24, 0, 1, 1, 0], Fault::KeyUpdateLength),
        (&[24, 255, 255, 255], Fault::KeyUpdateLength),
    ] {
        let (mut peer, layer) = pair(SUITE, Limits::default());
        let record = peer.sends.record(22, message);
        refused(peer, layer, record, fault);
    }
    for value in 2..=255 {
        let (mut peer, layer) = pair(SUITE, Limits::default());
        let record = peer.sends.record(22, &[24, 0, 0, 1, value]);
        refused(peer, layer, record, Fault::KeyUpdateRequest(value));
    }
    assert_eq!(Fault::KeyUpdateLength.alert(), Some(Alert::DECODE_ERROR));
    assert_eq!(Fault::KeyUpdateRequest(2).alert(), Some(Alert::ILLEGAL_PARAMETER));
}

#[test]
fn nothing_stands_behind_a_key_update_in_its_record() {
    for behind in [&[0][..], &[24], &NOT_REQUESTED, &REQUESTED, &[4, 0, 0, 0]] {
        let (mut peer, layer) = pair(SUITE, Limits::default());
        let record = peer.sends.record(22, &[&NOT_REQUESTED[..], behind].concat());
        refused(peer, layer, record, Fault::BehindKeyUpdate);
    }
}

#[test]
fn after_a_key_update_the_old_key_is_not_taken_any_more() {
    for suite in Suite::ALL {
        let (mut peer, mut layer) = pair(suite, Limits::default());
        let record = peer.sends.record(22, &NOT_REQUESTED);
        nothing(&mut layer, record);
        assert!(!layer.wants_control(), "nothing was requested");
        let old = peer.sends.record(23, b"old");
        refused(peer, layer, old, Fault::BadRecord);
        let (mut peer, mut layer) = pair(suite, Limits::default());
        for round in 0_u8..40 {
            let record = peer.sends.record(22, &NOT_REQUESTED);
            nothing(&mut layer, record);
            peer.sends.update();
            let record = peer.sends.record(23, &[round]);
            data(&mut layer, record, &[round]);
        }
    }
}

#[test]
fn a_key_update_may_come_in_pieces() {
    // All 16 ways to cut five bytes.
    for cuts in 0..16_u8 {
        let (mut peer, mut layer) = pair(SUITE, Limits::default());
        let mut piece = Vec::new();
        for (at, byte) in REQUESTED.into_iter().enumerate() {
            piece.push(byte);
            if at == 4 || cuts & (1 << at) != 0 {
                let record = peer.sends.record(22, &piece);
                nothing(&mut layer, record);
                assert!(!layer.is_movable(), "a message in part, or an answer that is due");
                piece.clear();
            }
        }
        peer.sends.update();
        let record = peer.sends.record(23, b"on");
        data(&mut layer, record, b"on");
        let mut out = Vec::new();
        layer.control(&mut out);
        assert_eq!(peer.receives.open_data(&out), b"");
        assert_eq!(peer.receives.generation, 1);
        assert!(layer.is_movable());
    }
}

#[test]
fn nothing_stands_between_the_pieces_of_a_key_update() {
    for (kind, content) in [(23, &b"data"[..]), (23, b""), (21, &[1, 0]), (21, &[2, 80])] {
        let (mut peer, mut layer) = pair(SUITE, Limits::default());
        let record = peer.sends.record(22, &[24, 0]);
        nothing(&mut layer, record);
        let record = peer.sends.record(kind, content);
        refused(peer, layer, record, Fault::Interleaved);
    }
    // Nor a message of another length, type or value.
    for (rest, fault) in [
        (&[1][..], Fault::KeyUpdateLength),
        (&[0, 9], Fault::KeyUpdateLength),
        (&[0, 1, 7], Fault::KeyUpdateRequest(7)),
        (&[0, 1, 0, 24], Fault::BehindKeyUpdate),
        (&[], Fault::EmptyMessage),
    ] {
        let (mut peer, mut layer) = pair(SUITE, Limits::default());
        let record = peer.sends.record(22, &[24, 0]);
        nothing(&mut layer, record);
        let record = peer.sends.record(22, rest);
        refused(peer, layer, record, fault);
    }
}

#[test]
fn requests_that_come_before_we_write_are_answered_once_with_the_old_key() {
    for answered_by_seal in [false, true] {
        let (mut peer, mut layer) = pair(SUITE, Limits::default());
        for _ in 0..7 {
            let record = peer.sends.record(22, &REQUESTED);
            nothing(&mut layer, record);
            peer.sends.update();
        }
        assert!(layer.wants_control() && !layer.is_movable());
        let mut out = Vec::new();
        if !answered_by_seal {
            layer.control(&mut out);
        }
        assert_eq!(layer.seal(&[IoSlice::new(b"text")], 4, 4, &mut out), Ok(4));
        assert!(!layer.wants_control());
        let length = out.len();
        layer.control(&mut out);
        assert_eq!(out.len(), length, "answered once");
        let mut bytes = out.as_slice();
        assert_eq!(peer.receives.open(&mut bytes), (NOT_REQUESTED.to_vec(), 22), "before the data");
        assert_eq!(peer.receives.open_data(bytes), b"text");
        assert_eq!(peer.receives.generation, 1);
    }
}

#[test]
fn sealing_nothing_sends_nothing() {
    let (mut peer, mut layer) = pair(SUITE, Limits::default());
    let record = peer.sends.record(22, &REQUESTED);
    nothing(&mut layer, record);
    let mut out = Vec::new();
    assert_eq!(layer.seal(&[], 100, 100, &mut out), Ok(0));
    assert_eq!(layer.seal(&[IoSlice::new(b""), IoSlice::new(b"")], 100, 100, &mut out), Ok(0));
    assert_eq!(layer.seal(&[IoSlice::new(b"text")], 0, 100, &mut out), Ok(0));
    assert!(out.is_empty() && layer.wants_control());
}

#[test]
fn floods_end() {
    let limits = Limits { key_updates: 3, empty_records: 2, warnings: 2, ..Limits::default() };
    let flood = |kind: u8, content: &[u8], tolerated: u32, between: bool, fault: Option<Fault>| {
        let (mut peer, mut layer) = pair(SUITE, limits);
        for _ in 0..tolerated {
            let record = peer.sends.record(kind, content);
            nothing(&mut layer, record);
            if kind == 22 && content.len() == 5 {
                peer.sends.update();
            }
            if between {
                let record = peer.sends.record(23, b"x");
                data(&mut layer, record, b"x");
            }
        }
        if let Some(fault) = fault {
            let record = peer.sends.record(kind, content);
            refused(peer, layer, record, fault);
        }
    };
    flood(22, &NOT_REQUESTED, 3, false, Some(Fault::TooManyKeyUpdates));
    flood(22, &REQUESTED, 3, false, Some(Fault::TooManyKeyUpdates));
    flood(22, &REQUESTED, 50, true, None);
    flood(23, b"", 2, false, Some(Fault::TooManyEmptyRecords));
    flood(23, b"", 50, true, None);
    flood(21, &[1, 90], 2, true, Some(Fault::TooManyWarnings));
    flood(21, &[2, 90], 2, false, Some(Fault::TooManyWarnings));
    for fault in [Fault::TooManyKeyUpdates, Fault::TooManyEmptyRecords, Fault::TooManyWarnings] {
        assert_eq!(fault.alert(), Some(Alert::UNEXPECTED_MESSAGE));
    }
}

#[test]
fn empty_records_and_key_updates_do_not_hide_one_another() {
    let limits = Limits { key_updates: 3, empty_records: 3, ..Limits::default() };
    let (mut peer, mut layer) = pair(SUITE, limits);
    for _ in 0..3 {
        let record = peer.sends.record(22, &NOT_REQUESTED);
        nothing(&mut layer, record);
        peer.sends.update();
        let record = peer.sends.record(23, b"");
        nothing(&mut layer, record);
    }
    let record = peer.sends.record(23, b"");
    refused(peer, layer, record, Fault::TooManyEmptyRecords);
}

#[test]
fn alerts_end_the_connection_and_are_not_answered() {
    for description in (1..=255).filter(|description| *description != 90) {
        for level in [1, 2, 0, 255] {
            let (mut peer, layer) = pair(SUITE, Limits::default());
            let record = peer.sends.record(21, &[level, description]);
            refused(peer, layer, record, Fault::Alert(Alert(description)));
        }
    }
}

#[test]
fn a_record_of_alerts_holds_one() {
    for content in [&[1][..], &[1, 0, 0], &[1, 0, 1, 0], &[2, 80, 2, 80], &[0; 100]] {
        let (mut peer, layer) = pair(SUITE, Limits::default());
        let record = peer.sends.record(21, content);
        refused(peer, layer, record, Fault::AlertLength);
    }
    assert_eq!(Fault::AlertLength.alert(), Some(Alert::DECODE_ERROR));
}

#[test]
fn close_notify_ends_one_direction() {
    for level in [1, 2] {
        let (mut peer, mut layer) = pair(SUITE, Limits::default());
        assert_eq!(layer.end(), Err(Fault::Truncated));
        let mut record = peer.sends.record(21, &[level, 0]);
        let consumed = record.len();
        assert_eq!(layer.open(&mut record), Ok(Opened::Closed { consumed }));
        assert_eq!(layer.end(), Ok(()));
        assert!(!layer.is_movable());
        // What comes behind it is ignored, whatever it is (RFC 8446 §6.1).
        assert_eq!(layer.open(&mut [22; 7]), Ok(Opened::Closed { consumed: 7 }));
        let mut out = Vec::new();
        assert_eq!(layer.seal(&[IoSlice::new(b"still")], 5, 5, &mut out), Ok(5));
        assert_eq!(peer.receives.open_data(&out), b"still");
        out.clear();
        layer.close(&mut out);
        assert_eq!(peer.receives.open(&mut out.as_slice()), (vec![1, 0], 21));
        assert_eq!(layer.end(), Ok(()));
    }
}

#[test]
fn after_our_close_we_still_read_but_owe_no_answer() {
    let (mut peer, mut layer) = pair(SUITE, Limits::default());
    let record = peer.sends.record(22, &REQUESTED);
    nothing(&mut layer, record);
    peer.sends.update();
    let mut out = Vec::new();
    layer.close(&mut out);
    assert_eq!(peer.receives.open(&mut out.as_slice()), (vec![1, 0], 21), "close_notify needs no KeyUpdate before it");
    let record = peer.sends.record(22, &REQUESTED);
    nothing(&mut layer, record);
    peer.sends.update();
    assert!(!layer.wants_control());
    let record = peer.sends.record(23, b"late");
    data(&mut layer, record, b"late");
    out.clear();
    layer.control(&mut out);
    assert_eq!(layer.seal(&[IoSlice::new(b"x")], 1, 1, &mut out), Err(Fault::Finished));
    // A fault now cannot be told any more: close_notify was our last record.
    assert_eq!(layer.open(&mut [20, 3, 3, 0, 1, 1]), Err(Fault::Unprotected(20)));
    layer.control(&mut out);
    assert!(out.is_empty() && !layer.wants_control());
}

#[test]
fn the_caller_can_end_a_connection_too() {
    let (mut peer, mut layer) = pair(SUITE, Limits::default());
    let mut out = Vec::new();
    layer.fail(&Fault::Internal, &mut out);
    assert_eq!(peer.receives.open(&mut out.as_slice()), (vec![2, 80], 21));
    refused_all(&mut layer, Fault::Internal);
    // A truncated connection is not answered.
    let (_, mut layer) = pair(SUITE, Limits::default());
    out.clear();
    layer.fail(&Fault::Truncated, &mut out);
    assert!(out.is_empty());
    refused_all(&mut layer, Fault::Truncated);
}

fn refused_all(layer: &mut RecordLayer, fault: Fault) {
    let mut out = Vec::new();
    assert_eq!(layer.open(&mut []), Err(fault));
    assert_eq!(layer.seal(&[IoSlice::new(b"x")], 1, 1, &mut out), Err(fault));
    layer.close(&mut out);
    assert!(out.is_empty());
}

#[test]
fn sequence_numbers_do_not_wrap() {
    let (mut peer, mut layer) = pair_at(Suite::ChaCha20Poly1305Sha256, Limits::default(), u64::MAX - 1, 7);
    let record = peer.sends.record(23, b"last");
    data(&mut layer, record, b"last");
    assert_eq!(layer.open(&mut [&[23, 3, 3, 0, 20][..], &[0; 20]].concat()), Err(Fault::Exhausted));
    let mut out = Vec::new();
    layer.control(&mut out);
    assert_eq!(peer.receives.open(&mut out.as_slice()), (vec![2, 80], 21));
    // Our own direction takes a new key long before.
    let (mut peer, mut layer) = pair_at(Suite::ChaCha20Poly1305Sha256, Limits::default(), 0, u64::MAX - 1);
    out.clear();
    assert_eq!(layer.seal(&[IoSlice::new(b"text")], 4, 4, &mut out), Ok(4));
    assert_eq!(peer.receives.open_data(&out), b"text");
}
