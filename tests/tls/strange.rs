//! A TLS 1.3 client of our own (RFC 8446) that obeys no rule: any hello, any record, any message at any time, sealed with the
//! right keys, so that what is wrong about it is only what a test wants to be wrong. It verifies no certificate. It shares no
//! code with Bulkhead nor with rustls, so it cannot share a mistake with them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::hkdf::{self, KeyType, Prk, Salt};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::{digest, hmac};
use harness::clients::raw;

use crate::hello::Hello;

/// Content types of records.
pub mod content {
    #![allow(missing_docs)]
    pub const CCS: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const DATA: u8 = 23;
}

/// Types of handshake messages.
pub mod message {
    #![allow(missing_docs)]
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const NEW_SESSION_TICKET: u8 = 4;
    pub const END_OF_EARLY_DATA: u8 = 5;
    pub const CERTIFICATE: u8 = 11;
    pub const CERTIFICATE_REQUEST: u8 = 13;
    pub const FINISHED: u8 = 20;
    pub const KEY_UPDATE: u8 = 24;
}

/// The usual patience: less than any deadline of ours.
const SILENCE: Duration = Duration::from_millis(1500);

/// What a server made of it in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The last request was answered.
    Served,
    /// It went on with the handshake (for hellos after which we cannot).
    Accepted,
    /// It wants another hello.
    Retry,
    /// A fatal alert, by its number; 0 is close_notify.
    Alert(u8),
    /// The end without a word.
    Closed,
    /// The end by a reset.
    Reset,
    /// Nothing, and the connection is still there.
    Silent,
    /// Something that is not TLS, or sealed with another key.
    Garbage,
}

/// The digest and the cipher of a suite.
#[derive(Clone, Copy)]
struct Suite {
    hash: hkdf::Algorithm,
    aead: &'static aead::Algorithm,
}

impl Suite {
    fn of(number: u16) -> Option<Self> {
        match number {
            0x1301 => Some(Self { hash: hkdf::HKDF_SHA256, aead: &aead::AES_128_GCM }),
            0x1302 => Some(Self { hash: hkdf::HKDF_SHA384, aead: &aead::AES_256_GCM }),
            0x1303 => Some(Self { hash: hkdf::HKDF_SHA256, aead: &aead::CHACHA20_POLY1305 }),
            _ => None,
        }
    }

    fn length(self) -> usize {
        self.hash.hmac_algorithm().digest_algorithm().output_len()
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        digest::digest(self.hash.hmac_algorithm().digest_algorithm(), bytes).as_ref().to_vec()
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label (§7.1).
fn expand(secret: &Prk, label: &str, context: &[u8], length: usize) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let head = [(length as u16).to_be_bytes().as_slice(), &[label.len() as u8]].concat();
    let parts: [&[u8]; 4] = [&head, label.as_bytes(), &[context.len() as u8], context];
    let mut out = vec![0; length];
    let expanded = secret.expand(&parts, Length(length)).expect("a short output");
    expanded.fill(&mut out).expect("of that length");
    out
}

/// One direction's keys.
struct Keys {
    suite: Suite,
    secret: Vec<u8>,
    key: LessSafeKey,
    iv: Vec<u8>,
    number: u64,
}

impl Keys {
    fn new(suite: Suite, secret: Vec<u8>) -> Self {
        let prk = Prk::new_less_safe(suite.hash, &secret);
        let key = expand(&prk, "key", &[], suite.aead.key_len());
        let key = LessSafeKey::new(UnboundKey::new(suite.aead, &key).expect("a key of that length"));
        Self { suite, key, iv: expand(&prk, "iv", &[], 12), secret, number: 0 }
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.iv);
        nonce[4..].iter_mut().zip(self.number.to_be_bytes()).for_each(|(byte, own)| *byte ^= own);
        self.number += 1;
        Nonce::assume_unique_for_key(nonce)
    }

    fn next_generation(&self) -> Self {
        let prk = Prk::new_less_safe(self.suite.hash, &self.secret);
        Self::new(self.suite, expand(&prk, "traffic upd", &[], self.suite.length()))
    }
}

