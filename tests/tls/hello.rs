//! ClientHellos in parts (RFC 8446 §4.1.2), so that each part can be left out, doubled, moved or made wrong.

use crate::strange::{handshake, message};
use crate::world::SITE;

/// Extensions by number.
pub mod extension {
    #![allow(missing_docs)]
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const PADDING: u16 = 21;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const EARLY_DATA: u16 = 42;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const COOKIE: u16 = 44;
    pub const PSK_MODES: u16 = 45;
    pub const POST_HANDSHAKE_AUTH: u16 = 49;
    pub const KEY_SHARE: u16 = 51;
}

/// X25519.
pub const X25519: u16 = 0x001d;
/// secp256r1.
pub const P256: u16 = 0x0017;
/// A value that means nothing (RFC 8701).
pub const GREASE: u16 = 0x1a1a;

/// A hello.
#[derive(Debug, Clone)]
pub struct Hello {
    /// `legacy_version`.
    pub version: u16,
    /// `legacy_session_id`.
    pub session: Vec<u8>,
    /// Suites.
    pub suites: Vec<u16>,
    /// Compression methods.
    pub compression: Vec<u8>,
    /// Extensions, in order.
    pub extensions: Vec<(u16, Vec<u8>)>,
    /// Bytes behind the extensions.
    pub trailing: Vec<u8>,
}

impl Hello {
    /// One to which nobody objects, with this X25519 share.
    pub fn usual(public: &[u8]) -> Self {
        let name = [&[0][..], &vector(SITE.as_bytes())].concat();
        let extensions = vec![
            (extension::SERVER_NAME, vector(&name)),
            (extension::SUPPORTED_GROUPS, vector(&numbers(&[X25519, P256, 0x0018]))),
            (extension::SIGNATURE_ALGORITHMS, vector(&numbers(&[0x0403, 0x0804, 0x0503, 0x0805, 0x0401]))),
            (extension::ALPN, vector(b"\x08http/1.1")),
            (extension::SUPPORTED_VERSIONS, short_vector(&numbers(&[0x0304]))),
            (extension::PSK_MODES, short_vector(&[1])),
            (extension::KEY_SHARE, vector(&share(X25519, public))),
        ];
        let suites = vec![0x1301, 0x1302, 0x1303];
        Self { version: 0x0303, session: vec![7; 32], suites, compression: vec![0], extensions, trailing: Vec::new() }
    }

    /// The body of an extension.
    ///
    /// # Panics
    /// When it is not there.
    pub fn extension(&mut self, number: u16) -> &mut Vec<u8> {
        let found = self.extensions.iter_mut().find(|(own, _)| *own == number);
        &mut found.expect("a usual extension").1
    }

    /// Leaves one out.
    pub fn without(&mut self, number: u16) {
        self.extensions.retain(|(own, _)| *own != number);
    }

    /// Puts one in front.
    pub fn with(&mut self, number: u16, body: &[u8]) {
        self.extensions.insert(0, (number, body.to_vec()));
    }

    /// As a handshake message.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend((0..32).map(|at| at * 5 + 1));
        body.extend(short_vector(&self.session));
        body.extend(vector(&numbers(&self.suites)));
        body.extend(short_vector(&self.compression));
        let mut all = Vec::new();
        for (number, extension) in &self.extensions {
            all.extend(number.to_be_bytes());
            all.extend(vector(extension));
        }
        body.extend(vector(&all));
        body.extend_from_slice(&self.trailing);
        handshake(message::CLIENT_HELLO, &body)
    }
}

/// A KeyShareEntry.
pub fn share(group: u16, public: &[u8]) -> Vec<u8> {
    [group.to_be_bytes().as_slice(), &vector(public)].concat()
}

/// With a length of two bytes.
pub fn vector(bytes: &[u8]) -> Vec<u8> {
    [(bytes.len() as u16).to_be_bytes().as_slice(), bytes].concat()
}

/// With a length of one byte.
pub fn short_vector(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

/// Numbers of two bytes.
pub fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}
