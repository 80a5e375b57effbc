//! Tests of the whole reading: rules one by one, any cut and any prefix, real clients, rustls as a second opinion.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod build;
mod clients;
mod oracle;
mod pieces;
mod rules;
mod sessions;

use super::*;
use build::*;

const LIMIT: usize = 64 * 1024;

/// The hello in `bytes`, which must be one.
fn hello(bytes: &[u8]) -> ClientHello {
    match read(bytes, LIMIT) {
        Reading::Hello(hello) => *hello,
        other => panic!("{other:?}"),
    }
}

/// The fault of `bytes`, which must have one.
fn fault(bytes: &[u8]) -> Malformed {
    match read(bytes, LIMIT) {
        Reading::Malformed(malformed) => malformed,
        other => panic!("{other:?}"),
    }
}

/// Reads every prefix of `bytes`: never a promise that is broken, never a verdict that is taken back.
fn read_every_prefix(bytes: &[u8], limit: usize) -> Reading {
    let whole = read(bytes, limit);
    let mut promised = 0;
    for end in 0..=bytes.len() {
        match read(&bytes[..end], limit) {
            Reading::Incomplete { at_least } => {
                assert!(at_least > end && at_least <= limit, "at {end}: {at_least}");
                assert!(at_least >= promised, "at {end}: {at_least} after {promised}");
                promised = at_least;
            }
            verdict => {
                assert_eq!(verdict, whole, "at {end} of {}", bytes.len());
                assert!(
                    end >= promised || !matches!(verdict, Reading::Hello(_)),
                    "hello at {end}, promised {promised}"
                );
            }
        }
    }
    whole
}
