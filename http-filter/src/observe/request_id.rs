//! The id of a request: taken over from a trusted proxy, or made here. Pure but for the random numbers at the start.
//!
//! An id of ours is 32 hexadecimal digits: 16 of the process (random), 16 of the request (a counter, mixed so that neighbours
//! look unlike and nobody can count our requests by it). The mixing is a bijection, so no two requests of a process share an
//! id. What a client claims never becomes an id.

use std::cell::Cell;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// Longest id that is taken over, in bytes.
const LONGEST: usize = 128;
/// `X-Request-Id`
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes ids; one per process, it outlives reloads.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    next: Cell<u64>,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self { process: random(), next: Cell::new(random()) }
    }
}

/// One id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// Ours; formatted only where it is shown.
    Own(u64, u64),
    /// A trusted proxy's.
    Given(HeaderValue),
}

impl RequestIds {
    /// A new id.
    pub fn make(&self) -> RequestId {
        RequestId::Own(self.process, mixed(self.count()))
    }

    /// The id of a request that a trusted proxy sent: its own if it is one, and the only one.
    pub fn take_over(&self, headers: &HeaderMap) -> RequestId {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(only), None) if is_id(only.as_bytes()) => RequestId::Given(only.clone()),
            _ => self.make(),
        }
    }

    fn count(&self) -> u64 {
        let next = self.next.get().wrapping_add(1);
        self.next.set(next);
        next
    }
}

impl RequestId {
    /// Gives `show` the id as text.
    pub fn with<T>(&self, show: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Own(process, request) => {
                let mut text = [0_u8; 32];
                hex(&mut text, *process, *request);
                show(std::str::from_utf8(&text).unwrap_or_default())
            }
            Self::Given(value) => show(value.to_str().unwrap_or_default()),
        }
    }

    /// The id as a header's value.
    pub fn value(&self) -> HeaderValue {
        match self {
            Self::Own(..) => self.with(HeaderValue::from_str).unwrap_or(HeaderValue::from_static("")),
            Self::Given(value) => value.clone(),
        }
    }
}

fn is_id(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    (1..=LONGEST).contains(&text.len()) && text.iter().all(allowed)
}

/// The finaliser of splitmix64 (Vigna): every step can be undone, so different numbers stay different.
pub fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Writes two numbers as 32 hexadecimal digits.
fn hex(text: &mut [u8; 32], first: u64, second: u64) {
    let (left, right) = text.split_at_mut(16);
    super::hex(left, first);
    super::hex(right, second);
}

/// A random number. Without randomness (it cannot happen after the start) the clock has to do: ids need not be secret.
pub fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_hexadecimal_and_never_repeat() {
        let ids = RequestIds::default();
        let made: BTreeSet<String> = (0..10_000).map(|_| ids.make().with(str::to_owned)).collect();
        assert_eq!(made.len(), 10_000);
        assert!(
            made.iter()
                .all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()))
        );
        let beginnings: BTreeSet<&str> = made.iter().filter_map(|id| id.get(..16)).collect();
        assert_eq!(beginnings.len(), 1, "the process's own half");
        assert_eq!(ids.make().value().len(), 32);
    }

    #[test]
    fn what_a_trusted_proxy_sends_is_taken_over_only_if_it_is_an_id() {
        let ids = RequestIds::default();
        let take = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
            }
            ids.take_over(&headers)
        };
        for good in [&b"a"[..], b"7f3a-9:/_.+=@Z", &[b'x'; 128]] {
            assert_eq!(take(&[good]), RequestId::Given(HeaderValue::from_bytes(good).unwrap()));
        }
        for bad in [&b""[..], b"a b", b"a\"b", b"a\tb", b"<x>", b"\xff", &[b'x'; 129]] {
            assert!(matches!(take(&[bad]), RequestId::Own(..)), "{bad:?}");
        }
        assert!(matches!(take(&[b"a", b"b"]), RequestId::Own(..)), "two ids are none");
        assert!(matches!(take(&[]), RequestId::Own(..)));
    }
}
