//! The promises of `common::ipc`, with real sockets: acknowledged hand-over, hostile peers, nothing leaked.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::ipc::codec::{FrameWriter, VERSION};
use common::ipc::directory::Directory;
use common::ipc::peer::PeerCheck;
use common::ipc::receiver::{Arrival, Receiver, Verdict};
use common::ipc::sender::{Parcel, Sender, SenderLimits, Undelivered};
use common::ipc::{Message, Nothing};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketAddrUnix, SocketFlags, SocketType,
};

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Job(u32);
impl Message for Job {
    fn descriptors(&self) -> usize {
        1
    }
}
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Question(u32);
impl Message for Question {
    fn descriptors(&self) -> usize {
        0
    }
}
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Reply(u32);
impl Message for Reply {
    fn descriptors(&self) -> usize {
        1
    }
}

/// One test at a time: they count the descriptors of the whole test process.
static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn run<F: Future<Output = ()>>(test: F) {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), test).await.expect("test took too long") });
}

/// A socket file that receivers listen on, as `bulkhead up` makes it.
fn listen(directory: &Path, instance: &str) -> OwnedFd {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let socket = socket.unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(directory.join(format!("{instance}.sock"))).unwrap()).unwrap();
    rustix::net::listen(&socket, 64).unwrap();
    socket
}

fn peers() -> PeerCheck {
    PeerCheck::new([rustix::process::getuid().as_raw()])
}

fn limits() -> SenderLimits {
    SenderLimits {
        answer_deadline: Duration::from_millis(300),
        wait_deadline: Duration::from_secs(3),
        ..Default::default()
    }
}

