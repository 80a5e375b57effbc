//! Bodies whose every byte is known from its place: what `/bytes/N` sends, what uploads consist of.
//!
//! The pattern repeats after a prime number of bytes, so a piece lost, doubled or moved by any buffer size shows.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

/// Length of one repetition, in bytes: the greatest prime below 64 KiB.
const PERIOD: u64 = 65_521;

static BLOCK: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(65_521).collect()
});

/// The bytes at `offset`, to the end of a repetition or `longest`, whichever comes first. Never empty unless `longest` is 0.
fn piece(offset: u64, longest: u64) -> Bytes {
    let start = usize::try_from(offset % PERIOD).unwrap_or(0);
    let rest = BLOCK.slice(start..);
    let longest = usize::try_from(longest).unwrap_or(usize::MAX);
    if longest < rest.len() { rest.slice(..longest) } else { rest }
}

/// Compares what arrives with the pattern.
#[derive(Debug, Default)]
pub struct Comparison {
    seen: u64,
    wrong_at: Option<u64>,
}

impl Comparison {
    /// Takes the next bytes that came.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = piece(self.seen, bytes.len() as u64);
            let (now, later) = bytes.split_at(expected.len());
            if self.wrong_at.is_none() && now != expected {
                let same = now.iter().zip(&expected).take_while(|(a, b)| a == b).count();
                self.wrong_at = Some(self.seen + same as u64);
            }
            self.seen += now.len() as u64;
            bytes = later;
        }
    }

    /// How many bytes came.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Where the first wrong byte is.
    #[must_use]
    pub fn wrong_at(&self) -> Option<u64> {
        self.wrong_at
    }
}

/// A body of the first `length` bytes of the pattern, made as it is sent.
#[derive(Debug)]
pub struct Pattern {
    offset: u64,
    length: u64,
}

impl Pattern {
    /// `length` in bytes.
    #[must_use]
    pub fn of(length: u64) -> BoxBody<Bytes, Infallible> {
        BoxBody::new(Self { offset: 0, length })
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let bytes = piece(self.offset, self.length - self.offset);
        self.offset += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.offset >= self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length - self.offset)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use http_body_util::BodyExt;

    async fn whole(length: u64) -> Vec<u8> {
        Pattern::of(length).collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn arrives_the_same_however_it_is_cut() {
        let bytes = whole(200_000).await;
        for cut in [1, 7, 4096, 65_521, 200_000] {
            let mut comparison = Comparison::default();
            bytes.chunks(cut).for_each(|chunk| comparison.take(chunk));
            assert_eq!((comparison.seen(), comparison.wrong_at()), (200_000, None));
        }
    }

    #[tokio::test]
    async fn damage_is_seen_at_its_place() {
        let mut bytes = whole(150_000).await;
        bytes[140_000] ^= 1;
        let mut comparison = Comparison::default();
        comparison.take(&bytes);
        assert_eq!(comparison.wrong_at(), Some(140_000));
        let mut comparison = Comparison::default();
        let bytes = whole(150_000).await;
        comparison.take(&bytes[..65_536]);
        comparison.take(&bytes[65_536 + 16_384..]);
        assert!(comparison.wrong_at().is_some(), "a lost buffer shows");
    }
}
