//! Hosts whose `[[site]]` asks clients for a certificate. What tls-terminator verified holds for the name a TLS connection was opened
//! for; a connection without a name, or without TLS, must not be a way around it. Pure.

use common::config::{NamePattern, Site};

use super::receive::Client;

/// The names of all sites, if one of them asks for certificates; else nothing.
#[derive(Debug, Default)]
pub struct Certified(Vec<(NamePattern, Option<bool>)>);

impl Certified {
    /// From the sites of the configuration.
    pub fn new(sites: &[Site]) -> Self {
        if sites.iter().all(|site| site.client_auth.is_none()) {
            return Self::default();
        }
        let required = |site: &Site| site.client_auth.as_ref().map(|auth| auth.required);
        let of = |site: &Site| site.names.iter().map(|name| (name.clone(), required(site))).collect::<Vec<_>>();
        Self(sites.iter().flat_map(of).collect())
    }

    /// Whether a request for `host` may come over this connection. With a name it may: hosts other than the name were refused before.
    /// But not without a certificate, where one is required since a reload: the handshake was before.
    pub fn admits(&self, client: &Client, host: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        match (self.required(host), &client.tls) {
            (None, _) => true,
            (Some(required), Some(tls)) if tls.server_name.is_some() => !required || tls.identity.is_some(),
            // Nameless: verified by the authorities of another site, or not at all.
            (Some(_), Some(_)) => false,
            (Some(required), None) => !required,
        }
    }

    /// Whether the host's site insists on a certificate.
    pub fn insists(&self, host: &str) -> bool {
        self.required(host) == Some(true)
    }

    /// Whether the host's site asks for a certificate, and insists.
    fn required(&self, host: &str) -> Option<bool> {
        of_name(&self.0, host).copied().flatten()
    }
}

/// What belongs to the site of a host. The exact name decides before wildcards, the longest of these.
pub fn of_name<'a, T>(sites: &'a [(NamePattern, T)], host: &str) -> Option<&'a T> {
    let names = sites.iter().filter(|(name, _)| name.matches(host));
    let rank = |name: &NamePattern| (matches!(name, NamePattern::Exact(_)), name.as_str().len());
    names.max_by_key(|(name, _)| rank(name)).map(|(_, found)| found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use common::config::ClientAuth;
    use common::ipc::messages::Ends;

    fn site(names: &[&str], required: Option<bool>) -> Site {
        Site {
            names: names.iter().map(|name| NamePattern::parse(name).unwrap()).collect(),
            client_auth: required.map(|required| ClientAuth { required, ..ClientAuth::default() }),
            line: 1,
            ..Site::default()
        }
    }

    fn client(tls: bool, name: Option<&str>) -> Client {
        let address = "127.0.0.1:1".parse().unwrap();
        let tls = tls.then(|| crate::receive::Tls {
            server_name: name.map(Into::into),
            version: "TLSv1.3".into(),
            ja4: "".into(),
            h2: false,
            identity: None,
        });
        Client { ends: Ends { client: address, local: address }, tls }
    }

    #[test]
    fn no_way_leads_around_a_certificate() {
        let sites = [
            site(&["open.example", "public.staff.example"], None),
            site(&["staff.example", "*.staff.example"], Some(true)),
            site(&["maybe.example"], Some(false)),
        ];
        let certified = Certified::new(&sites);
        for (host, plain, nameless) in [
            ("open.example", true, true),
            ("elsewhere.example", true, true),
            ("public.staff.example", true, true),
            ("staff.example", false, false),
            ("a.staff.example", false, false),
            ("maybe.example", true, false),
        ] {
            assert_eq!(certified.admits(&client(false, None), host), plain, "{host}");
            assert_eq!(certified.admits(&client(true, None), host), nameless, "{host}");
            let mut named = client(true, Some(host));
            assert_eq!(
                certified.admits(&named, host),
                !certified.insists(host),
                "{host}: a handshake before the reload"
            );
            named.tls.as_mut().unwrap().identity = Some(Box::default());
            assert!(certified.admits(&named, host), "{host}");
        }
        assert!(Certified::new(&sites[..1]).admits(&client(false, None), "staff.example"));
    }
}
