//! The forward proxy: CONNECT and absolute form, who may go where, and who says no.

use std::io::{Read, Write};
use std::net::Shutdown;

use harness::backends::{Backend, strict};
use harness::clients::{curl, http, raw, tls, tunnel};
use harness::{World, certificates, need, within};

/// bcrypt of `demo` (user `demo`), cheap on purpose.
const USERS: &str = "demo:$2b$05$bulkheadDemoSaltAAAAAOLY5b8vRjc4JFCd2F4gcDFTgyEOF9SE2\n";
const DEMO: &str = "Proxy-Authorization: Basic ZGVtbzpkZW1v\r\n";

#[test]
fn a_tunnel_is_opaque_and_keeps_half_closes() {
    within(60, || {
        let backend = Backend::echo();
        let world = World::new("connect").forwards_to(&[backend.address()]).start();
        let mut stream = tunnel::open(world.proxy(), &backend.address().to_string(), "").unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let mut writing = stream.try_clone().unwrap();
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || {
            writing.write_all(&sent).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let came = raw::read_to_end(&mut stream);
        writer.join().unwrap();
        assert!(came == bytes);
        assert_eq!(backend.bytes(), bytes, "not a byte of the proxy in it");
    });
}

#[test]
fn bytes_sent_together_with_the_connect_are_not_lost() {
    within(60, || {
        let backend = Backend::echo();
        let world = World::new("eager").forwards_to(&[backend.address()]).start();
        let target = backend.address();
        let mut stream = raw::connect(world.proxy());
        stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\neager bytes").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = raw::read_to_end(&mut stream);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\neager bytes"), "{text}");
        // And the other way: a server that speaks first.
        let first = Backend::talking(|mut talk| {
            talk.say(b"220 ready\r\n")?;
            talk.drain();
            talk.end()
        });
        let world = World::new("server-first").forwards_to(&[first.address()]).start();
        let mut stream = tunnel::open(world.proxy(), &first.address().to_string(), "").unwrap();
        let mut line = [0; 11];
        stream.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"220 ready\r\n");
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(raw::how_it_ends(&mut stream), (Vec::new(), raw::End::Closed));
    });
}

#[test]
fn tls_inside_a_tunnel_is_end_to_end() {
    within(60, || {
        let identity = certificates::sign(&["inside.test"]);
        let backend = Backend::tls_application(&identity);
        let world = World::new("connect-tls").forwards_to(&[backend.address()]).start();
        let stream = tunnel::open(world.proxy(), &backend.address().to_string(), "").unwrap();
        let mut stream = tls::client("inside.test").over(stream).unwrap();
        assert_eq!(tls::certificate(&stream), identity.der.as_ref());
        assert_eq!(http::get(&mut stream, "inside.test", "/").unwrap().status, 200);
        tls::goodbye(stream);
    });
}

#[test]
fn an_absolute_form_becomes_an_ordinary_request() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("absolute").forwards_to(&[backend.address()]).start();
        let target = backend.address();
        let mut stream = raw::connect(world.proxy());
        for path in ["/one?x=y", "/two"] {
            let request = format!(
                "GET http://{target}{path} HTTP/1.1\r\nHost: {target}\r\nProxy-Connection: keep-alive\r\nX-Kept: yes\r\nConnection: X-Hop\r\nX-Hop: no\r\n{DEMO}\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            assert_eq!(http::read_answer(&mut stream).unwrap().status, 200);
        }
        let post = format!(
            "POST http://{target}/echo HTTP/1.1\r\nHost: {target}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        stream.write_all(post.as_bytes()).unwrap();
        assert_eq!(http::read_answer(&mut stream).unwrap().text(), "abc");
        let requests: Vec<strict::Request> =
            backend.connections().iter().flat_map(|one| strict::requests(&one.bytes(), false).unwrap()).collect();
        assert_eq!(requests.len(), 3);
        assert_eq!((requests[0].target.as_str(), requests[1].target.as_str()), ("/one?x=y", "/two"));
        for request in &requests {
            assert_eq!(request.get("host"), Some(target.to_string().as_str()));
            for gone in ["proxy-connection", "proxy-authorization", "x-hop"] {
                assert!(request.all(gone).is_empty(), "{gone}: {request:?}");
            }
        }
        assert_eq!(requests[0].get("x-kept"), Some("yes"));
    });
}

#[test]
fn users_prove_who_they_are() {
    within(60, || {
        let backend = Backend::application();
        let target = backend.address().to_string();
        let users = tempfile_with(USERS);
        let world = World::new("users")
            .forwards_to(&[backend.address()])
            .set("forward-proxy", "users_file", &format!("\"{}\"", users.path().join("users").display()))
            .set("forward-proxy", "realm", "\"the test\"")
            .start();
        for wrong in [
            "",
            "Proxy-Authorization: Basic ZGVtbzp3cm9uZw==\r\n",
            "Proxy-Authorization: Basic bm9ib2R5OmRlbW8=\r\n",
            "Proxy-Authorization: Basic !!!\r\n",
            "Proxy-Authorization: Bearer ZGVtbzpkZW1v\r\n",
            "Authorization: Basic ZGVtbzpkZW1v\r\n",
        ] {
            let refused = tunnel::open(world.proxy(), &target, wrong).unwrap_err();
            assert_eq!(refused.status, 407, "{wrong}");
            let challenge = refused.header("proxy-authenticate").unwrap_or_default();
            assert!(challenge.to_lowercase().starts_with("basic realm=\"the test\""), "{challenge}");
        }
        assert!(backend.connections().is_empty());
        let mut stream = tunnel::open(world.proxy(), &target, DEMO).unwrap();
        assert_eq!(http::get(&mut stream, &target, "/").unwrap().status, 200);
        assert!(!String::from_utf8_lossy(&backend.bytes()).to_lowercase().contains("proxy-authorization"));
        assert!(world.log().iter().all(|line| !line.contains("ZGVtbzpkZW1v") && !line.contains("demo:demo")));
    });
}

