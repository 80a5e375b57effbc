//! Routing by ClientHello: every recorded client, cut at every place that matters, lands where it should and nowhere else;
//! its bytes arrive untouched; what cannot be routed gets the right answer.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use harness::backends::Backend;
use harness::clients::{raw, tls};
use harness::{World, eventually, within};

use crate::recordings::{self, Recording};

/// The alert records of RFC 8446 §6 that a refused client reads.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 1, 0, 2, 2, 112];
const DECODE_ERROR: [u8; 7] = [21, 3, 1, 0, 2, 2, 50];

/// Pause between two segments: long enough that they are read one by one.
const PAUSE: Duration = Duration::from_millis(3);

/// Three backends that send back what they get, with a mark in front, and a world that routes to them.
struct Places {
    world: World,
    _backends: Vec<Backend>,
}

const SHOP: &[u8] = b"shop:";
const ACME: &[u8] = b"acme:";
const NAMELESS: &[u8] = b"none:";
const OTHER: &[u8] = b"other";

fn marked(mark: &'static [u8]) -> Backend {
    Backend::talking(move |mut talk| {
        talk.say(mark)?;
        let mut buffer = [0; 4096];
        loop {
            match talk.read(&mut buffer)? {
                0 => return talk.end(),
                count => talk.say(&buffer[..count])?,
            }
        }
    })
}

fn places(name: &str) -> Places {
    let backends: Vec<Backend> = [SHOP, ACME, NAMELESS, OTHER].into_iter().map(marked).collect();
    let world = World::new(name)
        .pool("shop", &[backends[0].address()])
        .pool("acme", &[backends[1].address()])
        .pool("nameless", &[backends[2].address()])
        .pool("other", &[backends[3].address()])
        .route("name = \"acme\"\nalpn = [\"acme-tls/1\"]\npassthrough = \"acme\"")
        .passes("shop.test", "shop")
        .passes("*.test", "other")
        .passes("hop.test", "other")
        .set("sni-router.otherwise", "no_sni", "{ passthrough = \"nameless\" }")
        .start();
    Places { world, _backends: backends }
}

impl Recording {
    fn destination(&self) -> &'static [u8] {
        match (self.acme, self.named) {
            (true, _) => ACME,
            (false, true) => SHOP,
            (false, false) => NAMELESS,
        }
    }
}

/// Sends in pieces, ends, and expects exactly the same bytes back from the right place.
fn lands(address: SocketAddr, recording: &Recording, bytes: &[u8], cuts: &[usize]) {
    let mut stream = raw::connect(address);
    raw::send_in_pieces(&mut stream, bytes, cuts, PAUSE).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let came = raw::read_to_end(&mut stream);
    let expected = [recording.destination(), bytes].concat();
    assert!(
        came == expected,
        "{} cut at {cuts:?}: expected {} bytes from {:?}, came {} bytes that begin {:?}",
        recording.client,
        expected.len(),
        String::from_utf8_lossy(recording.destination()),
        came.len(),
        String::from_utf8_lossy(&came[..came.len().min(12)])
    );
}

