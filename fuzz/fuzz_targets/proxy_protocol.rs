//! The PROXY protocol reader: no panic, no broken promise, no verdict taken back; what it read can be written again.
#![no_main]

use common::net::proxy_protocol::{MAX_HEADER, ProxyPrefix, encode_v1, encode_v2, read_prefix};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = read_prefix(bytes);
    let mut promised = 0;
    for end in 0..bytes.len().min(2 * MAX_HEADER) {
        match read_prefix(&bytes[..end]) {
            ProxyPrefix::Incomplete { at_least } => {
                assert!(at_least > end && at_least <= MAX_HEADER && at_least >= promised);
                promised = at_least;
            }
            verdict => assert_eq!(verdict, whole),
        }
    }
    if let ProxyPrefix::Header { len, source: Some(from), destination: Some(to) } = whole {
        assert!(len >= promised && len <= bytes.len());
        for again in [encode_v1(from, to), encode_v2(from, to, Some("shop.test"), Some(b"h2"))] {
            let expected = ProxyPrefix::Header { len: again.len(), source: Some(from), destination: Some(to) };
            assert_eq!(read_prefix(&again), expected);
        }
    }
});
