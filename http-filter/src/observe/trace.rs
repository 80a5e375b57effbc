//! W3C Trace Context, level 1: `traceparent` (§3.2) and `tracestate` (§3.3) of a request, read strictly. Pure.
//!
//! A `traceparent` that is not valid is none, and its `tracestate` goes with it (§3.2.3, §4.3). A later version is read as far
//! as this one knows it (§3.2.4). What of a `tracestate` breaks the rules for list or members is dropped as a whole.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// `traceparent`
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate`
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Members of a `tracestate` at most (§3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// Bytes of a `tracestate` that is passed on, all lines together; §3.3.1.5 asks for at least 512.
const MAX_STATE: usize = 4096;
/// The bit that says "the caller may have recorded this" (§3.2.2.5.1).
const SAMPLED: u8 = 1;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Somebody records it.
    pub sampled: bool,
}

impl Parent {
    /// The place that the request's headers name, if there is exactly one and it is valid.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(only), None) => Self::parse(only.as_bytes()),
            _ => None,
        }
    }

    /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (whole, rest) = text.split_at_checked(55)?;
        let version = lower_hex(whole.get(..2)?)?;
        let ends_here = if version == 0 { rest.is_empty() } else { rest.is_empty() || rest.first() == Some(&b'-') };
        let dashes = [2, 35, 52].into_iter().all(|at| whole.get(at) == Some(&b'-'));
        if version == 0xff || !ends_here || !dashes {
            return None;
        }
        let trace = lower_hex(whole.get(3..35)?)?;
        let span = u64::try_from(lower_hex(whole.get(36..52)?)?).ok()?;
        let flags = u8::try_from(lower_hex(whole.get(53..55)?)?).ok()?;
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & SAMPLED != 0 })
    }

    /// In the form of version 00.
    pub fn value(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        self.write_trace(text.get_mut(3..35).unwrap_or_default());
        super::hex(text.get_mut(36..52).unwrap_or_default(), self.span);
        if let (true, Some(flags)) = (self.sampled, text.get_mut(54)) {
            *flags = b'1';
        }
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
    }

    /// Writes the 32 digits of the trace.
    pub fn write_trace(&self, digits: &mut [u8]) {
        let (high, low) = digits.split_at_mut(digits.len().min(16));
        super::hex(high, u64::try_from(self.trace >> 64).unwrap_or_default());
        super::hex(low, u64::try_from(self.trace & u128::from(u64::MAX)).unwrap_or_default());
    }
}

/// Upper case is not valid (§3.2.1).
fn lower_hex(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number: u128, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(digit))
    })
}

/// Whether all lines of `tracestate` together are a list as §3.3.1 wants it.
pub fn is_valid_state(headers: &HeaderMap) -> bool {
    let (mut bytes, mut members) = (0_usize, Vec::new());
    for line in headers.get_all(TRACESTATE) {
        bytes = bytes.saturating_add(line.len());
        for member in line.as_bytes().split(|byte| *byte == b',').map(trim) {
            if member.is_empty() {
                continue; // allowed (§3.3.1.1)
            }
            match key_of(member) {
                Some(key) if members.len() < MAX_MEMBERS && !members.contains(&key) => members.push(key),
                _ => return false,
            }
        }
    }
    bytes <= MAX_STATE
}

fn trim(member: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let from = member.iter().position(|byte| !blank(byte)).unwrap_or(member.len());
    let to = member.iter().rposition(|byte| !blank(byte)).map_or(from, |at| at + 1);
    member.get(from..to).unwrap_or_default()
}

/// The key of a member that is valid (§3.3.1.2, §3.3.1.3).
fn key_of(member: &[u8]) -> Option<&[u8]> {
    let at = member.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (member.get(..at)?, member.get(at + 1..)?);
    let value_fits = (1..=256).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, 0x20..=0x7e) && *byte != b'=' && *byte != b',')
        && value.last() != Some(&b' ');
    (value_fits && is_key(key)).then_some(key)
}

/// As level 2 has it, which allows all that level 1 allows.
fn is_key(key: &[u8]) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(byte);
    let first = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first && key.len() <= 256 && key.iter().all(inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn forms_of_a_traceparent() {
        for (text, sampled) in [
            (VALID, Some(true)),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", Some(false)),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", Some(true)),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", Some(false)),
            // A later version may be longer, behind a dash.
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(true)),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings", Some(true)),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", None),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", None),
            ("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01", None),
            ("0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
            ("", None),
            ("garbage", None),
        ] {
            assert_eq!(Parent::parse(text.as_bytes()).map(|parent| parent.sampled), sampled, "{text}");
        }
        let parent = Parent::parse(VALID.as_bytes()).unwrap();
        assert_eq!((parent.trace, parent.span), (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7));
        assert_eq!(parent.value(), VALID);
    }

    #[test]
    fn two_traceparents_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert!(Parent::of(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert_eq!(Parent::of(&headers), None);
    }

    #[test]
    fn forms_of_a_tracestate() {
        let many = |count: usize| (0..count).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        for (lines, valid) in [
            (vec!["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE".to_owned()], true),
            (vec!["a=1".to_owned(), "b=2".to_owned()], true),
            (vec![String::new()], true),
            (vec!["a=1, ,b=2 ,".to_owned()], true),
            (vec!["tenant@vendor=x y".to_owned(), "1tenant@vendor=x".to_owned()], true),
            (vec![many(32)], true),
            (vec![many(33)], false),
            (vec!["a=1".to_owned(), "a=2".to_owned()], false),
            (vec!["A=1".to_owned()], false),
            (vec!["1a=1".to_owned()], true),
            (vec!["a@1v=1".to_owned()], true),
            (vec!["-a=1".to_owned()], false),
            (vec!["@v=1".to_owned()], false),
            (vec!["a".to_owned()], false),
            (vec!["a=".to_owned()], false),
            (vec!["a=b=c".to_owned()], false),
            (vec!["a=\u{e9}".to_owned()], false),
            (vec![format!("a={}", "x".repeat(257))], false),
            (vec![format!("{}=x", "a".repeat(257))], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(TRACESTATE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            assert_eq!(is_valid_state(&headers), valid, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Parent::parse(&text);
            let _ = key_of(&text);
        }

        #[test]
        fn what_is_written_is_read_back(trace in 1_u128.., span in 1_u64.., sampled in any::<bool>()) {
            let parent = Parent { trace, span, sampled };
            prop_assert_eq!(Parent::parse(parent.value().as_bytes()), Some(parent));
        }
    }
}
