//! Bytes of a frame ↔ values. Pure: no descriptor and no socket in here. The only file that names `bincode`.
//!
//! A frame is `version: u8`, `items: u8`, then the items one behind the other, each `(id: u64, body)`. It never exceeds
//! [`MAX_FRAME`] bytes; every length inside is checked against that limit before anything is allocated; bytes behind the
//! last item are an error.

use zeroize::Zeroize as _;

use super::Message;

/// Version of all messages of all edges; the two ends of a channel must agree.
pub const VERSION: u8 = 4;
/// What was added to the messages since [`VERSION`] began, and is read by this release. Travels as the id of a receiver's greeting, which was
/// always 0 before and which nobody looked at. Back to 0 with the next version.
///
/// 1: TLS 1.2 connections with their keys ([`super::messages::terminator_to_filter::Kind::Tls12Keys`]).
pub const EDITION: u64 = 1;
/// Bytes of a frame at most, header included.
pub const MAX_FRAME: usize = 64 * 1024;
/// Items of a frame at most.
pub const MAX_ITEMS: usize = 32;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_FRAME>,
> = bincode::config::standard().with_limit::<MAX_FRAME>();

/// Why a frame could not be written or read. The peer is at fault in every variant but `Encode`.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Shorter than its two header bytes.
    #[error("frame of {0} bytes is shorter than its header")]
    Short(usize),
    /// The peer is of another release.
    #[error("the peer speaks IPC version {0}, this process {VERSION}: both must be of the same release")]
    Version(u8),
    /// More items than a frame may have, or none.
    #[error("frame announces {0} items, allowed are 1 to {MAX_ITEMS}")]
    Items(u8),
    /// An item that is no message of this edge.
    #[error("item {index} cannot be read: {cause}")]
    Item {
        /// Position in the frame, from 0.
        index: usize,
        /// What the decoder found.
        cause: String,
    },
    /// Bytes behind the last item.
    #[error("{0} bytes behind the last item")]
    Trailing(usize),
    /// One of our own messages does not fit: a limit was set too high.
    #[error("message cannot be sent: {0}")]
    Encode(String),
}

/// Collects items into one frame.
#[derive(Debug)]
pub struct FrameWriter {
    bytes: Vec<u8>,
    items: u8,
}

impl Default for FrameWriter {
    fn default() -> Self {
        // The whole room at once: a vector that grows would leave copies of secrets behind.
        let mut bytes = Vec::with_capacity(MAX_FRAME);
        bytes.extend([VERSION, 0]);
        Self { bytes, items: 0 }
    }
}

impl FrameWriter {
    /// Appends one item. `Ok(false)` leaves the frame as it was: it is full, send it first.
    pub fn push<M: serde::Serialize>(&mut self, id: u64, body: &M) -> Result<bool, CodecError> {
        if usize::from(self.items) >= MAX_ITEMS {
            return Ok(false);
        }
        let before = self.bytes.len();
        if let Err(error) = bincode::serde::encode_into_std_write((id, body), &mut self.bytes, CONFIG) {
            self.bytes.truncate(before);
            return Err(CodecError::Encode(error.to_string()));
        }
        if self.bytes.len() > MAX_FRAME {
            let alone = self.items == 0;
            let size = self.bytes.len();
            self.bytes.get_mut(before..).unwrap_or_default().zeroize();
            self.bytes.truncate(before);
            return if alone {
                Err(CodecError::Encode(format!("{size} bytes, a frame holds {MAX_FRAME}")))
            } else {
                Ok(false)
            };
        }
        self.items += 1;
        if let Some(count) = self.bytes.get_mut(1) {
            *count = self.items;
        }
        Ok(true)
    }

    /// How many items are in it.
    pub fn items(&self) -> usize {
        usize::from(self.items)
    }

    /// The frame as it goes onto the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Wipes the frame and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.as_mut_slice().zeroize();
        self.bytes.clear();
        self.bytes.extend([VERSION, 0]);
        self.items = 0;
    }
}

