//! The strict reading of HTTP/1: no panic, progress or an end with every step, and the same verdicts however the bytes
//! are cut. (In its own words: what is refused once is refused for ever.)
#![no_main]

use common_http::framing::{Framing, Limits, Step, Violation};
use libfuzzer_sys::fuzz_target;

/// What the framing makes of a stream that arrives in pieces of `size` bytes: bytes of heads and bodies, and how it ended.
fn read(bytes: &[u8], size: usize) -> (Vec<(bool, usize)>, Option<Violation>) {
    let mut framing = Framing::new(Limits::DEFAULT);
    let (mut parts, mut begin): (Vec<(bool, usize)>, usize) = (Vec::new(), 0);
    let mut end = size.min(bytes.len());
    loop {
        if begin == end && end == bytes.len() {
            return (parts, None);
        }
        match framing.feed(&bytes[begin..end]) {
            Step::Head { len, .. } => {
                assert!(len > 0 && begin + len <= end);
                parts.push((true, len));
                begin += len;
            }
            Step::Body { len } => {
                assert!(len > 0 && begin + len <= end);
                match parts.last_mut() {
                    Some((false, before)) => *before += len,
                    _ => parts.push((false, len)),
                }
                begin += len;
            }
            Step::Partial if end == bytes.len() => return (parts, None),
            Step::Partial => end = (end + size).min(bytes.len()),
            Step::Hold | Step::Discard { .. } => return (parts, None),
            Step::Refused(violation) => {
                assert!(matches!(framing.feed(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Step::Refused(_)));
                return (parts, Some(violation));
            }
        }
        if begin == end {
            end = (end + size).min(bytes.len());
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, bytes.len().max(1));
    for size in [1, 7, 64] {
        assert_eq!(read(bytes, size), whole, "in pieces of {size}");
    }
});
