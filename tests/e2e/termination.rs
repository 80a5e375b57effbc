//! Termination: certificates by name, protocols by ALPN, every TLS version, and what http-filter makes of the plaintext.

use std::io::Write;

use harness::backends::nginx::Nginx;
use harness::backends::{Backend, application};
use harness::clients::curl::curl;
use harness::clients::{h2, http, programs, tls};
use harness::{World, certificates, need, within};

fn two_sites(name: &str, backend: &Backend) -> World {
    World::new(name)
        .terminates(&["www.test"])
        .terminates(&["wild.test", "*.wild.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .start()
}

#[test]
fn each_name_gets_its_certificate_over_every_version() {
    within(60, || {
        let backend = Backend::application();
        let world = two_sites("certificates", &backend);
        let mut shown = Vec::new();
        for name in ["www.test", "wild.test", "a.wild.test"] {
            for client in [tls::client(name), tls::client(name).tls12()] {
                let mut stream = client.connect(world.https()).unwrap();
                assert_eq!(http::get(&mut stream, name, "/").unwrap().status, 200, "{name}");
                shown.push(tls::certificate(&stream));
            }
        }
        assert_eq!(shown[0], shown[1]);
        assert_ne!(shown[0], shown[2]);
        assert!(shown[2..].iter().all(|certificate| *certificate == shown[2]));
    });
}

#[test]
fn nobody_gets_a_certificate_for_a_name_that_is_not_served() {
    within(60, || {
        let backend = Backend::application();
        let world = two_sites("unknown-names", &backend);
        for name in ["other.test", "a.b.wild.test.other", "test"] {
            let refused = tls::client(name).connect(world.https()).unwrap_err().to_string();
            assert!(refused.contains("UnrecognisedName"), "{name}: {refused}");
        }
        let refused = tls::client("www.test").nameless().connect(world.https()).unwrap_err().to_string();
        assert!(refused.contains("UnrecognisedName"), "{refused}");
        assert!(backend.connections().is_empty());
    });
}

#[test]
fn the_protocol_is_agreed_on_and_never_guessed() {
    within(60, || {
        let backend = Backend::application();
        let world = two_sites("alpn", &backend);
        for (offered, agreed) in
            [(&["h2", "http/1.1"][..], Some(b"h2".as_slice())), (&["http/1.1"], Some(b"http/1.1")), (&[], None)]
        {
            let mut stream = tls::client("www.test").alpn(offered).connect(world.https()).unwrap();
            // Completes the handshake's last flight.
            stream.flush().unwrap();
            assert_eq!(stream.conn.alpn_protocol(), agreed);
        }
        // RFC 7301 §3.2: nothing in common is an alert.
        let refused = tls::client("www.test").alpn(&["imap"]).connect(world.https()).unwrap_err().to_string();
        assert!(refused.contains("NoApplicationProtocol"), "{refused}");
        // Agreed on HTTP/1.1 (or on nothing) but speaking HTTP/2: no.
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let answer = harness::clients::raw::read_to_end(&mut stream);
        assert!(!answer.starts_with(&[0, 0]), "no SETTINGS frame: {answer:?}");
        assert!(backend.bytes().is_empty());
    });
}

#[test]
fn curl_and_nginx_agree_over_http_1_and_2() {
    let name = "curl_and_nginx_agree_over_http_1_and_2";
    if !need(name, "nginx") || !need(name, "curl") {
        return;
    }
    within(60, || {
        let nginx = Nginx::start(&certificates::sign(&["x.test"]));
        let world = World::new("nginx-term").terminates(&["www.test"]).pool("n", &[nginx.http]).serves("n").start();
        for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let came = curl(&world, "https", "www.test", "/hello").with(&[flag]).run();
            assert_eq!((came.status, came.version.as_str()), (200, version), "{came:?}");
            let text = came.text();
            assert!(text.contains("proto=HTTP/1.1") && text.contains("host=www.test"), "{text}");
            assert!(text.contains("for=127.0.0.1") && text.contains("scheme=https"), "{text}");
        }
        let came = curl(&world, "http", "www.test", "/hello").run();
        assert!(came.text().contains("scheme=http "), "{came:?}");
        let came = curl(&world, "https", "www.test", "/file").with(&["--http2"]).run();
        assert_eq!(came.body, application::pattern_of(harness::backends::nginx::FILE), "{}", came.complaint);
        let came = curl(&world, "https", "www.test", "/file").with(&["--http1.1", "--range", "1000-1009"]).run();
        assert_eq!((came.status, came.body.as_slice()), (206, &application::pattern_of(1010)[1000..]));
    });
}

#[test]
fn openssl_sees_the_chain_and_speaks_http() {
    let name = "openssl_sees_the_chain_and_speaks_http";
    if !need(name, "openssl") {
        return;
    }
    within(60, || {
        let backend = Backend::application();
        let world = two_sites("openssl", &backend);
        let request = "GET /by-openssl HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n";
        for version in ["-tls1_2", "-tls1_3"] {
            let arguments = ["-servername", "www.test", "-verify_hostname", "www.test", "-alpn", "http/1.1", version];
            let output = programs::openssl(&world, &arguments, request);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
            assert!(text.contains("HTTP/1.1 200") && text.contains("GET /by-openssl"), "{text}");
        }
        let output = programs::openssl(&world, &["-servername", "www.test", "-tls1_1"], "");
        assert!(!output.status.success(), "TLS 1.1 must be refused");
    });
}

#[test]
fn h2load_finishes_every_stream() {
    let name = "h2load_finishes_every_stream";
    if !need(name, "h2load") {
        return;
    }
    within(90, || {
        let backend = Backend::application();
        let world = two_sites("h2load", &backend);
        let report = programs::h2load(&world, "www.test", "/bytes/1024", 1500, 6, 16);
        assert!(report.contains("1500 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
        assert!(report.contains("status codes: 1500 2xx"), "{report}");
    });
}

/// Sites that know suites of TLS 1.2 only, one for each AEAD; http-filter has the keys.
#[test]
fn h2load_finishes_every_stream_over_every_aead_of_tls_1_2() {
    let name = "h2load_finishes_every_stream_over_every_aead_of_tls_1_2";
    if !need(name, "h2load") {
        return;
    }
    within(90, || {
        let backend = Backend::application();
        let sites = [
            ("aes128.test", "AES_128_GCM_SHA256"),
            ("aes256.test", "AES_256_GCM_SHA384"),
            ("chacha.test", "CHACHA20_POLY1305_SHA256"),
        ];
        let world = sites.iter().fold(World::new("h2load-old"), |world, (site, aead)| {
            let keys = format!("suites = [\"TLS_ECDHE_ECDSA_WITH_{aead}\"]\nhandoff = \"secrets\"\n");
            world.terminates(&[*site]).site_keys(&keys)
        });
        let world = world.pool("app", &[backend.address()]).serves("app").start();
        for (site, _) in sites {
            let report = programs::h2load(&world, site, "/bytes/20000", 900, 6, 16);
            assert!(report.contains("900 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
            assert!(report.contains("TLSv1.2") && report.contains("Application protocol: h2"), "{report}");
        }
        assert_eq!(world.figure("tls-terminator", "handed_over"), 18);
        assert_eq!(world.figure("tls-terminator", "tls12"), 18);
    });
}

#[test]
fn a_browser_s_reused_connection_for_another_site_gets_421() {
    within(60, || {
        let backend = Backend::application();
        let world = two_sites("misdirected", &backend);
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        assert_eq!(http::get(&mut stream, "wild.test", "/").unwrap().status, 421);
        let stream = tls::client("www.test").alpn(&["h2"]).connect(world.https()).unwrap();
        let mut h2 = h2::Connection::over(stream);
        let fields: [(&[u8], &[u8]); 4] =
            [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"wild.test"), (b":path", b"/")];
        let sent = h2.send(&fields, None).unwrap();
        let outcome = h2.outcome(sent);
        assert!(matches!(outcome, h2::Outcome::Answer(421, _)), "{outcome:?}");
        assert!(backend.bytes().is_empty());
    });
}

#[test]
fn the_end_of_tls_is_said_and_heard() {
    within(60, || {
        let backend = Backend::application();
        let world = two_sites("close-notify", &backend);
        // Ours: after `Connection: close` a close_notify comes, or rustls would report an unexpected end.
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n").unwrap();
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut all).expect("close_notify before the end");
        assert!(all.starts_with(b"HTTP/1.1 200"));
        // Theirs: a body that ends without one is not a whole request (RFC 9112 §8).
        backend.forget();
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        stream.write_all(b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
        drop(stream);
        assert!(!String::from_utf8_lossy(&backend.bytes()).contains("HTTP/1.1 200"));
    });
}
