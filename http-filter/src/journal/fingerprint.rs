//! What two requests have in common when one is a repetition of the other: method, host, path and query as they were written, and
//! the names and lengths of all header fields. Nothing is parsed for it, because what parses may be what dies.
//!
//! 64 bits by SipHash-1-3 over words, with a key of the journal's: nobody outside can make two requests alike. It never is 0.

use std::fmt::{self, Display};

use http::Request;
use http::header::HOST;

/// Bytes of a description; what is behind them is cut off.
pub const TEXT: usize = 104;

/// The fingerprint of a request.
pub fn of<B>(request: &Request<B>, key: [u64; 2]) -> u64 {
    let mut hash = Hash::new(key);
    let uri = request.uri();
    hash.text(request.method().as_str().as_bytes());
    hash.text(authority(request));
    hash.text(uri.path().as_bytes());
    hash.text(uri.query().unwrap_or_default().as_bytes());
    for (name, value) in request.headers() {
        hash.named_length(name.as_str().as_bytes(), value.len());
    }
    hash.finish().max(1)
}

/// Another text under the same key.
pub fn of_text(text: &str, key: [u64; 2]) -> u64 {
    let mut hash = Hash::new(key);
    hash.text(text.as_bytes());
    hash.finish().max(1)
}

fn authority<B>(request: &Request<B>) -> &[u8] {
    match request.uri().authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => request.headers().get(HOST).map(|host| host.as_bytes()).unwrap_or_default(),
    }
}

/// `method host path`, cut off and filled up with zeros. No query and no header: there may be secrets in them.
pub fn describe<B>(request: &Request<B>) -> [u8; TEXT] {
    let mut text = [0; TEXT];
    let mut rest = text.as_mut_slice();
    let parts = [request.method().as_str().as_bytes(), b" ", authority(request), b" ", request.uri().path().as_bytes()];
    for part in parts {
        let (now, later) = rest.split_at_mut(part.len().min(rest.len()));
        for (to, from) in now.iter_mut().zip(part) {
            *to = *from;
        }
        rest = later;
    }
    text
}

/// A description for people: printable ASCII, everything else escaped.
pub struct Shown<'a>(pub &'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Display::fmt(&self.0.get(..end).unwrap_or_default().escape_ascii(), f)
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// SipHash-1-3 over words of 8 bytes. Texts begin with their length, so that no two rows of texts are the same words.
struct Hash([u64; 4]);

impl Hash {
    fn new([one, two]: [u64; 2]) -> Self {
        Self([
            one ^ 0x736f_6d65_7073_6575,
            two ^ 0x646f_7261_6e64_6f6d,
            one ^ 0x6c79_6765_6e65_7261,
            two ^ 0x7465_6462_7974_6573,
        ])
    }

    fn text(&mut self, text: &[u8]) {
        self.word(wide(text.len()));
        self.bytes(text);
    }

    /// A text and a number that says nothing of it, both below 2^32, in one word fewer.
    fn named_length(&mut self, name: &[u8], length: usize) {
        self.word(wide(name.len()) | wide(length) << 32);
        self.bytes(name);
    }

    /// Bytes whose number is known already, so what does not fill a word may overlap with what went before.
    #[inline]
    fn bytes(&mut self, text: &[u8]) {
        let (words, rest) = text.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if rest.is_empty() {
            return;
        }
        let ends =
            |text: &[u8]| Some((u32::from_le_bytes(*text.first_chunk()?), u32::from_le_bytes(*text.last_chunk()?)));
        self.word(match (text.last_chunk(), ends(rest)) {
            (Some(last), _) => u64::from_le_bytes(*last),
            (None, Some((first, last))) => u64::from(first) | u64::from(last) << 32,
            (None, None) => rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
        });
    }

    #[inline]
    fn word(&mut self, word: u64) {
        let [a, b, c, d] = self.0;
        self.0 = [a, b, c, d ^ word];
        self.round();
        let [a, b, c, d] = self.0;
        self.0 = [a ^ word, b, c, d];
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        d = d.rotate_left(21) ^ a;
        self.0 = [a, b, c.rotate_left(32), d];
    }

    fn finish(mut self) -> u64 {
        let [a, b, c, d] = self.0;
        self.0 = [a, b, c ^ 0xff, d];
        (0..3).for_each(|_| self.round());
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::hash::Hasher;

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().method(method).uri(uri);
        headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap()
    }

    #[test]
    fn it_is_siphash() {
        for count in 0..20u64 {
            #[allow(deprecated)] // the only one of std's whose algorithm and key are fixed
            let mut known = std::hash::DefaultHasher::new();
            let mut own = Hash::new([0, 0]);
            for word in 0..count {
                let word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                known.write(&word.to_le_bytes());
                own.word(word);
            }
            own.word((count * 8) << 56); // the last block of the algorithm over bytes
            assert_eq!(own.finish(), known.finish(), "{count} words");
        }
    }

    #[test]
    fn repetitions_are_alike_and_others_are_not() {
        let key = [1, 2];
        let killer = request("GET", "/a?b=c", &[("host", "x.test"), ("accept", "abc")]);
        assert_eq!(of(&killer, key), of(&request("GET", "/a?b=c", &[("host", "x.test"), ("accept", "xyz")]), key));
        let others = [
            request("PUT", "/a?b=c", &[("host", "x.test"), ("accept", "abc")]),
            request("GET", "/a?b=d", &[("host", "x.test"), ("accept", "abc")]),
            request("GET", "/ab=c", &[("host", "x.test"), ("accept", "abc")]),
            request("GET", "/a?b=c", &[("host", "y.test"), ("accept", "abc")]),
            request("GET", "/a?b=c", &[("host", "x.test"), ("accept", "abcd")]),
            request("GET", "/a?b=c", &[("host", "x.test"), ("accepts", "abc")]),
            request("GET", "/a?b=c", &[("host", "x.test")]),
            request("GET", "/a?b=c", &[("host", "x.test"), ("accept", "abc"), ("a", "")]),
            request("GET", "//a?b=c", &[("host", "x.test"), ("accept", "abc")]),
        ];
        for other in others {
            assert_ne!(of(&killer, key), of(&other, key), "{other:?}");
        }
        assert_ne!(of(&killer, key), of(&killer, [1, 3]), "nobody can foresee it");
    }

    #[test]
    fn descriptions_are_short_and_without_secrets() {
        let show = |request| Shown(&describe(&request)).to_string();
        let asked = request("GET", "/login?token=secret", &[("host", "x.test"), ("cookie", "secret")]);
        assert_eq!(show(asked), "GET x.test /login");
        let long = show(request("DELETE", &format!("https://x.test/{}", "a".repeat(5000)), &[]));
        assert!(long.starts_with("DELETE x.test /aaa") && long.len() == TEXT, "{long}");
        assert_eq!(Shown(b"a\n\x1b[31m\xff\0b\0\0").to_string(), "a\\n\\x1b[31m\\xff\\x00b");
        assert_eq!(Shown(&[0; TEXT]).to_string(), "");
    }
}
