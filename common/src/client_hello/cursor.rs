//! A reader over bytes of strangers that cannot run past their end.
//!
//! Every read names the field it wants, so that a length that lies becomes an error that says which one lied
//! (the vectors of RFC 8446 §3.4: a length of one or two bytes, then that many bytes). It must never panic.

use super::Malformed;

/// What is still unread.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    field: &'static str,
}

impl<'a> Cursor<'a> {
    /// Starts reading `bytes`; `field` is named in errors.
    pub(super) fn new(bytes: &'a [u8], field: &'static str) -> Self {
        Self { rest: bytes, field }
    }

    /// Errors from here on name `field`.
    pub(super) fn expect(&mut self, field: &'static str) -> &mut Self {
        self.field = field;
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.lied())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or_else(|| self.lied())?;
        self.rest = rest;
        Ok(byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        let (&pair, rest) = self.rest.split_first_chunk::<2>().ok_or_else(|| self.lied())?;
        self.rest = rest;
        Ok(u16::from_be_bytes(pair))
    }

    /// A vector with a length of one byte.
    pub(super) fn vec8(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A vector with a length of two bytes.
    pub(super) fn vec16(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.lied()) }
    }

    /// The error for a field whose length does not fit.
    pub(super) fn lied(&self) -> Malformed {
        Malformed::Length(self.field)
    }
}

/// The 16-bit values of a vector that must hold at least one and no half one.
pub(super) fn u16_list<'a>(
    bytes: &'a [u8],
    field: &'static str,
) -> Result<impl Iterator<Item = u16> + use<'a>, Malformed> {
    let (pairs, half) = bytes.as_chunks::<2>();
    if pairs.is_empty() || !half.is_empty() {
        return Err(Malformed::Length(field));
    }
    Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)))
}
