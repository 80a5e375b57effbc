//! Both halves of a WebSocket joined: bytes pass unread until both ends are over, neither has moved for `tunnel_idle_deadline`, or the whole
//! goes on in another process.
//!
//! All tunnels read through one buffer; a tunnel keeps only what the other side did not take, so an idle one has none.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use common::net::quiet_stream::QuietStream;
use common_http::guarded::{Clock, Guarded};
use common_http::upstream::Switched;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::rest::Lent;
use crate::succession::{Leaving, Parted, Stream};
use crate::tls_stream::TlsStream;
use crate::upstream::socket::Socket;

/// Bytes read at once; also the most that one direction can hold back. With the rest of a record, which a TLS stream may hold, it must fit into
/// [`common::ipc::messages::filter_to_successor::MAX_AHEAD`]: or a tunnel that stands still could not move.
const BUFFER: usize = 8 * 1024;
/// How often an idle tunnel is looked at, at least.
const LOOKS: u32 = 8;

thread_local! {
    /// Borrowed only inside one synchronous call, never across an await.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// One end of a tunnel.
pub trait End: AsyncRead + AsyncWrite + Unpin {
    /// Whether its parts say all about it.
    fn is_movable(&self) -> bool {
        false
    }

    /// Takes it apart; `None`: it is not movable.
    fn part(self: Box<Self>) -> Option<Parted> {
        None
    }
}

/// What cannot be looked into: a stream of HTTP/2.
impl End for TokioIo<Upgraded> {}

impl<S: Stream> End for Guarded<S> {
    fn is_movable(&self) -> bool {
        self.get_ref().is_movable()
    }

    fn part(self: Box<Self>) -> Option<Parted> {
        let (stream, mut ahead) = self.into_parts();
        let parted = stream.part().ok()?;
        ahead.extend(parted.ahead);
        Some(Parted { ahead, ..parted })
    }
}

impl End for Switched {
    fn is_movable(&self) -> bool {
        matches!(self, Switched::Connection(io) if matches!(io.is_over::<Socket>(), Some(Socket::Plain(_))))
    }

    fn part(self: Box<Self>) -> Option<Parted> {
        let Switched::Connection(io) = *self else { return None };
        let (socket, ahead) = io.into_io::<Socket>()?;
        let Socket::Plain(stream) = socket else { return None };
        Some(Parted { ahead, ..stream.part().ok()? })
    }
}

impl End for TcpStream {
    fn is_movable(&self) -> bool {
        true
    }

    fn part(self: Box<Self>) -> Option<Parted> {
        Stream::part(*self).ok()
    }
}

/// A client's end, and what was read from it already.
pub fn client_end(upgraded: Upgraded) -> Option<(Box<dyn End>, Vec<u8>)> {
    known::<TcpStream>(upgraded)
        .or_else(known::<QuietStream>)
        .or_else(known::<TlsStream>)
        .unwrap_or_else(|upgraded| Some((Box::new(TokioIo::new(upgraded)), Vec::new())))
}

type Known = Option<(Box<dyn End>, Vec<u8>)>;

fn known<S: Stream>(upgraded: Upgraded) -> Result<Known, Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Lent<Guarded<S>>>>()?;
    Ok(parts
        .io
        .into_inner()
        .keep()
        .map(|(stream, rest)| -> (Box<dyn End>, _) { (Box::new(stream), [&*parts.read_buf, &*rest].concat()) }))
}

/// One direction: what the receiver has not taken yet, and how far it has come.
#[derive(Default)]
struct Flow {
    rest: Vec<u8>,
    sent: usize,
    /// The receiver may not have been told all that it took.
    unflushed: bool,
    ended: bool,
    moved: bool,
}

impl Flow {
    fn of(rest: Vec<u8>) -> Self {
        Self { rest, ..Self::default() }
    }

