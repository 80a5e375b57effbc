//! What a process must still be able to do inside: everything it lives from.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::process::Process;
use common::sandbox::LAUNCHER_VARIABLE;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::pipe::{PipeFlags, SpliceFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

use super::{assert_layers_hold, excused, jail};

/// A runtime like every process's own, built inside the jail.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A listener and a client already in its queue.
fn listener_and_client() -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for result in [listener.set_nonblocking(true), client.set_nonblocking(true)] {
        result.unwrap();
    }
    (listener, client)
}

/// A process without any network accepts on an inherited listener, sees the true addresses, peeks, reads, writes, shuts down.
pub fn a_received_tcp_socket_is_served() {
    let (listener, client) = listener_and_client();
    let expected = (client.local_addr().unwrap(), listener.local_addr().unwrap());
    let report = jail(Process::TlsTerminator, &[listener.as_fd(), client.as_fd()], &[]);
    assert_layers_hold(&report, &excused());
    runtime().block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut client = tokio::net::TcpStream::from_std(client).unwrap();
        let (mut served, peer) = listener.accept().await.unwrap();
        assert_eq!((peer, served.local_addr().unwrap()), expected);
        served.set_nodelay(true).unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut bytes = [0; 5];
        assert_eq!(served.peek(&mut bytes).await.unwrap(), 5);
        served.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        served.write_all(b"world").await.unwrap();
        served.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"world");
        assert!(tokio::net::TcpStream::connect(expected.1).await.is_err(), "it must not connect by itself");
    });
}

/// A `SOCK_SEQPACKET` message with a socket in it, sent and received inside.
pub fn a_message_carries_a_descriptor() {
    let _ = jail(Process::SniRouter, &[], &[]);
    let pair =
        || rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let ((sender, receiver), (mine, theirs)) = (pair(), pair());

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed = [theirs.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&passed)));
    rustix::net::sendmsg(&sender, &[IoSlice::new(b"take it")], &mut control, SendFlags::NOSIGNAL).unwrap();

    let (mut bytes, mut space) = ([0; 32], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let buffer = &mut [IoSliceMut::new(&mut bytes)];
    let got = rustix::net::recvmsg(&receiver, buffer, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    assert_eq!(&bytes[..got.bytes], b"take it");
    let fds: Vec<OwnedFd> = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        })
        .collect();
    let [received] = fds.as_slice() else { panic!("{} descriptors", fds.len()) };
    rustix::net::send(received, b"through", SendFlags::NOSIGNAL).unwrap();
    let (_, length) = rustix::net::recv(&mine, &mut bytes, RecvFlags::empty()).unwrap();
    assert_eq!(&bytes[..length], b"through");
}

/// An edge: a folder watched and listed through descriptors from before, its socket reached by path from the empty network
/// namespace, the peer's identity read.
pub fn the_next_process_is_reached_by_path() {
    let program = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).unwrap();
    watch.add_watch(folder.path(), AddWatchFlags::IN_CREATE).unwrap();
    let path = folder.path().join("1.sock");
    let address = SocketAddrUnix::new(&path).unwrap();
    let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 8).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let edge: OwnedFd = std::fs::File::open(folder.path()).unwrap().into();
    std::mem::forget(folder); // it cannot be deleted from inside; the parent does it

    let report = jail(Process::SniRouter, &[listener.as_fd(), watch.as_fd()], &[edge.as_fd()]);
    assert_layers_hold(&report, &excused());
    let events = watch.read_events().unwrap();
    assert!(events.iter().any(|event| event.name.as_deref() == Some("1.sock".as_ref())), "{events:?}");
    for _ in 0..2 {
        rustix::fs::seek(&edge, rustix::fs::SeekFrom::Start(0)).unwrap();
        let mut buffer = [MaybeUninit::uninit(); 512];
        let mut names = rustix::fs::RawDir::new(&edge, &mut buffer);
        let mut found = false;
        while let Some(entry) = names.next() {
            found |= entry.unwrap().file_name() == c"1.sock";
        }
        assert!(found);
    }
    let client = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::connect(&client, &address).unwrap();
    let served = rustix::net::accept_with(&listener, SocketFlags::CLOEXEC).unwrap();
    let peer = rustix::net::sockopt::socket_peercred(&served).unwrap();
    assert_eq!(peer.pid.as_raw_pid().cast_unsigned(), report.pid);
    assert_eq!(peer.uid.as_raw(), report.uid);
    rustix::net::send(&client, b"x", SendFlags::NOSIGNAL).unwrap();
}

