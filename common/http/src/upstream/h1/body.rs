//! The body of an answer, taken off the bytes as they come (RFC 9112 §6.3, §7.1). Pure: bytes in, pieces or fault out. Chunk sizes, extensions and
//! trailers are bounded; what is not needed for one reading (extensions) is dropped, since the answer is framed anew for the client.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use super::head::Delimited;
use crate::framing::{is_forbidden_trailer, trim_ows};

/// Longest line between chunks, in bytes.
const MAX_LINE: usize = 4096;
/// Most bytes of trailers.
const MAX_TRAILERS: usize = 16 * 1024;
/// Most digits of a chunk's size.
const MAX_DIGITS: usize = 15;

/// A body in progress.
#[derive(Debug)]
pub(super) enum Reading {
    /// Complete.
    Done,
    /// So many bytes are to come.
    Length(u64),
    /// Everything until the end of the connection.
    Close,
    /// Chunks: before the size line of the next one.
    Size,
    /// Inside a chunk.
    Chunk(u64),
    /// Behind a chunk's bytes.
    ChunkEnd,
    /// Behind the last chunk: so many bytes of trailers so far.
    Trailers(usize, Option<Box<HeaderMap>>),
}

/// What was taken off.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes of the body.
    Data(Bytes),
    /// Fields after it.
    Trailers(HeaderMap),
}

impl From<Delimited> for Reading {
    fn from(delimited: Delimited) -> Self {
        match delimited {
            Delimited::Nothing | Delimited::Length(0) => Self::Done,
            Delimited::Length(length) => Self::Length(length),
            Delimited::Chunks => Self::Size,
            Delimited::Close => Self::Close,
        }
    }
}

impl Reading {
    /// Whether nothing is to come any more.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Bytes to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            _ => None,
        }
    }

    /// Whether the end of the connection is the end of the body.
    pub(super) fn ends_with_connection(&self) -> bool {
        matches!(self, Self::Close)
    }

    /// The next piece; `None`: more bytes are needed, or it is done.
    ///
    /// # Errors
    /// What is wrong with the backend's bytes.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Piece>, &'static str> {
        loop {
            match self {
                Self::Done => return Ok(None),
                Self::Close => return Ok((!input.is_empty()).then(|| Piece::Data(input.split().freeze()))),
                Self::Length(left) => {
                    let Some((data, rest)) = take(input, *left) else { return Ok(None) };
                    *self = if rest == 0 { Self::Done } else { Self::Length(rest) };
                    return Ok(Some(Piece::Data(data)));
                }
                Self::Chunk(left) => {
                    let Some((data, rest)) = take(input, *left) else { return Ok(None) };
                    *self = if rest == 0 { Self::ChunkEnd } else { Self::Chunk(rest) };
                    return Ok(Some(Piece::Data(data)));
                }
                Self::ChunkEnd => match **input {
                    [b'\r', b'\n', ..] => {
                        input.advance(2);
                        *self = Self::Size;
                    }
                    [] | [b'\r'] => return Ok(None),
                    _ => return Err("a chunk of its body does not end where its size says"),
                },
                Self::Size => {
                    let Some(line) = take_line(input)? else { return Ok(None) };
                    *self = match size(&line)? {
                        0 => Self::Trailers(0, None),
                        size => Self::Chunk(size),
                    };
                }
                Self::Trailers(bytes, fields) => {
                    let Some(line) = take_line(input)? else { return Ok(None) };
                    *bytes = bytes.saturating_add(line.len());
                    if *bytes > MAX_TRAILERS {
                        return Err("its trailers are larger than allowed");
                    }
                    if !line.is_empty() {
                        trailer(fields.get_or_insert_default(), &line)?;
                        continue;
                    }
                    let fields = fields.take();
                    *self = Self::Done;
                    return Ok(fields.filter(|fields| !fields.is_empty()).map(|fields| Piece::Trailers(*fields)));
                }
            }
        }
    }
}

/// As many of `left` bytes as are there, and how many are left then.
fn take(input: &mut BytesMut, left: u64) -> Option<(Bytes, u64)> {
    if input.is_empty() {
        return None;
    }
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    let rest = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
    Some((input.split_to(count).freeze(), rest))
}

fn take_line(input: &mut BytesMut) -> Result<Option<Bytes>, &'static str> {
    let Some(line_feed) = memchr(b'\n', input) else {
        return if input.len() > MAX_LINE { Err("a line between its chunks is too long") } else { Ok(None) };
    };
    if line_feed > MAX_LINE {
        return Err("a line between its chunks is too long");
    }
    let mut line = input.split_to(line_feed + 1).freeze();
    if !line.ends_with(b"\r\n") {
        return Err("a line between its chunks ends with a lone LF");
    }
    line.truncate(line_feed - 1);
    Ok(Some(line))
}

