//! The world of these tests: a site with an RSA and an ECDSA pair, one on P-384, and the application behind both.

use std::sync::OnceLock;

use harness::backends::Backend;
use harness::certificates::Signed;
use harness::world::Builder;
use harness::{World, certificates};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};

/// The site with two pairs.
pub const SITE: &str = "www.test";
/// The site whose key is on P-384.
pub const P384: &str = "p384.test";

/// A certificate with its key.
pub struct Pair {
    /// The name it is for.
    pub site: &'static str,
    kind: &'static str,
    /// It.
    pub signed: Signed,
}

/// All pairs, the same in every world of this program.
pub fn pairs() -> &'static [Pair] {
    static PAIRS: OnceLock<Vec<Pair>> = OnceLock::new();
    let pair = |site, kind, algorithm| Pair { site, kind, signed: certificates::sign_as(&[site], algorithm) };
    PAIRS.get_or_init(|| {
        vec![
            pair(SITE, "ecdsa", &PKCS_ECDSA_P256_SHA256),
            pair(SITE, "rsa", &PKCS_RSA_SHA256),
            pair(P384, "p384", &PKCS_ECDSA_P384_SHA384),
        ]
    })
}

/// How the terminator leaves a connection to http-filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handoff {
    /// It stays, decrypts and copies.
    Relay,
    /// It gives away socket and secrets, and forgets the connection.
    Secrets,
}

impl Handoff {
    /// Those that the product has. `BULKHEAD_TEST_HANDOFF=secrets` leaves one.
    pub fn all() -> Vec<Self> {
        let manual = harness::binaries::workspace().join("docs/configuration.md");
        let manual = std::fs::read_to_string(manual).expect("the manual");
        let known = if manual.contains("| `handoff` |") { vec![Self::Relay, Self::Secrets] } else { vec![Self::Relay] };
        let wanted = std::env::var("BULKHEAD_TEST_HANDOFF").ok();
        let left: Vec<Self> =
            known.into_iter().filter(|one| wanted.as_deref().is_none_or(|wanted| wanted == one.name())).collect();
        assert!(!left.is_empty(), "BULKHEAD_TEST_HANDOFF={wanted:?}: there is no such hand-over");
        left
    }

    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Secrets => "secrets",
        }
    }

    /// The key of a site; nothing where there is no choice.
    fn key(self) -> String {
        format!("handoff = \"{}\"\n", self.name())
    }
}

/// Runs a test for every hand-over.
pub fn for_each(test: impl Fn(Handoff)) {
    for handoff in Handoff::all() {
        eprintln!("-- handoff = {}", handoff.name());
        test(handoff);
    }
}

/// [`SITE`] and [`P384`], in front of `backend`; who names nobody gets the first.
pub fn describe(name: &str, handoff: Handoff, backend: &Backend) -> Builder {
    let mut builder = World::new(&format!("{name}-{}", handoff.name()))
        .set("sni-router.otherwise", "no_sni", "{ terminate = true }")
        // All clients of a test come from one address.
        .set("tls-terminator", "full_handshake_rate", "0")
        .pool("app", &[backend.address()])
        .serves("app");
    for Pair { kind, signed, .. } in pairs() {
        builder = builder.file(&format!("certs/{kind}.pem"), &signed.pem);
        builder = builder.file(&format!("certs/{kind}.key"), &signed.key_pem);
    }
    let sites = [
        (SITE, r#"["certs/ecdsa.pem", "certs/rsa.pem"]"#, r#"["certs/ecdsa.key", "certs/rsa.key"]"#),
        (P384, r#""certs/p384.pem""#, r#""certs/p384.key""#),
    ];
    for (site, certificate, key) in sites {
        let route = site.trim_end_matches(".test");
        builder = builder.route(&format!("name = \"{route}\"\nserver_names = [\"{site}\"]\nterminate = true"));
        let own = handoff.key();
        builder =
            builder.with(&format!("[[site]]\nnames = [\"{site}\"]\ncertificate = {certificate}\nkey = {key}\n{own}"));
    }
    builder
}

/// The same, started.
pub fn start(name: &str, handoff: Handoff, backend: &Backend) -> World {
    describe(name, handoff, backend).start()
}
