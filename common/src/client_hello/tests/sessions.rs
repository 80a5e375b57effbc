//! Which sessions a hello offers, however it is cut, and that nothing is promised by what is not whole.

use super::*;
use proptest::prelude::*;

fn identities(all: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = all.iter().flat_map(|one| [vec16(one), vec![0, 0, 0, 9]].concat()).collect();
    // Binders follow; nobody here looks at them.
    [vec16(&list), vec16(&[32; 33])].concat()
}

fn offers(bytes: &[u8], wanted: &[u8]) -> bool {
    offers_session(bytes, LIMIT, |session| session == wanted)
}

#[test]
fn tickets_of_both_versions_are_found() {
    let old = stream(&[server_name(b"a.test"), extension(35, b"ticket"), extension(43, &vec8(&[3, 3]))]);
    assert!(offers(&old, b"ticket") && !offers(&old, b"tickets"));
    assert!(!offers(&stream(&[extension(35, b"")]), b""), "an empty ticket asks for one");
    let new = stream(&[server_name(b"a.test"), extension(41, &identities(&[b"one", b"two"]))]);
    assert!(offers(&new, b"one") && offers(&new, b"two") && !offers(&new, b"three"));
    for end in 0..new.len() {
        assert!(!offers(&new[..end], b"one"), "cut at {end}");
    }
    let many: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 4]).collect();
    let many = stream(&[extension(41, &identities(&many.iter().map(Vec::as_slice).collect::<Vec<_>>()))]);
    assert!(offers(&many, &[7; 4]) && !offers(&many, &[8; 4]), "a few are looked at");
}

proptest! {
    #[test]
    fn strangers_bytes_never_panic(bytes: Vec<u8>, at in 0usize..200, with: u8) {
        let _ = offers(&bytes, b"x");
        let mut hello = stream(&[server_name(b"a.test"), extension(35, b"t"), extension(41, &identities(&[b"one"]))]);
        if let Some(byte) = hello.get_mut(at) {
            *byte = with;
        }
        let mut seen = 0;
        let _ = offers_session(&hello, LIMIT, |_| { seen += 1; false });
        prop_assert!(seen <= 12);
    }
}
