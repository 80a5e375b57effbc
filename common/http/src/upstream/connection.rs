//! One HTTP/1.1 connection: hyper's request handle and its connection future, driven by whoever uses it at the moment.
//!
//! The future is always polled *before* handle or body are looked at; those are polled with a waker that does nothing, because
//! whatever they wait for can only come from the future in the same task. See [`super::inline`] for the waker of the future itself.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::SendError;
use super::inline::Inline;
use super::pool::Open;
use super::watched::{Touching, Watched};
use super::{PoolLimits, RequestBody};

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// A request that was not sent, or the reason why it failed after it was.
pub(super) enum Failed<B> {
    /// Not a byte of it was written: may be sent elsewhere, whatever it is.
    Unsent(Box<Request<B>>, SendError),
    /// It may have reached the backend.
    Sent(SendError),
}

pub(super) struct Connection<B: RequestBody + Unpin> {
    sender: SendRequest<Touching<B>>,
    /// None once the connection is over (or has become something else).
    driver: Option<Driver>,
    inline: Inline,
    pub(super) watched: Rc<Watched>,
    /// Clock moment of its birth, and of its last return to the idle list.
    pub(super) born: u64,
    pub(super) idle_since: u64,
    pub(super) served: u64,
    /// Counts it as open as long as it lives.
    _open: Open,
}

impl<B: RequestBody + Unpin> Connection<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) async fn new<Io>(
        io: Io,
        limits: &PoolLimits,
        inline: Inline,
        watched: Rc<Watched>,
        open: Open,
        now: u64,
    ) -> Result<Self, SendError>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::Builder::new()
            .max_buf_size(limits.buffer)
            .max_header_size(limits.response_head)
            .handshake(TokioIo::new(io));
        let (sender, connection) = handshake.await.map_err(SendError::from_hyper)?;
        let driver: Driver = Box::pin(connection.with_upgrades());
        Ok(Connection {
            sender,
            driver: Some(driver),
            inline,
            watched,
            born: now,
            idle_since: now,
            served: 0,
            _open: open,
        })
    }

    /// Moves bytes both ways as far as they go.
    pub(super) fn drive(&mut self) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(&mut Context::from_waker(self.inline.waker())).is_ready()
        {
            // Its errors also come through the handle or the body, where they are answered. Dropping it hands back a request that was not sent.
            self.driver = None;
        }
    }

    /// Its answer is complete; nobody is to be woken by it.
    pub(super) fn rest(&mut self) {
        self.inline.forget_user();
        self.watched.stop();
        if !self.is_ready() {
            // Usually it is; what is left then is only hyper's own housekeeping.
            self.drive();
        }
    }

    /// Another request can be sent on it now.
    pub(super) fn is_ready(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// The connection future, for a switch of protocols.
    pub(super) fn into_driver(self) -> Option<Driver> {
        self.driver
    }

    /// Sends one request and waits for the head of the answer.
    pub(super) async fn exchange(&mut self, request: Request<B>) -> Result<Response<Incoming>, Failed<B>> {
        let (parts, inner) = request.into_parts();
        let request = Request::from_parts(parts, Touching { inner, watched: Rc::clone(&self.watched) });
        self.inline.enter();
        let answer = self.sender.try_send_request(request);
        // The answer comes from `drive` in this same task, so its waker is of no use and it must not wait for its share of the budget.
        let mut answer = pin!(tokio::task::unconstrained(answer));
        let outcome = std::future::poll_fn(|cx| {
            let mut turn = self.inline.begin(cx);
            let outcome = loop {
                self.drive();
                match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(result) => break Poll::Ready(Some(result)),
                    Poll::Pending if self.watched.expired() => break Poll::Ready(None),
                    Poll::Pending if turn.again() => {}
                    Poll::Pending => break Poll::Pending,
                }
            };
            turn.end(outcome, cx)
        });
        match outcome.await {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => {
                    let (parts, body) = request.into_parts();
                    let request = Request::from_parts(parts, body.inner);
                    Err(Failed::Unsent(Box::new(request), SendError::from_hyper(error.into_error())))
                }
                None => Err(Failed::Sent(SendError::from_hyper(error.into_error()))),
            },
            None => Err(Failed::Sent(SendError::FirstByte)),
        }
    }

    /// The next frame of the answer that `incoming` is.
    pub(super) fn poll_body(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, hyper::Error>>> {
        let mut quiet = Context::from_waker(Waker::noop());
        let mut turn = self.inline.begin(cx);
        let outcome = loop {
            // Asking first tells the connection that there is room; what it then reads is here at once.
            if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(&mut quiet) {
                break Poll::Ready(frame);
            }
            self.drive();
            if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(&mut quiet) {
                break Poll::Ready(frame);
            }
            if !turn.again() {
                break Poll::Pending;
            }
        };
        turn.end(outcome, cx)
    }
}
