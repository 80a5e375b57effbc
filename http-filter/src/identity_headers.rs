//! What the backend is told about the client's certificate: fields that only this proxy writes.
//!
//! RFC 9440 §2.2 (`Client-Cert`), §3.1 and §4 (a proxy must remove what clients send under that name). Where any site has such fields, requests for
//! every host lose theirs, in the head before anything is judged and in trailers, and also under names that differ only by `_` for `-`: CGI and its heirs
//! read both as one. What is written comes from the certificate that tls-terminator verified for the name of the connection, and from nothing else.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::config::{IdentityHeaders as Names, NamePattern, Site};
use common::ipc::messages::terminator_to_filter::ClientIdentity;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::certified::of_name;
use crate::receive::Client;

/// All sites' fields.
#[derive(Debug)]
pub struct IdentityHeaders {
    /// Every name that any site uses, in lower case.
    names: Box<[Arc<str>]>,
    sites: Vec<(NamePattern, Option<Rc<Fields>>)>,
}

/// The fields of one site.
#[derive(Debug)]
struct Fields {
    certificate: Option<HeaderName>,
    subject: Option<HeaderName>,
    issuer: Option<HeaderName>,
    names: Option<HeaderName>,
    serial: Option<HeaderName>,
    fingerprint: Option<HeaderName>,
}

impl IdentityHeaders {
    /// From the sites of the configuration; `None`: no site has such fields, and nothing needs to be done.
    ///
    /// # Errors
    /// A name that no field can have.
    pub fn new(sites: &[Site]) -> Result<Option<Rc<Self>>, String> {
        let of = |site: &'_ Site| site.client_auth.as_ref().map(|auth| auth.identity_headers.clone());
        let mut names: Vec<Arc<str>> =
            sites.iter().filter_map(of).flat_map(|own| own.all().cloned().collect::<Vec<_>>()).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Ok(None);
        }
        let mut all = Vec::new();
        for site in sites {
            let fields = of(site).map(|names| Fields::new(&names).map(Rc::new)).transpose()?;
            all.extend(site.names.iter().map(|name| (name.clone(), fields.clone())));
        }
        Ok(Some(Rc::new(Self { names: names.into(), sites: all })))
    }

    /// Takes off what a client has no business to say.
    pub fn strip(&self, headers: &mut HeaderMap) {
        let ours = |name: &HeaderName| self.names.iter().any(|own| alike(own, name.as_str()));
        let found: Vec<HeaderName> = headers.keys().filter(|name| ours(name)).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }

    /// Says what is known of this client.
    pub fn write(&self, client: &Client, headers: &mut HeaderMap) {
        let Some(tls) = &client.tls else { return };
        let (Some(identity), Some(name)) = (&tls.identity, tls.server_name.as_deref()) else { return };
        if let Some(Some(fields)) = of_name(&self.sites, name) {
            fields.write(identity, headers);
        }
    }
}

/// Whether two names are one to somebody who takes `_` for `-`.
fn alike(own: &str, name: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte };
    own.len() == name.len() && own.bytes().zip(name.bytes()).all(|(a, b)| fold(a) == fold(b))
}

impl Fields {
    fn new(names: &Names) -> Result<Self, String> {
        let field = |name: &Option<Arc<str>>| {
            let made = name.as_ref().map(|name| HeaderName::from_bytes(name.as_bytes()));
            made.transpose().map_err(|error| format!("site.identity_headers: {error}"))
        };
        Ok(Self {
            certificate: field(&names.certificate)?,
            subject: field(&names.subject)?,
            issuer: field(&names.issuer)?,
            names: field(&names.names)?,
            serial: field(&names.serial)?,
            fingerprint: field(&names.fingerprint)?,
        })
    }

    fn write(&self, identity: &ClientIdentity, headers: &mut HeaderMap) {
        let mut set = |name: &Option<HeaderName>, value: &dyn Fn() -> Option<String>| {
            if let Some(name) = name
                && let Some(value) = value().and_then(|text| HeaderValue::try_from(text).ok())
            {
                headers.insert(name, value);
            }
        };
        set(&self.certificate, &|| identity.certificate.as_deref().map(|der| format!(":{}:", STANDARD.encode(der))));
        set(&self.subject, &|| Some(plain(&identity.subject).into_owned()));
        set(&self.issuer, &|| Some(plain(&identity.issuer).into_owned()));
        set(&self.names, &|| Some(listed(&identity.names)));
        set(&self.serial, &|| Some(identity.serial.to_string()));
        set(&self.fingerprint, &|| Some(identity.fingerprint.to_string()));
    }
}