/// Spreads jobs over a few threads; the first panic is the test's.
fn in_parallel<T: Send + Sync + 'static>(jobs: Vec<T>, run: impl Fn(&T) + Send + Sync + Copy + 'static) {
    let jobs = std::sync::Arc::new(jobs);
    let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let workers: Vec<_> = (0..12)
        .map(|_| {
            let (jobs, next) = (jobs.clone(), next.clone());
            thread::spawn(move || {
                while let Some(job) = jobs.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
                    run(job);
                }
            })
        })
        .collect();
    for worker in workers {
        if let Err(panic) = worker.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn every_recorded_client_lands_where_it_should_however_it_is_segmented() {
    within(120, || {
        let places = places("segments");
        let address = places.world.https();
        let mut jobs = Vec::new();
        for recording in recordings::all() {
            jobs.push((address, recording.clone(), vec![]));
            let at = recording.wire_places();
            jobs.extend(at.iter().map(|cut| (address, recording.clone(), vec![*cut])));
            jobs.push((address, recording.clone(), at));
        }
        in_parallel(jobs, |(address, recording, cuts)| lands(*address, recording, &recording.bytes, cuts));
    });
}

#[test]
fn every_recorded_client_lands_where_it_should_in_any_records() {
    within(180, || {
        let places = places("records");
        let address = places.world.https();
        let mut jobs = Vec::new();
        for recording in recordings::all() {
            let at = recording.message_places();
            for cut in &at {
                jobs.push((address, recording.clone(), recording.in_records(&[*cut])));
            }
            // All places at once, and every single byte of small messages in a record of its own.
            jobs.push((address, recording.clone(), recording.in_records(&at)));
            let step = if recording.message().len() < 600 { 1 } else { 7 };
            let all: Vec<usize> = (1..recording.message().len()).step_by(step).collect();
            jobs.push((address, recording.clone(), recording.in_records(&all)));
        }
        in_parallel(jobs, |(address, recording, bytes)| lands(*address, recording, bytes, &[]));
    });
}

#[test]
fn records_and_segments_cut_at_once() {
    within(120, || {
        let places = places("both");
        let address = places.world.https();
        let mut jobs = Vec::new();
        for recording in recordings::all() {
            for cut in recording.message_places().into_iter().step_by(3) {
                // The segment ends inside the second record's header: after its first byte, and before its last.
                let bytes = recording.in_records(&[cut]);
                jobs.push((address, recording.clone(), bytes.clone(), vec![5 + cut, 5 + cut + 1]));
                jobs.push((address, recording.clone(), bytes, vec![2, 5 + cut + 4]));
            }
        }
        in_parallel(jobs, |(address, recording, bytes, cuts)| lands(*address, recording, bytes, cuts));
    });
}

#[test]
fn names_are_compared_as_names() {
    within(60, || {
        let places = places("names");
        let send = |name: &[u8]| {
            let mut stream = raw::connect(places.world.https());
            stream.write_all(&hello_for(name)).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            raw::read_to_end(&mut stream)
        };
        for (name, place) in [
            (&b"shop.test"[..], SHOP),
            (b"SHOP.Test", SHOP),
            (b"a.test", OTHER),
            (b"a.b.test", OTHER),
            (b"hop.test", OTHER),
        ] {
            assert!(send(name).starts_with(place), "{:?}", String::from_utf8_lossy(name));
        }
        for name in [&b"shop.example"[..], b"test", b"xshop.testx", b"shop.test.example"] {
            assert_eq!(send(name), UNRECOGNIZED_NAME, "{:?}", String::from_utf8_lossy(name));
        }
        for name in
            [&b"shop.test\0.evil"[..], b"shop.test\r\n", b"a/b.test", b".shop.test", b"sh\xf6p.test", &[b'a'; 254], b""]
        {
            let came = send(name);
            assert_eq!(came.len(), 7, "an alert for {name:?}: {came:?}");
            assert_eq!(came[..6], DECODE_ERROR[..6], "{name:?}");
            assert!([50, 47].contains(&came[6]), "decode_error or illegal_parameter for {name:?}: {came:?}");
        }
    });
}

/// A ClientHello whose name is any bytes: the recording of openssl with another name in it.
fn hello_for(name: &[u8]) -> Vec<u8> {
    let recording = recordings::all().into_iter().find(|one| one.client == "openssl").unwrap();
    let mut message = recording.message();
    let at = message.windows(9).position(|window| window == b"shop.test").unwrap();
    let more = |message: &mut Vec<u8>, at: usize| {
        let value = u16::from_be_bytes([message[at], message[at + 1]]) + name.len() as u16 - 9;
        message[at..at + 2].copy_from_slice(&value.to_be_bytes());
    };
    more(&mut message, at - 2); // host name
    more(&mut message, at - 5); // list
    more(&mut message, at - 7); // extension
    let extensions = extensions_length(&message);
    more(&mut message, extensions);
    more(&mut message, 2); // handshake message (its first byte stays 0)
    message.splice(at..at + 9, name.iter().copied());
    let mut bytes = vec![22, 3, 1];
    bytes.extend((message.len() as u16).to_be_bytes());
    bytes.extend(message);
    bytes
}

/// Where the length of all extensions stands (RFC 8446 §4.1.2).
fn extensions_length(message: &[u8]) -> usize {
    let session = 4 + 2 + 32;
    let suites = session + 1 + usize::from(message[session]);
    let compression = suites + 2 + usize::from(u16::from_be_bytes([message[suites], message[suites + 1]]));
    compression + 1 + usize::from(message[compression])
}

#[test]
fn what_cannot_be_routed_gets_the_right_answer() {
    within(90, || {
        let backend = Backend::echo();
        let world = World::new("refusals")
            .pool("shop", &[backend.address()])
            .passes("shop.test", "shop")
            .route("name = \"gone\"\nserver_names = [\"gone.test\"]\nrefuse = \"alert\"")
            .route("name = \"silent\"\nserver_names = [\"silent.test\"]\nrefuse = \"close\"")
            .set("sni-router", "client_hello_deadline", "\"1s\"")
            .set("sni-router", "client_hello_limit", "\"4KiB\"")
            .start();
        let say = |bytes: &[u8]| {
            let mut stream = raw::connect(world.https());
            stream.write_all(bytes).unwrap();
            raw::how_it_ends(&mut stream)
        };
        let alert = |alert: [u8; 7]| (alert.to_vec(), raw::End::Closed);
        assert_eq!(say(&tls::client("other.test").hello().0), alert(UNRECOGNIZED_NAME), "unknown name");
        assert_eq!(say(&tls::client("shop.test").nameless().hello().0), alert(UNRECOGNIZED_NAME), "no name");
        assert_eq!(say(&tls::client("gone.test").hello().0), alert(UNRECOGNIZED_NAME), "refused by a route");
        let (bytes, end) = say(&tls::client("silent.test").hello().0);
        assert!(bytes.is_empty() && end != raw::End::Open, "closed by a route: {bytes:?} {end:?}");
        let mut malformed = tls::client("shop.test").hello().0;
        malformed[43] = 255; // the session id is longer than allowed
        assert_eq!(say(&malformed), alert(DECODE_ERROR), "malformed");
        let (bytes, end) = say(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("HTTP/1.1 400 ") && text.contains("TLS") && end == raw::End::Closed, "{text}");
        for noise in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\0\0\0\0\0\0\0\0\0\0", b"\x16\x09\x00\x00\x05hello"] {
            let (bytes, end) = say(noise);
            assert!(end != raw::End::Open && (bytes.is_empty() || bytes[0] == 21), "{noise:?}: {bytes:?}");
        }
        // Too long, and too late.
        let mut long = vec![22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb];
        long.resize(6000, 0);
        let (bytes, end) = say(&long);
        assert!(end != raw::End::Open && bytes.len() <= 7, "longer than the limit: {bytes:?}");
        let (bytes, end) = say(&tls::client("shop.test").hello().0[..100]);
        assert!(end != raw::End::Open && bytes.len() <= 7, "half a hello: {bytes:?}");
        let (_, end) = say(b"");
        assert_ne!(end, raw::End::Open, "nothing at all");
        assert!(backend.connections().is_empty());
    });
}

