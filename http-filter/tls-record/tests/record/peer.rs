//! A peer that can lie: it seals whatever it is told to, with keys of its own derivation (HMAC by hand, nothing of the crate under test),
//! and opens what the other side sends, strictly in order. The fuzz target uses it too.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use tls_record::{Direction, Limits, RecordLayer, Secret, State, Suite};

/// Keys of one direction.
pub struct Keys {
    suite: Suite,
    secret: Vec<u8>,
    key: LessSafeKey,
    iv: Vec<u8>,
    /// Of the next record.
    pub sequence: u64,
    /// How often they were updated.
    pub generation: u64,
}

impl Keys {
    pub fn new(suite: Suite, secret: &[u8], sequence: u64) -> Self {
        let (algorithm, length) = match suite {
            Suite::Aes128GcmSha256 => (&AES_128_GCM, 16),
            Suite::Aes256GcmSha384 => (&AES_256_GCM, 32),
            Suite::ChaCha20Poly1305Sha256 => (&CHACHA20_POLY1305, 32),
        };
        let key = UnboundKey::new(algorithm, &expand_label(suite, secret, "key", length)).unwrap();
        let iv = expand_label(suite, secret, "iv", 12);
        Self { suite, secret: secret.to_vec(), key: LessSafeKey::new(key), iv, sequence, generation: 0 }
    }

    pub fn update(&mut self) {
        let next = expand_label(self.suite, &self.secret, "traffic upd", self.secret.len());
        *self = Self { generation: self.generation + 1, ..Self::new(self.suite, &next, 0) };
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce: [u8; 12] = self.iv.as_slice().try_into().unwrap();
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce)
    }

    /// A record around `inner`, which should be content, type and padding, with a header of any kind and version.
    pub fn seal_as(&mut self, kind: u8, version: [u8; 2], inner: &[u8]) -> Vec<u8> {
        let length = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let header = [kind, version[0], version[1], length[0], length[1]];
        let mut body = inner.to_vec();
        let nonce = self.nonce();
        self.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut body).unwrap();
        [&header[..], &body].concat()
    }

    pub fn seal(&mut self, inner: &[u8]) -> Vec<u8> {
        self.seal_as(23, [3, 3], inner)
    }

    /// A record of `content` with its type, without padding.
    pub fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        self.seal(&[content, &[kind]].concat())
    }

    /// Opens the next record: content and type. Follows a KeyUpdate.
    pub fn open(&mut self, bytes: &mut &[u8]) -> (Vec<u8>, u8) {
        let (header, rest) = bytes.split_first_chunk::<5>().expect("a header");
        assert_eq!(header[..3], [23, 3, 3]);
        let (body, rest) = rest.split_at(usize::from(u16::from_be_bytes([header[3], header[4]])));
        *bytes = rest;
        let mut body = body.to_vec();
        let nonce = self.nonce();
        let plain = self.key.open_in_place(nonce, Aad::from(*header), &mut body).expect("the next record of this key");
        let (kind, content) = plain.split_last().expect("a type");
        let (kind, content) = (*kind, content.to_vec());
        if kind == 22 {
            assert_eq!(content, [24, 0, 0, 1, 0], "a KeyUpdate that requests nothing");
            self.update();
        }
        (content, kind)
    }

    /// Opens records that must hold data or KeyUpdates.
    pub fn open_data(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        while !bytes.is_empty() {
            match self.open(&mut bytes) {
                (content, 23) => data.extend_from_slice(&content),
                (_, 22) => {}
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
    pair_at(suite, limits, 0, 0)
}

/// The same in the middle of a connection: numbers of the next records, read and written.
pub fn pair_at(suite: Suite, limits: Limits, read: u64, write: u64) -> (Peer, RecordLayer) {
    let (client, server) = (vec![0xC1; suite.secret_len()], vec![0x5E; suite.secret_len()]);
    let direction = |bytes: &[u8], sequence| Direction { secret: Secret::new(suite, bytes).unwrap(), sequence };
    let state = State { suite, read: direction(&client, read), write: direction(&server, write) };
    let peer = Peer { sends: Keys::new(suite, &client, read), receives: Keys::new(suite, &server, write) };
    (peer, RecordLayer::new(state, limits).unwrap())
}

/// HKDF-Expand-Label of RFC 8446 §7.1 with an empty context, HKDF-Expand of RFC 5869 §2.3 by hand.
pub fn expand_label(suite: Suite, secret: &[u8], label: &str, length: usize) -> Vec<u8> {
    let algorithm = if suite.secret_len() == 48 { hmac::HMAC_SHA384 } else { hmac::HMAC_SHA256 };
    let key = hmac::Key::new(algorithm, secret);
    let label = format!("tls13 {label}");
    let mut info = u16::try_from(length).unwrap().to_be_bytes().to_vec();
    info.push(u8::try_from(label.len()).unwrap());
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for number in 1_u8.. {
        block = hmac::sign(&key, &[&block[..], &info, &[number]].concat()).as_ref().to_vec();
        out.extend_from_slice(&block);
        if out.len() >= length {
            out.truncate(length);
            return out;
        }
    }
    unreachable!("255 blocks are more than any key")
}
