//! One proxy, one played relay, one backend, in one thread. `World::run` takes it all down again and looks for leaks.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::config::{Config, ForwardProxy};
use common::ipc::directory::Directory;
use forward_proxy::accept::accept;
use forward_proxy::authenticate::Authenticator;
use forward_proxy::authenticate::users::Users;
use forward_proxy::metrics::Metrics;
use forward_proxy::serve::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::backend::Backend;
use crate::relay::PlayedRelay;

/// One test at a time: they count the descriptors of the whole test process.
static ONE: Mutex<()> = Mutex::new(());

/// How a world is to be.
pub struct Setting {
    /// `[forward-proxy]` keys and tables, without the listener.
    pub config: String,
    /// Lines of the users file; empty: there is none.
    pub users: String,
    /// Changes that the configuration's own bounds do not allow.
    pub adjust: fn(&mut ForwardProxy),
    /// Whether the relay is there.
    pub relay: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self { config: String::new(), users: String::new(), adjust: |_| {}, relay: true }
    }
}

pub struct World {
    pub address: SocketAddr,
    pub proxy: Rc<Proxy>,
    pub metrics: Metrics,
    pub backend: Rc<Backend>,
    pub relay: Rc<PlayedRelay>,
}

fn runtime() -> tokio::runtime::LocalRuntime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap()
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl World {
    /// Runs a test in a world of its own. After it everything is closed again.
    pub fn run<F: Future<Output = ()>>(setting: Setting, test: impl FnOnce(Rc<World>) -> F) {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        drop(runtime()); // the first one opens tokio's signal pipe for good
        let before = open_descriptors();
        let runtime = runtime();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let world = World::build(&setting, folder.path()).await;
            tokio::time::sleep(Duration::from_millis(30)).await; // the edge is connected
            let inside = open_descriptors();
            tokio::time::timeout(Duration::from_secs(60), test(Rc::clone(&world)))
                .await
                .expect("the test took too long");
            world.proxy.drain(None, |_| std::time::Duration::from_secs(5)).await;
            let proxy = Rc::clone(&world.proxy);
            until("every connection is gone", move || {
                proxy.places.taken() == 0 && proxy.way_out.pending() == 0 && proxy.metrics.lingering.get() == 0
            })
            .await;
            world.backend.forget();
            until(&format!("{inside} descriptors as before the test"), || open_descriptors() <= inside).await;
        });
        drop(runtime);
        assert_eq!(open_descriptors(), before, "descriptors leaked");
    }

    async fn build(setting: &Setting, folder: &Path) -> Rc<World> {
        let backend = Backend::start().await;
        let users = (!setting.users.is_empty()).then(|| Users::parse(&setting.users).unwrap());
        let users_key = if users.is_some() { "users_file = \"users\"\n" } else { "" };
        let port = backend.address.port();
        // One port is open for every test: the backend's.
        let ports = format!("ports = [80, 443, {port}]\n");
        let text = format!(
            "[forward-proxy]\n{users_key}{ports}{}\n[[forward-proxy.listen]]\nname = \"proxy\"\naddress = \"127.0.0.1:3128\"\n",
            setting.config
        );
        let mut config = Config::parse(&text, "test", folder).unwrap().0.forward_proxy;
        (setting.adjust)(&mut config);
        let relay = PlayedRelay::start(folder, backend.address, setting.relay);
        let metrics = Metrics::default();
        let authenticator = Authenticator::new(users, metrics.clone()).unwrap();
        let directory = Directory::open(folder).unwrap();
        let policy = forward_proxy::decide::Policy::new(&config, &common_access::Environment::default()).unwrap();
        let proxy = Proxy::start(&config, policy, true, authenticator, directory, metrics.clone());
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(accept(Rc::clone(&proxy), listener.into()));
        Rc::new(World { address, proxy, metrics, backend, relay })
    }

    /// A connection from 127.0.0.1.
    pub async fn connect(&self) -> Client {
        self.connect_from(Ipv4Addr::LOCALHOST).await
    }

    /// A connection from another address of this machine.
    pub async fn connect_from(&self, source: Ipv4Addr) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((source, 0))).unwrap();
        Client(socket.connect(self.address).await.unwrap())
    }

    /// Sends `request` on a connection of its own and reads the answer.
    pub async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await
    }

    /// The backend by the name that the played relay knows.
    pub fn backend_name(&self) -> String {
        format!("backend.test:{}", self.backend.address.port())
    }
}

/// A client that speaks raw bytes.
pub struct Client(pub TcpStream);

/// An answer with its whole body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn has(&self, line: &str) -> bool {
        self.head.lines().any(|own| own.eq_ignore_ascii_case(line))
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Client {
    pub async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.unwrap();
    }

    /// Reads to the end of the head and not a byte further.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(PATIENCE, self.0.read_u8()).await.expect("no answer");
            head.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&head))));
        }
        String::from_utf8(head).unwrap()
    }

    pub async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let lower = head.to_ascii_lowercase();
        let field =
            |name: &str| lower.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()));
        let body = if let Some(length) = field("content-length:") {
            let mut body = vec![0; length.parse().unwrap()];
            tokio::time::timeout(PATIENCE, self.0.read_exact(&mut body)).await.unwrap().unwrap();
            body
        } else if field("transfer-encoding:").is_some() {
            self.chunks().await
        } else {
            Vec::new()
        };
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(self.0.read_u8().await.unwrap());
            }
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.0.read_exact(&mut chunk).await.unwrap();
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return body;
            }
        }
    }

    /// Everything that still comes, to the end.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("the connection stays open");
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Sends and expects the same bytes back.
    pub async fn echo(&mut self, text: &str) {
        self.send(text).await;
        self.expect(text).await;
    }

    pub async fn expect(&mut self, text: &str) {
        let mut back = vec![0; text.len()];
        tokio::time::timeout(PATIENCE, self.0.read_exact(&mut back)).await.expect("no echo").unwrap();
        assert_eq!(String::from_utf8_lossy(&back), text);
    }
}
