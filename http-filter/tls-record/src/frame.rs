//! The bytes of a record, without keys: header and lengths (RFC 8446 §5.1, §5.2), inner content type and padding (§5.4). Pure.

use crate::fault::Fault;

/// Bytes of a record header.
pub(crate) const HEADER: usize = 5;

/// Bytes of an AEAD tag, of all suites.
pub(crate) const TAG: usize = 16;

/// Content that one record may hold, bytes (§5.1).
pub const MAX_PLAINTEXT: usize = 1 << 14;

/// What protection may add to the content, bytes (§5.2): type, padding, tag.
const MAX_EXPANSION: usize = 256;

/// The largest record that a peer may send, with its header, bytes.
pub const MAX_RECORD: usize = HEADER + MAX_PLAINTEXT + MAX_EXPANSION;

/// What a sealed record adds to its plaintext, bytes: header, content type, tag.
pub const OVERHEAD: usize = HEADER + 1 + TAG;

/// Content types (§5.1, §B.1).
pub(crate) mod content {
    pub(crate) const ALERT: u8 = 21;
    pub(crate) const HANDSHAKE: u8 = 22;
    pub(crate) const DATA: u8 = 23;
}

/// Reads a header: bytes of the fragment behind it.
///
/// The version is not looked at ("MUST be ignored for all purposes", §5.1), but as part of the additional data it is authenticated as it
/// came. After the handshake every record says application data; a change_cipher_spec is legal before the Finished only (§5), and an alert in
/// the clear would end the connection for anybody on the way.
pub(crate) fn fragment_length(header: [u8; HEADER]) -> Result<usize, Fault> {
    let [kind, _, _, high, low] = header;
    if kind != content::DATA {
        return Err(Fault::Unprotected(kind));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_PLAINTEXT + MAX_EXPANSION { Err(Fault::RecordTooLong) } else { Ok(length) }
}

/// The header of a record of our own, for `content` bytes of plaintext.
pub(crate) fn header(content: usize) -> [u8; HEADER] {
    // At most MAX_PLAINTEXT + 17, which fits.
    let [high, low] = u16::try_from(content + 1 + TAG).unwrap_or(u16::MAX).to_be_bytes();
    [content::DATA, 3, 3, high, low]
}

/// Takes an opened record apart: content type and content. The padding is what stands behind the last octet that is not zero. To look for
/// it takes longer the more there is (RFC 8446 §E.3 speaks of that), a few microseconds at most.
pub(crate) fn inner(plain: &[u8]) -> Result<(u8, &[u8]), Fault> {
    if plain.len() > MAX_PLAINTEXT + 1 {
        return Err(Fault::RecordTooLong);
    }
    let mut rest = plain;
    while let Some((&last, before)) = rest.split_last() {
        if last != 0 {
            return Ok((last, before));
        }
        rest = before;
    }
    Err(Fault::NoContentType)
}
