//! WebSocket between every pair of HTTP versions (RFC 6455, RFC 8441). HTTP/1.1 to HTTP/1.1 is in `filtering`.

use std::io::{Read, Write};

use ::http::{Method, Request};
use bytes::Bytes;
use h2::ext::Protocol;
use harness::backends::h2::H2Backend;
use harness::backends::{Backend, websocket};
use harness::clients::multiplexed::{self, Client, piece, whole};
use harness::clients::websocket::WebSocket;
use harness::clients::{http, raw};
use harness::{World, certificates, eventually, within};

fn world(name: &str, backend: std::net::SocketAddr, protocol: &str) -> World {
    World::new(name)
        .set("http-filter", "idle_deadline", "\"1s\"")
        .terminates(&["www.test"])
        .pool_with("app", &[backend], &format!("protocol = \"{protocol}\"\n"))
        .serves("app")
        .with("[[http-filter.access]]\nname = \"no-chat\"\naction = \"deny\"\npaths = [\"/forbidden\"]\n")
        .start()
}

fn connect(client: &Client, path: &str, protocol: &'static str) -> Request<()> {
    let mut request = client.request("CONNECT", path);
    request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    request.extensions_mut().insert(Protocol::from_static(protocol));
    assert_eq!(request.method(), Method::CONNECT);
    request
}

/// A text frame, masked by zeroes.
fn frame(text: &str) -> Bytes {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame.into()
}

#[test]
fn an_http2_client_talks_to_an_http1_server() {
    within(60, || {
        let backend = Backend::talking(websocket::talk_to_anybody);
        let world = world("ws-h2-h1", backend.address(), "http1");
        multiplexed::run(world.https(), "www.test", async |client| {
            assert!(client.takes_extended_connect().await, "the setting is announced");
            let (response, mut sending) = client.open(connect(&client, "/chat", "websocket"), false).await;
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.headers().get("sec-websocket-accept").is_none(), "{:?}", response.headers());
            let mut incoming = response.into_body();
            for word in ["one", "two"] {
                sending.send_data(frame(word), false).unwrap();
                let echo = piece(&mut incoming).await.unwrap().unwrap();
                assert_eq!(&echo[2..], word.as_bytes());
            }
            // Longer than idle_deadline: a tunnel is not an idle connection.
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            sending.send_data(frame("three"), false).unwrap();
            assert_eq!(&piece(&mut incoming).await.unwrap().unwrap()[2..], b"three");
            sending.send_data(Bytes::new(), true).unwrap();
            assert!(piece(&mut incoming).await.unwrap().is_none(), "the end is passed on both ways");
        });
        let head = String::from_utf8_lossy(&backend.bytes()).into_owned();
        assert!(head.starts_with("GET /chat HTTP/1.1\r\n"), "{head}");
        for line in ["upgrade: websocket\r\n", "connection: upgrade\r\n", "sec-websocket-version: 13\r\n"] {
            assert!(head.contains(line), "{line}: {head}");
        }
        world.wait_for_line("http-filter", &["/chat", "switched"]);
    });
}

#[test]
fn what_is_no_websocket_passes_no_extended_connect() {
    within(60, || {
        let backend = Backend::talking(|mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
        });
        let world = world("ws-refused", backend.address(), "http1");
        multiplexed::run(world.https(), "www.test", async |client| {
            assert!(client.takes_extended_connect().await);
            // Rules see the path.
            let (response, _sending) = client.open(connect(&client, "/forbidden", "websocket"), false).await;
            assert_eq!(response.await.unwrap().status(), 403);
            // Another protocol, and a plain tunnel.
            let (response, _sending) = client.open(connect(&client, "/", "connect-udp"), false).await;
            assert_eq!(response.await.unwrap().status(), 501);
            assert!(backend.bytes().is_empty());
            // A server that does not switch: its 200 must not look like a yes.
            let (response, _sending) = client.open(connect(&client, "/chat", "websocket"), false).await;
            let answer = whole(response.await.unwrap()).await.unwrap();
            assert_eq!(answer.head.status(), 502, "{}", String::from_utf8_lossy(&answer.body));
        });
    });
}

