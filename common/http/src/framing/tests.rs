//! The vectors of request smuggling, and the property that makes the state machine trustworthy: how bytes are split never matters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

/// What came out of a whole stream: per request its body bytes as framed, then how it ended.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Outcome {
    pub heads: Vec<Vec<u8>>,
    pub bodies: Vec<Vec<u8>>,
    pub refused: Option<Violation>,
}

/// Feeds `pieces` as a connection would deliver them.
pub(crate) fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Outcome {
    let mut framing = Framing::new(limits);
    let mut waiting: Vec<u8> = Vec::new();
    let mut out = Outcome::default();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            match framing.feed(&waiting) {
                Step::Head { len, .. } => {
                    assert!(len > 0 && len <= waiting.len());
                    out.heads.push(waiting.drain(..len).collect());
                    out.bodies.push(Vec::new());
                }
                Step::Body { len } => {
                    assert!(len > 0 && len <= waiting.len());
                    let bytes = waiting.drain(..len);
                    out.bodies.last_mut().unwrap().extend(bytes);
                }
                Step::Discard { len } => drop(waiting.drain(..len)),
                Step::Partial => break,
                Step::Hold => framing.stay_http(),
                Step::Refused(violation) => {
                    out.refused = Some(violation);
                    assert_eq!(
                        framing.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                        Step::Refused(violation),
                        "never recovers"
                    );
                    return out;
                }
            }
        }
    }
    out
}

fn whole(bytes: &[u8]) -> Outcome {
    run([bytes], Limits::DEFAULT)
}

fn refused(bytes: &[u8]) -> Option<Violation> {
    let at_once = whole(bytes);
    let dripped = run(bytes.chunks(1), Limits::DEFAULT);
    assert_eq!(at_once, dripped, "{}", bytes.escape_ascii());
    at_once.refused
}

#[test]
fn plain_requests_pass() {
    for (bytes, requests) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], 1),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        (b"GET / HTTP/1.0\r\n\r\n", 1),
        (b"GET /a?b=c%20d&e='|{} HTTP/1.1\r\nhost:a.example:8080\r\nX-Obs: \xc3\xa4\r\nEmpty:\r\n\r\n", 1),
        (b"GET http://A.example/x HTTP/1.1\r\nHost: a.example:80\r\n\r\n", 1),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", 1),
        (b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", 1),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n", 2),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 2),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \t\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 2),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nA;x=\"y\"\r\n0123456789\r\n000\r\nDigest: x\r\n\r\n", 1),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", 1),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n", 1),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\n\r\n\r\n", 2),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\r\n", 1),
    ] {
        let out = whole(bytes);
        assert_eq!((out.refused, out.heads.len()), (None, requests), "{}", bytes.escape_ascii());
        assert_eq!(out, run(bytes.chunks(1), Limits::DEFAULT), "{}", bytes.escape_ascii());
    }
}

