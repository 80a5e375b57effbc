//! Hellos recorded from real clients (`tests/data/client_hellos`, its README says how).

use super::oracle::{first_opinion, second_opinion};
use super::pieces::contents;
use super::*;
use std::path::Path;

/// Client, server name, ALPN, JA4 (from a second program; Chromium's, with GREASE among its signature algorithms, is also
/// the one FoxIO published for it). A recording without a line here fails the test.
const EXPECTED: [(&str, Option<&str>, &[&str], &str); 19] = [
    ("chromium", Some("shop.test"), &["h2", "http/1.1"], "t13d1517h2_8daaf6152771_cb7bf5808d99"),
    ("curl", Some("shop.test"), &["h2", "http/1.1"], "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"),
    ("curl-http1.1", Some("shop.test"), &["http/1.1"], "t13d3112h1_e8f1e7e78f70_b26ce05bbdd6"),
    ("firefox", Some("shop.test"), &["h2", "http/1.1"], "t13d1617h2_86a278354501_3cbfd9057e0d"),
    ("gnutls", Some("shop.test"), &[], "t13d291300_723694b0fccc_2cc26d266019"),
    ("gnutls-alpn", Some("shop.test"), &["h2", "http/1.1"], "t13d2914h2_723694b0fccc_2cc26d266019"),
    ("go", Some("shop.test"), &["h2", "http/1.1"], "t13d1910h2_9dc949149365_97f8aa674fd9"),
    ("java", Some("shop.test"), &["h2", "http/1.1"], "t13d3713h2_db35923f8641_7c76daad20ec"),
    ("node", Some("shop.test"), &[], "t13d591000_a33745022dd6_1f22a2ca17c4"),
    ("node-h2", Some("shop.test"), &["h2"], "t13d5911h2_a33745022dd6_1f22a2ca17c4"),
    ("nss", Some("shop.test"), &[], "t13d351100_948423e5275c_496733ea6893"),
    ("openssl", Some("shop.test"), &[], "t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
    ("openssl-acme", Some("shop.test"), &["acme-tls/1"], "t13d3111a1_e8f1e7e78f70_1f22a2ca17c4"),
    ("openssl-alpn", Some("shop.test"), &["h2", "http/1.1"], "t13d3111h2_e8f1e7e78f70_1f22a2ca17c4"),
    ("openssl-nosni", None, &[], "t13i310900_e8f1e7e78f70_1f22a2ca17c4"),
    ("openssl-tls1.2", Some("shop.test"), &[], "t12d280700_d943125447b4_e7e480e5a997"),
    ("python", Some("shop.test"), &["http/1.1"], "t13d1812h1_85036bcba153_d41ae481755e"),
    ("python-nosni", None, &[], "t13i181000_85036bcba153_d41ae481755e"),
    ("wget", None, &[], "t13i291200_723694b0fccc_899037bd0b8c"),
];

fn recorded() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/client_hellos");
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .map(|path| {
            let digits: Vec<u8> = std::fs::read(&path).unwrap().into_iter().filter(u8::is_ascii_hexdigit).collect();
            let bytes = digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap());
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), bytes.collect())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn every_recording_says_what_its_client_meant() {
    let recorded = recorded();
    let names: Vec<&str> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, EXPECTED.map(|(name, ..)| name));
    for ((client, bytes), (_, server_name, alpn, ja4)) in recorded.iter().zip(EXPECTED) {
        let Reading::Hello(hello) = read_every_prefix(bytes, LIMIT) else { panic!("{client} refused") };
        assert_eq!(hello.server_name.as_ref().map(HostName::as_str), server_name, "{client}");
        assert!(hello.alpn.iter().eq(alpn.iter().map(|name| name.as_bytes())), "{client}: {:?}", hello.alpn);
        assert_eq!(hello.ja4.as_str(), ja4, "{client}");
        assert_eq!(second_opinion(bytes), Some(first_opinion(&hello)), "{client}");
        assert_eq!((hello.wire_len, hello.resumes), (bytes.len(), false), "{client}");
    }
}

#[test]
fn every_recording_cut_into_two_records_anywhere() {
    for (client, bytes) in recorded() {
        let whole = contents(hello(&bytes));
        let message = message(&bytes);
        for cut in 1..message.len() {
            let two = cut_at(message, &[cut]);
            assert_eq!(contents(hello(&two)), whole, "{client} cut at {cut}");
            for end in [5, 9, cut + 4, cut + 5, cut + 6, cut + 10, two.len() - 1] {
                let end = end.min(two.len() - 1);
                assert!(matches!(read(&two[..end], LIMIT), Reading::Incomplete { .. }), "{client} {cut} {end}");
            }
        }
    }
}

#[test]
fn every_recording_in_tiny_records() {
    for (client, bytes) in recorded() {
        let whole = contents(hello(&bytes));
        for size in [1, 3, 7] {
            let tiny = in_records_of(message(&bytes), size);
            let Reading::Hello(hello) = read_every_prefix(&tiny, LIMIT) else { panic!("{client} refused") };
            assert_eq!(contents(*hello), whole, "{client} in records of {size}");
            assert_eq!(second_opinion(&tiny).map(|(name, _)| name), Some(first_opinion(&whole).0), "{client}");
        }
    }
}
