//! Attacks on connections and TLS: silence at every moment, churn, garbage, many.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use harness::clients::from::connect_from;
use harness::clients::http;
use harness::clients::tls;
use harness::eventually;

use super::wire::{cut, drip, pause};
use super::{Attack, Stage};

pub const ATTACKS: &[Attack] = &[
    ("TCP connect, then silence", |stage| {
        let mut held: Vec<_> = (0..50).flat_map(|_| [stage.bare(), stage.plain()]).collect();
        held.iter_mut().map(cut).last().unwrap()
    }),
    ("half a ClientHello, then silence", |stage| {
        let hello = tls::client("www.test").hello().0;
        let mut held: Vec<_> = (0..100)
            .map(|_| {
                let mut stream = stage.bare();
                stream.write_all(&hello[..hello.len() / 2]).unwrap();
                stream
            })
            .collect();
        held.iter_mut().map(cut).last().unwrap()
    }),
    ("a ClientHello byte by byte", |stage| {
        let hello = tls::client("www.test").hello().0;
        drip(&mut stage.bare(), Duration::from_millis(50), |number| vec![hello[number % hello.len()]])
    }),
    ("a whole ClientHello, then silence", |stage| {
        let hello = tls::client("www.test").hello().0;
        let mut held: Vec<_> = (0..200)
            .map(|_| {
                let mut stream = stage.bare();
                stream.write_all(&hello).unwrap();
                stream
            })
            .collect();
        held.iter_mut().map(cut).last().unwrap()
    }),
    ("TLS handshake, then silence", |stage| {
        let mut held: Vec<_> = (0..40).flat_map(|_| [stage.secure(), stage.h2_stream()]).collect();
        held.iter_mut().map(cut).last().unwrap()
    }),
    ("garbage instead of TLS", |stage| {
        let mut stream = stage.bare();
        let _ = stream.write_all(&[0xa5; 64 * 1024]);
        cut(&mut stream)
    }),
    ("garbage after the handshake", |stage| {
        let stream = stage.secure();
        let mut socket = stream.sock;
        let _ = socket.write_all(&[[23, 3, 3, 4, 0].as_slice(), &[0xa5; 1024]].concat());
        cut(&mut socket)
    }),
    ("renegotiation", renegotiation),
    ("half-closed in the middle of a head", |stage| {
        let mut held: Vec<_> = (0..50)
            .map(|_| {
                let mut stream = stage.plain();
                stream.write_all(b"GET / HTTP/1.1\r\nHost: www").unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                stream
            })
            .collect();
        held.iter_mut().map(cut).last().unwrap()
    }),
    ("connection churn", |stage| {
        for number in 0..1500 {
            let mut stream = if number % 2 == 0 { stage.plain() } else { stage.bare() };
            let _ = stream.write_all(if number % 2 == 0 { b"GET / HT" } else { &[22, 3, 1, 2, 0, 1] });
        }
        eventually(20, "nothing is left of them", || (stage.figure("connections") < 20).then_some(()));
        "bounded: a connection that ended holds nothing".into()
    }),
    ("8,000 idle connections", |stage| {
        let mut held = Vec::new();
        for _ in 0..125 {
            let address = stage.address();
            for _ in 0..60 {
                let mut stream = connect_from(address, stage.world.http()).unwrap();
                stream.write_all(b"GET /bytes/10 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
                held.push(stream);
            }
            for _ in 0..4 {
                let stream = connect_from(address, stage.world.https()).unwrap();
                let mut stream = tls::client("www.test").over(stream).unwrap();
                stream.write_all(b"GET /bytes/10 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
                held.push(stream.sock);
            }
            pause(15);
        }
        held.iter_mut().for_each(|stream| drop(cut(stream)));
        format!("cut: {} kept-alive connections", held.len())
    }),
];

/// In TLS 1.2, by a program that knows how to ask for it.
fn renegotiation(stage: &Stage) -> String {
    if !harness::needs::need("renegotiation", "openssl") {
        return "skipped".into();
    }
    let arguments = ["-servername", "www.test", "-tls1_2"];
    let output = harness::clients::programs::openssl(&stage.world, &arguments, "R\nR\nR\nR\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("RENEGOTIATING"), "{said}");
    let mut stream = stage.secure();
    assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
    let _ = stream.read(&mut []);
    "cut: not spoken here".into()
}
