//! The ClientHello reader: no panic, no broken promise, no verdict taken back, and one meaning however it is cut.
#![no_main]

use common::client_hello::{ClientHello, Reading, offers_session, read};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 64 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, LIMIT);
    let offers = offers_session(bytes, LIMIT, |session| !session.is_empty());
    assert!(!offers || !matches!(whole, Reading::Incomplete { .. }), "half a hello offers nothing");
    // Every prefix of what is short, some prefixes of what is long.
    let step = (bytes.len() / 64).max(1);
    let mut promised = 0;
    for end in (0..bytes.len()).step_by(step) {
        match read(&bytes[..end], LIMIT) {
            Reading::Incomplete { at_least } => {
                assert!(at_least > end && at_least <= LIMIT && at_least >= promised);
                promised = at_least;
            }
            verdict => assert_eq!(verdict, whole),
        }
    }
    if let Reading::Hello(hello) = whole {
        assert!(bytes.len() >= promised && hello.wire_len <= bytes.len());
        assert_eq!(hello.ja4.as_str().len(), 36);
        if let Some(name) = &hello.server_name {
            assert!(name.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
        }
        read_in_other_records(&bytes[..hello.wire_len], *hello);
    }
});

/// The same hello in records of seven bytes must read the same.
fn read_in_other_records(stream: &[u8], hello: ClientHello) {
    let mut message = Vec::new();
    let mut rest = stream;
    while let Some((&[_, _, _, high, low], after)) = rest.split_first_chunk::<5>() {
        let (fragment, next) = after.split_at(usize::from(u16::from_be_bytes([high, low])));
        message.extend_from_slice(fragment);
        rest = next;
    }
    let cut: Vec<u8> =
        message.chunks(7).flat_map(|chunk| [&[0x16, 3, 3, 0, chunk.len() as u8], chunk].concat()).collect();
    let Reading::Hello(mut again) = read(&cut, cut.len()) else { panic!("refused when cut") };
    (again.records, again.wire_len) = (hello.records, hello.wire_len);
    assert_eq!(*again, hello);
}
