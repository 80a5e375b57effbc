//! The guard of the private keys: how many signatures the clients of one network may cause, and that nothing else causes any.
//!
//! A full handshake costs a signature (0.02 ms with ECDSA, 0.7 ms with RSA-2048) and a key exchange; who asks for many of them costs the
//! others their turn. So they are counted per client network by the generic cell rate algorithm, in a table of fixed size. Two places ask it:
//!
//! 1. [`Guard::admits`], before any TLS state exists: a client above its rate goes on only if its hello, which still lies in the kernel,
//!    offers a ticket that opens. That costs a few microseconds and no key exchange.
//! 2. The key itself, when rustls asks it for a signer. There a handshake *counts*: rustls does so in every full handshake, and in no resumed
//!    one. Who slipped in while others of its network were under way is stopped here.
//!
//! And a key gives out a signer only within a handshake of a client ([`crate::under_way`]), so there is no way to make this process sign anything else:
//! no edge carries a message that asks for a signature, and if one did, no key would answer.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use common::client_hello::offers_session;
use common::config::HandshakeRate;
use common::limit::gcra::{Rate, Verdict};
use common::limit::key::{Key, Keying};
use common::limit::table::Table;
use rustls::crypto::{KeyProvider, aws_lc_rs};
use rustls::server::ProducesTickets;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};

use crate::under_way;

/// Networks that are remembered; 24 bytes each, taken only as they come.
pub const NETWORKS: usize = 65_536;
/// Longest hello that is looked at; `sni-router.client_hello_limit` cannot be set higher.
const MAX_HELLO: usize = 1 << 20;

/// Full handshakes by client network. Survives reloads.
#[derive(Debug)]
pub struct Guard {
    keying: Keying,
    began: Instant,
    counting: RefCell<Option<Counting>>,
}

#[derive(Debug)]
struct Counting {
    rate: HandshakeRate,
    table: Table,
}

impl Guard {
    /// With this rate; `None`: nothing is limited.
    #[must_use]
    pub fn new(rate: Option<HandshakeRate>) -> Rc<Self> {
        let counting = RefCell::new(rate.map(Counting::new));
        Rc::new(Self { keying: Keying::default(), began: Instant::now(), counting })
    }

    /// Another rate from now on (reload). What was counted under the same one stays.
    pub fn set_rate(&self, rate: Option<HandshakeRate>) {
        let mut counting = self.counting.borrow_mut();
        if counting.as_ref().map(|own| own.rate) != rate {
            *counting = rate.map(Counting::new);
        }
    }

    /// Whether one more full handshake of this client would be within the rate. Counts nothing.
    pub fn has_room(&self, client: IpAddr) -> bool {
        self.ask(client, Table::look)
    }

    /// The same, and it counts.
    pub fn count(&self, client: IpAddr) -> bool {
        self.ask(client, Table::judge)
    }

    fn ask(&self, client: IpAddr, ask: impl FnOnce(&mut Table, Key, u64) -> Verdict) -> bool {
        let mut counting = self.counting.borrow_mut();
        let Some(Counting { rate, table }) = counting.as_mut() else { return true };
        let mut key = self.keying.begin();
        key.add_network(client, rate.v4_prefix, rate.v6_prefix);
        // From one on: zero is a table's word for "never".
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        matches!(ask(table, key.finish(), now), Verdict::Within(..))
    }
}

impl Counting {
    fn new(rate: HandshakeRate) -> Self {
        let (per_second, burst) = (u64::from(rate.per_second.get()), u64::from(rate.burst.get()));
        let table = Table::new(Rate::new(per_second, std::time::Duration::from_secs(1), burst), NETWORKS);
        Self { rate, table }
    }
}

/// Whether the hello in `bytes` offers a session that these tickets open. Only what a whole hello offers counts.
pub fn can_resume(bytes: &[u8], tickets: &dyn ProducesTickets) -> bool {
    tickets.enabled() && offers_session(bytes, MAX_HELLO, |ticket| tickets.decrypt(ticket).is_some())
}

/// Loads keys that sign only within handshakes.
#[derive(Debug)]
pub struct GuardedKeys;

impl KeyProvider for GuardedKeys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key)?;
        Ok(Arc::new(GuardedKey(key)))
    }
}

#[derive(Debug)]
struct GuardedKey(Arc<dyn SigningKey>);

impl SigningKey for GuardedKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.0.choose_scheme(offered)?;
        under_way::current(|handshake| handshake.may_sign()).unwrap_or(false).then_some(signer)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::under_way::{Handshake, within};
    use rustls_pki_types::pem::PemObject;
    use std::num::NonZeroU32;

    fn rate(per_second: u32, burst: u32) -> HandshakeRate {
        let [per_second, burst] = [per_second, burst].map(|number| NonZeroU32::new(number).unwrap());
        HandshakeRate { per_second, burst, v4_prefix: 24, v6_prefix: 64 }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn key() -> Arc<dyn SigningKey> {
        let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
        GuardedKeys.load_private_key(PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap()
    }

    const OFFERED: [SignatureScheme; 1] = [SignatureScheme::ECDSA_NISTP256_SHA256];

    fn run<T>(handshake: &Rc<Handshake>, ask: impl FnOnce() -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(within(Rc::clone(handshake), async { ask() }))
    }

    #[test]
    fn a_key_signs_within_a_handshake_and_nowhere_else() {
        let key = key();
        assert!(key.choose_scheme(&OFFERED).is_none(), "nobody shakes hands");
        assert!(key.public_key().is_some());
        let handshake = Handshake::new(ip("192.0.2.1"), &Guard::new(None));
        assert!(run(&handshake, || key.choose_scheme(&OFFERED).unwrap().sign(b"transcript").is_ok()));
        assert!(!run(&handshake, || key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_some()));
        assert!(key.choose_scheme(&OFFERED).is_none(), "it is over");
        assert!(!handshake.refused());
    }

    #[test]
    fn signatures_count() {
        let (key, guard) = (key(), Guard::new(Some(rate(1, 2))));
        let shake = |client: &str| {
            let handshake = Handshake::new(ip(client), &guard);
            let signs = run(&handshake, || key.choose_scheme(&OFFERED).is_some());
            assert_eq!(handshake.refused(), !signs);
            signs
        };
        assert!(shake("192.0.2.1") && guard.has_room(ip("192.0.2.9")) && shake("192.0.2.2"));
        assert!(!guard.has_room(ip("192.0.2.9")) && !shake("192.0.2.3"), "the network has had its share");
        assert!(shake("198.51.100.1") && shake("2001:db8::1"), "others have not");
        guard.set_rate(Some(rate(1, 2)));
        assert!(!shake("192.0.2.4"), "the same rate forgets nothing");
        guard.set_rate(Some(rate(1, 9)));
        assert!(shake("192.0.2.4"));
        guard.set_rate(None);
        assert!((0..20).all(|_| shake("192.0.2.4")));
    }

    #[test]
    fn without_tickets_nothing_can_be_resumed() {
        #[derive(Debug)]
        struct Never;
        impl ProducesTickets for Never {
            fn enabled(&self) -> bool {
                false
            }
            fn lifetime(&self) -> u32 {
                0
            }
            fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
                None
            }
            fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
                Some(Vec::new())
            }
        }
        assert!(!can_resume(&[22, 3, 1, 0, 1, 1], &Never));
    }
}
