//! Attacks on HTTP/1: slowness in every part of a request and an answer, and sizes and numbers of everything that can be repeated.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use harness::clients::http;
use harness::eventually;

use super::wire::{Socket, cut, drip};
use super::{Attack, Stage};

const TICK: Duration = Duration::from_millis(50);

pub const ATTACKS: &[Attack] = &[
    ("slowloris", |stage| {
        let mut others: Vec<TcpStream> = (0..60).map(|_| begun(stage, b"GET / HTTP/1.1\r\n")).collect();
        let mut stream = begun(stage, b"GET / HTTP/1.1\r\n");
        let ended = drip(&mut stream, TICK, |number| {
            others.iter_mut().for_each(|other| drop(other.write_all(b"X-a: b\r\n")));
            format!("X-{number}: b\r\n").into_bytes()
        });
        others.iter_mut().for_each(|other| drop(cut(other)));
        ended
    }),
    ("slowloris over TLS", |stage| {
        let mut stream = stage.secure();
        drip(&mut stream, TICK, |number| b"GET / HTTP/1.1\r\nX: abcdefghijklmnopqrstuvwxyz"[number..=number].to_vec())
    }),
    ("a body with a length, then silence", |stage| {
        cut(&mut begun(stage, b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: 100000\r\n\r\nabc"))
    }),
    ("a body in chunks, then silence", |stage| {
        cut(&mut begun(stage, b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"))
    }),
    ("R-U-Dead-Yet (a body byte by byte)", |stage| {
        let mut stream = begun(stage, b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: 100000\r\n\r\n");
        drip(&mut stream, TICK, |_| b"a".to_vec())
    }),
    ("a chunk size byte by byte", |stage| {
        let mut stream = begun(stage, b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        drip(&mut stream, TICK, |_| b"0".to_vec())
    }),
    ("trailers byte by byte", |stage| {
        let head = b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ";
        drip(&mut begun(stage, head), TICK, |_| b"a".to_vec())
    }),
    ("answers that are not read", |stage| {
        let request = b"GET /bytes/30000000 HTTP/1.1\r\nHost: www.test\r\n\r\n";
        let mut held: Vec<TcpStream> = (0..8).map(|_| begun(stage, request)).collect();
        eventually(20, "they are let go of", || (stage.figure("connections") < 8).then_some(()));
        held.iter_mut().map(cut).last().unwrap()
    }),
    ("an answer read byte by byte", |stage| {
        let mut stream = begun(stage, b"");
        rustix::net::sockopt::set_socket_recv_buffer_size(stream.socket(), 4096).unwrap();
        stream.write_all(b"GET /bytes/30000000 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let before = stage.figure("timeouts");
        let mut byte = [0];
        eventually(20, "it is cut off", || {
            let _ = stream.read(&mut byte);
            std::thread::sleep(TICK);
            (stage.figure("timeouts") > before).then_some(())
        });
        "cut".into()
    }),
    ("header bomb: 10,000 fields", |stage| {
        let fields: String = (0..10_000).map(|number| format!("X-{number}: y\r\n")).collect();
        cut(&mut begun(stage, format!("GET / HTTP/1.1\r\nHost: www.test\r\n{fields}\r\n").as_bytes()))
    }),
    ("header bomb: one endless field", |stage| {
        let mut stream = begun(stage, b"GET / HTTP/1.1\r\nHost: www.test\r\nX: ");
        while stream.write_all(&[b'a'; 64 * 1024]).is_ok() {}
        cut(&mut stream)
    }),
    ("header bomb: cookies", |stage| {
        let cookies = "Cookie: a=b\r\n".repeat(5000);
        cut(&mut begun(stage, format!("GET / HTTP/1.1\r\nHost: www.test\r\n{cookies}\r\n").as_bytes()))
    }),
    ("an endless request line", |stage| {
        let mut stream = begun(stage, b"GET /");
        while stream.write_all(&[b'a'; 64 * 1024]).is_ok() {}
        cut(&mut stream)
    }),
    ("an endless chunk extension", |stage| {
        let mut stream =
            begun(stage, b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n5;a=");
        while stream.write_all(&[b'a'; 64 * 1024]).is_ok() {}
        cut(&mut stream)
    }),
    ("chunk extensions, one after the other", |stage| {
        let mut stream = begun(stage, b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("1;{}\r\na\r\n", "x".repeat(200)).repeat(100);
        for _ in 0..200 {
            if stream.write_all(chunk.as_bytes()).is_err() {
                break;
            }
        }
        cut(&mut stream)
    }),
    ("chunks of one byte", |stage| {
        let mut stream = begun(stage, b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunks = b"1\r\na\r\n".repeat(1000);
        (0..20).for_each(|_| stream.write_all(&chunks).unwrap());
        stream.write_all(b"0\r\n\r\n").unwrap();
        assert_eq!(http::read_answer(&mut stream).unwrap().body.len(), 20_000);
        "bounded: legal, streamed, 20,000 chunks served".into()
    }),
    ("trailers bomb", |stage| {
        let head = b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        let mut stream = begun(stage, head);
        while stream.write_all(&b"X: abcdefgh\r\n".repeat(1000)).is_ok() {}
        cut(&mut stream)
    }),
    ("Expect flood", |stage| {
        let request = b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
        let mut held: Vec<TcpStream> = (0..60).map(|_| begun(stage, request)).collect();
        held.iter_mut().map(cut).last().unwrap()
    }),
    ("range bomb", |stage| {
        let ranges: Vec<String> = (0..1500).map(|number| format!("{number}-{number}")).collect();
        let request = format!("GET /bytes/9 HTTP/1.1\r\nHost: www.test\r\nRange: bytes={}\r\n\r\n", ranges.join(","));
        let mut stream = begun(stage, request.as_bytes());
        assert_eq!(http::read_answer(&mut stream).unwrap().status, 200);
        "bounded: ranges are the backend's to judge, within max_header_bytes".into()
    }),
    ("pipelining without reading", |stage| {
        let mut stream = begun(stage, b"");
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let requests = b"GET /bytes/20000 HTTP/1.1\r\nHost: www.test\r\n\r\n".repeat(1000);
        while stream.write_all(&requests).is_ok() {}
        cut(&mut stream)
    }),
    ("uploads that break off", |stage| {
        for _ in 0..300 {
            drop(begun(stage, b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: 100000\r\n\r\nabcdefgh"));
        }
        eventually(20, "nothing is left of them", || (stage.figure("requests_active") < 20).then_some(()));
        "bounded: nothing is left of them".into()
    }),
    ("WebSocket, then silence", |stage| {
        let mut held: Vec<TcpStream> = (0..30).map(|_| chat(stage)).collect();
        held.iter_mut().map(cut).last().unwrap()
    }),
    ("WebSocket fragments without end", |stage| {
        let mut stream = chat(stage);
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        // Empty fragments of one message (opcode 0, masked).
        let fragments = [0x00, 0x80, 1, 2, 3, 4].repeat(10_000);
        for _ in 0..20 {
            if stream.write_all(&fragments).is_err() {
                break;
            }
        }
        drop(stream);
        "bounded: bytes pass unread, 32 KiB at a time".into()
    }),
];

/// A connection on which this has been said.
fn begun(stage: &Stage, bytes: &[u8]) -> TcpStream {
    let mut stream = stage.plain();
    stream.write_all(bytes).unwrap();
    stream
}

fn chat(stage: &Stage) -> TcpStream {
    let mut stream = begun(
        stage,
        b"GET /chat HTTP/1.1\r\nHost: www.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(http::read_answer(&mut stream).unwrap().status, 101);
    stream
}
