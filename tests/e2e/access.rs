//! Access lists through real sockets: every matcher of http-filter, sni-router and forward-proxy, alone and as an expression, what
//! happens when one fails, and what `bulkhead check` says of one that is wrong.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use harness::backends::Backend;
use harness::clients::{http, raw, tls, tunnel};
use harness::{World, within};

fn ask(address: SocketAddr, request: &str) -> http::Answer {
    let mut stream = raw::connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    http::read_answer(&mut stream).unwrap()
}

/// A part of the day that begins so many minutes from now and lasts an hour.
fn hour_from_now(minutes: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60 % 1440;
    let show = |minute: u64| format!("{:02}:{:02}", minute % 1440 / 60, minute % 60);
    format!("{}-{}", show(now + minutes), show(now + minutes + 60))
}

const COUNTRIES: &str = "network,country\n127.0.0.0/8,DE\n192.0.2.0/24,AT\n";

/// A rule that refuses requests for `/<number>` under further conditions.
fn rule(number: usize, conditions: &str) -> String {
    format!(
        "[[http-filter.access]]\nname = \"rule-{number}\"\naction = \"deny\"\npaths = \"/{number}\"\n{conditions}\n"
    )
}

#[test]
fn every_matcher_of_requests() {
    within(90, || {
        let (soon, now) = (hour_from_now(120), hour_from_now(1410));
        let (hours_no, hours_yes) = (format!("hours = \"{soon}\""), format!("hours = \"{now}\""));
        // Conditions, further lines of the request, whether it is refused.
        let cases: Vec<(&str, &str, bool)> = vec![
            ("clients = '127.0.0.1'", "", true),
            ("clients = '192.0.2.0/24'", "", false),
            ("countries = 'DE'", "", true),
            ("countries = 'AT'", "", false),
            (&hours_yes, "", true),
            (&hours_no, "", false),
            ("days = 'mon-sun'", "", true),
            ("methods = 'GET'", "", true),
            ("methods = 'POST'", "", false),
            ("hosts = 'www.test'", "", true),
            ("hosts = '*.www.test'", "", false),
            ("path_regex = '^/(a|1{2})$'", "", true),
            ("headers = [{ name = 'x-debug', value = '*on*' }]", "X-Debug: is on now\r\n", true),
            ("headers = [{ name = 'x-debug', value = '*on*' }]", "X-Debug: off\r\n", false),
            ("headers = [{ name = 'x-key', absent = true }]", "", true),
            ("headers = [{ name = 'x-key', absent = true }]", "X-Key: 1\r\n", false),
            ("cookies = [{ name = 'session', value = 'a*' }]", "Cookie: b=1; session=abc\r\n", true),
            ("cookies = [{ name = 'session', value = 'a*' }]", "Cookie: xsession=abc\r\n", false),
            ("parameters = [{ name = 'debug', value = '1 2' }]", "", true),
            ("parameters = [{ name = 'debug', value = '3' }]", "", false),
            ("content_types = 'application/json'", "Content-Type: Application/Json; charset=utf-8\r\n", true),
            ("content_types = 'application/json'", "Content-Type: text/plain\r\n", false),
            ("body_larger_than = 2", "Content-Length: 3\r\n", true),
            ("body_larger_than = 3", "Content-Length: 3\r\n", false),
            ("tls_versions = '1.3'", "", false),
            ("certificate_subjects = 'CN=*'", "", false),
            ("when = 'client.country == \"DE\" && client.address.inNetwork(\"127.0.0.0/8\")'", "", true),
            ("when = 'request.parameters.debug == \"1 2\" && request.query.contains(\"debug\")'", "", true),
            (
                "when = '!(\"x-key\" in request.headers) && request.cookies.session == \"abc\"'",
                "Cookie: session=abc\r\n",
                true,
            ),
            ("when = '!(\"x-key\" in request.headers)'", "X-Key: 1\r\n", false),
            ("when = 'request.headers.exists(name, name.startsWith(\"x-evil\"))'", "X-Evil-Twin: 1\r\n", true),
            (
                "when = 'request.body_size > 2 && request.content_type == \"a/b\"'",
                "Content-Length: 3\r\nContent-Type: A/b\r\n",
                true,
            ),
            ("when = 'tls.version == \"\" && !tls.certificate.present'", "", true),
            (
                "when = 'request.path.matches(\"^/[0-9]+$\") && time.hour >= 0 && time.day in [\"mon\"]'\ndays = 'tue-sun'",
                "",
                false,
            ),
            // It fails, so the rule that denies matches.
            ("when = 'int(request.headers[\"x-number\"]) > 3'", "X-Number: many\r\n", true),
            ("when = 'int(request.headers[\"x-number\"]) > 3'", "X-Number: 2\r\n", false),
        ];
        let rules: String =
            cases.iter().enumerate().map(|(number, (conditions, ..))| rule(number, conditions)).collect();
        let backend = Backend::application();
        let world = World::new("matchers")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .set("access", "country_file", "\"countries.csv\"")
            .file("countries.csv", COUNTRIES)
            .with(&rules)
            .start();
        for (number, (conditions, lines, refused)) in cases.iter().enumerate() {
            let body = if lines.contains("Content-Length: 3") { "abc" } else { "" };
            let request = format!("GET /{number}?debug=1%202 HTTP/1.1\r\nHost: www.test\r\n{lines}\r\n{body}");
            let answer = ask(world.http(), &request);
            assert_eq!(
                answer.status,
                if *refused { 403 } else { 200 },
                "{conditions} with {lines:?}: {}",
                answer.text()
            );
            assert!(!refused || answer.text().contains(&format!("rule-{number}")), "{}", answer.text());
        }
        assert_eq!(world.figure("http-filter", "expression_failures"), 1);
    });
}

