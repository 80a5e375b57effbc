//! Every rule, broken once; and what must not count as breaking one.

use super::*;

fn with(extensions: &[Vec<u8>]) -> Reading {
    read_every_prefix(&stream(extensions), LIMIT)
}

fn fault_with(extensions: &[Vec<u8>]) -> Malformed {
    match with(extensions) {
        Reading::Malformed(malformed) => malformed,
        other => panic!("{other:?}"),
    }
}

fn fault_of_body(body: &[u8]) -> Malformed {
    fault(&record(&handshake(1, body)))
}

#[test]
fn an_ordinary_hello() {
    let bytes = stream(&[
        extension(0x1a1a, b""),
        server_name(b"Shop.Test."),
        alpn(&[&[0x5a, 0x5a], b"h2", b"http/1.1"]),
        extension(43, &vec8(&[0x3a, 0x3a, 3, 4, 3, 3])),
        extension(35, b""),
        extension(13, &vec16(&[4, 3, 8, 4])),
        extension(0x2a2a, &[0]),
    ]);
    let hello = hello(&bytes);
    assert_eq!(hello.server_name.as_ref().unwrap().as_str(), "shop.test");
    assert!(hello.alpn.iter().eq([b"h2".as_slice(), b"http/1.1"]), "{:?}", hello.alpn);
    assert!(hello.offers(b"h2") && !hello.offers(b"acme-tls/1"));
    assert_eq!(hello.legacy_version, ProtocolVersion::TLS1_2);
    assert_eq!(hello.highest_version.to_string(), "TLS 1.3");
    assert_eq!((hello.session_id_len, hello.records, hello.wire_len), (32, 1, bytes.len()));
    assert!(!hello.ech && !hello.resumes);
    assert!(hello.ja4.as_str().starts_with("t13d0205h2_"), "{}", hello.ja4);
}

#[test]
fn a_hello_without_extensions_is_one() {
    for extensions in [&[][..], &[0, 0]] {
        let body = body_of(&[0, 0x2f], &[0], extensions);
        let hello = hello(&record(&handshake(1, &body)));
        assert_eq!(hello.server_name, None);
        assert_eq!(hello.highest_version, ProtocolVersion::TLS1_2);
        assert!(hello.ja4.as_str().starts_with("t12i010000_"), "{}", hello.ja4);
        assert!(hello.ja4.as_str().ends_with("_000000000000"), "{}", hello.ja4);
    }
}

#[test]
fn resumption_and_encrypted_hello_are_seen() {
    assert!(hello(&stream(&[extension(35, b"ticket")])).resumes);
    assert!(hello(&stream(&[extension(41, b"identities")])).resumes);
    assert!(hello(&stream(&[extension(0xfe0d, &[0; 8])])).ech);
}

#[test]
fn what_follows_the_hello_in_other_records_is_not_read() {
    let whole = stream(&[server_name(b"shop.test")]);
    let early_data = [&whole[..], &[0x14, 3, 3, 0, 1, 1, 0x17, 3, 3, 0, 3, 1, 2, 3]].concat();
    assert_eq!(hello(&early_data), hello(&whole));
}

#[test]
fn records_that_cannot_be() {
    let start = &message(&stream(&[server_name(b"shop.test")]))[..20].to_vec();
    assert_eq!(fault(&[0x16, 3, 1, 0, 0]), Malformed::RecordLength(0));
    assert_eq!(fault(&[0x16, 3, 1, 0x40, 1]), Malformed::RecordLength(0x4001));
    assert_eq!(fault(&[&record(start)[..], &[0x16, 3, 1, 0, 0]].concat()), Malformed::RecordLength(0));
    assert_eq!(fault(&[&record(start)[..], &[0x15]].concat()), Malformed::RecordInterleaved(0x15));
    assert_eq!(fault(&[&record(start)[..], &[0x16, 2]].concat()), Malformed::RecordVersion);
    assert_eq!(fault(&record(&[2])), Malformed::NotAClientHello(2));
    assert_eq!(fault(&[0x16, 3, 1, 0x10, 0, 14]), Malformed::NotAClientHello(14));
}

