//! What tunnels hold of the process: descriptors, pipes. One test in a process of its own, because it counts `/proc/self/fd`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod kit;

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use kit::{World, expected, ours, read_stream, reset, runtime, write_stream};
use sni_router::relay::pipes::{PIPE_SIZE, PipePool};
use sni_router::relay::tunnel::{EndReason, TunnelOptions, run};

const MIB: usize = 1024 * 1024;

/// How many descriptors of each kind ("socket", "pipe", …) this process has open.
fn descriptors() -> HashMap<String, usize> {
    let mut kinds = HashMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        // The directory itself and what other threads closed meanwhile have no target any more.
        if let Ok(target) = fs::read_link(entry.path()) {
            let text = target.to_string_lossy();
            if !text.starts_with("/proc") {
                *kinds.entry(text.split(':').next().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
    }
    kinds
}

fn pipes_open() -> usize {
    descriptors().get("pipe").copied().unwrap_or_default()
}

#[test]
fn nothing_stays_open_and_idle_tunnels_hold_no_pipe() {
    let runtime = runtime();
    let before = descriptors();
    let pipes_before = pipes_open();
    let pipes = PipePool::new(4, PIPE_SIZE);
    runtime.block_on(async {
        // 200 tunnels that have all spliced once and are now quiet.
        let mut worlds = Vec::new();
        let mut tunnels = Vec::new();
        for _ in 0..200 {
            let World { client, a, b, upstream } = World::new();
            let pipes = pipes.clone();
            let options = TunnelOptions::default();
            tunnels.push(tokio::spawn(async move { run(ours(a), ours(b), vec![], vec![], &options, &pipes).await }));
            worlds.push((client, upstream));
        }
        let worlds = tokio::task::spawn_blocking(move || {
            for (client, upstream) in &worlds {
                std::thread::scope(|scope| {
                    scope.spawn(|| write_stream(upstream, 0, 300_000, 1));
                    let mut got = vec![0; 300_000];
                    (&*client).read_exact(&mut got).unwrap();
                    assert!(got == expected(0, 300_000));
                });
            }
            worlds
        })
        .await
        .unwrap();
        let stats = pipes.stats();
        assert_eq!(stats.in_use, 0, "{stats:?}");
        assert!(stats.made >= 1 && stats.made <= 4, "spliced, and never more pipes than allowed: {stats:?}");
        assert_eq!(pipes_open() - pipes_before, 2 * stats.idle, "only the pool's own pipes are open");
        assert!(biggest_pipe() >= 65536);

        // A third ends well, a third by reset, a third by being dropped.
        for (index, ((client, upstream), tunnel)) in worlds.into_iter().zip(tunnels).enumerate() {
            match index % 3 {
                0 => {
                    client.shutdown(Shutdown::Write).unwrap();
                    upstream.shutdown(Shutdown::Write).unwrap();
                    assert!(matches!(tunnel.await.unwrap().reason, EndReason::Finished));
                }
                1 => {
                    reset(client);
                    assert!(matches!(tunnel.await.unwrap().reason, EndReason::Read(..)));
                }
                _ => {
                    tunnel.abort();
                    assert!(tunnel.await.unwrap_err().is_cancelled());
                }
            }
        }
        assert_eq!(pipes_open() - pipes_before, 2 * pipes.stats().idle);
        killed_with_bytes_inside(&pipes).await;
    });
    drop(pipes);
    assert_eq!(descriptors(), before);
}

/// The biggest pipe of this process by the size the kernel shows for it.
fn biggest_pipe() -> usize {
    let mut biggest = 0;
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        if fs::read_link(entry.path()).is_ok_and(|t| t.to_string_lossy().starts_with("pipe:"))
            && let Ok(file) = fs::File::open(entry.path())
            && let Ok(size) = rustix::pipe::fcntl_getpipe_size(&file)
        {
            biggest = biggest.max(size);
        }
    }
    biggest
}

/// A tunnel dies while its pipe is full: the pipe is closed, and the next tunnel sees only its own bytes.
async fn killed_with_bytes_inside(pipes: &PipePool) {
    let open_before = pipes_open() - 2 * pipes.stats().idle;
    let World { client, a, b, upstream } = World::new();
    let (mine, options) = (pipes.clone(), TunnelOptions::default());
    let tunnel = tokio::spawn(async move { run(ours(a), ours(b), vec![], vec![], &options, &mine).await });
    let seen = pipes.clone();
    let (client, upstream) = tokio::task::spawn_blocking(move || {
        upstream.set_nonblocking(true).unwrap();
        // Until bytes lie in a pipe, and then some more: on a busy machine the first reads are small.
        let mut after = 0;
        for _ in 0..5000 {
            let _ = (&upstream).write(&[0xEE; MIB]);
            std::thread::sleep(Duration::from_millis(2));
            after += usize::from(seen.stats().in_use == 1);
            if after > 100 {
                break;
            }
        }
        (client, upstream)
    })
    .await
    .unwrap();
    assert_eq!(pipes.stats().in_use, 1, "the reader does not read, so bytes wait in the pipe");
    tunnel.abort();
    assert!(tunnel.await.unwrap_err().is_cancelled());
    let stats = pipes.stats();
    assert_eq!((stats.in_use, stats.closed_with_bytes), (0, 1), "{stats:?}");
    assert_eq!(pipes_open(), open_before + 2 * stats.idle);
    drop((client, upstream));

    let World { client, a, b, upstream } = World::new();
    let (mine, options) = (pipes.clone(), TunnelOptions::default());
    let tunnel = tokio::spawn(async move { run(ours(a), ours(b), vec![], vec![], &options, &mine).await });
    tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                write_stream(&upstream, 0, 20 * MIB, 1);
                upstream.shutdown(Shutdown::Write).unwrap();
            });
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_stream(&client, 2, false), 20 * MIB);
        });
    })
    .await
    .unwrap();
    assert!(tunnel.await.unwrap().spliced > 0);
}
