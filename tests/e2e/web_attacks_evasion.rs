//! Ways around the web-attack rules: the same word, told in every way in which a backend might still read it. What the rules cannot see must not
//! reach the backend, unless the configuration says that such bodies are not looked at.
//!
//! The rules here are two of our own, so that it is plain what should happen: a word that may stand nowhere, and a path that is closed.

use harness::backends::Backend;
use harness::clients::{h2, raw, tls};
use harness::{World, within};

const RULES: &str = r#"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_HEADERS|REQUEST_BODY|FILES|FILES_NAMES|XML:/*|XML://@* "@contains attackword" "id:100001,phase:2,deny,status:403,msg:'The word',tag:'attack-test',severity:CRITICAL"
SecRule REQUEST_FILENAME "@beginsWith /forbidden" "id:100002,phase:1,deny,status:403,msg:'The path',tag:'attack-test'"
"#;

/// What must come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    /// Refused with this status; the backend sees neither the word nor the path.
    Refused(u16),
    /// Served: strictness must not break what is right.
    Served,
}
use Must::{Refused, Served};

fn world(name: &str) -> (World, Backend) {
    let backend = Backend::application();
    let world = World::new(name)
        .file("rules.conf", RULES)
        .set("http-filter.web-attacks", "mode", "\"block\"")
        .set("http-filter.web-attacks", "rules", "[\"rules.conf\"]")
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .start();
    (world, backend)
}

/// A request with a body of known length that ends the connection.
fn post(fields: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /x HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
}

/// The same in chunks of this many bytes, with these trailers.
fn chunked(fields: &str, body: &str, size: usize, trailers: &str) -> String {
    let mut request = format!(
        "POST /x HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n{fields}Transfer-Encoding: chunked\r\n\r\n"
    );
    for chunk in body.as_bytes().chunks(size) {
        request += &format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk));
    }
    request + "0\r\n" + trailers + "\r\n"
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n")
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const BAD: &str = "q=attackword";
const JSON: &str = "{\"q\":\"attackword\"}";
const PARTS: &str = "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nattackword\r\n--b--\r\n";

fn kind(value: &str) -> String {
    format!("Content-Type: {value}\r\n")
}