#[test]
fn nothing_may_share_the_last_record() {
    let whole = message(&stream(&[server_name(b"shop.test")])).to_vec();
    for tail in [&[0][..], &handshake(1, b"again")] {
        let joined = [&whole[..], tail].concat();
        assert_eq!(read_every_prefix(&record(&joined), LIMIT), Reading::Malformed(Malformed::TrailingBytes));
        assert_eq!(fault(&cut_at(&joined, &[1, 60])), Malformed::TrailingBytes);
    }
}

#[test]
fn too_large_is_said_as_soon_as_it_is_known() {
    let bytes = stream(&[server_name(b"shop.test"), extension(21, &[0; 2000])]);
    let wire_len = bytes.len();
    assert!(matches!(read_every_prefix(&bytes, wire_len), Reading::Hello(_)));
    let refused = Reading::Malformed(Malformed::TooLarge { limit: wire_len - 1 });
    assert_eq!(read_every_prefix(&bytes, wire_len - 1), refused);
    assert_eq!(read(&bytes[..5], wire_len - 1), refused, "the record header says it");
    assert_eq!(read(&cut_at(message(&bytes), &[30])[..9], wire_len - 1), refused, "the handshake header says it");
    // Sixteen megabytes announced in small records; nobody waits for them.
    let huge = [&record(&[1, 0xff, 0xff, 0xff])[..], &[0x16]].concat();
    assert_eq!(fault(&huge), Malformed::TooLarge { limit: LIMIT });
    // One-byte records cost six bytes each, and the record headers count.
    let dripped = in_records_of(message(&bytes), 1);
    assert!(matches!(read(&dripped, dripped.len()), Reading::Hello(_)));
    assert_eq!(read_every_prefix(&dripped, 4096), Reading::Malformed(Malformed::TooLarge { limit: 4096 }));
    for limit in 0..9 {
        read_every_prefix(&bytes, limit);
        read_every_prefix(b"GET / HTTP/1.1\r\n", limit);
    }
}

#[test]
fn lengths_that_lie() {
    let good = body(&[server_name(b"shop.test")]);
    let extensions = 2 + server_name(b"shop.test").len();
    for end in (0..good.len()).filter(|end| *end != good.len() - extensions) {
        let fault = fault_of_body(&good[..end]);
        assert!(matches!(fault, Malformed::Length(_)), "{end}: {fault}");
    }
}

#[test]
fn fields_out_of_range() {
    let extensions = vec16(&[]);
    assert_eq!(fault_of_body(&body_of(&[], &[0], &extensions)), Malformed::Length("cipher_suites"));
    assert_eq!(fault_of_body(&body_of(&[1, 2, 3], &[0], &extensions)), Malformed::Length("cipher_suites"));
    assert_eq!(fault_of_body(&body_of(&[0, 0x2f], &[], &extensions)), Malformed::Length("compression_methods"));
    let trailing = [&extensions[..], &[0]].concat();
    assert_eq!(fault_of_body(&body_of(&[0, 0x2f], &[0], &trailing)), Malformed::Length("extensions"));
    let long_id = [&[3, 3][..], &[7; 32], &vec8(&[9; 33]), &vec16(&[0, 0x2f]), &vec8(&[0])].concat();
    assert_eq!(fault_of_body(&long_id), Malformed::Length("session_id"));
    let mut old = body(&[]);
    old[0] = 2;
    assert_eq!(fault_of_body(&old), Malformed::Version(0x0203));
}

#[test]
fn extensions_twice_or_out_of_order() {
    for kind in [0x0017, 0x1a1a, 0x0010, 0x0000, 0x002b] {
        let one = match kind {
            0 => server_name(b"shop.test"),
            16 => alpn(&[b"h2"]),
            43 => extension(43, &vec8(&[3, 4])),
            _ => extension(kind, b""),
        };
        let list = [one.clone(), extension(0x0033, b"keys"), one];
        assert_eq!(fault_with(&list), Malformed::DuplicateExtension(kind));
    }
    let early_psk = [extension(41, b"identities"), server_name(b"shop.test")];
    assert_eq!(fault_with(&early_psk), Malformed::PreSharedKeyNotLast);
}

