//! Fields that are for this hop, that speak about the client, or that ask for another protocol (RFC 9110 §7.6, §7.8, §10.1.1).

use crate::case::{Case, Must, Sent, get, post};

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = connection();
    cases.extend(upgrades());
    cases.extend(expectations());
    cases.extend(claims());
    cases.extend(underscores());
    cases.extend(sizes());
    cases.extend(endings());
    cases
}

fn sent(name: String, lines: &str, sent: Sent) -> Case {
    Case::sent(name, &get(lines), sent)
}

/// `Connection` names fields to be taken off, but never those that carry identity, framing or routing.
fn connection() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["X-A", "x-a", "X-Internal-Auth", "X-Trace", "Accept-Language", "Foo"] {
        let lines = format!("Connection: {name}\r\n{name}: b\r\n");
        cases.push(sent(format!("connection: names {name}"), &lines, Sent::get()));
        let lines = format!("{name}: b\r\n{name}: c\r\nConnection: keep-alive, {name} , foo\r\n");
        cases.push(sent(format!("connection: names {name} in a list"), &lines, Sent::get()));
    }
    for (name, value) in [
        ("Authorization", "Basic eDp5"),
        ("Cookie", "a=b"),
        ("Content-Type", "text/plain"),
        ("Origin", "https://www.test"),
        ("Range", "bytes=0-1"),
        ("If-None-Match", "\"x\""),
        ("Cache-Control", "no-cache"),
        ("If-Match", "\"y\""),
        ("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        let lines = format!("Connection: {name}\r\n{name}: {value}\r\n");
        cases.push(sent(
            format!("connection: cannot take off {name}"),
            &lines,
            Sent::get().with(&name.to_lowercase(), value),
        ));
    }
    for name in
        ["Host", "host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via"]
    {
        cases.push(sent(format!("connection: names {name}"), &format!("Connection: {name}\r\n"), Sent::get()));
        cases.push(sent(
            format!("connection: names {name} and close"),
            &format!("Connection: close, {name}\r\n"),
            Sent::get().last(),
        ));
    }
    for name in ["Content-Length", "content-length"] {
        let lines = format!("Connection: {name}\r\n{name}: 3\r\n");
        cases.push(Case::sent(format!("connection: names {name}"), &post(&lines, "abc"), Sent::post("abc")));
    }
    for name in ["Transfer-Encoding", "transfer-encoding"] {
        let lines = format!("Connection: {name}\r\n{name}: chunked\r\n");
        cases.push(Case::sent(
            format!("connection: names {name}"),
            &post(&lines, "3\r\nabc\r\n0\r\n\r\n"),
            Sent::post("abc"),
        ));
    }
    for lines in [
        "Keep-Alive: timeout=5\r\n",
        "Proxy-Connection: keep-alive\r\n",
        "Proxy-Authorization: Basic eDp5\r\n",
        "TE: trailers\r\n",
        "TE: gzip, chunked\r\n",
        "Connection: TE\r\nTE: trailers\r\n",
        "Connection:\r\n",
        "Connection: ,\r\n",
        "Connection: , ,keep-alive\r\n",
        "Connection: Keep-Alive\r\n",
        "Connection: keep-alive\r\nConnection: keep-alive\r\n",
        "Connection: keep-alive, keep-alive\r\n",
        "Connection: upgrade\r\n",
        "Connection: \u{e9}\r\n",
        "Connection: \"close\"\r\n",
        "Connection: closed\r\n",
        "Connection: x y\r\n",
    ] {
        cases.push(sent(format!("connection: taken off {lines:?}"), lines, Sent::get()));
    }
    for lines in [
        "Connection: close\r\n",
        "Connection: CLOSE\r\n",
        "Connection: keep-alive, close\r\n",
        "Connection: close, keep-alive\r\n",
        "Connection: keep-alive\r\nConnection: close\r\n",
        "Connection:close\t\r\n",
        "Connection: ,close,\r\n",
    ] {
        cases.push(sent(format!("connection: the last by {lines:?}"), lines, Sent::get().last()));
    }
    cases
}

