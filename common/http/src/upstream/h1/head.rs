//! The head of an answer (RFC 9112 §4, §5, §6.3), read strictly. Pure: bytes in, head or fault out.
//!
//! A backend whose bytes have two readings is as dangerous as a client's: whoever could make it write two lengths would choose where the next answer
//! begins. So there is one reading here, and everything else is a fault of the backend: a length given twice (equal or not), a length beside a
//! transfer coding, codings other than one `chunked`, lone CR or LF, folded lines, white space before a colon, control bytes.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use memchr::{memchr, memchr_iter, memmem};

use crate::framing::{list_has, trim_ows};

/// Most header fields of an answer.
const MAX_FIELDS: usize = 256;

/// How the body of an answer is delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimited {
    /// There is none.
    Nothing,
    /// By a length.
    Length(u64),
    /// By chunks.
    Chunks,
    /// By the end of the connection.
    Close,
}

/// What a head said.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) body: Delimited,
    /// The connection may serve another request.
    pub(super) keep_alive: bool,
}

/// Takes the head off `input`; `None`: it is not complete yet.
///
/// # Errors
/// What is wrong, in words for the log.
pub(super) fn read(input: &mut BytesMut, method: &Method, limit: usize) -> Result<Option<Head>, &'static str> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else {
        // A backend that ends lines with LF alone would otherwise be waited for until the deadline.
        lone_line_feed(input)?;
        return if input.len() > limit { Err("its head is larger than allowed") } else { Ok(None) };
    };
    if end > limit {
        return Err("its head is larger than allowed");
    }
    let mut text = input.split_to(end + 2).freeze();
    input.advance(2);
    let (version, status) = status_line(&take_line(&mut text)?)?;
    let lines = memchr_iter(b'\n', &text).count();
    if lines > MAX_FIELDS {
        return Err("its head has too many fields");
    }
    let mut headers = HeaderMap::with_capacity(lines);
    while !text.is_empty() {
        let (name, value) = field(take_line(&mut text)?)?;
        headers.append(name, value);
    }
    let body = delimited(method, version, status, &mut headers)?;
    if body == Delimited::Nothing && (status.is_informational() || status == StatusCode::NO_CONTENT) {
        headers.remove(CONTENT_LENGTH); // RFC 9110 §8.6: it must not stand there
    }
    let keep_alive = body != Delimited::Close && persistent(version, &headers);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(Some(Head { response, body, keep_alive }))
}

fn lone_line_feed(input: &[u8]) -> Result<(), &'static str> {
    let mut before = None;
    for byte in input {
        if *byte == b'\n' && before != Some(b'\r') {
            return Err("a line of its head ends with a lone LF");
        }
        before = Some(*byte);
    }
    Ok(())
}

/// The next line without its CR LF.
fn take_line(text: &mut Bytes) -> Result<Bytes, &'static str> {
    let line_feed = memchr(b'\n', text).ok_or("its head is broken off")?;
    let mut line = text.split_to(line_feed + 1);
    if !line.ends_with(b"\r\n") {
        return Err("a line of its head ends with a lone LF");
    }
    line.truncate(line_feed - 1);
    Ok(line)
}

fn status_line(line: &[u8]) -> Result<(Version, StatusCode), &'static str> {
    const BAD: &str = "its status line is not valid";
    let version = match line.get(..9) {
        Some(b"HTTP/1.1 ") => Version::HTTP_11,
        Some(b"HTTP/1.0 ") => Version::HTTP_10,
        _ => return Err("its answer is not HTTP/1"),
    };
    let status = line.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok()).ok_or(BAD)?;
    let reason = match line.get(12..) {
        Some([]) => &[][..],
        Some([b' ', reason @ ..]) => reason,
        _ => return Err(BAD),
    };
    // The reason is not passed on, but a lone CR in it says that the sender does not mind its lines.
    if reason.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') || status.as_u16() > 599 {
        return Err(BAD);
    }
    Ok((version, status))
}

fn field(line: Bytes) -> Result<(HeaderName, HeaderValue), &'static str> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err("a line of its head is folded");
    }
    let colon = memchr(b':', &line).ok_or("a line of its head has no colon")?;
    let name = line.get(..colon).unwrap_or_default();
    let name = HeaderName::from_bytes(name).map_err(|_| "the name of one of its fields is not valid")?;
    let value = trim_ows(line.get(colon + 1..).unwrap_or_default());
    let value = HeaderValue::from_maybe_shared(line.slice_ref(value));
    Ok((name, value.map_err(|_| "the value of one of its fields has a control byte")?))
}

/// RFC 9112 §6.3, without its leniencies.
fn delimited(
    method: &Method,
    version: Version,
    status: StatusCode,
    headers: &mut HeaderMap,
) -> Result<Delimited, &'static str> {
    let coded = chunked(version, headers)?;
    let length = length(headers)?;
    if coded && length.is_some() {
        return Err("it has both Content-Length and Transfer-Encoding");
    }
    let without = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match (without || *method == Method::HEAD, coded, length) {
        (true, ..) => Delimited::Nothing,
        (false, true, _) => Delimited::Chunks,
        (false, false, Some(length)) => Delimited::Length(length),
        (false, false, None) => Delimited::Close,
    })
}

