//! Every coding, fed in pieces with pauses: what comes out decodes to what went in, and up to the last pause at every pause.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use common::config::{self, Algorithm, CompressionLevel};
use common::observe::metrics::Figure;
use common_http::upstream::SendError;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliDecoder, DecodeV2, GzipDecoder, ZstdDecoder};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use proptest::prelude::*;

use super::compression::Compression;
use super::encoder::Compressed;

const ALL: [Algorithm; 3] = [Algorithm::Zstd, Algorithm::Brotli, Algorithm::Gzip];

#[derive(Debug)]
enum Step {
    Piece(Vec<u8>),
    Pause,
    Trailers,
    Break,
}

struct Scripted(VecDeque<Step>);

impl Body for Scripted {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        match self.0.pop_front() {
            Some(Step::Piece(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
            Some(Step::Pause) => Poll::Pending,
            Some(Step::Trailers) => {
                let trailers = HeaderMap::from_iter([(http::header::EXPIRES, HeaderValue::from_static("0"))]);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Some(Step::Break) => Poll::Ready(Some(Err(SendError::Stalled))),
            None => Poll::Ready(None),
        }
    }
}

fn settings(level: CompressionLevel) -> Compression {
    Compression::new(&config::Compression {
        algorithms: ALL.to_vec(),
        types: Vec::new(),
        min_size: 0,
        level,
        max_window: 32 << 10,
        max_answers: 1,
    })
    .unwrap()
}

fn decoder(algorithm: Algorithm) -> Box<dyn DecodeV2> {
    match algorithm {
        Algorithm::Zstd => Box::new(ZstdDecoder::new()),
        Algorithm::Brotli => Box::new(BrotliDecoder::new()),
        Algorithm::Gzip => Box::new(GzipDecoder::new()),
    }
}

/// What can be known from the bytes so far, and whether they are the whole.
fn decoded(algorithm: Algorithm, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut decoder = decoder(algorithm);
    let (mut input, mut all, mut block) = (PartialBuffer::new(bytes), Vec::new(), vec![0; 64 * 1024]);
    loop {
        let mut output = WriteBuffer::new_initialized(&mut block);
        let over = decoder.decode(&mut input, &mut output).unwrap();
        let more = output.written().len();
        all.extend_from_slice(output.written());
        if over {
            return (all, true);
        }
        if more < 64 * 1024 && input.unwritten().is_empty() {
            return (all, false);
        }
    }
}

/// Polls to the end; `pause` sees all bytes so far at each pause.
fn run(body: &mut Compressed<Scripted>, mut pause: impl FnMut(&[u8])) -> (Vec<u8>, bool, Option<SendError>) {
    let (mut all, mut trailers) = (Vec::new(), false);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match Pin::new(&mut *body).poll_frame(&mut cx) {
            Poll::Pending => pause(&all),
            Poll::Ready(None) => return (all, trailers, None),
            Poll::Ready(Some(Err(error))) => return (all, trailers, Some(error)),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(_) => trailers = true,
            },
        }
    }
}

fn compressed(
    steps: Vec<Step>,
    algorithm: Algorithm,
    level: CompressionLevel,
    places: &Figure,
) -> Compressed<Scripted> {
    Compressed::new(Scripted(steps.into()), algorithm, &settings(level), places, &Figure::default())
}

#[test]
fn at_every_pause_the_client_has_everything() {
    for algorithm in ALL {
        let places = Figure::default();
        let mut steps = Vec::new();
        for number in 0..20 {
            steps.push(Step::Piece(format!("data: event {number}\n\n").into()));
            steps.extend([Step::Pause, Step::Pause]);
        }
        steps.push(Step::Trailers);
        let mut body = compressed(steps, algorithm, CompressionLevel::Balanced, &places);
        let mut pauses = 0;
        let (all, trailers, error) = run(&mut body, |so_far| {
            let known = decoded(algorithm, so_far).0;
            let last = format!("data: event {pauses}\n\n");
            assert!(known.ends_with(last.as_bytes()), "{algorithm:?}: {last} is held back");
            pauses += 1;
        });
        assert!(trailers && error.is_none() && pauses == 20);
        assert!(body.is_end_stream() && decoded(algorithm, &all).1);
        assert_eq!(places.get(), 1);
        drop(body);
        assert_eq!(places.get(), 0);
    }
}

#[test]
fn what_breaks_off_has_no_end() {
    for algorithm in ALL {
        let steps = vec![Step::Piece(b"half a page".to_vec()), Step::Pause, Step::Break];
        let mut body = compressed(steps, algorithm, CompressionLevel::Small, &Figure::default());
        let (all, _, error) = run(&mut body, |_| {});
        assert!(matches!(error, Some(SendError::Stalled)));
        assert_eq!(decoded(algorithm, &all), (b"half a page".to_vec(), false));
    }
}

#[test]
fn it_is_smaller() {
    let text: Vec<u8> = (0..20_000).flat_map(|n| format!("<li>item {}</li>\n", n % 100).into_bytes()).collect();
    for algorithm in ALL {
        let pieces = text.chunks(8000).map(|piece| Step::Piece(piece.to_vec())).collect();
        let (all, ..) = run(&mut compressed(pieces, algorithm, CompressionLevel::Fast, &Figure::default()), |_| {});
        assert!(all.len() * 10 < text.len(), "{algorithm:?}: {} of {}", all.len(), text.len());
        assert_eq!(decoded(algorithm, &all), (text.clone(), true));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_comes_out_is_what_went_in(
        pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..3000), any::<bool>()), 0..12),
        repeat in 1..40_usize,
        which in 0..3_usize,
    ) {
        let mut whole = Vec::new();
        let mut steps = Vec::new();
        for (piece, pause) in pieces {
            let piece = piece.repeat(repeat);
            whole.extend_from_slice(&piece);
            steps.push(Step::Piece(piece));
            if pause {
                steps.push(Step::Pause);
            }
        }
        let level = [CompressionLevel::Fast, CompressionLevel::Balanced, CompressionLevel::Small][repeat % 3];
        let (all, ..) = run(&mut compressed(steps, ALL[which], level, &Figure::default()), |_| {});
        prop_assert_eq!(decoded(ALL[which], &all), (whole, true));
    }
}
