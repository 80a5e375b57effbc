//! Known answers: connections of OpenSSL 3.0 with itself (by Python's `ssl`), recorded behind the handshake. The keys are what the PRF
//! (RFC 5246 §5, §6.3) makes of the master secret that OpenSSL logged.

use std::io::IoSlice;

use tls_record::tls12::{Direction, Keys, RecordLayer, State, Suite};
use tls_record::{Error, Limits, Opened};

struct Recorded {
    suite: u16,
    client_key: &'static str,
    client_iv: &'static str,
    server_key: &'static str,
    server_iv: &'static str,
    /// The client's records: Finished, a request, three bytes, close_notify.
    client: [&'static str; 4],
    /// The server's: Finished, an answer.
    server: [&'static str; 2],
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

const RECORDED: [Recorded; 3] = [
    // ECDHE-ECDSA-AES128-GCM-SHA256
    Recorded {
        suite: 0xc02b,
        client_key: "7d19b63be1d033f519e744989bc81ef4",
        client_iv: "be42c31e",
        server_key: "4bd0d9c0195d76d10fa2e578950e5041",
        server_iv: "1e74efce",
        client: [
            "160303002816426dbc0fad6ec73ac1442e86735b77b913f01add5e69a40396ac115c7d5825b3f2bf95c29552ef",
            "170303002a16426dbc0fad6ec84c613d00f6b662de7e820f54e601e94c38411cd53dbceea8ca2ad7dea6b24fdcb779",
            "170303001b16426dbc0fad6ec901c1ff0628a321cccd4a43b7de3d1df040e926",
            "150303001a16426dbc0fad6ecae4d9e9dd6555ce41c0bc4ff6c5dafcfc0585",
        ],
        server: [
            "1603030028a130d96faaa0be9d2b70b128dbbc246c4fee60a6266cf56a280dbedbc6c067a25373ea51b595ec50",
            "1703030033a130d96faaa0be9ef9c7ee81bd6381b824604d1921bf8de42ef2fc3e74fbcd85830d3a235324adbf6c348690e367aa70a530a5",
        ],
    },
    // ECDHE-RSA-AES256-GCM-SHA384
    Recorded {
        suite: 0xc030,
        client_key: "9eb8abbca7efb7260e415d58824e4b92c9a8658caf1e9ce0331d0b9d4ea338b5",
        client_iv: "9004eaa7",
        server_key: "92a3537740321ce3afc3cc175afd4c236e98d10c477b333317189425992ef645",
        server_iv: "d9a2b7a5",
        client: [
            "16030300283c93ccbc6cdb01ad6feaa77d6622dc5603e6e3cf6666130dee7a88930c97cee7b1bab673c8beaf12",
            "170303002a3c93ccbc6cdb01ae790a810de6646798e7b77d6aef4232861caf85e00de9e277bf4e3fa8a64b751016a2",
            "170303001b3c93ccbc6cdb01afb5a210caef86e6ebb2e44102613a898fce09c4",
            "150303001a3c93ccbc6cdb01b0a906aa7ceec1e7bea72a850fa1373a9ca7dc",
        ],
        server: [
            "160303002894a731cabb86b26e030b4a2fec294fc4d93eb7e759f959d213a8be9960c9dd2454c2e203283b6948",
            "170303003394a731cabb86b26f8041aab6984c11a15775f1e68fce51bb92410e1866f6cff5ea261e81b6ef9a575b709c3a1afe405f951999",
        ],
    },
    // ECDHE-RSA-CHACHA20-POLY1305
    Recorded {
        suite: 0xcca8,
        client_key: "72353f655c96a8c615bfe0df452b91785e708b72e377b88feaaf7628a303aac1",
        client_iv: "72eada39c47c71bc5470459b",
        server_key: "db0ea8af0e31c791cc2696f43192e1283f0e3ba5178ff353cb0d4d555550235f",
        server_iv: "bac197fad2f1b8d7a00b6002",
        client: [
            "160303002095057d1a8f623c34f35d28926114e0ef797e757653a0ddf37e56639515253719",
            "1703030022ab24f56dd19b28717af3e424eb86081d653c035c6a4734761b91747e46675db41628",
            "1703030013f925625fac0d087e47ef03b106c0f4502d5bce",
            "1503030012a273d30f1906a9950491b8ec3c52598366a9",
        ],
        server: [
            "1603030020b135e54220025c60dfee3ccc252689d99edff7787bda34498c0068a1c27adb70",
            "170303002b7592723035cee7d97c640157d0ef2f9629e443e660eb131e61cee1869165d6cadae96848648966635f0958",
        ],
    },
];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// The IV as a hand-over carries it. OpenSSL counts its explicit nonces up from a random start; with the start chosen like this, ours for
/// record `number` is what OpenSSL sent there.
fn iv(salt: &str, record: &str, number: u64) -> Vec<u8> {
    let mut iv = hex(salt);
    if iv.len() == 4 {
        let explicit = &hex(record)[5..13];
        iv.extend(explicit.iter().zip(number.to_be_bytes()).map(|(byte, number)| byte ^ number));
    }
    iv
}

/// One side of a recorded connection from its record 1 on.
fn layer(recorded: &Recorded, as_server: bool) -> RecordLayer {
    let suite = Suite::try_from(recorded.suite).unwrap();
    let direction = |key, salt, records: &[&str]| Direction {
        keys: Keys::new(suite, &hex(key), &iv(salt, records[1], 1)).unwrap(),
        sequence: 1,
    };
    let client = direction(recorded.client_key, recorded.client_iv, &recorded.client);
    let server = direction(recorded.server_key, recorded.server_iv, &recorded.server);
    let (read, write) = if as_server { (client, server) } else { (server, client) };
    RecordLayer::new(State { suite, read, write }, Limits::default()).unwrap()
}

fn opens(layer: &mut RecordLayer, record: &str, text: &[u8]) {
    let mut bytes = hex(record);
    let consumed = bytes.len();
    assert_eq!(layer.open(&mut bytes), Ok(Opened::Data { consumed, plain: text }));
}

fn seals(layer: &mut RecordLayer, text: &[u8], record: &str) {
    let mut out = Vec::new();
    assert_eq!(layer.seal(&[IoSlice::new(text)], usize::MAX, 16384, &mut out), Ok(text.len()));
    assert_eq!(out, hex(record));
}

#[test]
fn openssl_speaks_as_we_do() {
    for recorded in &RECORDED {
        let (mut server, mut client) = (layer(recorded, true), layer(recorded, false));
        opens(&mut server, recorded.client[1], REQUEST);
        seals(&mut server, ANSWER, recorded.server[1]);
        opens(&mut server, recorded.client[2], b"bye");
        let mut close = hex(recorded.client[3]);
        let consumed = close.len();
        assert_eq!(server.open(&mut close), Ok(Opened::Closed { consumed }));
        seals(&mut client, REQUEST, recorded.client[1]);
        opens(&mut client, recorded.server[1], ANSWER);
    }
}

#[test]
fn the_record_before_the_hand_over_cannot_be_played_again() {
    for recorded in &RECORDED {
        let mut server = layer(recorded, true);
        assert!(server.open(&mut hex(recorded.client[0])).is_err());
    }
}

#[test]
fn a_hand_over_that_makes_no_sense_is_refused() {
    let aes = Suite::try_from(0xc02f).unwrap();
    let chacha = Suite::try_from(0xcca8).unwrap();
    for number in [0, 0x1301, 0x1303, 0xc013, 0xc027, 0xc02d, 0x009c, 0xccaa] {
        assert_eq!(Suite::try_from(number), Err(Error::UnknownSuite(number)), "{number:#06x}");
    }
    for suite in Suite::ALL {
        assert_eq!(Suite::try_from(u16::from(suite)), Ok(suite));
        for (key, iv) in [(suite.key_len() - 1, 12), (suite.key_len() + 1, 12), (suite.key_len(), 4), (0, 12), (48, 12)]
        {
            let error = Error::KeyLength { suite: suite.into(), found: (key, iv) };
            assert_eq!(Keys::new(suite, &vec![1; key], &vec![1; iv]).err(), Some(error));
        }
    }
    let direction = |suite: Suite, byte, sequence| Direction {
        keys: Keys::new(suite, &vec![byte; suite.key_len()], &[byte; 12]).unwrap(),
        sequence,
    };
    let made = |suite, read, write| RecordLayer::new(State { suite, read, write }, Limits::default()).map(drop);
    assert_eq!(made(aes, direction(aes, 1, 1), direction(aes, 1, 1)), Err(Error::SameSecret));
    assert_eq!(made(aes, direction(aes, 1, 1), direction(chacha, 2, 1)), Err(Error::OtherAead { suite: 0xc02f }));
    assert_eq!(made(aes, direction(aes, 1, u64::MAX), direction(aes, 2, 1)), Err(Error::Sequence));
    assert_eq!(made(aes, direction(aes, 1, 1), direction(aes, 2, u64::MAX)), Err(Error::Sequence));
    assert_eq!(format!("{:?}", direction(aes, 1, 1)), "Direction { keys: Keys(not shown), sequence: 1 }");
}