fn chunked(version: Version, headers: &HeaderMap) -> Result<bool, &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(first) = codings.next() else { return Ok(false) };
    if version == Version::HTTP_10 {
        return Err("it has Transfer-Encoding although it is HTTP/1.0");
    }
    if codings.next().is_some() || !first.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err("its Transfer-Encoding is not exactly one \"chunked\"");
    }
    Ok(true)
}

fn length(headers: &mut HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err("it has two Content-Length fields");
    }
    let digits = first.as_bytes();
    // 18 digits: an exabyte, and far from what hyper's server keeps for itself at the end of the range.
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return Err("its Content-Length is not a number, or too large");
    }
    let length = digits.iter().fold(0_u64, |length, digit| length * 10 + u64::from(digit - b'0'));
    if digits.len() > 1 && digits.first() == Some(&b'0') {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length)); // clients exist that read a leading zero as octal
    }
    Ok(Some(length))
}

/// RFC 9112 §9.3.
fn persistent(version: Version, headers: &HeaderMap) -> bool {
    let says = |token: &[u8]| headers.get_all(CONNECTION).iter().any(|value| list_has(value.as_bytes(), token));
    match version {
        Version::HTTP_11 => !says(b"close"),
        _ => says(b"keep-alive") && !says(b"close"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn judge(text: &str) -> Result<Option<Head>, &'static str> {
        read(&mut BytesMut::from(text.as_bytes()), &Method::GET, 4096)
    }

    fn head(text: &str) -> Head {
        judge(text).unwrap().unwrap()
    }

    #[test]
    fn a_head_is_read_and_what_follows_is_left() {
        let mut input = BytesMut::from(&b"HTTP/1.1 200 OK\r\nA:  b\t\r\nContent-Length: 3\r\n\r\nabc"[..]);
        let head = read(&mut input, &Method::GET, 4096).unwrap().unwrap();
        assert_eq!((head.body, head.keep_alive), (Delimited::Length(3), true));
        assert_eq!(head.response.headers().get("a").unwrap(), "b");
        assert_eq!(&input[..], b"abc");
        assert!(judge("HTTP/1.1 200 OK\r\nA: b\r\n").unwrap().is_none(), "not complete");
    }

    #[test]
    fn bodies_end_as_the_rfc_says() {
        let of = |method: Method, text: &str| {
            read(&mut BytesMut::from(text.as_bytes()), &method, 4096).unwrap().unwrap().body
        };
        let ok = "HTTP/1.1 200 OK\r\n";
        assert_eq!(of(Method::GET, &format!("{ok}\r\n")), Delimited::Close);
        assert_eq!(of(Method::HEAD, &format!("{ok}content-length: 9\r\n\r\n")), Delimited::Nothing);
        assert_eq!(of(Method::GET, &format!("{ok}transfer-encoding: Chunked\r\n\r\n")), Delimited::Chunks);
        for status in ["100", "204", "304"] {
            let text = format!("HTTP/1.1 {status} x\r\ncontent-length: 9\r\n\r\n");
            assert_eq!(of(Method::GET, &text), Delimited::Nothing, "{status}");
        }
        assert!(!head("HTTP/1.1 204 x\r\ncontent-length: 9\r\n\r\n").response.headers().contains_key("content-length"));
    }

    #[test]
    fn connections_are_kept_only_when_both_mean_it() {
        for (text, kept) in [
            ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 200\r\ncontent-length: 0\r\nconnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 200 k\r\ncontent-length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 k\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n", true),
            ("HTTP/1.1 200 until the end\r\n\r\n", false),
        ] {
            assert_eq!(head(text).keep_alive, kept, "{text:?}");
        }
    }

    #[test]
    fn what_has_two_readings_is_a_fault() {
        let ok = "HTTP/1.1 200 OK\r\n";
        for lines in [
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: 1, 1\r\n",
            "content-length: +1\r\n",
            "content-length: 0x1\r\n",
            "content-length: \r\n",
            "content-length: 99999999999999999999\r\n",
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: xchunked\r\n",
            "a: b\r\n c\r\n",
            "a : b\r\n",
            ": b\r\n",
            "a\r\n",
            "a: b\rc\r\n",
            "a: b\0\r\n",
            "a: b\n",
            "a\0: b\r\n",
        ] {
            assert!(judge(&format!("{ok}{lines}\r\n")).is_err(), "{lines:?}");
        }
        for text in [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 600 OK\r\n\r\n",
            "HTTP/1.1 200 O\rK\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\n\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert!(judge(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn heads_are_bounded() {
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(5000));
        assert!(judge(&long).is_err());
        assert!(judge(&format!("{long}\r\n\r\n")).is_err());
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a:b\r\n".repeat(300));
        assert!(judge(&many).is_err());
    }
}
