//! Against rustls's own client, in memory: any cut of what the client sends, writes between the pieces, and rubbish.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, ServerName};

use super::*;
use rustls::crypto::aws_lc_rs::default_provider as provider; // whose keys sign at any time

/// Both ends of a connection, and what lies between them.
struct Pair {
    client: ClientConnection,
    server: UnbufferedServerConnection,
    held: Vec<u8>,
    plain: Vec<u8>,
    out: Fill,
}

fn configs() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["shop.example".into()]).unwrap().self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let client =
        ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions().unwrap();
    let mut client = client.with_root_certificates(roots).with_no_client_auth();
    client.max_fragment_size = Some(64); // its hello then spans dozens of records
    let server =
        ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (Arc::new(client), Arc::new(server))
}

impl Pair {
    fn new(configs: &(Arc<ClientConfig>, Arc<ServerConfig>)) -> Self {
        let name = ServerName::try_from("shop.example").unwrap();
        Self {
            client: ClientConnection::new(Arc::clone(&configs.0), name).unwrap(),
            server: UnbufferedServerConnection::new(Arc::clone(&configs.1)).unwrap(),
            held: Vec::new(),
            plain: Vec::new(),
            out: Fill::new(16), // far too small: it has to grow
        }
    }

    /// What the client wants sent now.
    fn client_sends(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Gives bytes to the server as one read.
    fn server_takes(&mut self, bytes: &[u8]) -> Pass {
        let mut input = std::mem::take(&mut self.held);
        input.extend_from_slice(bytes);
        let pass = take_in(&mut self.server, &mut input, &mut self.plain, &mut self.out);
        self.held = input[pass.consumed..].to_vec();
        pass
    }

    fn client_takes(&mut self) {
        let bytes = self.out.bytes().to_vec();
        self.out.clear();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            self.client.process_new_packets().unwrap();
        }
    }

    /// Shakes hands, the client's flights cut into pieces of `piece` bytes.
    fn shake(&mut self, piece: usize) {
        for _ in 0..4 {
            for bytes in self.client_sends().chunks(piece) {
                assert!(self.server_takes(bytes).fault.is_none());
            }
            self.client_takes();
        }
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
    }

    fn client_reads(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let read = self.client.reader().read(&mut bytes).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }
}

#[test]
fn a_hello_over_many_records_is_read_in_any_cut() {
    let configs = configs();
    for piece in [1, 2, 3, 5, 64, 69, 70, 1000, 100_000] {
        let mut pair = Pair::new(&configs);
        pair.shake(piece);
        pair.client.writer().write_all(&[7; 500]).unwrap();
        let bytes = pair.client_sends();
        bytes.chunks(piece).for_each(|bytes| assert!(pair.server_takes(bytes).traffic));
        assert_eq!(pair.plain, [7; 500], "{piece}");
        assert!(pair.held.is_empty());
    }
}

#[test]
fn sending_goes_on_while_a_record_is_half_received() {
    let mut pair = Pair::new(&configs());
    pair.shake(1000);
    pair.client.writer().write_all(b"a question in two halves").unwrap();
    let bytes = pair.client_sends();
    let (first, second) = bytes.split_at(20);
    pair.server_takes(first);
    assert_eq!(pair.held.len(), 20);
    let answer: Vec<u8> = (0..15_000u32).map(|n| n.to_le_bytes()[0]).collect();
    protect(&mut pair.server, &mut pair.held, &answer, &mut pair.out).unwrap();
    pair.client_takes();
    assert_eq!(pair.client_reads(), answer);
    pair.server_takes(second);
    assert_eq!(pair.plain, b"a question in two halves");
    say_goodbye(&mut pair.server, &mut pair.held, &mut pair.out).unwrap();
    pair.client_takes();
    assert!(matches!(pair.client.reader().read(&mut [0; 8]), Ok(0)), "the goodbye arrived");
}

#[test]
fn the_clients_goodbye_is_seen_once_and_what_follows_is_ignored() {
    let mut pair = Pair::new(&configs());
    pair.shake(1000);
    pair.client.writer().write_all(b"last words").unwrap();
    pair.client.send_close_notify();
    let mut bytes = pair.client_sends();
    bytes.extend_from_slice(b"rubbish behind the end");
    let pass = pair.server_takes(&bytes);
    assert!(pass.closed && pass.traffic && pass.fault.is_none());
    assert_eq!(pair.plain, b"last words");
    pair.held.clear();
    protect(&mut pair.server, &mut pair.held, b"the answer", &mut pair.out).unwrap();
    pair.client_takes();
    assert_eq!(pair.client_reads(), b"the answer");
}

#[test]
fn rubbish_is_a_fault_with_an_alert_and_never_more() {
    let configs = configs();
    let mut state = 7u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).unwrap()
    };
    let (mut faults, mut alerts) = (0, 0);
    for round in 0..600 {
        let mut pair = Pair::new(&configs);
        if round % 2 == 0 {
            pair.shake(1000);
            pair.client.writer().write_all(&[1; 300]).unwrap();
        }
        let mut bytes = pair.client_sends();
        for _ in 0..=round % 3 {
            let place = random() % bytes.len();
            bytes[place] = u8::try_from(random() % 256).unwrap();
        }
        for piece in bytes.chunks(1 + random() % 200) {
            if pair.server_takes(piece).fault.is_some() {
                faults += 1;
                alerts += usize::from(!pair.out.bytes().is_empty());
                break;
            }
        }
    }
    assert!(faults > 400 && alerts * 10 > faults * 9, "{faults} faults, {alerts} alerts");
}
