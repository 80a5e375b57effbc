//! The tunnel over real sockets: every byte, both ways; half-close, resets, deadlines, buffered bytes, fairness.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod kit;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use kit::{World, expected, read_stream, reset, runtime, tunnel_thread, write_stream};
use proptest::prelude::*;
use sni_router::relay::pipes::{PIPE_SIZE, PipePool};
use sni_router::relay::tunnel::{EndReason, Side, TunnelEnd, TunnelOptions, run};

const MIB: usize = 1024 * 1024;

fn quick(idle: u64, half_closed: u64) -> TunnelOptions {
    TunnelOptions { idle: Duration::from_millis(idle), half_closed: Duration::from_millis(half_closed) }
}

/// Both sides send at once and then close; every byte must arrive on the other side.
fn exchange(world: World, up: usize, down: usize, seed: u64, slow: bool, pipes: &PipePool) -> TunnelEnd {
    let World { client, a, b, upstream } = world;
    let tunnel = tunnel_thread(a, b, vec![], vec![], TunnelOptions::default(), pipes.clone());
    std::thread::scope(|scope| {
        for (socket, send, receive, seed) in [(&client, up, down, seed), (&upstream, down, up, seed + 77)] {
            scope.spawn(move || {
                write_stream(socket, 0, send, seed);
                socket.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || assert_eq!(read_stream(socket, seed * 3, slow), receive));
        }
    });
    let end = tunnel.join().unwrap();
    assert!(matches!(end.reason, EndReason::Finished), "{end:?}");
    assert_eq!((end.a_to_b, end.b_to_a), (up as u64, down as u64));
    end
}

#[test]
fn every_byte_arrives_both_ways_at_every_size() {
    let pipes = PipePool::default();
    for (index, size) in [0, 1, 8 * 1024, 64 * 1024, 50 * MIB].into_iter().enumerate() {
        let end = exchange(World::with(index % 2 == 0, index % 2 == 1), size, size, 11 + index as u64, false, &pipes);
        match size {
            0..=8192 => assert_eq!(end.spliced, 0, "small traffic is copied"),
            52_428_800 => assert!(end.spliced > end.a_to_b / 2, "bulk is spliced: {end:?}"),
            _ => {}
        }
    }
    assert_eq!(pipes.stats().in_use, 0);
    assert_eq!(pipes.stats().closed_with_bytes, 0);
}

#[test]
fn slow_readers_lose_nothing() {
    for seed in 1..4 {
        let end = exchange(World::new(), 6 * MIB, 3 * MIB + 17, seed, true, &PipePool::default());
        assert!(end.spliced > 0, "{end:?}");
    }
}

#[test]
fn without_pipes_everything_is_copied() {
    let pipes = PipePool::new(0, PIPE_SIZE);
    let end = exchange(World::new(), 50 * MIB, MIB, 5, false, &pipes);
    assert_eq!(end.spliced, 0);
    assert!(pipes.stats().gone_without > 0);
    assert_eq!(pipes.stats().made, 0);
}

#[test]
fn one_pipe_serves_many_tunnels_in_turns() {
    let pipes = PipePool::new(1, PIPE_SIZE);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let pipes = &pipes;
            scope.spawn(move || exchange(World::new(), 8 * MIB, 2 * MIB, 100 + seed, false, pipes));
        }
    });
    let stats = pipes.stats();
    assert!(stats.made >= 1 && stats.idle <= 1 && stats.in_use == 0, "{stats:?}");
}

#[test]
fn bytes_already_read_come_first() {
    let World { client, a, b, upstream } = World::new();
    let (head_up, head_down) = (3 * MIB, 100_000);
    let held_up: Vec<u8> = (0..3).flat_map(|i| expected(i * MIB, MIB).to_vec()).collect();
    let tunnel =
        tunnel_thread(a, b, held_up, expected(0, head_down).to_vec(), TunnelOptions::default(), PipePool::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            write_stream(&client, head_up, 500_000, 3);
            client.shutdown(Shutdown::Write).unwrap();
        });
        scope.spawn(|| {
            write_stream(&upstream, head_down, 70_000, 4);
            upstream.shutdown(Shutdown::Write).unwrap();
        });
        scope.spawn(|| assert_eq!(read_stream(&upstream, 5, false), head_up + 500_000));
        scope.spawn(|| assert_eq!(read_stream(&client, 6, false), head_down + 70_000));
    });
    let end = tunnel.join().unwrap();
    assert_eq!((end.a_to_b, end.b_to_a), ((head_up + 500_000) as u64, (head_down + 70_000) as u64));
}

