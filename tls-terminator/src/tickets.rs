//! Session tickets (RFC 5077, RFC 8446 §4.6.1): sealed by keys that all instances share, and good for one policy and one time only.
//!
//! A ticket is `key name (16) | nonce (12) | sealed (time of issue (8) | rustls's session state) | tag (16)`, as RFC 5077 §4 recommends, but
//! with an AEAD in place of CBC and HMAC. The AEAD is AES-256-GCM-SIV (RFC 8452) with random nonces: many processes and machines seal
//! under one key without knowing of one another, and with this AEAD a nonce that repeats reveals no more than whether two tickets hold the
//! same bytes, which two sessions never do; with plain GCM it would give the key's authentication away. So no counter of tickets has to be
//! kept, let alone shared. Name and key both come from the file's bytes by HKDF; what stands on the wire tells nothing about the key.
//!
//! The policy of the site (its versions, suites and protocols) is authenticated beside the ticket: a ticket of one policy does not open under another. The
//! name is rustls's to compare (RFC 6066 §3: same name or no resumption). Sites that ask for client certificates neither give out tickets
//! nor take any. What is unknown, too old or damaged leads to a full handshake, never to an error.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use common::ticket_keys;
use rustls::server::ProducesTickets;

const NAME: usize = 16;
const TIME: usize = 8;
const TAG: usize = 16;
/// Longest ticket that is looked at. State without certificates is a name, a secret and a few numbers.
const MAX_TICKET: usize = 2048;
/// How far clocks of machines that share keys may differ, seconds.
const CLOCK_SKEW: u64 = 300;

/// What a policy is called beside its tickets.
pub type Scope = [u8; 32];

/// One key with its name.
struct Key {
    name: [u8; NAME],
    aead: LessSafeKey,
}

/// Lengths for HKDF.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Key {
    /// From the bytes of the file.
    fn new(secret: &[u8]) -> Option<Self> {
        let mut bytes = [0; NAME + 32];
        let extracted = Salt::new(HKDF_SHA256, b"bulkhead session tickets 1").extract(secret);
        extracted.expand(&[b"name and key"], Length(bytes.len())).ok()?.fill(&mut bytes).ok()?;
        let (name, key) = bytes.split_first_chunk()?;
        Some(Self { name: *name, aead: LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).ok()?) })
    }

    fn random() -> Option<Self> {
        let mut secret = [0; ticket_keys::MIN_KEY];
        rand::fill(&mut secret).ok()?;
        Self::new(&secret)
    }
}

/// Keys at work; the first encrypts.
struct Keys {
    keys: Vec<Key>,
    /// When the first of them came.
    since: u64,
}

/// The keys of this process. Those of a file stay until a reload brings others; those made here renew themselves.
pub struct Keyring {
    keys: RwLock<Keys>,
    lifetime: u64,
    from_file: bool,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("from_file", &self.from_file).finish_non_exhaustive()
    }
}

impl Keyring {
    /// From the text of the file.
    ///
    /// # Errors
    /// What is wrong with it, without a byte of a key.
    pub fn from_file(text: &[u8], lifetime: Duration) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "this is not text; one line of base64 a key is wanted")?;
        let keys = ticket_keys::parse(text)?.iter().map(|secret| Key::new(secret)).collect::<Option<Vec<_>>>();
        let keys = keys.ok_or("the keys cannot be used")?;
        Ok(Self { keys: RwLock::new(Keys { keys, since: now() }), lifetime: lifetime.as_secs(), from_file: true })
    }

    /// Keys of this process alone. They take the place of one another after half of the lifetime, so two are enough.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn of_our_own(lifetime: Duration) -> Result<Self, String> {
        let first = Key::random().ok_or("the system gives no random numbers")?;
        let keys = Keys { keys: vec![first], since: now() };
        Ok(Self { keys: RwLock::new(keys), lifetime: lifetime.as_secs(), from_file: false })
    }

    /// Whether these would still be right with that lifetime and without a file.
    #[must_use]
    pub fn stays(&self, lifetime: Duration) -> bool {
        !self.from_file && self.lifetime == lifetime.as_secs()
    }

    fn renew(&self, now: u64) {
        let due = |since: u64| now.saturating_sub(since) > self.lifetime / 2;
        if self.from_file || !due(self.keys.read().unwrap_or_else(PoisonError::into_inner).since) {
            return;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if due(keys.since)
            && let Some(fresh) = Key::random()
        {
            keys.keys.insert(0, fresh);
            keys.keys.truncate(3); // one half of the lifetime each: what the third has sealed is too old when it goes
            keys.since = now;
        }
    }

    fn seal(&self, scope: &Scope, state: &[u8], now: u64) -> Option<Vec<u8>> {
        self.renew(now);
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.keys.first()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = Vec::with_capacity(NAME + NONCE_LEN + TIME + state.len() + TAG);
        sealed.extend_from_slice(&now.to_be_bytes());
        sealed.extend_from_slice(state);
        let nonce_bytes = nonce;
        let aad = associated(&key.name, scope);
        key.aead.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed).ok()?;
        let mut ticket = Vec::with_capacity(NAME + NONCE_LEN + sealed.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&nonce_bytes);
        ticket.append(&mut sealed);
        (ticket.len() <= MAX_TICKET).then_some(ticket)
    }

    fn open(&self, scope: &Scope, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        self.renew(now);
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.keys.iter().find(|key| key.name == *name)?; // the name is public: it stands in every ticket
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.aead.open_in_place(nonce, Aad::from(associated(name, scope)), &mut sealed).ok()?;
        let (issued, state) = plain.split_first_chunk::<TIME>()?;
        let issued = u64::from_be_bytes(*issued);
        let fits = issued <= now.saturating_add(CLOCK_SKEW) && now.saturating_sub(issued) <= self.lifetime;
        fits.then(|| state.to_vec())
    }
}

