//! A small world around the real `serve`: the test plays sni-router (peeks, hands sockets over) and http-filter (echoes), on
//! real sockets, each in a thread of its own; clients live in the test's threads.

use std::cell::RefCell;
use std::fs::Permissions;
use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::config::{CertificateFiles, Handoff, NamePattern, Site, SiteAlpn, Terminator, Tickets, TlsVersion};
use common::ipc::Nothing;
use common::ipc::directory::Directory;
use common::ipc::messages::Ends;
use common::ipc::messages::router_to_terminator::Terminate;
use common::ipc::messages::terminator_to_filter::Decrypted;
use common::ipc::peer::PeerCheck;
use common::ipc::receiver::{Arrival, Receiver, Verdict};
use common::ipc::sender::{Sender, SenderLimits};
use common::observe::metrics::Figures;
use common::process::Process;
use common::sandbox::Identity;
use common::wiring::{ROUTER_TO_TERMINATOR, TERMINATOR_TO_FILTER};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustls::server::Acceptor;
use rustls_pki_types::CertificateDer;
use tls_terminator::metrics::TerminatorFigures;
use tls_terminator::serve::{Opened, load_sites, serve, start};
use tls_terminator::settings::{Settings, Strangers};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One test at a time: they count the descriptors of the whole test process.
static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// What http-filter got to know, and what it saw of each stream.
#[derive(Debug)]
pub enum Seen {
    Message(Box<Decrypted>),
    /// A stream ended after so many bytes.
    End(u64),
}

type Figure = (Box<str>, u64);

/// A thread with a local runtime, told to stop and joined when dropped.
struct Thread {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    handle: Option<std::thread::JoinHandle<()>>,
}

impl Thread {
    fn start<F: Future<Output = ()>>(
        work: impl FnOnce(tokio::sync::oneshot::Receiver<()>) -> F + Send + 'static,
    ) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let handle = std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).unwrap();
            runtime.block_on(work(stopped));
        });
        Self { stop: Some(stop), handle: Some(handle) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
            && !std::thread::panicking()
        {
            panic!("a thread of the world panicked");
        }
    }
}

/// What the world looks like.
pub struct Plan {
    pub terminator: Terminator,
    pub strangers: Strangers,
    pub min_version: TlsVersion,
    /// Names and protocols of each site; every site gets an ECDSA pair, the first one an RSA pair too.
    pub sites: Vec<(Vec<&'static str>, Vec<SiteAlpn>)>,
    /// The router hands sockets over at once under this name instead of reading the hello.
    pub blind: Option<&'static str>,
    /// Whether an instance of http-filter runs.
    pub filter: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            terminator: Terminator {
                instances: 1,
                handshake_deadline: Duration::from_secs(5),
                max_handshakes: 1000,
                max_connections: 1000,
                max_connections_per_address: 1000,
                idle_deadline: Duration::from_secs(60),
                min_version: TlsVersion::Tls12,
                ready_keys: 64,
                watch: true,
                warn_before: Duration::from_secs(60),
                handoff: Handoff::Relay, // this world plays a filter that holds no keys
                max_unacknowledged: 64,
                suites: None,
                tickets: Tickets::default(),
                full_handshakes: None,
            },
            strangers: Strangers::default(),
            min_version: TlsVersion::Tls12,
            sites: vec![
                (vec!["shop.example", "*.shop.example"], vec![SiteAlpn::H2, SiteAlpn::Http11]),
                (vec!["one.shop.example"], vec![SiteAlpn::Http11]),
            ],
            blind: None,
            filter: true,
        }
    }
}

/// A running world. Dropping it stops it and waits.
pub struct World {
    pub address: SocketAddr,
    pub folder: PathBuf,
    pub authority: CertificateDer<'static>,
    /// By site: the leaf of the ECDSA pair, and of the RSA pair.
    pub leaves: Vec<(CertificateDer<'static>, Option<CertificateDer<'static>>)>,
    pub seen: mpsc::Receiver<Seen>,
    settings: Settings,
    questions: Option<UnboundedSender<mpsc::Sender<Vec<Figure>>>>,
    /// The kernel's id of the thread that serves.
    pub thread_id: i32,
    terminator: Option<Thread>,
    _others: Vec<Thread>,
    _folder: tempfile::TempDir,
    _one: std::sync::MutexGuard<'static, ()>,
}

