//! A private key that is parsed when somebody needs its signature for the first time. Parsing costs arithmetic (an RSA key about
//! half a millisecond) and memory (its tables), and of thousands of tenants few are asked for within any hour. So a key waits
//! as the bytes of its file, and only so many are kept ready ([`KeyRing`]); the one that has not signed for longest goes back to
//! waiting. Bytes are wiped when the key is dropped, and never printed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::crypto::KeyProvider;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::PrivateKeyDer;

use super::key_shape::KeyKind;

/// A key in its file's form, parsed at need.
pub struct LazyKey {
    der: PrivateKeyDer<'static>,
    kind: KeyKind,
    provider: &'static dyn KeyProvider,
    ready: Mutex<Option<Arc<dyn SigningKey>>>,
    /// Somebody has wanted it since the ring last looked.
    used: AtomicBool,
    /// Somebody has tried to parse it.
    known: AtomicBool,
    /// And could not: told once.
    broken: AtomicBool,
    ring: Arc<KeyRing>,
}

impl LazyKey {
    /// A key that waits.
    pub fn new(
        der: PrivateKeyDer<'static>,
        kind: KeyKind,
        provider: &'static dyn KeyProvider,
        ring: &Arc<KeyRing>,
    ) -> Arc<Self> {
        Arc::new(Self {
            der,
            kind,
            provider,
            ready: Mutex::default(),
            used: AtomicBool::new(false),
            known: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            ring: Arc::clone(ring),
        })
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether these are its bytes.
    pub fn is(&self, der: &PrivateKeyDer<'_>) -> bool {
        self.der.secret_der() == der.secret_der()
    }

    /// Whether somebody has tried to parse it.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Whether the key is not what it seemed: parsed somewhere else with this result.
    pub fn note(&self, broken: bool) {
        self.known.store(true, Ordering::Relaxed);
        self.broken.store(broken, Ordering::Relaxed);
    }

    /// Whether an attempt to parse it has failed.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Parses it for once, without keeping it ready.
    ///
    /// # Errors
    /// The library's words for what is wrong; they hold nothing of the key.
    pub fn parse(&self) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        let parsed = self.provider.load_private_key(self.der.clone_key());
        self.note(parsed.is_err());
        parsed
    }

    /// Whether it can sign with one of these: its kind can, and it can be parsed. Nothing is signed, so nobody's share is used up.
    pub fn can_sign(self: &Arc<Self>, offered: &[SignatureScheme]) -> bool {
        self.kind.can_sign(offered) && self.ready().is_some()
    }

    fn ready(self: &Arc<Self>) -> Option<Arc<dyn SigningKey>> {
        self.used.store(true, Ordering::Relaxed);
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*ready {
            return Some(Arc::clone(key));
        }
        if self.is_broken() {
            return None;
        }
        let key = self.parse().inspect_err(|error| tracing::error!("a private key cannot be used: {error}")).ok()?;
        *ready = Some(Arc::clone(&key));
        drop(ready);
        self.ring.entered(self);
        Some(key)
    }

    fn rest(&self) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl fmt::Debug for LazyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What rustls is given: a handle on a [`LazyKey`].
#[derive(Debug, Clone)]
pub struct Signing(pub Arc<LazyKey>);

impl SigningKey for Signing {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        // A key that cannot help this client is not parsed for it.
        self.0.kind.can_sign(offered).then(|| self.0.ready())??.choose_scheme(offered)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.kind {
            KeyKind::Rsa => SignatureAlgorithm::RSA,
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => SignatureAlgorithm::ECDSA,
            KeyKind::Ed25519 => SignatureAlgorithm::ED25519,
        }
    }
}

/// The keys that are ready, at most so many.
#[derive(Debug)]
pub struct KeyRing {
    most: AtomicUsize,
    members: Mutex<VecDeque<Weak<LazyKey>>>,
}

impl KeyRing {
    /// A ring for so many keys.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: AtomicUsize::new(most), members: Mutex::default() })
    }

    /// From now on so many; the ones beyond go when the next one comes.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many are ready.
    pub fn len(&self) -> usize {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.iter().filter(|member| member.strong_count() > 0).count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A key has become ready. Who was wanted since the hand last passed gets another round ("clock").
    fn entered(&self, key: &Arc<LazyKey>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.most.load(Ordering::Relaxed).max(1);
        let mut rounds = 2 * members.len();
        while members.len() >= most {
            let Some(first) = members.pop_front() else { break };
            let Some(old) = first.upgrade() else { continue };
            if rounds > 0 && old.used.swap(false, Ordering::Relaxed) {
                members.push_back(first);
            } else {
                old.rest();
            }
            rounds = rounds.saturating_sub(1);
        }
        members.push_back(Arc::downgrade(key));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use rcgen::KeyPair;
    use rustls_pki_types::PrivatePkcs8KeyDer;

    const P256: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256];

    fn key(ring: &Arc<KeyRing>) -> Signing {
        let der = PrivatePkcs8KeyDer::from(KeyPair::generate().unwrap().serialize_der());
        Signing(LazyKey::new(
            der.into(),
            KeyKind::P256,
            rustls::crypto::aws_lc_rs::default_provider().key_provider,
            ring,
        ))
    }

    fn is_ready(key: &Signing) -> bool {
        key.0.ready.lock().unwrap().is_some()
    }

    #[test]
    fn a_key_is_parsed_when_it_is_wanted_and_only_so_many_stay_ready() {
        let ring = KeyRing::new(2);
        let keys: Vec<Signing> = (0..4).map(|_| key(&ring)).collect();
        assert!(ring.is_empty() && !is_ready(&keys[0]));
        assert!(keys[0].choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none() && !is_ready(&keys[0]));
        for key in &keys {
            let signed = key.choose_scheme(P256).unwrap().sign(b"hello").unwrap();
            assert!(!signed.is_empty() && is_ready(key));
        }
        assert_eq!(ring.len(), 2);
        assert_eq!(keys.iter().filter(|key| is_ready(key)).count(), 2);
        // The one that is wanted again and again stays.
        let favourite = &keys[3];
        for _ in 0..3 {
            for other in &keys[..3] {
                assert!(favourite.choose_scheme(P256).is_some() && is_ready(favourite));
                assert!(other.choose_scheme(P256).is_some());
            }
        }
        drop(keys);
        assert_eq!(ring.len(), 0);
    }

    #[test]
    fn a_key_that_cannot_be_parsed_is_broken_and_prints_nothing() {
        let ring = KeyRing::new(2);
        let der = PrivatePkcs8KeyDer::from(b"SECRET".to_vec());
        let broken = Signing(LazyKey::new(
            der.into(),
            KeyKind::Rsa,
            rustls::crypto::aws_lc_rs::default_provider().key_provider,
            &ring,
        ));
        assert!(broken.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none());
        assert!(broken.0.is_broken() && ring.is_empty());
        assert!(!format!("{broken:?}").contains("SECRET") && !format!("{broken:?}").contains("83, 69"));
    }
}
