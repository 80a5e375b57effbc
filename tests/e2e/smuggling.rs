//! Request smuggling: whatever a client sends, over HTTP/1.1 (plain, TLS, forward proxy) or HTTP/2, the backend sees one unambiguous
//! request for it or none. Judged on the bytes the backend received, by a reader that shares no code with Bulkhead.
//!
//! Tables: a name, what is sent, what must come of it. `~` in a request stands for a mark of the case, `SMUGGLED` for a
//! second request that no backend may ever see as one.

use std::io::Write;

use harness::backends::{Backend, strict};
use harness::clients::{h2, raw, tls};
use harness::{World, eventually, within};

/// What must come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    /// Answered with a refusal (4xx, 5xx) or closed; the backend sees nothing of it.
    Refused,
    /// Served or refused: at most one request, and an unambiguous one.
    AtMostOnce,
    /// Served: exactly one request. Strictness must not break what is right.
    Served,
}
use Must::{AtMostOnce, Refused, Served};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: www.test\r\n\r\n";

/// HTTP/1.1 cases.
#[rustfmt::skip]
const H1: &[(&str, &str, Must)] = &[
    ("a plain request", "GET /~ HTTP/1.1\r\nHost: www.test\r\n\r\n", Served),
    ("a length", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 3\r\n\r\nabc", Served),
    ("chunks", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Served),
    ("chunks in capitals", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTRANSFER-ENCODING: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Served),
    ("chunk extensions", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n", AtMostOnce),
    ("a body on GET that looks like a request", "GET /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: www.test\r\n\r\n##", Served),

    // Both lengths, and doubtful ones.
    ("CL.TE", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 47\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nSMUGGLED", Refused),
    ("TE.CL", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2a\r\nSMUGGLED\r\n0\r\n\r\n", Refused),
    ("TE twice", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nSMUGGLED", Refused),
    ("TE identity", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabcSMUGGLED", Refused),
    ("TE xchunked", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nSMUGGLED", Refused),
    ("TE list", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Refused),
    ("TE gzip", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused),
    ("TE with an empty element", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", Refused),
    ("TE with a parameter", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", Refused),
    ("TE with a vertical tab", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\nSMUGGLED", Refused),
    ("TE in quotes", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refused),
    ("TE empty", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc", Refused),
    ("TE and a space before the colon", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\nabc", Refused),
    ("TE behind a fold", "POST /~ HTTP/1.1\r\nHost: www.test\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", Refused),
    ("TE value behind a fold", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Refused),
    ("TE over HTTP/1.0", "POST /~ HTTP/1.0\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nSMUGGLED", Refused),
    ("TE behind a bare CR", "POST /~ HTTP/1.1\r\nHost: www.test\r\nX: y\rTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", Refused),
    ("TE behind a bare LF", "POST /~ HTTP/1.1\r\nHost: www.test\r\nX: y\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", Refused),
    ("TE with an underscore", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer_Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", AtMostOnce),
    ("CL with an underscore", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent_Length: 50\r\nContent-Length: 3\r\n\r\nabc", AtMostOnce),
    ("CL twice, different", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 3\r\nContent-Length: 46\r\n\r\nabcSMUGGLED", Refused),
    ("CL twice, equal", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", Refused),
    ("CL list", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 3, 3\r\n\r\nabc", Refused),
    ("CL with a plus", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: +3\r\n\r\nabc", Refused),
    ("CL negative", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: -3\r\n\r\nabc", Refused),
    ("CL hexadecimal", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 0x3\r\n\r\nabc", Refused),
    ("CL with a space inside", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 4 6\r\n\r\nabc", Refused),
    ("CL empty", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length:\r\n\r\nabc", Refused),
    ("CL fraction", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 3.0\r\n\r\nabc", Refused),
    ("CL beyond 64 bits", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 18446744073709551619\r\n\r\nabc", Refused),
    ("CL that wraps in 32 bits", "POST /~ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 4294967299\r\n\r\nabcSMUGGLED", AtMostOnce),
    ("CL named in Connection", "POST /~ HTTP/1.1\r\nHost: www.test\r\nConnection: Content-Length\r\nContent-Length: 42\r\n\r\nSMUGGLED", AtMostOnce),
    ("TE named in Connection", "POST /~ HTTP/1.1\r\nHost: www.test\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n2a\r\nSMUGGLED\r\n0\r\n\r\n", AtMostOnce),
    ("Host named in Connection", "GET /~ HTTP/1.1\r\nHost: www.test\r\nConnection: Host\r\n\r\n", AtMostOnce),

    // Lines.
    ("bare LF everywhere", "GET /~ HTTP/1.1\nHost: www.test\n\n", Refused),
    ("bare LF at the end of the head", "GET /~ HTTP/1.1\r\nHost: www.test\r\n\n", Refused),
    ("bare LF after the request line", "GET /~ HTTP/1.1\nHost: www.test\r\n\r\n", Refused),
    ("bare CR in a value", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX: a\rb\r\n\r\n", Refused),
    ("bare CR before the end", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX: a\r\r\n\r\n", Refused),
    ("obs-fold with a tab", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX: a\r\n\tb\r\n\r\n", Refused),
    ("a fold before the first header", "GET /~ HTTP/1.1\r\n Host: www.test\r\nHost: www.test\r\n\r\n", Refused),
    ("NUL in a value", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX: a\0b\r\n\r\n", Refused),
    ("NUL in a name", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX\0: a\r\n\r\n", Refused),
    ("NUL in the target", "GET /~\0x HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("DEL in a value", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX: a\x7fb\r\n\r\n", Refused),
    ("escape in a value", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX: a\x1b[31m\r\n\r\n", Refused),
    ("a header without colon", "GET /~ HTTP/1.1\r\nHost: www.test\r\nnonsense\r\n\r\n", Refused),
    ("a header without name", "GET /~ HTTP/1.1\r\nHost: www.test\r\n: x\r\n\r\n", Refused),
    ("a space in a name", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX y: z\r\n\r\n", Refused),
    ("a space before the colon", "GET /~ HTTP/1.1\r\nHost: www.test\r\nX : z\r\n\r\n", Refused),

    // The request line.
    ("two spaces", "GET  /~ HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("a tab", "GET\t/~ HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("a space in the target", "GET /~ x HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("two versions", "GET /~ HTTP/1.1 HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("no version", "GET /~\r\nHost: www.test\r\n\r\n", Refused),
    ("HTTP/0.9", "GET /~\r\n", Refused),
    ("HTTP/2.0", "GET /~ HTTP/2.0\r\nHost: www.test\r\n\r\n", Refused),
    ("HTTP/1.10", "GET /~ HTTP/1.10\r\nHost: www.test\r\n\r\n", Refused),
    ("http in small letters", "GET /~ http/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("a method that is no token", "G(T /~ HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("a fragment", "GET /~#x HTTP/1.1\r\nHost: www.test\r\n\r\n", AtMostOnce),
    ("8-bit target", "GET /~\u{f6} HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("a CONNECT to a reverse proxy", "CONNECT www.test:443 HTTP/1.1\r\nHost: www.test:443\r\nX: ~\r\n\r\nSMUGGLED", Refused),

    // Who is meant.
    ("no Host", "GET /~ HTTP/1.1\r\n\r\n", Refused),
    ("two Hosts", "GET /~ HTTP/1.1\r\nHost: www.test\r\nHost: www.test\r\n\r\n", Refused),
    ("two different Hosts", "GET /~ HTTP/1.1\r\nHost: www.test\r\nHost: other.test\r\n\r\n", Refused),
    ("a list of hosts", "GET /~ HTTP/1.1\r\nHost: www.test, other.test\r\n\r\n", Refused),
    ("a path in Host", "GET /~ HTTP/1.1\r\nHost: www.test/x\r\n\r\n", Refused),
    ("a user in Host", "GET /~ HTTP/1.1\r\nHost: x@www.test\r\n\r\n", Refused),
    ("a bad port in Host", "GET /~ HTTP/1.1\r\nHost: www.test:port\r\n\r\n", Refused),
    ("empty Host", "GET /~ HTTP/1.1\r\nHost:\r\n\r\n", Refused),
    ("absolute form for another host", "GET http://other.test/~ HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),
    ("absolute form for the same host", "GET http://www.test/~ HTTP/1.1\r\nHost: www.test\r\n\r\n", AtMostOnce),
    ("absolute form with a user", "GET http://x:y@www.test/~ HTTP/1.1\r\nHost: www.test\r\n\r\n", Refused),

    // Bodies in chunks.
    ("chunk size with 0x", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", Refused),
    ("chunk size with a space", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", AtMostOnce),
    ("chunk size negative", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", Refused),
    ("chunk size beyond 64 bits", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\nSMUGGLED", Refused),
    ("chunk size empty", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", Refused),
    ("chunk size ended by LF", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", Refused),
    ("chunk extension with a bare LF", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n", Refused),
    ("chunk longer than it says", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n", Refused),
    ("chunk shorter than it says", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc\r\n0\r\n\r\nSMUGGLED", AtMostOnce),
    ("last chunk ended by LF", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\n\nSMUGGLED", Refused),
    ("a length as a trailer", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 42\r\n\r\nSMUGGLED", AtMostOnce),
    ("a Host as a trailer", "POST /~ HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: other.test\r\n\r\n", AtMostOnce),

    // Other protocols and waiting.
    ("h2c upgrade", "GET /~ HTTP/1.1\r\nHost: www.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", AtMostOnce),
    ("HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refused),
    ("an unknown expectation", "POST /~ HTTP/1.1\r\nHost: www.test\r\nExpect: miracles\r\nContent-Length: 3\r\n\r\nabc", Refused),
    ("a request behind the last one", "GET /~ HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\nSMUGGLED", AtMostOnce),
    ("a request behind a refused one", "GET /~ HTTP/1.1\r\nHost: a b\r\n\r\nSMUGGLED", Refused),
];

/// Fields of an HTTP/2 request; `None` as body: the stream ends with the head.
type Fields = &'static [(&'static [u8], &'static [u8])];

const M: (&[u8], &[u8]) = (b":method", b"GET");
const POST: (&[u8], &[u8]) = (b":method", b"POST");
const S: (&[u8], &[u8]) = (b":scheme", b"https");
const A: (&[u8], &[u8]) = (b":authority", b"www.test");
const P: (&[u8], &[u8]) = (b":path", b"/~");

/// HTTP/2 cases.
#[rustfmt::skip]
const H2: &[(&str, Fields, Option<&[u8]>, Must)] = &[
    ("a plain request", &[M, S, A, P], None, Served),
    ("a body", &[POST, S, A, P], Some(b"abc"), Served),
    ("a body with its length", &[POST, S, A, P, (b"content-length", b"3")], Some(b"abc"), Served),
    ("cookies in pieces", &[M, S, A, P, (b"cookie", b"a=1"), (b"cookie", b"b=2")], None, Served),
    ("length too small", &[POST, S, A, P, (b"content-length", b"1")], Some(b"abcGET /smuggled HTTP/1.1\r\nHost: www.test\r\n\r\n"), AtMostOnce),
    ("length zero with a body", &[POST, S, A, P, (b"content-length", b"0")], Some(b"GET /smuggled HTTP/1.1\r\nHost: www.test\r\n\r\n"), AtMostOnce),
    ("length too large", &[POST, S, A, P, (b"content-length", b"99")], Some(b"abc"), AtMostOnce),
    ("two lengths", &[POST, S, A, P, (b"content-length", b"3"), (b"content-length", b"4")], Some(b"abc"), Refused),
    ("a length that is none", &[POST, S, A, P, (b"content-length", b"+3")], Some(b"abc"), Refused),
    ("transfer-encoding", &[POST, S, A, P, (b"transfer-encoding", b"chunked")], Some(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: www.test\r\n\r\n"), Refused),
    ("transfer-encoding in capitals", &[POST, S, A, P, (b"Transfer-Encoding", b"chunked")], Some(b"0\r\n\r\n"), Refused),
    ("connection", &[M, S, A, P, (b"connection", b"content-length")], None, Refused),
    ("upgrade", &[M, S, A, P, (b"upgrade", b"websocket")], None, Refused),
    ("keep-alive", &[M, S, A, P, (b"keep-alive", b"5")], None, Refused),
    ("proxy-connection", &[M, S, A, P, (b"proxy-connection", b"close")], None, Refused),
    ("te other than trailers", &[M, S, A, P, (b"te", b"gzip")], None, Refused),
    ("CRLF in a value", &[M, S, A, P, (b"x", b"a\r\nTransfer-Encoding: chunked")], None, Refused),
    ("LF in a value", &[M, S, A, P, (b"x", b"a\nb: c")], None, Refused),
    ("CR in a value", &[M, S, A, P, (b"x", b"a\rb")], None, Refused),
    ("NUL in a value", &[M, S, A, P, (b"x", b"a\0b")], None, Refused),
    ("CRLF in a name", &[M, S, A, P, (b"x: y\r\ntransfer-encoding", b"chunked")], None, Refused),
    ("a colon in a name", &[M, S, A, P, (b"transfer-encoding:", b"chunked")], None, Refused),
    ("a space in a name", &[M, S, A, P, (b"x y", b"z")], None, Refused),
    ("capitals in a name", &[M, S, A, P, (b"X-Y", b"z")], None, Refused),
    ("an empty name", &[M, S, A, P, (b"", b"z")], None, Refused),
    ("CRLF in the path", &[M, S, A, (b":path", b"/~ HTTP/1.1\r\nHost: www.test\r\n\r\nGET /smuggled")], None, Refused),
    ("a space in the path", &[M, S, A, (b":path", b"/~ HTTP/1.1")], None, Refused),
    ("a path without a slash", &[M, S, A, (b":path", b"~")], None, Refused),
    ("a whole URI as path", &[M, S, A, (b":path", b"http://other.test/~")], None, Refused),
    ("an empty path", &[M, S, A, (b":path", b""), (b"x", b"~")], None, Refused),
    ("CRLF in the method", &[(b":method", b"GET /smuggled HTTP/1.1\r\nHost: www.test\r\n\r\nGET"), S, A, P], None, Refused),
    ("a space in the method", &[(b":method", b"GET /smuggled"), S, A, P], None, Refused),
    ("CRLF in the authority", &[M, S, (b":authority", b"www.test\r\nX: y"), P], None, Refused),
    ("a path in the authority", &[M, S, (b":authority", b"www.test/x"), P], None, Refused),
    ("a user in the authority", &[M, S, (b":authority", b"x@www.test"), P], None, Refused),
    ("a host that is not the authority", &[M, S, A, P, (b"host", b"other.test")], None, Refused),
    ("two hosts", &[M, S, P, (b"host", b"www.test"), (b"host", b"other.test")], None, Refused),
    ("nobody is meant", &[M, S, P], None, Refused),
    ("a strange scheme", &[M, (b":scheme", b"http://www.test/smuggled?"), A, P], None, Refused),
    ("two paths", &[M, S, A, P, (b":path", b"/smuggled")], None, Refused),
    ("two methods", &[M, POST, S, A, P], None, Refused),
    ("two authorities", &[M, S, A, (b":authority", b"other.test"), P], None, Refused),
    ("an unknown pseudo-header", &[M, S, A, P, (b":smuggled", b"x")], None, Refused),
    ("a response's pseudo-header", &[M, S, A, P, (b":status", b"200")], None, Refused),
    ("a pseudo-header behind the others", &[M, S, A, (b"x", b"~"), (b":path", b"/~")], None, Refused),
    ("no path", &[M, S, A, (b"x", b"~")], None, Refused),
    ("no method", &[S, A, P], None, Refused),
    ("no scheme", &[M, A, P], None, AtMostOnce),
    ("extended CONNECT to what is no WebSocket", &[(b":method", b"CONNECT"), (b":protocol", b"connect-udp"), S, A, P], None, Refused),
    ("a protocol without CONNECT", &[M, (b":protocol", b"websocket"), S, A, P, (b"x", b"~")], None, AtMostOnce),
    ("CONNECT", &[(b":method", b"CONNECT"), (b":authority", b"www.test:443"), (b"x", b"~")], None, Refused),
    ("an unknown expectation", &[POST, S, A, P, (b"expect", b"miracles")], Some(b"abc"), Refused),
];

fn world(name: &str) -> (World, Backend) {
    let backend = Backend::application();
    let world = World::new(name)
        .set("http-filter", "body_idle_deadline", "\"2s\"")
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .start();
    (world, backend)
}

/// All requests of all connections so far that bear the mark; panics at the first ambiguous or smuggled one.
fn marked(backend: &Backend, mark: &str, case: &str) -> usize {
    let mut found = 0;
    for connection in backend.connections() {
        let bytes = connection.bytes();
        let requests = strict::requests(&bytes, true).unwrap_or_else(|why| panic!("{case}: the backend saw {why}"));
        for request in requests {
            assert!(!request.target.contains("smuggled"), "{case}: smuggled! {:?}", String::from_utf8_lossy(&bytes));
            // Applications behind CGI read `_` as `-`: a reverse proxy knows that they are its own, a forward proxy does not.
            let forward = request.target.contains("forward-");
            assert!(forward || request.all("transfer_encoding").is_empty(), "{case}: {request:?}");
            let upgrades = request.get("upgrade").is_some_and(|value| value.to_lowercase().contains("h2c"));
            assert!(!upgrades, "{case}: {request:?}");
            let mine = request.target.contains(mark) || request.get("x") == Some(mark);
            found += usize::from(mine);
        }
    }
    found
}

fn judge(must: Must, case: &str, status: u16, seen: usize) {
    match must {
        Refused => {
            assert_eq!(seen, 0, "{case}: must be refused, but the backend saw it (status {status})");
            assert!(status == 0 || status >= 400, "{case}: must be refused, but was answered {status}");
        }
        AtMostOnce => assert!(seen <= 1, "{case}: the backend saw {seen} requests"),
        Served => assert_eq!((status, seen), (200, 1), "{case}: must be served"),
    }
}

/// Collects what is wrong instead of stopping at the first.
fn all_cases<T>(cases: &[T], run: impl Fn(usize, &T)) {
    let wrong: Vec<String> = cases
        .iter()
        .enumerate()
        .filter_map(|(number, case)| {
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(number, case))).err()?;
            let text = panic.downcast_ref::<String>().cloned();
            Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn bytes_of(request: &str, mark: &str) -> Vec<u8> {
    request.replace("SMUGGLED", SMUGGLED).replace('~', mark).into_bytes()
}

/// A status from the first bytes of an answer; 0: none.
fn status(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answer);
    text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0)
}

#[test]
fn over_http_1_on_the_plain_port() {
    within(150, || {
        let (world, backend) = world("smuggle-plain");
        all_cases(H1, |number, (name, request, must)| {
            let mark = format!("plain-{number}-");
            let answer = raw::ask(world.http(), &bytes_of(request, &mark));
            let seen = marked(&backend, &mark, name);
            judge(*must, name, status(&answer), seen);
        });
        innocent(&world, &backend);
    });
}

#[test]
fn over_http_1_in_tls() {
    within(150, || {
        let (world, backend) = world("smuggle-tls");
        all_cases(H1, |number, (name, request, must)| {
            let mark = format!("tls-{number}-");
            let mut stream = tls::client("www.test").connect(world.https()).expect("a handshake");
            let _ = stream.write_all(&bytes_of(request, &mark));
            let _ = stream.flush();
            let answer = raw::read_answers(&mut stream, |stream| &mut stream.sock);
            let seen = marked(&backend, &mark, name);
            judge(*must, name, status(&answer), seen);
        });
        innocent(&world, &backend);
    });
}

#[test]
fn through_the_forward_proxy() {
    within(150, || {
        let backend = Backend::application();
        let world = World::new("smuggle-forward").forwards_to(&[backend.address()]).start();
        let target = backend.address().to_string();
        all_cases(H1, |number, (name, request, must)| {
            let mark = format!("forward-{number}-");
            let absolute = request.replace(" /~", &format!(" http://{target}/~"));
            let answer = raw::ask(world.proxy(), &bytes_of(&absolute, &mark));
            let seen = marked(&backend, &mark, name);
            judge(*must, name, status(&answer), seen);
        });
    });
}

#[test]
fn over_http_2() {
    within(150, || {
        let (world, backend) = world("smuggle-h2");
        all_cases(H2, |number, (name, fields, body, must)| {
            let mark = format!("h2-{number}-");
            let stream = tls::client("www.test").alpn(&["h2"]).connect(world.https()).expect("a handshake");
            let mut connection = h2::Connection::over(stream);
            let fields: Vec<(&[u8], Vec<u8>)> = fields
                .iter()
                .map(|(name, value)| (*name, String::from_utf8_lossy(value).replace('~', &mark).into_bytes()))
                .collect();
            let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
            let sent = connection.send(&fields, *body).expect("a connection");
            let status = match connection.outcome(sent) {
                h2::Outcome::Answer(status, _) => status,
                h2::Outcome::Reset(_) | h2::Outcome::Closed => 0,
            };
            let seen = marked(&backend, &mark, name);
            judge(*must, name, status, seen);
        });
        innocent(&world, &backend);
    });
}

/// After all that an ordinary request is served, and what follows on its connection too.
fn innocent(world: &World, backend: &Backend) {
    let twice = "GET /innocent-1 HTTP/1.1\r\nHost: www.test\r\n\r\nGET /innocent-2 HTTP/1.1\r\nHost: www.test\r\n\r\n";
    let answer = raw::ask(world.http(), twice.as_bytes());
    assert_eq!(String::from_utf8_lossy(&answer).matches("HTTP/1.1 200").count(), 2);
    eventually(5, "both arrive", || (marked(backend, "innocent-", "innocent") == 2).then_some(()));
}
