//! Chunked bodies (RFC 9112 §7.1) with extensions and trailers, checked byte by byte over any split. Data runs are skipped, not looked at.
//!
//! Stricter than the RFC asks: no white space around the size, extensions and trailers bounded, no trailer that frames, routes, authenticates or
//! speaks for the connection (RFC 9110 §6.5.1). It must never let a byte pass that hyper could read in another way.

use super::{Limits, Violation, bytes::is_line_byte, is_tchar};

/// Longest forbidden trailer name that has to be recognised; a longer name cannot be one of them.
const NAME_KEPT: usize = 20;
const MAX_SIZE_DIGITS: u8 = 16;

/// Names that must not arrive after the body, where nothing looks at them any more.
const FORBIDDEN: &[&[u8]] = &[
    b"transfer-encoding",
    b"content-length",
    b"host",
    b"trailer",
    b"connection",
    b"te",
    b"upgrade",
    b"keep-alive",
    b"proxy-connection",
    b"authorization",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"www-authenticate",
    b"cookie",
    b"set-cookie",
    b"content-encoding",
    b"content-type",
    b"content-range",
    b"cache-control",
    b"expect",
    b"max-forwards",
    b"pragma",
    b"range",
    b"if-match",
    b"if-none-match",
    b"if-range",
    b"forwarded",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-real-ip",
    b"x-http-method",
    b"age",
    b"vary",
    b"location",
    b"expires",
    b"date",
];

/// Whether a trailer of that (lower-case) name must not be passed on.
pub fn is_forbidden_trailer(name: &[u8]) -> bool {
    FORBIDDEN.contains(&name)
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size { digits: u8, value: u64 },
    Extension { length: usize, value: u64 },
    SizeLf { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// One chunked body in progress.
#[derive(Debug, Clone)]
pub(super) struct Chunked {
    state: State,
    extensions: usize,
    trailers: usize,
    name: [u8; NAME_KEPT],
    name_len: usize,
}

impl Default for Chunked {
    fn default() -> Self {
        Chunked {
            state: State::Size { digits: 0, value: 0 },
            extensions: 0,
            trailers: 0,
            name: [0; NAME_KEPT],
            name_len: 0,
        }
    }
}

impl Chunked {
    /// Bytes of `input` that belong to this body, and whether it ends with them.
    /// Errors: number of good bytes before the bad one, and what is wrong with it; fed again from the bad byte the answer is the same.
    pub(super) fn feed(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, bool), (usize, Violation)> {
        let mut at = 0;
        while let Some(rest) = input.get(at..)
            && let Some(&byte) = rest.first()
        {
            if let State::Data { left } = self.state {
                let run = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(left);
                at = at.saturating_add(usize::try_from(run).unwrap_or(rest.len()));
                self.state = if run == left { State::DataCr } else { State::Data { left: left - run } };
                continue;
            }
            self.state = self.step(byte, limits).map_err(|violation| (at, violation))?;
            at += 1;
            if matches!(self.state, State::Done) {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    fn step(&mut self, byte: u8, limits: &Limits) -> Result<State, Violation> {
        Ok(match (self.state, byte) {
            (State::Size { digits, value }, _) => size(digits, value, byte)?,
            (State::Extension { value, .. }, b'\r') => State::SizeLf { value },
            (State::Extension { length, value }, _) => self.extension(length, value, byte, limits)?,
            (State::SizeLf { value: 0 }, b'\n') => State::TrailerStart,
            (State::SizeLf { value }, b'\n') => State::Data { left: value },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0, value: 0 },
            (State::DataCr | State::DataLf, _) => return Err(Violation::BadChunkEnd),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            (State::SizeLf { .. } | State::TrailerLf | State::EndLf, _) => return Err(Violation::BareCr),
            (State::TrailerStart | State::TrailerName | State::TrailerValue, _) => self.trailer(byte, limits)?,
            (State::Data { .. } | State::Done, _) => return Err(Violation::BadChunkEnd),
        })
    }

    fn extension(&mut self, length: usize, value: u64, byte: u8, limits: &Limits) -> Result<State, Violation> {
        if byte == b'\n' {
            return Err(Violation::BareLf);
        }
        if !is_line_byte(byte) {
            return Err(Violation::ControlByte);
        }
        if length >= limits.chunk_extension || self.extensions >= limits.chunk_extensions_total {
            return Err(Violation::ChunkExtensionTooLong);
        }
        self.extensions += 1;
        Ok(State::Extension { length: length + 1, value })
    }

    fn trailer(&mut self, byte: u8, limits: &Limits) -> Result<State, Violation> {
        if self.trailers >= limits.trailers {
            return Err(Violation::TrailersTooLarge);
        }
        let next = match (self.state, byte) {
            (_, b'\n') => return Err(Violation::BareLf),
            (State::TrailerStart, b' ' | b'\t') => return Err(Violation::ObsFold),
            (State::TrailerName, b' ' | b'\t') => return Err(Violation::SpaceBeforeColon),
            (State::TrailerName, b':') => {
                if self.name.get(..self.name_len).is_some_and(is_forbidden_trailer) {
                    return Err(Violation::ForbiddenTrailer);
                }
                State::TrailerValue
            }
            (State::TrailerStart | State::TrailerName, _) => {
                if !is_tchar(byte) {
                    return Err(Violation::BadHeaderName);
                }
                if matches!(self.state, State::TrailerStart) {
                    self.name_len = 0;
                }
                // Beyond NAME_KEPT the length only grows past the array, so that `get` above finds no name to compare.
                if let Some(place) = self.name.get_mut(self.name_len) {
                    *place = byte.to_ascii_lowercase();
                }
                self.name_len = self.name_len.saturating_add(1);
                State::TrailerName
            }
            (_, b'\r') => State::TrailerLf,
            _ if !is_line_byte(byte) => return Err(Violation::ControlByte),
            _ => State::TrailerValue,
        };
        self.trailers += 1;
        Ok(next)
    }
}

fn size(digits: u8, value: u64, byte: u8) -> Result<State, Violation> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        if digits >= MAX_SIZE_DIGITS {
            return Err(Violation::BadChunkSize);
        }
        return Ok(State::Size { digits: digits + 1, value: (value << 4) | u64::from(digit) });
    }
    match byte {
        _ if digits == 0 => Err(Violation::BadChunkSize),
        b'\r' => Ok(State::SizeLf { value }),
        b';' => Ok(State::Extension { length: 0, value }),
        b'\n' => Err(Violation::BareLf),
        _ => Err(Violation::BadChunkSize),
    }
}