#[test]
fn one_direction_may_close_while_the_other_goes_on() {
    for upstream_first in [false, true] {
        let World { client, a, b, upstream } = World::new();
        let tunnel = tunnel_thread(a, b, vec![], vec![], TunnelOptions::default(), PipePool::default());
        let (first, mut second, side) =
            if upstream_first { (&upstream, &client, Side::B) } else { (&client, &upstream, Side::A) };
        write_stream(first, 0, 10_000, 1);
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_stream(second, 2, false), 10_000, "the end comes after the last byte");
        // The other direction is untouched, also for bulk.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                write_stream(second, 0, 4 * MIB, 3);
                second.flush().unwrap();
                second.shutdown(Shutdown::Write).unwrap();
            });
            assert_eq!(read_stream(first, 4, false), 4 * MIB);
        });
        let end = tunnel.join().unwrap();
        assert!(matches!(end.reason, EndReason::Finished), "{end:?}");
        assert_eq!(end.finished_first, Some(side));
    }
}

#[test]
fn a_reset_stays_a_reset() {
    for (reset_by_client, bulk) in [(true, 0), (true, 2 * MIB), (false, 0), (false, 2 * MIB)] {
        let World { client, a, b, upstream } = World::new();
        let tunnel = tunnel_thread(a, b, vec![], vec![], TunnelOptions::default(), PipePool::default());
        let (dying, mut other) = if reset_by_client { (client, upstream) } else { (upstream, client) };
        std::thread::scope(|scope| {
            let other = &mut other;
            let reader = scope.spawn(move || {
                let mut buffer = vec![0; 100_000];
                loop {
                    match other.read(&mut buffer) {
                        Ok(0) => return None,
                        Ok(_) => {}
                        Err(error) => return Some(error.kind()),
                    }
                }
            });
            write_stream(&dying, 0, bulk, 9);
            std::thread::sleep(Duration::from_millis(50));
            reset(dying);
            assert_eq!(reader.join().unwrap(), Some(ErrorKind::ConnectionReset), "never a clean end");
        });
        let end = tunnel.join().unwrap();
        let side = if reset_by_client { Side::A } else { Side::B };
        assert!(matches!(&end.reason, EndReason::Read(at, _) if *at == side), "{end:?}");
    }
}

#[test]
fn an_early_answer_to_an_endless_upload_is_delivered() {
    let World { mut client, a, b, mut upstream } = World::new();
    let tunnel = tunnel_thread(a, b, vec![], vec![], quick(20_000, 2_000), PipePool::default());
    let sender = client.try_clone().unwrap();
    let uploading = std::thread::spawn(move || {
        let piece = [7; 65536];
        let mut sender = sender;
        loop {
            if let Err(error) = sender.write_all(&piece) {
                return error.kind();
            }
        }
    });
    std::thread::sleep(Duration::from_millis(50));
    let mut some = [0; 1000];
    upstream.read_exact(&mut some).unwrap();
    upstream.write_all(b"413 too large").unwrap();
    drop(upstream); // with unread bytes: the kernel sends a reset after the answer
    let mut answer = [0; 13];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"413 too large");
    let mut rest = Vec::new();
    let reading = client.read_to_end(&mut rest).map_err(|e| e.kind());
    let writing = uploading.join().unwrap();
    // The kernel reports a reset once, to whichever call comes first.
    let seen = reading == Err(ErrorKind::ConnectionReset) || writing == ErrorKind::ConnectionReset;
    assert!(seen, "and then a reset, not a clean end: {reading:?} {writing:?}");
    let end = tunnel.join().unwrap();
    assert!(matches!(end.reason, EndReason::Write(Side::B, _) | EndReason::Read(Side::B, _)), "{end:?}");
}

#[test]
fn talking_after_the_other_side_has_left_does_not_cost_the_answer() {
    let World { mut client, a, b, upstream } = World::new();
    let size = 250_000;
    socket2::SockRef::from(&client).set_recv_buffer_size(8 * 1024).unwrap();
    socket2::SockRef::from(&a).set_send_buffer_size(4 * MIB).unwrap();
    let tunnel = tunnel_thread(a, b, vec![], vec![], quick(20_000, 5_000), PipePool::default());
    write_stream(&upstream, 0, size, 1);
    drop(upstream); // all is said; whatever the client says from now on is answered with a reset
    std::thread::sleep(Duration::from_millis(200)); // the tunnel has taken it all, the client nothing yet
    let mut done = 0;
    let mut buffer = vec![0; 5_000];
    loop {
        client.write_all(b"window update").expect("nobody has reset this connection");
        std::thread::sleep(Duration::from_millis(2));
        let count = client.read(&mut buffer).expect("the answer is not cut by a reset");
        if count == 0 {
            break;
        }
        assert!(buffer[..count] == *expected(done, count));
        done += count;
    }
    assert_eq!(done, size);
    drop(client);
    let end = tunnel.join().unwrap();
    assert!(matches!(end.reason, EndReason::Write(Side::B, _)), "{end:?}");
    assert_eq!(end.finished_first, Some(Side::B));
}

