//! How long a key lives: the limits of the suites themselves, lower ones, and what takes the last record of a key.

use std::io::IoSlice;

use tls_record::{Fault, Limits, OVERHEAD, Opened, RecordLayer, Suite};

use crate::peer::{Peer, pair_at};

/// Types of the records that the layer sends for so many bytes, one in each.
fn types(peer: &mut Peer, layer: &mut RecordLayer, bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(layer.seal(&[IoSlice::new(&vec![b'x'; bytes])], usize::MAX, 1, &mut out), Ok(bytes));
    types_of(peer, &out)
}

fn types_of(peer: &mut Peer, mut sent: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while !sent.is_empty() {
        types.push(peer.receives.open(&mut sent).1);
    }
    types
}

#[test]
fn each_suite_has_its_limit() {
    for suite in Suite::ALL {
        let limit = if suite == Suite::ChaCha20Poly1305Sha256 { 1 << 48 } else { 1 << 24 };
        assert_eq!(suite.records_per_key(), limit);
        let (mut peer, mut layer) = pair_at(suite, Limits::default(), 0, limit - 3);
        assert_eq!(types(&mut peer, &mut layer, 4), [23, 23, 22, 23, 23], "the KeyUpdate is the last of its key");
        assert_eq!((peer.receives.generation, peer.receives.sequence), (1, 2));
        // A state that is already beyond it takes a new key first.
        for beyond in [limit - 1, limit, limit + 1, 2 * limit] {
            let (mut peer, mut layer) = pair_at(suite, Limits::default(), 0, beyond);
            assert_eq!(types(&mut peer, &mut layer, 2), [22, 23, 23]);
        }
    }
}

#[test]
fn a_limit_can_be_lower_but_not_higher() {
    for suite in Suite::ALL {
        let (mut peer, mut layer) = pair_at(suite, Limits { records_per_key: 4, ..Limits::default() }, 0, 0);
        assert_eq!(types(&mut peer, &mut layer, 8), [23, 23, 23, 22, 23, 23, 23, 22, 23, 23]);
        for useless in 0..=2 {
            let limits = Limits { records_per_key: useless, ..Limits::default() };
            let (mut peer, mut layer) = pair_at(suite, limits, 0, 0);
            assert_eq!(types(&mut peer, &mut layer, 3), [23, 22, 23, 22, 23]);
        }
        let higher = Limits { records_per_key: 1 << 62, ..Limits::default() };
        let (mut peer, mut layer) = pair_at(suite, higher, 0, suite.records_per_key() - 1);
        assert_eq!(types(&mut peer, &mut layer, 1), [22, 23]);
    }
}

#[test]
fn whatever_ends_a_key_may_be_its_last_record() {
    let limits = Limits { records_per_key: 3, ..Limits::default() };
    let worn = || {
        let (mut peer, mut layer) = pair_at(Suite::Aes128GcmSha256, limits, 0, 0);
        assert_eq!(types(&mut peer, &mut layer, 2), [23, 23]);
        assert!(!layer.wants_control(), "a new key can wait for the next data");
        (peer, layer, Vec::new())
    };
    let (mut peer, mut layer, mut out) = worn();
    layer.close(&mut out);
    assert_eq!(types_of(&mut peer, &out), [21]);

    let (mut peer, mut layer, mut out) = worn();
    layer.fail(&Fault::Internal, &mut out);
    assert_eq!(types_of(&mut peer, &out), [21]);

    let (mut peer, mut layer, mut out) = worn();
    let mut request = peer.sends.record(22, &[24, 0, 0, 1, 1]);
    assert!(matches!(layer.open(&mut request), Ok(Opened::Nothing { .. })));
    layer.control(&mut out);
    assert_eq!(types_of(&mut peer, &out), [22]);
    assert_eq!(types(&mut peer, &mut layer, 2), [23, 23], "the answer was the new key that we needed");
    assert_eq!(types(&mut peer, &mut layer, 1), [22, 23]);
}

#[test]
fn a_request_and_a_worn_key_are_one_update() {
    let (mut peer, mut layer) =
        pair_at(Suite::Aes256GcmSha384, Limits { records_per_key: 3, ..Limits::default() }, 0, 2);
    let mut request = peer.sends.record(22, &[24, 0, 0, 1, 1]);
    assert!(matches!(layer.open(&mut request), Ok(Opened::Nothing { .. })));
    assert_eq!(types(&mut peer, &mut layer, 1), [22, 23]);
    assert!(!layer.wants_control());
}

#[test]
fn a_buffer_that_is_used_again_is_not_grown() {
    let (_, mut layer) = pair_at(Suite::Aes128GcmSha256, Limits::default(), 0, 0);
    let text = vec![b'x'; 65_536];
    let mut out = Vec::new();
    layer.seal(&[IoSlice::new(&text)], usize::MAX, 16_384, &mut out).unwrap();
    assert_eq!(out.len(), 65_536 + 4 * OVERHEAD);
    let (place, capacity) = (out.as_ptr(), out.capacity());
    for _ in 0..100 {
        out.clear();
        layer.seal(&[IoSlice::new(&text[..9]), IoSlice::new(&text[9..])], usize::MAX, 16_384, &mut out).unwrap();
        assert_eq!((out.as_ptr(), out.capacity()), (place, capacity));
    }
}
