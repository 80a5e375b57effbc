//! The answer's body and trailers from an HTTP/2 backend. Window is given back as the client takes bytes; dropping it before the end
//! resets the stream. A stream that ends without its announced length, or by a reset, is an error and never looks like an end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::Frame;

use super::super::error::SendError;
use super::exchange::Deadlined;
use super::link::Seat;
use super::upload::Rest;
use crate::headers::keep_safe_trailers;

/// See the module's words.
pub(in super::super) struct Download {
    incoming: RecvStream,
    /// Bytes that are still to come, where the head told.
    left: Option<u64>,
    state: State,
    tunnel: bool,
    deadlined: Deadlined,
    rest: Option<Rest>,
    _seat: Seat,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    Trailers,
    Over,
}

impl Download {
    pub(super) fn new(
        incoming: RecvStream,
        seat: Seat,
        rest: Rest,
        deadlined: Deadlined,
        length: Option<u64>,
        tunnel: bool,
    ) -> Self {
        let state = if !tunnel && incoming.is_end_stream() { State::Over } else { State::Data };
        let left = if state == State::Over { Some(0) } else { length };
        Download { incoming, left, state, tunnel, deadlined, rest: Some(rest), _seat: seat }
    }

    /// Both halves of a stream that carries another protocol now, and what must live as long as they.
    pub(in super::super) fn into_tunnel(mut self) -> Option<super::Tunnel> {
        match self.rest.take() {
            Some(Rest::Over(sending)) => Some(super::Tunnel::new(sending, self.incoming, self._seat)),
            _ => None,
        }
    }

    pub(in super::super) fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let me = &mut *self;
        let mut outcome = step(&mut me.incoming, &mut me.left, &mut me.state, cx);
        match &outcome {
            Poll::Ready(_) => me.deadlined.watched.touch(),
            Poll::Pending if me.deadlined.watched.expired() => {
                me.state = State::Over;
                outcome = Poll::Ready(Some(Err(SendError::Stalled)));
            }
            Poll::Pending => me.deadlined.watched.wakes(cx.waker()),
        }
        if me.state == State::Over {
            // Whatever the client still sends is wanted no more.
            me.rest = None;
        }
        outcome
    }

    /// It carries another protocol, and nobody may read it as a body.
    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    pub(in super::super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Bytes to come, if that is known.
    pub(in super::super) fn left(&self) -> Option<u64> {
        self.left
    }
}

fn step(
    incoming: &mut RecvStream,
    left: &mut Option<u64>,
    state: &mut State,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
    while *state == State::Data {
        match ready!(incoming.poll_data(cx)) {
            Some(Ok(data)) => {
                // An error here only says that the stream is over, which the next call will say too.
                let _ = incoming.flow_control().release_capacity(data.len());
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                if left.is_some_and(|left| left < length) {
                    *state = State::Over;
                    return Poll::Ready(Some(Err(SendError::Protocol(
                        "it has a body where none may be, or too long a one",
                    ))));
                }
                *left = left.map(|left| left.saturating_sub(length));
                if incoming.is_end_stream() {
                    *state = State::Over;
                }
                if !data.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
            Some(Err(error)) => {
                *state = State::Over;
                return Poll::Ready(ended(error, *left));
            }
            None => *state = State::Trailers,
        }
    }
    if *state == State::Over {
        return Poll::Ready(None);
    }
    let trailers = ready!(incoming.poll_trailers(cx));
    *state = State::Over;
    Poll::Ready(match trailers {
        Ok(Some(mut trailers)) => {
            keep_safe_trailers(&mut trailers);
            Some(Ok(Frame::trailers(trailers)))
        }
        Ok(None) => None,
        Err(error) => ended(error, *left),
    })
}

/// After a complete answer a backend may say that it wants no more of the request (RFC 9113 §8.1); nothing else ends an answer well.
fn ended(error: h2::Error, left: Option<u64>) -> Option<Result<Frame<Bytes>, SendError>> {
    let complete = error.is_reset() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
    if complete && left.is_none_or(|left| left == 0) {
        return None;
    }
    if complete {
        return Some(Err(SendError::Closed("its answer is shorter than it announced".to_owned())));
    }
    Some(Err(SendError::from_h2(error)))
}