/// Header lines put into a POST that has no other framing.
#[test]
fn heads_with_two_readings_are_refused() {
    use Violation as V;
    let cases: &[(&str, V)] = &[
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", V::LengthAndEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", V::LengthAndEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0", V::LengthAndEncoding),
        ("Content-Length: 5\r\nContent-Length: 5", V::SeveralLengths),
        ("Content-Length: 5\r\ncontent-length: 6", V::SeveralLengths),
        ("Content-Length: 5, 5", V::SeveralLengths),
        ("Content-Length: 5,", V::SeveralLengths),
        ("Content-Length:", V::BadLength),
        ("Content-Length: +5", V::BadLength),
        ("Content-Length: -5", V::BadLength),
        ("Content-Length: 0x5", V::BadLength),
        ("Content-Length: 5 5", V::BadLength),
        ("Content-Length: 5;", V::BadLength),
        ("Content-Length: \u{665}", V::BadLength),
        ("Content-Length: 9223372036854775808", V::BadLength),
        ("Content-Length: 18446744073709551621", V::BadLength),
        ("Transfer-Encoding: xchunked", V::BadTransferEncoding),
        ("Transfer-Encoding: chunked, chunked", V::BadTransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", V::BadTransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", V::BadTransferEncoding),
        ("Transfer-Encoding: gzip, chunked", V::BadTransferEncoding),
        ("Transfer-Encoding: chunked, identity", V::BadTransferEncoding),
        ("Transfer-Encoding: identity", V::BadTransferEncoding),
        ("Transfer-Encoding: \"chunked\"", V::BadTransferEncoding),
        ("Transfer-Encoding: chunked;x=y", V::BadTransferEncoding),
        ("Transfer-Encoding: , chunked", V::BadTransferEncoding),
        ("Transfer-Encoding:", V::BadTransferEncoding),
        ("Transfer-Encoding: chunked\u{b}", V::ControlByte),
        ("Transfer-Encoding: \u{c}chunked", V::ControlByte),
        ("Transfer-Encoding: chunked\0", V::ControlByte),
        ("Transfer-Encoding : chunked", V::SpaceBeforeColon),
        ("Transfer-Encoding\t: chunked", V::SpaceBeforeColon),
        ("Transfer-Encoding\u{b}: chunked", V::ControlByte),
        ("Transfer\r-Encoding: chunked", V::BareCr),
        ("X: y\nTransfer-Encoding: chunked", V::BareLf),
        ("X: y\rTransfer-Encoding: chunked", V::BareCr),
        ("X: y\r\r\nTransfer-Encoding: chunked", V::BareCr),
        ("X: y\r\n Transfer-Encoding: chunked", V::ObsFold),
        ("X: y\r\n\tz", V::ObsFold),
        ("X: y\r\n : z", V::ObsFold),
        (": z", V::BadHeaderName),
        ("NoColon", V::BadHeaderName),
        ("Sp ace: z", V::BadHeaderName),
        ("Br(acket: z", V::BadHeaderName),
        ("\u{e9}: z", V::BadHeaderName),
        ("X: \u{7f}", V::ControlByte),
        ("X: \u{1}", V::ControlByte),
        ("Host: a", V::SeveralHosts),
        ("hOST: a", V::SeveralHosts),
        ("Expect: 100-continue, x", V::BadExpectation),
        ("Expect: 200-ok", V::BadExpectation),
        ("Expect:", V::BadExpectation),
        ("Expect: 100-continue\r\nExpect: 100-continue", V::BadExpectation),
    ];
    for (lines, violation) in cases {
        for suffix in ["", "\r\nContent-Type: text/plain"] {
            let request = format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{lines}{suffix}\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
            );
            let out = whole(request.as_bytes());
            assert_eq!((out.refused, out.heads.len()), (Some(*violation), 0), "{lines:?}");
            assert_eq!(out, run(request.as_bytes().chunks(1), Limits::DEFAULT), "{lines:?}");
        }
    }
}

