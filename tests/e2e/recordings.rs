//! The ClientHellos recorded from real clients (`tests/data/client_hellos/`), and the ways to cut them: into TLS records
//! (RFC 8446 §5.1 allows any) and into TCP segments.

use std::path::Path;

/// One recording.
#[derive(Debug, Clone)]
pub struct Recording {
    /// File name without `.hex`.
    pub client: String,
    /// TLS records as they were on the wire.
    pub bytes: Vec<u8>,
    /// Whether it asks for `shop.test`; the others send no name.
    pub named: bool,
    /// Whether it offers `acme-tls/1`.
    pub acme: bool,
}

/// All of them.
pub fn all() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/client_hellos");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let hex = files.filter(|path| path.extension().is_some_and(|kind| kind == "hex"));
    let mut all: Vec<Recording> = hex.map(|path| recording(&path)).collect();
    all.sort_by(|one, other| one.client.cmp(&other.client));
    assert!(all.len() >= 19, "recordings are missing");
    all
}

fn recording(path: &Path) -> Recording {
    let digits: Vec<u8> = std::fs::read(path).unwrap().into_iter().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    let client = path.file_stem().unwrap().to_str().unwrap().to_owned();
    Recording { client, named: has(b"shop.test"), acme: has(b"acme-tls/1"), bytes }
}

impl Recording {
    /// The handshake message without its record headers.
    pub fn message(&self) -> Vec<u8> {
        let (mut rest, mut message) = (&self.bytes[..], Vec::new());
        while rest.len() >= 5 {
            let length = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
            message.extend_from_slice(&rest[5..5 + length]);
            rest = &rest[5 + length..];
        }
        message
    }

    /// The same message in records that end at these places.
    pub fn in_records(&self, cuts: &[usize]) -> Vec<u8> {
        let message = self.message();
        let mut bytes = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().copied().chain([message.len()]) {
            if cut > from && cut <= message.len() {
                bytes.extend([22, 3, 1]);
                bytes.extend(((cut - from) as u16).to_be_bytes());
                bytes.extend_from_slice(&message[from..cut]);
                from = cut;
            }
        }
        bytes
    }

    /// Places in the handshake message that matter: its header, version, random, session id, and around the name.
    pub fn message_places(&self) -> Vec<usize> {
        let message = self.message();
        let mut places = vec![1, 2, 3, 4, 5, 6, 37, 38, 39, 40, message.len() / 2, message.len() - 1];
        if let Some(at) = message.windows(9).position(|window| window == b"shop.test") {
            places.extend([at - 9, at - 5, at - 2, at - 1, at, at + 1, at + 5, at + 8, at + 9]);
        }
        places.retain(|place| *place > 0 && *place < message.len());
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Places on the wire that matter: record header, handshake header, around the name, a typical segment, the end.
    pub fn wire_places(&self) -> Vec<usize> {
        let mut places = vec![1, 3, 5, 6, 9, 43, 44, self.bytes.len() - 1];
        places.extend([536, 1400, 1460].into_iter().filter(|place| *place < self.bytes.len()));
        if let Some(at) = self.bytes.windows(9).position(|window| window == b"shop.test") {
            places.extend([at - 1, at, at + 4, at + 9]);
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}