/// No protocol but WebSocket is switched to; h2c would carry requests past every rule.
fn upgrades() -> Vec<Case> {
    let mut cases = Vec::new();
    for to in [
        "h2c",
        "H2C",
        "h2",
        "h2c, websocket",
        "HTTP/2.0",
        "TLS/1.0",
        "TLS/1.2, HTTP/1.1",
        "foo",
        "websocket, h2c",
        "",
        "h2c\t",
    ] {
        for connection in ["Upgrade", "upgrade, HTTP2-Settings", "keep-alive, Upgrade"] {
            let lines =
                format!("Connection: {connection}\r\nUpgrade: {to}\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n");
            cases.push(sent(format!("upgrade: to {to:?} by {connection:?}"), &lines, Sent::get()));
        }
        let lines = format!("Connection: Upgrade\r\nUpgrade: {to}\r\nContent-Length: 3\r\n");
        cases.push(Case::sent(format!("upgrade: to {to:?} with a body"), &post(&lines, "abc"), Sent::post("abc")));
        let lines = format!("Upgrade: {to}\r\n");
        cases.push(sent(format!("upgrade: to {to:?} without Connection"), &lines, Sent::get()));
    }
    let twice = "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n";
    cases.push(sent("upgrade: two lines, the second h2c".into(), twice, Sent::get()));
    let twice = "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n";
    cases.push(sent("upgrade: two lines, the first h2c".into(), twice, Sent::get()));
    // WebSocket is asked for in one way only; the backend of this suite never switches, so HTTP goes on behind it.
    const KEY: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let keyed =
        |sent: Sent| sent.with("sec-websocket-version", "13").with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let asked = format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}");
    let left = keyed(Sent::get().with("connection", "upgrade").with("upgrade", "websocket"));
    cases.push(sent("upgrade: to WebSocket".into(), &asked, left.clone()));
    cases.push(sent(
        "upgrade: to WebSocket in a list".into(),
        &format!("Connection: x, upgrade ,keep-alive\r\nUpgrade: websocket\r\n{KEY}"),
        left.clone(),
    ));
    for (name, lines) in [
        ("not named in Connection", "Upgrade: websocket\r\n"),
        ("with Connection: keep-alive", "Connection: keep-alive\r\nUpgrade: websocket\r\n"),
        ("in two lines", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n"),
        ("with a version", "Connection: Upgrade\r\nUpgrade: websocket/13\r\n"),
    ] {
        cases.push(sent(format!("upgrade: to WebSocket, but {name}"), lines, Sent::get()));
    }
    for (name, framing, body) in [
        ("a length", "Content-Length: 3\r\n", "abc"),
        ("chunks", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let text = get(&format!("{asked}{framing}")) + body;
        cases.push(Case::sent(
            format!("upgrade: to WebSocket, but with {name}"),
            &text,
            keyed(Sent::post("abc").method("GET")),
        ));
        cases.push(Case::sent(
            format!("upgrade: to WebSocket, but POST with {name}"),
            &post(&format!("{asked}{framing}"), body),
            keyed(Sent::post("abc")),
        ));
    }
    let old = "GET /§ HTTP/1.0\r\nHost: www.test\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n";
    cases.push(Case::sent("upgrade: to WebSocket, but HTTP/1.0", old, Sent::get()));
    let old = "GET /§ HTTP/1.0\r\nHost: www.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    cases.push(Case::sent("upgrade: HTTP/1.0", old, Sent::get().last()));
    cases
}

/// One expectation is met (by us); every other is refused.
fn expectations() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in [
        "",
        "miracles",
        "100-continue, x",
        "100-continue,100-continue",
        "x, 100-continue",
        "100",
        "100-continue;q=1",
        "\"100-continue\"",
        "100-continued",
        "101-continue",
    ] {
        let lines = format!("Expect: {value}\r\nContent-Length: 3\r\n");
        cases.push(Case::new(format!("expect: {value:?}"), &post(&lines, "abc"), Must::Refused(&[417])));
    }
    let twice = "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 3\r\n";
    cases.push(Case::new("expect: twice", &post(twice, "abc"), Must::Refused(&[417])));
    for value in ["100-continue", "100-Continue", "\t100-CONTINUE "] {
        let lines = format!("Expect: {value}\r\nContent-Length: 3\r\n");
        cases.push(Case::sent(format!("expect: good {value:?}"), &post(&lines, "abc"), Sent::post("abc")));
        cases.push(sent(format!("expect: without a body {value:?}"), &format!("Expect: {value}\r\n"), Sent::get()));
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            let text = format!("{method} /§ HTTP/1.1\r\nHost: www.test\r\n{lines}\r\nabc");
            cases.push(Case::sent(format!("expect: {method} {value:?}"), &text, Sent::post("abc").method(method)));
        }
    }
    cases
}

