//! http-filter: what goes through, what is changed on the way, what an access list refuses, and that nothing is buffered
//! which nobody asked to inspect.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::backends::{Backend, application, strict, websocket};
use harness::clients::websocket::WebSocket;
use harness::clients::{http, raw, tls};
use harness::{World, eventually, within};

fn world(name: &str, backend: &Backend) -> World {
    World::new(name).terminates(&["www.test"]).pool("app", &[backend.address()]).serves("app").start()
}

fn seen(backend: &Backend) -> Vec<strict::Request> {
    let connections = backend.connections();
    connections.iter().flat_map(|one| strict::requests(&one.bytes(), true).expect("only strict requests")).collect()
}

fn ask(address: SocketAddr, request: &str) -> http::Answer {
    let mut stream = raw::connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    http::read_answer(&mut stream).unwrap()
}

#[test]
fn forwarding_headers_are_ours_and_connection_headers_stay_here() {
    within(60, || {
        let backend = Backend::application();
        let world = world("headers", &backend);
        let answer = ask(
            world.http(),
            "GET /a HTTP/1.1\r\nHost: www.test\r\nX-Forwarded-For: 10.9.9.9\r\nForwarded: for=10.9.9.9\r\n\
             X-Forwarded-Proto: https\r\nX-Real-IP: 10.9.9.9\r\nKeep-Alive: 5\r\nProxy-Authorization: Basic eA==\r\nTE: gzip\r\n\
             X-Kept: yes\r\nX-Hop: no\r\nConnection: X-Hop, keep-alive\r\n\r\n",
        );
        assert_eq!(answer.status, 200);
        let requests = seen(&backend);
        let [request] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(request.get("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.get("x-forwarded-proto"), Some("http"));
        let forwarded = request.get("forwarded").unwrap_or_default();
        assert!(forwarded.contains("for=127.0.0.1") && !forwarded.contains("10.9.9.9"), "{forwarded}");
        assert_eq!(request.get("x-kept"), Some("yes"));
        for gone in ["x-hop", "keep-alive", "proxy-authorization"] {
            assert!(request.all(gone).is_empty(), "{gone} is between the client and us: {request:?}");
        }
        assert!(!request.headers.iter().any(|(_, value)| value.contains("10.9.9.9")), "{request:?}");
    });
}

#[test]
fn a_trusted_proxy_is_believed() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("trusted")
            .set("http-filter", "trusted_proxies", "[\"127.0.0.0/8\"]")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        ask(world.http(), "GET / HTTP/1.1\r\nHost: www.test\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
        let requests = seen(&backend);
        assert_eq!(requests[0].get("x-forwarded-for"), Some("192.0.2.7, 127.0.0.1"), "{requests:?}");
    });
}

#[test]
fn access_rules_decide_by_method_host_path_header_and_network() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("access")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .with(
                r#"
[[http-filter.access]]
name = "health-is-open"
action = "allow"
paths = ["/admin/health"]

[[http-filter.access]]
name = "no-admin"
action = "deny"
paths = ["/admin", "/admin/*"]

[[http-filter.access]]
name = "no-delete"
action = "deny"
methods = ["DELETE"]
hosts = ["www.test"]

[[http-filter.access]]
name = "no-debug"
action = "deny"
headers = [{ name = "x-debug", value = "1" }]

[[http-filter.access]]
name = "would-deny"
action = "deny"
mode = 'observe'
paths = ["/observed"]

[[http-filter.access]]
name = "elsewhere-only"
action = "deny"
clients = ["192.0.2.0/24"]
"#,
            )
            .start();
        for (request, expected, rule) in [
            ("GET / HTTP/1.1\r\nHost: www.test\r\n\r\n", 200, ""),
            ("GET /admin HTTP/1.1\r\nHost: www.test\r\n\r\n", 403, "no-admin"),
            ("GET /admin/x?y HTTP/1.1\r\nHost: www.test\r\n\r\n", 403, "no-admin"),
            ("GET /administrator HTTP/1.1\r\nHost: www.test\r\n\r\n", 200, ""),
            ("GET /admin/health HTTP/1.1\r\nHost: www.test\r\n\r\n", 200, ""),
            // Other spellings of the same path.
            ("GET //admin/x HTTP/1.1\r\nHost: www.test\r\n\r\n", 403, "no-admin"),
            ("GET /a/../admin/x HTTP/1.1\r\nHost: www.test\r\n\r\n", 403, "no-admin"),
            ("GET /%61dmin/x HTTP/1.1\r\nHost: www.test\r\n\r\n", 403, "no-admin"),
            ("GET /./admin HTTP/1.1\r\nHost: www.test\r\n\r\n", 403, "no-admin"),
            ("DELETE /x HTTP/1.1\r\nHost: WWW.test\r\n\r\n", 403, "no-delete"),
            ("DELETE /x HTTP/1.1\r\nHost: other.test\r\n\r\n", 200, ""),
            ("GET / HTTP/1.1\r\nHost: www.test\r\nX-Debug: 1\r\n\r\n", 403, "no-debug"),
            ("GET / HTTP/1.1\r\nHost: www.test\r\nX-Debug: 2\r\n\r\n", 200, ""),
            ("GET /observed HTTP/1.1\r\nHost: www.test\r\n\r\n", 200, ""),
        ] {
            let answer = ask(world.http(), request);
            assert_eq!(answer.status, expected, "{request:?}: {}", answer.text());
            assert!(answer.text().contains(rule), "the refusal names its rule {rule}: {}", answer.text());
        }
        world.wait_for_line("http-filter", &["would-deny"]);
        world.wait_for_line("http-filter", &["no-admin", "403"]);
        let forbidden = |request: &strict::Request| request.target.contains("admin/x") || request.method == "X";
        assert!(!seen(&backend).iter().any(forbidden));
    });
}

