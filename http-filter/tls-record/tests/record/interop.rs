//! rustls on the other side, in both roles, with all suites: data, KeyUpdates from either side, re-keying, ends.

use std::io::{IoSlice, Write};

use rustls::{ConnectionCommon, SideData};
use tls_record::{Fault, Limits, Opened, RecordLayer, Suite};

use crate::rustls_peer::{Pair, feed, take};

/// All that our layer opens in `bytes`, which hold whole records: plaintext, and whether close_notify came.
fn open_all(layer: &mut RecordLayer, mut bytes: Vec<u8>) -> Result<(Vec<u8>, bool), Fault> {
    let (mut plain_text, mut at, mut closed) = (Vec::new(), 0, false);
    while at < bytes.len() {
        at += match layer.open(&mut bytes[at..])? {
            Opened::Incomplete { wanted } => panic!("a record of {wanted} bytes is not whole"),
            Opened::Data { consumed, plain } => {
                plain_text.extend_from_slice(plain);
                consumed
            }
            Opened::Nothing { consumed } => consumed,
            Opened::Closed { consumed } => {
                closed = true;
                consumed
            }
        };
    }
    Ok((plain_text, closed))
}

fn seal(layer: &mut RecordLayer, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(layer.seal(&[IoSlice::new(text)], usize::MAX, 16384, &mut out), Ok(text.len()));
    out
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

/// There and back, in several sizes.
fn talk<D: SideData>(peer: &mut ConnectionCommon<D>, layer: &mut RecordLayer) {
    for length in [1, 2, 100, 1024, 16383, 16384, 16385, 40_000] {
        let text = text(length);
        peer.writer().write_all(&text).unwrap();
        let (plain, closed) = open_all(layer, take(peer)).unwrap();
        assert!(plain == text && !closed, "{length} bytes to us");
        let sealed = seal(layer, &text);
        assert!(feed(peer, &sealed).unwrap() == text, "{length} bytes from us");
    }
}

#[test]
fn data_flows_both_ways_in_both_roles_with_all_suites() {
    for suite in Suite::ALL {
        let (mut client, mut layer) = Pair::new(suite).without_server(Limits::default());
        talk(&mut client, &mut layer);
        let (mut server, mut layer) = Pair::new(suite).without_client(Limits::default());
        talk(&mut server, &mut layer);
    }
}

#[test]
fn a_key_update_of_rustls_is_answered_once_and_both_directions_go_on() {
    for suite in Suite::ALL {
        let (mut client, mut layer) = Pair::new(suite).without_server(Limits::default());
        for _ in 0..5 {
            client.refresh_traffic_keys().unwrap();
            let (plain, _) = open_all(&mut layer, take(&mut client)).unwrap();
            assert!(plain.is_empty() && layer.wants_control());
            let mut answer = Vec::new();
            layer.control(&mut answer);
            assert!(!layer.wants_control(), "answered once");
            assert_eq!(answer.len(), 5 + 5 + 17, "{suite:?}");
            assert!(feed(&mut client, &answer).unwrap().is_empty());
            talk(&mut client, &mut layer);
        }
    }
}

#[test]
fn close_notify_travels_both_ways() {
    for suite in Suite::ALL {
        let (mut client, mut layer) = Pair::new(suite).without_server(Limits::default());
        assert_eq!(layer.end(), Err(Fault::Truncated));
        client.send_close_notify();
        let (_, closed) = open_all(&mut layer, take(&mut client)).unwrap();
        assert!(closed);
        assert_eq!(layer.end(), Ok(()));
        // Our direction is still open.
        let sealed = seal(&mut layer, b"the rest");
        assert_eq!(feed(&mut client, &sealed).unwrap(), b"the rest");
        let mut out = Vec::new();
        layer.close(&mut out);
        assert!(!out.is_empty());
        feed(&mut client, &out).unwrap();
        assert!(client.process_new_packets().unwrap().peer_has_closed());
        let length = out.len();
        layer.close(&mut out);
        assert_eq!(out.len(), length, "once");
        assert_eq!(layer.seal(&[IoSlice::new(b"x")], 1, 1, &mut out), Err(Fault::Finished));
        assert_eq!(out.len(), length);
    }
}

#[test]
fn we_take_new_keys_in_the_middle_of_a_large_transfer() {
    for suite in Suite::ALL {
        for records_per_key in [0, 2, 3, 16, 1000] {
            let limits = Limits { records_per_key, ..Limits::default() };
            let (mut client, mut layer) = Pair::new(suite).without_server(limits);
            let text = text(3_000_000);
            let (mut arrived, mut at, mut out) = (Vec::new(), 0, Vec::new());
            while at < text.len() {
                out.clear();
                let parts = [IoSlice::new(&text[at..]), IoSlice::new(b"")];
                at += layer.seal(&parts, 65_536, 16_384, &mut out).unwrap();
                arrived.append(&mut feed(&mut client, &out).unwrap());
            }
            assert!(arrived == text, "{suite:?}, {records_per_key} records per key");
            // rustls has followed, and still talks to us.
            talk(&mut client, &mut layer);
            let sequence = layer.into_state().write.sequence;
            assert!(sequence < records_per_key.max(2), "{suite:?}: record {sequence} of {records_per_key}");
        }
    }
}

#[test]
fn rustls_takes_new_keys_in_the_middle_of_a_large_transfer() {
    for suite in Suite::ALL {
        let (mut client, mut layer) = Pair::with_records_per_key(suite, 20).without_server(Limits::default());
        let (text, mut opened, mut updates) = (text(3_000_000), Vec::new(), 0);
        for part in text.chunks(30_000) {
            client.writer().write_all(part).unwrap();
            opened.append(&mut open_all(&mut layer, take(&mut client)).unwrap().0);
            if layer.wants_control() {
                let mut answer = Vec::new();
                layer.control(&mut answer);
                feed(&mut client, &answer).unwrap();
                updates += 1;
            }
        }
        assert!(opened == text && updates > 5, "{suite:?}: {updates} updates");
        talk(&mut client, &mut layer);
    }
}

#[test]
fn rustls_understands_our_alerts() {
    use rustls::{AlertDescription, Error};
    for (bytes, alert) in [
        (&[20, 3, 3, 0, 1, 1][..], AlertDescription::UnexpectedMessage),
        (&[23, 3, 3, 0x41, 1], AlertDescription::RecordOverflow),
        (&[23, 3, 3, 0, 3, 1, 2, 3], AlertDescription::BadRecordMac),
    ] {
        let (mut client, mut layer) = Pair::new(Suite::Aes256GcmSha384).without_server(Limits::default());
        assert!(layer.open(&mut bytes.to_vec()).is_err());
        let mut out = Vec::new();
        layer.control(&mut out);
        assert_eq!(feed(&mut client, &out), Err(Error::AlertReceived(alert)));
    }
}

#[test]
fn alerts_of_rustls_end_the_connection() {
    let (mut client, mut layer) = Pair::new(Suite::Aes256GcmSha384).without_server(Limits::default());
    assert!(feed(&mut client, &[23, 3, 3, 0, 3, 1, 2, 3]).is_err());
    let alert = open_all(&mut layer, take(&mut client));
    assert_eq!(alert, Err(Fault::Alert(tls_record::Alert::BAD_RECORD_MAC)));
    assert!(!layer.wants_control());
}

#[test]
fn rustls_takes_the_same_size_of_records() {
    let (mut client, mut layer) = Pair::new(Suite::Aes128GcmSha256).without_server(Limits::default());
    for size in [1, 1400, 4096, 16_384, 1_000_000] {
        let text = text(20_000);
        let mut out = Vec::new();
        layer.seal(&[IoSlice::new(&text[..7]), IoSlice::new(&text[7..])], usize::MAX, size, &mut out).unwrap();
        assert_eq!(out.len(), text.len() + text.len().div_ceil(size.min(16_384)) * tls_record::OVERHEAD);
        assert!(feed(&mut client, &out).unwrap() == text, "{size}");
    }
}
