//! CONNECT, by hand (RFC 9110 §9.3.6): after a 2xx the connection belongs to the tunnel, so no HTTP library may hold it.

use super::got::{End, Got};
use crate::scenarios::Login;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Longest explanation read after a refusal, in bytes.
const MAX_TEXT: u64 = 16 * 1024;

/// Asks for a tunnel to `target` over `stream`, which is the tunnel afterwards.
///
/// # Errors
/// A refusal with its explanation, or a connection that ends.
pub async fn open(stream: &mut TcpStream, target: &str, login: Login) -> std::result::Result<(), Box<Got>> {
    let login = login.header().map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (status, headers) = head(&read_head(stream).await?)?;
    if (200..300).contains(&status) {
        return Ok(());
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut text = Vec::new();
    stream.take(length.unwrap_or(MAX_TEXT).min(MAX_TEXT)).read_to_end(&mut text).await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Err(Box::new(Got { headers, text, ..Got::ended(End::NoTunnel(status)) }))
}

/// Reads to the empty line and not a byte further: what follows belongs to the tunnel.
async fn read_head(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(Error::new(ErrorKind::InvalidData, "the answer to CONNECT has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// Status and headers of an answer's head.
fn head(bytes: &[u8]) -> Result<(u16, HeaderMap)> {
    let wrong = || Error::new(ErrorKind::InvalidData, "the answer to CONNECT is not HTTP");
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next().ok_or_else(wrong)?;
    let rest = status_line.strip_prefix("HTTP/1.1 ").or(status_line.strip_prefix("HTTP/1.0 ")).ok_or_else(wrong)?;
    let status = rest.split(' ').next().and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        headers.append(name, HeaderValue::try_from(value.trim()).map_err(|_| wrong())?);
    }
    Ok((status, headers))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn heads() {
        let (status, headers) =
            head(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n")
                .unwrap();
        assert_eq!(status, 407);
        assert_eq!(headers["proxy-authenticate"], "Basic realm=\"x\"");
        assert_eq!(head(b"HTTP/1.0 200\r\n\r\n").unwrap().0, 200);
        for wrong in
            [&b"\r\n\r\n"[..], b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"]
        {
            assert!(head(wrong).is_err());
        }
    }
}