    /// Moves bytes until one of the two has to be waited for; ready when the end of stream was passed on.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut dyn End, to: &mut dyn End) -> Poll<io::Result<()>> {
        let (mut from, mut to) = (Pin::new(from), Pin::new(to));
        loop {
            while let Some(rest) = self.rest.get(self.sent..).filter(|rest| !rest.is_empty()) {
                match ready!(to.as_mut().poll_write(cx, rest))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    count => (self.sent, self.unflushed, self.moved) = (self.sent + count, true, true),
                }
            }
            (self.rest, self.sent) = (Vec::new(), 0);
            if self.ended {
                return to.poll_shutdown(cx);
            }
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                let read = from.as_mut().poll_read(cx, &mut buffer);
                self.take(cx, to.as_mut(), read.map_ok(|()| buffer.filled()))
            });
            if read.is_pending() && self.unflushed {
                ready!(to.as_mut().poll_flush(cx))?;
                self.unflushed = false;
            }
            ready!(read)?;
        }
    }

    /// Gives what was read to the receiver at once, and keeps the rest.
    fn take(
        &mut self,
        cx: &mut Context<'_>,
        to: Pin<&mut dyn End>,
        read: Poll<io::Result<&[u8]>>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(read)?;
        self.ended = bytes.is_empty();
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let count = match to.poll_write(cx, bytes) {
            Poll::Ready(count) => count?,
            Poll::Pending => 0,
        };
        self.rest = bytes.get(count..).unwrap_or_default().to_vec();
        (self.unflushed, self.moved) = (true, true);
        Poll::Ready(Ok(()))
    }

    /// The sender may have more to say. (Half an end is not handed on: it is over soon.)
    fn is_movable(&self) -> bool {
        !self.ended
    }

    fn into_rest(mut self) -> Vec<u8> {
        self.rest.split_off(self.sent.min(self.rest.len()))
    }
}

/// A tunnel: both ends, and what is between them.
pub struct Tunnel {
    client: Box<dyn End>,
    server: Box<dyn End>,
    up: Flow,
    down: Flow,
    up_over: bool,
    down_over: bool,
}

/// A tunnel that was taken apart.
pub struct Moving {
    /// The client's end.
    pub client: Parted,
    /// The server's.
    pub server: Parted,
    /// Bytes that the server has not got yet.
    pub to_server: Vec<u8>,
    /// Bytes that the client has not got yet.
    pub to_client: Vec<u8>,
}

impl Tunnel {
    /// A tunnel between these two, with bytes that somebody has read already.
    pub fn new(client: Box<dyn End>, server: Box<dyn End>, to_server: Vec<u8>, to_client: Vec<u8>) -> Self {
        Self { client, server, up: Flow::of(to_server), down: Flow::of(to_client), up_over: false, down_over: false }
    }

    /// Moves bytes both ways until it is over; or, when this process finishes and there is a successor, until it can move.
    pub async fn run(mut self, clock: Clock, idle: Duration, leaving: &Leaving) -> Option<Moving> {
        let limit = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let mut moved = clock.now();
        let mut looks = tokio::time::interval((idle / LOOKS).max(Duration::from_millis(100)));
        let mut told = pin!(leaving.told());
        let mut leaves = false;
        let moves = poll_fn(|cx| {
            if !leaves && told.as_mut().poll(cx).is_ready() {
                leaves = true;
            }
            let polled = self.poll(cx);
            if std::mem::take(&mut self.up.moved) | std::mem::take(&mut self.down.moved) {
                moved = clock.now();
            }
            while looks.poll_tick(cx).is_ready() {
                if clock.now().saturating_sub(moved) >= limit {
                    return Poll::Ready(false);
                }
            }
            match polled {
                Poll::Ready(_) => Poll::Ready(false),
                Poll::Pending if leaves && leaving.successor().is_some() && self.is_movable() => Poll::Ready(true),
                Poll::Pending => Poll::Pending,
            }
        });
        if moves.await { self.part() } else { None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.up_over {
            self.up_over = self.up.poll(cx, &mut *self.client, &mut *self.server)?.is_ready();
        }
        if !self.down_over {
            self.down_over = self.down.poll(cx, &mut *self.server, &mut *self.client)?.is_ready();
        }
        if self.up_over && self.down_over { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn is_movable(&self) -> bool {
        self.up.is_movable() && self.down.is_movable() && self.client.is_movable() && self.server.is_movable()
    }

    fn part(self) -> Option<Moving> {
        let (client, server) = (self.client.part()?, self.server.part()?);
        // What an end had read goes behind what we had read from it.
        let to_server = [self.up.into_rest(), client.ahead.clone()].concat();
        let to_client = [self.down.into_rest(), server.ahead.clone()].concat();
        Some(Moving { client, server, to_server, to_client })
    }
}
