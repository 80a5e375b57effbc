//! A tunnel that is stopped between two turns and goes on from its message, again and again: every byte, both ways, as if nothing had been.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod kit;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use common::ipc::Message;
use common::ipc::codec::{self, FrameWriter};
use common::ipc::messages::Ends;
use common::ipc::messages::relay_to_successor::{self as message, HandedOn, Over, Parties, Service};
use kit::{Dice, LIMIT, World, expected, ours, read_stream, reset, runtime, write_stream};
use proptest::prelude::*;
use sni_router::relay::pipes::{PIPE_SIZE, PipePool};
use sni_router::relay::tunnel::{EndReason, Side, Stop, Tunnel, TunnelEnd, TunnelOptions};

fn parties() -> Parties {
    let address = (Ipv4Addr::LOCALHOST, 443).into();
    Parties {
        ends: Ends { client: address, local: address },
        service: Service::Connect,
        name: Some("a.test".into()),
        server: "a.test:443".into(),
        pool: None,
        user: Some("alice".into()),
    }
}

/// As one process sends it and another reads it.
fn over_the_wire(tunnel: Tunnel) -> (HandedOn, Vec<OwnedFd>) {
    let (message, descriptors) = tunnel.stand_still(parties()).unwrap();
    let message = HandedOn::Tunnel(Box::new(message));
    assert_eq!(message.descriptors(), descriptors.len());
    let mut frame = FrameWriter::default();
    assert!(frame.push(0, &message).unwrap());
    let (_, message) = codec::decode::<HandedOn>(frame.bytes()).unwrap().pop().unwrap();
    (message, descriptors)
}

fn hand_on(tunnel: Tunnel, pipes: &PipePool) -> Tunnel {
    let (HandedOn::Tunnel(message), descriptors) = over_the_wire(tunnel) else { panic!("a tunnel") };
    let (tunnel, parties) = Tunnel::go_on(*message, descriptors, pipes).unwrap();
    assert_eq!((parties.service, &*parties.server), (Service::Connect, "a.test:443"));
    tunnel
}

/// Some at once, some after a moment, so that sockets fill.
async fn turns_pass(turns: usize) {
    for turn in 0..turns {
        match turn % 5 {
            4 => tokio::time::sleep(Duration::from_millis(1)).await,
            _ => tokio::task::yield_now().await,
        }
    }
}

/// Carries a tunnel that changes hands after up to so many turns, and says how often it did.
fn restless(
    world: (TcpStream, TcpStream),
    early: [Vec<u8>; 2],
    turns: usize,
    seed: u64,
    pipes: [PipePool; 2],
) -> std::thread::JoinHandle<(TunnelEnd, u32)> {
    std::thread::spawn(move || {
        runtime().block_on(async {
            let [to_server, to_client] = early;
            let mut tunnel = Tunnel::new(ours(world.0), ours(world.1), to_server, to_client);
            let (mut dice, mut moves) = (Dice(seed | 1), 0);
            let carried = async {
                loop {
                    let own = &pipes[usize::from(moves % 2 == 1)];
                    // In its first turn a socket has not said yet what it has.
                    let asked = turns_pass(2 + dice.upto(turns));
                    match tunnel.run(&TunnelOptions::default(), own, asked).await {
                        Stop::Over(reason) => return (tunnel.close(reason), moves),
                        Stop::Asked => tunnel = hand_on(tunnel, &pipes[usize::from(moves % 2 == 0)]),
                    }
                    moves += 1;
                }
            };
            tokio::time::timeout(LIMIT, carried).await.expect("the tunnel ends")
        })
    })
}

