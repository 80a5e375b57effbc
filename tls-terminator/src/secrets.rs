//! What http-filter needs to go on with a connection: in TLS 1.3 the two application traffic secrets and the numbers of the next
//! records (RFC 8446 §7.1, §5.3). They are caught while rustls derives them, and taken out of it when the handshake is done. In TLS 1.2 keys, IVs
//! and numbers (RFC 5246 §6.3), all of which rustls gives in the end.
//!
//! Only these two secrets can be caught. The master secret of TLS 1.2 and the exporter secret are never accepted, and the
//! resumption secret is never logged by rustls: so what leaves this process opens one connection and no other.
//!
//! Nonces (RFC 8446 §5.3) cannot repeat over the hand-over: [`extract`] consumes the connection, so this process seals nothing
//! more; http-filter seals nothing before its acknowledgement has left, and before that the message is given to nobody else.

use std::cell::RefCell;

use common::ipc::messages::terminator_to_filter::{Direction, KeyedDirection, Kind, Tls12Keys, Tls13Secrets};
use common::ipc::secret::Secret;
use rustls::server::UnbufferedServerConnection;
use rustls::{ConnectionTrafficSecrets, KeyLog, ProtocolVersion};

/// The secrets of one connection, as far as they are known.
#[derive(Debug, Default)]
pub struct Caught {
    client: Option<Secret>,
    server: Option<Secret>,
}

thread_local! {
    /// Those of the connection that rustls works on now.
    static CATCHING: RefCell<Option<Caught>> = const { RefCell::new(None) };
}

/// Hands secrets to [`catching`]; for the configurations of sites whose connections are handed over.
#[derive(Debug)]
pub struct Catcher;

/// RFC 9850 names them so.
const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";

impl KeyLog for Catcher {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        CATCHING.with_borrow_mut(|catching| match (label, catching) {
            (CLIENT, Some(caught)) => caught.client = Secret::new(secret),
            (SERVER, Some(caught)) => caught.server = Secret::new(secret),
            _ => {}
        });
    }

    fn will_log(&self, label: &str) -> bool {
        matches!(label, CLIENT | SERVER)
    }
}

/// Runs one step of a handshake and keeps what it derives. rustls derives on the thread that runs it, during the step.
pub fn catching<R>(caught: &mut Caught, step: impl FnOnce() -> R) -> R {
    CATCHING.set(Some(std::mem::take(caught)));
    let result = step();
    *caught = CATCHING.take().unwrap_or_default();
    result
}

/// Why a connection cannot be handed over by its secrets. Ours or rustls's fault, never the client's.
#[derive(Debug, thiserror::Error)]
pub enum NoSecrets {
    /// The catcher was not asked.
    #[error("rustls did not tell the traffic secrets")]
    Untold,
    /// rustls does not give the connection up.
    #[error("rustls does not give the connection up: {0}")]
    Kept(#[from] rustls::Error),
}

/// Ends a connection here. Its handshake is done, nothing waits to be sent, and `received` is all that rustls was not shown.
pub fn extract(tls: UnbufferedServerConnection, caught: Caught, received: Vec<u8>) -> Result<Kind, NoSecrets> {
    let suite = tls.negotiated_cipher_suite().map(|suite| suite.suite().into()).ok_or(NoSecrets::Untold)?;
    let received = received.into();
    if tls.protocol_version() == Some(ProtocolVersion::TLSv1_2) {
        let (secrets, _forgotten) = tls.dangerous_into_kernel_connection()?;
        let (read, write) = (keyed(&secrets.rx)?, keyed(&secrets.tx)?);
        return Ok(Kind::Tls12Keys(Box::new(Tls12Keys { suite, read, write, received })));
    }
    let Caught { client: Some(client), server: Some(server) } = caught else { return Err(NoSecrets::Untold) };
    let (secrets, _forgotten) = tls.dangerous_into_kernel_connection()?;
    Ok(Kind::Tls13Secrets(Box::new(Tls13Secrets {
        suite,
        read: Direction { secret: client, sequence: secrets.rx.0 },
        write: Direction { secret: server, sequence: secrets.tx.0 },
        received,
    })))
}

/// One direction of TLS 1.2.
fn keyed((sequence, secrets): &(u64, ConnectionTrafficSecrets)) -> Result<KeyedDirection, NoSecrets> {
    use ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
    let (Aes128Gcm { key, iv } | Aes256Gcm { key, iv } | Chacha20Poly1305 { key, iv }) = secrets else {
        return Err(NoSecrets::Untold);
    };
    let told = |bytes: &[u8]| Secret::new(bytes).ok_or(NoSecrets::Untold);
    Ok(KeyedDirection { key: told(key.as_ref())?, iv: told(iv.as_ref())?, sequence: *sequence })
}
