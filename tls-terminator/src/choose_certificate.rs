//! Which site answers a client, and with which of its keys. Pure: names and signature schemes in, indices out.
//!
//! The exact name decides before wildcards, and of these the longest. `*.example.org` in a site stands for one label or more,
//! as it does in a route ([`NamePattern::matches`]), so what `bulkhead check` calls covered is served. A *certificate's*
//! wildcard stands for one label only (RFC 9525 §6.3): where that is not enough, the start warns and the client decides.
//! Every look-up is one hash per label of the name, however many sites there are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use common::config::{NamePattern, Site};
use rustls::SignatureScheme;

use crate::settings::Strangers;

/// Index into the list of sites.
pub type SiteIndex = usize;

/// The names of all sites.
#[derive(Debug, Default)]
pub struct Names {
    exact: HashMap<Box<str>, SiteIndex>,
    /// By what follows the asterisk's label: `example.org` for `*.example.org`.
    wildcard: HashMap<Box<str>, SiteIndex>,
    strangers: Strangers,
    any: bool,
}

impl Names {
    /// Indexes the sites. `Err` is a name that two sites claim.
    pub fn new(sites: &[Site], strangers: Strangers) -> Result<Self, String> {
        let mut names = Self { strangers, any: !sites.is_empty(), ..Self::default() };
        for (index, site) in sites.iter().enumerate() {
            for pattern in &site.names {
                let (map, key) = match pattern {
                    NamePattern::Exact(name) => (&mut names.exact, &**name),
                    NamePattern::Suffix(text) => (&mut names.wildcard, text.strip_prefix("*.").unwrap_or(text)),
                };
                match map.entry(key.into()) {
                    Entry::Vacant(free) => drop(free.insert(index)),
                    Entry::Occupied(_) => return Err(format!("{pattern} stands in two sites")),
                }
            }
        }
        Ok(names)
    }

    /// The site for a name in lower case without trailing dot, or for a client that sends none. `None`: refuse it.
    pub fn choose(&self, name: Option<&str>) -> Option<SiteIndex> {
        let Some(name) = name else {
            return (self.any && self.strangers.without_name).then_some(0);
        };
        let longest =
            || std::iter::successors(parent(name), |rest| parent(rest)).find_map(|rest| self.wildcard.get(rest));
        let named = self.exact.get(name).or_else(longest).copied();
        named.or_else(|| (self.any && self.strangers.unknown_name).then_some(0))
    }
}

/// The name without its first label.
fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, rest)| rest)
}

/// Which of a site's keys to use: the first, in the site's order of preference, that can sign with a scheme the client
/// offers. When none can, the first one is returned and the handshake ends with the proper alert.
pub fn choose_key<'k, K>(
    keys: &'k [K],
    can_sign: impl Fn(&K, &[SignatureScheme]) -> bool,
    offered: &[SignatureScheme],
) -> Option<&'k K> {
    keys.iter().find(|key| can_sign(key, offered)).or(keys.first())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn site(names: &[&str]) -> Site {
        let names = names.iter().map(|name| NamePattern::parse(name).unwrap()).collect();
        Site { names, line: 1, ..Site::default() }
    }

    const BOTH: Strangers = Strangers { without_name: true, unknown_name: true };

    #[test]
    fn exact_before_wildcard_and_the_longest_wildcard_first() {
        let sites = [site(&["*.shop.example", "shop.example"]), site(&["a.shop.example", "*.a.shop.example"])];
        let names = Names::new(&sites, Strangers::default()).unwrap();
        for (name, expected) in [
            ("shop.example", Some(0)),
            ("b.shop.example", Some(0)),
            ("a.shop.example", Some(1)),
            ("x.a.shop.example", Some(1)),
            ("y.x.a.shop.example", Some(1)),
            ("x.b.shop.example", Some(0)),
            ("shop.example.org", None),
            ("myshop.example", None),
            ("example", None),
            ("", None),
            (".shop.example", Some(0)), // the router lets no such name through; no harm here
        ] {
            assert_eq!(names.choose(Some(name)), expected, "{name}");
        }
    }

    #[test]
    fn strangers_get_the_first_site_only_on_purpose() {
        let sites = [site(&["shop.example"]), site(&["other.example"])];
        let refuse = Names::new(&sites, Strangers::default()).unwrap();
        assert_eq!((refuse.choose(None), refuse.choose(Some("who.example"))), (None, None));
        let only_nameless = Strangers { without_name: true, unknown_name: false };
        let nameless = Names::new(&sites, only_nameless).unwrap();
        assert_eq!((nameless.choose(None), nameless.choose(Some("who.example"))), (Some(0), None));
        let all = Names::new(&sites, BOTH).unwrap();
        assert_eq!((all.choose(None), all.choose(Some("who.example"))), (Some(0), Some(0)));
        assert_eq!(all.choose(Some("other.example")), Some(1));
        assert_eq!(Names::new(&[], BOTH).unwrap().choose(None), None);
    }

    #[test]
    fn a_name_in_two_sites_is_refused() {
        let sites = [site(&["*.shop.example"]), site(&["*.SHOP.example"])];
        let error = Names::new(&sites, BOTH).unwrap_err();
        assert!(error.contains("*.shop.example"), "{error}");
    }

    #[test]
    fn ten_thousand_names_are_one_look_up() {
        let sites: Vec<Site> =
            (0..10_000).map(|n| site(&[&format!("{n}.example"), &format!("*.{n}.example")])).collect();
        let names = Names::new(&sites, Strangers::default()).unwrap();
        let began = std::time::Instant::now();
        for n in 0..10_000 {
            assert_eq!(names.choose(Some(&format!("{n}.example"))), Some(n));
            assert_eq!(names.choose(Some(&format!("www.{n}.example"))), Some(n));
        }
        assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
    }

    #[test]
    fn the_key_follows_what_the_client_can_check() {
        use SignatureScheme as S;
        let keys = [("ecdsa", S::ECDSA_NISTP256_SHA256), ("rsa", S::RSA_PSS_SHA256)];
        let pick = |offered: &[S]| choose_key(&keys, |key, offered| offered.contains(&key.1), offered).unwrap().0;
        assert_eq!(pick(&[S::RSA_PSS_SHA256, S::ECDSA_NISTP256_SHA256]), "ecdsa");
        assert_eq!(pick(&[S::RSA_PSS_SHA256]), "rsa");
        assert_eq!(pick(&[S::ED25519]), "ecdsa");
        assert!(choose_key::<()>(&[], |_, _| true, &[]).is_none());
    }
}
