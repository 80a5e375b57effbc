//! One handshake (RFC 8446, RFC 5246): reads flights, answers them, until both sides may send. The caller sets the deadline.
//!
//! The buffers are the shared scratch; only an unfinished flight stays with the connection between two reads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::ending::Failure;
use crate::records::{self, Pass};
use crate::scratch::{self, MAX_HELD, Scratch};
use crate::secrets::{self, Caught};
use crate::tls_config;

/// How long a client that was refused may take to read why. Its socket is closed then.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes of a refused client that are read and forgotten: unread bytes would turn our close into a reset, which throws away
/// the alert on its way.
const FAREWELL_BYTES: usize = 128 * 1024;

/// Bytes read at once during a handshake: what lies behind its end travels in the message to http-filter.
const AT_ONCE: usize = 16 * 1024;

/// `unrecognized_name` (RFC 6066 §3), fatal, as a record of its own: sent before any TLS state exists.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// A finished handshake, and what came or waits with it.
pub struct Shaken {
    /// The connection, past its handshake.
    pub tls: Box<UnbufferedServerConnection>,
    /// Its traffic secrets, for a hand-over.
    pub caught: Caught,
    /// Received bytes that rustls has not consumed: behind the handshake it was shown nothing.
    pub held: Vec<u8>,
    /// Bytes of `held` that rustls was shown: parts of a message whose last record has not come.
    shown: usize,
    /// Plaintext of `held`; filled by [`Shaken::read_on`].
    pub plain: Vec<u8>,
    /// Records that the socket did not take yet.
    pub unsent: Vec<u8>,
    /// The client has said goodbye already.
    pub closed: bool,
}

impl Shaken {
    fn new(config: Arc<ServerConfig>) -> Result<Self, Failure> {
        Ok(Self {
            tls: Box::new(UnbufferedServerConnection::new(config).map_err(Failure::Tls)?),
            caught: Caught::default(),
            held: Vec::new(),
            shown: 0,
            plain: Vec::new(),
            unsent: Vec::new(),
            closed: false,
        })
    }

    /// Shows rustls what came behind the handshake: this process goes on with the connection.
    pub fn read_on(&mut self) -> Result<(), rustls::Error> {
        let mut held = std::mem::take(&mut self.held);
        let pass = scratch::borrow(|scratch| {
            scratch.out.clear();
            let pass = records::take_in(&mut self.tls, &mut held, &mut self.plain, &mut scratch.out);
            self.unsent.extend_from_slice(scratch.out.bytes());
            pass
        });
        held.drain(..pass.consumed.min(held.len()));
        (self.held, self.closed) = (held, pass.closed);
        pass.fault.map_or(Ok(()), Err)
    }
}

/// Shakes hands. `name` is what the router read in the hello.
pub async fn shake(client: &mut TcpStream, config: Arc<ServerConfig>, name: Option<&str>) -> Result<Shaken, Failure> {
    let mut shaken = Shaken::new(config)?;
    loop {
        let pass = std::future::poll_fn(|cx| scratch::borrow(|scratch| flight(client, &mut shaken, name, cx, scratch)));
        let pass = pass.await?;
        if let Some(error) = pass.fault {
            let _ = send_all(client, &shaken.unsent).await;
            return Err(Failure::Tls(error));
        }
        if pass.closed {
            return Err(Failure::Abandoned); // a goodbye in the middle of the handshake
        }
        let unsent = std::mem::take(&mut shaken.unsent);
        send_all(client, &unsent).await?;
        if pass.traffic {
            return Ok(shaken);
        }
    }
}

/// Reads once, answers what can be answered.
fn flight(
    client: &mut TcpStream,
    shaken: &mut Shaken,
    name: Option<&str>,
    cx: &mut Context<'_>,
    scratch: &mut Scratch,
) -> Poll<Result<Pass, Failure>> {
    let received = match ready!(poll_receive(client, &mut shaken.held, AT_ONCE, cx, scratch)) {
        Ok(0) => return Poll::Ready(Err(Failure::Abandoned)),
        Ok(received) => received,
        Err(error) => return Poll::Ready(Err(error.into())),
    };
    scratch.plain.clear();
    scratch.out.clear();
    let input = scratch.input.get_mut(..received).unwrap_or_default();
    let (tls, caught, shown) = (&mut shaken.tls, &mut shaken.caught, &mut shaken.shown);
    let pass = secrets::catching(caught, || {
        tls_config::expecting(name, || {
            records::take_in_handshake(tls, input, shown, &mut scratch.plain, &mut scratch.out)
        })
    });
    shaken.held.extend_from_slice(input.get(pass.consumed..).unwrap_or_default());
    if shaken.held.len() > MAX_HELD {
        return Poll::Ready(Err(Failure::TooLong));
    }
    let mut bytes = scratch.out.bytes();
    if !bytes.is_empty() {
        match Pin::new(client).poll_write(cx, bytes) {
            Poll::Ready(Ok(sent)) => bytes = bytes.get(sent..).unwrap_or_default(),
            Poll::Ready(Err(error)) if pass.fault.is_none() => return Poll::Ready(Err(error.into())),
            _ => {}
        }
    }
    shaken.unsent.extend_from_slice(bytes);
    Poll::Ready(Ok(pass))
}

/// Reads behind what was held, which moves into the scratch. Returns how many bytes of the scratch are filled then; 0 is the
/// client's end. `most`: bytes to read.
pub fn poll_receive(
    client: &mut TcpStream,
    held: &mut Vec<u8>,
    most: usize,
    cx: &mut Context<'_>,
    scratch: &mut Scratch,
) -> Poll<io::Result<usize>> {
    let room = scratch.input.get_mut(held.len()..).unwrap_or_default();
    let most = most.min(room.len());
    let room = room.get_mut(..most).unwrap_or_default();
    let mut buffer = ReadBuf::new(room);
    ready!(Pin::new(client).poll_read(cx, &mut buffer))?;
    let read = buffer.filled().len();
    if read == 0 {
        return Poll::Ready(Ok(0));
    }
    let kept = held.len();
    if kept > 0 {
        scratch.input.get_mut(..kept).unwrap_or_default().copy_from_slice(held);
        *held = Vec::new();
    }
    Poll::Ready(Ok(kept + read))
}

async fn send_all(client: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = std::future::poll_fn(|cx| Pin::new(&mut *client).poll_write(cx, bytes)).await?;
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Tells a client that nobody here has the name it asks for.
pub async fn refuse_name(client: &mut TcpStream) {
    refuse(client, &UNRECOGNIZED_NAME).await;
}

/// Sends an alert and ends the connection.
pub async fn refuse(client: &mut TcpStream, alert: &[u8]) {
    if send_all(client, alert).await.is_ok() {
        farewell(client).await;
    }
}

/// Ends a connection so that an alert sent before arrives: no more from us, the client's rest is read and forgotten.
pub async fn farewell(client: &mut TcpStream) {
    let _ = rustix::net::shutdown(&*client, rustix::net::Shutdown::Write);
    let leave = async {
        let mut left = FAREWELL_BYTES;
        while left > 0 {
            let read = std::future::poll_fn(|cx| {
                scratch::borrow(|scratch| {
                    let mut buffer = ReadBuf::new(&mut scratch.input);
                    ready!(Pin::new(&mut *client).poll_read(cx, &mut buffer))?;
                    Poll::Ready(io::Result::Ok(buffer.filled().len()))
                })
            });
            match read.await {
                Ok(read @ 1..) => left = left.saturating_sub(read),
                _ => return,
            }
        }
    };
    let _ = tokio::time::timeout(FAREWELL, leave).await;
}