/// A connection.
pub struct Strange {
    /// The socket.
    pub socket: TcpStream,
    /// How long a server may be silent before that is its answer.
    pub patience: Duration,
    private: Option<EphemeralPrivateKey>,
    public: Vec<u8>,
    transcript: Vec<u8>,
    reading: Option<Keys>,
    writing: Option<Keys>,
    /// What comes after the Finished of both: ours, and the text of ours.
    afterwards: Option<(Keys, Vec<u8>)>,
    ahead: Vec<u8>,
    plain: Vec<u8>,
}

impl Strange {
    /// Connects.
    pub fn dial(address: SocketAddr) -> Self {
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).expect("randomness");
        let public = private.compute_public_key().expect("a key").as_ref().to_vec();
        let socket = raw::connect(address);
        let private = Some(private);
        let (transcript, ahead, plain) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            socket,
            patience: SILENCE,
            private,
            public,
            transcript,
            reading: None,
            writing: None,
            afterwards: None,
            ahead,
            plain,
        }
    }

    /// A whole connection, in the usual way.
    pub fn open(address: SocketAddr) -> Self {
        Self::open_with(address, |_| {})
    }

    /// The same after some change to the hello.
    pub fn open_with(address: SocketAddr, change: impl FnOnce(&mut Hello)) -> Self {
        let mut strange = Self::up_to_finished(address, change);
        let finished = strange.finished();
        let sealed = strange.seal(content::HANDSHAKE, &finished);
        strange.send(&sealed);
        strange.go_on();
        strange
    }

    /// Up to the server's Finished; ours is not sent.
    pub fn up_to_finished(address: SocketAddr, change: impl FnOnce(&mut Hello)) -> Self {
        let mut strange = Self::dial(address);
        let mut hello = strange.usual_hello();
        change(&mut hello);
        strange.send_hello(&hello);
        let verdict = strange.server_flight();
        assert_eq!(verdict, Verdict::Accepted, "the usual hello is accepted");
        strange
    }

    /// A hello to which nobody objects.
    pub fn usual_hello(&self) -> Hello {
        Hello::usual(&self.public)
    }

    /// Sends a hello in one record.
    pub fn send_hello(&mut self, hello: &Hello) {
        let bytes = self.note_hello(hello);
        self.send(&record(content::HANDSHAKE, 0x0301, &bytes));
    }

    /// Takes the hello for sent, and returns it.
    pub fn note_hello(&mut self, hello: &Hello) -> Vec<u8> {
        let bytes = hello.bytes();
        self.transcript.extend_from_slice(&bytes);
        bytes
    }

    /// Sends bytes; whoever does not take them says why in what comes back.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// Ends our direction.
    pub fn hang_up(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Reads up to the server's Finished.
    pub fn server_flight(&mut self) -> Verdict {
        let mut messages = Vec::new();
        loop {
            while let Some(whole) = first_message(&messages) {
                let rest = messages.split_off(whole);
                let message = std::mem::replace(&mut messages, rest);
                if let Some(verdict) = self.server_message(&message) {
                    return verdict;
                }
            }
            match self.next() {
                Ok((content::HANDSHAKE, bytes)) => messages.extend(bytes),
                Ok((content::ALERT, alert)) => return verdict_of(&alert),
                Ok(_) => return Verdict::Garbage,
                Err(end) => return end,
            }
        }
    }

    fn server_message(&mut self, bytes: &[u8]) -> Option<Verdict> {
        if bytes[0] == message::SERVER_HELLO {
            let hello = read_server_hello(bytes);
            let Some((suite, share)) = hello else { return Some(Verdict::Garbage) };
            let Some(share) = share else {
                self.retry(suite, bytes);
                return Some(Verdict::Retry);
            };
            self.transcript.extend_from_slice(bytes);
            let Some(suite) = Suite::of(suite) else { return Some(Verdict::Garbage) };
            return self.handshake_keys(suite, &share);
        }
        self.transcript.extend_from_slice(bytes);
        (bytes[0] == message::FINISHED).then(|| {
            self.application_keys();
            Verdict::Accepted
        })
    }

    /// The first hello counts only as its hash from here on (§4.4.1).
    fn retry(&mut self, suite: u16, bytes: &[u8]) {
        let Some(suite) = Suite::of(suite) else { return };
        let hash = suite.digest(&self.transcript);
        self.transcript = [handshake(254, &hash).as_slice(), bytes].concat();
    }

    fn handshake_keys(&mut self, suite: Suite, share: &[u8]) -> Option<Verdict> {
        if share.len() != 32 {
            return Some(Verdict::Accepted); // another group: this is as far as we can go
        }
        let zeroes = vec![0; suite.length()];
        let early = Salt::new(suite.hash, &zeroes).extract(&zeroes);
        let derived = expand(&early, "derived", &suite.digest(&[]), suite.length());
        let share = UnparsedPublicKey::new(&X25519, share);
        let private = self.private.take().expect("one ServerHello");
        let agreed = agree_ephemeral(private, share, (), |secret| Ok(secret.to_vec()));
        let Ok(agreed) = agreed else { return Some(Verdict::Garbage) };
        let handshake = Salt::new(suite.hash, &derived).extract(&agreed);
        let sofar = suite.digest(&self.transcript);
        let secret = |label| expand(&handshake, label, &sofar, suite.length());
        self.writing = Some(Keys::new(suite, secret("c hs traffic")));
        self.reading = Some(Keys::new(suite, secret("s hs traffic")));
        let derived = expand(&handshake, "derived", &suite.digest(&[]), suite.length());
        let own = self.writing.as_ref().expect("just made").next_generation(); // replaced in `application_keys`
        self.afterwards = Some((own, derived));
        None
    }

    fn application_keys(&mut self) {
        let (_, derived) = self.afterwards.take().expect("after ServerHello");
        let suite = self.reading.as_ref().expect("after ServerHello").suite;
        let master = Salt::new(suite.hash, &derived).extract(&vec![0; suite.length()]);
        let sofar = suite.digest(&self.transcript);
        let secret = |label| expand(&master, label, &sofar, suite.length());
        self.reading = Some(Keys::new(suite, secret("s ap traffic")));
        self.afterwards = Some((Keys::new(suite, secret("c ap traffic")), sofar));
    }

    /// Whether the handshake got so far that we can finish it.
    pub fn is_ready(&self) -> bool {
        self.afterwards.is_some()
    }

    /// The Finished that is right (§4.4.4).
    pub fn finished(&self) -> Vec<u8> {
        let keys = self.writing.as_ref().expect("after the server's flight");
        let (_, transcript) = self.afterwards.as_ref().expect("after the server's flight");
        let prk = Prk::new_less_safe(keys.suite.hash, &keys.secret);
        let key = expand(&prk, "finished", &[], keys.suite.length());
        let key = hmac::Key::new(keys.suite.hash.hmac_algorithm(), &key);
        handshake(message::FINISHED, hmac::sign(&key, transcript).as_ref())
    }

    /// Our Finished is said: from here on with the keys of application data.
    pub fn go_on(&mut self) {
        let (keys, _) = self.afterwards.take().expect("after the server's flight");
        self.writing = Some(keys);
    }

    /// Our next generation of keys.
    pub fn renew(&mut self) {
        self.writing = self.writing.as_ref().map(Keys::next_generation);
    }

    /// Seals content in one record.
    pub fn seal(&mut self, kind: u8, bytes: &[u8]) -> Vec<u8> {
        self.seal_inner(&[bytes, &[kind]].concat(), content::DATA, 0x0303)
    }

    /// The same with zeroes behind it.
    pub fn seal_padded(&mut self, kind: u8, bytes: &[u8], padding: usize) -> Vec<u8> {
        let inner = [bytes, &[kind], &vec![0; padding]].concat();
        self.seal_inner(&inner, content::DATA, 0x0303)
    }

    /// The same with everything chosen: the inner plaintext, the outer type, the version.
    pub fn seal_inner(&mut self, inner: &[u8], outer: u8, version: u16) -> Vec<u8> {
        let keys = self.writing.as_mut().expect("keys");
        let mut sealed = inner.to_vec();
        let length = (inner.len() + 16) as u16;
        let head = [&[outer][..], &version.to_be_bytes(), &length.to_be_bytes()].concat();
        let nonce = keys.nonce();
        keys.key.seal_in_place_append_tag(nonce, Aad::from(&head), &mut sealed).expect("a short record");
        [head, sealed].concat()
    }

    /// Seals and sends.
    pub fn say(&mut self, kind: u8, bytes: &[u8]) {
        let sealed = self.seal(kind, bytes);
        self.send(&sealed);
    }

    /// The next record, opened.
    pub fn next(&mut self) -> Result<(u8, Vec<u8>), Verdict> {
        let until = Instant::now() + self.patience;
        loop {
            let wanted = match self.ahead.get(..5) {
                Some(head) if !(20..=23).contains(&head[0]) => return Err(Verdict::Garbage),
                Some(head) => 5 + usize::from(u16::from_be_bytes([head[3], head[4]])),
                None => usize::MAX,
            };
            if self.ahead.len() < wanted {
                self.read_more(until)?;
                continue;
            }
            let whole: Vec<u8> = self.ahead.drain(..wanted).collect();
            match (whole[0], self.reading.as_mut()) {
                (content::CCS, _) => {}
                (content::DATA, Some(keys)) => return open(keys, &whole).ok_or(Verdict::Garbage),
                (content::DATA, None) => return Err(Verdict::Garbage),
                (kind, _) => return Ok((kind, whole[5..].to_vec())),
            }
        }
    }

    fn read_more(&mut self, until: Instant) -> Result<(), Verdict> {
        let left = until.saturating_duration_since(Instant::now());
        let _ = self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1))));
        let mut buffer = [0; 16 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(0) => Err(Verdict::Closed),
            Ok(count) => {
                self.ahead.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(Verdict::Silent)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Verdict::Reset),
        }
    }

    /// Asks for this path and reads what becomes of it: served only if the answer says that the path was asked for.
    pub fn get(&mut self, path: &str) -> Verdict {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", crate::world::SITE);
        self.say(content::DATA, request.as_bytes());
        self.expect(&format!("GET {path} "))
    }

    /// Reads until an answer contains this. The server may renew its keys meanwhile.
    pub fn expect(&mut self, words: &str) -> Verdict {
        loop {
            let found = self.plain.windows(words.len()).position(|window| window == words.as_bytes());
            if let Some(at) = found {
                self.plain.drain(..at + words.len());
                return Verdict::Served;
            }
            match self.next() {
                Ok((content::DATA, bytes)) => self.plain.extend(bytes),
                Ok((content::ALERT, alert)) => return verdict_of(&alert),
                Ok((content::HANDSHAKE, bytes)) if bytes.first() == Some(&message::KEY_UPDATE) => {
                    self.reading = self.reading.as_ref().map(Keys::next_generation);
                }
                Ok((content::HANDSHAKE, _)) => {} // tickets
                Ok(_) => return Verdict::Garbage,
                Err(end) => return end,
            }
        }
    }

    /// What the server says without being asked, its end included.
    pub fn verdict(&mut self) -> Verdict {
        self.expect("\u{1}nobody says this\u{1}")
    }
}