fn tempfile_with(users: &str) -> tempfile::TempDir {
    let folder = harness::folder::temporary();
    harness::folder::write_private(&folder.path().join("users"), users);
    folder
}

#[test]
fn rules_decide_by_user_destination_port_and_method_and_say_their_name() {
    within(60, || {
        let backend = Backend::application();
        let address = backend.address();
        let users = tempfile_with(USERS);
        let world = World::new("forward-rules")
            .forwards_to(&[address])
            .set("forward-proxy", "users_file", &format!("\"{}\"", users.path().join("users").display()))
            .set("forward-proxy", "require_user", "false")
            .with(
                r#"
[[forward-proxy.access]]
name = "no-social"
action = "deny"
destinations = ["*.social.test", "social.test"]

[[forward-proxy.access]]
name = "tunnels-for-users"
action = "allow"
users = ["demo"]
methods = ["CONNECT"]

[[forward-proxy.access]]
name = "no-tunnels"
action = "deny"
methods = ["CONNECT"]
"#,
            )
            .start();
        let open = |target: &str, headers: &str| tunnel::open(world.proxy(), target, headers);
        let target = address.to_string();
        for (to, headers, rule) in [
            ("social.test:443", DEMO, "no-social"),
            ("a.b.SOCIAL.test.:443", DEMO, "no-social"),
            (target.as_str(), "", "no-tunnels"),
        ] {
            let refused = open(to, headers).unwrap_err();
            // Without a user the rule may ask for one first.
            assert!([403, 407].contains(&refused.status), "{to}: {}", refused.status);
            assert!(refused.status == 407 || refused.text().contains(rule), "{to}: {}", refused.text());
        }
        assert!(open(&target, DEMO).is_ok());
        let refused = open(&format!("{}:25", address.ip()), "").unwrap_err();
        assert!([403, 407].contains(&refused.status), "a closed port");
        let answer = raw::ask(
            world.proxy(),
            format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    });
}

#[test]
fn what_is_not_meant_for_a_proxy_is_refused_clearly() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("not-proxy").forwards_to(&[backend.address()]).start();
        let target = backend.address();
        for (request, expected) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), &[400, 403, 404, 421][..]),
            ("CONNECT nowhere HTTP/1.1\r\nHost: nowhere\r\n\r\n".to_owned(), &[400]),
            (format!("CONNECT {target} HTTP/1.1\r\nHost: other.test:1\r\n\r\n"), &[400]),
            (format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nContent-Length: 3\r\n\r\nabc"), &[400]),
            (format!("GET https://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n"), &[400, 403, 501]),
            (format!("GET ftp://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n"), &[400, 403, 501]),
            (format!("GET http://user:pw@{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n"), &[400]),
            (format!("GET http://{target}/ HTTP/1.1\r\nHost: other.test\r\n\r\n"), &[400]),
        ] {
            let answer = raw::ask(world.proxy(), request.as_bytes());
            let text = String::from_utf8_lossy(&answer).into_owned();
            let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            assert!(expected.contains(&status), "{request:?}: {text}");
        }
        assert!(backend.connections().is_empty());
    });
}

#[test]
fn a_server_that_does_not_answer_becomes_a_gateway_error() {
    within(60, || {
        let dead = std::net::SocketAddr::from((harness::backends::ADDRESS, harness::ports::hold().port));
        let world = World::new("dead-destination").forwards_to(&[dead]).start();
        let refused = tunnel::open(world.proxy(), &dead.to_string(), "").unwrap_err();
        assert!([502, 503, 504].contains(&refused.status), "{}", refused.status);
        let answer = raw::ask(world.proxy(), format!("GET http://{dead}/ HTTP/1.1\r\nHost: {dead}\r\n\r\n").as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 50"), "{}", String::from_utf8_lossy(&answer));
        let refused = tunnel::open(world.proxy(), "name-that-is-not.test:443", "").unwrap_err();
        assert!([502, 503, 504].contains(&refused.status), "{}", refused.status);
    });
}

#[test]
fn curl_goes_through_it() {
    let name = "curl_goes_through_it";
    if !need(name, "curl") {
        return;
    }
    within(60, || {
        let identity = certificates::sign(&["inside.test"]);
        let (plain, secure) = (Backend::application(), Backend::tls_application(&identity));
        let world = World::new("curl-proxy").forwards_to(&[plain.address(), secure.address()]).start();
        let came = curl::through_proxy(&world, &format!("http://{}/plain", plain.address())).run();
        assert!(came.status == 200 && came.text().starts_with("GET /plain HTTP/1.1"), "{came:?}");
        let url = format!("http://{}/tunnelled", plain.address());
        let came = curl::through_proxy(&world, &url).with(&["--proxytunnel"]).run();
        assert!(came.status == 200 && came.text().starts_with("GET /tunnelled HTTP/1.1"), "{came:?}");
        let url = format!("https://{}/secure", secure.address());
        let came = curl::through_proxy(&world, &url).with(&["--insecure"]).run();
        assert!(came.status == 200 && came.text().starts_with("GET /secure HTTP/1.1"), "{came:?}");
        let came = curl::through_proxy(&world, "http://169.254.169.254/latest/meta-data/").run();
        assert_eq!(came.status, 403, "{came:?}");
    });
}
