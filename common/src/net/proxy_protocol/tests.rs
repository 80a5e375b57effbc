//! Rules one by one, every prefix, a second implementation as judge, and bytes of no sense.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use super::*;
use proptest::prelude::*;
use proxy_header::{ParseConfig, ProxiedAddress, ProxyHeader};

/// Reads every prefix of `bytes`: no promise broken, no verdict taken back.
fn read_every_prefix(bytes: &[u8]) -> ProxyPrefix {
    let whole = read_prefix(bytes);
    let mut promised = 0;
    for end in 0..=bytes.len() {
        match read_prefix(&bytes[..end]) {
            ProxyPrefix::Incomplete { at_least } => {
                assert!(at_least > end && at_least <= MAX_HEADER, "at {end}: {at_least}");
                assert!(at_least >= promised, "at {end}: {at_least} after {promised}");
                promised = at_least;
            }
            verdict => {
                assert_eq!(verdict, whole, "at {end} of {}", bytes.len());
                assert!(end >= promised || !matches!(verdict, ProxyPrefix::Header { .. }), "{end} {promised}");
            }
        }
    }
    whole
}

fn header(len: usize, source: &str, destination: &str) -> ProxyPrefix {
    let address = |text: &str| Some(text.parse().unwrap());
    ProxyPrefix::Header { len, source: address(source), destination: address(destination) }
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    [v2::SIGNATURE, &[command, family], &(block.len() as u16).to_be_bytes(), block].concat()
}

const BLOCK4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 4, 1, 0xbb];

#[test]
fn version_1_lines() {
    for (line, expected) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", ("192.0.2.1:56324", "198.51.100.7:443")),
        ("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", ("255.255.255.255:65535", "0.0.0.0:0")),
        ("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", ("[2001:db8::1]:1", "[::1]:2")),
        ("PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n", ("10.0.0.1:1", "[::1]:2")),
    ] {
        let stream = format!("{line}\x16\x03\x01rest");
        assert_eq!(read_every_prefix(stream.as_bytes()), header(line.len(), expected.0, expected.1), "{line}");
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(v1::MAX_LINE - 16));
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ::1 ::1 1 2\r\n", &longest] {
        let expected = ProxyPrefix::Header { len: line.len(), source: None, destination: None };
        assert_eq!(read_every_prefix(line.as_bytes()), expected, "{line}");
    }
}

#[test]
fn version_1_lines_that_are_refused() {
    use BadProxyHeader::*;
    let too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(v1::MAX_LINE - 15));
    let late_line_feed = format!("PROXY UNKNOWN {}\n", "f".repeat(v1::MAX_LINE - 15)); // found by fuzzing
    for (line, why) in [
        (&*late_line_feed, LineTooLong),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n", LineEnd),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\rX", LineEnd),
        ("PROXY TCP5 192.0.2.1 198.51.100.7 56324 443\r\n", Line),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n", Line),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 9\r\n", Line),
        ("PROXY \r\nGET / HTTP/1.1\r\n", Line),
        ("PROXY UNKNOWNX\r\n", Line),
        ("PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n", Address),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n", Line),
        ("PROXY TCP4 ::1 ::1 56324 443\r\n", Address),
        ("PROXY TCP6 192.0.2.1 198.51.100.7 56324 443\r\n", Address),
        ("PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n", Address),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n", Address),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 +1 443\r\n", Address),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 01 443\r\n", Address),
        ("PROXY TCP4 192.0.2.1 198.51.100.7  443\r\n", Address),
        (&too_long, LineTooLong),
    ] {
        assert_eq!(read_every_prefix(line.as_bytes()), ProxyPrefix::Malformed(why), "{line:?}");
    }
}

#[test]
fn version_2_headers() {
    let plain = v2(v2::PROXY, v2::TCP4, &BLOCK4);
    assert_eq!(read_every_prefix(&plain), header(28, "192.0.2.1:56324", "198.51.100.7:443"));
    let with_tlvs = v2(v2::PROXY, v2::TCP4, &[&BLOCK4[..], &[4, 0, 2, 0, 0, 0xea, 0, 0]].concat());
    let stream = [&with_tlvs[..], b"\x16\x03\x01rest"].concat();
    assert_eq!(read_every_prefix(&stream), header(36, "192.0.2.1:56324", "198.51.100.7:443"));
    for silent in [
        LOCAL.to_vec(),
        v2(v2::LOCAL, 0xff, b"whatever, it must be ignored"),
        v2(v2::PROXY, v2::UNSPECIFIED, b"whatever"),
        v2(v2::PROXY, 0x31, &[0; 216]),
    ] {
        let expected = ProxyPrefix::Header { len: silent.len(), source: None, destination: None };
        assert_eq!(read_every_prefix(&silent), expected);
    }
}

