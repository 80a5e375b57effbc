//! TLS 1.2 behind the handshake, by a client that obeys no rule: its keys are taken out of rustls, and whatever a test likes is sealed with them.
//! Each probe says what the client must be told, and afterwards others are served.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use harness::backends::Backend;
use harness::clients::{http, tls};
use harness::within;
use rustls::ConnectionTrafficSecrets;

use crate::held::{Held, OLD_SUITES, config};
use crate::world::{Handoff, SITE, describe, start};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// One direction, AES-128-GCM.
struct Keys {
    key: LessSafeKey,
    salt: [u8; 4],
    sequence: u64,
}

impl Keys {
    fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Self {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { panic!("the suite that was asked for") };
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap());
        Self { key, salt: iv.as_ref()[..4].try_into().unwrap(), sequence }
    }

    fn nonce(&self, explicit: &[u8]) -> Nonce {
        Nonce::assume_unique_for_key([&self.salt[..], explicit].concat().try_into().unwrap())
    }

    fn data(&mut self, kind: u8, version: [u8; 2], length: usize) -> Aad<Vec<u8>> {
        let length = u16::try_from(length).unwrap().to_be_bytes();
        self.sequence += 1;
        Aad::from([&(self.sequence - 1).to_be_bytes()[..], &[kind], &version, &length].concat())
    }

    fn seal_as(&mut self, kind: u8, version: [u8; 2], content: &[u8]) -> Vec<u8> {
        let explicit = (self.sequence ^ 0x5555_0000_0000_0000).to_be_bytes();
        let (nonce, data) = (self.nonce(&explicit), self.data(kind, version, content.len()));
        let mut body = content.to_vec();
        self.key.seal_in_place_append_tag(nonce, data, &mut body).unwrap();
        let [high, low] = u16::try_from(8 + body.len()).unwrap().to_be_bytes();
        [&[kind, version[0], version[1], high, low][..], &explicit, &body].concat()
    }

    fn seal(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        self.seal_as(kind, [3, 3], content)
    }

    fn open(&mut self, kind: u8, record: &[u8]) -> Vec<u8> {
        let (explicit, sealed) = record.split_at(8);
        let (nonce, data) = (self.nonce(explicit), self.data(kind, [3, 3], sealed.len() - 16));
        let mut body = sealed.to_vec();
        self.key.open_in_place(nonce, data, &mut body).expect("the server's next record").to_vec()
    }
}

/// A client past its handshake.
struct Client {
    socket: TcpStream,
    sends: Keys,
    receives: Keys,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let Held { tls, socket, .. } = Held::open(address, config(Some(OLD_SUITES[0])));
        let secrets = tls.dangerous_extract_secrets().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { socket, sends: Keys::new(secrets.tx), receives: Keys::new(secrets.rx) }
    }

    /// The next record of the server: type and content; `None`: it has ended.
    fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.socket.read_exact(&mut header).ok()?;
        let mut record = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        self.socket.read_exact(&mut record).ok()?;
        Some((header[0], self.receives.open(header[0], &record)))
    }

    /// Sends bytes, then says what the server says to them: an alert, or what it answers to a request behind them.
    fn verdict(&mut self, bytes: &[u8]) -> Said {
        let request = format!("GET /behind HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n");
        let request = self.sends.seal(DATA, request.as_bytes());
        let _ = self.socket.write_all(bytes);
        let _ = self.socket.write_all(&request);
        let (mut refused, mut text) = (0, Vec::new());
        while let Some((kind, content)) = self.hear() {
            match (kind, content.as_slice()) {
                (ALERT, [1, 100]) => refused += 1,
                (ALERT, [1, 0]) => break,
                (ALERT, [2, description]) => return Said::Alert(*description),
                (DATA, more) => text.extend_from_slice(more),
                other => panic!("{other:?}"),
            }
        }
        if text.starts_with(b"HTTP/1.1 200") { Said::Served { refused } } else { Said::Nothing }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// A fatal alert.
    Alert(u8),
    /// The request behind it was answered; so many handshakes were refused before.
    Served { refused: usize },
    /// Neither.
    Nothing,
}

const SERVED: Said = Said::Served { refused: 0 };

