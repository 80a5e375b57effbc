//! HTTP/2 lets a client send `Cookie` in pieces (RFC 9113 §8.2.3), which must be one field again before HTTP/1 sees them: a server that reads the first
//! line only would miss the rest, and rules that look for one cookie must see what the backend sees.

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// Makes one `Cookie` of several, joined by `; `.
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // The pieces are valid values, so what they make together is one too.
    if let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pieces_become_one_in_their_order() {
        let mut headers = HeaderMap::new();
        join_cookies(&mut headers);
        assert!(headers.is_empty());
        headers.append(COOKIE, HeaderValue::from_static("a=1"));
        join_cookies(&mut headers);
        headers.append(COOKIE, HeaderValue::from_static("b=2; c=3"));
        join_cookies(&mut headers);
        let all: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(all, ["a=1; b=2; c=3"]);
    }
}