/// What clients say about themselves in the words of proxies is not believed.
fn claims() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in [
        "X-Forwarded-For",
        "x-forwarded-for",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Prefix",
        "Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Original-Host",
    ] {
        cases.push(sent(format!("claim: {name}"), &format!("{name}: 6.6.6.6\r\n"), Sent::get()));
        let twice = format!("{name}: 6.6.6.6\r\nX-A: b\r\n{name}: 7.7.7.7\r\n");
        cases.push(sent(format!("claim: {name} twice"), &twice, Sent::get().with("x-a", "b")));
    }
    cases
}

/// `_` and `-` are one to CGI and all that follow it.
const UNDERSCORES: [&str; 12] = [
    "X_A",
    "X_Forwarded_For",
    "x_forwarded-for",
    "Host_",
    "_Host",
    "Authorization_",
    "Content_Type",
    "__proto__",
    "_",
    "X-A_B",
    "Proxy_Connection",
    "Cookie_",
];

/// By default they are dropped.
fn underscores() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in UNDERSCORES {
        cases.push(sent(format!("underscore: {name}"), &format!("{name}: b\r\n"), Sent::get()));
        let left = Sent::get().with("x-a", "a").with("x-b", "c");
        cases.push(sent(
            format!("underscore: {name} among others"),
            &format!("X-A: a\r\n{name}: b\r\nX-B: c\r\n"),
            left,
        ));
    }
    cases
}

/// The same where they are kept, or else refused.
pub fn underscores_by_policy(kept: bool) -> Vec<Case> {
    let case = |name: &&str| {
        let text = get(&format!("{name}: b\r\n"));
        match kept {
            true => Case::sent(format!("underscore: kept {name}"), &text, Sent::get().with(&name.to_lowercase(), "b")),
            false => Case::refused(format!("underscore: refused {name}"), &text),
        }
    };
    UNDERSCORES.iter().map(case).collect()
}

/// More than is accepted, refused in words of their own.
fn sizes() -> Vec<Case> {
    let many = |count: usize| (0..count).map(|number| format!("X-{number}: b\r\n")).collect::<String>();
    let mut exact = Sent::get();
    for number in 0..99 {
        exact = exact.with(&format!("x-{number}"), "b");
    }
    vec![
        Case::new("size: 101 fields", &get(&many(100)), Must::Refused(&[431])),
        Case::new("size: 5000 fields", &get(&many(5000)), Must::Refused(&[431])),
        Case::new(
            "size: a field of 40 KiB",
            &get(&format!("X-A: {}\r\n", "b".repeat(40 * 1024))),
            Must::Refused(&[431]),
        ),
        Case::new("size: a name of 40 KiB", &get(&format!("{}: b\r\n", "b".repeat(40 * 1024))), Must::Refused(&[431])),
        sent("size: 100 fields".into(), &many(99), exact),
        sent(
            "size: a field of 20 KiB".into(),
            &format!("X-A: {}\r\n", "b".repeat(20 * 1024)),
            Sent::get().with("x-a", &"b".repeat(20 * 1024)),
        ),
    ]
}

/// What follows the last request of a connection is never read as one.
fn endings() -> Vec<Case> {
    let old = |lines: &str| format!("GET /§ HTTP/1.0\r\nHost: www.test\r\n{lines}\r\n");
    vec![
        Case::sent("last: HTTP/1.0", &old(""), Sent::get().last()),
        Case::sent("last: HTTP/1.0 with close", &old("Connection: close\r\n"), Sent::get().last()),
        Case::sent("last: HTTP/1.0 kept alive", &old("Connection: keep-alive\r\n"), Sent::get()),
        Case::sent(
            "last: HTTP/1.0 kept alive and closed",
            &old("Connection: keep-alive, close\r\n"),
            Sent::get().last(),
        ),
        Case::sent("last: HTTP/1.0 with Keep-Alive only", &old("Keep-Alive: 300\r\n"), Sent::get().last()),
        Case::sent(
            "last: close with a body",
            &post("Connection: close\r\nContent-Length: 3\r\n", "abc"),
            Sent::post("abc").last(),
        ),
        Case::sent(
            "last: close with chunks",
            &post("Connection: close\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
            Sent::post("abc").last(),
        ),
    ]
}
