//! From addresses to one connected socket: in order, racing when there are several (happy eyeballs, RFC 8305 §5), inside one deadline.
//!
//! The common case, one address that answers at once, costs no timer, no task and no turn of the event loop. With several addresses the next
//! attempt starts when the last one failed or has been silent for a while, and the first to connect wins.
//!
//! It must never connect to an address the guard did not see: the guard judges each address right before the `connect` that uses it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::address_guard::{Guard, Refused};
use super::socket_options::SocketOptions;

/// How long an attempt may be silent before the next address is tried beside it (RFC 8305 §5 recommends 250 ms).
pub const STAGGER: Duration = Duration::from_millis(250);
/// More addresses than this are not tried: a name with hundreds of addresses must not make us scan a network.
pub const MOST_ADDRESSES: usize = 16;

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions<'a> {
    /// When to give up, all addresses together.
    pub deadline: Instant,
    /// See [`STAGGER`].
    pub stagger: Duration,
    /// Set on the socket before it connects.
    pub socket: SocketOptions,
    /// Judges each address. `None` only for addresses that the configuration itself names.
    pub guard: Option<&'a Guard>,
}

impl ConnectOptions<'_> {
    /// Usual options for addresses that the configuration names.
    #[must_use]
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, stagger: STAGGER, socket: SocketOptions::default(), guard: None }
    }
}

/// A connected, non-blocking socket. Only one that had to be waited for is part of the event loop already: who hands a
/// socket to another process should not pay for that twice.
#[derive(Debug)]
pub enum Stream {
    /// Connected at once.
    Plain(std::net::TcpStream),
    /// Was waited for.
    Registered(TcpStream),
}

impl Stream {
    /// For use here.
    ///
    /// # Errors
    /// The event loop does not take it.
    pub fn into_registered(self) -> io::Result<TcpStream> {
        match self {
            Self::Plain(stream) => TcpStream::from_std(stream),
            Self::Registered(stream) => Ok(stream),
        }
    }

    /// For handing over.
    ///
    /// # Errors
    /// The event loop does not give it back.
    pub fn into_descriptor(self) -> io::Result<OwnedFd> {
        match self {
            Self::Plain(stream) => Ok(stream.into()),
            Self::Registered(stream) => stream.into_std().map(OwnedFd::from),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(stream) => stream.as_fd(),
            Self::Registered(stream) => stream.as_fd(),
        }
    }
}

/// A connection that stands.
#[derive(Debug)]
pub struct Connected {
    /// The socket.
    pub stream: Stream,
    /// The address that answered.
    pub address: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
}

/// What is wrong with one address.
#[derive(Debug)]
pub enum Cause {
    /// The guard does not let us go there.
    Guard(Refused),
    /// The kernel or the other side said no.
    Io(io::Error),
    /// No answer before the deadline.
    Silent,
    /// A local port was free by chance and the socket connected to itself (TCP simultaneous open): nothing listens there.
    Itself,
}

/// What it comes to, for counters, for the client's answer and for the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectErrorKind {
    /// No address was given.
    NoAddress,
    /// The guard refused every address.
    Guard,
    /// Somebody answered "no".
    Refused,
    /// No way there.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// We have run out of descriptors, ports or memory: not the server's fault.
    Exhausted,
    /// Anything else.
    Other,
}

impl ConnectErrorKind {
    /// Whether this speaks against the server (and should count towards ejecting it).
    #[must_use]
    pub fn blames_server(self) -> bool {
        matches!(self, Self::Refused | Self::Unreachable | Self::Timeout | Self::Other)
    }
}

