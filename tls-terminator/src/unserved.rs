//! A client whose handshake is done and whom no http-filter takes: it is told so in its own protocol ([`common::net::no_place`]) instead of being
//! cut off. A hand-over that has come back is this process's own again, so it may seal the last records of it, and nobody goes on behind
//! them ([`tls_record::last_words`]). Each costs two small records and a socket that is kept for two seconds at most so that they arrive
//! ([`common::net::farewell`], bounded there).

use common::ipc::messages::terminator_to_filter::{Decrypted, Kind, Tls12Keys, Tls13Secrets};
use common::ipc::sender::Parcel;
use common::net::farewell::part;
use common::net::no_place::{BUSY, answer};
use common::observe::metrics::Figure;
use tls_record::{Direction, Error, Secret, Suite, last_words, tls12};

/// Tells the client of a hand-over that came back, and closes.
pub fn tell(parcel: Parcel<Decrypted>, lingering: &Figure) {
    let Parcel { body, descriptors } = parcel;
    let words = answer(body.alpn.as_deref() == Some(b"h2"), BUSY);
    let bytes = match body.kind {
        // The relay at the other end makes records of it, and says goodbye where it ends.
        Kind::Relay => Ok(words),
        Kind::Tls13Secrets(secrets) => sealed(&secrets, &words),
        Kind::Tls12Keys(keys) => sealed_in_tls12(&keys, &words),
    };
    match (bytes, descriptors.into_iter().next()) {
        (Ok(bytes), Some(socket)) => part(socket, &bytes, lingering),
        (Err(error), _) => tracing::error!("a client cannot be told that nobody serves it: {error}"),
        (Ok(_), None) => {}
    }
}

fn sealed(secrets: &Tls13Secrets, words: &[u8]) -> Result<Vec<u8>, Error> {
    let write = &secrets.write;
    let secret = Secret::new(Suite::try_from(secrets.suite)?, write.secret.expose())?;
    last_words(Direction { secret, sequence: write.sequence }, words)
}

fn sealed_in_tls12(keys: &Tls12Keys, words: &[u8]) -> Result<Vec<u8>, Error> {
    let write = &keys.write;
    let keys = tls12::Keys::new(tls12::Suite::try_from(keys.suite)?, write.key.expose(), write.iv.expose())?;
    tls12::last_words(tls12::Direction { keys, sequence: write.sequence }, words)
}