#[test]
fn plain_http_on_the_tls_port_can_be_redirected() {
    within(60, || {
        let backend = Backend::echo();
        let world = World::new("redirect")
            .pool("shop", &[backend.address()])
            .passes("shop.test", "shop")
            .set("sni-router.otherwise", "not_tls", "\"redirect\"")
            .start();
        let answer = raw::ask(world.https(), b"GET /a?b=c HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.starts_with("HTTP/1.1 308 ") && text.contains("\r\nLocation: https://shop.test/a?b=c\r\n"),
            "{text}"
        );
        let answer = raw::ask(world.https(), b"POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    });
}

#[test]
fn a_proxy_header_is_taken_from_trusted_networks_only() {
    within(90, || {
        let backend = Backend::silent();
        let trusting = World::new("proxy-in")
            .listener("https", "proxy_protocol_from", "[\"127.0.0.0/8\"]")
            .listener("https", "proxy_protocol_deadline", "\"1s\"")
            .set("sni-router", "client_hello_deadline", "\"1s\"")
            .with("[[sni-router.access]]\nname = \"not-them\"\naction = \"deny\"\nclients = [\"203.0.113.0/24\"]\n")
            .pool_with("shop", &[backend.address()], "proxy_protocol = \"v1\"")
            .passes("shop.test", "shop")
            .start();
        let hello = tls::client("shop.test").hello().0;
        let v1 = |source: &str| format!("PROXY TCP4 {source} 192.0.2.1 4711 443\r\n").into_bytes();
        let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        v2.extend([198, 51, 100, 8, 192, 0, 2, 1]);
        v2.extend([0x12, 0x67, 0x01, 0xbb]);
        for (header, source) in [(v1("198.51.100.7"), "198.51.100.7"), (v2, "198.51.100.8")] {
            for cuts in [vec![], (1..header.len() + 6).collect::<Vec<_>>()] {
                backend.forget();
                let mut stream = raw::connect(trusting.https());
                let bytes = [header.as_slice(), &hello].concat();
                raw::send_in_pieces(&mut stream, &bytes, &cuts, Duration::from_millis(1)).unwrap();
                let seen = eventually(5, "the hello arrives", || {
                    backend.connections().first().map(|one| one.bytes()).filter(|bytes| bytes.ends_with(&hello))
                });
                let seen = String::from_utf8_lossy(&seen[..seen.len() - hello.len()]).into_owned();
                assert_eq!(seen, format!("PROXY TCP4 {source} 192.0.2.1 4711 443\r\n"), "the header is consumed");
            }
        }
        backend.forget();
        // The announced client is the one that is judged.
        let answer = raw::ask(trusting.https(), &[v1("203.0.113.5"), hello.clone()].concat());
        assert!(answer.is_empty(), "{answer:?}");
        // Who owes a header and sends none is not served; neither is who sends a broken one.
        for bytes in [hello.clone(), [b"PROXY TCP4 1.2.3 x\r\n".to_vec(), hello.clone()].concat()] {
            let mut stream = raw::connect(trusting.https());
            stream.write_all(&bytes).unwrap();
            assert_ne!(raw::how_it_ends(&mut stream).1, raw::End::Open);
        }
        assert!(backend.connections().is_empty());
        drop(trusting);

        let plain =
            World::new("proxy-in-untrusted").pool("shop", &[backend.address()]).passes("shop.test", "shop").start();
        let answer = raw::ask(plain.https(), &[v1("198.51.100.7"), hello].concat());
        assert!(answer.len() <= 7 || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
        assert!(backend.connections().is_empty(), "nobody may claim to be somebody else");
    });
}

#[test]
fn access_rules_of_the_router_decide_before_tls() {
    within(60, || {
        let backend = Backend::echo();
        let world = World::new("router-access")
            .with(
                "[[sni-router.access]]\nname = \"watched\"\naction = \"deny\"\nclients = [\"127.0.0.0/8\"]\nmode = 'observe'\n\
                 [[sni-router.access]]\nname = \"nobody\"\naction = \"deny\"\nclients = [\"127.0.0.1/32\"]\nlisten = [\"https\"]\n",
            )
            .pool("shop", &[backend.address()])
            .passes("shop.test", "shop")
            .start();
        let answer = raw::ask(world.https(), &tls::client("shop.test").hello().0);
        assert!(answer.is_empty(), "{answer:?}");
        world.wait_for_line("sni-router", &["denied", "rule=nobody"]);
        world.wait_for_line("sni-router", &["would be denied", "rule=watched"]);
        assert!(backend.connections().is_empty());
    });
}
