//! The facts of a request that templates may speak of, and how they are written into a header value or a URI (RFC 3986).
//!
//! In a URI whatever a request brings is encoded for the place it comes to stand in, so it can end neither the path nor a parameter.

use std::fmt::Write;
use std::net::IpAddr;

use common::config::template::{Part, Placeholder, Template};
use http::HeaderValue;
use regex::Captures;

/// Longest outcome of a template, in bytes.
pub const MAX_OUTCOME: usize = 16 * 1024;

/// Facts, borrowed from the request.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The client behind trusted proxies.
    pub client: Option<IpAddr>,
    /// Host without port.
    pub host: &'a str,
    /// Port, as the client wrote it.
    pub port: Option<u16>,
    /// Normalised path.
    pub path: &'a str,
    /// Query without the question mark.
    pub query: Option<&'a str>,
    /// Method.
    pub method: &'a str,
    /// The client speaks TLS.
    pub secure: bool,
    /// Identity of the request in our log.
    pub request_id: &'a str,
    /// Server name of the TLS connection.
    pub sni: &'a str,
    /// JA4 fingerprint.
    pub ja4: &'a str,
    /// Name of the route.
    pub route: &'a str,
}

impl Values<'_> {
    /// What is known of a request that could not be read: nothing.
    pub const NONE: Values<'static> = Values {
        client: None,
        host: "",
        port: None,
        path: "",
        query: None,
        method: "",
        secure: false,
        request_id: "",
        sni: "",
        ja4: "",
        route: "",
    };

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Fills a template for a header field. `None`: the outcome is empty, too long, or no value of a field.
    pub fn header(&self, template: &Template) -> Option<HeaderValue> {
        let mut text = String::new();
        for part in template.parts() {
            match part {
                Part::Text(own) => text.push_str(own),
                Part::Fact(fact) => self.write(*fact, &mut text),
                Part::Capture(_) => {}
            }
        }
        if text.is_empty() || text.len() > MAX_OUTCOME {
            return None;
        }
        HeaderValue::try_from(text).ok()
    }

    /// A fact as it is.
    fn write(&self, fact: Placeholder, out: &mut String) {
        // Writing to a String cannot fail.
        match fact {
            Placeholder::Client => drop(self.client.map(|client| write!(out, "{client}"))),
            Placeholder::Host => out.push_str(self.host),
            Placeholder::Path => out.push_str(self.path),
            Placeholder::Query => out.push_str(self.query.unwrap_or_default()),
            Placeholder::Target => {
                out.push_str(self.path);
                if let Some(query) = self.query {
                    let _ = write!(out, "?{query}");
                }
            }
            Placeholder::Method => out.push_str(self.method),
            Placeholder::Scheme => out.push_str(self.scheme()),
            Placeholder::RequestId => out.push_str(self.request_id),
            Placeholder::Sni => out.push_str(self.sni),
            Placeholder::Ja4 => out.push_str(self.ja4),
            Placeholder::Route => out.push_str(self.route),
        }
    }

    /// Fills a template for a path with query. The query is `None` when the template has none.
    pub fn target(&self, template: &Template, captures: Option<&Captures<'_>>) -> (String, Option<String>) {
        let (mut path, mut query): (String, Option<String>) = (String::new(), None);
        for part in template.parts() {
            match part {
                Part::Text(text) => match (&mut query, text.split_once('?')) {
                    (None, Some((before, behind))) => {
                        path.push_str(before);
                        query = Some(behind.to_owned());
                    }
                    (None, None) => path.push_str(text),
                    (Some(query), _) => query.push_str(text),
                },
                Part::Fact(Placeholder::Target) if query.is_none() => {
                    path.push_str(self.path);
                    query = self.query.map(str::to_owned);
                }
                Part::Fact(Placeholder::Query) if query.is_some() => {
                    query.get_or_insert_default().push_str(self.query.unwrap_or_default());
                }
                Part::Fact(fact) => {
                    let mut text = String::new();
                    self.write(*fact, &mut text);
                    encode(&text, &mut path, query.as_mut());
                }
                Part::Capture(name) => {
                    let found = captures.and_then(|captures| match name.parse::<usize>() {
                        Ok(number) => captures.get(number),
                        Err(_) => captures.name(name),
                    });
                    encode(found.map_or("", |found| found.as_str()), &mut path, query.as_mut());
                }
            }
        }
        (path, query.filter(|query| !query.is_empty()))
    }
}

/// To the end of the query if there is one, else of the path.
fn encode(text: &str, path: &mut String, query: Option<&mut String>) {
    let (out, inside): (&mut String, &[u8]) = match query {
        Some(query) => (query, b"-._~!*'(),:@/%"),
        None => (path, b"-._~!$&'()*+,;=:@/%"),
    };
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || inside.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