#[test]
fn version_2_headers_that_are_refused() {
    use BadProxyHeader::*;
    let tlvs = |tlvs: &[u8]| v2(v2::PROXY, v2::TCP4, &[&BLOCK4[..], tlvs].concat());
    for (bytes, why) in [
        (v2(0x11, v2::TCP4, &BLOCK4), Command(0x11)),
        (v2(0x22, v2::TCP4, &BLOCK4), Command(0x22)),
        (v2(v2::PROXY, 0x12, &BLOCK4), Family(0x12)),
        (v2(v2::PROXY, 0x41, &BLOCK4), Family(0x41)),
        (v2(v2::PROXY, v2::TCP4, &BLOCK4[..11]), TooShort),
        (v2(v2::PROXY, v2::TCP6, &[0; 35]), TooShort),
        (v2(v2::PROXY, 0x31, &[0; 215]), TooShort),
        (v2(v2::PROXY, v2::TCP4, &[0; MAX_HEADER - 15]), TooLong(MAX_HEADER + 1)),
        (tlvs(&[4, 0]), Tlv),
        (tlvs(&[4, 0, 2, 0]), Tlv),
        (tlvs(&[3, 0, 3, 0, 0, 0]), Tlv),
        (tlvs(&[3, 0, 4, 0, 0, 0, 0]), Checksum),
        (tlvs(&[3, 0, 4, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0]), Tlv),
    ] {
        assert_eq!(read_every_prefix(&bytes), ProxyPrefix::Malformed(why), "{bytes:x?}");
    }
}

#[test]
fn a_checksum_that_holds_holds_for_every_byte() {
    let mut bytes = v2(v2::PROXY, v2::TCP4, &[&BLOCK4[..], &[3, 0, 4, 0, 0, 0, 0, 4, 0, 1, 0]].concat());
    let checksum = crc32c::checksum([&bytes]);
    bytes[31..35].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(read_every_prefix(&bytes), header(39, "192.0.2.1:56324", "198.51.100.7:443"));
    for at in 16..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x40;
        // Changing the checksum's own TLV type hides it; everything else must be noticed.
        let noticed = matches!(read_prefix(&wrong), ProxyPrefix::Malformed(_));
        assert!(noticed || at == 28, "byte {at}");
    }
}

#[test]
fn streams_without_a_header() {
    for bytes in [&b"\x16\x03\x01"[..], b"GET / HTTP/1.1\r\n", b"PROXYX", b"POST", b"\r\n\r\n\0\r\nQUIT\r", b"\0"] {
        assert_eq!(read_every_prefix(bytes), ProxyPrefix::Absent, "{bytes:x?}");
    }
    assert_eq!(read_prefix(b"P"), ProxyPrefix::Incomplete { at_least: 15 });
    assert_eq!(read_prefix(b"\r"), ProxyPrefix::Incomplete { at_least: 16 });
}

#[test]
fn values_that_do_not_fit_are_left_out() {
    let (source, destination) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
    let plain = encode_v2(source, destination, None, None);
    assert_eq!(encode_v2(source, destination, Some(&"a".repeat(MAX_TLV_VALUE + 1)), Some(b"")), plain);
    assert_eq!(encode_v2(source, destination, Some(&"a".repeat(MAX_TLV_VALUE)), None).len(), plain.len() + 258);
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

proptest! {
    #[test]
    fn what_we_write_both_can_read(
        source in address(),
        destination in address(),
        authority in prop::option::of("[a-z.]{1,253}"),
        alpn in prop::option::of(prop::collection::vec(any::<u8>(), 1..256)),
    ) {
        let (ours, theirs) = (canonical(source), canonical(destination));
        for bytes in [encode_v1(source, destination), encode_v2(source, destination, authority.as_deref(), alpn.as_deref())] {
            let expected = ProxyPrefix::Header { len: bytes.len(), source: Some(ours), destination: Some(theirs) };
            prop_assert_eq!(read_every_prefix(&bytes), expected);
            let (second, len) = ProxyHeader::parse(&bytes, ParseConfig::default()).unwrap();
            let said = second.proxied_address().unwrap();
            prop_assert_eq!((canonical(said.source), canonical(said.destination), len), (ours, theirs, bytes.len()));
            if bytes.starts_with(b"\r") {
                prop_assert_eq!(second.authority(), authority.as_deref());
                prop_assert_eq!(second.alpn(), alpn.as_deref());
            }
        }
    }

    #[test]
    fn what_another_writes_we_can_read(v4: bool, ips: [u128; 2], ports: [u16; 2]) {
        let address = |ip: u128, port| match v4 {
            true => SocketAddr::from((std::net::Ipv4Addr::from(ip as u32), port)),
            false => SocketAddr::from((std::net::Ipv6Addr::from(ip), port)),
        };
        let (source, destination) = (address(ips[0], ports[0]), address(ips[1], ports[1]));
        let written = ProxyHeader::with_address(ProxiedAddress::stream(source, destination));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        written.encode_v1(&mut first).unwrap();
        written.encode_v2(&mut second).unwrap();
        for bytes in [first, second] {
            let (source, destination) = (Some(canonical(source)), Some(canonical(destination)));
            prop_assert_eq!(read_every_prefix(&bytes), ProxyPrefix::Header { len: bytes.len(), source, destination });
        }
    }

    #[test]
    fn mutated_headers_never_panic_and_never_change_their_mind(
        changes in prop::collection::vec((0usize..120, any::<u8>()), 0..6),
        v1: bool,
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (source, destination) = ("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:65535".parse().unwrap());
        let mut bytes = if v1 { encode_v1(source, destination) } else { encode_v2(source, destination, Some("a.b"), Some(b"h2")) };
        bytes.extend(tail);
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        read_every_prefix(&bytes);
    }

    #[test]
    fn noise_behind_a_good_beginning_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for beginning in [&b""[..], v1::BEGINNING, b"PROXY TCP4 ", v2::SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"] {
            read_every_prefix(&[beginning, &bytes].concat());
        }
    }
}