#[test]
fn request_lines_and_hosts() {
    use Violation as V;
    let h = "HTTP/1.1\r\nHost: a";
    let cases: &[(String, V)] = &[
        ("GET  / HTTP/1.1\r\nHost: a".into(), V::BadRequestLine),
        ("GET / HTTP/1.1 \r\nHost: a".into(), V::BadRequestLine),
        (" GET / HTTP/1.1\r\nHost: a".into(), V::BadRequestLine),
        ("GET\t/ HTTP/1.1\r\nHost: a".into(), V::BadRequestLine),
        ("GET /".into(), V::BadRequestLine),
        ("GET / http/1.1\r\nHost: a".into(), V::BadRequestLine),
        ("GET / HTTP/1.10\r\nHost: a".into(), V::BadRequestLine),
        ("GET / HTTP/11\r\nHost: a".into(), V::BadRequestLine),
        ("GET / HTTP/1.2\r\nHost: a".into(), V::UnsupportedVersion),
        ("GET / HTTP/0.9\r\nHost: a".into(), V::UnsupportedVersion),
        ("PRI * HTTP/2.0\r\nHost: a".into(), V::UnsupportedVersion),
        ("G(T / HTTP/1.1\r\nHost: a".into(), V::BadMethod),
        (format!("{} / {h}", "M".repeat(33)), V::BadMethod),
        ("GET / HTTP/1.1\nHost: a".into(), V::BareLf),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a".into(), V::EmptyLines),
        ("\nGET / HTTP/1.1\r\nHost: a".into(), V::BareLf),
        (format!("GET /a#b {h}"), V::BadTarget),
        (format!("GET /\u{e9} {h}"), V::BadTarget),
        (format!("GET /a<b {h}"), V::BadTarget),
        (format!("GET /?\" {h}"), V::BadTarget),
        (format!("GET a {h}"), V::BadTarget),
        (format!("GET ../a {h}"), V::BadTarget),
        (format!("GET * {h}"), V::BadTarget),
        (format!("GET a:80 {h}"), V::BadTarget),
        (format!("GET ftp://a/ {h}"), V::BadTarget),
        (format!("GET http:///x {h}"), V::BadTarget),
        (format!("GET http://a:0/x {h}"), V::BadTarget),
        (format!("GET http://u@a/x {h}"), V::UserInfo),
        (format!("GET http://b/x {h}"), V::HostMismatch),
        (format!("GET http://a:81/x {h}"), V::HostMismatch),
        (format!("CONNECT a {h}"), V::BadTarget),
        (format!("CONNECT / {h}"), V::BadTarget),
        (format!("CONNECT http://a:80/ {h}"), V::BadTarget),
        (format!("CONNECT u@a:80 {h}"), V::UserInfo),
        (format!("CONNECT b:80 {h}"), V::HostMismatch),
        (format!("CONNECT a:443 {h}\r\nContent-Length: 5"), V::ConnectWithBody),
        (format!("CONNECT a:443 {h}\r\nTransfer-Encoding: chunked"), V::ConnectWithBody),
        ("GET / HTTP/1.1".into(), V::MissingHost),
        ("GET http://a/ HTTP/1.1".into(), V::MissingHost),
        ("GET / HTTP/1.1\r\nHost:".into(), V::BadHost),
        ("GET / HTTP/1.1\r\nHost: a b".into(), V::BadHost),
        ("GET / HTTP/1.1\r\nHost: a,b".into(), V::BadHost),
        ("GET / HTTP/1.1\r\nHost: a/b".into(), V::BadHost),
        ("GET / HTTP/1.1\r\nHost: a:b".into(), V::BadHost),
        ("GET / HTTP/1.1\r\nHost: 127.1".into(), V::BadHost),
        ("GET / HTTP/1.1\r\nHost: u@a".into(), V::UserInfo),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a".into(), V::SeveralHosts),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked".into(), V::EncodingOnHttp10),
    ];
    for (head, violation) in cases {
        assert_eq!(refused(format!("{head}\r\n\r\n").as_bytes()), Some(*violation), "{head:?}");
    }
}

