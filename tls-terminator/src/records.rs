//! TLS records in, plaintext out, and back: drives rustls's unbuffered connection over buffers that the caller lends. No I/O.
//!
//! The connection itself keeps no bytes between two calls, so thousands of idle ones cost no buffers. Two rules of that
//! interface are kept here and nowhere else: what was not consumed must be shown again, unchanged and at the front, at *every*
//! next call (it may be decrypted in place already); and what rustls wants sent goes out in the order in which it says so.

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError};

/// A buffer that is filled from the front; never zeroed again.
#[derive(Debug)]
pub struct Fill {
    buffer: Vec<u8>,
    filled: usize,
}

impl Fill {
    /// An empty one of `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Self { buffer: vec![0; capacity], filled: 0 }
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    /// Forgets what is in it.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Lets `write` fill at least `least` bytes more; it returns how many it did.
    fn append<E>(&mut self, least: usize, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        if self.buffer.len() < self.filled + least {
            self.buffer.resize(self.filled + least, 0);
        }
        let written = write(self.buffer.get_mut(self.filled..).unwrap_or_default())?;
        self.filled = (self.filled + written).min(self.buffer.len());
        Ok(())
    }
}

/// What a pass over received bytes came to.
#[derive(Debug)]
pub struct Pass {
    /// Bytes of the input that are done with; the rest must be shown again.
    pub consumed: usize,
    /// The handshake is finished: plaintext may be sent.
    pub traffic: bool,
    /// The client said `close_notify`: it sends nothing more.
    pub closed: bool,
    /// The connection is over. The alert that tells the client so is in the output.
    pub fault: Option<rustls::Error>,
}

/// Takes in one record after the other, until the handshake is done: nothing behind it is shown to rustls, so whoever goes on
/// with the connection finds every byte that the client sent behind its handshake. `before`: bytes at the front of `input` that
/// rustls was shown the last time and has not consumed; it must never be shown fewer, and may have moved them about.
pub fn take_in_handshake(
    tls: &mut UnbufferedServerConnection,
    input: &mut [u8],
    before: &mut usize,
    plain: &mut Vec<u8>,
    out: &mut Fill,
) -> Pass {
    let mut whole = Pass { consumed: 0, traffic: false, closed: false, fault: None };
    let mut shown = *before;
    loop {
        // A message that is spread over several records is not consumed before its last one.
        let Some(next) = record_length(input.get(shown..).unwrap_or_default()) else { return whole };
        shown += next;
        let window = input.get_mut(whole.consumed..shown).unwrap_or_default();
        let pass = take_in(tls, window, plain, out);
        whole = Pass { consumed: whole.consumed + pass.consumed, ..pass };
        *before = shown.saturating_sub(whole.consumed);
        if whole.traffic || whole.closed || whole.fault.is_some() {
            return whole;
        }
    }
}

/// Bytes of the first record with its header; `None`: it is not whole. (RFC 8446 §5.1; of bytes that are no record rustls is
/// shown the header, at which it finds out.)
fn record_length(bytes: &[u8]) -> Option<usize> {
    let [kind, major, _, high, low, ..] = *bytes else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_record = matches!(kind, 20..=24) && major == 3 && length <= MAX_PAYLOAD;
    let whole = if is_record { HEADER + length } else { HEADER };
    (bytes.len() >= whole).then_some(whole)
}

/// Bytes of a record's header.
const HEADER: usize = 5;
/// Bytes of a record's payload at most, in any version (RFC 5246 §6.2.3; TLS 1.3 allows less, as rustls knows).
const MAX_PAYLOAD: usize = 16 * 1024 + 2048;

/// Takes in as many records as there are. Plaintext is appended to `plain`, what must be sent to `out`.
pub fn take_in(tls: &mut UnbufferedServerConnection, input: &mut [u8], plain: &mut Vec<u8>, out: &mut Fill) -> Pass {
    let mut pass = Pass { consumed: 0, traffic: false, closed: false, fault: None };
    loop {
        let rest = input.get_mut(pass.consumed..).unwrap_or_default();
        let status = tls.process_tls_records(rest);
        let mut discard = status.discard;
        let more = match status.state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    Some(Ok(record)) => {
                        plain.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                    Some(Err(error)) => {
                        pass.fault = Some(error);
                        break false;
                    }
                    None => break true,
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(|room| data.encode(room), out);
                true
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done(); // it is in `out`, which is sent before anything later
                true
            }
            Ok(ConnectionState::PeerClosed) => {
                pass.closed = true;
                true
            }
            Ok(ConnectionState::WriteTraffic(_)) => {
                pass.traffic = true;
                false
            }
            Ok(ConnectionState::Closed) => {
                pass.traffic = true;
                pass.closed = true;
                false
            }
            Ok(ConnectionState::BlockedHandshake) => false,
            // Early data is never offered, so this is not reached; any later kind of state is not known here.
            Ok(_) => {
                pass.fault = Some(rustls::Error::General("unexpected state of the TLS connection".into()));
                false
            }
            Err(error) => {
                pass.fault = Some(error);
                false
            }
        };
        pass.consumed += discard;
        if !more {
            break;
        }
    }
    if pass.fault.is_some() {
        let rest = input.get_mut(pass.consumed..).unwrap_or_default();
        take_alerts(tls, rest, out);
    }
    pass
}

/// After a fault: what rustls has queued to tell the client.
fn take_alerts(tls: &mut UnbufferedServerConnection, rest: &mut [u8], out: &mut Fill) {
    // `wants_write` holds as long as something is queued, and then that is the first thing a call returns.
    while tls.wants_write() {
        match tls.process_tls_records(rest).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(|room| data.encode(room), out),
            _ => return,
        }
    }
}

fn encode(mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>, out: &mut Fill) {
    let mut least = 0;
    // Twice at most: the first answer says how much room it takes.
    for _ in 0..2 {
        match out.append(least, &mut encode) {
            Err(EncodeError::InsufficientSize(size)) => least = size.required_size,
            Ok(()) | Err(EncodeError::AlreadyEncoded) => return,
        }
    }
}

/// The connection can send nothing more: its keys are used up (TLS 1.2 has no way to renew them), or it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// Appends `plain` as records to `out`. `held` is what the last [`take_in`] did not consume.
pub fn protect(
    tls: &mut UnbufferedServerConnection,
    held: &mut [u8],
    plain: &[u8],
    out: &mut Fill,
) -> Result<(), Exhausted> {
    sending(tls, held, out, |traffic, room| traffic.encrypt(plain, room))
}

/// Appends `close_notify` to `out`.
pub fn say_goodbye(tls: &mut UnbufferedServerConnection, held: &mut [u8], out: &mut Fill) -> Result<(), Exhausted> {
    sending(tls, held, out, |traffic, room| traffic.queue_close_notify(room))
}

type Traffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::server::ServerConnectionData>;

fn sending(
    tls: &mut UnbufferedServerConnection,
    held: &mut [u8],
    out: &mut Fill,
    mut send: impl FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Exhausted> {
    let mut least = 0;
    loop {
        match tls.process_tls_records(held).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(|room| data.encode(room), out),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => {}
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                match out.append(least, |room| send(&mut traffic, room)) {
                    Ok(()) => return Ok(()),
                    Err(EncryptError::InsufficientSize(size)) if size.required_size > least => {
                        least = size.required_size
                    }
                    Err(_) => return Err(Exhausted),
                }
            }
            _ => return Err(Exhausted),
        }
    }
}

#[cfg(test)]
#[path = "records/tests.rs"]
mod tests;