/// No address took the connection.
#[derive(Debug)]
pub struct ConnectError {
    /// The worst of all (a timeout counts more than a refusal, which counts more than the guard).
    pub kind: ConnectErrorKind,
    /// Every address that was tried, in order of failing.
    pub failures: Vec<(SocketAddr, Cause)>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Io(error) = self else {
            return match self {
                Self::Guard(refused) => refused.fmt(f),
                Self::Silent => write!(f, "no answer in time (is a firewall dropping packets?)"),
                _ => write!(f, "nothing listens there (the socket met itself)"),
            };
        };
        let hint = match self.kind() {
            ConnectErrorKind::Refused => " (is the server running?)",
            ConnectErrorKind::Unreachable => " (is there a route from this machine?)",
            ConnectErrorKind::Exhausted => " (this proxy has run out of it: see LimitNOFILE and ip_local_port_range)",
            _ => "",
        };
        write!(f, "{error}{hint}")
    }
}

impl Cause {
    fn kind(&self) -> ConnectErrorKind {
        match self {
            Self::Guard(_) => ConnectErrorKind::Guard,
            Self::Silent => ConnectErrorKind::Timeout,
            Self::Itself => ConnectErrorKind::Refused,
            Self::Io(error) => match Errno::from_io_error(error) {
                Some(Errno::CONNREFUSED | Errno::CONNRESET) => ConnectErrorKind::Refused,
                Some(
                    Errno::NETUNREACH
                    | Errno::HOSTUNREACH
                    | Errno::AFNOSUPPORT
                    | Errno::NETDOWN
                    | Errno::ACCESS
                    | Errno::PERM,
                ) => ConnectErrorKind::Unreachable,
                Some(Errno::TIMEDOUT) => ConnectErrorKind::Timeout,
                Some(
                    Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL | Errno::AGAIN,
                ) => ConnectErrorKind::Exhausted,
                _ => ConnectErrorKind::Other,
            },
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failures.is_empty() {
            return write!(f, "there is no address to connect to");
        }
        for (index, (address, cause)) in self.failures.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            match cause {
                Cause::Guard(_) => write!(f, "{separator}{cause}")?, // names the address itself
                _ => write!(f, "{separator}{address}: {cause}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

impl ConnectError {
    fn from(failures: Vec<(SocketAddr, Cause)>) -> Self {
        use ConnectErrorKind as Kind;
        let weight = |kind: &Kind| match kind {
            Kind::NoAddress => 0,
            Kind::Guard => 1,
            Kind::Unreachable => 2,
            Kind::Refused => 3,
            Kind::Other => 4,
            Kind::Timeout => 5,
            Kind::Exhausted => 6,
        };
        let kind = failures.iter().map(|(_, cause)| cause.kind()).max_by_key(weight).unwrap_or(Kind::NoAddress);
        Self { kind, failures }
    }
}

/// Connects to the first of `addresses` that answers; they are tried in the order given (see `resolve::interleave`).
///
/// # Errors
/// When none did before the deadline: every address with its cause.
pub async fn connect(addresses: &[SocketAddr], options: &ConnectOptions<'_>) -> Result<Connected, ConnectError> {
    match addresses {
        [] => Err(ConnectError::from(Vec::new())),
        [only] => connect_one(*only, options).await.map_err(|cause| ConnectError::from(vec![(*only, cause)])),
        several => race(several, options).await,
    }
}

async fn connect_one(address: SocketAddr, options: &ConnectOptions<'_>) -> Result<Connected, Cause> {
    match start(address, options)? {
        Attempt::Established(socket) => accept_as(Stream::Plain(socket.into()), address),
        Attempt::Waiting(socket) => {
            let stream = register(socket)?;
            match timeout_at(options.deadline, stream.writable()).await {
                Err(_) => Err(Cause::Silent),
                Ok(ready) => {
                    ready.map_err(Cause::Io)?;
                    finish(stream, address)
                }
            }
        }
    }
}

enum Attempt {
    /// Connected already: the peer is near, or the kernel was quick.
    Established(Socket),
    Waiting(Socket),
}

fn start(address: SocketAddr, options: &ConnectOptions<'_>) -> Result<Attempt, Cause> {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    if let Some(guard) = options.guard {
        guard.check(address).map_err(Cause::Guard)?;
        if guard.source_matters(address) {
            guard.check_source(address, source_for(address).map_err(Cause::Io)?).map_err(Cause::Guard)?;
        }
    }
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP)).map_err(Cause::Io)?;
    options.socket.apply(&socket).map_err(Cause::Io)?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => Ok(Attempt::Established(socket)),
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {
            let established = socket.peer_addr().is_ok();
            Ok(if established { Attempt::Established(socket) } else { Attempt::Waiting(socket) })
        }
        Err(error) => Err(Cause::Io(error)),
    }
}

/// The source address the kernel would use. Connecting a datagram socket sends nothing.
fn source_for(address: SocketAddr) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.connect(&SockAddr::from(address))?;
    let unknown = match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Ok(socket.local_addr()?.as_socket().map_or(unknown, |local| local.ip()))
}