#[test]
fn chunk_tricks_are_refused() {
    use Violation as V;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(257));
    let trailers = format!("0\r\n{}\r\n\r\n", "X-Trailer: 0123456789\r\n".repeat(500));
    let cases: &[(&str, V)] = &[
        ("\r\n", V::BadChunkSize),
        (" 3\r\nabc\r\n0\r\n\r\n", V::BadChunkSize),
        ("3 \r\nabc\r\n0\r\n\r\n", V::BadChunkSize),
        ("3 ;x\r\nabc\r\n0\r\n\r\n", V::BadChunkSize),
        ("0x3\r\nabc\r\n0\r\n\r\n", V::BadChunkSize),
        ("+3\r\nabc\r\n0\r\n\r\n", V::BadChunkSize),
        ("-1\r\nabc\r\n0\r\n\r\n", V::BadChunkSize),
        ("3\nabc\r\n0\r\n\r\n", V::BareLf),
        ("3\rabc\r\n0\r\n\r\n", V::BareCr),
        ("3;x\nabc\r\n0\r\n\r\n", V::BareLf),
        ("3;x\0\r\nabc\r\n0\r\n\r\n", V::ControlByte),
        ("00000000000000003\r\nabc\r\n0\r\n\r\n", V::BadChunkSize),
        ("10000000000000003\r\nabc\r\n0\r\n\r\n", V::BadChunkSize),
        ("3\r\nabcd\r\n0\r\n\r\n", V::BadChunkEnd),
        ("3\r\nabc\n0\r\n\r\n", V::BadChunkEnd),
        ("3\r\nabc0\r\n\r\n", V::BadChunkEnd),
        ("3\r\nabc\rX0\r\n\r\n", V::BadChunkEnd),
        ("0\r\n\n", V::BareLf),
        ("0\r\n\rX", V::BareCr),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", V::ForbiddenTrailer),
        ("0\r\nContent-length: 5\r\n\r\n", V::ForbiddenTrailer),
        ("0\r\nX: y\r\nhOST: b\r\n\r\n", V::ForbiddenTrailer),
        ("0\r\nAuthorization: b\r\n\r\n", V::ForbiddenTrailer),
        ("0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", V::ForbiddenTrailer),
        ("0\r\nX y: z\r\n\r\n", V::SpaceBeforeColon),
        ("0\r\nX : z\r\n\r\n", V::SpaceBeforeColon),
        ("0\r\n X: z\r\n\r\n", V::ObsFold),
        ("0\r\n: z\r\n\r\n", V::BadHeaderName),
        ("0\r\nX\r\n\r\n", V::BadHeaderName),
        ("0\r\nX: z\n\r\n", V::BareLf),
        ("0\r\nX: z\rY\r\n\r\n", V::BareCr),
        ("0\r\nX: z\0\r\n\r\n", V::ControlByte),
        (&long, V::ChunkExtensionTooLong),
        (&trailers, V::TrailersTooLarge),
    ];
    for (body, violation) in cases {
        assert_eq!(refused(format!("{head}{body}").as_bytes()), Some(*violation), "{body:?}");
    }
    let name = format!("0\r\n{}: z\r\n\r\n", "content-length".repeat(9));
    assert_eq!(refused(format!("{head}{name}").as_bytes()), None, "long names are only names");
}

#[test]
fn limits_hold_at_the_byte() {
    let limits = Limits { head: 200, request_line: 50, headers: 3, ..Limits::DEFAULT };
    let outcome = |bytes: &[u8]| {
        let out = run([bytes], limits);
        assert_eq!(out, run(bytes.chunks(1), limits));
        out.refused
    };
    let line = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(n));
    assert_eq!(outcome(line(50 - 14).as_bytes()), None);
    assert_eq!(outcome(line(50 - 13).as_bytes()), Some(Violation::TargetTooLong));
    assert_eq!(outcome("x".repeat(60).as_bytes()), Some(Violation::TargetTooLong), "no line end needed to see it");
    let fields = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(n));
    assert_eq!(outcome(fields(2).as_bytes()), None);
    assert_eq!(outcome(fields(3).as_bytes()), Some(Violation::TooManyHeaders));
    let sized = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(n));
    let base = sized(0).len();
    assert_eq!(outcome(sized(200 - base).as_bytes()), None);
    assert_eq!(outcome(sized(201 - base).as_bytes()), Some(Violation::HeadTooLarge));
    assert_eq!(outcome(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(300)).as_bytes()), Some(Violation::HeadTooLarge));
}

#[test]
fn for_a_forward_proxy_an_absolute_target_wins_over_host() {
    let limits = Limits { target_wins: true, ..Limits::DEFAULT };
    let refused = |head: &str| run([format!("{head}\r\n\r\n").as_bytes()], limits).refused;
    assert_eq!(refused("GET http://b/x HTTP/1.1\r\nHost: a"), None);
    assert_eq!(refused("GET http://b/x HTTP/1.1\r\nHost: a b"), Some(Violation::BadHost));
    assert_eq!(refused("CONNECT b:80 HTTP/1.1\r\nHost: a"), Some(Violation::HostMismatch));
}