/// A distinguished name in ASCII: other characters as RFC 4514 §2.4 allows, `\C3\A4`.
fn plain(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let mut out = String::new();
    for byte in name.bytes() {
        match byte.is_ascii() {
            true => out.push(char::from(byte)),
            false => drop(write!(out, "\\{byte:02X}")),
        }
    }
    Cow::Owned(out)
}

/// Names with commas between them. What could be taken for a comma of ours, or is no visible ASCII, is percent-encoded.
fn listed(names: &[Box<str>]) -> String {
    let mut out = String::new();
    for name in names {
        if !out.is_empty() {
            out.push_str(", ");
        }
        for byte in name.bytes() {
            match byte {
                b',' | b'"' => drop(write!(out, "%{byte:02X}")),
                _ if byte.is_ascii_graphic() => out.push(char::from(byte)),
                _ => drop(write!(out, "%{byte:02X}")),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use common::config::ClientAuth;
    use common::ipc::messages::Ends;

    fn site(name: &str, headers: Option<Names>) -> Site {
        let client_auth = headers.map(|identity_headers| ClientAuth { identity_headers, ..ClientAuth::default() });
        Site { names: vec![NamePattern::parse(name).unwrap()], client_auth, line: 1, ..Site::default() }
    }

    fn client(name: Option<&str>, identity: Option<ClientIdentity>) -> Client {
        let address = "127.0.0.1:1".parse().unwrap();
        let tls = crate::receive::Tls {
            server_name: name.map(Into::into),
            version: "TLSv1.3".into(),
            ja4: "".into(),
            h2: false,
            identity: identity.map(Box::new),
        };
        Client { ends: Ends { client: address, local: address }, tls: Some(tls) }
    }

    fn ada() -> ClientIdentity {
        ClientIdentity {
            subject: "CN=Ada Käse,O=Shop".into(),
            issuer: "CN=CA".into(),
            names: vec!["DNS:ada.example".into(), "URI:x, DNS:root.example".into()],
            serial: "0a1b".into(),
            certificate: Some(vec![1, 2, 3, 250].into()),
            ..ClientIdentity::default()
        }
    }

    fn headers() -> Rc<IdentityHeaders> {
        let name = |text: &str| Some(Arc::from(text));
        let all = Names {
            certificate: name("client-cert"),
            subject: name("x-subject"),
            names: name("x-names"),
            ..Names::default()
        };
        let one = Names { serial: name("x-serial"), issuer: name("x-issuer"), ..Names::default() };
        let sites = [site("*.a.test", Some(all)), site("b.a.test", Some(one)), site("open.test", None)];
        IdentityHeaders::new(&sites).unwrap().unwrap()
    }

    fn written(client: &Client) -> Vec<(String, String)> {
        let mut map = HeaderMap::new();
        headers().write(client, &mut map);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut all: Vec<_> = map.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        all.sort();
        all
    }

    #[test]
    fn each_site_says_what_it_says() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            written(&client(Some("x.a.test"), Some(ada()))),
            [
                pair("client-cert", ":AQID+g==:"),
                pair("x-names", "DNS:ada.example, URI:x%2C%20DNS:root.example"),
                pair("x-subject", "CN=Ada K\\C3\\A4se,O=Shop"),
            ]
        );
        assert_eq!(
            written(&client(Some("b.a.test"), Some(ada()))),
            [pair("x-issuer", "CN=CA"), pair("x-serial", "0a1b")]
        );
        for nobody in
            [client(Some("x.a.test"), None), client(None, Some(ada())), client(Some("open.test"), Some(ada()))]
        {
            assert_eq!(written(&nobody), []);
        }
        assert!(
            IdentityHeaders::new(&[site("a.test", None), site("b.test", Some(Names::default()))]).unwrap().is_none()
        );
    }

    #[test]
    fn what_clients_say_is_taken_off_in_every_spelling() {
        let mut map = HeaderMap::new();
        for name in ["client-cert", "client_cert", "x_serial", "x-issuer", "x-serials", "clientcert", "x-other"] {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("forged"));
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("twice"));
        }
        headers().strip(&mut map);
        let mut left: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["clientcert", "x-other", "x-serials"]);
    }
}