#[test]
fn matchers_of_tls_facts() {
    within(90, || {
        let backend = Backend::application();
        let world = |name: &str, rules: &str| {
            World::new(name)
                .terminates(&["www.test"])
                .terminates(&["other.test"])
                .pool("app", &[backend.address()])
                .serves("app")
                .with(rules)
                .start()
        };
        let learning = world("learn-ja4", "");
        let mut stream = tls::client("www.test").connect(learning.https()).unwrap();
        assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
        let line = learning.wait_for_line("http-filter", &["request", "ja4="]);
        let ja4 =
            line.split("ja4=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().trim_matches('"').to_owned();
        drop((stream, learning));

        let rules: String = [
            format!("ja4 = '{ja4}'"),
            "ja4 = 't12*'".to_owned(),
            "tls_versions = '1.2'".to_owned(),
            "server_names = 'other.test'".to_owned(),
            "when = 'tls.version == \"1.3\" && tls.server_name == request.host && tls.ja4.startsWith(\"t13\")'"
                .to_owned(),
        ]
        .iter()
        .enumerate()
        .map(|(number, conditions)| rule(number, conditions))
        .collect();
        let world = world("tls-facts", &rules);
        let ask = |client: tls::Client, host: &str, path: &str| {
            let mut stream = client.connect(world.https()).unwrap();
            http::get(&mut stream, host, path).unwrap().status
        };
        let (new, old) = (|name| tls::client(name), |name| tls::client(name).tls12());
        for (path, by_new, by_old) in [("/0", 403, 200), ("/1", 200, 403), ("/2", 200, 403), ("/4", 403, 200)] {
            assert_eq!(ask(new("www.test"), "www.test", path), by_new, "{path}, TLS 1.3");
            assert_eq!(ask(old("www.test"), "www.test", path), by_old, "{path}, TLS 1.2");
        }
        assert_eq!(ask(new("www.test"), "www.test", "/3"), 200);
        assert_eq!(ask(new("other.test"), "other.test", "/3"), 403);
        assert_eq!(http_over_plain(&world, "/4"), 200, "there is no TLS here");
    });
}

fn http_over_plain(world: &World, path: &str) -> u16 {
    ask(world.http(), &format!("GET {path} HTTP/1.1\r\nHost: www.test\r\n\r\n")).status
}

#[test]
fn sni_router_asks_the_client_hello_where_a_rule_needs_it() {
    within(90, || {
        let backend = Backend::echo();
        let world = World::new("router-matchers")
            .set("access", "country_file", "\"countries.csv\"")
            .file("countries.csv", COUNTRIES)
            .with(
                "[[sni-router.access]]\nname = \"abroad\"\naction = \"deny\"\ncountries = \"AT\"\n\
                 [[sni-router.access]]\nname = \"old\"\naction = \"deny\"\nja4 = \"t12*\"\n\
                 [[sni-router.access]]\nname = \"secret\"\naction = \"deny\"\nserver_names = \"secret.test\"\nlisten = \"https\"\n\
                 [[sni-router.access]]\nname = \"watched\"\naction = \"deny\"\nmode = 'observe'\nwhen = 'tls.server_name == \"shop.test\"'\n\
                 [[sni-router.access]]\nname = \"no-alpn-tricks\"\naction = \"deny\"\nwhen = 'tls.server_name.matches(\"^evil[0-9]+[.]\") && client.country == \"DE\"'\n",
            )
            .pool("shop", &[backend.address()])
            .passes("shop.test", "shop")
            .passes("secret.test", "shop")
            .passes("*.evil.test", "shop")
            .passes("evil7.test", "shop")
            .start();
        let hello = |client: tls::Client| raw::ask(world.https(), &client.hello().0);
        let access_denied = [21, 3, 1, 0, 2, 2, 49];
        assert_eq!(hello(tls::client("secret.test")), access_denied);
        world.wait_for_line("sni-router", &["denied", "rule=secret"]);
        assert_eq!(hello(tls::client("shop.test").tls12()), access_denied);
        world.wait_for_line("sni-router", &["denied", "rule=old"]);
        assert_eq!(hello(tls::client("evil7.test")), access_denied);
        world.wait_for_line("sni-router", &["denied", "rule=no-alpn-tricks"]);
        assert!(backend.connections().is_empty(), "nothing of them went through");
        // In pieces, so that the hello has to be waited for.
        let (bytes, _) = tls::client("shop.test").hello();
        let mut stream = raw::connect(world.https());
        raw::send_in_pieces(&mut stream, &bytes, &[3, 60], std::time::Duration::from_millis(20)).unwrap();
        let mut echoed = vec![0; bytes.len()];
        std::io::Read::read_exact(&mut stream, &mut echoed).unwrap();
        assert!(echoed == bytes, "passed through untouched");
        world.wait_for_line("sni-router", &["would be denied", "rule=watched"]);
        assert_eq!(world.figure("sni-router", "denied"), 3);
    });
}

#[test]
fn sni_router_may_refuse_by_default() {
    within(60, || {
        let backend = Backend::echo();
        let world = World::new("router-default")
            .set("sni-router", "access_default", "\"deny\"")
            .with("[[sni-router.access]]\nname = \"known\"\naction = \"allow\"\nserver_names = \"shop.test\"\n")
            .pool("shop", &[backend.address()])
            .passes("shop.test", "shop")
            .passes("other.test", "shop")
            .start();
        let ask = |name: &str| {
            let bytes = tls::client(name).hello().0;
            raw::ask(world.https(), &bytes) == bytes
        };
        assert!(ask("shop.test") && !ask("other.test"));
        world.wait_for_line("sni-router", &["denied", "rule=access_default"]);
    });
}

#[test]
fn what_is_not_tls_has_no_facts_of_tls() {
    within(60, || {
        let world = World::new("router-not-tls")
            .set("sni-router.otherwise", "not_tls", "\"redirect\"")
            .with(
                "[[sni-router.access]]\nname = \"only-known\"\naction = \"allow\"\nja4 = \"t13*\"\n\
                 [[sni-router.access]]\nname = \"nobody-else\"\naction = \"deny\"\nlisten = \"https\"\n",
            )
            .pool("shop", &["127.0.0.1:9".parse().unwrap()])
            .passes("shop.test", "shop")
            .start();
        let answer = raw::ask(world.https(), b"GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        assert!(answer.is_empty(), "closed without a word: {}", String::from_utf8_lossy(&answer));
        world.wait_for_line("sni-router", &["denied", "rule=nobody-else"]);
        assert_eq!(world.figure("sni-router", "not_tls"), 0, "the rule came first");
    });
}

#[test]
fn forward_proxy_speaks_the_same_language() {
    within(90, || {
        let backend = Backend::application();
        let target = backend.address();
        let open = |rules: &str| {
            let world = World::new("forward-matchers")
                .forwards_to(&[target])
                .set("access", "country_file", "\"countries.csv\"")
                .file("countries.csv", COUNTRIES)
                .with(&format!("[[forward-proxy.access]]\nname = \"the-rule\"\naction = \"deny\"\n{rules}\n"))
                .start();
            let tunnel = tunnel::open(world.proxy(), &target.to_string(), "");
            let get = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
            let plain = ask(world.proxy(), &get).status;
            (
                tunnel.err().map_or(200, |answer| if answer.text().contains("the-rule") { answer.status } else { 0 }),
                plain,
            )
        };
        let port = target.port();
        for (conditions, connect, get) in [
            ("countries = 'DE'".to_owned(), 403, 403),
            (format!("hours = \"{}\"", hour_from_now(120)), 200, 200),
            ("methods = 'CONNECT'".to_owned(), 403, 200),
            (format!("destinations = '{}/32'\nports = {port}", target.ip()), 403, 403),
            (format!("when = 'destination.port == {port} && request.method != \"CONNECT\" && user == \"\"'"), 200, 403),
            (
                "when = 'destination.host.startsWith(\"127.\") && client.country in [\"DE\", \"FR\"]'".to_owned(),
                403,
                403,
            ),
            ("when = 'destination.port / (destination.port - destination.port) == 1'".to_owned(), 403, 403),
        ] {
            assert_eq!(open(&conditions), (connect, get), "{conditions}");
        }
    });
}

#[test]
fn a_wrong_expression_is_an_error_under_the_source_line() {
    within(60, || {
        let folder = tempfile::tempdir().unwrap();
        let check = |section: &str, when: &str| {
            let tables = format!("[[{section}.access]]\nname = \"r\"\naction = \"deny\"\nwhen = '{when}'\n");
            let builder =
                World::new("check").forwards().terminates(&["www.test"]).pool("app", &["127.0.0.1:9".parse().unwrap()]);
            builder.serves("app").with(&tables).write(folder.path(), 1443, 1080, 1128);
            let file = folder.path().join("bulkhead.toml");
            let output = std::process::Command::new(harness::binaries::folder().join("bulkhead"))
                .arg("check")
                .arg(&file)
                .output();
            let output = output.unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        for section in ["sni-router", "http-filter", "forward-proxy"] {
            let (sound, text) = check(section, "client.addres == \"::1\"");
            assert!(!sound, "{section}");
            for words in [
                &format!("error: `{section}.access.when`: there is no `client.addres`") as &str,
                "when = 'client.addres == \"::1\"'",
                "^^^^^^^^^^^^^ unknown name",
                "did you mean `client.address`?",
            ] {
                assert!(text.contains(words), "{section}: {words} is missing in\n{text}");
            }
            let (sound, text) = check(section, "client.address == \"::1\"");
            assert!(sound, "{section}: {text}");
        }
    });
}