fn open(keys: &mut Keys, whole: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (head, sealed) = whole.split_at(5);
    let mut sealed = sealed.to_vec();
    let nonce = keys.nonce();
    let inner = keys.key.open_in_place(nonce, Aad::from(head), &mut sealed).ok()?;
    let end = inner.iter().rposition(|byte| *byte != 0)?;
    Some((inner[end], inner[..end].to_vec()))
}

fn verdict_of(alert: &[u8]) -> Verdict {
    match alert {
        [_, description] => Verdict::Alert(*description),
        _ => Verdict::Garbage,
    }
}

/// The length of the first message, once it is whole.
fn first_message(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..4)?;
    let length = 4 + (usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]));
    (bytes.len() >= length).then_some(length)
}

/// Suite and key share; no share where another hello is asked for (§4.1.4).
fn read_server_hello(bytes: &[u8]) -> Option<(u16, Option<Vec<u8>>)> {
    let retry = digest::digest(&digest::SHA256, b"HelloRetryRequest");
    let random = bytes.get(6..38)?;
    let at = 39 + usize::from(*bytes.get(38)?);
    let suite = u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
    if random == retry.as_ref() {
        return Some((suite, None));
    }
    let mut rest = bytes.get(at + 5..)?;
    while let [a, b, c, d, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let body = rest.get(4..4 + length)?;
        if u16::from_be_bytes([a, b]) == 51 {
            return Some((suite, Some(body.get(4..)?.to_vec())));
        }
        rest = &rest[4 + length..];
    }
    None
}

/// A record that is not sealed.
pub fn record(kind: u8, version: u16, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    [&[kind][..], &version.to_be_bytes(), &length.to_be_bytes(), bytes].concat()
}

/// A handshake message.
pub fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[kind][..], &length[1..], body].concat()
}
