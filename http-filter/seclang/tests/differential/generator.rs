//! Requests as scanners, attackers and browsers send them: words that rules look for, encoded or not, in every place where rules look.

use super::random::Random;
use super::wire::Request;

/// Words of attacks and of harmless text.
const WORDS: &[&[u8]] = &[
    b"select",
    b"union all select 1,2,3",
    b"1' or '1'='1",
    b"1 and sleep(5)",
    b"; drop table users--",
    b"/**/",
    b"<script>alert(1)</script>",
    b"<img src=x onerror=y>",
    b"javascript:",
    b"../../etc/passwd",
    b"..\\..\\windows\\win.ini",
    b"/.git/config",
    b"php://input",
    b"<?php phpinfo();?>",
    b"$(cat /etc/passwd)",
    b"`id`",
    b"| nc -e /bin/sh",
    b"&& ping -c 1",
    b"() { :;}; echo",
    b"${jndi:ldap://x/a}",
    b"{{7*7}}",
    b"http://127.0.0.1/x",
    b"file:///etc/hosts",
    b"%0d%0aSet-Cookie: a=b",
    b"\r\nLocation: x",
    b"<!--#exec cmd=\"ls\"-->",
    b"eval(atob('YQ=='))",
    b"__proto__",
    b"java.lang.Runtime",
    b"rO0ABXNy",
    b"O:8:\"stdClass\":0:{}",
    b"ELF",
    b"hello",
    b"world",
    b"O'Brien",
    b"a b",
    b"100%",
    b"x=y",
    b"42",
    b"-1",
    b"caf\xc3\xa9",
    b"\xff\xfe",
    b"\0",
    b"&",
    b"=",
    b"+",
    b";",
    b"#",
    b"\"",
    b"<",
    b">",
    b"(",
    b")",
    b"a@b.example",
    b"2026-11-23",
    b"Tom & Jerry",
    b"https://example.org/a?b=c",
    b"%u0027",
    b"%2527",
    b"\\u0027",
    b"&#39;",
    b"\\x27",
];

const NAMES: &[&[u8]] = &[
    b"q",
    b"id",
    b"file",
    b"user[name]",
    b"a.b",
    b"x-y",
    b"_method",
    b"$where",
    b"a b",
    b"__proto__",
    b"json",
    b"cmd",
];

const PATHS: &[&[u8]] = &[
    b"/",
    b"/index.php",
    b"/a/b.html",
    b"/login",
    b"/.env",
    b"/wp-login.php",
    b"/a%20b",
    b"/x.bak",
    b"//a",
    b"/a/../b",
    b"/%2e%2e/x",
    b"/api/v1/items",
];

/// One request.
pub fn request(random: &mut Random) -> Request {
    let mut request =
        Request { protocol: b"HTTP/1.1".to_vec(), uri: random.pick(PATHS).to_vec(), ..Request::default() };
    request.headers = vec![
        (b"Host".to_vec(), b"www.example.org".to_vec()),
        (b"User-Agent".to_vec(), b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0".to_vec()),
        (b"Accept".to_vec(), b"*/*".to_vec()),
    ];
    if random.below(2) == 0 {
        request.uri.push(b'?');
        request.uri.extend(form(random));
    }
    if random.below(4) == 0 {
        let cookie: Vec<u8> = printable(&words(random, 2));
        request.headers.push((b"Cookie".to_vec(), [b"session=", cookie.as_slice()].concat()));
    }
    if random.below(4) == 0 {
        let name = random.pick(&[
            &b"Referer"[..],
            b"X-Forwarded-For",
            b"Range",
            b"X-Filename",
            b"Accept-Language",
            b"Content-Encoding",
        ]);
        request.headers.push((name.to_vec(), printable(&words(random, 1))));
    }
    request.method = random.pick(&[&b"GET"[..], b"HEAD", b"POST", b"POST", b"POST", b"PUT"]).to_vec();
    if request.method.starts_with(b"P") {
        let (kind, body): (&[u8], _) = match random.below(5) {
            0 => (b"application/json", json(random)),
            1 => (b"text/xml", xml(random)),
            2 => (b"multipart/form-data; boundary=XyZ", multipart(random)),
            3 => (b"text/plain", words(random, 3)),
            _ => (b"application/x-www-form-urlencoded", form(random)),
        };
        request.headers.push((b"Content-Type".to_vec(), kind.to_vec()));
        request.headers.push((b"Content-Length".to_vec(), body.len().to_string().into_bytes()));
        request.body = body;
    }
    request
}

fn words(random: &mut Random, most: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..=random.below(most + 1) {
        text.extend_from_slice(random.pick(WORDS));
        if random.below(3) == 0 {
            text.push(b' ');
        }
    }
    text
}

fn printable(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !matches!(byte, 0..=0x1f)).collect()
}

