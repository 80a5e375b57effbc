//! What the tunnel tests share: socket pairs, a byte stream that can be checked at any position, and small helpers.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use sni_router::relay::pipes::PipePool;
use sni_router::relay::tunnel::{self, TunnelEnd, TunnelOptions};

/// No test may hang: everything that could is wrapped in this.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Deterministic and good enough.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn upto(&mut self, limit: usize) -> usize {
        (self.roll() % (limit as u64).max(1)) as usize + 1
    }
}

/// A prime period, so that a shift by any buffer size is noticed.
const PERIOD: usize = 1_048_583;

/// The expected bytes at `from..from + len` of the stream (`len` ≤ 1 MiB).
pub fn expected(from: usize, len: usize) -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let once: Vec<u8> = (0..PERIOD).map(|_| (dice.roll() >> 32) as u8).collect();
        [once.clone(), once].concat()
    });
    let start = from % PERIOD;
    &pattern[start..start + len]
}

/// Two connected TCP sockets on loopback: the peer's end and ours.
pub fn pair(v6: bool) -> (TcpStream, TcpStream) {
    let address: SocketAddr = if v6 { (Ipv6Addr::LOCALHOST, 0).into() } else { (Ipv4Addr::LOCALHOST, 0).into() };
    let listener = TcpListener::bind(address).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    peer.set_nodelay(true).unwrap();
    for socket in [&peer, &ours] {
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.set_write_timeout(Some(LIMIT)).unwrap();
    }
    (peer, ours)
}

pub fn ours(socket: TcpStream) -> tokio::net::TcpStream {
    socket.set_nonblocking(true).unwrap();
    tokio::net::TcpStream::from_std(socket).unwrap()
}

/// A client and an upstream with our two sockets in between.
pub struct World {
    pub client: TcpStream,
    pub a: TcpStream,
    pub b: TcpStream,
    pub upstream: TcpStream,
}

impl World {
    pub fn new() -> Self {
        Self::with(false, false)
    }
    pub fn with(client_v6: bool, upstream_v6: bool) -> Self {
        let (client, a) = pair(client_v6);
        let (upstream, b) = pair(upstream_v6);
        Self { client, a, b, upstream }
    }
}

/// Runs one tunnel on a runtime of its own, in a thread of its own.
pub fn tunnel_thread(
    a: TcpStream,
    b: TcpStream,
    a_to_b: Vec<u8>,
    b_to_a: Vec<u8>,
    options: TunnelOptions,
    pipes: PipePool,
) -> std::thread::JoinHandle<TunnelEnd> {
    std::thread::spawn(move || {
        runtime().block_on(async {
            let run = tunnel::run(ours(a), ours(b), a_to_b, b_to_a, &options, &pipes);
            tokio::time::timeout(LIMIT, run).await.expect("the tunnel ends")
        })
    })
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Writes `size` bytes of the stream, beginning at `from`, in random pieces, now and then pausing.
pub fn write_stream(mut socket: &TcpStream, from: usize, size: usize, seed: u64) {
    let mut dice = Dice(seed | 1);
    let mut done = 0;
    while done < size {
        let piece = if dice.upto(4) == 1 { dice.upto(1_000) } else { dice.upto(300_000) }.min(size - done);
        socket.write_all(expected(from + done, piece)).expect("write");
        done += piece;
        if dice.upto(50) == 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Reads to the end of the stream in random pieces and checks every byte. `slow` adds pauses. Returns the count.
pub fn read_stream(mut socket: &TcpStream, seed: u64, slow: bool) -> usize {
    let mut dice = Dice(seed | 1);
    let mut buffer = vec![0; 400_000];
    let mut done = 0;
    loop {
        let wanted = dice.upto(buffer.len());
        match socket.read(&mut buffer[..wanted]) {
            Ok(0) => return done,
            Ok(count) => {
                assert!(buffer[..count] == *expected(done, count), "bytes differ within {count} after {done}");
                done += count;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("read after {done}: {error}"),
        }
        if slow && dice.upto(8) == 1 {
            std::thread::sleep(Duration::from_millis(dice.upto(4) as u64));
        }
    }
}

/// `SO_LINGER` 0 and close: a reset.
pub fn reset(socket: TcpStream) {
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
}
