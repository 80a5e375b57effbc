//! The sessions that a ClientHello offers to resume: tickets of TLS 1.2 (RFC 5077 §3.2) and identities of TLS 1.3 (RFC 8446 §4.2.11).
//!
//! Asked only about clients that are over their share of full handshakes, before any TLS state exists. It judges nothing: whether a ticket is good
//! is for the one who has its key to say.

use super::cursor::Cursor;
use super::parse::extension;
use super::records::{self, Records};

/// More identities are not looked at. Clients offer one or two.
const MAX_IDENTITIES: usize = 8;

/// Whether one of the offered sessions is `good`. A hello that is not whole, or no hello, offers none. `limit` as in [`super::read`].
pub fn offers_session(bytes: &[u8], limit: usize, mut good: impl FnMut(&[u8]) -> bool) -> bool {
    let Ok(Records::Complete(message)) = records::gather(bytes, limit) else { return false };
    any(&message.body, &mut good).unwrap_or(false)
}

fn any(body: &[u8], good: &mut impl FnMut(&[u8]) -> bool) -> Result<bool, super::Malformed> {
    let mut body = Cursor::new(body, "hello");
    body.take(2 + 32)?; // version and random
    body.vec8()?; // session id
    body.vec16()?; // suites
    body.vec8()?; // compression
    if body.is_empty() {
        return Ok(false);
    }
    let mut extensions = Cursor::new(body.vec16()?, "extensions");
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vec16()?;
        let found = match kind {
            extension::SESSION_TICKET => !data.is_empty() && good(data),
            extension::PRE_SHARED_KEY => any_identity(data, good)?,
            _ => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn any_identity(data: &[u8], good: &mut impl FnMut(&[u8]) -> bool) -> Result<bool, super::Malformed> {
    let mut identities = Cursor::new(Cursor::new(data, "identities").vec16()?, "identities");
    for _ in 0..MAX_IDENTITIES {
        if identities.is_empty() {
            return Ok(false);
        }
        let identity = identities.vec16()?;
        identities.take(4)?; // obfuscated_ticket_age
        if good(identity) {
            return Ok(true);
        }
    }
    Ok(false)
}
