//! The plaintext between a finished handshake and http-filter: TLS on one side, a socketpair on the other.
//!
//! This is the hot path. A small request costs six system calls: wait, read and send on the way in, wait, read and send on
//! the way out. Buffers are the shared scratch; a connection keeps only what the other side did not take (then it stops
//! reading: back-pressure both ways, bounded by one scratch) and the beginning of a record that is not whole.
//!
//! Ends, in both directions on their own: the client's `close_notify` becomes end of file at http-filter, http-filter's end of
//! file becomes `close_notify` and FIN. A client that leaves *without* `close_notify` (RFC 8446 §6.1: possible truncation) is
//! never passed on as an orderly end: both sides are dropped. http-filter's death cannot be told from its end of file, unless
//! it left bytes unread: responses must carry their length (HTTP/1.1 content-length or chunked, HTTP/2), and http-filter's do.

use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::server::UnbufferedServerConnection;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::ending::Ending;
use crate::handshake::{Shaken, poll_receive};
use crate::metrics::TerminatorFigures;
use crate::pulse::{Order, Pulse};
use crate::records;
use crate::scratch::{self, MAX_HELD, Scratch};
use common::net::quiet_stream::QuietStream;

/// Rounds of reading and sending before other connections get their turn.
const ROUNDS: usize = 16;

/// Bytes that the other side did not take yet.
#[derive(Debug, Default)]
struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }
    fn keep(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    /// So many more are gone; gives the memory back with the last one.
    fn advance(&mut self, sent: usize) {
        self.sent += sent;
        if self.sent >= self.bytes.len() {
            *self = Self::default();
        }
    }
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Its source has ended; what is unsent goes first.
    Ending,
    Done,
    /// Up only: http-filter takes no more, the client's bytes are read and forgotten until it leaves.
    Discarding,
}

/// Who finished first, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Nobody,
    Client,
    Filter,
}

/// A connection at work. [`Relay::run`] ends with it.
pub struct Relay<'a> {
    client: &'a mut TcpStream,
    filter: QuietStream,
    tls: Box<UnbufferedServerConnection>,
    held: Vec<u8>,
    to_filter: Unsent,
    to_client: Unsent,
    up: Way,
    down: Way,
    first: First,
    pulse: Pulse,
    figures: &'a TerminatorFigures,
    /// Plaintext bytes that came from the client.
    from_client: u64,
    /// Plaintext bytes that came from http-filter.
    from_filter: u64,
}

/// What a relay did.
#[derive(Debug, Clone, Copy)]
pub struct Relayed {
    /// How it ended.
    pub ending: Ending,
    /// Plaintext bytes that came from the client.
    pub from_client: u64,
    /// Plaintext bytes that came from http-filter.
    pub from_filter: u64,
}

type Step = ControlFlow<Ending, bool>;

impl<'a> Relay<'a> {
    /// Takes over after a handshake.
    pub fn new(
        client: &'a mut TcpStream,
        filter: QuietStream,
        shaken: Shaken,
        pulse: Pulse,
        figures: &'a TerminatorFigures,
    ) -> Self {
        let early = u64::try_from(shaken.plain.len()).unwrap_or(u64::MAX);
        figures.bytes_from_clients.add(early);
        Self {
            client,
            filter,
            tls: shaken.tls,
            held: shaken.held,
            to_filter: Unsent { bytes: shaken.plain, sent: 0 },
            to_client: Unsent { bytes: shaken.unsent, sent: 0 },
            up: if shaken.closed { Way::Ending } else { Way::Open },
            down: Way::Open,
            first: if shaken.closed { First::Client } else { First::Nobody },
            pulse,
            figures,
            from_client: early,
            from_filter: 0,
        }
    }

