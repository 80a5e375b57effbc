//! What routes of http-filter lead to, and what they change on the way: redirects, fixed answers, refusals, shares of several pools,
//! other paths, header rules, security headers.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;

use harness::backends::{Backend, strict};
use harness::clients::curl::curl;
use harness::clients::{http, raw, tls};
use harness::{World, within};

fn seen(backend: &Backend) -> Vec<strict::Request> {
    let connections = backend.connections();
    connections.iter().flat_map(|one| strict::requests(&one.bytes(), true).expect("only strict requests")).collect()
}

fn ask(address: SocketAddr, request: &str) -> http::Answer {
    let mut stream = raw::connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    http::read_answer(&mut stream).unwrap()
}

fn get(address: SocketAddr, host: &str, target: &str) -> http::Answer {
    ask(address, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

#[test]
fn plain_http_is_sent_to_https_and_only_plain_http() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("to-https")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .http_route("name = \"secure\"\nredirect = \"https\"")
            .serves("app")
            .start();
        for (target, location) in [
            ("/a?b=c", "https://www.test/a?b=c"),
            ("//evil.example/%2e%2e", "https://www.test/"),
            ("/%0d%0aset-cookie:x=1", "https://www.test/%0D%0Aset-cookie:x=1"),
        ] {
            let answer = get(world.http(), "WWW.test:8080", target);
            assert_eq!((answer.status, answer.header("location")), (308, Some(location)), "{target}");
            assert_eq!(answer.header("set-cookie"), None);
        }
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        assert_eq!(http::get(&mut stream, "www.test", "/a").unwrap().status, 200);
        tls::goodbye(stream);
        let no_host = ask(world.http(), "GET / HTTP/1.0\r\n\r\n");
        assert_eq!(no_host.status, 400, "{}", no_host.text());
        assert_eq!(seen(&backend).len(), 1);
        world.wait_for_line("http-filter", &["redirected", "secure"]);
    });
}

#[test]
fn behind_a_trusted_proxy_its_word_on_tls_counts() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("to-https-behind")
            .set("http-filter", "trusted_proxies", "[\"127.0.0.0/8\"]")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .http_route("name = \"secure\"\nredirect = \"https\"")
            .serves("app")
            .start();
        let with = |proto: &str| {
            ask(world.http(), &format!("GET / HTTP/1.1\r\nHost: www.test\r\nX-Forwarded-Proto: {proto}\r\n\r\n")).status
        };
        assert_eq!((with("https"), with("http"), with("https, http")), (200, 308, 308));
    });
}

#[test]
fn redirects_with_captures_never_lead_elsewhere_nor_back() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("redirects")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .http_route("name = \"item\"\npath_regex = '^/item/(\\d+)$'\nredirect = { to = \"https://new.test/items/${1}?${query}\", status = 301 }")
            .http_route("name = \"go\"\npath_regex = '^/go(.*)$'\nredirect = \"/${1}\"")
            .http_route("name = \"loop\"\npaths = \"/loop*\"\nredirect = \"http://${host}${target}\"")
            .serves("app")
            .start();
        let port = world.http().port();
        for (target, status, location) in [
            ("/item/7?x=y", 301, Some("https://new.test/items/7?x=y")),
            ("/item/x", 200, None),
            ("/go//evil.example/x", 302, Some("/evil.example/x")),
            ("/go/%5Cevil.example", 302, Some("/%5Cevil.example")),
        ] {
            let answer = get(world.http(), "www.test", target);
            assert_eq!((answer.status, answer.header("location")), (status, location), "{target}");
        }
        let answer = get(world.http(), "www.test", "/loop/x?y");
        assert_eq!(answer.status, 500, "{}", answer.head);
        assert!(answer.text().contains("loop"), "the answer names its route: {}", answer.text());
        // Another port is another place: a browser would go on there.
        let answer = get(world.http(), &format!("www.test:{port}"), "/loop/x");
        assert_eq!((answer.status, answer.header("location")), (302, Some("http://www.test/loop/x")));
        let curl = curl(&world, "http", "www.test", "/go/there").with(&["--location"]).run();
        assert_eq!((curl.status, curl.text().contains("GET /there HTTP/1.1")), (200, true), "{}", curl.text());
    });
}

