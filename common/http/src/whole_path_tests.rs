//! The parts together, as a proxy would use them: guarded hyper server in front, pool behind, raw clients and backends on real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::answer::Answer;
use crate::framing::Limits;
use crate::guarded::{Clock, Deadlines, Exchange, Guarded, HeadVerdict, Ledger, Watch};
use crate::headers::{Connection, Direction, Forwarder, Style, Underscores, strip};
use crate::normalise::PathPolicy;
use crate::target::{Target, send_on};
use crate::upstream::{DialError, Dialer, Endpoint, PassedBody, Pool, PoolLimits, ResponseBody, Slot, upgraded};

struct Direct;

impl Dialer for Direct {
    type Io = TcpStream;

    async fn dial(&self, endpoint: &Endpoint, _: Instant) -> Result<TcpStream, DialError> {
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        stream.map_err(|e| DialError::Unreachable(e.to_string()))
    }
}

type Backend = Rc<Slot<Direct, PassedBody>>;
type Body = Either<WithExchange, Full<Bytes>>;

/// The answer's body with its exchange: dropped together.
struct WithExchange(ResponseBody<PassedBody>, #[allow(dead_code)] Exchange);

impl http_body::Body for WithExchange {
    type Data = Bytes;
    type Error = crate::upstream::SendError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

async fn proxy(
    ledger: Arc<Ledger>,
    backend: Backend,
    forwarder: Rc<RefCell<Forwarder>>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let exchange = ledger.begin();
    if let HeadVerdict::Refused(violation) = exchange.verdict() {
        let answer = Answer { close: true, ..Answer::new(violation.status(), violation.text()) };
        return Ok(answer.respond(None).map(|b| Either::Right(Full::new(b))));
    }
    let host = request.headers().get(HOST).cloned().unwrap_or_else(|| HeaderValue::from_static("none"));
    let switching = request.headers().contains_key("upgrade");
    let client = switching.then(|| hyper::upgrade::on(&mut request));
    strip(request.headers_mut(), Direction::Request, switching, Underscores::Drop);
    forwarder.borrow_mut().write(request.headers_mut(), &host);
    let (mut parts, body) = request.into_parts();
    let rewritten = Target::read(&parts, PathPolicy::Normalise).unwrap().rewritten().unwrap();
    send_on(&mut parts, rewritten);
    match backend.send(Request::from_parts(parts, PassedBody::from(body))).await {
        Ok(mut response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            exchange.switch_protocols();
            let mut head = Response::new(Either::Right(Full::default()));
            *head.status_mut() = response.status();
            std::mem::swap(head.headers_mut(), response.headers_mut());
            tokio::task::spawn_local(async move {
                let (mut a, b) = (upgraded(response).unwrap(), client.unwrap().await.unwrap());
                let _ = tokio::io::copy_bidirectional(&mut a, &mut TokioIo::new(b)).await;
            });
            Ok(head)
        }
        Ok(mut response) => {
            strip(response.headers_mut(), Direction::Response, false, Underscores::Keep);
            Ok(response.map(|body| Either::Left(WithExchange(body, exchange))))
        }
        Err(error) => {
            let text = error.to_string();
            Ok(Answer::new(error.status(), &text).respond(None).map(|b| Either::Right(Full::new(b))))
        }
    }
}

struct World {
    address: SocketAddr,
    slot: Backend,
    watch: Rc<Watch>,
}

/// Starts a backend and a proxy in front of it, then runs the test.
async fn world<T>(backend: impl AsyncFn(TcpStream) + 'static, test: impl AsyncFnOnce(&World) -> T) -> T {
    LocalSet::new()
        .run_until(async move {
            let (behind, front) =
                (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
            let address = front.local_addr().unwrap();
            let clock = Clock::new();
            let watch = Rc::new(Watch::new(clock.clone(), Deadlines::default()));
            let pool = Pool::<Direct, PassedBody>::new(Direct, PoolLimits::default(), clock);
            let slot = pool.slot(&Endpoint::new("127.0.0.1", behind.local_addr().unwrap().port()));
            let backend = Rc::new(backend);
            tokio::task::spawn_local(async move {
                loop {
                    let (stream, backend) = (behind.accept().await.unwrap().0, Rc::clone(&backend));
                    tokio::task::spawn_local(async move { backend(stream).await });
                }
            });
            let (slots, watches) = (Rc::clone(&slot), Rc::clone(&watch));
            tokio::task::spawn_local(async move {
                loop {
                    let (stream, peer) = front.accept().await.unwrap();
                    let facts = Connection { peer, local: address, tls: false };
                    let forwarder = Rc::new(RefCell::new(Forwarder::new(Style::default(), &facts, &[])));
                    let (ledger, slot) = (watches.ledger(), Rc::clone(&slots));
                    let guarded = Guarded::new(stream, Limits::DEFAULT, Arc::clone(&ledger));
                    let service =
                        service_fn(move |r| proxy(Arc::clone(&ledger), Rc::clone(&slot), Rc::clone(&forwarder), r));
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(guarded), service)
                        .with_upgrades();
                    tokio::task::spawn_local(served);
                }
            });
            test(&World { address, slot, watch }).await
        })
        .await
}

/// Backend that answers with what it was asked, head and body, through hyper.
async fn echo(stream: TcpStream) {
    let service = service_fn(async |request: Request<Incoming>| {
        let mut text = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
        }
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from([text.as_bytes(), b"\n", &body[..]].concat()))))
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut all = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut all)).await.unwrap().unwrap();
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn requests_arrive_clean_and_in_order_over_few_connections() {
    world(echo, async |w| {
        let stream = "GET /1?q=1 HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: x-hop\r\nX-Hop: 1\r\nX_Alias: 1\r\n\r\n\
            POST /2 HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            PUT /3 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndefg";
        let answers = talk(w.address, stream.as_bytes()).await;
        let places: Vec<usize> = ["GET /1?q=1", "POST /2", "PUT /3"].iter().map(|s| answers.find(s).unwrap()).collect();
        assert!(places.is_sorted() && answers.matches("HTTP/1.1 200 OK").count() == 3, "{answers}");
        for (has, text) in [
            (true, "x-forwarded-for: 127.0.0.1\n"), (true, "x-forwarded-host: shop.example\n"), (true, "forwarded: for=127.0.0.1;proto=http;host=\"shop.example\"\n"),
            (true, "\n\nabc"), (true, "\n\ndefg"), (false, "6.6.6.6"), (false, "x-hop"), (false, "x_alias"),
        ] {
            assert_eq!(answers.contains(text), has, "{text:?} in {answers}");
        }
        assert_eq!(w.slot.counters().dialled.get(), 1, "one connection served all");
    })
    .await;
}

