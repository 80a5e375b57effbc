//! A client whose address has all the connections it may have here ([`common::net::no_place`]): it is told so at once, in its own protocol,
//! and nothing that it sends is understood. Each costs one small record, and a socket that is kept for two seconds at most so that the
//! answer arrives ([`common::net::farewell`], bounded there). A process that is full as a whole gives the hand-over back instead.

use std::os::fd::OwnedFd;

use common::ipc::messages::terminator_to_filter::Kind;
use common::ipc::receiver::Verdict;
use common::net::farewell::part;
use common::net::no_place::{SHARE, answer};

use super::app::Instance;
use super::tls_stream::last_words;

/// Refuses it. `kind` [`Kind::Relay`] also stands for a client without TLS: what is written there is plaintext.
pub fn refuse(instance: &Instance, socket: OwnedFd, kind: Kind, h2: bool) -> Verdict {
    let (lingering, words) = (instance.metrics.lingering.clone(), answer(h2, SHARE));
    if matches!(kind, Kind::Relay) {
        part(socket, &words, &lingering);
        return Verdict::Taken;
    }
    // Sealed only when nobody else can seal any more.
    Verdict::TakenOnce(Box::new(move || match last_words(&kind, &words) {
        Ok(records) => part(socket, &records, &lingering),
        Err(error) => tracing::error!("tls-terminator handed over a connection that cannot be answered: {error}"),
    }))
}