/// Hexadecimal digits; old servers pad them with spaces, and extensions are of no use to anybody.
fn size(line: &[u8]) -> Result<u64, &'static str> {
    const BAD: &str = "the size of a chunk is not valid";
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at_checked(end).ok_or(BAD)?;
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = rest.get(padding..).unwrap_or_default();
    if digits.is_empty() || digits.len() > MAX_DIGITS || !(rest.is_empty() || rest.starts_with(b";")) {
        return Err(BAD);
    }
    if rest.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(BAD);
    }
    let digit = |byte: &u8| u64::from(char::from(*byte).to_digit(16).unwrap_or(0));
    Ok(digits.iter().fold(0, |size, byte| (size << 4) | digit(byte)))
}

/// One trailer; those that would frame, route or authenticate are dropped (RFC 9110 §6.5.1).
fn trailer(fields: &mut HeaderMap, line: &[u8]) -> Result<(), &'static str> {
    const BAD: &str = "one of its trailers is not valid";
    let colon = memchr(b':', line).ok_or(BAD)?;
    let name = HeaderName::from_bytes(line.get(..colon).unwrap_or_default()).map_err(|_| BAD)?;
    let value = trim_ows(line.get(colon + 1..).unwrap_or_default());
    let value = HeaderValue::from_bytes(value).map_err(|_| BAD)?;
    if !is_forbidden_trailer(name.as_str().as_bytes()) {
        fields.append(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// Everything that comes out when `input` arrives in pieces of `step` bytes.
    fn read(
        mut reading: Reading,
        input: &[u8],
        step: usize,
    ) -> Result<(Vec<u8>, HeaderMap, bool, usize), &'static str> {
        let (mut data, mut trailers, mut buffer) = (Vec::new(), HeaderMap::new(), BytesMut::new());
        for part in input.chunks(step.max(1)) {
            buffer.extend_from_slice(part);
            while let Some(piece) = reading.next(&mut buffer)? {
                match piece {
                    Piece::Data(bytes) => data.extend_from_slice(&bytes),
                    Piece::Trailers(fields) => trailers = fields,
                }
            }
        }
        Ok((data, trailers, reading.is_done(), buffer.len()))
    }

    #[test]
    fn chunks_with_padding_extensions_and_trailers() {
        let input = b"3 \r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\nrest";
        for step in 1..input.len() {
            let (data, trailers, done, left) = read(Reading::Size, input, step).unwrap();
            assert_eq!((&data[..], done, left), (&b"abcde"[..], true, 4));
            assert_eq!(trailers.get("x-sum").unwrap(), "1");
            assert_eq!(trailers.len(), 1);
        }
    }

    #[test]
    fn broken_chunks_are_faults() {
        for input in [
            &b"\r\n"[..],
            b"g\r\n",
            b"-1\r\n",
            b"0x3\r\nabc\r\n",
            b"3\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n",
            b"3 x\r\n",
            b"1111111111111111\r\n",
            b"3;\0\r\n",
            b"0\r\nx\r\n\r\n",
            b"0\r\na b: c\r\n\r\n",
            b"0\r\n: c\r\n\r\n",
        ] {
            assert!(read(Reading::Size, input, 1).is_err(), "{input:?}");
            assert!(read(Reading::Size, input, 100).is_err(), "{input:?}");
        }
        assert!(read(Reading::Size, &b"3;".repeat(3000), 7).is_err());
        assert!(read(Reading::Size, &[&b"0\r\n"[..], &b"a: b\r\n".repeat(5000)].concat(), 1000).is_err());
    }

    proptest! {
        #[test]
        fn the_same_body_whatever_the_splits(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8), step in 1usize..70) {
            let mut chunked = Vec::new();
            for part in &parts {
                chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                chunked.extend_from_slice(part);
                chunked.extend_from_slice(b"\r\n");
            }
            chunked.extend_from_slice(b"0\r\n\r\n");
            let plain = parts.concat();
            let (data, _, done, left) = read(Reading::Size, &chunked, step).unwrap();
            prop_assert_eq!((&data, done, left), (&plain, true, 0));
            let (data, _, done, _) = read(Reading::from(Delimited::Length(plain.len() as u64)), &plain, step).unwrap();
            prop_assert_eq!((&data, done), (&plain, true));
        }

        #[test]
        fn nothing_panics(input in prop::collection::vec(any::<u8>(), 0..300), step in 1usize..40) {
            let _ = read(Reading::Size, &input, step);
        }
    }
}