    /// Copies until both directions are done or something breaks.
    pub async fn run(mut self) -> Relayed {
        let ending = std::future::poll_fn(|cx| scratch::borrow(|scratch| self.turn(cx, scratch))).await;
        Relayed { ending, from_client: self.from_client, from_filter: self.from_filter }
    }

    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<Ending> {
        if let Some(order) = self.pulse.order(cx.waker()) {
            return Poll::Ready(self.obey(order, cx, scratch));
        }
        for _ in 0..ROUNDS {
            let moved = match self.round(cx, scratch) {
                Break(ending) => return Poll::Ready(ending),
                Continue(moved) => moved,
            };
            if self.up == Way::Done && self.down == Way::Done {
                return Poll::Ready(self.done());
            }
            if !moved {
                return Poll::Pending;
            }
            self.pulse.beat();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn round(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Step {
        let up = self.up(cx, scratch)?;
        let down = self.down(cx, scratch)?;
        if self.down == Way::Done && matches!(self.up, Way::Open | Way::Ending) {
            self.look_for_hang_up();
        }
        Continue(up || down)
    }

    fn done(&self) -> Ending {
        if self.first == First::Filter { Ending::Filter } else { Ending::Client }
    }

    /// The client's socket failed. After its goodbye that is no news.
    fn broken(&self) -> Ending {
        if self.first == First::Client { Ending::Client } else { Ending::Reset }
    }

    // The way up: client → http-filter.

    fn up(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Step {
        if !self.to_filter.is_empty() {
            match self.flush_up(cx)? {
                true => {}
                false => return Continue(false),
            }
        }
        match self.up {
            Way::Open | Way::Discarding => self.take_from_client(cx, scratch),
            Way::Ending => {
                self.filter.finish();
                self.up = Way::Done;
                Continue(true)
            }
            Way::Done => Continue(false),
        }
    }

    /// Sends what is left for http-filter; `true`: nothing is left.
    fn flush_up(&mut self, cx: &mut Context<'_>) -> Step {
        while !self.to_filter.is_empty() {
            match self.filter.poll_send(cx, self.to_filter.rest()) {
                Poll::Ready(Ok(sent)) => self.to_filter.advance(sent),
                Poll::Ready(Err(error)) => self.filter_takes_no_more(&error)?,
                Poll::Pending => return Continue(false),
            }
        }
        self.filter.relax();
        Continue(true)
    }

    /// http-filter closed its end while the client was sending. What it answered before is still delivered.
    fn filter_takes_no_more(&mut self, error: &io::Error) -> ControlFlow<Ending> {
        if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
            tracing::error!("cannot send to http-filter: {error}");
            return Break(Ending::FilterGone);
        }
        self.to_filter = Unsent::default();
        self.up = if self.up == Way::Ending { Way::Done } else { Way::Discarding };
        if self.down == Way::Done {
            self.pulse.linger();
        }
        Continue(())
    }

    fn take_from_client(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Step {
        let received = match poll_receive(self.client, &mut self.held, usize::MAX, cx, scratch) {
            Poll::Pending => return Continue(false),
            Poll::Ready(Ok(0)) => {
                let told = self.down == Way::Done || self.up == Way::Discarding;
                return Break(if told { Ending::Filter } else { Ending::Truncated });
            }
            Poll::Ready(Ok(received)) => received,
            Poll::Ready(Err(_)) => return Break(self.broken()),
        };
        scratch.plain.clear();
        scratch.out.clear();
        let input = scratch.input.get_mut(..received).unwrap_or_default();
        let pass = records::take_in(&mut self.tls, input, &mut scratch.plain, &mut scratch.out);
        let rest = input.get(pass.consumed..).unwrap_or_default();
        if !pass.closed {
            self.held.extend_from_slice(rest);
        }
        self.deliver(cx, &scratch.plain)?;
        self.send_out(cx, scratch)?;
        if let Some(error) = pass.fault {
            tracing::debug!("the client broke the protocol: {error}");
            return Break(Ending::Faulty);
        }
        if self.held.len() > MAX_HELD {
            return Break(Ending::Faulty);
        }
        if pass.closed {
            self.client_finished();
        }
        Continue(true)
    }

    fn client_finished(&mut self) {
        if self.first == First::Nobody {
            self.first = First::Client;
        }
        self.up = if self.up == Way::Discarding { Way::Done } else { Way::Ending };
    }

    fn deliver(&mut self, cx: &mut Context<'_>, mut plain: &[u8]) -> ControlFlow<Ending> {
        if plain.is_empty() || self.up == Way::Discarding {
            return Continue(());
        }
        let count = u64::try_from(plain.len()).unwrap_or(u64::MAX);
        self.from_client += count;
        self.figures.bytes_from_clients.add(count);
        while !plain.is_empty() {
            match self.filter.poll_send(cx, plain) {
                Poll::Ready(Ok(sent)) => plain = plain.get(sent..).unwrap_or_default(),
                Poll::Ready(Err(error)) => return self.filter_takes_no_more(&error),
                Poll::Pending => {
                    self.to_filter.keep(plain);
                    return Continue(());
                }
            }
        }
        Continue(())
    }

    // The way down: http-filter → client.

    fn down(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Step {
        while !self.to_client.is_empty() {
            match Pin::new(&mut *self.client).poll_write(cx, self.to_client.rest()) {
                Poll::Ready(Ok(sent)) => self.to_client.advance(sent),
                Poll::Ready(Err(_)) => return Break(self.broken()),
                Poll::Pending => return Continue(false),
            }
        }
        match self.down {
            Way::Open => self.take_from_filter(cx, scratch),
            Way::Ending => {
                let _ = rustix::net::shutdown(&*self.client, rustix::net::Shutdown::Write);
                self.down = Way::Done;
                self.look_for_hang_up();
                Continue(true)
            }
            Way::Done | Way::Discarding => Continue(false),
        }
    }

    fn take_from_filter(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Step {
        let read = match self.filter.poll_read(cx, &mut scratch.reply) {
            Poll::Pending => return Continue(false),
            Poll::Ready(Ok(read)) => read,
            Poll::Ready(Err(_)) => return Break(Ending::FilterGone),
        };
        scratch.out.clear();
        let outcome = if read == 0 {
            if self.first == First::Nobody {
                self.first = First::Filter;
            }
            self.down = Way::Ending;
            records::say_goodbye(&mut self.tls, &mut self.held, &mut scratch.out)
        } else {
            let count = u64::try_from(read).unwrap_or(u64::MAX);
            self.from_filter += count;
            self.figures.bytes_to_clients.add(count);
            let plain = scratch.reply.get(..read).unwrap_or_default();
            records::protect(&mut self.tls, &mut self.held, plain, &mut scratch.out)
        };
        self.send_out(cx, scratch)?;
        if outcome.is_err() && read > 0 {
            return Break(Ending::Faulty); // TLS 1.2 keys used up; rustls has said goodbye
        }
        Continue(true)
    }

    /// Sends what the scratch holds for the client, behind what is unsent; keeps what the socket does not take.
    fn send_out(&mut self, cx: &mut Context<'_>, scratch: &Scratch) -> ControlFlow<Ending> {
        let mut bytes = scratch.out.bytes();
        if self.to_client.is_empty() && !bytes.is_empty() {
            match Pin::new(&mut *self.client).poll_write(cx, bytes) {
                Poll::Ready(Ok(sent)) => bytes = bytes.get(sent..).unwrap_or_default(),
                Poll::Ready(Err(_)) => return Break(self.broken()),
                Poll::Pending => {}
            }
        }
        self.to_client.keep(bytes);
        Continue(())
    }

    // Ends.

    /// http-filter has finished sending. As long as it still listens this is a half-close and may last; once it is gone, the
    /// client has a moment to leave.
    fn look_for_hang_up(&mut self) {
        let gone = self.filter.is_hung_up();
        if gone {
            self.to_filter = Unsent::default();
            self.up = if self.up == Way::Open { Way::Discarding } else { Way::Done };
            self.pulse.linger();
        }
        self.pulse.watch(!gone);
    }

    /// The clock has spoken.
    fn obey(&mut self, order: Order, cx: &mut Context<'_>, scratch: &mut Scratch) -> Ending {
        let ending = match order {
            Order::LingeredEnough => return self.done(),
            Order::Idle => Ending::Idle,
            Order::Stop => Ending::Stopping,
        };
        if self.down == Way::Open {
            scratch.out.clear();
            let _ = records::say_goodbye(&mut self.tls, &mut self.held, &mut scratch.out);
            let _ = self.send_out(cx, scratch);
        }
        ending
    }
}
