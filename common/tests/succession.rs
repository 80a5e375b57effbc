//! The promises of `common::ipc::succession`, with real sockets: who lives takes, who comes later finds, nothing has two owners.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::ipc::directory::Directory;
use common::ipc::peer::PeerCheck;
use common::ipc::receiver::{Arrival, Receiver, Verdict};
use common::ipc::succession::Successor;
use common::ipc::{Message, Nothing};
use common::wiring::{LETTER_BOX, RELAY_TO_SUCCESSOR};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Life(u32);
impl Message for Life {
    fn descriptors(&self) -> usize {
        1
    }
}

/// One life of a process: what it has not given away is closed when it ends.
fn life<F: Future>(story: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), story).await.expect("took too long") })
}

/// The letter box, as the launcher makes it.
fn letter_box(folder: &Path) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let path = folder.join(format!("{LETTER_BOX}.sock"));
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    rustix::net::listen(&socket, 128).unwrap();
    socket
}

fn connections(count: u32) -> Vec<(TcpStream, OwnedFd)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = |_| {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        (client, listener.accept().unwrap().0.into())
    };
    (0..count).map(one).collect()
}

/// Answers each connection with the number that came with it, then closes it.
fn heir(listener: OwnedFd, room: u32, served: &Rc<Cell<u32>>) {
    let served = Rc::clone(served);
    let peers = PeerCheck::new([rustix::process::getuid().as_raw()]);
    let receiver = Receiver::heir("test", peers, move |arrival: Arrival<Life, Nothing>| {
        if served.get() >= room {
            return Verdict::Full;
        }
        served.set(served.get() + 1);
        let number = arrival.parcel.body.0;
        let mut socket = TcpStream::from(arrival.parcel.descriptors.into_iter().next().unwrap());
        Verdict::TakenOnce(Box::new(move || socket.write_all(&number.to_be_bytes()).unwrap()))
    });
    tokio::task::spawn_local(receiver.serve(listener));
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(8), "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn everyone_is_answered(clients: Vec<TcpStream>) {
    for (expected, mut client) in (0u32..).zip(clients) {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, expected.to_be_bytes(), "served once, and no copy of it is left anywhere");
    }
}

async fn give_all(folder: &Path, given: Vec<OwnedFd>, back: &Rc<RefCell<Vec<u32>>>) -> Option<u64> {
    let returned = Rc::clone(back);
    let directory = Directory::open(folder).unwrap();
    let successor =
        Successor::find(&RELAY_TO_SUCCESSOR, directory, move |parcel: common::ipc::sender::Parcel<Life>| {
            returned.borrow_mut().push(parcel.body.0);
        });
    let successor = successor.await?;
    for (number, socket) in (0..).zip(given) {
        successor.give(Life(number), vec![socket]);
    }
    successor.settled().await;
    Some(successor.taken())
}

#[test]
fn what_nobody_reads_waits_for_the_next_incarnation() {
    const COUNT: u32 = 1500;
    let folder = tempfile::tempdir().unwrap();
    let listener = letter_box(folder.path());
    let (clients, given) = connections(COUNT).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let back = Rc::default();
    let taken = life(give_all(folder.path(), given, &back));
    assert_eq!(taken, Some(0), "there was nobody to take it");
    assert!(back.borrow().is_empty(), "there was room for {COUNT}");
    let served = Rc::new(Cell::new(0));
    life(async {
        heir(listener, COUNT, &served);
        until("all are served", || served.get() == COUNT).await;
    });
    everyone_is_answered(clients);
}

#[test]
fn who_lives_takes_at_once() {
    const COUNT: u32 = 300;
    let folder = tempfile::tempdir().unwrap();
    let listener = letter_box(folder.path());
    let (clients, given) = connections(COUNT).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let served = Rc::new(Cell::new(0));
    let back = Rc::default();
    life(async {
        heir(listener, COUNT, &served);
        assert_eq!(give_all(folder.path(), given, &back).await, Some(u64::from(COUNT)));
    });
    assert!(back.borrow().is_empty());
    everyone_is_answered(clients);
}

#[test]
fn who_has_no_place_gives_back_and_the_owner_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let listener = letter_box(folder.path());
    let (mut clients, given) = connections(10).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let served = Rc::new(Cell::new(0));
    let back: Rc<RefCell<Vec<u32>>> = Rc::default();
    life(async {
        heir(listener, 4, &served);
        assert_eq!(give_all(folder.path(), given, &back).await, Some(4));
        until("six come back", || back.borrow().len() == 6).await;
    });
    let mut answered = 0;
    for client in &mut clients {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        answered += u32::from(answer.len() == 4);
    }
    assert_eq!((served.get(), answered), (4, 4));
}

#[test]
fn without_a_letter_box_there_is_no_successor() {
    let folder = tempfile::tempdir().unwrap();
    let back = Rc::default();
    drop(letter_box(folder.path())); // the file is there, and nobody holds the socket: everything is stopping
    let (_clients, given) = connections(1).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    assert_eq!(life(give_all(folder.path(), given, &back)), None);
}
