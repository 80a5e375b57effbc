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