/// Escaped in full, in part, or twice.
fn escape(random: &mut Random, text: &[u8]) -> Vec<u8> {
    let way = random.below(3);
    let mut out = Vec::new();
    for byte in text {
        match byte {
            b' ' if way == 0 => out.push(b'+'),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => out.push(*byte),
            b'/' | b'(' | b')' | b'\'' | b'*' | b':' if way == 1 => out.push(*byte),
            _ if way == 2 && byte.is_ascii_punctuation() => out.extend(format!("%25{byte:02x}").into_bytes()),
            _ => out.extend(format!("%{byte:02X}").into_bytes()),
        }
    }
    out
}

fn form(random: &mut Random) -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..=random.below(3) {
        if number > 0 {
            text.push(b'&');
        }
        let (name, value) = (random.pick(NAMES).to_vec(), words(random, 2));
        text.extend(escape(random, &name));
        text.push(b'=');
        text.extend(escape(random, &value));
    }
    text
}

fn json(random: &mut Random) -> Vec<u8> {
    let text = |random: &mut Random| serde_json::Value::from(String::from_utf8_lossy(&words(random, 2)).into_owned());
    let mut object = serde_json::Map::new();
    for _ in 0..=random.below(3) {
        let name = String::from_utf8_lossy(random.pick(NAMES)).into_owned();
        let value = match random.below(4) {
            0 => serde_json::json!([text(random), 1, null]),
            1 => serde_json::json!({ "inner": text(random), "flag": true }),
            _ => text(random),
        };
        object.insert(name, value);
    }
    let mut body = serde_json::Value::Object(object).to_string().into_bytes();
    if random.below(10) == 0 {
        body.truncate(body.len() - 1);
    }
    body
}

fn xml(random: &mut Random) -> Vec<u8> {
    let text = |random: &mut Random| {
        let text = printable(&words(random, 2)).into_iter().filter(u8::is_ascii).map(char::from).collect::<String>();
        text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace("]]>", "")
    };
    let (attribute, first, second) = (text(random), text(random), text(random));
    format!("<?xml version=\"1.0\"?><a><b c=\"{attribute}\">{first}</b><d>{second}</d></a>").into_bytes()
}

fn multipart(random: &mut Random) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..=random.below(2) {
        body.extend_from_slice(b"--XyZ\r\nContent-Disposition: form-data; name=\"");
        body.extend_from_slice(random.pick(NAMES));
        body.push(b'"');
        if random.below(3) == 0 {
            let name = random.pick(&[&b"a.txt"[..], b"shell.php", b"x.jsp", b"it's.png", b"..%2fx"]);
            body.extend_from_slice(&[b"; filename=\"", name, b"\"\r\nContent-Type: text/plain"].concat());
        }
        body.extend_from_slice(b"\r\n\r\n");
        // One line: libmodsecurity 3.0.9 joins the lines of a value.
        body.extend(words(random, 2).into_iter().filter(|byte| !b"\r\n".contains(byte)));
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XyZ--\r\n");
    body
}
