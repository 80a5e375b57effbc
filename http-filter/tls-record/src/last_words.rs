//! The last words to a peer for whom nobody goes on: a little plaintext and close_notify, sealed by whoever owns the writing direction at that
//! moment. Nothing of the peer is opened.

use std::io::IoSlice;

use crate::alert::Alert;
use crate::error::Error;
use crate::frame::{MAX_PLAINTEXT, content};
use crate::keys::Protection;
use crate::layer::Direction;
use crate::seal::Sealer;

/// Seals `plain` and close_notify. The keys are gone with it, so nothing can be sealed behind it.
///
/// # Errors
/// No key can be made of the secret, or it has no record left.
pub fn last_words(write: Direction, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let Direction { secret, sequence } = write;
    let limit = secret.suite().records_per_key();
    let mut sealer = Sealer::new(Protection::new(secret, sequence)?, limit);
    let mut out = Vec::new();
    sealer
        .data(&[IoSlice::new(plain)], usize::MAX, MAX_PLAINTEXT, &mut false, &mut out)
        .and_then(|_| sealer.message(content::ALERT, &Alert::CLOSE_NOTIFY.message(), &mut out))
        .map_err(|_| Error::Crypto)?;
    Ok(out)
}
