//! Bytes that somebody on the way has changed, repeated, reordered, dropped or cut off; lengths at and beyond every limit.

use tls_record::{Alert, Fault, Limits, MAX_RECORD, Opened, RecordLayer, Suite};

use crate::peer::{Keys, pair};

fn fault(layer: &mut RecordLayer, bytes: &[u8]) -> Fault {
    layer.open(&mut bytes.to_vec()).expect_err("refused")
}

#[test]
fn every_changed_bit_of_a_record_is_noticed() {
    for suite in Suite::ALL {
        let (mut peer, _) = pair(suite, Limits::default());
        let record = peer.sends.record(23, b"GET / HTTP/1.1");
        for bit in 0..record.len() * 8 {
            let mut bytes = record.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Something follows, so that a longer length can be filled.
            bytes.extend_from_slice(&[0x17; 70_000]);
            let (_, mut layer) = pair(suite, Limits::default());
            let (kind, length) = (bytes[0], usize::from(u16::from_be_bytes([bytes[3], bytes[4]])));
            let expected = match bit / 8 {
                0 => Fault::Unprotected(kind),
                3 | 4 if length > MAX_RECORD - 5 => Fault::RecordTooLong,
                _ => Fault::BadRecord,
            };
            assert_eq!(fault(&mut layer, &bytes), expected, "{suite:?}, bit {bit}");
        }
    }
    assert_eq!(Fault::BadRecord.alert(), Some(Alert::BAD_RECORD_MAC));
}

#[test]
fn records_come_once_in_order_without_gaps() {
    for suite in Suite::ALL {
        let (mut peer, _) = pair(suite, Limits::default());
        let records: Vec<Vec<u8>> = (0..4_u8).map(|number| peer.sends.record(23, &[number; 30])).collect();
        for first in 0..4 {
            for second in 0..4 {
                let (_, mut layer) = pair(suite, Limits::default());
                let mut bytes = records[first].clone();
                if first != 0 {
                    assert_eq!(layer.open(&mut bytes), Err(Fault::BadRecord), "{first} instead of 0");
                    continue;
                }
                assert!(matches!(layer.open(&mut bytes), Ok(Opened::Data { plain, .. }) if plain == [0; 30]));
                let mut bytes = records[second].clone();
                assert_eq!(layer.open(&mut bytes).is_ok(), second == 1, "{second} after 0");
            }
        }
    }
}

#[test]
fn what_we_sealed_is_not_taken_from_the_peer() {
    for suite in Suite::ALL {
        let (_, mut layer) = pair(suite, Limits::default());
        let mut out = Vec::new();
        layer.seal(&[std::io::IoSlice::new(b"mine")], 4, 4, &mut out).unwrap();
        assert_eq!(fault(&mut layer, &out), Fault::BadRecord, "reflected");
    }
}

#[test]
fn a_record_that_is_cut_off_is_waited_for_and_then_truncation() {
    let (mut peer, mut layer) = pair(Suite::Aes128GcmSha256, Limits::default());
    let record = peer.sends.record(23, &[7; 300]);
    for length in 0..record.len() {
        let mut bytes = record[..length].to_vec();
        let wanted = if length < 5 { 0 } else { record.len() };
        assert_eq!(layer.open(&mut bytes), Ok(Opened::Incomplete { wanted }));
        assert_eq!(bytes, record[..length], "nothing was changed");
    }
    assert_eq!(layer.end(), Err(Fault::Truncated));
    assert_eq!(Fault::Truncated.alert(), None);
    let mut bytes = record;
    assert!(matches!(layer.open(&mut bytes), Ok(Opened::Data { plain, .. }) if plain == [7; 300]));
    assert_eq!(layer.end(), Err(Fault::Truncated), "no close_notify");
}

#[test]
fn padding_of_any_length_is_taken_off() {
    for suite in Suite::ALL {
        let (mut peer, mut layer) = pair(suite, Limits { empty_records: u32::MAX, ..Limits::default() });
        let lengths = (0..600).chain((600..16384).step_by(97)).chain(16370..=16384);
        for padding in lengths {
            for text in [&b""[..], b"x", b"ends in zeros\0\0\0"] {
                let inner = [text, &[23], &vec![0; padding]].concat();
                let mut record = peer.sends.seal(&inner);
                let consumed = record.len();
                let opened = layer.open(&mut record);
                if inner.len() > 16385 {
                    assert_eq!(opened, Err(Fault::RecordTooLong), "{} with {padding}", text.len());
                    (peer, layer) = pair(suite, Limits { empty_records: u32::MAX, ..Limits::default() });
                } else if text.is_empty() {
                    assert_eq!(opened, Ok(Opened::Nothing { consumed }));
                } else {
                    assert_eq!(opened, Ok(Opened::Data { consumed, plain: text }));
                }
            }
        }
    }
}

#[test]
fn content_and_record_have_limits() {
    assert_eq!(Fault::RecordTooLong.alert(), Some(Alert::RECORD_OVERFLOW));
    for suite in Suite::ALL {
        for (length, taken) in [(16383, true), (16384, true), (16385, false), (16500, false), (16623, false)] {
            let (mut peer, mut layer) = pair(suite, Limits::default());
            let mut record = peer.sends.record(23, &vec![1; length]);
            match layer.open(&mut record) {
                Ok(Opened::Data { plain, .. }) => assert!(taken && plain.len() == length),
                other => assert_eq!((other, taken), (Err(Fault::RecordTooLong), false), "{length}"),
            }
        }
    }
    // The header alone is enough to refuse a record that nobody may send; before it is whole there is nothing to refuse.
    for length in 16384 + 257..=u16::MAX {
        let (_, mut layer) = pair(Suite::Aes128GcmSha256, Limits::default());
        let [high, low] = length.to_be_bytes();
        assert_eq!(fault(&mut layer, &[23, 3, 3, high, low]), Fault::RecordTooLong);
        if length % 1024 == 0 {
            assert_eq!(layer.end(), Err(Fault::RecordTooLong));
        }
    }
    let (_, mut layer) = pair(Suite::Aes128GcmSha256, Limits::default());
    assert_eq!(layer.open(&mut [23, 3, 3, 0x41, 0]), Ok(Opened::Incomplete { wanted: MAX_RECORD }));
    assert_eq!(fault(&mut layer, &[&[23, 3, 3, 0x41, 0][..], &[0; 16640]].concat()), Fault::BadRecord);
}

#[test]
fn a_record_under_another_secret_number_or_suite_is_refused() {
    let (_, mut layer) = pair(Suite::Aes128GcmSha256, Limits::default());
    let mut other = Keys::new(Suite::Aes128GcmSha256, &[0xC2; 32], 0);
    assert_eq!(fault(&mut layer, &other.record(23, b"text")), Fault::BadRecord);
    let (mut peer, _) = pair(Suite::ChaCha20Poly1305Sha256, Limits::default());
    let (_, mut layer) = pair(Suite::Aes128GcmSha256, Limits::default());
    assert_eq!(fault(&mut layer, &peer.sends.record(23, b"text")), Fault::BadRecord);
    for number in [1, 2, 255, 256, 1 << 32, u64::MAX - 2] {
        let (mut peer, mut layer) = pair(Suite::Aes256GcmSha384, Limits::default());
        peer.sends.sequence = number;
        assert_eq!(fault(&mut layer, &peer.sends.record(23, b"text")), Fault::BadRecord);
    }
}