fn register(socket: Socket) -> Result<TcpStream, Cause> {
    TcpStream::from_std(socket.into()).map_err(Cause::Io)
}

/// The socket is writable: has it connected or failed?
fn finish(stream: TcpStream, address: SocketAddr) -> Result<Connected, Cause> {
    if let Some(error) = stream.take_error().map_err(Cause::Io)? {
        return Err(Cause::Io(error));
    }
    accept_as(Stream::Registered(stream), address)
}

/// The socket has connected: to somebody else?
fn accept_as(stream: Stream, address: SocketAddr) -> Result<Connected, Cause> {
    let local = SockRef::from(&stream).local_addr().map_err(Cause::Io)?;
    let local = local.as_socket().ok_or_else(|| Cause::Io(io::ErrorKind::Unsupported.into()))?;
    if local.port() == address.port() && local.ip() == address.ip().to_canonical() {
        return Err(Cause::Itself);
    }
    Ok(Connected { stream, address, local })
}

async fn race(addresses: &[SocketAddr], options: &ConnectOptions<'_>) -> Result<Connected, ConnectError> {
    let mut queue = addresses.iter().copied().take(MOST_ADDRESSES);
    let mut running: Vec<(SocketAddr, TcpStream)> = Vec::new();
    let mut failures = Vec::new();
    let mut stagger = pin!(sleep_until(options.deadline));
    let mut deadline = pin!(sleep_until(options.deadline));
    loop {
        // Start the next one; those that fail at once cost no waiting.
        for address in queue.by_ref() {
            match start(address, options) {
                Ok(Attempt::Established(socket)) => match accept_as(Stream::Plain(socket.into()), address) {
                    Ok(connected) => return Ok(connected),
                    Err(cause) => failures.push((address, cause)),
                },
                Ok(Attempt::Waiting(socket)) => match register(socket) {
                    Ok(stream) => {
                        running.push((address, stream));
                        stagger.as_mut().reset(Instant::now().checked_add(options.stagger).unwrap_or(options.deadline));
                        break;
                    }
                    Err(cause) => failures.push((address, cause)),
                },
                Err(cause) => failures.push((address, cause)),
            }
        }
        let more = queue.len() > 0;
        if running.is_empty() && !more {
            return Err(ConnectError::from(failures));
        }
        let next = poll_fn(|cx| {
            if let Some(position) = running.iter().position(|(_, stream)| stream.poll_write_ready(cx).is_ready()) {
                return Poll::Ready(Next::Answered(position));
            }
            if deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Next::Deadline);
            }
            if more && stagger.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Next::Another);
            }
            Poll::Pending
        });
        match next.await {
            Next::Answered(position) => {
                let (address, stream) = running.remove(position);
                match finish(stream, address) {
                    Ok(connected) => return Ok(connected),
                    Err(cause) => failures.push((address, cause)),
                }
            }
            Next::Another => {}
            Next::Deadline => {
                failures.extend(running.into_iter().map(|(address, _)| (address, Cause::Silent)));
                return Err(ConnectError::from(failures));
            }
        }
    }
}

enum Next {
    /// This attempt has connected or failed.
    Answered(usize),
    /// Time to try another address beside those that are silent.
    Another,
    Deadline,
}

#[cfg(test)]
mod tests;