/// Timers, signal handlers, and a signal to itself.
pub fn timers_and_signals_work() {
    let _ = jail(Process::HttpFilter, &[], &[]);
    runtime().block_on(async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let late = tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
        assert!(late.is_err());
        let mut reload = signal(SignalKind::hangup()).unwrap();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGHUP).unwrap();
        tokio::time::timeout(Duration::from_secs(2), reload.recv()).await.unwrap().unwrap();
    });
    let panic = std::panic::catch_unwind(|| panic!("one request goes wrong"));
    assert!(panic.is_err(), "unwinding must work without reading any file");
}

/// aws-lc-rs used for the first time inside: random numbers and a whole post-quantum key exchange.
pub fn cryptography_works() {
    let _ = jail(Process::TlsTerminator, &[], &[]);
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let (mut first, mut second) = ([0; 32], [0; 32]);
    provider.secure_random.fill(&mut first).unwrap();
    provider.secure_random.fill(&mut second).unwrap();
    assert_ne!(first, second);
    for group in &provider.kx_groups {
        let ours = group.start().unwrap();
        let theirs = group.start_and_complete(ours.pub_key()).unwrap();
        let shared = ours.complete(&theirs.pub_key).unwrap();
        assert_eq!(shared.secret_bytes(), theirs.secret.secret_bytes(), "{:?}", group.name());
    }
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(vec!["example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
}

/// The relay's own work: connect, splice through a large pipe, ask by UDP.
pub fn relay_connects_splices_and_asks_by_udp() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let report = jail(Process::PassthroughRelay, &[listener.as_fd()], &[]);
    assert_layers_hold(&report, &excused());
    runtime().block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut out = tokio::net::TcpStream::connect(address).await.unwrap();
        let (back, _) = listener.accept().await.unwrap();
        let (empty, full) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        assert!(rustix::pipe::fcntl_setpipe_size(&full, 1 << 18).unwrap() >= 1 << 18);
        out.write_all(b"spliced").await.unwrap();
        back.readable().await.unwrap();
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        assert_eq!(rustix::pipe::splice(&back, None, &full, None, 4096, flags).unwrap(), 7);
        assert_eq!(rustix::pipe::splice(&empty, None, &back, None, 7, flags).unwrap(), 7);
        let mut bytes = [0; 7];
        out.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"spliced");

        let asked = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let asking = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        asking.send_to(b"?", asked.local_addr().unwrap()).await.unwrap();
        let (length, from) = asked.recv_from(&mut bytes).await.unwrap();
        assert_eq!((length, from), (1, asking.local_addr().unwrap()));
    });
}

/// forward-proxy may hash passwords beside its event loop; a process without the grant cannot start a thread.
pub fn helper_threads_only_where_granted() {
    let policy = crate::policies::of(Process::ForwardProxy);
    let grant = matches!(policy.threads, common::sandbox::Threads::Few { .. });
    let _ = jail(Process::ForwardProxy, &[], &[]);
    assert!(grant);
    runtime().block_on(async {
        for round in 0..3_u32 {
            let answer = tokio::task::spawn_blocking(move || {
                let heavy: Vec<u8> = vec![1; 8 << 20]; // what argon2 takes: memory from a second malloc arena
                heavy.iter().map(|byte| u64::from(*byte)).sum::<u64>() + u64::from(round)
            });
            assert_eq!(answer.await.unwrap(), (8 << 20) + u64::from(round));
            assert!(tokio::task::spawn_blocking(|| std::fs::File::open("/etc/passwd").is_err()).await.unwrap());
        }
    });
}

/// Name of the case that [`a_process_ends_with_its_launcher`] starts.
pub const LAUNCHED: &str = "launched";

/// This process plays the launcher: it starts a jailed child and ends; the child must end, too. The child holds the parent
/// test's pipe, so the parent sees it if it does not.
#[expect(clippy::zombie_processes, reason = "the launcher must end first: that is the case")]
pub fn a_process_ends_with_its_launcher() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--child", LAUNCHED]).env(LAUNCHER_VARIABLE, std::process::id().to_string());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(&line, b"jailed");
}

/// The child of [`a_process_ends_with_its_launcher`]. Started by itself it only closes its jail.
pub fn launched() {
    let report = jail(Process::SniRouter, &[], &[]);
    assert_layers_hold(&report, &excused());
    if std::env::var_os(LAUNCHER_VARIABLE).is_none() {
        return;
    }
    // Blocks for ever unless the signal comes; ended by the socket's own time limit.
    let (waiting, _other) = UnixStream::pair().unwrap();
    waiting.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    std::io::stdout().write_all(b"jailed").unwrap();
    std::io::stdout().flush().unwrap();
    let _ = (&waiting).read(&mut [0]);
    eprintln!("outlived its launcher");
}