#[test]
fn a_cancelled_download_is_stopped_at_once() {
    for flood in [true, false] {
        let World { mut client, a, b, mut upstream } = World::new();
        let tunnel = tunnel_thread(a, b, vec![], vec![], quick(50_000, 50_000), PipePool::default());
        client.write_all(b"GET").unwrap();
        upstream.read_exact(&mut [0; 3]).unwrap();
        upstream.write_all(b"event").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        if !flood {
            std::thread::sleep(Duration::from_secs(11)); // the request has long arrived
        }
        drop(client); // with nothing unread: an end of stream first, a reset only when more comes
        let started = Instant::now();
        let piece = vec![1; if flood { 100_000 } else { 10 }];
        while upstream.write_all(&piece).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let end = tunnel.join().unwrap();
        assert!(matches!(end.reason, EndReason::Write(Side::A, _)), "{end:?}");
        assert_eq!(end.finished_first, Some(Side::A));
    }
}

#[test]
fn a_quiet_tunnel_ends_and_a_talking_one_does_not() {
    let World { mut client, a, b, mut upstream } = World::new();
    let started = Instant::now();
    let tunnel = tunnel_thread(a, b, vec![], vec![], quick(800, 60_000), PipePool::default());
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(200));
        upstream.write_all(b"x").unwrap(); // only one direction talks: enough
        client.read_exact(&mut [0]).unwrap();
    }
    let end = tunnel.join().unwrap();
    let lived = started.elapsed();
    assert!(matches!(end.reason, EndReason::Idle), "{end:?}");
    assert!(lived > Duration::from_millis(2_390) && lived < Duration::from_secs(10), "{lived:?}");
    let error = client.read(&mut [0]).expect_err("an unfinished stream must not look finished");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_half_closed_tunnel_has_a_deadline_of_its_own() {
    let World { client, a, b, upstream } = World::new();
    let started = Instant::now();
    let tunnel = tunnel_thread(a, b, vec![], vec![], quick(60_000, 200), PipePool::default());
    client.shutdown(Shutdown::Write).unwrap();
    let end = tunnel.join().unwrap();
    assert!(matches!(end.reason, EndReason::HalfClosedIdle), "{end:?}");
    assert_eq!(end.finished_first, Some(Side::A));
    assert!(started.elapsed() < Duration::from_secs(3));
    drop(upstream);
}

#[test]
fn a_reader_that_stops_for_ever_ends_by_the_idle_deadline() {
    let World { client, a, b, upstream } = World::new();
    let pipes = PipePool::default();
    let tunnel = tunnel_thread(a, b, vec![], vec![], quick(300, 300), pipes.clone());
    upstream.set_nonblocking(true).unwrap();
    let mut to = &upstream;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(250) {
        let _ = to.write(expected(0, MIB));
    }
    let end = tunnel.join().unwrap();
    assert!(matches!(end.reason, EndReason::Idle), "{end:?}");
    drop(client);
    // A pipe that still held bytes is closed, not lent to the next tunnel.
    let stats = pipes.stats();
    assert_eq!((stats.in_use, stats.idle as u64 + stats.closed_with_bytes), (0, stats.made), "{stats:?}");
    exchange(World::new(), 10 * MIB, 10 * MIB, 8, false, &pipes);
}

#[test]
fn a_waiting_tunnel_is_small() {
    runtime().block_on(async {
        let World { client, a, b, upstream } = World::new();
        let (options, pipes) = (TunnelOptions::default(), PipePool::default());
        let tunnel = run(kit::ours(a), kit::ours(b), vec![], vec![], &options, &pipes);
        let size = size_of_val(&tunnel);
        assert!(size <= 1024, "{size} bytes for each connection");
        println!("{size} bytes");
        drop((client, upstream));
    });
}