#[test]
fn routes_pick_the_pool_and_no_route_says_so() {
    within(60, || {
        let (app, api) = (Backend::application(), Backend::application());
        let world = World::new("http-routes")
            .terminates(&["www.test"])
            .pool("app", &[app.address()])
            .pool("api", &[api.address()])
            .http_route("name = \"api\"\nhosts = [\"api.test\"]\npaths = [\"/v1/*\"]\npool = \"api\"")
            .http_route("name = \"www\"\nhosts = [\"www.test\"]\npool = \"app\"")
            .start();
        assert_eq!(ask(world.http(), "GET /v1/x HTTP/1.1\r\nHost: api.test\r\n\r\n").status, 200);
        assert_eq!(ask(world.http(), "GET /v1/x HTTP/1.1\r\nHost: www.test:8080\r\n\r\n").status, 200);
        let answer = ask(world.http(), "GET /v2/x HTTP/1.1\r\nHost: api.test\r\n\r\n");
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("route"), "{}", answer.text());
        assert_eq!((seen(&app).len(), seen(&api).len()), (1, 1));
    });
}

#[test]
fn bodies_go_both_ways_by_length_and_in_chunks() {
    const SIZE: usize = 5 << 20;
    within(60, || {
        let backend = Backend::application();
        let world = world("bodies", &backend);
        let body = application::pattern_of(SIZE);
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        let head = format!("POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        stream.flush().unwrap();
        assert!(http::read_answer(&mut stream).unwrap().body == body);
        // The same connection again, in chunks.
        stream.write_all(b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for chunk in body.chunks(70_000) {
            stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).unwrap();
            stream.write_all(chunk).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        stream.flush().unwrap();
        assert!(http::read_answer(&mut stream).unwrap().body == body);
        assert!(http::get(&mut stream, "www.test", &format!("/bytes/{SIZE}")).unwrap().body == body);
        // HEAD has a length and no body; what follows is understood.
        stream.write_all(b"HEAD /bytes/1000 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        stream.flush().unwrap();
        let head = http::read_head(&mut stream).unwrap();
        assert!(head.to_lowercase().contains("content-length: 1000"), "{head}");
        assert_eq!(http::get(&mut stream, "www.test", "/bytes/7").unwrap().body, application::pattern_of(7));
        tls::goodbye(stream);
    });
}

#[test]
fn a_backend_connection_is_used_again() {
    within(60, || {
        let backend = Backend::application();
        let world = world("keep-alive", &backend);
        for _ in 0..5 {
            assert_eq!(ask(world.http(), "GET / HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n").status, 200);
        }
        assert_eq!(seen(&backend).len(), 5);
        assert!(backend.connections().len() <= 2, "{} connections", backend.connections().len());
    });
}

#[test]
fn events_come_as_they_are_sent() {
    within(60, || {
        let backend = Backend::application();
        let world = world("streaming", &backend);
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        stream.write_all(b"GET /pieces HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let began = Instant::now();
        let mut first = None;
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while !all.ends_with(b"0\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..count]);
            if String::from_utf8_lossy(&all).contains("piece 1") {
                first.get_or_insert_with(|| began.elapsed());
            }
        }
        let (first, last) = (first.expect("a first piece"), began.elapsed());
        assert!(last > first + Duration::from_millis(300), "the first piece waited for the last: {first:?} {last:?}");
    });
}

#[test]
fn a_websocket_is_a_tunnel_both_ways() {
    within(60, || {
        let backend = Backend::talking(websocket::talk);
        let world = world("websocket", &backend);
        let plain = raw::connect(world.http());
        let secure = tls::client("www.test").connect(world.https()).unwrap();
        converse(WebSocket::open(plain, "www.test", "/chat").map_err(|answer| answer.text()).unwrap());
        converse(WebSocket::open(secure, "www.test", "/chat").map_err(|answer| answer.text()).unwrap());
        // A backend that says no: its answer, not a broken tunnel.
        let mut stream = raw::connect(world.http());
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
            .unwrap();
        assert_eq!(http::read_answer(&mut stream).unwrap().status, 426);
    });
}

fn converse<S: Read + Write>(mut socket: WebSocket<S>) {
    for size in [0, 1, 125, 126, 5000, 60_000] {
        let message = application::pattern_of(size);
        socket.send(&message).unwrap();
        assert_eq!(socket.receive().unwrap(), message, "{size} bytes");
    }
    socket.close().unwrap();
}

#[test]
fn a_backend_that_misbehaves_becomes_a_clear_answer() {
    within(90, || {
        let hangs_up = Backend::talking(|mut talk| talk.read_until(b"\r\n\r\n").map(drop));
        let talks_nonsense = Backend::talking(|mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            talk.say(b"220 this is SMTP\r\n")
        });
        let sleeps = Backend::talking(|mut talk| {
            talk.drain();
            Ok(())
        });
        let both_lengths = Backend::talking(|mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
        });
        let huge = Backend::talking(|mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            talk.say(b"HTTP/1.1 200 OK\r\n")?;
            let line = format!("X-Big: {}\r\n", "b".repeat(8000));
            for _ in 0..200 {
                talk.say(line.as_bytes())?;
            }
            talk.say(b"Content-Length: 0\r\n\r\n")
        });
        let dead = SocketAddr::from((harness::backends::ADDRESS, harness::ports::hold().port));
        let cases = [
            ("hangs-up", hangs_up.address(), &[502][..]),
            ("nonsense", talks_nonsense.address(), &[502]),
            ("sleeps", sleeps.address(), &[504]),
            ("both", both_lengths.address(), &[502]),
            ("huge", huge.address(), &[502]),
            ("dead", dead, &[502, 503]),
        ];
        let mut builder = World::new("bad-backends").set("http-filter", "response_deadline", "\"1s\"");
        for (name, address, _) in cases {
            builder = builder
                .pool(name, &[address])
                .http_route(&format!("name = \"{name}\"\npaths = [\"/{name}\"]\npool = \"{name}\""));
        }
        let world = builder.terminates(&["www.test"]).start();
        for (name, _, expected) in cases {
            let answer = ask(world.http(), &format!("GET /{name} HTTP/1.1\r\nHost: www.test\r\n\r\n"));
            assert!(expected.contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        }
    });
}

#[test]
fn a_body_cut_short_by_the_backend_is_cut_short_for_the_client() {
    within(60, || {
        let backend = Backend::talking(|mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
        });
        let world = world("cut-short", &backend);
        let mut stream = raw::connect(world.http());
        stream.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let (bytes, end) = raw::how_it_ends(&mut stream);
        // As much as had come, or nothing, or a gateway error: never something that looks whole.
        let text = String::from_utf8_lossy(&bytes);
        let partial =
            text.ends_with("only this") && text.to_lowercase().contains("content-length: 1000") || text.is_empty();
        assert!(partial || text.starts_with("HTTP/1.1 502"), "{text}");
        assert_ne!(end, raw::End::Open);
    });
}

#[test]
fn a_client_that_goes_away_takes_its_backend_connection_along() {
    within(60, || {
        let backend = Backend::application();
        let world = world("client-gone", &backend);
        let mut stream = raw::connect(world.http());
        stream.write_all(b"GET /sleep/10000 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        backend.wait_for_bytes(20);
        drop(stream);
        // The world's end asserts that http-filter holds no connection more than before, long before 10 s are over.
    });
}

#[test]
fn every_request_has_one_log_line() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("access-log")
            .set("log", "format", "\"json\"")
            .set("log", "level", "\"info\"")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        assert_eq!(http::get(&mut stream, "www.test", "/logged/%22%0d%0aforged?q=1").unwrap().status, 200);
        let line = eventually(5, "an access-log line", || {
            world.log().into_iter().find(|line| line.contains("/logged/") && line.contains("\"http-filter\""))
        });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!((&value["process"], &value["instance"]), (&"http-filter".into(), &1.into()), "{line}");
        for wanted in ["200", "GET", "127.0.0.1", "www.test"] {
            assert!(line.contains(wanted), "{wanted} is not in {line}");
        }
        tls::goodbye(stream);
    });
}
