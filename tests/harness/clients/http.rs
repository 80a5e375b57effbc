//! Reading HTTP/1.1 answers from any stream, and asking simple questions over it.

use std::io::{self, Read, Write};

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head as text.
    pub head: String,
    /// Body without framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        crate::backends::application::header(&self.head, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a GET that keeps the connection and reads the answer.
pub fn get(stream: &mut (impl Read + Write), host: &str, path: &str) -> io::Result<Answer> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    stream.flush()?;
    read_answer(stream)
}

/// Reads one answer (to anything but HEAD), interim ones skipped.
pub fn read_answer(stream: &mut impl Read) -> io::Result<Answer> {
    loop {
        let head = read_head(stream)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, head.clone()))?;
        match status {
            101 => return Ok(Answer { status, head, body: Vec::new() }),
            100..200 => {}
            _ => {
                let body = read_body(stream, status, &head)?;
                return Ok(Answer { status, head, body });
            }
        }
    }
}

/// Reads the head alone.
pub fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(read_byte(stream)?);
        if head.len() > 256 * 1024 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an endless head"));
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn read_body(stream: &mut impl Read, status: u16, head: &str) -> io::Result<Vec<u8>> {
    let header = |name| crate::backends::application::header(head, name);
    if matches!(status, 204 | 304) {
        return Ok(Vec::new());
    }
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        let mut body = Vec::new();
        loop {
            let size = read_line(stream)?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if size == 0 {
                while !read_line(stream)?.is_empty() {}
                return Ok(body);
            }
            let from = body.len();
            body.resize(from + size, 0);
            stream.read_exact(&mut body[from..])?;
            read_line(stream)?;
        }
    }
    let mut body = Vec::new();
    match header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => {
            body.resize(length, 0);
            stream.read_exact(&mut body)?;
        }
        None => {
            stream.read_to_end(&mut body)?;
        }
    }
    Ok(body)
}

fn read_line(stream: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(read_byte(stream)?);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn read_byte(stream: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}
