//! A body that is compressed while it passes. Whatever the backend has sent goes on to the client: when nothing more is there for the
//! moment, what the compressor holds back is flushed, so events and slow pages do not stall. Trailers are kept.
//!
//! Memory: the compressor's window and tables, one block of output, and no more than one piece of the backend's body.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use common::config::{Algorithm, CompressionLevel};
use common::observe::metrics::{Figure, Held};
use common_http::upstream::SendError;
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::flate::params::FlateEncoderParams;
use compression_codecs::zstd::params::CParameter;
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZstdEncoder};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::compression::Compression;

/// Bytes the compressor may write at once.
const BLOCK: usize = 16 * 1024;
/// Both zstd and br know no smaller window.
const SMALLEST_WINDOW_LOG: u32 = 10;

/// See the module's words.
pub struct Compressed<B> {
    inner: B,
    encoder: Box<dyn EncodeV2>,
    state: State,
    /// The compressor may hold back something.
    held_back: bool,
    read: Figure,
    _place: Held,
}

enum State {
    Passing,
    Trailers(HeaderMap),
    Over,
}

impl<B> Compressed<B> {
    /// Takes a place among those that are compressed now; `read` counts the bytes that come in.
    pub fn new(inner: B, algorithm: Algorithm, own: &Compression, places: &Figure, read: &Figure) -> Self
    where
        B: Body,
    {
        let size = inner.size_hint().exact();
        let encoder = encoder(algorithm, own.level, window_log(own.window_log, size));
        Self { inner, encoder, state: State::Passing, held_back: false, read: read.clone(), _place: places.hold() }
    }
}

/// A window larger than what passes would be memory for nothing.
fn window_log(most: u32, size: Option<u64>) -> u32 {
    let needed = size.and_then(|size| size.checked_next_power_of_two()).map_or(most, u64::ilog2);
    most.min(needed.max(SMALLEST_WINDOW_LOG))
}

fn encoder(algorithm: Algorithm, level: CompressionLevel, window_log: u32) -> Box<dyn EncodeV2> {
    let pick = |[fast, balanced, small]: [i32; 3]| match level {
        CompressionLevel::Fast => fast,
        CompressionLevel::Balanced => balanced,
        CompressionLevel::Small => small,
    };
    match algorithm {
        Algorithm::Zstd => {
            // The tables of the higher levels would be far larger than the window they look into.
            let most = u32::try_from(pick([14, 17, 18])).unwrap_or(14);
            let hash_log = most.min(window_log);
            let tables = [
                CParameter::window_log(window_log),
                CParameter::hash_log(hash_log),
                CParameter::chain_log(hash_log.saturating_sub(1)),
            ];
            Box::new(ZstdEncoder::new_with_params(pick([1, 3, 7]), &tables))
        }
        Algorithm::Brotli => {
            let window = i32::try_from(window_log).unwrap_or(18);
            let quality = Level::Precise(pick([1, 4, 6]));
            Box::new(BrotliEncoder::new(EncoderParams::default().quality(quality).window_size(window)))
        }
        Algorithm::Gzip => Box::new(GzipEncoder::new(FlateEncoderParams::from(Level::Precise(pick([1, 5, 8]))))),
    }
}

impl<B> Compressed<B> {
    /// Calls `step` until it says that it is done, and collects what it writes.
    fn collect(
        &mut self,
        mut step: impl FnMut(&mut dyn EncodeV2, &mut WriteBuffer<'_>) -> std::io::Result<bool>,
    ) -> Result<Bytes, SendError> {
        let mut all: Vec<u8> = Vec::new();
        let mut block = [0; BLOCK];
        loop {
            let mut output = WriteBuffer::new_initialized(&mut block);
            let done = step(&mut *self.encoder, &mut output)
                .map_err(|_| SendError::Closed("compressing the answer failed".to_owned()))?;
            all.extend_from_slice(output.written());
            if done {
                return Ok(all.into());
            }
        }
    }

    fn encode(&mut self, piece: &[u8]) -> Result<Bytes, SendError> {
        self.read.add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        self.held_back |= !piece.is_empty();
        let mut input = PartialBuffer::new(piece);
        self.collect(|encoder, output| {
            if !input.unwritten().is_empty() {
                encoder.encode(&mut input, output)?;
            }
            Ok(input.unwritten().is_empty())
        })
    }

    fn flush(&mut self) -> Result<Bytes, SendError> {
        self.held_back = false;
        self.collect(|encoder, output| encoder.flush(output))
    }

    fn finish(&mut self, next: State) -> Result<Bytes, SendError> {
        self.state = next;
        self.collect(|encoder, output| encoder.finish(output))
    }
}

impl<B: Body<Data = Bytes, Error = SendError> + Unpin> Body for Compressed<B> {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Trailers(trailers) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                State::Passing => {}
            }
            let came = Pin::new(&mut self.inner).poll_frame(cx);
            let written = match came {
                Poll::Pending if self.held_back => {
                    self.state = State::Passing;
                    self.flush()
                }
                Poll::Pending => {
                    self.state = State::Passing;
                    return Poll::Pending;
                }
                // What is not whole must not look whole: no end is written.
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => self.finish(State::Over),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => {
                        self.state = State::Passing;
                        self.encode(&piece)
                    }
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => self.finish(State::Trailers(trailers)),
                        Err(_) => {
                            self.state = State::Passing;
                            continue;
                        }
                    },
                },
            };
            match written {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(error) => {
                    self.state = State::Over;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
