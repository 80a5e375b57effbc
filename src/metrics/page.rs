//! As much HTTP as a scraper needs: one GET per connection, read by hand (RFC 9112). Pure: bytes in, an answer out.
//!
//! No body is read and nothing is kept alive. A browser that a page of somebody else sends here must not be able to read the
//! figures: `Host` has to be an address or `localhost`, so that no name can be made to point here (DNS rebinding).

use std::net::IpAddr;

/// Bytes of a request's head at most.
pub const MAX_HEAD: usize = 8 * 1024;

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// The page; with `HEAD` without its body.
    Page {
        /// `HEAD`
        head_only: bool,
    },
    /// A status and a sentence.
    Refused(&'static str, &'static str),
}

/// Whether the head is whole.
pub fn is_whole(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window == b"\r\n\r\n")
}

/// Judges a whole head.
pub fn judge(bytes: &[u8]) -> Asked {
    let Ok(text) = std::str::from_utf8(bytes) else { return BAD };
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version, more) = (words.next(), words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) = (method, target, version, more) else {
        return BAD;
    };
    let hosts: Vec<&str> = lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim_matches([' ', '\t']))
        .collect();
    if !matches!(hosts.as_slice(), [host] if is_here(host)) {
        return Asked::Refused("421 Misdirected Request", "Host must be an address or localhost.");
    }
    match (method, target.split('?').next().unwrap_or_default()) {
        ("GET", "/metrics") => Asked::Page { head_only: false },
        ("HEAD", "/metrics") => Asked::Page { head_only: true },
        (_, "/metrics") => Asked::Refused("405 Method Not Allowed", "Only GET and HEAD."),
        _ => Asked::Refused("404 Not Found", "There is nothing here but /metrics."),
    }
}

const BAD: Asked = Asked::Refused("400 Bad Request", "This is not a request.");

/// An address with or without port, or `localhost`.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// The bytes of an answer; `page` is written where it is asked for.
pub fn answer(asked: &Asked, page: &str) -> Vec<u8> {
    let (status, kind, body, shown) = match asked {
        Asked::Page { head_only } => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ("200 OK", kind, page.to_owned(), !head_only)
        }
        Asked::Refused(status, why) => (*status, "text/plain; charset=utf-8", format!("{why}\n"), true),
    };
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if shown {
        bytes.extend_from_slice(body.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn status(head: &str) -> &'static str {
        match judge(head.as_bytes()) {
            Asked::Page { head_only: false } => "page",
            Asked::Page { head_only: true } => "head",
            Asked::Refused(status, _) => status.split(' ').next().unwrap_or_default(),
        }
    }

    #[test]
    fn what_is_asked_and_what_is_refused() {
        for (head, wanted) in [
            ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9100\r\n\r\n", "page"),
            ("GET /metrics?x=1 HTTP/1.0\r\nhost: localhost\r\n\r\n", "page"),
            ("HEAD /metrics HTTP/1.1\r\nHost: [::1]:9100\r\n\r\n", "head"),
            ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404"),
            ("GET /metrics/../x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "405"),
            ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"),
            ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", "421"),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n", "421"),
            ("GET /metrics HTTP/1.1\r\n\r\n", "421"),
            ("GET  /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "400"),
            ("GET /metrics HTTP/2\r\nHost: 127.0.0.1\r\n\r\n", "400"),
            ("\r\n\r\n", "400"),
        ] {
            assert_eq!(status(head), wanted, "{head:?}");
        }
        assert_eq!(judge(b"\xff\r\n\r\n"), BAD);
        assert!(is_whole(b"GET / HTTP/1.1\r\n\r\n") && !is_whole(b"GET / HTTP/1.1\r\n"));
    }

    #[test]
    fn answers_are_whole_and_close() {
        let text = |asked| String::from_utf8(answer(&asked, "a 1\n")).unwrap();
        let page = text(Asked::Page { head_only: false });
        assert!(
            page.contains("Content-Length: 4\r\n")
                && page.contains("Connection: close\r\n")
                && page.ends_with("\r\n\r\na 1\n")
        );
        assert!(text(Asked::Page { head_only: true }).ends_with("\r\n\r\n"));
        assert!(text(Asked::Refused("405 Method Not Allowed", "Only GET and HEAD.")).contains("Allow: GET, HEAD\r\n"));
    }
}
