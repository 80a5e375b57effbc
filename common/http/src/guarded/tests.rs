//! The guard under a real hyper server: what the client gets, and what the handler saw.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

type Seen = Rc<RefCell<Vec<(String, Result<Vec<u8>, String>)>>>;

/// A server that answers 200 with the request's path and notes every request that a handler saw.
struct Server {
    watch: Watch,
    clock: Clock,
    seen: Seen,
}

impl Server {
    fn new() -> Self {
        let clock = Clock::new();
        Server { watch: Watch::new(clock.clone(), Deadlines::default()), clock, seen: Seen::default() }
    }

    async fn serve(&self, io: DuplexStream) {
        let ledger = self.watch.ledger();
        let guarded = Guarded::new(io, Limits::DEFAULT, Arc::clone(&ledger));
        let seen = Rc::clone(&self.seen);
        let service = service_fn(move |request| handle(Arc::clone(&ledger), Rc::clone(&seen), request));
        let _ = hyper::server::conn::http1::Builder::new()
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(guarded), service)
            .with_upgrades()
            .await;
    }

    /// Sends `pieces`, ends the stream, and returns all that came back.
    async fn answer(&self, pieces: &[&[u8]]) -> String {
        let (mut client, server) = duplex(1 << 20);
        let talk = async {
            for piece in pieces {
                let _ = client.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            let mut answer = Vec::new();
            // Only a refusal or a close ends it; a client that expects more would hang, so bound it.
            let _ = tokio::time::timeout(Duration::from_millis(200), client.read_to_end(&mut answer)).await;
            drop(client);
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::join!(talk, self.serve(server)).0
    }

    fn paths(&self) -> Vec<String> {
        self.seen.borrow().iter().map(|(path, _)| path.clone()).collect()
    }
}

async fn handle(
    ledger: Arc<Ledger>,
    seen: Seen,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let exchange = ledger.begin();
    if let HeadVerdict::Refused(violation) = exchange.verdict() {
        let mut response = Response::new(Full::new(Bytes::from_static(violation.label().as_bytes())));
        *response.status_mut() = violation.status();
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
        return Ok(response);
    }
    let path = request.uri().to_string();
    if request.method() == Method::CONNECT {
        let upgrade = hyper::upgrade::on(&mut request);
        exchange.switch_protocols();
        tokio::task::spawn(async move {
            let upgraded = upgrade.await.unwrap();
            let parts = upgraded.downcast::<TokioIo<Guarded<DuplexStream>>>().unwrap();
            let (mut io, held) = parts.io.into_inner().into_parts();
            io.write_all(b"tunnel:").await.unwrap();
            io.write_all(&parts.read_buf).await.unwrap();
            io.write_all(&held).await.unwrap();
        });
        return Ok(Response::new(Full::default()));
    }
    let body = request.into_body().collect().await;
    let status = if body.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let body = body.map(|b| b.to_bytes().to_vec()).map_err(|e| {
        let mut text = e.to_string();
        let mut source = std::error::Error::source(&e);
        while let Some(s) = source {
            text = format!("{text}: {s}");
            source = s.source();
        }
        text
    });
    seen.borrow_mut().push((path.clone(), body));
    let mut response = Response::new(Full::new(Bytes::from(format!("saw {path}"))));
    *response.status_mut() = status;
    Ok(response)
}

const EVIL: &str = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_refused_head_is_answered_in_words_and_hides_all_that_follows() {
    use Violation as V;
    let post = "POST /first HTTP/1.1\r\nHost: a\r\n";
    let cases: Vec<(String, V)> = vec![
        (format!("{post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"), V::LengthAndEncoding),
        (format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGET"), V::LengthAndEncoding),
        (format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), V::BadTransferEncoding),
        (format!("{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"), V::BadTransferEncoding),
        (format!("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), V::SpaceBeforeColon),
        (format!("{post}Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde"), V::SeveralLengths),
        (format!("{post}Content-Length: 5, 5\r\n\r\nabcde"), V::SeveralLengths),
        (format!("{post}X: y\nContent-Length: 5\r\n\r\nabcde"), V::BareLf),
        (format!("{post}X: y\r\n Content-Length: 5\r\n\r\nabcde"), V::ObsFold),
        (format!("{post}X: \0\r\n\r\n"), V::ControlByte),
        ("GET /first HTTP/1.1\n\n".into(), V::BareLf),
        ("GET /first\r\n".into(), V::BadRequestLine),
        ("GET /first HTTP/1.1\r\n\r\n".into(), V::MissingHost),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), V::UnsupportedVersion),
        (format!("{post}Expect: the-unexpected\r\n\r\n"), V::BadExpectation),
        (format!("{post}{}\r\n", "A: b\r\n".repeat(100)), V::TooManyHeaders),
        (format!("{post}A: {}", "x".repeat(20_000)), V::HeadTooLarge),
        (format!("GET /{}", "x".repeat(9_000)), V::TargetTooLong),
    ];
    for (bytes, violation) in cases {
        let stream = format!("{bytes}{EVIL}");
        for chunk in [stream.len(), 7] {
            let server = Server::new();
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(chunk).collect();
            let answer = server.answer(&pieces).await;
            let start = format!("HTTP/1.1 {}", violation.status().as_u16());
            assert!(answer.starts_with(&start), "{bytes:?}: {answer}");
            assert!(answer.ends_with(violation.label()), "{bytes:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{bytes:?}: {answer}");
            assert_eq!(server.paths(), Vec::<String>::new(), "{bytes:?}");
        }
    }
}

#[tokio::test]
async fn refusals_come_after_the_answers_to_earlier_requests() {
    let server = Server::new();
    let stream = format!(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{EVIL}"
    );
    let answer = server.answer(&[stream.as_bytes()]).await;
    assert_eq!(server.paths(), ["/1", "/2"]);
    let order: Vec<usize> = ["saw /1", "saw /2", "400 Bad Request"].iter().map(|s| answer.find(s).unwrap()).collect();
    assert!(order.is_sorted() && answer.ends_with("several-hosts"), "{answer}");
}

#[tokio::test]
async fn a_violation_inside_a_body_breaks_that_request_and_hides_all_that_follows() {
    for (body, words) in [
        ("5\r\nabcde\r\n0\r\nTransfer-Encoding: x\r\n\r\n", "trailers"),
        ("5\r\nabcdeX\r\n0\r\n\r\n", "CR LF"),
        ("5\nabcde\r\n0\r\n\r\n", "lone LF"),
        ("5;\nabcde\r\n0\r\n\r\n", "lone LF"),
        ("fffffffffffffffff\r\nabcde\r\n0\r\n\r\n", "hexadecimal"),
    ] {
        let server = Server::new();
        let stream = format!("POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{EVIL}");
        let answer = server.answer(&[stream.as_bytes()]).await;
        let seen = server.seen.borrow();
        assert_eq!(seen.len(), 1, "{body:?}");
        let error = seen[0].1.as_ref().unwrap_err();
        assert!(error.contains(words), "{body:?}: {error}");
        assert!(answer.starts_with("HTTP/1.1 400") && answer.matches("HTTP/1.1").count() == 1, "{body:?}: {answer}");
    }
}

#[tokio::test]
async fn nothing_is_served_after_connection_close() {
    for head in ["GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /first HTTP/1.0\r\n\r\n"] {
        let server = Server::new();
        let answer = server.answer(&[format!("{head}{EVIL}").as_bytes()]).await;
        assert_eq!(server.paths(), ["/first"]);
        assert_eq!(answer.matches("saw").count(), 1);
    }
}

#[tokio::test]
async fn connect_goes_transparent_and_keeps_early_bytes() {
    let server = Server::new();
    let connect = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03\x01early";
    let answer = server.answer(&[connect]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("tunnel:\x16\x03\x01early"), "{answer}");
}

#[tokio::test]
async fn an_upgrade_that_does_not_happen_stays_http() {
    let server = Server::new();
    let first = "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    server
        .answer(&[
            format!("{first}GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
            b"GET /3 HTTP/1.1\r\nHo",
            b"st: a\r\n\r\n",
        ])
        .await;
    assert_eq!(server.paths(), ["/1", "/2", "/3"]);
    let server = Server::new();
    let answer = server.answer(&[format!("{first}\x16\x03\x01").as_bytes()]).await;
    assert_eq!(server.paths(), ["/1"]);
    assert!(answer.ends_with("control-byte"), "{answer}");
}

/// Runs one connection whose client sends `bytes` and then waits while the clock moves; returns what came back after the last move.
async fn wait_out(server: &Server, bytes: &[u8], moments: &[u64]) -> String {
    let (mut client, io) = duplex(1 << 16);
    let talk = async {
        client.write_all(bytes).await.unwrap();
        for moment in moments {
            tokio::time::sleep(Duration::from_millis(5)).await;
            server.clock.set(Duration::from_secs(*moment));
            server.watch.sweep();
        }
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(2), client.read_to_end(&mut answer)).await.expect("closed").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let linger = async {
        // The good-bye's own deadline: the client above reads to the end, so only a closed write side ends it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.clock.set(Duration::from_secs(1000));
        server.watch.sweep();
    };
    tokio::join!(talk, server.serve(io), linger).0
}

#[tokio::test]
async fn deadlines_are_kept_by_the_sweep_alone() {
    let server = Server::new();
    assert_eq!(wait_out(&server, b"", &[5, 11]).await, "", "first byte");

    let server = Server::new();
    let answer = wait_out(&server, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow", &[5, 16]).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.ends_with("head-timeout"), "{answer}");
    assert!(server.paths().is_empty());

    let server = Server::new();
    let answer = wait_out(&server, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", &[30, 61]).await;
    assert!(answer.ends_with("saw /1"), "idle: closed without a word after the answer: {answer}");

    let server = Server::new();
    let answer = wait_out(&server, b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", &[10, 21]).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(server.seen.borrow()[0].1.as_ref().unwrap_err().contains("in time"));
    server.watch.sweep();
    assert!(server.watch.is_empty(), "forgotten after the end");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let server = Server::new();
    let (mut client, io) = duplex(64);
    let talk = async {
        client.write_all(b"GET /a-path-that-is-long-enough-for-the-answer HTTP/1.1\r\n").await.unwrap();
        client.write_all(b"Host: a\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        server.clock.set(Duration::from_secs(31));
        assert_eq!(server.watch.sweep(), 1);
    };
    let serve = tokio::time::timeout(Duration::from_secs(2), server.serve(io));
    assert!(tokio::join!(talk, serve).1.is_ok(), "the connection ended");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_reaches_the_handler_the_same(
        bodies in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..300)), 1..6),
        chunked in any::<bool>(),
        cuts in prop::collection::vec(any::<usize>(), 0..10),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (i, body) in bodies.iter().enumerate() {
            let bytes = body.clone().unwrap_or_default();
            match body {
                None => stream.extend(format!("GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n").bytes()),
                Some(_) if chunked => {
                    stream.extend(format!("PUT /{i} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").bytes());
                    for part in bytes.chunks(37) {
                        stream.extend(format!("{:X}\r\n", part.len()).bytes());
                        stream.extend(part);
                        stream.extend(b"\r\n");
                    }
                    stream.extend(b"0\r\n\r\n");
                }
                Some(_) => {
                    stream.extend(format!("PUT /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", bytes.len()).bytes());
                    stream.extend(&bytes);
                }
            }
            expected.push((format!("/{i}"), Ok(bytes)));
        }
        stream.extend(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        expected.push(("/last".to_owned(), Ok(Vec::new())));
        let server = Server::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pieces = crate::framing::tests::split(&stream, &cuts);
        let answer = runtime.block_on(server.answer(&pieces));
        prop_assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), expected.len());
        prop_assert_eq!(&*server.seen.borrow(), &expected);
    }
}