impl World {
    pub fn start(plan: Plan) -> Self {
        let (mut world, from_router) = Self::around(plan);
        let settings = world.settings.clone();
        let path = world.folder.clone();
        let (questions, incoming) = unbounded_channel();
        let (up, is_up) = mpsc::channel();
        world.terminator = Some(Thread::start(|stopped| terminate(path, settings, from_router, incoming, up, stopped)));
        world.thread_id = is_up.recv_timeout(Duration::from_secs(10)).expect("the world came up");
        world.questions = Some(questions);
        world
    }

    /// Everything around the terminator, and the socket it shall listen on.
    pub fn around(plan: Plan) -> (Self, OwnedFd) {
        let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let (authority, sites, leaves) = certify(folder.path(), &plan.sites);
        let mut terminator = plan.terminator.clone();
        terminator.min_version = plan.min_version;
        let settings = Settings { terminator, sites, strangers: plan.strangers, access_log: true };
        let (tell, seen) = mpsc::channel();
        for edge in [ROUTER_TO_TERMINATOR, TERMINATOR_TO_FILTER] {
            std::fs::create_dir_all(edge.directory(folder.path())).unwrap();
        }
        let mut threads = Vec::new();
        if plan.filter {
            let listener = listen(&TERMINATOR_TO_FILTER.socket(folder.path(), 1));
            threads.push(Thread::start(|stopped| async {
                play_filter(listener, tell);
                let _ = stopped.await;
            }));
        }
        let from_router = listen(&ROUTER_TO_TERMINATOR.socket(folder.path(), 1));
        let directory = Directory::open(&ROUTER_TO_TERMINATOR.directory(folder.path())).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        threads.push(Thread::start(move |stopped| async move {
            become_router();
            tokio::task::spawn_local(play_router(listener, directory, plan.blind));
            let _ = stopped.await;
        }));
        let world = Self {
            address,
            folder: folder.path().to_owned(),
            authority,
            leaves,
            seen,
            settings,
            questions: None,
            thread_id: 0,
            terminator: None,
            _others: threads,
            _folder: folder,
            _one: one,
        };
        (world, from_router)
    }

    pub fn figure(&self, name: &str) -> u64 {
        let (reply, answer) = mpsc::channel();
        self.questions.as_ref().expect("a terminator in this process").send(reply).expect("the world lives");
        let figures = answer.recv_timeout(Duration::from_secs(5)).unwrap();
        figures.iter().find(|(own, _)| **own == *name).unwrap_or_else(|| panic!("no figure {name}")).1
    }

