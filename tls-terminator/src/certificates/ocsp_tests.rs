//! Responses made by openssl (recorded) and by hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

const NOW: i64 = 1_800_000_000;

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &length, contents].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(tag::SEQUENCE, &parts.concat())
}

fn leaf() -> Leaf {
    Leaf {
        serial: [0x8a, 7].into(),
        issuer: b"issuer".as_slice().into(),
        issuer_key: b"key".as_slice().into(),
        ..Leaf::default()
    }
}

struct Made {
    serial: Vec<u8>,
    issuer: &'static [u8],
    key: &'static [u8],
    status: u8,
    from: &'static str,
    until: Option<&'static str>,
}

impl Default for Made {
    fn default() -> Self {
        let (from, until) = ("20270101000000Z", Some("20270201000000Z"));
        Self { serial: vec![0, 0x8a, 7], issuer: b"issuer", key: b"key", status: 0x80, from, until }
    }
}

impl Made {
    fn single(&self) -> Vec<u8> {
        let hash = |of: &[u8]| tlv(tag::OCTET_STRING, digest(&SHA256, of).as_ref());
        let algorithm = sequence(&[tlv(tag::OID, SHA256_OID)]);
        let id = sequence(&[algorithm, hash(self.issuer), hash(self.key), tlv(tag::INTEGER, &self.serial)]);
        let mut parts = vec![id, tlv(self.status, &[]), tlv(tag::GENERALIZED_TIME, self.from.as_bytes())];
        parts.extend(self.until.map(|until| tlv(0xa0, &tlv(tag::GENERALIZED_TIME, until.as_bytes()))));
        sequence(&parts)
    }
    fn response(&self) -> Vec<u8> {
        response(&[self.single()])
    }
}

fn response(singles: &[Vec<u8>]) -> Vec<u8> {
    let produced = tlv(tag::GENERALIZED_TIME, b"20270101000000Z");
    let data = sequence(&[tlv(0xa2, &tlv(tag::OCTET_STRING, &[1; 20])), produced, sequence(singles)]);
    let basic = sequence(&[data, sequence(&[]), tlv(tag::BIT_STRING, &[0, 1])]);
    let bytes = sequence(&[tlv(tag::OID, BASIC), tlv(tag::OCTET_STRING, &basic)]);
    sequence(&[tlv(tag::ENUMERATED, &[0]), tlv(0xa0, &bytes)])
}

#[track_caller]
fn refused(der: &[u8], why: &str) {
    let said = judge(der, &leaf(), NOW).unwrap_err();
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_good_response_is_stapled_as_it_is_while_it_is_valid() {
    let der = Made::default().response();
    let staple = judge(&der, &leaf(), NOW).unwrap();
    assert_eq!((&staple.der, staple.from, staple.until), (&der, 1_798_761_600, 1_801_440_000));
    assert!(staple.is_fresh(NOW) && staple.is_fresh(1_801_440_000) && !staple.is_fresh(1_801_440_001));
    assert!(staple.is_fresh(1_798_761_600 - SKEW) && !staple.is_fresh(1_798_761_600 - SKEW - 1));
    let endless = Made { from: "20270115000000Z", until: None, ..Made::default() }.response();
    assert_eq!(judge(&endless, &leaf(), NOW).unwrap().until, 1_799_971_200 + WITHOUT_END);
    // Among several the one that is meant.
    let other = Made { serial: vec![9], status: 0xa1, ..Made::default() };
    assert!(judge(&response(&[other.single(), Made::default().single()]), &leaf(), NOW).is_ok());
}

#[test]
fn whatever_clients_would_refuse_is_not() {
    let made = Made::default;
    refused(&Made { status: 0xa1, ..made() }.response(), "REVOKED");
    refused(&Made { status: 0x82, ..made() }.response(), "does not know");
    refused(&Made { serial: vec![0x8a, 8], ..made() }.response(), "another certificate");
    refused(&Made { issuer: b"other", ..made() }.response(), "another certificate");
    refused(&Made { key: b"other", ..made() }.response(), "another certificate");
    refused(&Made { until: Some("20270110000000Z"), ..made() }.response(), "out of date");
    refused(&Made { from: "20270201000000Z", until: None, ..made() }.response(), "begins at");
    refused(&Made { from: "20271301000000Z", ..made() }.response(), "no OCSP response");
    refused(&sequence(&[tlv(tag::ENUMERATED, &[6])]), "unauthorized");
    refused(b"-----BEGIN OCSP RESPONSE-----", "PEM");
    refused(b"", "cut off");
    let trailing = [made().response(), vec![0]].concat();
    refused(&trailing, "cut off");
    let whole = made().response();
    for end in 0..whole.len() {
        refused(&whole[..end], "cut off");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let _ = judge(&damaged, &leaf(), NOW); // an answer, never a panic
    }
}

#[test]
fn times_are_counted_by_the_calendar() {
    for (text, seconds) in [
        ("19700101000000Z", 0),
        ("20000229120000Z", 951_825_600),
        ("20240229235959Z", 1_709_251_199),
        ("21000301000000Z", 4_107_542_400),
    ] {
        assert_eq!(time(text.as_bytes()), Some(seconds), "{text}");
    }
    for text in ["", "2024022923595Z", "20240229235959", "20240229235959+0100", "20240229246000Z", "2024022923595xZ"] {
        assert_eq!(time(text.as_bytes()), None, "{text}");
    }
}