#[tokio::test]
async fn answers_without_body_keep_their_length_and_old_clients_get_no_chunks() {
    let backend = async |mut stream: TcpStream| {
        let mut bytes = vec![0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut bytes).await {
            let head = String::from_utf8_lossy(&bytes[..n]).into_owned();
            assert!(head.contains(" HTTP/1.1\r\n"), "{head}");
            let answer = match head.split(' ').nth(1).unwrap() {
                "/length" => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    world(backend, async |w| {
        let stream = "HEAD /length HTTP/1.1\r\nHost: a\r\n\r\nGET /304 HTTP/1.1\r\nHost: a\r\n\r\nGET /x/../chunked HTTP/1.0\r\nHost: a\r\n\r\n";
        let answers = talk(w.address, stream.as_bytes()).await;
        assert!(answers.contains("content-length: 1234\r\n") && answers.contains("304 Not Modified\r\n") && answers.contains("etag: \"x\""), "{answers}");
        assert!(answers.ends_with("\r\n\r\nabc") && !answers.contains("chunked"), "{answers}");
        assert_eq!(w.slot.counters().dialled.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn many_clients_share_the_pool() {
    world(echo, async |w| {
        let address = w.address;
        let clients: Vec<_> = (0..40)
            .map(|i| {
                tokio::task::spawn_local(async move {
                    let one = format!("POST /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
                    let last = one.replace("Host: a", "Host: a\r\nConnection: close");
                    let answers = talk(address, format!("{}{last}", one.repeat(20)).as_bytes()).await;
                    assert_eq!(answers.matches(&format!("POST /{i}\n")).count(), 21, "{answers}");
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        let counters = w.slot.counters();
        assert_eq!((counters.active.get(), counters.dialled.get() + counters.reused.get()), (0, 40 * 21));
        assert!(counters.dialled.get() <= 40, "{counters:?}");
    })
    .await;
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    world(echo, async |w| {
        let body = "0123456789abcdef".repeat(256 * 1024);
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(w.address).await.unwrap();
        let (mut read, mut write) = stream.split();
        let mut all = Vec::new();
        let send = async {
            write.write_all(head.as_bytes()).await.unwrap();
            write.write_all(body.as_bytes()).await.unwrap();
        };
        let (_, result) = tokio::join!(send, read.read_to_end(&mut all));
        result.unwrap();
        assert!(all.ends_with(body.as_bytes()) && all.len() > body.len());
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_backend_connection_along() {
    let (asked, ended) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let (ask, end) = (Rc::clone(&asked), Rc::clone(&ended));
    let backend = async move |mut stream: TcpStream| {
        let mut bytes = [0; 4096];
        assert!(stream.read(&mut bytes).await.unwrap() > 0);
        ask.set(true);
        assert_eq!(stream.read(&mut bytes).await.unwrap_or(0), 0);
        end.set(true);
    };
    world(backend, async |w| {
        let mut client = TcpStream::connect(w.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(asked.get() && !ended.get());
        drop(client);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(ended.get() && w.slot.counters().open.get() == 0);
        w.watch.sweep();
        assert!(w.watch.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_refused_client_reads_its_answer_although_it_sent_much_more() {
    world(echo, async |w| {
        let mut bytes = b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n".to_vec();
        bytes.extend(vec![b'x'; 100_000]);
        let mut stream = TcpStream::connect(w.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("no reset before the answer is read");
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("A header name is empty or contains"),
            "{answer}"
        );
        assert_eq!(w.slot.counters().dialled.get(), 0);
    })
    .await;
}

#[tokio::test]
async fn websockets_pass_with_early_bytes() {
    let backend = async |mut stream: TcpStream| {
        let mut bytes = vec![0; 4096];
        let n = stream.read(&mut bytes).await.unwrap();
        let head = String::from_utf8_lossy(&bytes[..n]).to_lowercase();
        assert!(
            head.contains("connection: upgrade\r\n")
                && head.contains("upgrade: websocket\r\n")
                && !head.contains("early"),
            "{head}"
        );
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome ")
            .await
            .unwrap();
        let n = stream.read(&mut bytes).await.unwrap();
        stream.write_all(&bytes[..n]).await.unwrap();
    };
    world(backend, async |w| {
        let ask = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05early";
        let mut stream = TcpStream::connect(w.address).await.unwrap();
        stream.write_all(ask).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 101") && answer.contains("welcome \u{fffd}\u{5}early"), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn a_dead_backend_is_a_502_in_words() {
    world(
        async |stream: TcpStream| drop(stream),
        async |w| {
            let answer = talk(w.address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
            assert!(
                answer.starts_with("HTTP/1.1 502") && answer.contains("the backend ended the connection"),
                "{answer}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_body_that_is_refused_at_once_takes_its_request_with_it() {
    world(
        async |mut stream: TcpStream| {
            let mut seen = [0; 64];
            let seen = stream.read(&mut seen).await.unwrap_or(0);
            let _ = stream
                .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-seen: {seen}\r\n\r\n").as_bytes())
                .await;
        },
        async |w| {
            let ask = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n";
            let answer = talk(w.address, ask).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        },
    )
    .await;
}
