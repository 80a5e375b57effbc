//! What CONNECT needs of a request head that [`common_http::framing`] has found whole and valid: method, target and
//! credentials, read in place. Pure; it relies on the framing for everything it does not look at.

use crate::authenticate::basic::Given;

/// A request head, borrowed from the bytes it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// Method, as written (methods are case-sensitive).
    pub method: &'a str,
    /// Target, as written.
    pub target: &'a [u8],
    /// The `Proxy-Authorization` header.
    pub credentials: Given<'a>,
}

impl<'a> RequestHead<'a> {
    /// Reads a head. `None`: it is none, so the framing has not seen it.
    #[must_use]
    pub fn read(head: &'a [u8]) -> Option<Self> {
        // The framing tolerates one empty line before the request line (RFC 9112 §2.2).
        let text = head.strip_prefix(b"\r\n").unwrap_or(head);
        let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut words = lines.next()?.split(|byte| *byte == b' ');
        let (method, target) = (std::str::from_utf8(words.next()?).ok()?, words.next()?);
        let credentials = Given::of(lines.filter_map(proxy_authorization));
        Some(Self { method, target, credentials })
    }
}

fn proxy_authorization(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"proxy-authorization";
    let (name, value) = line.split_at_checked(NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    value.strip_prefix(b":")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn method_target_and_credentials() {
        let head = b"\r\nCONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\nproxy-Authorization:Basic QTpC\r\n\r\n";
        let read = RequestHead::read(head).unwrap();
        assert_eq!((read.method, read.target), ("CONNECT", b"a.example:443".as_slice()));
        assert_eq!(read.credentials, Given::One(b"Basic QTpC"));
        let none = b"GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization-Info: x\r\nProxy-Auth: y\r\n\r\n";
        assert_eq!(RequestHead::read(none).unwrap().credentials, Given::Nothing);
        let two = b"GET http://a/ HTTP/1.1\r\nProxy-Authorization: x\r\nPROXY-AUTHORIZATION: x\r\n\r\n";
        assert_eq!(RequestHead::read(two).unwrap().credentials, Given::Several);
        assert_eq!(RequestHead::read(b""), None);
    }
}