/// Both sides send at once and then close, with early bytes in front; answers how often the tunnel changed hands.
fn exchange(sizes: [usize; 2], early: [usize; 2], slow: bool, turns: usize, seed: u64, limit: usize) -> u32 {
    let World { client, a, b, upstream } = World::new();
    let pipes = [PipePool::new(limit, PIPE_SIZE), PipePool::new(limit, PIPE_SIZE)];
    let known = [expected(0, early[0]).to_vec(), expected(0, early[1]).to_vec()];
    let tunnel = restless((a, b), known, turns, seed, pipes.clone());
    std::thread::scope(|scope| {
        for (socket, sends, receives) in [(&client, 0, 1), (&upstream, 1, 0)] {
            scope.spawn(move || {
                write_stream(socket, early[sends], sizes[sends], seed + sends as u64);
                socket.shutdown(Shutdown::Write).unwrap();
            });
            let whole = early[receives] + sizes[receives];
            scope.spawn(move || assert_eq!(read_stream(socket, seed * 3, slow), whole));
        }
    });
    let (end, moves) = tunnel.join().unwrap();
    assert!(matches!(end.reason, EndReason::Finished), "{end:?}");
    assert_eq!([end.a_to_b, end.b_to_a], [0, 1].map(|at| (early[at] + sizes[at]) as u64));
    for pool in pipes {
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.closed_with_bytes), (0, 0));
        assert!(stats.idle <= limit, "pipes of others do not stay: {stats:?}");
    }
    moves
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_byte_is_lost_doubled_or_moved(
        sizes in proptest::array::uniform2(0usize..3_000_000),
        early in proptest::array::uniform2(prop_oneof![Just(0usize), 0usize..32_000]),
        slow in any::<bool>(),
        turns in 1usize..30,
        seed in 1u64..1_000_000,
        limit in prop_oneof![Just(0usize), Just(1), Just(16)],
    ) {
        exchange(sizes, early, slow, turns, seed, limit);
    }
}

#[test]
fn bulk_changes_hands_many_times() {
    let moves = exchange([40_000_000, 40_000_000], [0, 0], true, 3, 7, 16);
    assert!(moves > 10, "{moves}");
}

/// A tunnel whose upstream reads nothing, run until nothing moves any more.
async fn stuffed(world: &mut Option<(TcpStream, TcpStream)>, client: &TcpStream, pipes: &PipePool) -> (Tunnel, usize) {
    let (a, b) = world.take().unwrap();
    let mut tunnel = Tunnel::new(ours(a), ours(b), vec![], vec![]);
    client.set_nonblocking(true).unwrap();
    let (mut sent, mut idle) = (0, 0);
    while idle < 20 {
        match (&*client).write(expected(sent, 1 << 20)) {
            Ok(count) => (sent, idle) = (sent + count, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                idle += 1;
            }
        }
        let asked = tokio::time::sleep(Duration::from_millis(5));
        assert!(matches!(tunnel.run(&TunnelOptions::default(), pipes, asked).await, Stop::Asked));
    }
    client.set_nonblocking(false).unwrap();
    (tunnel, sent)
}

#[test]
fn what_lies_in_between_goes_along() {
    for limit in [0, 1] {
        let World { client, a, b, upstream } = World::new();
        runtime().block_on(async {
            let pipes = PipePool::new(limit, PIPE_SIZE);
            let (tunnel, sent) = stuffed(&mut Some((a, b)), &client, &pipes).await;
            let (HandedOn::Tunnel(message), descriptors) = over_the_wire(tunnel) else { panic!("a tunnel") };
            assert!(message.to_server.piped && descriptors.len() == 4, "{message:?}");
            assert!(message.to_server.held.len() <= 4096, "large rests do not go inside the message");
            let before = message.to_server.moved as usize;
            assert!(before < sent);
            let successor = PipePool::new(limit, PIPE_SIZE);
            let (mut tunnel, _) = Tunnel::go_on(*message, descriptors, &successor).unwrap();
            assert_eq!(pipes.stats().in_use, 0);
            client.shutdown(Shutdown::Write).unwrap();
            upstream.shutdown(Shutdown::Write).unwrap();
            let reading = std::thread::spawn(move || read_stream(&upstream, 5, false));
            let stop = tunnel.run(&TunnelOptions::default(), &successor, std::future::pending()).await;
            assert!(matches!(stop, Stop::Over(EndReason::Finished)), "{stop:?}");
            assert_eq!(tunnel.moved()[0] as usize, sent);
            drop(tunnel.close(EndReason::Finished));
            assert_eq!(reading.join().unwrap(), sent);
            assert_eq!(successor.stats().in_use, 0);
        });
    }
}