#[test]
fn an_http1_client_talks_to_an_http2_server() {
    within(60, || {
        let backend = H2Backend::clear();
        let world = world("ws-h1-h2", backend.address(), "h2c");
        let mut client = raw::connect(world.http());
        let ask = "GET /chat?x HTTP/1.1\r\nHost: www.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        write!(client, "{ask}Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n\r\n", websocket::KEY).unwrap();
        let answer = http::read_answer(&mut client).unwrap();
        assert_eq!((answer.status, answer.header("sec-websocket-accept")), (101, Some(websocket::ACCEPT)));
        for size in [1, 1000, 100_000] {
            let bytes = harness::backends::application::pattern_of(size);
            let mut writer = client.try_clone().unwrap();
            let sent = bytes.clone();
            let writing = std::thread::spawn(move || writer.write_all(&sent));
            let mut back = vec![0; size];
            client.read_exact(&mut back).unwrap();
            writing.join().unwrap().unwrap();
            assert_eq!(back, bytes);
        }
        drop(client);
        let note = backend.wait_for_note("/chat Some(\"websocket\")");
        assert!(note.contains("101001"), "{note}");
        // Without a key nobody could agree.
        let mut client = raw::connect(world.http());
        write!(client, "{ask}\r\n").unwrap();
        assert_eq!(http::read_answer(&mut client).unwrap().status, 400);
    });
}

#[test]
fn tls_to_the_server_changes_nothing() {
    within(60, || {
        let identity = certificates::sign(&[&harness::backends::ADDRESS.to_string()]);
        let backend = Backend::tls_talking(&identity, websocket::talk_to_anybody);
        let world = world("ws-tls", backend.address(), "https\"\n[pool.tls]\nca = \"ca.pem");
        let mut socket = WebSocket::open(raw::connect(world.http()), "www.test", "/chat").unwrap();
        for size in [1, 5000, 60_000] {
            let message = harness::backends::application::pattern_of(size);
            socket.send(&message).unwrap();
            assert_eq!(socket.receive().unwrap(), message);
        }
        socket.close().unwrap();
    });
}

#[test]
fn http2_on_both_sides() {
    within(60, || {
        let backend = H2Backend::clear();
        let world = world("ws-h2-h2", backend.address(), "h2c");
        multiplexed::run(world.https(), "www.test", async |client| {
            assert!(client.takes_extended_connect().await);
            let (response, mut sending) = client.open(connect(&client, "/chat", "websocket"), false).await;
            let mut incoming = response.await.unwrap().into_body();
            sending.send_data(Bytes::from_static(b"hello"), false).unwrap();
            assert_eq!(piece(&mut incoming).await.unwrap().unwrap(), "hello");
            sending.send_reset(h2::Reason::CANCEL);
        });
        eventually(5, "the backend's stream is over", || {
            backend.notes().iter().find(|note| note.contains("/chat")).map(drop)
        });
    });
}

/// An HTTP/2 server answers an extended CONNECT with 200 and a tunnel: rules that want to see every body must wait for the end of neither half.
#[test]
fn rules_against_web_attacks_do_not_wait_for_the_end_of_a_tunnel() {
    within(60, || {
        let backend = H2Backend::clear();
        let rules = "SecRuleEngine On\nSecResponseBodyMimeType null text/plain\n\
                     SecAction \"id:1,phase:1,pass,nolog,ctl:forceRequestBodyVariable=On\"\n\
                     SecRule ARGS \"@contains evil\" \"id:2,phase:2,deny,status:403\"\n";
        let world = World::new("ws-rules")
            .terminates(&["www.test"])
            .pool_with("app", &[backend.address()], "protocol = \"h2c\"\n")
            .serves("app")
            .file("rules.conf", rules)
            .with("[http-filter.web-attacks]\nmode = \"block\"\nresponses = true\nrules = \"rules.conf\"\n")
            .start();
        multiplexed::run(world.https(), "www.test", async |client| {
            assert!(client.takes_extended_connect().await, "the setting is announced");
            let (refused, _sending) = client.open(connect(&client, "/chat?q=evil", "websocket"), false).await;
            assert_eq!(refused.await.unwrap().status(), 403);
            let (response, mut sending) = client.open(connect(&client, "/chat", "websocket"), false).await;
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            let mut incoming = response.into_body();
            sending.send_data(Bytes::from_static(b"hello"), false).unwrap();
            assert_eq!(&*piece(&mut incoming).await.unwrap().unwrap(), b"hello");
        });
    });
}
