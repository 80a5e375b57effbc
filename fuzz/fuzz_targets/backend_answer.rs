//! Heads and bodies of backends' answers over HTTP/1.1, through the whole client that http-filter uses: no panic, no endless turn, no more bytes
//! than came, and an answer that is whole in one piece is the same when it comes in many. The first byte chooses the method.
#![no_main]

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use common_http::guarded::Clock;
use common_http::upstream::{DialError, Dialer, Endpoint, PassedBody, Pool, PoolLimits};
use http_body::Body;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A backend that has said all this already and takes everything.
struct Canned {
    bytes: Vec<u8>,
    at: usize,
    size: usize,
}

impl AsyncRead for Canned {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = self.size.min(buffer.remaining()).min(self.bytes.len() - self.at);
        let (from, to) = (self.at, self.at + count);
        buffer.put_slice(&self.bytes[from..to]);
        self.at = to;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Canned {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Canning(Vec<u8>, usize);

impl Dialer for Canning {
    type Io = Canned;

    async fn dial(&self, _: &Endpoint, _: Instant) -> Result<Canned, DialError> {
        Ok(Canned { bytes: self.0.clone(), at: 0, size: self.1 })
    }
}

/// Status and body of an answer that came to its end, or nothing.
fn ask(method: &http::Method, bytes: &[u8], size: usize) -> Option<(u16, Vec<u8>)> {
    let pool = Rc::new(Pool::new(Canning(bytes.to_vec(), size), PoolLimits::default(), Clock::new()));
    let slot = pool.slot(&Endpoint::new("a.test", 80));
    let request = http::Request::builder().method(method).uri("/").header("host", "a.test");
    let request = request.body(PassedBody::None).expect("a request");
    let cx = &mut Context::from_waker(Waker::noop());
    let mut sending = Box::pin(slot.send(request));
    // Nothing here waits for anything, so a turn more than there are bytes is one without progress.
    let most = bytes.len() * 4 + 100;
    let mut turns = 0..most;
    let answer = loop {
        assert!(turns.next().is_some(), "no end after {most} turns");
        if let Poll::Ready(answer) = sending.as_mut().poll(cx) {
            break answer.ok()?;
        }
    };
    let status = answer.status().as_u16();
    let mut body = Box::pin(answer.into_body());
    let mut all = Vec::new();
    loop {
        assert!(turns.next().is_some(), "no end after {most} turns");
        match body.as_mut().poll_frame(cx) {
            Poll::Ready(None) => return Some((status, all)),
            Poll::Ready(Some(Err(_))) => return None,
            Poll::Ready(Some(Ok(frame))) => all.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Poll::Pending => {}
        }
        assert!(all.len() <= bytes.len(), "more than came");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let method = [http::Method::GET, http::Method::HEAD, http::Method::POST][usize::from(first % 3)].clone();
    let whole = ask(&method, bytes, usize::MAX);
    for size in [1, 7] {
        let pieces = ask(&method, bytes, size);
        if whole.is_some() && pieces.is_some() {
            assert_eq!(pieces, whole, "in pieces of {size}");
        }
    }
});