#[test]
fn bulk_does_not_starve_a_conversation() {
    let rounds = 200;
    let mut times = runtime().block_on(async {
        let pipes = PipePool::default();
        let options = TunnelOptions::default();
        let mut peers = Vec::new();
        for _ in 0..6 {
            let World { client, a, b, upstream } = World::new();
            let pipes = pipes.clone();
            tokio::spawn(async move { run(kit::ours(a), kit::ours(b), vec![], vec![], &options, &pipes).await });
            peers.push(std::thread::spawn(move || while (&upstream).write_all(expected(0, MIB)).is_ok() {}));
            std::thread::spawn(move || {
                let mut buffer = vec![0; MIB];
                let until = Instant::now() + Duration::from_secs(2);
                while Instant::now() < until && (&client).read(&mut buffer).is_ok_and(|n| n > 0) {}
            });
        }
        let World { client, a, b, upstream } = World::new();
        tokio::spawn(async move { run(kit::ours(a), kit::ours(b), vec![], vec![], &options, &pipes).await });
        let talk = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(300)); // the others are at full speed now
            let mut times = Vec::new();
            for _ in 0..rounds {
                std::thread::sleep(Duration::from_millis(5));
                let asked = Instant::now();
                (&client).write_all(b"ping").unwrap();
                (&upstream).read_exact(&mut [0; 4]).unwrap();
                (&upstream).write_all(b"pong").unwrap();
                (&client).read_exact(&mut [0; 4]).unwrap();
                times.push(asked.elapsed());
            }
            times
        });
        let times = talk.await.unwrap();
        for peer in peers {
            tokio::task::spawn_blocking(move || peer.join().unwrap()).await.unwrap();
        }
        times
    });
    times.sort_unstable();
    let (median, worst) = (times[rounds / 2], times[rounds - 1]);
    println!("median {median:?}, worst {worst:?}");
    assert!(median < Duration::from_millis(100) && worst < Duration::from_secs(5), "{median:?} {worst:?}");
}

/// What a peer may do next in the random interleavings.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write(bool, usize),
    Read(bool, usize),
    Close(bool),
    Pause,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<bool>(), prop_oneof![1usize..5, 1_000usize..40_000, 60_000usize..700_000]).prop_map(|(s, n)| Act::Write(s, n)),
        4 => (any::<bool>(), prop_oneof![1usize..5, 1_000usize..90_000, 60_000usize..900_000]).prop_map(|(s, n)| Act::Read(s, n)),
        1 => any::<bool>().prop_map(Act::Close),
        1 => Just(Act::Pause),
    ]
}

/// One peer in the random interleavings: counts what went out and checks what comes in.
struct Peer {
    socket: TcpStream,
    written: usize,
    read: usize,
    closed: bool,
}

impl Peer {
    fn new(socket: TcpStream) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket, written: 0, read: 0, closed: false }
    }
    fn write(&mut self, size: usize) {
        if !self.closed
            && let Ok(count) = (&self.socket).write(expected(self.written, size))
        {
            self.written += count;
        }
    }
    /// `false` at the end of the stream.
    fn read(&mut self, size: usize) -> bool {
        let mut buffer = vec![0; size];
        match (&self.socket).read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                assert!(buffer[..count] == *expected(self.read, count), "differs after {}", self.read);
                self.read += count;
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                true
            }
        }
    }
    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.socket.shutdown(Shutdown::Write).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_interleaving_keeps_every_byte_in_order(acts in prop::collection::vec(act(), 1..80), pipes in 0usize..3) {
        let World { client, a, b, upstream } = World::new();
        let tunnel = tunnel_thread(a, b, vec![], vec![], TunnelOptions::default(), PipePool::new(pipes, PIPE_SIZE));
        let mut peers = [Peer::new(client), Peer::new(upstream)];
        for act in acts {
            match act {
                Act::Write(side, size) => peers[usize::from(side)].write(size),
                Act::Read(side, size) => { peers[usize::from(side)].read(size); }
                Act::Close(side) => peers[usize::from(side)].close(),
                Act::Pause => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        let [client, upstream] = &mut peers;
        client.close();
        upstream.close();
        let started = Instant::now();
        let (mut up_open, mut down_open) = (true, true);
        while (up_open || down_open) && started.elapsed() < kit::LIMIT {
            up_open = up_open && upstream.read(MIB);
            down_open = down_open && client.read(MIB);
        }
        prop_assert_eq!((client.written, upstream.written), (upstream.read, client.read));
        let end = tunnel.join().unwrap();
        prop_assert!(matches!(end.reason, EndReason::Finished));
    }
}