/// Reads a whole frame.
pub fn decode<M: Message>(frame: &[u8]) -> Result<Vec<(u64, M)>, CodecError> {
    let [version, count, rest @ ..] = frame else { return Err(CodecError::Short(frame.len())) };
    if *version != VERSION {
        return Err(CodecError::Version(*version));
    }
    if *count == 0 || usize::from(*count) > MAX_ITEMS {
        return Err(CodecError::Items(*count));
    }
    let mut items = Vec::with_capacity(usize::from(*count));
    let mut rest = rest;
    for index in 0..usize::from(*count) {
        let (item, used): ((u64, M), usize) = bincode::serde::decode_from_slice(rest, CONFIG)
            .map_err(|error| CodecError::Item { index, cause: error.to_string() })?;
        items.push(item);
        rest = rest.get(used..).unwrap_or_default();
    }
    if rest.is_empty() { Ok(items) } else { Err(CodecError::Trailing(rest.len())) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    enum Sample {
        Name(String),
        Bytes(Vec<u8>),
        Numbers(Vec<u64>),
    }
    impl Message for Sample {
        fn descriptors(&self) -> usize {
            0
        }
    }

    fn frame(items: &[Sample]) -> Vec<u8> {
        let mut writer = FrameWriter::default();
        for (id, item) in (1..).zip(items) {
            assert!(writer.push(id, item).unwrap());
        }
        writer.bytes().to_vec()
    }

    #[test]
    fn what_goes_in_comes_out() {
        let bytes = frame(&[Sample::Name("a.test".into()), Sample::Bytes(vec![1, 2, 3])]);
        let items: Vec<(u64, Sample)> = decode(&bytes).unwrap();
        assert_eq!(items, [(1, Sample::Name("a.test".into())), (2, Sample::Bytes(vec![1, 2, 3]))]);
    }

    #[test]
    fn a_full_frame_says_so_and_keeps_what_it_has() {
        let mut writer = FrameWriter::default();
        for _ in 0..MAX_ITEMS {
            assert!(writer.push(0, &Sample::Numbers(vec![])).unwrap());
        }
        assert!(!writer.push(0, &Sample::Numbers(vec![])).unwrap());
        let mut writer = FrameWriter::default();
        assert!(writer.push(0, &Sample::Bytes(vec![0; 40_000])).unwrap());
        assert!(!writer.push(0, &Sample::Bytes(vec![0; 40_000])).unwrap());
        assert_eq!(decode::<Sample>(writer.bytes()).unwrap().len(), 1);
        writer.clear();
        assert!(matches!(writer.push(0, &Sample::Bytes(vec![0; 70_000])), Err(CodecError::Encode(_))));
    }

    #[test]
    fn hostile_frames_are_errors_and_allocate_nothing() {
        let good = frame(&[Sample::Name("a".into())]);
        assert!(matches!(decode::<Sample>(&[]), Err(CodecError::Short(0))));
        assert!(matches!(decode::<Sample>(&[VERSION + 1, 1, 0]), Err(CodecError::Version(_))));
        assert!(matches!(decode::<Sample>(&[VERSION, 0]), Err(CodecError::Items(0))));
        assert!(matches!(decode::<Sample>(&[VERSION, 33]), Err(CodecError::Items(33))));
        let mut trailing = good.clone();
        trailing.push(0);
        assert!(matches!(decode::<Sample>(&trailing), Err(CodecError::Trailing(1))));
        assert!(matches!(decode::<Sample>(&good[..good.len() - 1]), Err(CodecError::Item { index: 0, .. })));
        // A list that claims 2^60 numbers: without the limit this would abort the process.
        let huge = [VERSION, 1, 0, 2, 253, 0, 0, 0, 0, 0, 0, 0, 16];
        assert!(matches!(decode::<Sample>(&huge), Err(CodecError::Item { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Sample>(&bytes);
            let mut framed = vec![VERSION, 1];
            framed.extend_from_slice(&bytes);
            let _ = decode::<Sample>(&framed);
        }
    }
}
