//! The whole tasks of docs/examples keep their promises: each file is started as it stands, but for names of this machine (ports,
//! servers, networks, and how long something idle may stay), and `bulkhead check` finds nothing to say about it.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use bytes::Bytes;
use harness::backends::h2::H2Backend;
use harness::backends::{Backend, strict, websocket};
use harness::certificates::{self, Signed};
use harness::clients::from::connect_from;
use harness::clients::multiplexed::{self, whole};
use harness::clients::websocket::WebSocket;
use harness::clients::{http, raw, tls};
use harness::world::Builder;
use harness::{World, eventually, ports, within};

const SHOP: &str = include_str!("../../docs/examples/shop.toml");
const TENANTS: &str = include_str!("../../docs/examples/tenants.toml");
const API: &str = include_str!("../../docs/examples/api.toml");

/// A client in the network that an example lets in, once [`edited`] has put 127.64.0.0/16 in its place.
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// An example with other values; every value that is replaced must be there.
fn edited(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the example has no {from} (any more)");
        text.replace(from, to)
    })
}

/// An example with servers of ours, to which idle connections go at once, so that the world can count descriptors at its end.
fn served_by(text: &str, servers: &[(&str, SocketAddr)]) -> String {
    let servers: Vec<_> = servers.iter().map(|(from, to)| (format!("\"{from}\""), format!("\"{to}\""))).collect();
    let servers: Vec<_> = servers.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let text = edited(&edited(text, &servers), &[("idle_deadline = \"30s\"", "idle_deadline = \"1s\"")]);
    assert!(!text.contains("\"192.0.2."), "a server of the example has no stand-in: {text}");
    text
}

fn certificate(world: Builder, name: &str, signed: &Signed) -> Builder {
    world.file(&format!("certs/{name}.pem"), &signed.pem).file(&format!("certs/{name}.key"), &signed.key_pem)
}

/// Starts it, and asks `bulkhead check` as its reader will.
fn start(world: Builder) -> World {
    let world = world.start();
    let check = world.bulkhead(&["check", &world.config().display().to_string()]);
    let said = [check.stdout, check.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(check.status.success() && !said.contains("warning"), "{said}");
    world
}

fn exchange(mut stream: tls::Stream, request: &str) -> http::Answer {
    stream.write_all(request.as_bytes()).unwrap();
    let answer = http::read_answer(&mut stream).unwrap();
    tls::goodbye(stream);
    answer
}

fn secure(world: &World, from: Ipv4Addr, name: &str) -> std::io::Result<tls::Stream> {
    tls::client(name).over(connect_from(from, world.https())?)
}

/// One request over TLS on a connection of its own.
fn ask(world: &World, from: Ipv4Addr, host: &str, start: &str, headers: &str) -> http::Answer {
    exchange(secure(world, from, host).unwrap(), &format!("{start} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"))
}

fn get(world: &World, host: &str, path: &str) -> http::Answer {
    ask(world, OUTSIDE, host, &format!("GET {path}"), "")
}

/// What reached a server, health checks aside.
fn targets(backend: &Backend) -> Vec<String> {
    let requests = backend.connections().into_iter();
    let requests = requests.flat_map(|one| strict::requests(&one.bytes(), true).expect("only strict requests"));
    requests.map(|request| request.target).filter(|target| target != "/health").collect()
}

/// Nobody listens there.
fn dead() -> SocketAddr {
    (harness::backends::ADDRESS, ports::hold().port).into()
}

struct Shop {
    world: World,
    web: [Backend; 2],
    api: Backend,
    files: Backend,
}

fn shop(name: &str) -> Shop {
    let [one, two, api, files] = std::array::from_fn(|_| Backend::application());
    let text = edited(SHOP, &[("198.51.100.0/24", "127.64.0.0/16"), ("per = \"1m\"", "per = \"1h\"")]);
    let text = served_by(
        &text,
        &[
            ("192.0.2.11:8080", one.address()),
            ("192.0.2.12:8080", two.address()),
            ("192.0.2.21:8080", api.address()),
            ("192.0.2.22:8080", dead()),
            ("192.0.2.31:8080", files.address()),
        ],
    );
    let builder = World::new(name).exactly(&text).file("pages/error.html", "<h1>Oh: ${status}</h1><p>${request_id}");
    let world = start(certificate(builder, "shop", &certificates::sign(&["shop.example", "*.shop.example"])));
    Shop { world, web: [one, two], api, files }
}

#[test]
fn the_shop_leads_each_request_to_its_service() {
    within(60, || {
        let Shop { world, web, api, files } = shop("shop-routes");
        let mut plain = raw::connect(world.http());
        let answer = http::get(&mut plain, "www.shop.example", "/cart?x=1").unwrap();
        assert_eq!((answer.status, answer.header("location")), (308, Some("https://www.shop.example/cart?x=1")));
        let answer = get(&world, "shop.example", "/cart?x=1");
        assert_eq!((answer.status, answer.header("location")), (301, Some("https://www.shop.example/cart?x=1")));
        assert!(targets(&web[0]).is_empty() && targets(&web[1]).is_empty());

        // One of the api's servers is dead: nobody notices.
        for (host, path) in [("api.shop.example", "/orders"), ("www.shop.example", "/api/orders")] {
            for _ in 0..4 {
                assert_eq!(get(&world, host, path).status, 200, "{host}{path}");
            }
        }
        assert_eq!(targets(&api), ["/orders"; 8], "without the prefix");
        for path in ["/static/a.css", "/images/a.png"] {
            let answer = get(&world, "www.shop.example", path);
            assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=86400")));
        }
        assert_eq!(targets(&files), ["/static/a.css", "/images/a.png"]);

        // The cookie keeps a client with its server.
        let answer = get(&world, "www.shop.example", "/cart");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with("shop_server="), "{cookie}");
        let own = web.iter().position(|one| !targets(one).is_empty()).unwrap();
        for _ in 0..6 {
            let cookie = format!("Cookie: {cookie}\r\n");
            let answer = ask(&world, OUTSIDE, "www.shop.example", "GET /again", &cookie);
            assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
        }
        assert_eq!((targets(&web[own]).len(), targets(&web[1 - own]).len()), (7, 0));
    });
}