#[test]
fn server_names_that_are_refused() {
    let names = |entries: &[u8]| extension(0, &vec16(entries));
    let one = [&[0][..], &vec16(b"shop.test")].concat();
    assert_eq!(fault_with(&[names(&[&one[..], &one].concat())]), Malformed::TwoServerNames);
    assert_eq!(fault_with(&[names(&[1, 0, 1, b'x'])]), Malformed::ServerNameType(1));
    assert_eq!(fault_with(&[names(&[&one[..], &[7]].concat())]), Malformed::ServerNameType(7));
    assert_eq!(fault_with(&[names(&[])]), Malformed::Length("server_name"));
    assert_eq!(fault_with(&[extension(0, b"")]), Malformed::Length("server_name"));
    assert_eq!(fault_with(&[extension(0, &[&vec16(&one)[..], &[0]].concat())]), Malformed::Length("server_name"));
    assert_eq!(fault_with(&[server_name(b"192.0.2.1")]), Malformed::ServerNameIsAddress);
    assert_eq!(fault_with(&[server_name(b"2001:db8::1")]), Malformed::ServerNameIsAddress);
    for (name, why) in [
        (&b""[..], BadHostName::Empty),
        (b"shop.test\0.evil.test", BadHostName::Byte(0)),
        (b"shop.test\r\nX: y", BadHostName::Byte(b'\r')),
        (b"../shop", BadHostName::Byte(b'/')),
        (b".shop.test", BadHostName::EmptyLabel),
        (b"shop..test", BadHostName::EmptyLabel),
        (b"sh\xf6p.test", BadHostName::Byte(0xf6)),
        (&[b'a'; 64], BadHostName::LabelTooLong),
        (&[b'a'; 300], BadHostName::TooLong),
    ] {
        assert_eq!(fault_with(&[server_name(name)]), Malformed::ServerName(why), "{name:x?}");
    }
}

#[test]
fn other_extensions_that_are_refused() {
    assert_eq!(fault_with(&[alpn(&[])]), Malformed::Length("ALPN"));
    assert_eq!(fault_with(&[alpn(&[b"h2", b""])]), Malformed::Length("ALPN"));
    assert_eq!(hello(&stream(&[alpn(&[&b"x"[..]; 500])])).alpn.iter().count(), 500);
    for data in [&[][..], &[0], &[3, 3, 4, 3], &[2, 3, 4, 0]] {
        assert_eq!(fault_with(&[extension(43, data)]), Malformed::Length("supported_versions"), "{data:x?}");
    }
    for data in [&[][..], &[0, 0], &[0, 3, 4, 3, 8], &[0, 2, 4, 3, 0]] {
        assert_eq!(fault_with(&[extension(13, data)]), Malformed::Length("signature_algorithms"), "{data:x?}");
    }
}

#[test]
fn what_is_not_tls() {
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], NotTls::Http),
        (b"OPTIONS * HTTP/1.1\r\n", NotTls::Http),
        (b"CONNECT shop.test:443 HTTP/1.1\r\n", NotTls::Http),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NotTls::Http),
        (b"EHLO mail.test\r\n", NotTls::Other),
        (b"SSH-2.0-OpenSSH_9.9\r\n", NotTls::Other),
        (b"GETTING ", NotTls::Other),
        (b"get / HTTP/1.1\r\n", NotTls::Other),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", NotTls::Other),
        (&[0x80, 0x2e, 1, 3, 1], NotTls::Other), // an SSL 2 hello
        (&[0x15, 3, 1, 0, 2, 2, 40], NotTls::Other),
        (&[0x16, 2, 0, 0, 5], NotTls::Other),
        (&[0x16, 0xfe, 0xff, 0, 0], NotTls::Other), // DTLS
        (&[0], NotTls::Other),
    ] {
        assert_eq!(read_every_prefix(bytes, LIMIT), Reading::NotTls(expected), "{bytes:x?}");
    }
    assert_eq!(read(b"P", LIMIT), Reading::Incomplete { at_least: 4 });
    assert_eq!(read(b"", LIMIT), Reading::Incomplete { at_least: 1 });
    assert_eq!(read(&[0x16], LIMIT), Reading::Incomplete { at_least: 9 });
}

#[test]
fn every_fault_has_words_and_an_alert() {
    for (malformed, alert) in [
        (Malformed::TooLarge { limit: 9 }, 50),
        (Malformed::RecordLength(0), 22),
        (Malformed::NotAClientHello(2), 10),
        (Malformed::ServerName(BadHostName::Byte(0)), 47),
        (Malformed::Version(0x0200), 70),
    ] {
        assert_eq!(malformed.alert(), alert);
        let words = malformed.to_string();
        assert!(words.len() > 10 && words.chars().all(|letter| !letter.is_control()), "{words}");
    }
}
