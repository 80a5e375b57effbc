//! A client whose TLS handshake is done, but for whom http-filter has no place: it is told so in its own protocol and with a proper end of
//! TLS, whoever of the two processes holds its keys by then, and not cut off.

use std::io::{Read, Write};

use harness::backends::Backend;
use harness::clients::{http, raw, tls};
use harness::{World, eventually, within};

/// SETTINGS, and the head of GOAWAY behind its length: last stream 0, ENHANCE_YOUR_CALM.
const GOAWAY: &[u8] = &[7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];

/// All that is said to a client that says nothing, up to close_notify.
fn said(client: &tls::Client, world: &World) -> Vec<u8> {
    let mut stream = client.connect(world.https()).unwrap();
    let mut words = Vec::new();
    stream.read_to_end(&mut words).expect("it ends with close_notify");
    words
}

fn is_503(words: &[u8], sentence: &str) -> bool {
    let text = String::from_utf8_lossy(words);
    text.starts_with("HTTP/1.1 503 ") && text.contains("Connection: close\r\n") && text.contains(sentence)
}

fn full(name: &str, key: &str, figure: (&str, &str), sentence: &str) {
    full_where("secrets", name, key, figure, sentence);
    full_where("relay", name, key, figure, sentence);
}

fn full_where(handoff: &str, name: &str, key: &str, figure: (&str, &str), sentence: &str) {
    let backend = Backend::application();
    let world = World::new(&format!("{name}-{handoff}"))
        .set("tls-terminator", "handoff", &format!("\"{handoff}\""))
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .set("http-filter", key, "1")
        .start();
    let mut inside = raw::connect(world.http());
    assert_eq!(http::get(&mut inside, "www.test", "/").unwrap().status, 200);
    let client = tls::client("www.test");
    assert!(is_503(&said(&client, &world), sentence), "{handoff}: TLS 1.3");
    assert!(is_503(&said(&client.clone().tls12(), &world), sentence), "{handoff}: TLS 1.2");
    let h2 = said(&client.clone().alpn(&["h2"]), &world);
    assert!(h2.starts_with(&[0, 0, 0, 4]) && h2[12..26] == *GOAWAY, "{h2:?}");
    assert!(String::from_utf8_lossy(&h2).contains(sentence), "{h2:?}");
    assert_eq!(world.figure(figure.0, figure.1), 3);
    // Who is quick has asked already: what lies unread in the kernel must not turn the answer into a reset.
    for client in [client.clone(), client.tls12()] {
        let mut stream = client.connect(world.https()).unwrap();
        let body = [b'x'; 20_000];
        let head = format!("POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        assert_eq!(http::read_answer(&mut stream).unwrap().status, 503);
    }
    assert_eq!(http::get(&mut inside, "www.test", "/").unwrap().status, 200, "who is in is served on");
    drop(inside);
    let client = tls::client("www.test");
    eventually(10, "the place is free", || {
        let mut stream = client.connect(world.https()).unwrap();
        let status = http::get(&mut stream, "www.test", "/").unwrap().status;
        tls::goodbye(stream);
        (status == 200).then_some(())
    });
    assert_eq!(world.figure("http-filter", "tls_faulty"), 0);
}

#[test]
fn a_full_http_filter_is_told_after_the_handshake_by_the_terminator() {
    within(60, || {
        full("no-place", "max_connections", ("tls-terminator", "undelivered"), "cannot serve another connection")
    });
}

#[test]
fn a_client_with_too_many_connections_is_told_after_the_handshake_by_http_filter() {
    within(60, || {
        let figure = ("http-filter", "client_full");
        full("no-share", "max_connections_per_address", figure, "Your address has as many connections");
    });
}