/// A connected pair whose one end can be handed over.
fn connection() -> (TcpStream, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    (client, listener.accept().unwrap().0.into())
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(8), "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A receiver that writes the job's number to the socket it got.
fn worker(listener: OwnedFd, served: Rc<Cell<u32>>) -> Rc<Receiver<Job, Nothing>> {
    let receiver = Receiver::new("test", peers(), move |arrival: Arrival<Job, Nothing>| {
        let mut socket = TcpStream::from(arrival.parcel.descriptors.into_iter().next().unwrap());
        socket.write_all(&[u8::try_from(arrival.parcel.body.0 % 251).unwrap()]).unwrap();
        served.set(served.get() + 1);
        Verdict::Taken
    });
    tokio::task::spawn_local(Rc::clone(&receiver).serve(listener));
    receiver
}

/// A peer that speaks no protocol but what the test makes it say.
struct RawPeer(OwnedFd);

impl RawPeer {
    async fn accept(listener: &OwnedFd) -> Self {
        rustix::io::ioctl_fionbio(listener, true).unwrap();
        loop {
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(socket) => return Self(socket),
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }
    fn connect(path: &Path) -> Self {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let socket = socket.unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        Self(socket)
    }
    fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        let _ = rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL);
    }
    /// `Ready` as the first variant of the reply enum, as a release says it that knows no editions.
    fn say_ready(&self) {
        self.send(&[VERSION, 1, 0, 0], &[]);
    }
    /// The same, with what it reads.
    fn say_ready_for(&self, edition: u8) {
        self.send(&[VERSION, 1, edition, 0], &[]);
    }
    async fn wait_for_message(&self) -> usize {
        loop {
            let mut buffer = [0u8; 70_000];
            let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
            let mut parts = [std::io::IoSliceMut::new(&mut buffer)];
            if let Ok(message) = rustix::net::recvmsg(&self.0, &mut parts, &mut ancillary, flags) {
                return message.bytes;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    /// True when the other side has closed the channel.
    async fn hung_up(&self) {
        let start = Instant::now();
        loop {
            let mut buffer = [0u8; 256];
            match rustix::net::recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return,
                Err(rustix::io::Errno::CONNRESET) => return,
                _ => assert!(start.elapsed() < Duration::from_secs(5), "the channel was not closed"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

struct Edge {
    directory: tempfile::TempDir,
}

impl Edge {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }
    fn path(&self) -> &Path {
        self.directory.path()
    }
    fn socket(&self, instance: &str) -> PathBuf {
        self.path().join(format!("{instance}.sock"))
    }
    fn sender(&self) -> Sender<Job, Nothing> {
        Sender::start("test", Directory::open(self.path()).unwrap(), limits(), |_, _| {})
    }
}

fn read_one(client: &mut TcpStream) -> Option<u8> {
    let mut byte = [0];
    matches!(client.read(&mut byte), Ok(1)).then_some(byte[0])
}

#[test]
fn hundreds_of_sockets_arrive_in_whole_and_nothing_leaks() {
    run(async {
        let edge = Edge::new();
        let served = Rc::new(Cell::new(0));
        let receiver = worker(listen(edge.path(), "1"), Rc::clone(&served));
        let sender = edge.sender();
        let before = {
            until("ready", || sender.ready_instances() == 1).await;
            open_descriptors()
        };
        let mut clients = Vec::new();
        for number in 0..300 {
            let (client, socket) = connection();
            sender.hand_over(Job(number), vec![socket]).unwrap();
            clients.push(client);
        }
        until("all served", || served.get() == 300 && sender.pending() == 0).await;
        for (number, client) in (0u32..).zip(&mut clients) {
            assert_eq!(u32::from(read_one(client).unwrap()), number % 251);
            assert_eq!(read_one(client), None, "no copy may be left: the end must reach the client");
        }
        drop(clients);
        assert_eq!(sender.counts().delivered, 300);
        assert_eq!(open_descriptors(), before);
        assert_eq!(receiver.refused(), 0);
    });
}

#[test]
fn a_receiver_that_dies_between_sending_and_acknowledgement_costs_no_client() {
    run(async {
        let edge = Edge::new();
        let first = listen(edge.path(), "1");
        let sender = edge.sender();
        let peer = RawPeer::accept(&first).await;
        peer.say_ready();
        until("ready", || sender.ready_instances() == 1).await;
        let (mut client, socket) = connection();
        sender.hand_over(Job(7), vec![socket]).unwrap();
        peer.wait_for_message().await;
        let served = Rc::new(Cell::new(0));
        let _second = worker(listen(edge.path(), "2"), Rc::clone(&served));
        until("second instance found by watching the directory", || sender.ready_instances() == 2).await;
        drop(peer);
        drop(first);
        until("served by the next", || served.get() == 1).await;
        assert_eq!(read_one(&mut client), Some(7));
        assert_eq!(sender.counts().redirected, 1);
    });
}

#[test]
fn a_receiver_that_never_answers_is_given_up_and_gets_nothing_when_it_wakes() {
    run(async {
        let edge = Edge::new();
        let first = listen(edge.path(), "1");
        let sender = edge.sender();
        let peer = RawPeer::accept(&first).await;
        peer.say_ready();
        until("ready", || sender.ready_instances() == 1).await;
        let (mut client, socket) = connection();
        sender.hand_over(Job(9), vec![socket]).unwrap();
        peer.wait_for_message().await;
        let served = Rc::new(Cell::new(0));
        let _second = worker(listen(edge.path(), "2"), Rc::clone(&served));
        until("served by the next", || served.get() == 1).await;
        assert_eq!(read_one(&mut client), Some(9));
        // A real receiver that wakes now reads the parcel and then the end of the channel in the same turn: it drops both.
        assert!(peer.wait_for_message().await > 0);
        assert_eq!(rustix::net::send(&peer.0, &[VERSION, 1, 0, 0], SendFlags::NOSIGNAL), Err(rustix::io::Errno::PIPE));
    });
}

#[test]
fn a_full_receiver_returns_parcels_and_another_takes_them() {
    run(async {
        let edge = Edge::new();
        let refusals = Rc::new(Cell::new(0));
        let counted = Rc::clone(&refusals);
        let full: Rc<Receiver<Job, Nothing>> = Receiver::new("test", peers(), move |_| {
            counted.set(counted.get() + 1);
            Verdict::Full
        });
        tokio::task::spawn_local(Rc::clone(&full).serve(listen(edge.path(), "1")));
        let sender = edge.sender();
        until("ready", || sender.ready_instances() == 1).await;
        let (mut client, socket) = connection();
        sender.hand_over(Job(3), vec![socket]).unwrap();
        until("returned", || refusals.get() > 0).await;
        let served = Rc::new(Cell::new(0));
        let _second = worker(listen(edge.path(), "2"), Rc::clone(&served));
        until("served", || served.get() == 1).await;
        assert_eq!(read_one(&mut client), Some(3));
    });
}

#[test]
fn a_draining_receiver_gets_nothing_new() {
    run(async {
        let edge = Edge::new();
        let (served_1, served_2) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let first = worker(listen(edge.path(), "1"), Rc::clone(&served_1));
        let _second = worker(listen(edge.path(), "2"), Rc::clone(&served_2));
        let sender = edge.sender();
        until("ready", || sender.ready_instances() == 2).await;
        first.drain();
        for number in 0..20 {
            sender.hand_over(Job(number), vec![connection().1]).unwrap();
        }
        until("served", || served_2.get() == 20).await;
        assert_eq!(served_1.get(), 0);
    });
}

#[test]
fn without_any_receiver_the_owner_gets_its_parcel_back() {
    run(async {
        let edge = Edge::new();
        let back = Rc::new(RefCell::new(Vec::new()));
        let returned = Rc::clone(&back);
        let limits = SenderLimits { wait_deadline: Duration::from_millis(100), max_waiting: 2, ..limits() };
        let sender: Sender<Job, Nothing> =
            Sender::start("test", Directory::open(edge.path()).unwrap(), limits, move |parcel: Parcel<Job>, why| {
                returned.borrow_mut().push((parcel.body.0, parcel.descriptors.len(), why));
            });
        sender.hand_over(Job(1), vec![connection().1]).unwrap();
        sender.hand_over(Job(2), vec![connection().1]).unwrap();
        assert!(!sender.has_room());
        assert_eq!(sender.hand_over(Job(3), vec![connection().1]).unwrap_err().body.0, 3);
        until("given back", || back.borrow().len() == 2).await;
        assert_eq!(*back.borrow(), [(1, 1, Undelivered::NoReceiver), (2, 1, Undelivered::NoReceiver)]);
        sender.room().await;
    });
}

#[test]
fn an_oversize_message_is_told_to_its_sender_and_others_still_go() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Big(Vec<u8>);
    impl Message for Big {
        fn descriptors(&self) -> usize {
            0
        }
    }
    run(async {
        let edge = Edge::new();
        let sizes = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&sizes);
        let receiver: Rc<Receiver<Big, Nothing>> =
            Receiver::new("test", peers(), move |arrival: Arrival<Big, Nothing>| {
                seen.borrow_mut().push(arrival.parcel.body.0.len());
                Verdict::Taken
            });
        tokio::task::spawn_local(Rc::clone(&receiver).serve(listen(edge.path(), "1")));
        let failed = Rc::new(Cell::new(None));
        let told = Rc::clone(&failed);
        let sender: Sender<Big, Nothing> =
            Sender::start("test", Directory::open(edge.path()).unwrap(), limits(), move |_, why| told.set(Some(why)));
        sender.hand_over(Big(vec![0; 70_000]), vec![]).unwrap();
        sender.hand_over(Big(vec![0; 60_000]), vec![]).unwrap();
        until("delivered", || *sizes.borrow() == [60_000]).await;
        assert_eq!(failed.get(), Some(Undelivered::TooLarge));
    });
}

#[test]
fn calls_are_answered_with_descriptors_and_asked_again_when_the_instance_dies() {
    run(async {
        let edge = Edge::new();
        let first = listen(edge.path(), "1");
        let sender: Sender<Question, Reply> =
            Sender::start("test", Directory::open(edge.path()).unwrap(), limits(), |_, _| {});
        let peer = RawPeer::accept(&first).await;
        peer.say_ready();
        until("ready", || sender.ready_instances() == 1).await;
        let asking = tokio::task::spawn_local({
            let sender = sender.clone();
            async move { sender.call(Question(5), vec![]).await }
        });
        peer.wait_for_message().await;
        peer.send(&[VERSION, 1, 0, 1, 1], &[]); // Taken(1), and then it dies with the question in hand
        until("acknowledged", || sender.pending() == 0).await;
        let second: Rc<Receiver<Question, Reply>> =
            Receiver::new("test", peers(), |mut arrival: Arrival<Question, Reply>| {
                let number = arrival.parcel.body.0;
                arrival.replier.take().unwrap().send(Reply(number * 2), vec![connection().1]);
                Verdict::Taken
            });
        tokio::task::spawn_local(Rc::clone(&second).serve(listen(edge.path(), "2")));
        until("second ready", || sender.ready_instances() == 2).await;
        drop((peer, first));
        let (reply, descriptors) = asking.await.unwrap().unwrap();
        assert_eq!((reply.0, descriptors.len()), (10, 1));
    });
}

/// A message that was added later: one part of it, everything above 99.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Grown(u32);

impl Message for Grown {
    fn descriptors(&self) -> usize {
        0
    }
    fn edition(&self) -> u64 {
        u64::from(self.0 > 99)
    }
}

#[test]
fn a_receiver_gets_nothing_that_its_release_does_not_read() {
    run(async {
        let edge = Edge::new();
        let (back, came_back) = (Rc::new(RefCell::new(Vec::new())), 2);
        let old = listen(edge.path(), "1");
        let new = listen(edge.path(), "2");
        let sender: Sender<Grown, Nothing> = {
            let back = Rc::clone(&back);
            let undelivered = move |parcel: Parcel<Grown>, _| back.borrow_mut().push(parcel.body.0);
            let limits = SenderLimits { wait_deadline: Duration::from_millis(300), ..limits() };
            Sender::start("test", Directory::open(edge.path()).unwrap(), limits, undelivered)
        };
        assert!(sender.is_read(1), "nobody is there yet: whoever comes is of our own release");
        let old_peer = RawPeer::accept(&old).await;
        old_peer.say_ready();
        until("the old one is ready", || sender.ready_instances() == 1).await;
        assert!(sender.is_read(0) && !sender.is_read(1));
        // What it does not read waits, and holds up nothing that it does; in the end its owner is told.
        for number in [100, 1, 101, 2] {
            sender.hand_over(Grown(number), Vec::new()).unwrap();
        }
        old_peer.wait_for_message().await;
        old_peer.send(&[VERSION, 1, 0, 1, 2], &[]); // Taken(2)
        until("the others came back", || back.borrow().len() == came_back).await;
        assert_eq!(*back.borrow(), [100, 101]);
        assert_eq!(sender.pending(), 0, "1 and 2 are with the old one");

        let new_peer = RawPeer::accept(&new).await;
        new_peer.say_ready_for(1);
        until("the new one is ready", || sender.ready_instances() == 2).await;
        assert!(sender.is_read(1) && !sender.is_read(2));
        for number in 102..110 {
            sender.hand_over(Grown(number), Vec::new()).unwrap();
        }
        new_peer.wait_for_message().await;
        new_peer.send(&[VERSION, 1, 0, 1, 8], &[]); // Taken(8)
        until("all eight are with the new one", || sender.pending() == 0).await;
        // Nor is it given to the old one when the new one goes with it in its hands.
        sender.hand_over(Grown(200), Vec::new()).unwrap();
        until("on its way", || sender.pending() == 1).await;
        drop((new_peer, new));
        until("told", || back.borrow().len() == came_back + 1).await;
        assert_eq!((back.borrow()[2], sender.pending()), (200, 0));
    });
}

#[test]
fn a_receiver_says_what_it_reads() {
    run(async {
        let edge = Edge::new();
        let listener = listen(edge.path(), "1");
        worker(listener, Rc::default());
        let peer = RawPeer::connect(&edge.socket("1"));
        peer.wait_for_message().await;
        let mut greeting = [0; 16];
        let (length, _) = rustix::net::recv(&peer.0, &mut greeting[..], RecvFlags::DONTWAIT).unwrap();
        let edition = u8::try_from(common::ipc::codec::EDITION).unwrap();
        assert_eq!(greeting[..length], [VERSION, 1, edition, 0]);
    });
}

/// One frame with one job, and the descriptors to go with it.
fn job_frame() -> Vec<u8> {
    let mut frame = FrameWriter::default();
    frame.push(0, &Job(1)).unwrap();
    frame.bytes().to_vec()
}

#[test]
fn hostile_senders_are_cut_off_and_leave_no_descriptor() {
    run(async {
        let edge = Edge::new();
        let served = Rc::new(Cell::new(0));
        let receiver = worker(listen(edge.path(), "1"), Rc::clone(&served));
        let file = std::fs::File::open("/dev/null").unwrap();
        let good = job_frame();
        let mut wrong_version = good.clone();
        wrong_version[0] = 200;
        let mut trailing = good.clone();
        trailing.push(1);
        let cases: [(&str, Vec<u8>, usize); 8] = [
            ("no descriptor", good.clone(), 0),
            ("two for one", good.clone(), 2),
            ("a hundred", good.clone(), 100),
            ("wrong version", wrong_version, 1),
            ("trailing bytes", trailing, 1),
            ("truncated", good[..good.len() - 1].to_vec(), 1),
            ("oversize", vec![VERSION; 66_000], 1),
            ("garbage", vec![0xff; 40], 3),
        ];
        tokio::time::sleep(Duration::from_millis(20)).await;
        let before = open_descriptors();
        for (number, (what, bytes, count)) in (1u64..).zip(cases) {
            let peer = RawPeer::connect(&edge.socket("1"));
            let descriptors: Vec<_> = (0..count).map(|_| file.as_fd()).collect();
            peer.send(&bytes, &descriptors);
            peer.hung_up().await;
            assert_eq!(receiver.refused(), number, "{what}");
            drop(peer);
            until(what, || open_descriptors() == before).await;
        }
        assert_eq!(served.get(), 0);
        // The edge still works for an honest one.
        let sender = edge.sender();
        sender.hand_over(Job(1), vec![connection().1]).unwrap();
        until("served", || served.get() == 1).await;
    });
}

#[test]
fn a_parcel_read_together_with_the_end_of_its_channel_is_not_served() {
    run(async {
        for frames in [1, 7, 8, 9, 40] {
            let edge = Edge::new();
            let served = Rc::new(Cell::new(0));
            let listener = listen(edge.path(), "1");
            let peer = RawPeer::connect(&edge.socket("1"));
            for _ in 0..frames {
                peer.send(&job_frame(), &[connection().1.as_fd()]);
            }
            drop(peer); // before the receiver has even accepted, as after a long SIGSTOP
            let receiver = worker(listener, Rc::clone(&served));
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(served.get(), 0, "{frames} frames");
            assert_eq!(receiver.refused(), 0);
        }
    });
}

/// A receiver that owns a parcel alone or not at all. `judge` runs where the handler does, `begin` where serving begins.
fn careful(listener: OwnedFd, judge: impl Fn() + 'static, begin: impl Fn() + Clone + 'static) {
    let receiver = Receiver::new("test", peers(), move |_: Arrival<Job, Nothing>| {
        judge();
        Verdict::TakenOnce(Box::new(begin.clone()))
    });
    tokio::task::spawn_local(receiver.serve(listener));
}

#[test]
fn what_must_be_owned_alone_begins_when_its_acknowledgement_can_be_read() {
    run(async {
        let edge = Edge::new();
        let listener = listen(edge.path(), "1");
        let peer = Rc::new(RawPeer::connect(&edge.socket("1")));
        let greeted = Rc::new(Cell::new(0));
        let acknowledged: Rc<Cell<Option<Vec<u8>>>> = Rc::default();
        let read = |peer: &RawPeer| {
            let mut buffer = [0u8; 64];
            rustix::net::recv(&peer.0, &mut buffer[..], RecvFlags::DONTWAIT)
                .ok()
                .map(|(read, _)| buffer[..read].to_vec())
        };
        let begin = {
            let (peer, acknowledged) = (Rc::clone(&peer), Rc::clone(&acknowledged));
            move || acknowledged.set(read(&peer))
        };
        careful(listener, || (), begin);
        until("the greeting", || {
            greeted.set(greeted.get() + u32::from(read(&peer).is_some()));
            greeted.get() > 0
        })
        .await;
        peer.send(&job_frame(), &[connection().1.as_fd()]);
        let frame = RefCell::new(None);
        until("it begins", || {
            frame.replace(acknowledged.take().or(frame.take()));
            frame.borrow().is_some()
        })
        .await;
        // `Taken(1)`, the second variant of the reply enum, in a frame of one item.
        assert_eq!(frame.take().unwrap(), [VERSION, 1, 0, 1, 1]);
    });
}

#[test]
fn what_cannot_be_acknowledged_any_more_never_begins() {
    run(async {
        let edge = Edge::new();
        let begun = Rc::new(Cell::new(0));
        let count = {
            let begun = Rc::clone(&begun);
            move || begun.set(begun.get() + 1)
        };
        let peer: Rc<RefCell<Option<RawPeer>>> = Rc::default();
        let hang_up = {
            let peer = Rc::clone(&peer);
            move || drop(peer.borrow_mut().take())
        };
        let listener = listen(edge.path(), "1");
        let first = RawPeer::connect(&edge.socket("1"));
        first.send(&job_frame(), &[connection().1.as_fd()]);
        peer.replace(Some(first));
        careful(listener, hang_up, count);
        until("the handler was asked", || peer.borrow().is_none()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(begun.get(), 0, "its sender gives the parcel to somebody else");
    });
}

#[test]
fn strangers_are_turned_away() {
    run(async {
        let edge = Edge::new();
        let receiver: Rc<Receiver<Job, Nothing>> =
            Receiver::new("test", PeerCheck::new([4_000_000_000]), |_| Verdict::Taken);
        tokio::task::spawn_local(Rc::clone(&receiver).serve(listen(edge.path(), "1")));
        let peer = RawPeer::connect(&edge.socket("1"));
        peer.hung_up().await;
        assert_eq!(receiver.refused(), 1);
    });
}
