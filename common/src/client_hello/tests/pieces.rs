//! The same hello however it is cut, and no panic whatever is done to it.

use super::*;
use proptest::prelude::*;

fn an_ordinary_stream() -> Vec<u8> {
    stream(&[
        extension(0x1a1a, b""),
        server_name(b"shop.test"),
        alpn(&[b"h2", b"http/1.1"]),
        extension(43, &vec8(&[0x3a, 0x3a, 3, 4, 3, 3])),
        extension(13, &vec16(&[4, 3, 8, 4])),
        extension(0xfe0d, &[0; 40]),
        extension(0x0033, &[7; 1220]),
    ])
}

/// The hello without what depends on how it was cut.
pub(super) fn contents(mut hello: ClientHello) -> ClientHello {
    (hello.records, hello.wire_len) = (0, 0);
    hello
}

#[test]
fn every_prefix_of_every_even_cut() {
    let whole = an_ordinary_stream();
    for size in [1, 2, 3, 4, 5, 9, 64, 1000] {
        let cut = in_records_of(message(&whole), size);
        let Reading::Hello(read) = read_every_prefix(&cut, LIMIT) else { panic!("in records of {size}") };
        assert_eq!((read.records, read.wire_len), (message(&whole).len().div_ceil(size), cut.len()));
        assert_eq!(contents(*read), contents(hello(&whole)), "in records of {size}");
    }
}

#[test]
fn a_client_that_drips_wakes_us_a_bounded_number_of_times() {
    let dripped = in_records_of(message(&an_ordinary_stream()), 1);
    let (mut have, mut wakes) = (0, 0);
    while let Reading::Incomplete { at_least } = read(&dripped[..have], LIMIT) {
        (have, wakes) = (at_least, wakes + 1);
    }
    assert!(wakes < 60, "{wakes} for {} bytes", dripped.len());
}

proptest! {
    #[test]
    fn any_cut_into_records(mut cuts in prop::collection::vec(0usize..1000, 0..20)) {
        let whole = an_ordinary_stream();
        cuts.sort_unstable();
        let cut = cut_at(message(&whole), &cuts);
        let Reading::Hello(read) = read_every_prefix(&cut, LIMIT) else { panic!("cut at {cuts:?}") };
        prop_assert_eq!(contents(*read), contents(hello(&whole)));
    }

    #[test]
    fn mutated_hellos_never_panic_and_never_change_their_mind(
        changes in prop::collection::vec((0usize..1500, any::<u8>()), 1..6),
        cut in 1usize..1500,
        end in 0usize..1600,
    ) {
        let whole = an_ordinary_stream();
        let mut bytes = in_records_of(message(&whole), cut);
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(end);
        read_every_prefix(&bytes, LIMIT);
        read_every_prefix(&bytes, 700);
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), limit in 64usize..400) { // below, the first byte alone is already too much
        read_every_prefix(&bytes, limit);
        let body = record(&handshake(1, &bytes));
        read_every_prefix(&body, limit);
        let extensions = stream(&[bytes]);
        read_every_prefix(&extensions, LIMIT);
    }

    #[test]
    fn whatever_is_read_as_a_name_is_a_name(name in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Reading::Hello(hello) = read(&stream(&[server_name(&name)]), LIMIT) {
            let read = hello.server_name.unwrap();
            prop_assert_eq!(HostName::parse(read.as_str().as_bytes()), Ok(read.clone()));
            prop_assert!(read.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
        }
    }
}
