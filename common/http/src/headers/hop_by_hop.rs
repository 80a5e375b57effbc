//! Fields that belong to one connection only (RFC 9110 §7.6.1) and names that alias others.
//!
//! `Connection` lets a sender name further fields that are to be dropped. A client may use that to make *us* drop a field that an earlier
//! trusted hop or we ourselves rely on, so a fixed list of end-to-end fields is never dropped on its word.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::framing::{list_has, trim_ows};

/// Which way the message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a client to a backend or another proxy.
    Request,
    /// From a backend to the client.
    Response,
}

/// What to do with names that have a `_`: many backends (CGI and everything after it) read `X_Forwarded_For` and `X-Forwarded-For` as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Underscores {
    /// Taken off.
    #[default]
    Drop,
    /// Let through; only for backends that are known to tell them apart.
    Keep,
}

/// Never dropped because `Connection` names them: they carry identity, framing or meaning end to end.
const END_TO_END: &[&[u8]] = &[
    b"host",
    b"content-length",
    b"content-type",
    b"content-encoding",
    b"authorization",
    b"cookie",
    b"set-cookie",
    b"forwarded",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-real-ip",
    b"x-request-id",
    b"traceparent",
    b"tracestate",
    b"origin",
    b"range",
    b"if-match",
    b"if-none-match",
    b"cache-control",
    b"date",
    b"location",
    b"etag",
    b"vary",
    b"expect",
];

/// More names than this in `Connection` are not looked at: nobody needs them, and each costs a look-up.
const MAX_NAMED: usize = 32;

/// Takes off everything that must not travel on. With `keep_upgrade` the `Upgrade` field and a fresh `Connection: upgrade` stay
/// (the caller means to switch protocols). Returns whether the sender's `TE` announced that it takes trailers.
pub fn strip(headers: &mut HeaderMap, direction: Direction, keep_upgrade: bool, underscores: Underscores) -> bool {
    let found = Found::look(headers);
    if found.nothing() {
        return false;
    }
    if found.connection {
        remove_named(headers);
        headers.remove(header::CONNECTION);
    }
    let trailers = found.te && headers.get_all(header::TE).iter().any(|v| list_has(v.as_bytes(), b"trailers"));
    if found.other {
        remove_fixed(headers, direction);
    }
    if found.upgrade {
        if keep_upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        } else {
            headers.remove(header::UPGRADE);
        }
    }
    if found.underscore && underscores == Underscores::Drop {
        let names: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
    trailers
}

/// What one pass over the names has seen.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    connection: bool,
    upgrade: bool,
    te: bool,
    other: bool,
    underscore: bool,
}

impl Found {
    fn look(headers: &HeaderMap) -> Found {
        let mut found = Found::default();
        for name in headers.keys() {
            match *name {
                header::CONNECTION => found.connection = true,
                header::UPGRADE => found.upgrade = true,
                header::TE => (found.te, found.other) = (true, true),
                header::TRANSFER_ENCODING | header::PROXY_AUTHENTICATE | header::PROXY_AUTHORIZATION => {
                    found.other = true
                }
                _ => match name.as_str() {
                    "keep-alive" | "proxy-connection" | "http2-settings" | "proxy-authentication-info" => {
                        found.other = true
                    }
                    other => found.underscore |= other.contains('_'),
                },
            }
        }
        found
    }

    fn nothing(self) -> bool {
        !(self.connection || self.upgrade || self.te || self.other || self.underscore)
    }
}

fn remove_fixed(headers: &mut HeaderMap, direction: Direction) {
    headers.remove(header::TE);
    headers.remove(header::TRANSFER_ENCODING);
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        headers.remove(name);
    }
    // Credentials and challenges of proxies are for the next hop, which is us.
    match direction {
        Direction::Request => drop(headers.remove(header::PROXY_AUTHORIZATION)),
        Direction::Response => {
            headers.remove(header::PROXY_AUTHENTICATE);
            headers.remove("proxy-authentication-info");
        }
    }
}

fn remove_named(headers: &mut HeaderMap) {
    // `Connection: keep-alive` or `close` alone is nearly all there is: nothing to collect then.
    let mut names: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        for token in value.as_bytes().split(|b| *b == b',').map(trim_ows) {
            let plain = token.is_empty()
                || [&b"close"[..], b"keep-alive", b"upgrade", b"te"].iter().any(|t| token.eq_ignore_ascii_case(t));
            if plain || END_TO_END.iter().any(|t| token.eq_ignore_ascii_case(t)) || names.len() >= MAX_NAMED {
                continue;
            }
            names.extend(HeaderName::from_bytes(token));
        }
    }
    for name in names {
        headers.remove(name);
    }
}