#[test]
fn the_shop_protects_what_it_serves() {
    within(60, || {
        let Shop { world, web, .. } = shop("shop-rules");
        let answer = get(&world, "www.shop.example", "/cart");
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
        assert!(answer.header("x-request-id").is_some() && answer.text().to_lowercase().contains("x-request-id: "));
        let packed = ask(&world, OUTSIDE, "www.shop.example", "GET /bytes/20000", "Accept-Encoding: gzip\r\n");
        assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
        assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < 10_000, "{} bytes", packed.body.len());

        for path in ["/admin", "/admin/users", "/x/../admin/", "/%61dmin/"] {
            let refused = get(&world, "www.shop.example", path);
            assert!(refused.status == 403 && refused.text().contains("no-admin"), "{path}: {}", refused.text());
            assert_eq!(ask(&world, INSIDE, "www.shop.example", &format!("GET {path}"), "").status, 200, "{path}");
        }
        let login = || ask(&world, OUTSIDE, "www.shop.example", "POST /login", "Content-Length: 0\r\n").status;
        assert_eq!([(); 6].map(|()| login()), [200, 200, 200, 200, 200, 429]);
        assert_eq!(get(&world, "www.shop.example", "/login").status, 200, "the form itself");
        assert_eq!(ask(&world, INSIDE, "www.shop.example", "POST /login", "Content-Length: 0\r\n").status, 200);

        for (host, path) in
            [("www.shop.example", "/.git/config"), ("www.shop.example", "/.env"), ("x.shop.example", "/")]
        {
            let answer = get(&world, host, path);
            assert!(
                answer.status == 404 && answer.text().contains("<h1>Oh: 404</h1>"),
                "{host}{path}: {}",
                answer.text()
            );
            assert!(answer.text().ends_with(answer.header("x-request-id").unwrap()), "{}", answer.text());
        }
        assert!(web.iter().flat_map(targets).all(|target| !target.contains("/.")), "scanners reach no server");
        let refused = tls::client("other.example").connect(world.https()).unwrap_err();
        assert!(refused.to_string().contains("UnrecognisedName"), "{refused}");
    });
}

