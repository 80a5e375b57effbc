//! The resolver against a name server of our own on loopback, and against hosts files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::net::UdpSocket;

use super::super::address_guard::Guard;
use super::super::connect::{ConnectErrorKind, ConnectOptions, connect};
use super::super::literal::parse_host;
use super::*;

/// What the pretended name server does with a question.
#[derive(Clone)]
enum Reply {
    Addresses(Vec<IpAddr>, u32),
    Later(u64, Vec<IpAddr>),
    NoSuchName,
    Empty,
    Failure,
    Silence,
}

struct Server {
    address: SocketAddr,
    questions: Arc<AtomicUsize>,
}

impl Server {
    fn asked(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// A real name server on a real UDP socket, answering by `script(name, type)`.
async fn server(script: impl Fn(&str, u16) -> Reply + Send + Sync + 'static) -> Server {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    let questions = Arc::new(AtomicUsize::new(0));
    let counter = questions.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let query = buffer[..length].to_vec();
            let (name, end) = question(&query);
            let kind = u16::from_be_bytes([query[end], query[end + 1]]);
            let (delay, bytes) = match script(&name, kind) {
                Reply::Addresses(addresses, ttl) => (0, response(&query, end, 0, kind, &addresses, ttl)),
                Reply::Later(delay, addresses) => (delay, response(&query, end, 0, kind, &addresses, 60)),
                Reply::NoSuchName => (0, response(&query, end, 3, kind, &[], 0)),
                Reply::Empty => (0, response(&query, end, 0, kind, &[], 0)),
                Reply::Failure => (0, response(&query, end, 2, kind, &[], 0)),
                Reply::Silence => continue,
            };
            let socket = socket.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                socket.send_to(&bytes, from).await.unwrap();
            });
        }
    });
    Server { address, questions }
}

/// The name asked for, and where its type begins.
fn question(query: &[u8]) -> (String, usize) {
    let mut at = 12;
    let mut labels = Vec::new();
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..at + 1 + length].to_vec()).unwrap());
        at += 1 + length;
    }
    (labels.join("."), at + 1)
}