#[test]
fn nothing_follows_the_last_request() {
    for head in ["GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let out = whole(format!("{head}GET /evil HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!((out.heads.len(), out.refused), (1, Some(Violation::BytesAfterClose)));
        assert_eq!(refused(format!("{head}\r\n\r\n").as_bytes()), Some(Violation::BytesAfterClose));
    }
}

#[test]
fn a_switch_holds_all_following_bytes() {
    let mut framing = Framing::new(Limits::DEFAULT);
    let connect = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    let Step::Head { len, head } = framing.feed(connect) else { panic!("a head") };
    assert_eq!((len, head.may_switch, head.body), (connect.len(), true, Body::None));
    assert_eq!(framing.feed(b"\x16\x03\x01\0\0"), Step::Hold);
    framing.stay_http();
    assert_eq!(framing.feed(b"\x16\x03\x01\0\0"), Step::Refused(Violation::ControlByte));
}

#[test]
fn every_violation_has_words_and_a_client_status() {
    let mut labels: Vec<_> = Violation::ALL.iter().map(|v| v.label()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Violation::ALL.len());
    for v in Violation::ALL {
        assert!(v.text().ends_with('.') && (v.status().is_client_error() || v.status() == 505), "{v:?}");
    }
}

prop_compose! {
    fn valid_request()(kind in 0..6u8, path in "[a-z]{0,12}", body in prop::collection::vec(any::<u8>(), 0..80), cut in 1..40usize, ext in "(;[a-z]{1,5}=[a-z]{1,5})?", trailer in any::<bool>()) -> Vec<u8> {
        let mut bytes = match kind {
            0 => format!("GET /{path} HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n").into_bytes(),
            1 => format!("\r\nHEAD /{path} HTTP/1.1\r\nHOST:\ta\r\n\r\n").into_bytes(),
            2 => format!("GET http://a/{path} HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n").into_bytes(),
            _ => Vec::new(),
        };
        if kind == 3 || kind == 4 {
            bytes = format!("POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend(&body);
        } else if kind == 5 {
            bytes = format!("PUT /{path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n").into_bytes();
            for chunk in body.chunks(cut) {
                bytes.extend(format!("{:x}{ext}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(if trailer { &b"0\r\nX-Sum: 1\r\n\r\n"[..] } else { b"0\r\n\r\n" });
        }
        bytes
    }
}

/// Cuts `bytes` at the (wrapped, sorted) places.
pub(crate) fn split<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|c| c % (bytes.len() + 1)).collect();
    places.push(bytes.len());
    places.sort_unstable();
    let mut from = 0;
    places.into_iter().map(|to| &bytes[std::mem::replace(&mut from, to)..to]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_requests(requests in prop::collection::vec(valid_request(), 1..5), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        let stream = requests.concat();
        let at_once = run([&stream[..]], Limits::DEFAULT);
        prop_assert_eq!(at_once.refused, None);
        prop_assert_eq!(at_once.heads.len(), requests.len());
        prop_assert_eq!(&at_once, &run(split(&stream, &cuts), Limits::DEFAULT));
        prop_assert_eq!(&at_once, &run(stream.chunks(1), Limits::DEFAULT));
    }

    #[test]
    fn mutated_bytes_never_panic_and_never_depend_on_the_split(
        requests in prop::collection::vec(valid_request(), 1..4),
        edits in prop::collection::vec((any::<usize>(), prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b' '), Just(0), Just(b':'), Just(b',')], 0..3u8), 1..6),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut stream = requests.concat();
        for (place, byte, how) in edits {
            let at = place % stream.len();
            match how { 0 => stream[at] = byte, 1 => stream.insert(at, byte), _ => { stream.remove(at); } }
            if stream.is_empty() { stream.push(byte); }
        }
        let at_once = run([&stream[..]], Limits::DEFAULT);
        prop_assert_eq!(&at_once, &run(split(&stream, &cuts), Limits::DEFAULT));
        prop_assert_eq!(&at_once, &run(stream.chunks(1), Limits::DEFAULT));
    }
}
