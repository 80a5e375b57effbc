//! Rate and concurrency limits: every part of a key, every condition, and what the client is told, through real sockets.

use std::io::Write;
use std::net::Ipv4Addr;

use harness::backends::Backend;
use harness::clients::from::connect_from;
use harness::clients::http::{self, Answer};
use harness::clients::{h2, raw, tls};
use harness::{World, eventually, within};

/// A world with these limits, whose slowness is that of the test: five in an hour.
fn world(name: &str, backend: &Backend, tables: &str) -> World {
    World::new(name)
        .terminates(&["www.test", "other.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .with(tables)
        .start()
}

fn rate(keys: &str) -> String {
    format!("[[http-filter.rate-limit]]\nname = \"few\"\nrequests = 3\nper = \"1h\"\n{keys}")
}

fn ask(world: &World, from: [u8; 4], request: &str) -> Answer {
    let mut stream = connect_from(Ipv4Addr::from(from), world.http()).unwrap();
    stream.write_all(format!("{request}Host: www.test\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    http::read_answer(&mut stream).unwrap()
}

fn get(world: &World, from: [u8; 4], path: &str, header: &str) -> u16 {
    ask(world, from, &format!("GET {path} HTTP/1.1\r\n{header}")).status
}

const ONE: [u8; 4] = [127, 1, 1, 1];
const TWO: [u8; 4] = [127, 1, 1, 2];
const FAR: [u8; 4] = [127, 9, 9, 9];

/// Three pass, the fourth does not.
fn three(mut status: impl FnMut() -> u16) {
    assert_eq!([status(), status(), status(), status()], [200, 200, 200, 429]);
}

#[test]
fn a_client_beyond_its_rate_is_told_so_and_others_are_served() {
    within(60, || {
        let backend = Backend::application();
        let world = world("rate-client", &backend, &rate(""));
        three(|| get(&world, ONE, "/", ""));
        let refused = ask(&world, ONE, "GET / HTTP/1.1\r\n");
        assert_eq!(refused.status, 429);
        let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=1200).contains(&after), "{after}");
        assert_eq!(refused.header("ratelimit-policy"), Some("\"few\";q=3;w=3600"));
        assert!(refused.header("ratelimit").unwrap().starts_with("\"few\";r=0;t="), "{}", refused.head);
        assert!(refused.text().contains("rule: few"), "{}", refused.text());
        assert_eq!(ask(&world, TWO, "GET / HTTP/1.1\r\n").header("ratelimit"), None);
        assert_eq!(world.figure("http-filter", "rate_limited"), 2);
        world.wait_for_line("http-filter", &["request", "rate-limited", "few", "429"]);
    });
}

#[test]
fn a_rate_comes_back_with_time_and_a_burst_is_its_own_number() {
    within(60, || {
        let backend = Backend::application();
        let tables = "[[http-filter.rate-limit]]\nname = \"few\"\nrequests = 2\nburst = 1\ntell = true\n";
        let world = world("rate-burst", &backend, tables);
        let first = ask(&world, ONE, "GET / HTTP/1.1\r\n");
        assert_eq!((first.status, first.header("ratelimit-policy")), (200, Some("\"few\";q=2;w=1")));
        assert!(first.header("ratelimit").unwrap().starts_with("\"few\";r=0;t=1"), "{}", first.head);
        eventually(5, "half a second later", || (get(&world, ONE, "/", "") == 200).then_some(()));
    });
}

#[test]
fn keys_by_network() {
    within(60, || {
        let backend = Backend::application();
        let world = world("rate-network", &backend, &rate("v4_prefix = 24"));
        let mut froms = [ONE, TWO].into_iter().cycle();
        three(|| get(&world, froms.next().unwrap(), "/", ""));
        three(|| get(&world, FAR, "/", ""));
    });
}

#[test]
fn keys_by_header_cookie_path_and_host() {
    within(60, || {
        let backend = Backend::application();
        let tables = ["api", "shop", "tree", "name"].map(|name| {
            format!(
                "[[http-filter.rate-limit]]\nname = \"{name}\"\nrequests = 3\nper = \"1h\"\npaths = \"/{name}/*\"\n"
            )
        });
        let [api, shop, tree, name] = tables;
        let tables = format!(
            "{api}key = \"header:x-api-key\"\n{shop}key = [\"cookie:sid\", \"method\"]\n{tree}key = \"path:2\"\n{name}key = \"host\"\n"
        );
        let world = world("rate-keys", &backend, &tables);
        // By header, whatever the address; who sends none counts by address.
        let mut froms = [ONE, TWO, FAR].into_iter().cycle();
        three(|| get(&world, froms.next().unwrap(), "/api/x", "X-Api-Key: a\r\n"));
        three(|| get(&world, ONE, "/api/x", "X-Api-Key: b\r\n"));
        three(|| get(&world, ONE, "/api/x", ""));
        assert_eq!(get(&world, TWO, "/api/x", ""), 200);
        // By cookie and method.
        three(|| get(&world, ONE, "/shop/", "Cookie: a=1; sid=7\r\n"));
        assert_eq!(get(&world, ONE, "/shop/", "Cookie: sid=8\r\n"), 200);
        assert_eq!(ask(&world, ONE, "POST /shop/ HTTP/1.1\r\nCookie: sid=7\r\nContent-Length: 0\r\n").status, 200);
        // By the beginning of the path, in its one form.
        let mut paths = ["/tree/a/1", "/tree/./a/2", "/tree/b/../a"].into_iter().cycle();
        three(|| get(&world, ONE, paths.next().unwrap(), ""));
        assert_eq!(get(&world, ONE, "/tree/b", ""), 200);
        // By host: everybody together.
        let mut froms = [ONE, TWO, FAR].into_iter().cycle();
        three(|| get(&world, froms.next().unwrap(), "/name/", ""));
        assert_eq!(get(&world, FAR, "/free", ""), 200, "no limit without its conditions");
    });
}

#[test]
fn limits_count_what_the_conditions_of_access_rules_describe() {
    within(60, || {
        let backend = Backend::application();
        let conditions = [
            ("cookie", "cookies = { name = 'plan', value = 'free*' }"),
            ("header", "headers = { name = 'x-key', absent = true }\npaths = '/api/*'"),
            ("regex", "path_regex = '^/v[0-9]+/'"),
            ("query", "parameters = { name = 'q' }\nmethods = 'GET'"),
            ("when", "when = 'request.path.startsWith(\"/cel/\") && !(\"x-key\" in request.headers)'"),
            ("type", "content_types = 'application/json'"),
            // Fails for everything under /bad/, and then counts.
            ("bad", "when = 'request.path.startsWith(\"/bad/\") && int(request.query) == 1'"),
        ];
        let tables = conditions.map(|(name, keys)| {
            format!("[[http-filter.rate-limit]]\nname = \"{name}\"\nrequests = 3\nper = \"1h\"\n{keys}\n")
        });
        let world = world("rate-conditions", &backend, &tables.concat());
        three(|| get(&world, ONE, "/", "Cookie: a=b; plan=free-9\r\n"));
        assert_eq!(get(&world, ONE, "/", "Cookie: plan=paid\r\n"), 200);
        three(|| get(&world, ONE, "/api/x", ""));
        assert_eq!(get(&world, ONE, "/api/x", "X-Key: 1\r\n"), 200);
        three(|| get(&world, ONE, "/v2/x", ""));
        assert_eq!(get(&world, ONE, "/vx/x", ""), 200);
        three(|| get(&world, ONE, "/?q=1", ""));
        assert_eq!(get(&world, ONE, "/?p=1", ""), 200);
        three(|| get(&world, ONE, "/cel/x", ""));
        assert_eq!(get(&world, ONE, "/cel/x", "X-Key: 1\r\n"), 200);
        let post = |kind: &str| {
            let head = format!("POST / HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: 0\r\n");
            ask(&world, ONE, &head).status
        };
        three(|| post("application/json; charset=utf-8"));
        assert_eq!(post("text/plain"), 200);
        assert_eq!(world.figure("http-filter", "expression_failures"), 0);
        three(|| get(&world, ONE, "/bad/x?y", ""));
        assert_eq!(world.figure("http-filter", "expression_failures"), 4);
    });
}

#[test]
fn limits_count_kinds_of_clients_and_a_reload_keeps_the_counts() {
    within(60, || {
        let backend = Backend::application();
        let world =
            world("rate-kinds", &backend, &rate("tls_versions = \"1.2\"\nwhen = 'tls.ja4.startsWith(\"t12\")'"));
        let ask = |client: tls::Client| {
            let mut stream = client.connect(world.https()).unwrap();
            http::get(&mut stream, "www.test", "/").unwrap().status
        };
        three(|| ask(tls::client("www.test").tls12()));
        assert_eq!(ask(tls::client("www.test")), 200, "another kind of client");
        let output = world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(ask(tls::client("www.test").tls12()), 429);
    });
}

#[test]
fn keys_by_server_name_and_fingerprint() {
    within(60, || {
        let backend = Backend::application();
        let world = world("rate-tls", &backend, &rate("key = [\"sni\", \"ja4\"]"));
        let ask = |name: &str, client: tls::Client| {
            let mut stream = client.connect(world.https()).unwrap();
            http::get(&mut stream, name, "/").unwrap().status
        };
        three(|| ask("www.test", tls::client("www.test")));
        assert_eq!(ask("other.test", tls::client("other.test")), 200);
        assert_eq!(ask("www.test", tls::client("www.test").tls12()), 200, "another kind of client");
    });
}

#[test]
fn http_2_streams_are_counted_like_requests() {
    within(60, || {
        let backend = Backend::application();
        let world = world("rate-h2", &backend, &rate(""));
        for expected in [200, 200, 200, 429] {
            let mut connection =
                h2::Connection::over(tls::client("www.test").alpn(&["h2"]).connect(world.https()).unwrap());
            let fields: [(&[u8], &[u8]); 4] =
                [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"www.test"), (b":path", b"/")];
            let stream = connection.send(&fields, None).unwrap();
            let outcome = connection.outcome(stream);
            assert!(matches!(outcome, h2::Outcome::Answer(status, _) if status == expected), "{outcome:?}");
        }
    });
}

#[test]
fn all_limits_count_and_a_refused_request_counts_for_none() {
    within(60, || {
        let backend = Backend::application();
        let tables = "[[http-filter.rate-limit]]\nname = \"wide\"\nrequests = 4\nper = \"1h\"\nkey = []\ntell = true\n\
             [[http-filter.rate-limit]]\nname = \"narrow\"\nrequests = 1\nper = \"1h\"\npaths = \"/narrow\"\nclients = \"127.1.1.1\"\n";
        let world = world("rate-all", &backend, tables);
        assert_eq!(get(&world, ONE, "/narrow", ""), 200);
        for _ in 0..5 {
            let refused = ask(&world, ONE, "GET /narrow HTTP/1.1\r\n");
            assert_eq!((refused.status, refused.header("ratelimit-policy")), (429, Some("\"narrow\";q=1;w=3600")));
        }
        assert_eq!(get(&world, TWO, "/narrow", ""), 200, "not a client of that limit");
        let second = ask(&world, ONE, "GET / HTTP/1.1\r\n");
        assert!(second.header("ratelimit").unwrap().starts_with("\"wide\";r=1;"), "{}", second.head);
    });
}

#[test]
fn a_limit_in_observe_mode_only_says_what_it_would_do() {
    within(60, || {
        let backend = Backend::application();
        let world = world("rate-observe", &backend, &rate("mode = 'observe'"));
        assert!((0..5).all(|_| get(&world, ONE, "/", "") == 200));
        assert_eq!(world.figure("http-filter", "observed"), 2);
        world.wait_for_line("http-filter", &["request", "observed", "few", "200"]);
    });
}

#[test]
fn requests_at_once_have_places() {
    within(60, || {
        let backend = Backend::application();
        let tables = "[[http-filter.concurrency-limit]]\nname = \"slow\"\nrequests = 2\npaths = \"/sleep/*\"\n";
        let world = world("at-once", &backend, tables);
        let held: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = raw::connect(world.http());
                stream.write_all(b"GET /sleep/1500 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
                stream
            })
            .collect();
        eventually(5, "both are under way", || (world.figure("http-filter", "requests_active") == 2).then_some(()));
        let refused = ask(&world, [127, 0, 0, 1], "GET /sleep/0 HTTP/1.1\r\n");
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
        assert!(refused.text().contains("rule: slow"), "{}", refused.text());
        assert_eq!(get(&world, ONE, "/sleep/0", ""), 200, "another client");
        assert_eq!(get(&world, [127, 0, 0, 1], "/", ""), 200, "another path");
        for mut stream in held {
            assert_eq!(http::read_answer(&mut stream).unwrap().status, 200);
        }
        assert_eq!(get(&world, [127, 0, 0, 1], "/sleep/0", ""), 200, "the places are free again");
        assert_eq!(world.figure("http-filter", "concurrency_limited"), 1);
    });
}