/// RFC 1035 §4: header, the question again, and the addresses of the family asked for.
fn response(query: &[u8], end: usize, code: u8, kind: u16, addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(v4) if kind == A => Some(v4.octets().to_vec()),
            IpAddr::V6(v6) if kind == AAAA => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut bytes = query[..2].to_vec();
    bytes.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    bytes.extend(&query[12..end + 4]);
    for record in records {
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(ttl.to_be_bytes());
        bytes.extend((record.len() as u16).to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

fn ips(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|ip| ip.parse().unwrap()).collect()
}

fn soon(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

async fn ask(resolver: &Resolver, host: &str, purpose: Purpose, within: u64) -> Result<Vec<SocketAddr>, ResolveError> {
    resolver.resolve(&parse_host(host).unwrap(), 443, purpose, soon(within)).await
}

#[test]
fn families_take_turns_and_ipv6_begins() {
    assert_eq!(
        interleave(&ips(&["1.1.1.1", "1.1.1.2", "1.1.1.3", "::1", "::2"]), 0),
        ips(&["::1", "1.1.1.1", "::2", "1.1.1.2", "1.1.1.3"])
    );
    assert_eq!(
        interleave(&ips(&["1.1.1.1", "1.1.1.2", "1.1.1.3", "::1", "::2"]), 4),
        ips(&["::1", "1.1.1.2", "::2", "1.1.1.3", "1.1.1.1"]),
        "each family begins elsewhere"
    );
    assert_eq!(interleave(&ips(&["1.1.1.1", "1.1.1.2"]), 0), ips(&["1.1.1.1", "1.1.1.2"]));
    assert!(interleave(&[], 7).is_empty());
}

#[test]
fn search_domains_follow_resolv_conf() {
    let name = |text: &str| {
        let mut name = Name::from_ascii(text).unwrap();
        name.set_fqdn(true);
        name
    };
    let search = [name("a.test"), name("b.test")];
    let texts =
        |text: &str, ndots| candidates(name(text), &search, ndots).iter().map(Name::to_string).collect::<Vec<_>>();
    assert_eq!(texts("db", 1), ["db.a.test.", "db.b.test.", "db."]);
    assert_eq!(texts("db.x", 1), ["db.x.", "db.x.a.test.", "db.x.b.test."]);
    assert_eq!(texts("db.x", 2), ["db.x.a.test.", "db.x.b.test.", "db.x."]);
}

#[tokio::test]
async fn both_families_come_and_are_kept_for_their_time() {
    let all = ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    let answers = all.clone();
    let server = server(move |_, _| Reply::Addresses(answers.clone(), 1)).await;
    let resolver = Resolver::with_servers(&[server.address], "");
    let found = ask(&resolver, "WWW.Example.", Purpose::Destination, 5_000).await.unwrap();
    assert_eq!(found, ["[2001:db8::1]:443", "192.0.2.1:443", "192.0.2.2:443"].map(|a| a.parse().unwrap()));
    assert_eq!(server.asked(), 2);
    for _ in 0..20 {
        ask(&resolver, "www.example", Purpose::Destination, 5_000).await.unwrap();
    }
    assert_eq!(server.asked(), 2, "from the cache");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    ask(&resolver, "www.example", Purpose::Destination, 5_000).await.unwrap();
    assert_eq!(server.asked(), 4, "the time was over");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let server = server(|name, kind| match name {
        "gone.test" => Reply::NoSuchName,
        "empty.test" => Reply::Empty,
        "broken.test" => Reply::Failure,
        "half.test" if kind == AAAA => Reply::Silence,
        "six.test" if kind == A => Reply::Failure,
        "silent.test" => Reply::Silence,
        _ => Reply::Addresses(ips(&["192.0.2.1", "2001:db8::1"]), 60),
    })
    .await;
    let resolver = Resolver::with_servers(&[server.address], "");
    let one = async |name| ask(&resolver, name, Purpose::Destination, 2_000).await;
    assert!(matches!(one("gone.test").await, Err(ResolveError::NotFound { .. })));
    assert!(matches!(one("empty.test").await, Err(ResolveError::NotFound { .. })));
    let broken = one("broken.test").await.unwrap_err();
    assert!(matches!(broken, ResolveError::Failed { .. }), "{broken}");
    assert_eq!(one("six.test").await.unwrap(), ["[2001:db8::1]:443".parse().unwrap()]);
    let started = Instant::now();
    assert_eq!(one("half.test").await.unwrap(), ["192.0.2.1:443".parse().unwrap()]);
    assert!(started.elapsed() < Duration::from_millis(900), "a server that drops AAAA does not hold us up");
    let started = Instant::now();
    let silent = ask(&resolver, "silent.test", Purpose::Destination, 250).await.unwrap_err();
    assert!(
        matches!(silent, ResolveError::Timeout { .. }) && started.elapsed() < Duration::from_millis(900),
        "{silent}"
    );
    assert_eq!(resolver.lock().sizes().1, 0, "no lookup is left behind");
}

#[tokio::test]
async fn one_name_is_asked_for_once_at_a_time() {
    let server = server(|_, _| Reply::Later(100, ips(&["192.0.2.1"]))).await;
    let resolver = Arc::new(Resolver::with_servers(&[server.address], ""));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let resolver = resolver.clone();
            tokio::spawn(async move { ask(&resolver, "busy.test", Purpose::Backend, 3_000).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().len(), 1);
    }
    assert_eq!(server.asked(), 2);
    assert_eq!(resolver.lock().sizes(), (1, 0));
}

#[tokio::test]
async fn whoever_asks_first_may_give_up_without_spoiling_it_for_the_others() {
    let server = server(|_, _| Reply::Later(300, ips(&["192.0.2.1"]))).await;
    let resolver = Arc::new(Resolver::with_servers(&[server.address], ""));
    let spawn = |within| {
        let resolver = resolver.clone();
        tokio::spawn(async move { ask(&resolver, "slow.test", Purpose::Destination, within).await })
    };
    let (hasty, dropped, patient) = (spawn(50), spawn(3_000), spawn(3_000));
    tokio::time::sleep(Duration::from_millis(80)).await;
    dropped.abort();
    assert!(matches!(hasty.await.unwrap(), Err(ResolveError::Timeout { .. })));
    assert!(patient.await.unwrap().is_ok());
    assert_eq!(resolver.lock().sizes(), (1, 0));
}

#[tokio::test]
async fn search_domains_are_for_our_own_names_only() {
    let server = server(|name, _| match name {
        "db.inside.test" => Reply::Addresses(ips(&["10.0.0.9"]), 60),
        _ => Reply::NoSuchName,
    })
    .await;
    let mut config = ResolverConfig::default();
    config.set_domain(Name::from_ascii("inside.test").unwrap());
    let mut port = ConnectionConfig::udp();
    port.port = server.address.port();
    config.add_name_server(NameServerConfig::new(server.address.ip(), true, vec![port]));
    let resolver = Resolver::new(Resolver::dns(config, ResolverOpts::default()), "");
    assert_eq!(ask(&resolver, "db", Purpose::Backend, 3_000).await.unwrap(), ["10.0.0.9:443".parse().unwrap()]);
    assert!(matches!(ask(&resolver, "db", Purpose::Destination, 3_000).await, Err(ResolveError::NotFound { .. })));
}

#[tokio::test]
async fn connections_to_a_backend_spread_over_its_addresses() {
    let server = server(|_, kind| match kind {
        A => Reply::Addresses(ips(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]), 60),
        _ => Reply::Empty,
    })
    .await;
    let resolver = Resolver::with_servers(&[server.address], "");
    let mut firsts = std::collections::BTreeMap::new();
    for _ in 0..300 {
        let addresses = ask(&resolver, "many.test", Purpose::Backend, 3_000).await.unwrap();
        assert_eq!(addresses.len(), 3);
        *firsts.entry(addresses[0]).or_insert(0) += 1;
    }
    assert!(firsts.len() == 3 && firsts.values().all(|count| *count > 50), "{firsts:?}");
    let mut outward = Vec::new();
    for _ in 0..5 {
        outward.push(ask(&resolver, "many.test", Purpose::Destination, 3_000).await.unwrap());
    }
    assert!(outward.windows(2).all(|pair| pair[0] == pair[1]), "other destinations keep the order of the answer");
}

#[tokio::test]
async fn literals_and_hosts_need_no_name_server() {
    let hosts = "127.0.0.1 localhost\n10.1.1.1 db.test";
    let missing = Resolver::from_texts(Err("/etc/resolv.conf: No such file or directory".into()), hosts);
    assert!(missing.problem().unwrap().contains("resolv.conf"));
    let empty = Resolver::from_texts(Ok(b"# nothing\n"), hosts);
    assert!(empty.problem().is_some());
    for resolver in [&missing, &empty] {
        assert_eq!(
            ask(resolver, "192.0.2.1", Purpose::Destination, 10).await.unwrap(),
            ["192.0.2.1:443".parse().unwrap()]
        );
        assert_eq!(ask(resolver, "[::1]", Purpose::Destination, 10).await.unwrap(), ["[::1]:443".parse().unwrap()]);
        assert_eq!(ask(resolver, "DB.test.", Purpose::Backend, 10).await.unwrap(), ["10.1.1.1:443".parse().unwrap()]);
        assert_eq!(ask(resolver, "localhost", Purpose::Backend, 10).await.unwrap(), ["127.0.0.1:443".parse().unwrap()]);
        let error = ask(resolver, "other.test", Purpose::Backend, 10).await.unwrap_err();
        assert!(matches!(error, ResolveError::NoNameServer { .. }));
        assert!(error.to_string().contains("/etc/hosts work"), "{error}");
    }
}

#[tokio::test]
async fn localhost_is_never_asked_for() {
    let server = server(|_, _| Reply::Addresses(ips(&["203.0.113.9"]), 60)).await;
    let resolver = Resolver::with_servers(&[server.address], "127.0.0.7 app.localhost");
    for name in ["localhost", "LOCALHOST.", "evil.localhost"] {
        assert!(
            matches!(ask(&resolver, name, Purpose::Destination, 500).await, Err(ResolveError::LocalOnly { .. })),
            "{name}"
        );
    }
    assert_eq!(
        ask(&resolver, "app.localhost", Purpose::Backend, 500).await.unwrap(),
        ["127.0.0.7:443".parse().unwrap()]
    );
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn a_backend_outlives_its_name_servers_but_a_destination_does_not() {
    let broken = Arc::new(AtomicBool::new(false));
    let switch = broken.clone();
    let script = move |name: &str| {
        if switch.load(Ordering::SeqCst) {
            return Err(ResolveError::Failed { name: name.into(), why: "down".into() });
        }
        Ok((ips(&["192.0.2.1"]), Duration::ZERO))
    };
    let resolver = Resolver::scripted(Box::new(script), "");
    for purpose in [Purpose::Backend, Purpose::Destination] {
        ask(&resolver, "db.test", purpose, 100).await.unwrap();
    }
    broken.store(true, Ordering::SeqCst);
    assert_eq!(ask(&resolver, "db.test", Purpose::Backend, 100).await.unwrap().len(), 1);
    assert!(matches!(ask(&resolver, "db.test", Purpose::Destination, 100).await, Err(ResolveError::Failed { .. })));
    assert!(ask(&resolver, "never.test", Purpose::Backend, 100).await.is_err());
}

#[tokio::test]
async fn a_name_that_changes_its_answer_gains_nothing() {
    let turn = AtomicUsize::new(0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = move |_: &str| {
        let first = turn.fetch_add(1, Ordering::SeqCst) == 0;
        Ok((ips(if first { &["8.8.8.8"] } else { &["127.0.0.1", "::ffff:127.0.0.1", "::1"] }), Duration::ZERO))
    };
    let resolver = Resolver::scripted(Box::new(script), "");
    let guard = Guard::default();
    let host = parse_host("rebind.test").unwrap();
    let checked = resolver.resolve(&host, port, Purpose::Destination, soon(100)).await.unwrap();
    assert!(checked.iter().all(|address| guard.check(*address).is_ok()), "the first answer looks good");
    let used = resolver.resolve(&host, port, Purpose::Destination, soon(100)).await.unwrap();
    let options = ConnectOptions { guard: Some(&guard), ..ConnectOptions::until(soon(1_000).into()) };
    let error = connect(&used, &options).await.unwrap_err();
    assert_eq!((error.kind, error.failures.len()), (ConnectErrorKind::Guard, 3), "{error}");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody knocked");
}

#[test]
fn the_cache_is_bounded() {
    let mut cache = Cache::default();
    let now = Instant::now();
    for index in 0..2 * cache::MOST_NAMES as u64 {
        let key = (format!("{index}.test"), Purpose::Destination);
        cache.store(key, ips(&["192.0.2.1"]).into(), now + Duration::from_secs(index + 1), now);
        assert!(cache.sizes().0 <= cache::MOST_NAMES);
    }
    let newest = (format!("{}.test", 2 * cache::MOST_NAMES - 1), Purpose::Destination);
    assert!(matches!(cache.next(&newest, now), Next::Known(_)));
    let mut held = Vec::new();
    for index in 0..cache::MOST_LOOKUPS {
        match cache.next(&(format!("new{index}"), Purpose::Backend), now) {
            Next::Lead(sender) => held.push(sender),
            _ => panic!("there is room"),
        }
    }
    assert!(matches!(cache.next(&("one too many".into(), Purpose::Backend), now), Next::Busy));
    assert!(matches!(cache.next(&("new3".into(), Purpose::Backend), now), Next::Follow(_)));
}
