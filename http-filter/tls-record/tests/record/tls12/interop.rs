//! rustls on the other side, in both roles, with all AEADs, after real handshakes (extended master secret, full and resumed): data, ends, alerts.

use std::io::{IoSlice, Write};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, ConnectionCommon, ConnectionTrafficSecrets, Error, HandshakeKind,
    RootCertStore, ServerConfig, ServerConnection, SideData,
};
use tls_record::tls12::{Direction, Keys, RecordLayer, State, Suite};
use tls_record::{Alert, Fault, Limits, Opened};

use crate::rustls_peer::{feed, take};

const SUITES: [u16; 3] = [0xc02b, 0xc02c, 0xcca9];

/// What two ends of rustls share, so that a session can be resumed.
struct Configs(Arc<ClientConfig>, Arc<ServerConfig>);

fn configs(suite: u16) -> Configs {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|known| u16::from(known.suite()) == suite);
    let provider: Arc<CryptoProvider> = Arc::new(provider);
    let made = rcgen::generate_simple_self_signed(vec!["bulkhead.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.enable_secret_extraction = true;
    server.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.enable_secret_extraction = true;
    Configs(Arc::new(client), Arc::new(server))
}

impl Configs {
    /// Two ends after a handshake, all of whose records have been delivered.
    fn shake(&self) -> (ClientConnection, ServerConnection) {
        let name = ServerName::try_from("bulkhead.test").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&self.1)).unwrap();
        loop {
            let (to_server, to_client) = (take(&mut client), take(&mut server));
            if to_server.is_empty() && to_client.is_empty() {
                break;
            }
            feed(&mut server, &to_server).unwrap();
            feed(&mut client, &to_client).unwrap();
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        (client, server)
    }

    fn without_server(&self) -> (ClientConnection, RecordLayer) {
        let (client, server) = self.shake();
        let suite = server.negotiated_cipher_suite().unwrap().suite().into();
        (client, layer(suite, &server.dangerous_extract_secrets().unwrap()))
    }

    fn without_client(&self) -> (ServerConnection, RecordLayer) {
        let (client, server) = self.shake();
        let suite = client.negotiated_cipher_suite().unwrap().suite().into();
        (server, layer(suite, &client.dangerous_extract_secrets().unwrap()))
    }
}

fn layer(suite: u16, secrets: &rustls::ExtractedSecrets) -> RecordLayer {
    use ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
    let suite = Suite::try_from(suite).unwrap();
    let direction = |(sequence, secrets): &(u64, ConnectionTrafficSecrets)| {
        let (Aes128Gcm { key, iv } | Aes256Gcm { key, iv } | Chacha20Poly1305 { key, iv }) = secrets else { panic!() };
        assert_eq!(*sequence, 1, "nothing but a Finished is sealed in a handshake");
        Direction { keys: Keys::new(suite, key.as_ref(), iv.as_ref()).unwrap(), sequence: *sequence }
    };
    let state = State { suite, read: direction(&secrets.rx), write: direction(&secrets.tx) };
    RecordLayer::new(state, Limits::default()).unwrap()
}

