//! A peer that can lie: it seals whatever it is told to, with nonces and additional data of its own making (nothing of the crate under test),
//! and opens what the other side sends, strictly in order. The fuzz target uses it too.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use tls_record::Limits;
use tls_record::tls12::{Direction, Keys as Told, RecordLayer, State, Suite};

/// Keys of one direction.
pub struct Keys {
    key: LessSafeKey,
    iv: [u8; 12],
    /// Whether records carry eight bytes of their nonce.
    explicit: bool,
    /// Of the next record.
    pub sequence: u64,
    /// Explicit nonces that were seen.
    seen: std::collections::HashSet<[u8; 8]>,
}

impl Keys {
    pub fn new(suite: Suite, key: &[u8], iv: [u8; 12], sequence: u64) -> Self {
        let (algorithm, explicit) = match u16::from(suite) {
            0xc02b | 0xc02f => (&AES_128_GCM, true),
            0xc02c | 0xc030 => (&AES_256_GCM, true),
            _ => (&CHACHA20_POLY1305, false),
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
        Self { key, iv, explicit, sequence, seen: std::collections::HashSet::new() }
    }

    fn data(&mut self, header: [u8; 3], length: usize) -> Aad<Vec<u8>> {
        let length = u16::try_from(length).unwrap().to_be_bytes();
        let data = [&self.sequence.to_be_bytes()[..], &header, &length].concat();
        self.sequence += 1;
        Aad::from(data)
    }

    /// RFC 7905 §2.
    fn implicit(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        nonce
    }

    /// A record of `content` with a header of any type and version; where the suite has one, with an explicit nonce of the peer's own choice.
    pub fn seal_as(&mut self, kind: u8, version: [u8; 2], content: &[u8]) -> Vec<u8> {
        let (mut nonce, mut explicit) = (self.implicit(), Vec::new());
        if self.explicit {
            explicit = self.sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes().to_vec();
            nonce[4..].copy_from_slice(&explicit);
        }
        let data = self.data([kind, version[0], version[1]], content.len());
        let mut body = content.to_vec();
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), data, &mut body).unwrap();
        let length = u16::try_from(explicit.len() + body.len()).unwrap().to_be_bytes();
        [&[kind, version[0], version[1], length[0], length[1]][..], &explicit, &body].concat()
    }

    pub fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        self.seal_as(kind, [3, 3], content)
    }

    /// Opens the next record: content and type.
    pub fn open(&mut self, bytes: &mut &[u8]) -> (Vec<u8>, u8) {
        let (header, rest) = bytes.split_first_chunk::<5>().expect("a header");
        assert_eq!(header[1..3], [3, 3]);
        let (mut body, rest) = rest.split_at(usize::from(u16::from_be_bytes([header[3], header[4]])));
        *bytes = rest;
        let mut nonce = self.implicit();
        if self.explicit {
            let (explicit, sealed) = body.split_first_chunk::<8>().expect("a nonce");
            assert!(self.seen.insert(*explicit), "a nonce twice");
            nonce[4..].copy_from_slice(explicit);
            body = sealed;
        }
        let data = self.data([header[0], 3, 3], body.len() - 16);
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(Nonce::assume_unique_for_key(nonce), data, &mut body);
        (plain.expect("the next record of this key").to_vec(), header[0])
    }

    /// Opens records that must hold data.
    pub fn open_data(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        while !bytes.is_empty() {
            match self.open(&mut bytes) {
                (content, 23) => data.extend_from_slice(&content),
                (content, kind) => panic!("type {kind}: {content:?}"),
            }
        }
        data
    }
}

/// A peer of a record layer: what it sends, what it receives.
pub struct Peer {
    pub sends: Keys,
    pub receives: Keys,
}

/// A record layer, and the peer at the other end of it.
pub fn pair(suite: Suite, limits: Limits) -> (Peer, RecordLayer) {
    pair_at(suite, limits, 1, 1) // the two Finished have gone
}

/// The same in the middle of a connection: numbers of the next records, read and written.
pub fn pair_at(suite: Suite, limits: Limits, read: u64, write: u64) -> (Peer, RecordLayer) {
    let [client, server] = [0xC1, 0x5E].map(|byte| (vec![byte; suite.key_len()], [byte ^ 0xff; 12]));
    let direction =
        |(key, iv): &(Vec<u8>, [u8; 12]), sequence| Direction { keys: Told::new(suite, key, iv).unwrap(), sequence };
    let state = State { suite, read: direction(&client, read), write: direction(&server, write) };
    let peer = Peer {
        sends: Keys::new(suite, &client.0, client.1, read),
        receives: Keys::new(suite, &server.0, server.1, write),
    };
    (peer, RecordLayer::new(state, limits).unwrap())
}
