//! What bytes are that do not begin a TLS handshake: plain HTTP, or anything else.
//!
//! It waits for no more than the method and the blank behind it (RFC 9112 §3; the HTTP/2 preface of RFC 9113 §3.4
//! begins like a method). A method that is not in the table is not HTTP here: SMTP, IMAP and SIP look much the same.

use super::{NotTls, Reading};

/// Methods of RFC 9110 and WebDAV with the blank behind them, and the HTTP/2 preface.
const BEGINNINGS: [&[u8]; 17] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PRI * HTTP/2.0",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"REPORT ",
];

/// Judges bytes whose first is not that of a handshake record.
pub(super) fn classify(bytes: &[u8], limit: usize) -> Reading {
    if BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning)) {
        return Reading::NotTls(NotTls::Http);
    }
    let possible = BEGINNINGS.iter().filter(|beginning| beginning.starts_with(bytes)).map(|beginning| beginning.len());
    match possible.min() {
        Some(at_least) if at_least <= limit => Reading::Incomplete { at_least },
        _ => Reading::NotTls(NotTls::Other),
    }
}
