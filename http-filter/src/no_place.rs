//! A client whose address has all the connections it may have here ([`common::net::no_place`]): it is told so at once, in its own protocol,
//! and nothing that it sends is understood. Each costs one small record, and a socket that is kept for two seconds at most so that the
//! answer arrives ([`common::net::farewell`], bounded there). A process that is full as a whole gives the hand-over back instead.

use std::os::fd::OwnedFd;

use common::ipc::messages::terminator_to_filter::{Kind, Tls12Keys, Tls13Secrets};
use common::ipc::receiver::Verdict;
use common::net::farewell::part;
use common::net::no_place::{SHARE, answer};
use tls_record::{Direction, Error, Secret, Suite, last_words, tls12};

use super::app::Instance;

/// Refuses it. `kind` [`Kind::Relay`] also stands for a client without TLS: what is written there is plaintext.
pub fn refuse(instance: &Instance, socket: OwnedFd, kind: Kind, h2: bool) -> Verdict {
    let (lingering, words) = (instance.metrics.lingering.clone(), answer(h2, SHARE));
    match kind {
        Kind::Relay => {
            part(socket, &words, &lingering);
            Verdict::Taken
        }
        // Sealed only when nobody else can seal any more.
        keyed => Verdict::TakenOnce(Box::new(move || match sealed(&keyed, &words) {
            Ok(records) => part(socket, &records, &lingering),
            Err(error) => tracing::error!("tls-terminator handed over a connection that cannot be answered: {error}"),
        })),
    }
}

fn sealed(kind: &Kind, words: &[u8]) -> Result<Vec<u8>, Error> {
    match kind {
        Kind::Relay => Ok(words.to_vec()),
        Kind::Tls13Secrets(secrets) => sealed_in_tls13(secrets, words),
        Kind::Tls12Keys(keys) => sealed_in_tls12(keys, words),
    }
}

fn sealed_in_tls13(secrets: &Tls13Secrets, words: &[u8]) -> Result<Vec<u8>, Error> {
    let write = &secrets.write;
    let secret = Secret::new(Suite::try_from(secrets.suite)?, write.secret.expose())?;
    last_words(Direction { secret, sequence: write.sequence }, words)
}

fn sealed_in_tls12(keys: &Tls12Keys, words: &[u8]) -> Result<Vec<u8>, Error> {
    let write = &keys.write;
    let keys = tls12::Keys::new(tls12::Suite::try_from(keys.suite)?, write.key.expose(), write.iv.expose())?;
    tls12::last_words(tls12::Direction { keys, sequence: write.sequence }, words)
}
