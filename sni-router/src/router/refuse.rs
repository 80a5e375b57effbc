//! What a client is told when the answer is no: a TLS alert, or HTTP for somebody who mistook the port. Pure.

/// A fatal alert in a record of its own (RFC 8446 §5.1, §6), with the record version every client accepts.
pub fn alert(description: u8) -> [u8; 7] {
    [21, 3, 1, 0, 2, 2, description]
}

/// What somebody gets who speaks HTTP to a TLS port.
pub fn http_on_tls_port() -> Vec<u8> {
    http("400 Bad Request", "", "This port speaks TLS and was sent plain HTTP. Use https:// in front of the address.\n")
}

/// What a client of a plain-HTTP port gets when no http-filter takes it.
pub fn http_unavailable() -> Vec<u8> {
    http("503 Service Unavailable", "Retry-After: 1\r\n", "The proxy cannot serve this request just now. Try again.\n")
}

fn http(status: &str, extra: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n{extra}Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A redirect to the same address under `https://`, for a whole GET or HEAD head with one plain Host. `None`: answer 400.
///
/// Only bytes that cannot end the header line are taken over, so nobody can write our answer for us.
pub fn redirect(peeked: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(peeked).ok()?;
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let mut request = lines.next()?.split(' ');
    let (method, target, version) = (request.next()?, request.next()?, request.next()?);
    let fit = matches!(method, "GET" | "HEAD") && version == "HTTP/1.1" && request.next().is_none();
    let host_of = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim_matches([' ', '\t']).to_owned())
    };
    let hosts: Vec<String> = lines.filter_map(host_of).collect();
    let [host] = hosts.as_slice() else { return None };
    let name = host.split(':').next().unwrap_or_default();
    let name = common::client_hello::HostName::parse(name.as_bytes()).ok()?;
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\');
    if !fit || !target.starts_with('/') || target.len() > 2048 || !target.bytes().all(plain) {
        return None;
    }
    Some(http("308 Permanent Redirect", &format!("Location: https://{name}{target}\r\n"), "Use https.\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_plain_get_is_redirected_to_the_same_place() {
        let answer = redirect(b"GET /a?b=1 HTTP/1.1\r\nHost: Shop.Example:80\r\nA: b\r\n\r\n").unwrap();
        let text = String::from_utf8(answer).unwrap();
        assert!(text.starts_with("HTTP/1.1 308 ") && text.contains("\r\nLocation: https://shop.example/a?b=1\r\n"));
    }

    #[test]
    fn anything_odd_is_not_redirected() {
        for head in [
            "POST / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET http://evil/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test/../x\r\n\r\n",
            "GET /\nX: y HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\n",
            "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n",
        ] {
            assert!(redirect(head.as_bytes()).is_none(), "{head:?}");
        }
    }

    #[test]
    fn an_answer_says_its_own_length() {
        let text = String::from_utf8(http_on_tls_port()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
    }
}
