//! [`crate::last_words`] in TLS 1.2.

use std::io::IoSlice;

use super::keys::Protection;
use super::layer::Direction;
use super::seal::Sealer;
use crate::alert::Alert;
use crate::error::Error;
use crate::frame::{MAX_PLAINTEXT, content};

/// Seals `plain` and close_notify. The keys are gone with it, so nothing can be sealed behind it.
///
/// # Errors
/// No key can be made of what was handed over, or it has no record left.
pub fn last_words(write: Direction, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let limit = write.keys.suite().records_per_key();
    let mut sealer = Sealer::new(Protection::new(write.keys, write.sequence)?, limit);
    let mut out = Vec::new();
    sealer
        .data(&[IoSlice::new(plain)], usize::MAX, MAX_PLAINTEXT, &mut out)
        .and_then(|_| sealer.message(content::ALERT, &Alert::CLOSE_NOTIFY.message(), &mut out))
        .map_err(|_| Error::Crypto)?;
    Ok(out)
}
