//! Happy eyeballs and deadlines against real sockets on loopback addresses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::net::{TcpListener, TcpStream as StdStream};

use super::*;

fn listener(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nothing listens (any more).
fn refusing() -> SocketAddr {
    listener("127.0.0.1:0").1
}

/// An address that answers nothing: the accept queue of its listener is full, so the kernel drops what comes.
fn silent() -> (SocketAddr, Vec<StdStream>, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut filler = Vec::new();
    while let Ok(stream) = StdStream::connect_timeout(&address, Duration::from_millis(100)) {
        filler.push(stream);
    }
    (address, filler, socket)
}

fn within(milliseconds: u64) -> ConnectOptions<'static> {
    let stagger = Duration::from_millis(400);
    ConnectOptions { stagger, ..ConnectOptions::until(Instant::now() + Duration::from_millis(milliseconds)) }
}

#[tokio::test]
async fn one_address_is_connected_with_its_options_set() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (listener, address) = listener(address);
        let connected = connect(&[address], &within(1_000)).await.unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!((connected.address, connected.local), (address, peer));
        let socket = socket2::SockRef::from(&connected.stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), SocketOptions::default().user_timeout);
    }
}

#[tokio::test]
async fn a_mapped_address_is_reached_by_ipv4() {
    let (_listener, address) = listener("127.0.0.1:0");
    let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().unwrap(), address.port());
    assert!(connect(&[mapped], &within(1_000)).await.unwrap().local.is_ipv4());
}

#[tokio::test]
async fn errors_name_the_address_and_the_cause() {
    let address = refusing();
    let error = connect(&[address], &within(1_000)).await.unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::Refused);
    assert!(error.kind.blames_server());
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{address}: Connection refused")) && text.ends_with("(is the server running?)"),
        "{text}"
    );
    let error = connect(&[], &within(1_000)).await.unwrap_err();
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (ConnectErrorKind::NoAddress, "there is no address to connect to")
    );
    let many: Vec<SocketAddr> = (0..40).map(|_| refusing()).collect();
    assert_eq!(connect(&many, &within(1_000)).await.unwrap_err().failures.len(), MOST_ADDRESSES);
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let (address, _filler, _socket) = silent();
    for addresses in [vec![address], vec![address, address]] {
        let started = Instant::now();
        let error = connect(&addresses, &within(900)).await.unwrap_err();
        assert_eq!((error.kind, error.failures.len()), (ConnectErrorKind::Timeout, addresses.len()), "{error}");
        assert!(started.elapsed() >= Duration::from_millis(890) && started.elapsed() < Duration::from_secs(4));
    }
}

#[tokio::test]
async fn a_silent_address_delays_by_the_stagger_only_and_a_refusing_one_not_at_all() {
    let (silent, _filler, _socket) = silent();
    let (_listener, good) = listener("127.0.0.1:0");
    let started = Instant::now();
    let connected = connect(&[silent, good], &within(5_000)).await.unwrap();
    assert_eq!(connected.address, good);
    assert!(
        started.elapsed() >= Duration::from_millis(395) && started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let started = Instant::now();
    let connected = connect(&[refusing(), refusing(), good, silent], &within(5_000)).await.unwrap();
    assert_eq!(connected.address, good);
    assert!(started.elapsed() < Duration::from_millis(390), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_slow_first_address_may_still_win() {
    // Silent at first; room is made in its queue before the second, refusing, address is even tried.
    let (address, filler, socket) = silent();
    tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(200));
        let taken: Vec<_> = (0..filler.len()).map(|_| socket.accept().unwrap()).collect();
        std::thread::sleep(Duration::from_secs(3));
        taken
    });
    let connected = connect(&[address, refusing()], &within(5_000)).await.unwrap();
    assert_eq!(connected.address, address);
}

#[tokio::test]
async fn the_guard_sees_every_address_before_it_is_used() {
    let (listener, address) = listener("127.0.0.1:0");
    listener.set_nonblocking(true).unwrap();
    let closed = Guard::default();
    let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().unwrap(), address.port());
    for addresses in [vec![address], vec![mapped], vec![address, mapped]] {
        let error = connect(&addresses, &ConnectOptions { guard: Some(&closed), ..within(500) }).await.unwrap_err();
        assert_eq!(error.kind, ConnectErrorKind::Guard);
        assert!(!error.kind.blames_server());
        assert!(error.to_string().contains("loopback"), "{error}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody knocked");
    let open = Guard { allow: vec!["127.0.0.1/32".parse().unwrap()], ..Guard::default() };
    let options = ConnectOptions { guard: Some(&open), ..within(500) };
    let private = "10.255.255.1:80".parse().unwrap();
    assert_eq!(connect(&[private, address], &options).await.unwrap().address, address);
    assert!(connect(&[address], &options).await.is_ok());
    let own = Guard { own_listeners: vec![address], ..open.clone() };
    let error = connect(&[address], &ConnectOptions { guard: Some(&own), ..within(500) }).await.unwrap_err();
    assert!(error.to_string().contains("this proxy itself"), "{error}");
}

#[tokio::test]
async fn a_socket_that_met_itself_is_no_server() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap();
    let _ = socket.connect(&address);
    assert!(socket.peer_addr().is_ok(), "the kernel does this");
    let result = finish(register(socket).unwrap(), address.as_socket().unwrap());
    assert!(matches!(result, Err(Cause::Itself)));
}

#[test]
fn causes_have_kinds() {
    let kind = |errno: Errno| Cause::Io(io::Error::from_raw_os_error(errno.raw_os_error())).kind();
    assert_eq!(kind(Errno::NETUNREACH), ConnectErrorKind::Unreachable);
    assert_eq!(kind(Errno::MFILE), ConnectErrorKind::Exhausted);
    assert_eq!(kind(Errno::ADDRNOTAVAIL), ConnectErrorKind::Exhausted);
    assert_eq!(kind(Errno::TIMEDOUT), ConnectErrorKind::Timeout);
    assert!(!ConnectErrorKind::Exhausted.blames_server());
}