fn associated(name: &[u8; NAME], scope: &Scope) -> [u8; NAME + 32] {
    let mut all = [0; NAME + 32];
    all.iter_mut().zip(name.iter().chain(scope)).for_each(|(slot, byte)| *slot = *byte);
    all
}

/// Seconds since 1970; other machines and the next life of this process must agree, so it is the wall clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The tickets of one policy.
#[derive(Debug)]
pub struct Ticketer {
    ring: Arc<Keyring>,
    scope: Scope,
}

impl Ticketer {
    /// Tickets sealed by `ring` for the policy that is called so.
    #[must_use]
    pub fn new(ring: Arc<Keyring>, scope: Scope) -> Self {
        Self { ring, scope }
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.ring.lifetime).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, state: &[u8]) -> Option<Vec<u8>> {
        self.ring.seal(&self.scope, state, now())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.ring.open(&self.scope, ticket, now())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const A: Scope = [1; 32];

    fn line(number: u8) -> String {
        let mut bytes = [number; ticket_keys::MIN_KEY];
        bytes[0] = 255;
        ticket_keys::encode(&bytes)
    }

    fn ring(lines: &[u8]) -> Keyring {
        let text: Vec<String> = lines.iter().map(|number| line(*number)).collect();
        Keyring::from_file(text.join("\n").as_bytes(), HOUR).unwrap()
    }

    #[test]
    fn whoever_has_the_key_opens_it_and_nobody_else() {
        let (one, two) = (ring(&[1, 2]), ring(&[2, 1]));
        let ticket = one.seal(&A, b"state", 1000).unwrap();
        assert_eq!(two.open(&A, &ticket, 1000).unwrap(), b"state", "another instance, in the middle of a rotation");
        assert!(ring(&[3]).open(&A, &ticket, 1000).is_none(), "an unknown key");
        assert!(one.open(&[2; 32], &ticket, 1000).is_none(), "another policy");
        for at in 0..ticket.len() {
            let mut bad = ticket.clone();
            bad[at] ^= 1;
            assert!(one.open(&A, &bad, 1000).is_none(), "byte {at}");
            assert!(one.open(&A, &ticket[..at], 1000).is_none(), "cut at {at}");
        }
        assert!(one.open(&A, &vec![0; MAX_TICKET + 1], 1000).is_none());
        assert_ne!(one.seal(&A, b"state", 1000).unwrap(), ticket, "never the same nonce");
        assert!(!ticket.windows(5).any(|window| window == b"state"));
        assert!(one.seal(&A, &[0; MAX_TICKET], 1000).is_none(), "what we would not look at is not given out");
    }

    #[test]
    fn it_is_good_for_its_lifetime() {
        let ring = ring(&[1]);
        let ticket = ring.seal(&A, b"state", 10_000).unwrap();
        for (now, good) in [(10_000, true), (13_600, true), (13_601, false), (9_700, true), (9_699, false)] {
            assert_eq!(ring.open(&A, &ticket, now).is_some(), good, "{now}");
        }
    }

    #[test]
    fn keys_of_our_own_renew_themselves_and_forget() {
        let ring = Keyring::of_our_own(HOUR).unwrap();
        let start = now();
        let name = |ticket: &[u8]| ticket[..NAME].to_vec();
        let first = ring.seal(&A, b"state", start).unwrap();
        let second = ring.seal(&A, b"state", start + 1801).unwrap();
        assert_ne!(name(&first), name(&second));
        assert!(ring.open(&A, &first, start + 3600).is_some());
        assert_eq!(name(&second), name(&ring.seal(&A, b"state", start + 1802).unwrap()));
        for step in 2..6 {
            let later = start + step * 1801;
            assert!(ring.seal(&A, b"state", later).is_some());
            assert!(ring.keys.read().unwrap().keys.len() <= 3);
        }
        assert!(ring.open(&A, &first, start + 10).is_none(), "its key is gone, whatever the clock says");
        assert!(ring.stays(HOUR) && !ring.stays(2 * HOUR));
    }

    #[test]
    fn complaints_show_no_key() {
        let error = Keyring::from_file(format!("{}\nx", line(1)).as_bytes(), HOUR).unwrap_err();
        assert!(error.contains("line 2") && !error.contains(&line(1)), "{error}");
        assert!(Keyring::from_file(&[0xff], HOUR).unwrap_err().contains("not text"));
        assert!(!format!("{:?}", ring(&[1])).contains(&line(1)));
    }
}