/// All that our layer opens in `bytes`, which hold whole records: plaintext, and whether close_notify came.
fn open_all(layer: &mut RecordLayer, mut bytes: Vec<u8>) -> Result<(Vec<u8>, bool), Fault> {
    let (mut text, mut at, mut closed) = (Vec::new(), 0, false);
    while at < bytes.len() {
        at += match layer.open(&mut bytes[at..])? {
            Opened::Incomplete { wanted } => panic!("a record of {wanted} bytes is not whole"),
            Opened::Data { consumed, plain } => {
                text.extend_from_slice(plain);
                consumed
            }
            Opened::Nothing { consumed } => consumed,
            Opened::Closed { consumed } => {
                closed = true;
                consumed
            }
        };
    }
    Ok((text, closed))
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

fn seal(layer: &mut RecordLayer, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (head, body) = text.split_at(text.len() / 3);
    assert_eq!(layer.seal(&[IoSlice::new(head), IoSlice::new(body)], usize::MAX, 16384, &mut out), Ok(text.len()));
    out
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
fn data_flows_both_ways_in_both_roles_after_full_and_resumed_handshakes() {
    for suite in SUITES {
        let configs = configs(suite);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let (mut client, mut layer) = configs.without_server();
            assert_eq!(client.handshake_kind(), Some(kind));
            talk(&mut client, &mut layer);
        }
        let (mut server, mut layer) = configs.without_client();
        talk(&mut server, &mut layer);
    }
}

#[test]
fn a_connection_moves_on_and_on() {
    for suite in SUITES {
        let (mut client, mut layer) = configs(suite).without_server();
        for round in 0..20_u64 {
            talk(&mut client, &mut layer);
            assert!(layer.is_movable());
            let state = layer.into_state();
            // Of eight texts, 40,000 bytes fill three records and 16,385 two.
            assert_eq!((state.read.sequence, state.write.sequence), (1 + 11 * (round + 1), 1 + 11 * (round + 1)));
            layer = RecordLayer::new(state, Limits::default()).unwrap();
        }
    }
}

#[test]
fn close_notify_travels_both_ways() {
    for suite in SUITES {
        let (mut client, mut layer) = configs(suite).without_server();
        assert_eq!(layer.end(), Err(Fault::Truncated));
        client.send_close_notify();
        assert!(open_all(&mut layer, take(&mut client)).unwrap().1);
        assert_eq!(layer.end(), Ok(()));
        let sealed = seal(&mut layer, b"the rest");
        assert_eq!(feed(&mut client, &sealed).unwrap(), b"the rest");
        let mut out = Vec::new();
        layer.close(&mut out);
        feed(&mut client, &out).unwrap();
        assert!(client.process_new_packets().unwrap().peer_has_closed());
        let length = out.len();
        layer.close(&mut out);
        assert_eq!(layer.seal(&[IoSlice::new(b"x")], 1, 1, &mut out), Err(Fault::Finished));
        assert_eq!(out.len(), length, "once");
    }
}

#[test]
fn rustls_understands_our_alerts_and_we_understand_its() {
    for (bytes, alert) in [
        (&[20, 3, 3, 0, 1, 1][..], AlertDescription::UnexpectedMessage),
        (&[23, 3, 3, 0x41, 1], AlertDescription::RecordOverflow),
        (&[23, 3, 1, 0, 3, 1, 2, 3], AlertDescription::ProtocolVersion),
        (&[23, 3, 3, 0, 3, 1, 2, 3], AlertDescription::BadRecordMac),
    ] {
        let (mut client, mut layer) = configs(0xc02c).without_server();
        assert!(layer.open(&mut bytes.to_vec()).is_err());
        let mut out = Vec::new();
        layer.control(&mut out);
        assert_eq!(feed(&mut client, &out), Err(Error::AlertReceived(alert)));
    }
    let (mut client, mut layer) = configs(0xcca9).without_server();
    assert!(feed(&mut client, &[23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7]).is_err());
    let alert = open_all(&mut layer, take(&mut client));
    assert_eq!(alert, Err(Fault::Alert(Alert::BAD_RECORD_MAC)));
    assert!(!layer.wants_control());
}

#[test]
fn records_have_the_size_that_is_asked_for() {
    for suite in SUITES {
        let (mut client, mut layer) = configs(suite).without_server();
        let overhead = if suite == 0xcca9 { 21 } else { 29 };
        for size in [1, 1400, 4096, 16_384, 1_000_000] {
            let text = text(20_000);
            let mut out = Vec::new();
            layer.seal(&[IoSlice::new(&text[..7]), IoSlice::new(&text[7..])], usize::MAX, size, &mut out).unwrap();
            assert_eq!(out.len(), text.len() + text.len().div_ceil(size.min(16_384)) * overhead);
            assert!(feed(&mut client, &out).unwrap() == text, "{size}");
        }
    }
}
