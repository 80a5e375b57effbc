//! The guard that counts HTTP/2 frames: no panic, the same verdict and the same GOAWAY however the bytes of both sides are cut, and a verdict
//! is never taken back. The first byte of each piece says whose it is.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use common_http::h2_guard::{Budgets, Counts, Flood, Guard};
use libfuzzer_sys::fuzz_target;

fn budgets() -> Arc<Budgets> {
    let few = Some(5);
    Arc::new(Budgets::new(&Counts {
        window: Duration::from_secs(30),
        resets: few,
        provoked_resets: few,
        settings: few,
        pings: few,
        priorities: few,
        empty_data: few,
        tiny_data: few,
        window_updates: few,
        unknown_frames: few,
        continuations: few,
        header_block: Some(1000),
    }))
}

/// What comes of the stream of both sides, fed in pieces of at most `size` bytes.
fn watch(turns: &[(bool, &[u8])], size: usize) -> (Option<Flood>, Option<[u8; 17]>) {
    let mut guard = Guard::new(budgets());
    let mut flood = None;
    for (from_client, bytes) in turns {
        for piece in bytes.chunks(size) {
            match from_client {
                true => drop(guard.received(piece, 0)),
                false => guard.sent(piece),
            }
            let now = guard.verdict().err();
            assert!(flood.is_none() || flood == now, "{flood:?} was taken back: {now:?}");
            flood = now;
        }
    }
    let _ = guard.worked();
    (flood, guard.goaway(11))
}

fuzz_target!(|bytes: &[u8]| {
    let mut turns = vec![(true, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice())];
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let (turn, after) = after.split_at(usize::from(first >> 1).min(after.len()));
        turns.push((first & 1 == 0, turn));
        rest = after;
    }
    let whole = watch(&turns, usize::MAX);
    for size in [1, 7, 64] {
        assert_eq!(watch(&turns, size), whole, "in pieces of {size}");
    }
});
