//! tls-record: the record layer of TLS after the handshake, without any I/O: TLS 1.3 (RFC 8446 §5, §4.6.3, §7) here, TLS 1.2 in [`tls12`].
//!
//! tls-terminator shakes hands, then hands the socket, the two application traffic secrets (TLS 1.2: keys) and the two sequence numbers to
//! http-filter, which goes on with this crate. In the order in which a record meets the files:
//!
//! `layer` (both directions, what is final) → `open` (one record in) or `seal` (records out) → `frame` (header, type, padding) → `keys` (key,
//! IV, sequence number) → `secret` (derivation) → `suite`. `update` and `alert` read the two kinds of messages that may come, `fault` is
//! every refusal with its alert, `last_words` a farewell where nobody goes on, `limits` what is tolerated, `error` what a hand-over may get wrong.
//!
//! Bytes of a stranger reach `open`, `frame`, `update` (`tls12::hello`) and `alert` only; nothing there allocates, loops longer than the record, or can panic.
//! There is no unprotected mode: a layer without keys does not exist.
//!
//! # Why a nonce cannot repeat
//!
//! With AES-GCM and ChaCha20-Poly1305 two records under one key and one nonce give away the difference of their plaintexts and the means to
//! forge more. Key and IV are functions of the traffic secret, the nonce is the IV with the sequence number mixed in (§5.3). So the claim is:
//! *nobody ever seals two records with the same secret and the same number.*
//!
//! - **In one direction, under one secret.** The number is a private field in `keys`. One function makes nonces; it stores the next number
//!   before it gives out the present one, and refuses when there is no next (2^64 − 1). Nothing else writes the field. A record that
//!   fails after that has spent its number, and the layer is dead. (aws-lc's own TLS 1.3 sealing key, which checks that nonces grow, cannot
//!   be used here: it takes its first nonce for number 0, and after a hand-over the first is another.)
//! - **Over a change of keys.** The numbers begin again at 0, but secret, key, IV and number are made together and replaced in one
//!   assignment, so a number of the new generation never meets the key of the old one. The KeyUpdate itself is the last record of the old key.
//!   A key is replaced after 2^24 records (AES-GCM), long before the end of the numbers. In TLS 1.2 keys do not change, and the connection ends
//!   there.
//! - **In TLS 1.2 with AES-GCM** the record carries eight bytes of its nonce, which the sender may choose (RFC 5288 §3). We choose what rustls
//!   chose for the records before the hand-over: eight bytes of the IV with the number mixed in. Any other rule, a plain counter for one, could meet
//!   one of those again.
//! - **Between the directions.** Client and server secrets are derived with different labels (TLS 1.2: are different parts of the key block). If a
//!   caller mixes them up and gives the same one twice, [`RecordLayer::new`] refuses.
//! - **From one process to the next.** A [`State`] cannot be cloned; [`RecordLayer::new`] and [`RecordLayer::into_state`] consume what they are
//!   given, and with the layer its keys are gone. What travels, however, are bytes in a message, and a message can be delivered twice. What
//!   follows is therefore the duty of the callers:
//!
//! 1. *The terminator forgets in the same step.* rustls gives the sequence numbers only for the connection itself
//!    (`dangerous_extract_secrets(self)`), so no record can be sealed behind the hand-over. Everything sealed before is on the socket.
//! 2. *A receiver seals nothing before its acknowledgement has left.* When a receiver dies, or is given up, before it has acknowledged, the
//!    sender gives the same message to another, which begins with the same number. Had the first one sealed a record, both would have used
//!    it. So the acknowledgement is written to the sender's channel first, then the first call of [`RecordLayer::seal`],
//!    [`RecordLayer::control`], [`RecordLayer::close`] or [`RecordLayer::fail`] is made; and the sender looks for acknowledgements that
//!    have come before it gives a parcel to the next. A record of ours that nobody ever sees would do no harm, but nobody can prove that.
//!    [`RecordLayer::open`] uses no nonce of ours; still a receiver should not *read the socket* before, because what it has read is lost to
//!    the next one.
//! 3. *A connection that lives is handed on by `into_state`*, only while it [is movable](RecordLayer::is_movable), after all sealed bytes are on the
//!    socket or travel along in order. The sender of that message makes a new layer of it only if the hand-over has come back: refused,
//!    or its receiver gone without an acknowledgement. At each moment one process owns the number. A terminator whose hand-over has come back
//!    so may seal [`last_words`] of it, once: nobody goes on behind them.
//! 4. *No process is copied*: none forks with a layer inside, and none is restored from a snapshot of its memory.
//!
//! # What is wiped
//!
//! Traffic secrets, keys and IVs (`zeroize`) when they are dropped or replaced, what is derived on the stack, and aws-lc's key schedules, which
//! its allocator wipes. Not wiped: the bytes a caller made a [`Secret`] of, and plaintext, which is the caller's.
#![forbid(unsafe_code)]

mod alert;
mod error;
mod fault;
mod frame;
mod keys;
mod last_words;
mod layer;
mod limits;
mod open;
mod seal;
mod secret;
mod suite;
pub mod tls12;
mod update;

pub use alert::Alert;
pub use error::Error;
pub use fault::Fault;
pub use frame::{MAX_PLAINTEXT, MAX_RECORD, OVERHEAD};
pub use last_words::last_words;
pub use layer::{Direction, Opened, RecordLayer, State};
pub use limits::Limits;
pub use secret::Secret;
pub use suite::Suite;
