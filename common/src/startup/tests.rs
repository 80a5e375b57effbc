//! How a process that serves notices that it no longer does, and whom it takes for its peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use super::*;
use std::future::pending;

fn context() -> Context {
    let process = Process::SniRouter;
    Context {
        inner: Rc::new(Inner {
            process,
            instance: 1,
            report: Report { process, pid: 1, uid: 1, layers: Vec::new(), acts: Vec::new() },
            began: Instant::now(),
            stopping: Cell::new(false),
            stop: Notify::new(),
            peers: Vec::new(),
            reloader: Reloader::new(process, Text::default(), &Config::default()),
            explainer: RefCell::default(),
            pools: RefCell::default(),
            certificates: RefCell::default(),
            notifier: Notifier::from_environment(),
            vital: RefCell::default(),
            broken: Cell::new(None),
        }),
    }
}

fn in_runtime(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default());
    runtime.unwrap().block_on(test);
}

#[test]
fn a_process_whose_accept_loop_has_ended_stops_and_says_which() {
    in_runtime(async {
        let context = context();
        context.vital("living on", tokio::task::spawn_local(pending::<()>()).abort_handle());
        let loops = tokio::task::spawn_local(async { panic!("as a task may") });
        context.vital("accepting", loops.abort_handle());
        assert!(loops.await.is_err());
        look_after(context.clone()).await;
        assert!(context.is_stopping());
        assert_eq!(context.inner.broken.get(), Some("accepting"));
    });
}

#[test]
fn tasks_that_end_because_the_process_stops_are_no_trouble() {
    in_runtime(async {
        let context = context();
        let task = tokio::task::spawn_local(pending::<()>());
        context.vital("accepting", task.abort_handle());
        context.stop();
        task.abort();
        let looked = tokio::time::timeout(Duration::from_millis(1500), look_after(context.clone())).await;
        assert!(looked.is_err(), "it goes on looking while the process finishes");
        assert_eq!(context.inner.broken.get(), None);
    });
}

#[test]
fn senders_without_a_number_in_our_user_namespace_appear_as_the_overflow_user() {
    let of = |starter| expected_peers(Process::HttpFilter, starter);
    let edges: Vec<&str> = of(0).iter().map(|(edge, _)| *edge).collect();
    assert_eq!(edges, ["sni-router-to-http-filter", "tls-terminator-to-http-filter", "http-filter-to-successor"]);
    // Here everybody has a number, so the overflow user is nobody's sender.
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let own = nix::unistd::geteuid().as_raw();
    assert!(of(own.max(1))[0].1.check(&one).is_ok() == (own != 0), "our own user under `bulkhead up`");
    assert!(PeerCheck::anybody().check(&other).is_ok());
}
