//! From a test's input to the request that a server's HTTP layer hands to its rules, as go-ftw builds it and a web server reads it.

use std::collections::BTreeMap;

use super::cases::Input;

/// A request as the rules are told of it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: Vec<u8>,
    pub uri: Vec<u8>,
    pub protocol: Vec<u8>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// The bytes that go-ftw sends.
pub fn build(input: &Input) -> Vec<u8> {
    if let Some(encoded) = &input.encoded {
        return encoded.clone();
    }
    let mut headers: BTreeMap<&str, String> =
        input.headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let missing = |headers: &BTreeMap<&str, String>, name: &str| headers.get(name).is_none_or(String::is_empty);
    let mut data = input.data.clone().unwrap_or_default();
    if !data.is_empty() && input.complete {
        if missing(&headers, "Content-Type") {
            headers.insert("Content-Type", "application/x-www-form-urlencoded".to_owned());
        }
        if headers["Content-Type"] == "application/x-www-form-urlencoded"
            && !data.iter().any(|byte| b"%+".contains(byte))
        {
            data = encode_form(&data);
        }
    }
    if headers.get("Content-Type").is_some_and(|kind| kind.starts_with("multipart/form-data;")) {
        data = String::from_utf8_lossy(&data).replace('\n', "\r\n").into_bytes();
    }
    if input.complete {
        if missing(&headers, "Connection") {
            headers.insert("Connection", "close".to_owned());
        }
        let takes_body = input.method.starts_with("POST")
            || input.method.contains("PUT")
            || input.method.contains("PATCH")
            || input.method.ends_with("DELETE");
        if (!data.is_empty() || takes_body) && missing(&headers, "Content-Length") {
            headers.insert("Content-Length", data.len().to_string());
        }
    }
    let mut bytes = format!("{} {} {}\r\n", input.method, input.uri, input.version).into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend(data);
    bytes
}

/// Names and values are escaped (Go's `url.QueryEscape`), the `=` and `&` between them are not.
fn encode_form(data: &[u8]) -> Vec<u8> {
    let escape = |text: &[u8]| {
        text.iter().fold(String::new(), |mut escaped, byte| {
            match byte {
                b' ' => escaped.push('+'),
                b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => escaped.push(char::from(*byte)),
                _ => escaped += &format!("%{byte:02X}"),
            }
            escaped
        })
    };
    // go-ftw stops at the end of the data, so nothing behind a last `&` is nothing.
    let data = data.strip_suffix(b"&").unwrap_or(data);
    let pairs = data.split(|byte| *byte == b'&').map(|pair| match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => format!("{}={}", escape(&pair[..at]), escape(&pair[at + 1..])),
        None => escape(pair),
    });
    pairs.collect::<Vec<_>>().join("&").into_bytes()
}

/// What a lenient HTTP/1 server makes of the bytes.
pub fn read(bytes: &[u8]) -> Request {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line)).to_vec()
    };
    let first = line();
    let mut words = first.splitn(2, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default().to_vec();
    let others = words.next().unwrap_or_default();
    let (uri, protocol) = match others.iter().rposition(|byte| *byte == b' ') {
        Some(at) => (&others[..at], &others[at + 1..]),
        None => (others, &b""[..]),
    };
    let protocol = if protocol.is_empty() { b"HTTP/0.9" } else { protocol };
    let mut request = Request { method, uri: uri.to_vec(), protocol: protocol.to_vec(), ..Request::default() };
    loop {
        let line = line();
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        request.headers.push((line[..colon].to_vec(), value.to_vec()));
    }
    let header = |name: &[u8]| {
        request.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let length = header(b"content-length").and_then(|value| String::from_utf8_lossy(&value).parse::<usize>().ok());
    let is_chunked = header(b"transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
    request.body = match length {
        _ if is_chunked => chunked(rest),
        Some(length) => rest[..length.min(rest.len())].to_vec(),
        None => Vec::new(),
    };
    if is_chunked {
        // RFC 9112 section 6.3: with both, Transfer-Encoding counts and the length is removed.
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"content-length"));
    }
    request
}

/// The content of a chunked body, as far as it goes.
fn chunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let size = String::from_utf8_lossy(&rest[..end])
            .trim()
            .split(';')
            .next()
            .and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let chunk = &rest[end + 1..];
        body.extend_from_slice(&chunk[..size.min(chunk.len())]);
        rest = chunk.get(size + 2..).unwrap_or_default();
    }
    body
}
