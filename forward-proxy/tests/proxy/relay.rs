//! The test as passthrough-relay: a strict stand-in for its address guard, names from a table, tunnels that are copied.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use common::ipc::messages::forward_to_relay::{DialRefusal, Dialed, Outward};
use common::ipc::peer::PeerCheck;
use common::ipc::receiver::{Arrival, Receiver, Replier, Verdict};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What the proxy gave away.
#[derive(Debug)]
pub struct Given {
    pub label: String,
    pub user: Option<String>,
    pub client: SocketAddr,
    pub to_client: Vec<u8>,
}

pub struct PlayedRelay {
    backend: SocketAddr,
    pub dialled: RefCell<Vec<String>>,
    pub spliced: RefCell<Vec<Given>>,
    /// Tunnels are not taken.
    pub full: Cell<bool>,
    /// Dials are left without an answer.
    pub silent: RefCell<Vec<Replier<Dialed>>>,
}

impl PlayedRelay {
    pub fn start(folder: &Path, backend: SocketAddr, present: bool) -> Rc<Self> {
        let relay = Rc::new(Self {
            backend,
            dialled: RefCell::default(),
            spliced: RefCell::default(),
            full: Cell::new(false),
            silent: RefCell::default(),
        });
        if present {
            let flags = SocketFlags::CLOEXEC;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
            rustix::net::bind(&socket, &SocketAddrUnix::new(folder.join("1.sock")).unwrap()).unwrap();
            rustix::net::listen(&socket, 64).unwrap();
            let peers = PeerCheck::new([rustix::process::getuid().as_raw()]);
            let answering = Rc::clone(&relay);
            let receiver = Receiver::new("test", peers, move |arrival| answering.take(arrival));
            tokio::task::spawn_local(receiver.serve(socket));
        }
        relay
    }

    fn take(self: &Rc<Self>, arrival: Arrival<Outward, Dialed>) -> Verdict {
        match arrival.parcel.body {
            Outward::Dial { host, port, deadline_ms } => {
                assert!(deadline_ms > 0);
                self.dialled.borrow_mut().push(format!("{host} {port}"));
                tokio::task::spawn_local(Rc::clone(self).dial(host.into(), port, arrival.replier.unwrap()));
            }
            Outward::Splice { .. } if self.full.get() => return Verdict::Full,
            Outward::Splice { ends, label, user, to_server, to_client } => {
                assert!(to_server.len() <= 32 * 1024 && to_client.len() <= 16 * 1024);
                self.spliced.borrow_mut().push(Given {
                    label: label.into(),
                    user: user.map(String::from),
                    client: ends.client,
                    to_client: to_client.to_vec(),
                });
                let sockets = arrival.parcel.descriptors;
                tokio::task::spawn_local(splice(sockets, to_server.into_vec(), to_client.into_vec()));
            }
        }
        Verdict::Taken
    }

    async fn dial(self: Rc<Self>, host: String, port: u16, replier: Replier<Dialed>) {
        let refuse = |reason, detail: String| (Dialed::Refused { reason, detail: detail.into() }, Vec::new());
        let (reply, descriptors) = match judge(&host, self.backend, port) {
            Ok(address) => match TcpStream::connect(address).await {
                Ok(stream) => (Dialed::Connected { address }, vec![stream.into_std().unwrap().into()]),
                Err(error) => refuse(DialRefusal::Connect, error.to_string()),
            },
            Err(None) => return self.silent.borrow_mut().push(replier),
            Err(Some((reason, detail))) => refuse(reason, detail),
        };
        replier.send(reply, descriptors);
    }
}

/// Only the backend's address is open, under its number and under one name.
fn judge(host: &str, backend: SocketAddr, port: u16) -> Result<SocketAddr, Option<(DialRefusal, String)>> {
    let refuse = |reason, detail: &str| Err(Some((reason, detail.to_owned())));
    if let Ok(address) = host.parse::<IpAddr>() {
        return if address.to_canonical() == backend.ip() {
            Ok(SocketAddr::new(address, port))
        } else {
            refuse(DialRefusal::ForbiddenAddress, &format!("{address} is {}", class(address.to_canonical())))
        };
    }
    match host {
        "backend.test" => Ok(SocketAddr::new(backend.ip(), port)),
        "closed.test" => refuse(DialRefusal::Connect, "connection refused"),
        "slow.test" => refuse(DialRefusal::Deadline, "not connected in time"),
        "full.test" => refuse(DialRefusal::Full, "too many connects under way"),
        "odd.test" => refuse(DialRefusal::NotConfigured, "not for you"),
        "silent.test" => Err(None),
        "localhost" => refuse(DialRefusal::ForbiddenAddress, "127.0.0.1 is a loopback address"),
        _ => refuse(DialRefusal::Name, "no such name (NXDOMAIN)"),
    }
}

fn class(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(v4) if v4.is_loopback() => "a loopback address",
        IpAddr::V4(v4) if v4.is_private() => "a private address (RFC 1918)",
        IpAddr::V4(v4) if v4.is_link_local() => "a link-local address",
        IpAddr::V6(v6) if v6.is_loopback() => "a loopback address",
        _ => "not open in this test",
    }
}

async fn splice(sockets: Vec<OwnedFd>, to_server: Vec<u8>, to_client: Vec<u8>) {
    let mut streams = sockets.into_iter().map(|socket| TcpStream::from_std(socket.into()).unwrap());
    let (mut client, mut server) = (streams.next().unwrap(), streams.next().unwrap());
    client.write_all(&to_client).await.unwrap();
    server.write_all(&to_server).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
