//! The record layer of either version behind one set of calls, and the way between it and the messages that carry its state.

use std::io::IoSlice;

use common::ipc::messages::terminator_to_filter::{Direction, KeyedDirection, Kind, Tls12Keys, Tls13Secrets};
use common::ipc::secret::Secret as Told;
use tls_record::{Error, Fault, Limits, Opened, RecordLayer, Secret, State, Suite, tls12};

/// A record layer.
#[derive(Debug)]
pub enum Layer {
    /// TLS 1.3
    New(RecordLayer),
    /// TLS 1.2
    Old(tls12::RecordLayer),
}

/// Whichever it is, the call is the same.
macro_rules! either {
    ($layer:expr, $it:ident => $call:expr) => {
        match $layer {
            Layer::New($it) => $call,
            Layer::Old($it) => $call,
        }
    };
}

impl Layer {
    /// Goes on with a TLS 1.3 connection.
    pub fn tls13(secrets: &Tls13Secrets, limits: Limits) -> Result<Self, Error> {
        let suite = Suite::try_from(secrets.suite)?;
        let direction = |told: &Direction| {
            let secret = Secret::new(suite, told.secret.expose())?;
            Ok::<_, Error>(tls_record::Direction { secret, sequence: told.sequence })
        };
        let state = State { suite, read: direction(&secrets.read)?, write: direction(&secrets.write)? };
        RecordLayer::new(state, limits).map(Self::New)
    }

    /// Goes on with a TLS 1.2 connection. How many records a key may protect is the suite's affair alone: there it ends the connection.
    pub fn tls12(keys: &Tls12Keys, limits: Limits) -> Result<Self, Error> {
        let suite = tls12::Suite::try_from(keys.suite)?;
        let direction = |told: &KeyedDirection| {
            let keys = tls12::Keys::new(suite, told.key.expose(), told.iv.expose())?;
            Ok::<_, Error>(tls12::Direction { keys, sequence: told.sequence })
        };
        let state = tls12::State { suite, read: direction(&keys.read)?, write: direction(&keys.write)? };
        let limits = Limits { records_per_key: u64::MAX, ..limits };
        tls12::RecordLayer::new(state, limits).map(Self::Old)
    }

    /// Takes it apart for a successor; `received`: what was read and not opened. `None`: a secret is longer than a message takes, which none is.
    pub fn into_kind(self, received: Vec<u8>) -> Option<Kind> {
        let received = received.into();
        Some(match self {
            Self::New(layer) => {
                let State { suite, read, write } = layer.into_state();
                let told = |from: tls_record::Direction| {
                    Some(Direction { secret: Told::new(from.secret.expose())?, sequence: from.sequence })
                };
                let secrets = Tls13Secrets { suite: suite.into(), read: told(read)?, write: told(write)?, received };
                Kind::Tls13Secrets(Box::new(secrets))
            }
            Self::Old(layer) => {
                let tls12::State { suite, read, write } = layer.into_state();
                let told = |from: tls12::Direction| {
                    let (key, iv) = (Told::new(from.keys.expose_key())?, Told::new(from.keys.expose_iv())?);
                    Some(KeyedDirection { key, iv, sequence: from.sequence })
                };
                let keys = Tls12Keys { suite: suite.into(), read: told(read)?, write: told(write)?, received };
                Kind::Tls12Keys(Box::new(keys))
            }
        })
    }

    /// See [`RecordLayer::is_movable`].
    pub fn is_movable(&self) -> bool {
        either!(self, it => it.is_movable())
    }

    /// See [`RecordLayer::open`].
    pub fn open<'b>(&mut self, input: &'b mut [u8]) -> Result<Opened<'b>, Fault> {
        either!(self, it => it.open(input))
    }

    /// See [`RecordLayer::wants_control`].
    pub fn wants_control(&self) -> bool {
        either!(self, it => it.wants_control())
    }

    /// See [`RecordLayer::control`].
    pub fn control(&mut self, out: &mut Vec<u8>) {
        either!(self, it => it.control(out));
    }

    /// See [`RecordLayer::seal`].
    pub fn seal(
        &mut self,
        parts: &[IoSlice<'_>],
        limit: usize,
        record: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        either!(self, it => it.seal(parts, limit, record, out))
    }

    /// See [`RecordLayer::close`].
    pub fn close(&mut self, out: &mut Vec<u8>) {
        either!(self, it => it.close(out));
    }

    /// See [`RecordLayer::end`].
    pub fn end(&self) -> Result<(), Fault> {
        either!(self, it => it.end())
    }
}
