//! Frames between processes, as a peer that somebody owns would send them: no panic, no allocation beyond the limit, and
//! what is read can be written again.
#![no_main]

use common::ipc::codec::{FrameWriter, decode};
use common::ipc::messages::forward_to_relay::Outward;
use common::ipc::messages::terminator_to_filter::Decrypted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = decode::<Decrypted>(bytes);
    let Ok(items) = decode::<Outward>(bytes) else { return };
    let mut frame = FrameWriter::default();
    for (id, body) in &items {
        assert!(frame.push(*id, body).is_ok_and(|fits| fits));
    }
    assert_eq!(decode::<Outward>(frame.bytes()).map(|again| again.len()).ok(), Some(items.len()));
});
