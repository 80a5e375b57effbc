//! `Accept-Encoding` (RFC 9110 §12.5.3, §12.4.2): which content coding a client wants most of those we offer. Pure.

use common::config::Algorithm;
use http::header::{ACCEPT_ENCODING, HeaderMap};

/// More members than this are not looked at: nobody has so many codings.
const MAX_MEMBERS: usize = 32;

/// What is said of the codings we know, in thousandths.
#[derive(Debug, Clone, Copy, Default)]
struct Wishes {
    zstd: Option<u16>,
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

/// The coding for an answer, `None`: as it is. The client's weights decide, between equal ones the order of `offered`.
/// A client that says nothing gets nothing: that it could read a coding is not known.
pub fn choose(headers: &HeaderMap, offered: &[Algorithm]) -> Option<Algorithm> {
    let wishes = read(headers);
    let weight = |algorithm: Algorithm| {
        let own = match algorithm {
            Algorithm::Zstd => wishes.zstd,
            Algorithm::Brotli => wishes.brotli,
            Algorithm::Gzip => wishes.gzip,
        };
        own.or(wishes.any).unwrap_or(0)
    };
    let mut best: Option<(Algorithm, u16)> = None;
    for algorithm in offered.iter().copied() {
        let weight = weight(algorithm);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((algorithm, weight));
        }
    }
    best.filter(|(_, weight)| wishes.identity.is_none_or(|identity| identity <= *weight))
        .map(|(algorithm, _)| algorithm)
}

fn read(headers: &HeaderMap) -> Wishes {
    let mut wishes = Wishes::default();
    let members = headers.get_all(ACCEPT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    for member in members.take(MAX_MEMBERS) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let weight = match parts.next() {
            None => Some(1000),
            Some(parameter) => quality(parameter),
        };
        // What is malformed was not said.
        let Some(weight) = weight else { continue };
        let is = |names: &[&[u8]]| names.iter().any(|own| name.eq_ignore_ascii_case(own));
        let wish = match name {
            _ if is(&[b"zstd"]) => &mut wishes.zstd,
            _ if is(&[b"br"]) => &mut wishes.brotli,
            _ if is(&[b"gzip", b"x-gzip"]) => &mut wishes.gzip,
            _ if is(&[b"identity"]) => &mut wishes.identity,
            b"*" => &mut wishes.any,
            _ => continue,
        };
        wish.get_or_insert(weight);
    }
    wishes
}

/// `q=0.5` in thousandths; at most three digits behind the point.
fn quality(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, fraction) = match value {
        [whole] | [whole, b'.'] => (*whole, &[][..]),
        [whole, b'.', fraction @ ..] => (*whole, fraction),
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut thousandths = 0;
    for place in 0..3 {
        thousandths = thousandths * 10 + fraction.get(place).map_or(0, |digit| u16::from(digit - b'0'));
    }
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use Algorithm::{Brotli, Gzip, Zstd};
    use http::HeaderValue;
    use proptest::prelude::*;

    fn chosen(lines: &[&str]) -> Option<Algorithm> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        choose(&headers, &[Zstd, Brotli, Gzip])
    }

    #[test]
    fn weights_decide_and_then_our_order() {
        for (line, wanted) in [
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, deflate, br", Some(Brotli)),
            ("GZIP", Some(Gzip)),
            ("x-gzip;q=0.5", Some(Gzip)),
            ("gzip;q=1.0, br;q=0.9", Some(Gzip)),
            ("zstd;q=0, br ; q=0.001", Some(Brotli)),
            ("*", Some(Zstd)),
            ("*;q=0.5, zstd;q=0.1", Some(Brotli)),
            ("*, zstd;q=0, br;q=0, gzip;q=0", None),
            ("*;q=0", None),
            ("identity", None),
            ("identity;q=0, gzip", Some(Gzip)),
            ("identity;q=0.5, gzip;q=0.4", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
            ("identity;q=0", None),
            ("deflate, compress", None),
            ("", None),
            (",, ,br,", Some(Brotli)),
            // What is malformed was not said.
            ("gzip;q=2, br;q=0.1234, zstd;q=x", None),
            ("gzip;level=1", None),
            ("br;q=1.", Some(Brotli)),
            ("br;q=1.001", None),
        ] {
            assert_eq!(chosen(&[line]), wanted, "{line}");
        }
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&["gzip;q=0.1", "br;q=0.2"]), Some(Brotli), "several lines are one list");
    }

    proptest! {
        /// Anything at all may come; a coding is only chosen where its name, or a star, was said.
        #[test]
        fn whatever_comes(line in "[ -~]{0,80}") {
            if let Some(algorithm) = chosen(&[&line]) {
                let name = match algorithm { Zstd => "zstd", Brotli => "br", Gzip => "gzip" };
                prop_assert!(line.contains('*') || line.to_ascii_lowercase().contains(name));
            }
        }
    }
}