    /// Waits until a figure has a value.
    #[track_caller]
    pub fn await_figure(&self, name: &str, value: u64) {
        let began = Instant::now();
        while self.figure(name) != value {
            assert!(began.elapsed() < Duration::from_secs(8), "{name} is {} and not {value}", self.figure(name));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// One connection through everything, so that all channels stand; then the number of open descriptors.
    pub fn warm(&self) -> usize {
        let mut client = crate::client::Client::good(self);
        client.echo(b"warm");
        client.goodbye();
        client.rest().unwrap();
        assert_eq!(self.end(), 4);
        drop(client);
        self.await_figure("connections", 0);
        open_descriptors()
    }

    pub fn message(&self) -> Decrypted {
        loop {
            if let Seen::Message(message) = self.seen.recv_timeout(Duration::from_secs(8)).expect("a message") {
                return *message;
            }
        }
    }

    /// Bytes that http-filter got on the next stream that ends.
    pub fn end(&self) -> u64 {
        loop {
            if let Seen::End(bytes) = self.seen.recv_timeout(Duration::from_secs(8)).expect("an end") {
                return bytes;
            }
        }
    }

    /// Gives the order to stop and says how long that took.
    pub fn stop(&mut self) -> Duration {
        let began = Instant::now();
        drop(self.terminator.take());
        began.elapsed()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Waits until so many descriptors are open again.
#[track_caller]
pub fn await_descriptors(count: usize) {
    let began = Instant::now();
    while open_descriptors() != count {
        assert!(began.elapsed() < Duration::from_secs(8), "{} descriptors are open, were {count}", open_descriptors());
        std::thread::sleep(Duration::from_millis(10));
    }
}

type Leaves = Vec<(CertificateDer<'static>, Option<CertificateDer<'static>>)>;

fn certify(folder: &Path, plan: &[(Vec<&'static str>, Vec<SiteAlpn>)]) -> (CertificateDer<'static>, Vec<Site>, Leaves) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let (mut sites, mut leaves) = (Vec::new(), Vec::new());
    for (index, (names, alpn)) in plan.iter().enumerate() {
        let pair = |kind: &str, algorithm| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let key = KeyPair::generate_for(algorithm).unwrap();
            let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
            let files = CertificateFiles {
                certificate: folder.join(format!("{index}-{kind}.crt")),
                key: folder.join(format!("{index}-{kind}.key")),
                ocsp: None,
            };
            std::fs::write(&files.certificate, leaf.pem() + &authority.pem()).unwrap();
            std::fs::write(&files.key, key.serialize_pem()).unwrap();
            (files, leaf.der().clone())
        };
        let (ecdsa, ecdsa_leaf) = pair("ec", &rcgen::PKCS_ECDSA_P256_SHA256);
        let rsa = (index == 0).then(|| pair("rsa", &rcgen::PKCS_RSA_SHA256));
        let (rsa, rsa_leaf) = rsa.unzip();
        sites.push(Site {
            names: names.iter().map(|name| NamePattern::parse(name).unwrap()).collect(),
            certificates: rsa.into_iter().chain([ecdsa]).collect(),
            alpn: alpn.clone(),
            line: 1,
            ..Site::default()
        });
        leaves.push((ecdsa_leaf, rsa_leaf));
    }
    (authority.der().clone(), sites, leaves)
}

/// A socket file that receivers listen on, as `bulkhead up` makes it.
pub fn listen(path: &Path) -> OwnedFd {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let socket = socket.unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    rustix::net::listen(&socket, 64).unwrap();
    socket
}

/// Everybody who plays a part: this process, and where it is root the users that the real processes become.
fn peers() -> PeerCheck {
    let parts = [Process::SniRouter, Process::TlsTerminator].map(|process| Identity::of(process).uid);
    PeerCheck::new(parts.into_iter().chain([rustix::process::getuid().as_raw()]))
}

/// A thread of root's becomes the user that sni-router would be: the real terminator lets nobody else hand it anything.
fn become_router() {
    if rustix::process::getuid().is_root() {
        rustix::thread::set_thread_uid(rustix::thread::Uid::from_raw(Identity::of(Process::SniRouter).uid)).unwrap();
    }
}

async fn terminate(
    folder: PathBuf,
    settings: Settings,
    from_router: OwnedFd,
    mut questions: UnboundedReceiver<mpsc::Sender<Vec<Figure>>>,
    up: mpsc::Sender<i32>,
    stopped: tokio::sync::oneshot::Receiver<()>,
) {
    let figures = TerminatorFigures::default();
    let opened = Opened {
        sites: load_sites(&settings, &figures, true).unwrap(),
        settings,
        from_router,
        filters: Directory::open(&TERMINATOR_TO_FILTER.directory(&folder)).unwrap(),
        figures: figures.clone(),
    };
    tokio::task::spawn_local(async move {
        while let Some(reply) = questions.recv().await {
            let _ = reply.send(figures.read());
        }
    });
    up.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
    let stopping = async {
        let _ = stopped.await;
        Duration::from_secs(5)
    };
    let (world, from_router) = start(opened);
    serve(world, from_router, peers(), stopping).await;
}

async fn play_router(listener: std::net::TcpListener, directory: Directory, blind: Option<&'static str>) {
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let sender: Sender<Terminate, Nothing> =
        Sender::start(ROUTER_TO_TERMINATOR.name, directory, SenderLimits::default(), |_, _| {});
    loop {
        let (client, from) = listener.accept().await.unwrap();
        let sender = sender.clone();
        tokio::task::spawn_local(async move {
            let server_name = match blind {
                Some("") => None,
                Some(name) => Some(name.into()),
                None => match read_name(&client).await {
                    Some(name) => name,
                    None => return,
                },
            };
            let local = client.local_addr().unwrap();
            let message = Terminate { ends: Ends { client: from, local }, server_name, ja4: "t13d".into() };
            sender.hand_over(message, vec![client.into_std().unwrap().into()]).expect("room in the queue");
        });
    }
}

/// Peeks until the hello is whole, with rustls's own reader.
async fn read_name(client: &TcpStream) -> Option<Option<Box<str>>> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = client.peek(&mut buffer).await.ok().filter(|length| *length > 0)?;
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &buffer[..length]).unwrap();
        match acceptor.accept() {
            Ok(Some(accepted)) => return Some(accepted.client_hello().server_name().map(Into::into)),
            Ok(None) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(_) => return None,
        }
    }
}

fn play_filter(listener: OwnedFd, tell: mpsc::Sender<Seen>) {
    let receiver: Rc<Receiver<Decrypted, Nothing>> =
        Receiver::new(TERMINATOR_TO_FILTER.name, peers(), move |arrival: Arrival<Decrypted, Nothing>| {
            let parcel = arrival.parcel;
            let _ = tell.send(Seen::Message(Box::new(parcel.body)));
            let socket = std::os::unix::net::UnixStream::from(parcel.descriptors.into_iter().next().unwrap());
            socket.set_nonblocking(true).unwrap();
            let stream = UnixStream::from_std(socket).unwrap();
            let tell = tell.clone();
            tokio::task::spawn_local(async move {
                let bytes = converse(stream).await;
                let _ = tell.send(Seen::End(bytes));
            });
            Verdict::Taken
        });
    tokio::task::spawn_local(receiver.serve(listener));
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 128 * 1024]);
}

