//! Both halves of a WebSocket joined: bytes pass unread until both ends are over, or neither has moved for `tunnel_idle_deadline`.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use common_http::guarded::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes buffered per direction.
const BUFFER: usize = 16 * 1024;
/// How often an idle tunnel is looked at, at least.
const LOOKS: u32 = 8;

/// Moves bytes both ways until it is over.
pub async fn join<C, S>(client: C, mut server: S, clock: Clock, idle: Duration)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let moved = Rc::new(Cell::new(clock.now()));
    let mut client = Stamped { io: client, clock: clock.clone(), moved: Rc::clone(&moved) };
    let copying = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER);
    tokio::select! {
        _ = copying => {}
        () = idling(&moved, &clock, idle) => {}
    }
}

async fn idling(moved: &Cell<u64>, clock: &Clock, idle: Duration) {
    let limit = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    while clock.now().saturating_sub(moved.get()) < limit {
        tokio::time::sleep((idle / LOOKS).max(Duration::from_millis(100))).await;
    }
}

/// Notes that a byte passed, in either direction.
struct Stamped<Io> {
    io: Io,
    clock: Clock,
    moved: Rc<Cell<u64>>,
}

impl<Io> Stamped<Io> {
    fn note<T>(&self, result: Poll<T>) -> Poll<T> {
        if result.is_ready() {
            self.moved.set(self.clock.now());
        }
        result
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Stamped<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        self.note(result)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Stamped<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