#[test]
fn fixed_answers_and_refusals_need_no_backend() {
    within(60, || {
        let backend = Backend::application();
        let folder = std::env::temp_dir().join(format!("bulkhead-page-{}", std::process::id()));
        std::fs::write(&folder, "<p>back soon</p>").unwrap();
        let page =
            format!("respond = {{ status = 503, file = \"{}\", content_type = \"text/html\" }}", folder.display());
        let world = World::new("fixed")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .http_route("name = \"robots\"\npaths = \"/robots.txt\"\nmethods = [\"GET\", \"HEAD\"]\nrespond = { body = \"User-agent: *\\n\" }")
            .http_route(&format!("name = \"soon\"\npaths = \"/soon\"\n{page}"))
            .http_route("name = \"none\"\npaths = \"/none\"\nrespond = { status = 204 }")
            .http_route("name = \"gone\"\npaths = [\"/v0\", \"/v0/*\"]\nstatus = 410")
            .http_route("name = \"expression\"\nwhen = 'request.path.endsWith(\".bak\")'\nstatus = 404")
            .serves("app")
            .start();
        std::fs::remove_file(&folder).unwrap();
        let robots = get(world.http(), "www.test", "/robots.txt");
        assert_eq!((robots.status, robots.text().as_str()), (200, "User-agent: *\n"));
        assert_eq!(robots.header("content-type"), Some("text/plain; charset=utf-8"));
        let soon = get(world.http(), "www.test", "/soon");
        assert_eq!((soon.status, soon.text().as_str()), (503, "<p>back soon</p>"));
        for path in ["/v0", "/v0/x"] {
            let gone = get(world.http(), "www.test", path);
            assert!(gone.status == 410 && gone.text().contains("gone"), "{}", gone.text());
        }
        assert_eq!(get(world.http(), "www.test", "/x.bak").status, 404);
        assert!(seen(&backend).is_empty(), "none of this is for the backend");
        assert_eq!(ask(world.http(), "POST /robots.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status, 200);
        assert_eq!(seen(&backend).len(), 1);
        // HEAD and 204 have no body, and the connection goes on behind them.
        let mut stream = raw::connect(world.http());
        stream.write_all(b"HEAD /robots.txt HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let head = http::read_head(&mut stream).unwrap();
        assert!(head.to_lowercase().contains("content-length: 14"), "{head}");
        stream.write_all(b"HEAD /v0 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let head = http::read_head(&mut stream).unwrap();
        assert!(head.contains("410") && !head.to_lowercase().contains("content-length: 0"), "{head}");
        stream.write_all(b"GET /none HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let none = http::read_answer(&mut stream).unwrap();
        assert_eq!((none.status, none.header("content-length"), none.header("content-type")), (204, None, None));
        assert_eq!(http::get(&mut stream, "www.test", "/robots.txt").unwrap().text(), "User-agent: *\n");
        // The same over HTTP/2.
        for (method, path, status) in [("HEAD", "/robots.txt", 200), ("GET", "/none", 204), ("HEAD", "/v0", 410)] {
            let method: &[&str] = if method == "HEAD" { &["--http2", "--head"] } else { &["--http2"] };
            let came = curl(&world, "https", "www.test", path).with(method).run();
            assert_eq!((came.status, came.version.as_str(), came.code), (status, "2", 0), "{path}: {}", came.complaint);
        }
    });
}

#[test]
fn shares_of_pools_by_chance_and_by_cookie() {
    within(60, || {
        let (old, new) = (Backend::application(), Backend::application());
        let shares = "split = [{ pool = \"old\", weight = 3 }, { pool = \"new\", weight = 1 }]";
        let world = World::new("split")
            .terminates(&["www.test"])
            .pool("old", &[old.address()])
            .pool("new", &[new.address()])
            .http_route(&format!("name = \"sticky\"\npaths = \"/sticky\"\n{shares}\nsplit_by = \"cookie:id\""))
            .http_route(&format!("name = \"all\"\n{shares}"))
            .start();
        let mut stream = raw::connect(world.http());
        for _ in 0..400 {
            assert_eq!(http::get(&mut stream, "www.test", "/any").unwrap().status, 200);
        }
        let (first, second) = (seen(&old).len(), seen(&new).len());
        assert!(
            first + second == 400 && (50..160).contains(&second),
            "{first} and {second} instead of about 300 and 100"
        );
        for round in 0..2 {
            for user in 0..40 {
                let line = format!("GET /sticky HTTP/1.1\r\nHost: a\r\nCookie: id=u{user}\r\nX-Round: {round}\r\n\r\n");
                assert_eq!(ask(world.http(), &line).status, 200);
            }
        }
        let users = |backend: &Backend| {
            let all: Vec<_> = seen(backend).into_iter().filter(|request| request.target == "/sticky").collect();
            let cookies: BTreeSet<String> =
                all.iter().filter_map(|request| request.get("cookie").map(str::to_owned)).collect();
            (all.len(), cookies)
        };
        let ((_, first), (count, second)) = (users(&old), users(&new));
        assert!(first.is_disjoint(&second) && !second.is_empty(), "{first:?} {second:?}");
        assert_eq!(count, second.len() * 2, "both times");
    });
}

#[test]
fn paths_and_headers_are_changed_on_the_way() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("rewriting")
            .set("http-filter", "request_headers", "[{ set = \"x-client\", value = \"${client}\" }, { remove = \"x-debug\" }]")
            .set("http-filter", "response_headers", "[{ set = \"x-route\", value = \"${route}\" }]")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .http_route(
                "name = \"api\"\npaths = [\"/api\", \"/api/*\"]\npool = \"app\"\nstrip_prefix = \"/api\"\n\
                 request_headers = [{ set = \"host\", value = \"inner.test\" }, { set = \"x-tls-name\", value = \"${sni}\" }, \
                 { add = \"x-from\", value = \"${method} ${scheme}://${host}${target}\" }]\n\
                 response_headers = [{ add = \"cache-control\", value = \"max-age=60\" }, { remove = \"content-type\" }]",
            )
            .http_route(
                "name = \"user\"\npaths = \"/u/*\"\npool = \"app\"\n\
                 rewrite_path = { regex = '^/u/(\\w+)$', to = \"/user?id=${1}&${query}\" }",
            )
            .serves("app")
            .start();
        let answer = ask(
            world.http(),
            "GET /api/./x/?q=1 HTTP/1.1\r\nHost: www.test\r\nX-Client: 10.9.9.9\r\nX-Debug: 1\r\nX-TLS-Name: forged\r\nX-From: client\r\n\r\n",
        );
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("max-age=60")));
        assert_eq!((answer.header("content-type"), answer.header("x-route")), (None, Some("api")));
        let request = seen(&backend).remove(0);
        assert_eq!(request.target, "/x/?q=1");
        assert_eq!((request.get("host"), request.get("x-client")), (Some("inner.test"), Some("127.0.0.1")));
        assert!(request.all("x-debug").is_empty() && request.all("x-tls-name").is_empty(), "{request:?}");
        assert_eq!(request.all("x-from"), ["client", "GET http://www.test/api/x/?q=1"]);
        for (sent, arrives) in
            [("/u/ada?x", "/user?id=ada&x"), ("/u/ada/x?y", "/u/ada/x?y"), ("/api", "/"), ("/apix?q", "/apix?q")]
        {
            assert_eq!(get(world.http(), "www.test", sent).status, 200);
            let all = seen(&backend);
            assert!(all.iter().any(|request| request.target == arrives), "{sent} → {arrives}: {all:?}");
        }
    });
}