/// Bodies, and what says how to read them.
#[rustfmt::skip]
fn bodies() -> Vec<(&'static str, String, Must)> {
    vec![
        ("a form", post(FORM, BAD), Refused(403)),
        ("a harmless form", post(FORM, "q=word"), Served),
        ("a form in chunks", chunked(FORM, BAD, 64, ""), Refused(403)),
        ("a form in chunks of three", chunked(FORM, BAD, 3, ""), Refused(403)),
        ("a harmless form in chunks", chunked(FORM, "q=word&r=2", 3, "X-Checksum: 1\r\n"), Served),
        ("a form with encoded letters", post(FORM, "q=%61ttackwor%64"), Refused(403)),
        ("a form with parameters", post(&kind("application/x-www-form-urlencoded ; charset=utf-8"), BAD), Refused(403)),
        ("a form in capitals", post(&kind("APPLICATION/X-WWW-FORM-URLENCODED"), BAD), Refused(403)),
        ("a form behind a tab", post("Content-Type:\tapplication/x-www-form-urlencoded\r\n", BAD), Refused(403)),
        ("a form on GET", post(FORM, BAD).replacen("POST", "GET", 1), Refused(403)),
        ("a form on DELETE", post(FORM, BAD).replacen("POST", "DELETE", 1), Refused(403)),
        ("a form on a method of one's own", post(FORM, BAD).replacen("POST", "BREW", 1), Refused(403)),
        ("a form that overrides its method", post(&format!("{FORM}X-HTTP-Method-Override: PUT\r\n"), BAD).replacen("POST", "GET", 1), Refused(403)),
        ("a form over HTTP/1.0", post(FORM, BAD).replacen("HTTP/1.1", "HTTP/1.0", 1), Refused(403)),
        ("a form that waits for a word", post(&format!("{FORM}Expect: 100-continue\r\n"), BAD), Refused(403)),
        ("a form that would be a WebSocket", post(&format!("{FORM}Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), BAD).replacen("POST", "GET", 1).replacen("close", "Upgrade", 1), Refused(403)),
        ("a form that would upgrade to anything", post(&format!("{FORM}Upgrade: other\r\n"), BAD).replacen("close", "Upgrade", 1), Refused(403)),
        ("a form that wants events", post(&format!("{FORM}Accept: text/event-stream\r\n"), BAD), Refused(403)),
        ("a form that takes trailers", post(&format!("{FORM}TE: trailers\r\n"), BAD), Refused(403)),
        ("an uncoded form that says so", post(&format!("{FORM}Content-Encoding: identity\r\n"), BAD), Refused(403)),
        ("a form said to be compressed", post(&format!("{FORM}Content-Encoding: gzip\r\n"), BAD), Refused(415)),
        ("a form said to be compressed in a list", post(&format!("{FORM}Content-Encoding: identity, gzip\r\n"), BAD), Refused(415)),
        ("a form said to be compressed in a second field", post(&format!("{FORM}Content-Encoding: identity\r\nContent-Encoding: x-own\r\n"), BAD), Refused(415)),
        ("two forms behind each other", post(FORM, "q=word").replacen("close", "keep-alive", 1) + &post(FORM, BAD), Refused(403)),
        ("JSON", post(&kind("application/json"), JSON), Refused(403)),
        ("harmless JSON", post(&kind("application/json"), "{\"q\":[1,null,\"word\"]}"), Served),
        ("no JSON at all", post(&kind("application/json"), ""), Served),
        ("JSON with escapes", post(&kind("application/json; charset=utf-8"), "{\"q\":\"\\u0061ttackword\"}"), Refused(403)),
        ("JSON of an own type", post(&kind("application/vnd.api+json"), JSON), Refused(403)),
        ("JSON in capitals", post(&kind("Application/JSON"), JSON), Refused(403)),
        ("JSON said to be gRPC", post(&kind("application/grpc+json"), JSON), Refused(403)),
        ("JSON said to be a picture", post(&kind("image/x+json"), JSON), Refused(403)),
        ("JSON in UTF-16", post(&kind("application/json"), "{\0\"\0q\0\"\0:\0\"\0a\0\"\0}\0"), Refused(400)),
        ("JSON that goes on behind its end", post(&kind("application/json"), "{} {\"q\":\"x\"}"), Refused(400)),
        ("JSON with a comment", post(&kind("application/json"), "{/*\"*/\"q\":\"x\"}"), Refused(400)),
        ("XML", post(&kind("text/xml"), "<a>attackword</a>"), Refused(403)),
        ("XML in an attribute", post(&kind("application/xml"), "<a b='attackword'/>"), Refused(403)),
        ("XML of an own type", post(&kind("application/soap+xml"), "<a>attackword</a>"), Refused(403)),
        ("XML said to be text for machines", post(&kind("application/x-own+xml"), "<a>attackword</a>"), Refused(403)),
        ("a picture in XML", post(&kind("image/svg+xml"), "<!DOCTYPE svg><svg>attackword</svg>"), Served),
        ("XML with an entity", post(&kind("text/xml"), "<!DOCTYPE a [<!ENTITY w \"x\">]><a>&w;</a>"), Refused(400)),
        ("multipart", post(&kind("multipart/form-data; boundary=b"), PARTS), Refused(403)),
        ("multipart in quotes", post(&kind("Multipart/Form-Data; boundary=\"b\""), PARTS), Refused(403)),
        ("multipart with two boundaries", post(&kind("multipart/form-data; boundary=c; boundary=b"), PARTS), Refused(403)),
        ("multipart without boundary", post(&kind("multipart/form-data"), PARTS), Refused(403)),
        ("multipart that never ends", post(&kind("multipart/form-data; boundary=b"), PARTS.trim_end_matches("--b--\r\n")), Refused(403)),
        ("multipart with a file's name", post(&kind("multipart/form-data; boundary=b"), "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"attackword.php\"\r\n\r\nx\r\n--b--\r\n"), Refused(403)),
        // Not forms: only few applications read fields out of them, and rules know `multipart/form-data` alone (docs/crs.md).
        ("multipart for others", post(&kind("multipart/related; boundary=b"), PARTS), Served),
        ("multipart mixed", post(&kind("multipart/mixed; boundary=b"), PARTS), Served),
        ("two types, the form first", post(&format!("{FORM}{}", kind("text/plain")), BAD), Refused(400)),
        ("two types, the form last", post(&format!("{}{FORM}", kind("application/octet-stream")), BAD), Refused(400)),
        ("two types in one field", post(&kind("application/octet-stream, application/json"), JSON), Refused(403)),
        ("two types in one field, the picture first", post(&kind("image/png, application/json"), JSON), Refused(403)),
        ("a trailer", chunked(FORM, "q=word", 64, "X-Name: attackword\r\n"), Refused(403)),
        ("a trailer behind a body that is not read", chunked(&kind("application/octet-stream"), "x", 64, "X-Name: attackword\r\n"), Served),
        ("bytes", post(&kind("application/octet-stream"), BAD), Served),
    ]
}

/// Everything but bodies.
#[rustfmt::skip]
fn heads() -> Vec<(&'static str, String, Must)> {
    let with = |fields: &str| format!("GET /x HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n{fields}\r\n");
    vec![
        ("a harmless query", get("/x?q=word"), Served),
        ("a query", get("/x?q=attackword"), Refused(403)),
        ("a query with encoded letters", get("/x?%71=%61ttackword"), Refused(403)),
        ("a parameter that comes twice", get("/x?q=word&q=attackword"), Refused(403)),
        ("behind an ampersand in another's value", get("/x?q=w;r=attackword"), Refused(403)),
        ("behind more parameters than rules look at", get(&format!("/x?{}q=attackword", "a=1&".repeat(300))), Refused(413)),
        ("a cookie", with("Cookie: a=attackword\r\n"), Refused(403)),
        ("a cookie in a second field", with("Cookie: a=b\r\nCookie: c=attackword\r\n"), Refused(403)),
        ("a header that comes twice", with("X-A: b\r\nX-A: attackword\r\n"), Refused(403)),
        ("a header that goes no further than here", with("Connection: x-a\r\nX-A: attackword\r\n"), Refused(403)),
        ("a closed path", get("/forbidden/x"), Refused(403)),
        ("the same with encoded letters", get("/%66orbidden/x"), Refused(403)),
        ("the same in absolute form", get("http://www.test/forbidden/x"), Refused(403)),
        ("the same in absolute form with TLS's scheme", get("https://www.test/forbidden/x"), Refused(403)),
        ("the same behind a dot", get("/./forbidden/x"), Refused(403)),
        ("the same behind dots in disguise", get("/a/%2e%2E/forbidden/x"), Refused(403)),
        ("the same behind two slashes", get("//forbidden/x"), Refused(403)),
        ("the same behind the other slash", get("\\forbidden/x"), Refused(400)),
        ("the same behind both slashes", get("/\\forbidden/x"), Refused(403)),
        ("a path that only looks like it", get("/x/forbidden"), Served),
        ("the whole server", "OPTIONS * HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n".to_owned(), Served),
    ]
}

fn judge(backend: &Backend, name: &str, must: Must, status: u16) -> Option<String> {
    let seen = String::from_utf8_lossy(&backend.bytes()).into_owned();
    let leaked = seen.contains("attackword") || seen.contains(" /forbidden");
    match must {
        Refused(expected) if status != expected || leaked => Some(format!(
            "{name}: {status} instead of {expected}{}",
            if leaked { ", and the backend has it" } else { "" }
        )),
        Served if status != 200 => Some(format!("{name}: {status}, but nothing is wrong with it")),
        _ => None,
    }
}

/// Of the last answer.
fn status(answers: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answers);
    let statuses =
        text.match_indices("HTTP/1.").filter_map(|(at, _)| text[at..].get(8..12)?.strip_prefix(' ')?.parse().ok());
    statuses.last().unwrap_or_default()
}

#[test]
fn no_way_of_telling_the_word_leads_past_the_rules() {
    within(100, || {
        let (world, backend) = world("evasion");
        let mut wrong = Vec::new();
        for (name, request, must) in bodies().into_iter().chain(heads()) {
            backend.forget();
            let answer = raw::ask(world.http(), request.as_bytes());
            wrong.extend(judge(&backend, name, must, status(&answer)));
        }
        assert!(wrong.is_empty(), "{} ways:\n{}", wrong.len(), wrong.join("\n"));
    });
}

/// Name, method, target, header fields, body, and what must become of it.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], Option<&'a str>, Must);

/// HTTP/2: names and values in fields of their own, bodies without a length, cookies in crumbs.
#[test]
fn nor_does_http_2() {
    within(60, || {
        let (world, backend) = world("evasion-h2");
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
        #[rustfmt::skip]
        let cases: &[Case<'_>] = &[
            ("harmless", "GET", "/x?q=word", &[], None, Served),
            ("a query", "GET", "/x?q=attackword", &[], None, Refused(403)),
            ("a closed path", "GET", "/forbidden", &[], None, Refused(403)),
            ("the same behind a dot", "GET", "/./forbidden", &[], None, Refused(403)),
            ("crumbs of cookies", "GET", "/x", &[("cookie", "a=b"), ("cookie", "c=attackword")], None, Refused(403)),
            ("a form without length", "POST", "/x", &[FORM], Some("q=attackword"), Refused(403)),
            ("a harmless form without length", "POST", "/x", &[FORM], Some("q=word"), Served),
            ("a form said to be gRPC by its TE", "POST", "/x", &[FORM, ("te", "trailers")], Some("q=attackword"), Refused(403)),
            // Refused in the words of gRPC: the status stands in a trailer.
            ("JSON said to be gRPC", "POST", "/x", &[("content-type", "application/grpc+json"), ("te", "trailers")], Some("{\"q\":\"attackword\"}"), Refused(200)),
            ("a form on GET", "GET", "/x", &[FORM], Some("q=attackword"), Refused(403)),
            ("two types", "POST", "/x", &[("content-type", "image/png"), FORM], Some("q=attackword"), Refused(400)),
        ];
        let mut wrong = Vec::new();
        for (name, method, path, fields, body, must) in cases {
            backend.forget();
            let stream = tls::client("www.test").alpn(&["h2"]).connect(world.https()).expect("a handshake");
            let mut connection = h2::Connection::over(stream);
            let mut all: Vec<(&[u8], &[u8])> = vec![
                (b":method", method.as_bytes()),
                (b":scheme", b"https"),
                (b":authority", b"www.test"),
                (b":path", path.as_bytes()),
            ];
            all.extend(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            let stream = connection.send(&all, body.map(str::as_bytes)).expect("the server reads");
            let status = match connection.outcome(stream) {
                h2::Outcome::Answer(status, _) => status,
                other => panic!("{name}: {other:?}"),
            };
            wrong.extend(judge(&backend, name, *must, status));
        }
        assert!(wrong.is_empty(), "{} ways:\n{}", wrong.len(), wrong.join("\n"));
    });
}