/// A name, what the client sends, and what it must be told.
type Probe = (&'static str, fn(&mut Keys) -> Vec<u8>, Said);

fn hello(length: usize) -> Vec<u8> {
    [&[1][..], &u32::try_from(length).unwrap().to_be_bytes()[1..], &vec![3; length]].concat()
}

const PROBES: &[Probe] = &[
    ("nothing", |_| Vec::new(), SERVED),
    ("empty data, a few times", |keys| (0..20).flat_map(|_| keys.seal(DATA, b"")).collect(), SERVED),
    ("empty data without end", |keys| (0..200).flat_map(|_| keys.seal(DATA, b"")).collect(), Said::Alert(10)),
    ("a warning or two", |keys| [keys.seal(ALERT, &[1, 90]), keys.seal(ALERT, &[1, 110])].concat(), SERVED),
    ("warnings without end", |keys| (0..50).flat_map(|_| keys.seal(ALERT, &[1, 90])).collect(), Said::Alert(10)),
    ("an empty alert", |keys| keys.seal(ALERT, b""), Said::Alert(10)),
    ("half an alert", |keys| keys.seal(ALERT, &[1]), Said::Alert(50)),
    ("an alert of a level of its own", |keys| keys.seal(ALERT, &[3, 90]), Said::Alert(47)),
    ("a fatal alert", |keys| keys.seal(ALERT, &[2, 80]), Said::Nothing),
    ("a ClientHello", |keys| keys.seal(HANDSHAKE, &hello(300)), Said::Served { refused: 1 }),
    (
        "a ClientHello, a byte in each record",
        |keys| hello(60).into_iter().flat_map(|byte| keys.seal(HANDSHAKE, &[byte])).collect(),
        Said::Served { refused: 1 },
    ),
    ("two ClientHellos", |keys| keys.seal(HANDSHAKE, &[hello(40), hello(40)].concat()), Said::Alert(10)),
    (
        "data inside a ClientHello",
        |keys| [keys.seal(HANDSHAKE, &hello(60)[..30]), keys.seal(DATA, b"x")].concat(),
        Said::Alert(10),
    ),
    ("a ClientHello that is too long", |keys| keys.seal(HANDSHAKE, &[1, 255, 255, 255]), Said::Alert(50)),
    ("a HelloRequest", |keys| keys.seal(HANDSHAKE, &[0, 0, 0, 0]), Said::Alert(10)),
    ("a Finished", |keys| keys.seal(HANDSHAKE, &[20, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]), Said::Alert(10)),
    ("a KeyUpdate", |keys| keys.seal(HANDSHAKE, &[24, 0, 0, 1, 0]), Said::Alert(10)),
    ("an empty handshake record", |keys| keys.seal(HANDSHAKE, b""), Said::Alert(10)),
    ("change_cipher_spec, sealed", |keys| keys.seal(20, &[1]), Said::Alert(10)),
    ("change_cipher_spec in the clear", |_| vec![20, 3, 3, 0, 1, 1], Said::Alert(10)),
    ("a heartbeat", |keys| keys.seal(24, &[1, 64, 0]), Said::Alert(10)),
    ("close_notify in the clear", |_| vec![21, 3, 3, 0, 2, 1, 0], Said::Alert(20)),
    ("version 3.1", |keys| keys.seal_as(DATA, [3, 1], b"x"), Said::Alert(70)),
    ("version 3.4", |keys| keys.seal_as(DATA, [3, 4], b"x"), Said::Alert(70)),
    ("a record that says it has 65535 bytes", |_| vec![23, 3, 3, 255, 255], Said::Alert(22)),
    ("16,385 bytes in a record", |keys| keys.seal(DATA, &vec![b'x'; 16_385]), Said::Alert(22)),
    ("a record without a tag", |_| vec![23, 3, 3, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9], Said::Alert(20)),
    ("an empty record in the clear", |_| vec![23, 3, 3, 0, 0], Said::Alert(20)),
    (
        "a record twice",
        |keys| {
            let record = keys.seal(DATA, b"");
            [&record[..], &record].concat()
        },
        Said::Alert(20),
    ),
    (
        "a record left out",
        |keys| {
            drop(keys.seal(DATA, b""));
            keys.seal(DATA, b"")
        },
        Said::Alert(20),
    ),
    (
        "a bit turned",
        |keys| {
            let mut record = keys.seal(DATA, b"GET / HTTP/1.1\r\n\r\n");
            record[20] ^= 1;
            record
        },
        Said::Alert(20),
    ),
];

#[test]
fn every_wrong_record_of_tls_1_2_has_its_alert() {
    within(120, || {
        let backend = Backend::application();
        let world = start("old-records", Handoff::Secrets, &backend);
        let mut wrong = Vec::new();
        for (name, send, wanted) in PROBES {
            let mut client = Client::new(world.https());
            let bytes = send(&mut client.sends);
            let said = client.verdict(&bytes);
            if said != *wanted {
                wrong.push(format!("{name}: {said:?}, not {wanted:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        let mut stream = tls::client(SITE).tls12().connect(world.https()).unwrap();
        assert_eq!(http::get(&mut stream, SITE, "/").unwrap().status, 200, "others are served");
        assert_eq!(world.figure("tls-terminator", "handed_over"), world.figure("tls-terminator", "tls12"));
    });
}

#[test]
fn what_stands_behind_close_notify_is_not_looked_at() {
    within(60, || {
        let backend = Backend::application();
        let world = describe("old-records-close", Handoff::Secrets, &backend);
        let world = world.set("http-filter", "half_close", "\"answer\"").start();
        let mut client = Client::new(world.https());
        let request = format!("GET /last HTTP/1.1\r\nHost: {SITE}\r\n\r\n");
        let bytes =
            [client.sends.seal(DATA, request.as_bytes()), client.sends.seal(ALERT, &[1, 0]), vec![22; 40]].concat();
        client.socket.write_all(&bytes).unwrap();
        let (kind, text) = client.hear().expect("an answer");
        assert!(kind == DATA && text.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&text));
        let last = std::iter::from_fn(|| client.hear()).last();
        assert_eq!(last, Some((ALERT, vec![1, 0])), "answered in kind (RFC 5246 §7.2.1)");
    });
}