#[test]
fn security_headers_by_section_and_route() {
    within(60, || {
        let backend = Backend::talking(|mut talk| {
            loop {
                talk.read_until(b"\r\n\r\n")?;
                talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nReferrer-Policy: origin\r\n\r\nok")?;
            }
        });
        let world = World::new("security-headers")
            .set("http-filter", "security_headers", "\"basic\"")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .http_route("name = \"strict\"\npaths = \"/strict\"\npool = \"app\"\nsecurity_headers = \"strict\"")
            .http_route("name = \"off\"\npaths = \"/off\"\npool = \"app\"\nsecurity_headers = \"off\"")
            .http_route("name = \"some\"\npaths = \"/some\"\npool = \"app\"")
            .start();
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        let some = http::get(&mut stream, "www.test", "/some").unwrap();
        assert_eq!(some.header("strict-transport-security"), Some("max-age=31536000"));
        assert_eq!(
            (some.header("x-frame-options"), some.header("referrer-policy")),
            (Some("SAMEORIGIN"), Some("origin"))
        );
        let strict = http::get(&mut stream, "www.test", "/strict").unwrap();
        assert_eq!(strict.header("strict-transport-security"), Some("max-age=63072000; includeSubDomains"));
        assert!(strict.header("permissions-policy").is_some() && strict.header("x-frame-options") == Some("DENY"));
        let off = http::get(&mut stream, "www.test", "/off").unwrap();
        assert_eq!((off.header("strict-transport-security"), off.header("x-frame-options")), (None, None));
        let missing = http::get(&mut stream, "www.test", "/missing").unwrap();
        assert_eq!((missing.status, missing.header("x-content-type-options")), (404, Some("nosniff")));
        tls::goodbye(stream);
        let plain = get(world.http(), "www.test", "/some");
        assert_eq!(plain.header("strict-transport-security"), None);
        assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
    });
}