#[test]
fn a_half_closed_tunnel_stays_half_closed_and_its_age_and_silence_go_along() {
    let World { client, a, b, upstream } = World::new();
    runtime().block_on(async {
        let pipes = PipePool::default();
        let mut tunnel = Tunnel::new(ours(a), ours(b), vec![], vec![]);
        (&client).write_all(b"all I say").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let asked = tokio::time::sleep(Duration::from_millis(100));
        assert!(matches!(tunnel.run(&TunnelOptions::default(), &pipes, asked).await, Stop::Asked));
        for _ in 0..3 {
            let (HandedOn::Tunnel(message), descriptors) = over_the_wire(tunnel) else { panic!("a tunnel") };
            assert_eq!((message.to_server.over, message.to_client.over), (Some(Over::Ended), None));
            assert_eq!((message.finished_first, message.to_server.moved), (Some(message::Side::Client), 9));
            assert!(message.age >= Duration::from_millis(90) && message.to_server.sent.is_some());
            assert!(message.quiet >= Duration::from_millis(50) && message.to_client.sent.is_none(), "{message:?}");
            tunnel = Tunnel::go_on(*message, descriptors, &pipes).unwrap().0;
        }
        let mut heard = Vec::new();
        (&upstream).read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"all I say");
        (&upstream).write_all(b"said after your end").unwrap();
        drop(upstream);
        let options = TunnelOptions { half_closed: Duration::from_secs(20), ..TunnelOptions::default() };
        let Stop::Over(reason) = tunnel.run(&options, &pipes, std::future::pending()).await else {
            panic!("nobody asks")
        };
        let end = tunnel.close(reason);
        assert!(matches!(end.reason, EndReason::Finished), "{end:?}");
        assert!(end.lasted >= Duration::from_millis(90), "{end:?}");
        let mut heard = Vec::new();
        (&client).read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"said after your end", "and a clean end");
    });
}

#[test]
fn the_silence_before_counts() {
    let World { client, a, b, upstream } = World::new();
    runtime().block_on(async {
        let pipes = PipePool::default();
        let options = TunnelOptions { idle: Duration::from_millis(200), ..TunnelOptions::default() };
        let mut tunnel = Tunnel::new(ours(a), ours(b), vec![], vec![]);
        // Never 200 ms in one pair of hands.
        for _ in 0..50 {
            match tunnel.run(&options, &pipes, tokio::time::sleep(Duration::from_millis(50))).await {
                Stop::Asked => tunnel = hand_on(tunnel, &pipes),
                Stop::Over(reason) => return assert!(matches!(reason, EndReason::Idle), "{reason:?}"),
            }
        }
        panic!("the idle deadline begins anew with every successor");
    });
    drop((client, upstream));
}

#[test]
fn who_takes_no_more_is_known_to_the_successor() {
    let World { client, a, b, upstream } = World::new();
    runtime().block_on(async {
        let pipes = PipePool::default();
        let mut tunnel = Tunnel::new(ours(a), ours(b), vec![], vec![]);
        // The upstream is gone for good; its kernel says so at the second write at the latest.
        drop(upstream);
        let mut over = None;
        for _ in 0..100 {
            let _ = (&client).write_all(b"does anybody hear me?");
            match tunnel.run(&TunnelOptions::default(), &pipes, tokio::time::sleep(Duration::from_millis(5))).await {
                Stop::Asked => tunnel = hand_on(tunnel, &pipes),
                Stop::Over(reason) => {
                    over = Some(reason);
                    break;
                }
            }
        }
        let reason = over.expect("it ends");
        assert!(matches!(reason, EndReason::Write(Side::B, _) | EndReason::Read(Side::B, _)), "{reason:?}");
        drop(tunnel.close(reason));
    });
    let mut left = Vec::new();
    let _ = (&client).read_to_end(&mut left);
}

#[test]
fn what_nobody_takes_up_ends_with_a_reset_never_cleanly() {
    let World { client, a, b, upstream } = World::new();
    runtime().block_on(async {
        let tunnel = Tunnel::new(ours(a), ours(b), vec![], vec![]);
        drop(over_the_wire(tunnel));
    });
    for mut socket in [&client, &upstream] {
        assert_eq!(socket.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    reset(client);
}

#[test]
fn descriptors_that_are_no_pipe_are_refused() {
    let World { client, a, b, upstream } = World::new();
    runtime().block_on(async {
        let tunnel = Tunnel::new(ours(a), ours(b), vec![1; 30_000], vec![]);
        let (HandedOn::Tunnel(message), descriptors) = over_the_wire(tunnel) else { panic!("a tunnel") };
        assert!(message.to_server.piped && message.to_server.held.is_empty(), "{message:?}");
        let sockets = descriptors.into_iter().take(2);
        let wrong = sockets.chain([client.try_clone().unwrap().into(), client.into()]).collect();
        assert!(Tunnel::go_on(*message, wrong, &PipePool::default()).is_err());
    });
    drop(upstream);
}