/// Echoes, and obeys what a chunk ends with: `!die` drops the stream, `!half` ends only what we send, `!close` ends what we
/// send and drops the stream, `!refuse` answers `no` and closes without reading on. A chunk that begins with `!get NNNNNNN` is
/// answered with so many bytes.
async fn converse(mut stream: UnixStream) -> u64 {
    let (mut bytes, mut half) = (0, false);
    loop {
        stream.readable().await.unwrap();
        // The chunk is copied so that an idle stream holds nothing.
        let chunk = BUFFER.with_borrow_mut(|buffer| stream.try_read(buffer).map(|read| buffer[..read].to_vec()));
        let chunk = match chunk {
            Ok(chunk) if chunk.is_empty() => return bytes,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return bytes,
        };
        bytes += u64::try_from(chunk.len()).unwrap();
        if chunk.ends_with(b"!die") {
            return bytes;
        } else if chunk.ends_with(b"!half") {
            half = true;
            stream.shutdown().await.unwrap();
        } else if chunk.ends_with(b"!close") {
            stream.shutdown().await.unwrap();
            return bytes;
        } else if chunk.ends_with(b"!refuse") {
            stream.write_all(b"no").await.unwrap();
            return bytes;
        } else if chunk.starts_with(b"!get ") {
            let wanted = std::str::from_utf8(&chunk[5..12]).unwrap().parse().unwrap();
            stream.write_all(&vec![b'r'; wanted]).await.unwrap();
        } else if !half && stream.write_all(&chunk).await.is_err() {
            return bytes;
        }
    }
}