#[test]
fn the_tenants_keep_to_themselves() {
    within(60, || {
        let own = certificates::sign(&["ann.example", "*.ann.example"]);
        let names =
            [&["shop.ann.example"][..], &["bob.example", "www.bob.example"], &["carol.example", "*.carol.example"]];
        let [shop_own, bob_own, carol_own] = names.map(certificates::sign);
        let ann = Backend::tls_application(&own);
        let [ann_shop, bob, carol] = std::array::from_fn(|_| Backend::application());
        let text = edited(TENANTS, &[("198.51.100.0/24", "127.64.0.0/16"), ("203.0.113.0/24", "127.64.0.0/16")]);
        let text = served_by(
            &text,
            &[
                ("192.0.2.11:443", ann.address()),
                ("192.0.2.12:443", dead()),
                ("192.0.2.13:8080", ann_shop.address()),
                ("192.0.2.21:8080", bob.address()),
                ("192.0.2.22:8080", dead()),
                ("192.0.2.31:8080", carol.address()),
            ],
        );
        let builder = certificate(World::new("tenants").exactly(&text), "ann-shop", &shop_own);
        let world = start(certificate(certificate(builder, "bob", &bob_own), "carol", &carol_own));

        // Whose certificate it is, and whose server: ann's own behind her wildcard, ours for the rest.
        for (name, signed, backend, unopened) in [
            ("ann.example", &own, &ann, true),
            ("mail.ann.example", &own, &ann, true),
            ("shop.ann.example", &shop_own, &ann_shop, false),
            ("bob.example", &bob_own, &bob, false),
            ("www.bob.example", &bob_own, &bob, false),
            ("carol.example", &carol_own, &carol, false),
            ("blog.carol.example", &carol_own, &carol, false),
        ] {
            let before = backend.connections().len();
            let stream = secure(&world, OUTSIDE, name).unwrap();
            assert_eq!(tls::certificate(&stream), signed.der.as_ref(), "{name}");
            let answer = exchange(stream, &format!("GET /a HTTP/1.1\r\nHost: {name}\r\n\r\n"));
            assert_eq!(answer.status, 200, "{name}");
            assert_eq!(
                !answer.text().to_lowercase().contains("x-forwarded-for"),
                unopened,
                "{name}: {}",
                answer.text()
            );
            assert!(backend.connections().len() > before || !unopened, "{name}");
        }
        assert_eq!([&ann_shop, &bob, &carol].map(|backend| targets(backend).len()), [1, 2, 2]);

        // Names that nobody has, no name, and a tenant who left.
        for client in
            [tls::client("eve.example"), tls::client("bob.example").nameless(), tls::client("www.dave.example")]
        {
            let refused = client.connect(world.https()).unwrap_err();
            assert!(refused.to_string().contains("UnrecognisedName"), "{client:?}: {refused}");
        }
        world.wait_for_line("sni-router", &["dave"]);
        let plain = raw::ask(world.https(), b"GET /a HTTP/1.1\r\nHost: bob.example\r\n\r\n");
        let plain = String::from_utf8_lossy(&plain).into_owned();
        assert!(plain.starts_with("HTTP/1.1 308 ") && plain.contains("https://bob.example/a"), "{plain}");

        // Each tenant's own rules.
        let refused = secure(&world, OUTSIDE, "intern.ann.example").unwrap_err();
        assert!(refused.to_string().contains("AccessDenied"), "{refused}");
        tls::goodbye(secure(&world, INSIDE, "intern.ann.example").unwrap());
        for (from, host, start, status) in [
            (OUTSIDE, "bob.example", "GET /partners/x", 403),
            (INSIDE, "bob.example", "GET /partners/x", 200),
            (OUTSIDE, "carol.example", "GET /partners/x", 200),
            (OUTSIDE, "blog.carol.example", "DELETE /a", 403),
            (OUTSIDE, "bob.example", "DELETE /a", 200),
        ] {
            let answer = ask(&world, from, host, start, "");
            assert_eq!(answer.status, status, "{from} {host} {start}");
            let strict = status == 200 && host == "carol.example";
            assert_eq!(answer.header("x-frame-options"), strict.then_some("DENY"), "{from} {host} {start}");
        }
        // Nobody reaches one tenant over the connection to another.
        let stream = secure(&world, OUTSIDE, "bob.example").unwrap();
        let answer = exchange(stream, "POST /a HTTP/1.1\r\nHost: carol.example\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer.status, 421, "{}", answer.text());
        assert_eq!(targets(&carol).len(), 3);
    });
}

struct Api {
    world: World,
    rest: Backend,
    grpc: H2Backend,
    _live: [Backend; 2],
}

fn api(name: &str) -> Api {
    let (grpc, rest) = (H2Backend::clear(), Backend::application());
    let live: [Backend; 2] = std::array::from_fn(|_| Backend::talking(websocket::talk_to_anybody));
    let slow = [("total_deadline = \"10s\"", "total_deadline = \"4s\""), ("per = \"1m\"", "per = \"1h\"")];
    let text = served_by(
        &edited(API, &slow),
        &[
            ("192.0.2.11:50051", grpc.address()),
            ("192.0.2.12:50051", dead()),
            ("192.0.2.21:8080", live[0].address()),
            ("192.0.2.22:8080", live[1].address()),
            ("192.0.2.31:8080", rest.address()),
            ("192.0.2.32:8080", dead()),
        ],
    );
    let builder = World::new(name).exactly(&text);
    Api { world: start(certificate(builder, "api", &certificates::sign(&["api.example"]))), rest, grpc, _live: live }
}

fn call(world: &World, path: &str, key: &str, headers: &str) -> http::Answer {
    ask(world, OUTSIDE, "api.example", &format!("GET {path}"), &format!("X-Api-Key: {key}\r\n{headers}"))
}

#[test]
fn the_api_carries_calls_and_sockets() {
    within(60, || {
        let Api { world, grpc, _live, .. } = api("api-grpc");
        multiplexed::run(world.https(), "api.example", async |client| {
            for (key, status) in [(Some("k"), "0"), (None, "7")] {
                let mut request = client.request("POST", "/grpc.Echo/Stream");
                let headers = request.headers_mut();
                headers.insert("te", "trailers".parse().unwrap());
                headers.insert("content-type", "application/grpc+proto".parse().unwrap());
                key.map(|key| headers.insert("x-api-key", key.parse().unwrap()));
                let (response, mut sending) = client.open(request, false).await;
                let _ = sending.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), true);
                let answer = whole(response.await.unwrap()).await.unwrap();
                let end = answer.trailers.as_ref().unwrap_or(answer.head.headers());
                assert_eq!((answer.head.status().as_u16(), end["grpc-status"].to_str().unwrap()), (200, status));
                assert_eq!(answer.body.as_slice(), if key.is_some() { &b"\0\0\0\0\x02hi"[..] } else { b"" });
                assert_eq!(answer.trailers.is_some(), key.is_some(), "a refusal is all in its head");
            }
        });
        assert_eq!(grpc.connections(), 1);
        let stream = tls::client("api.example").connect(world.https()).unwrap();
        let mut socket = WebSocket::open(stream, "api.example", "/live").unwrap();
        for message in [&b"one"[..], &[7; 5000]] {
            socket.send(message).unwrap();
            assert_eq!(socket.receive().unwrap(), message);
        }
        socket.close().unwrap();
    });
}

