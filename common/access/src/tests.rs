//! The crate as its users meet it: rules as text of a configuration file, facts, decisions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod conditions;
mod good_and_bad;
mod oracle;
mod order;

use std::net::IpAddr;
use std::path::Path;

use common::config::{AccessRule, Action, Config, Host, TlsVersion};
use common::ipc::messages::terminator_to_filter::ClientIdentity;

use crate::*;

/// Header fields of a test, in lower case.
pub(crate) struct Lines(pub(crate) Vec<(&'static str, &'static str)>);

impl Headers for Lines {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.iter().any(|(own, value)| *own == name && test(value.as_bytes()))
    }

    fn names(&self, visit: &mut dyn FnMut(&str)) {
        let mut seen = Vec::new();
        for (name, _) in &self.0 {
            if !seen.contains(name) {
                seen.push(name);
                visit(name);
            }
        }
    }
}

/// Thursday, 1 January 2026, 09:30 UTC.
const MORNING: u64 = 1_767_259_800;

/// Everything that facts borrow from.
pub(crate) struct World {
    headers: Lines,
    identity: ClientIdentity,
    host: Host,
    now: Box<dyn Fn() -> u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        let boxed = |list: &[&str]| list.iter().map(|text| (*text).into()).collect();
        World {
            headers: Lines(vec![
                ("x-a", "one"),
                ("x-a", "two three"),
                ("content-type", "Application/JSON; charset=utf-8"),
                ("cookie", "session=abc; theme=\"dark\""),
                ("cookie", "session=def"),
            ]),
            identity: ClientIdentity {
                subject: "CN=ada,OU=staff,O=Shop".into(),
                subject_attributes: boxed(&["CN=ada", "OU=staff", "O=Shop"]),
                issuer: "CN=staff CA".into(),
                issuer_attributes: boxed(&["CN=staff CA"]),
                names: boxed(&["DNS:ada.staff.example", "URI:spiffe://shop/ada"]),
                ..ClientIdentity::default()
            },
            host: Host::Name("mail.example".into()),
            now: Box::new(|| MORNING),
        }
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            client: address("192.0.2.7"),
            clock: &*self.now,
            listener: "https",
            tls: Some(Tls {
                server_name: Some("shop.example"),
                ja4: "t13d1516h2_8daaf6152771_b186095e22b6",
                version: Some(TlsVersion::Tls13),
                certificate: Some(&self.identity),
            }),
            request: Some(Request {
                method: "GET",
                host: "shop.example",
                path: "/admin/users",
                query: Some("debug=1&q=a%20b&q=c"),
                headers: &self.headers,
                body_size: Some(2048),
            }),
            user: Some("ada"),
            destination: Some(Destination { host: &self.host, port: 443 }),
        }
    }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn environment() -> Environment {
    let countries = Countries::parse(b"192.0.2.0/24,DE\n198.51.100.0/24,AT\n").unwrap();
    Environment { countries: Some(std::sync::Arc::new(countries)), ..Environment::default() }
}

/// The rules of a text, as the configuration reads them.
pub(crate) fn configured(table: &str, rules: &str) -> Vec<AccessRule> {
    let base = "[access]\ncountry_file = \"c.csv\"\n[forward-proxy]\nusers_file = \"u\"\n[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:3128\"\n[[sni-router.listen]]\nname = \"https\"\naddress = \"127.0.0.1:8443\"\n[[sni-router.listen]]\nname = \"http\"\nprotocol = \"http\"\naddress = \"127.0.0.1:8080\"\n[[http-filter.route]]\nname = \"r\"\npool = \"p\"\n[[pool]]\nname = \"p\"\nservers = \"127.0.0.1:1\"\n";
    let (config, _) =
        Config::parse(&format!("{base}{rules}"), "b.toml", Path::new("/")).unwrap_or_else(|e| panic!("{e}"));
    match table {
        "sni-router" => config.sni_router.access,
        "http-filter" => config.http_filter.access,
        _ => config.forward_proxy.access,
    }
}

pub(crate) fn place(table: &str) -> Place {
    match table {
        "sni-router" => Place::Router,
        "http-filter" => Place::Http,
        _ => Place::Forward,
    }
}

/// One rule that denies under these conditions.
pub(crate) fn rule(table: &str, conditions: &str) -> String {
    format!("[[{table}.access]]\nname = \"r\"\naction = \"deny\"\n{conditions}\n")
}

pub(crate) fn set(table: &str, rules: &str, default: Action) -> Result<RuleSet, Vec<String>> {
    RuleSet::compile(&configured(table, rules), default, place(table), &environment())
}
