//! TLS as strangers speak it: every client that people have, records cut and malformed in every way, keys renewed, processes
//! that are stopped and killed in the middle. One test binary beside `e2e`, on the same harness.
//!
//! Tests run for each way in which the terminator may leave a connection to http-filter ([`world::Handoff`]).
//!
//! [`world`] and [`program`] are what tests stand on. [`matrix`]: 76 clients. [`key_update`]: `K` and `k` of openssl,
//! `^rekey^` of gnutls. [`held`] is a rustls client whose bytes are sent by hand; [`splits`] and [`bulk`] are what a record layer
//! must bear. [`strange`] is a TLS 1.3 client of our own that obeys no rule, [`hello`] what it begins with, [`hostile`] what it
//! does, with [`bare`] rustls as the yardstick; [`old_records`] does the same in TLS 1.2, behind the handshake. [`lives`] are connections that never rest, for [`kills`] of the terminator;
//! [`double_delivery`] stops and kills filters.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod bare;
mod bulk;
mod double_delivery;
mod flood;
mod held;
mod hello;
mod hostile;
mod key_update;
mod kills;
mod lives;
mod matrix;
mod old_records;
mod program;
mod scanners;
mod splits;
mod strange;
mod world;