#[test]
fn the_api_limits_keys_and_time() {
    const CAME: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    within(60, || {
        let Api { world, rest, .. } = api("api-limits");
        assert_eq!(get(&world, "api.example", "/health").text(), "ok\n");
        let refused = get(&world, "api.example", "/v1/x");
        assert!(refused.status == 403 && refused.text().contains("no-key"), "{}", refused.text());
        let large =
            ask(&world, OUTSIDE, "api.example", "POST /v1/x", "X-Api-Key: trace\r\nContent-Length: 5000000\r\n");
        assert!(large.status == 403 && large.text().contains("large-uploads"), "{}", large.text());
        assert_eq!(call(&world, "/v2/x", "trace", "").status, 404);
        let answer = call(&world, "/v1/x", "trace", &format!("traceparent: {CAME}\r\n"));
        let seen = answer.text().to_lowercase();
        assert!(seen.starts_with("get /x http/1.1\r\n"), "{seen}");
        assert!(
            seen.contains(&format!("traceparent: {}", &CAME[..36])) && !seen.contains(CAME),
            "a span of our own: {seen}"
        );

        // A dead server costs nobody a request; a key has its own count.
        let first = call(&world, "/v1/x", "a", "");
        assert!(
            first.status == 200 && first.header("ratelimit").unwrap().contains("\"per-key\";r=19"),
            "{}",
            first.head
        );
        for _ in 1..20 {
            assert_eq!(call(&world, "/v1/x", "a", "").status, 200);
        }
        let refused = call(&world, "/v1/x", "a", "");
        assert!(refused.status == 429 && refused.text().contains("rule: per-key"), "{}", refused.text());
        assert_eq!(call(&world, "/v1/x", "b", "").status, 200);
        assert_eq!(targets(&rest), ["/x"; 22]);

        assert_eq!(call(&world, "/v1/sleep/6000", "late", "").status, 504);
        let held: Vec<tls::Stream> = (0..10).map(|_| sleeper(&world)).collect();
        eventually(5, "all are under way", || (world.figure("http-filter", "requests_active") == 10).then_some(()));
        let refused = call(&world, "/v1/x", "slow", "");
        assert!(refused.status == 429 && refused.text().contains("rule: at-once"), "{}", refused.text());
        assert_eq!(call(&world, "/v1/x", "other", "").status, 200);
        for mut stream in held {
            assert_eq!(http::read_answer(&mut stream).unwrap().status, 200);
            tls::goodbye(stream);
        }
    });
}

/// A request that takes its time.
fn sleeper(world: &World) -> tls::Stream {
    let stream: TcpStream = raw::connect(world.https());
    let mut stream = tls::client("api.example").over(stream).unwrap();
    stream.write_all(b"GET /v1/sleep/2500 HTTP/1.1\r\nHost: api.example\r\nX-Api-Key: slow\r\n\r\n").unwrap();
    stream
}
