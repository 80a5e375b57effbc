//! Pure: one cookie among the `Cookie` fields of a request (RFC 6265 §5.4), read leniently as browsers write them.

use http::header::{self, HeaderMap, HeaderValue};

/// The values of all cookies with that name, in order. HTTP/2 clients may spread cookies over several fields (RFC 9113 §8.2.3).
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|field| pairs(field.as_bytes()));
    pairs.filter_map(move |pair| value(pair, name))
}

/// Takes the cookies with that name out; a field of which nothing is left goes too.
pub fn remove(headers: &mut HeaderMap, name: &str) {
    if values(headers, name).next().is_none() {
        return;
    }
    let kept = headers.get_all(header::COOKIE).iter().filter_map(|field| {
        let mut rest = Vec::with_capacity(field.len());
        for pair in pairs(field.as_bytes()).filter(|pair| value(pair, name).is_none()) {
            if !rest.is_empty() {
                rest.extend_from_slice(b"; ");
            }
            rest.extend_from_slice(pair);
        }
        HeaderValue::from_bytes(&rest).ok().filter(|rest| !rest.is_empty())
    });
    let kept: Vec<HeaderValue> = kept.collect();
    headers.remove(header::COOKIE);
    for field in kept {
        headers.append(header::COOKIE, field);
    }
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

fn value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = pair.strip_prefix(name.as_bytes())?;
    rest.trim_ascii_start().strip_prefix(b"=").map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::COOKIE, HeaderValue::from_str(field).unwrap());
        }
        headers
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        for fields in [&["a=1; me=x; b=2"][..], &["me=x"], &["a=1;me=x"], &["a=1", "me=x; c=3"], &["; ;me = x ;"]] {
            let headers = headers(fields);
            assert_eq!(values(&headers, "me").collect::<Vec<_>>(), [b"x"], "{fields:?}");
        }
        let headers = headers(&["notme=1; mee=2; me; ME=3; x=me=4; me=a=b; me="]);
        assert_eq!(values(&headers, "me").collect::<Vec<_>>(), [&b"a=b"[..], b""]);
    }

    #[test]
    fn removing_leaves_the_others() {
        for (before, after) in [
            (&["a=1; me=x; b=2"][..], &["a=1; b=2"][..]),
            (&["me=x"], &[]),
            (&["me=x; me=y", "a=1;  b=2", "me=z"], &["a=1; b=2"]),
            (&["a=1;b=2"], &["a=1;b=2"]),
        ] {
            let mut headers = headers(before);
            remove(&mut headers, "me");
            assert_eq!(headers.get_all(header::COOKIE).iter().collect::<Vec<_>>(), after, "{before:?}");
        }
    }
}
