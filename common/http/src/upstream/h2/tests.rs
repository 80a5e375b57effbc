//! The HTTP/2 pool against backends of the `h2` crate on real sockets: what is shared, what is sent again, what breaks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

use super::super::{DialError, Dialer, Endpoint, H2Limits, Pool, PoolLimits, RequestBody, SendError, Slot};
use crate::guarded::Clock;

struct Direct;

impl Dialer for Direct {
    type Io = TcpStream;

    async fn dial(&self, endpoint: &Endpoint, _: Instant) -> Result<TcpStream, DialError> {
        let connect = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        connect.map_err(|error| DialError::Unreachable(error.to_string()))
    }
}

/// Full or fed by the test.
enum TestBody {
    Full(Full<Bytes>),
    Fed(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>),
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            TestBody::Full(full) => std::pin::Pin::new(full).poll_frame(cx).map_err(|e| match e {}),
            TestBody::Fed(frames) => frames.poll_recv(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, TestBody::Full(full) if full.is_end_stream())
    }
}

impl RequestBody for TestBody {
    fn empty() -> Self {
        text("")
    }
}

fn text(text: &str) -> TestBody {
    TestBody::Full(Full::new(Bytes::copy_from_slice(text.as_bytes())))
}

type TestPool = Pool<Direct, TestBody>;
type TestSlot = Slot<Direct, TestBody>;
type Incoming = (usize, Request<RecvStream>, SendResponse<Bytes>);

/// A pool whose one endpoint serves each accepted connection by `serve`.
async fn with<T>(
    limits: PoolLimits,
    serve: impl AsyncFn(usize, Connection<TcpStream, Bytes>) + 'static,
    test: impl AsyncFnOnce(Rc<TestPool>, Rc<TestSlot>, Clock) -> T,
) -> T {
    LocalSet::new()
        .run_until(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let serve = Rc::new(serve);
            spawn_local(async move {
                for number in 0.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    let serve = Rc::clone(&serve);
                    spawn_local(async move {
                        if let Ok(connection) = h2::server::handshake(stream).await {
                            serve(number, connection).await;
                        }
                    });
                }
            });
            let clock = Clock::new();
            let pool = Rc::new(TestPool::new(Direct, limits, clock.clone()));
            let slot = pool.slot(&Endpoint::new("127.0.0.1", port));
            test(pool, slot, clock).await
        })
        .await
}

fn limits() -> PoolLimits {
    PoolLimits { h2: Some(H2Limits::default()), ..PoolLimits::default() }
}

/// Answers every stream by `answer`, each in a task of its own.
async fn each(number: usize, mut connection: Connection<TcpStream, Bytes>, answer: impl AsyncFn(Incoming) + 'static) {
    let answer = Rc::new(answer);
    while let Some(Ok((request, respond))) = connection.accept().await {
        let answer = Rc::clone(&answer);
        spawn_local(async move { answer((number, request, respond)).await });
    }
}

async fn read(body: &mut RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    (all, body.trailers().await.ok().flatten())
}

/// Says which connection it is, what it saw and, in trailers, how many bytes came.
async fn telling((number, mut request, mut respond): Incoming) {
    let seen = format!("{number} {} {} ", request.method(), request.uri());
    let (body, trailers) = read(request.body_mut()).await;
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data(Bytes::from(seen), false).unwrap();
    stream.send_data(Bytes::from(body.clone()), false).unwrap();
    let mut end = trailers.unwrap_or_default();
    end.insert("x-bytes", HeaderValue::from(body.len()));
    stream.send_trailers(end).unwrap();
}

fn request(method: &str, path: &str, body: TestBody) -> Request<TestBody> {
    Request::builder().method(method).uri(path).header("host", "a.example").body(body).unwrap()
}

async fn get(slot: &TestSlot, path: &str) -> Result<String, SendError> {
    let body = slot.send(request("GET", path, text(""))).await?.into_body().collect().await?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn many_requests_share_one_connection_and_trailers_pass_both_ways() {
    with(
        limits(),
        async |n, c| each(n, c, telling).await,
        async |_, slot, _| {
            assert_eq!(get(&slot, "/1?q").await.unwrap(), "0 GET http://a.example/1?q ");
            let many = (0..50).map(|n| {
                let slot = Rc::clone(&slot);
                spawn_local(async move { get(&slot, &format!("/{n}")).await.unwrap() })
            });
            for task in many.collect::<Vec<_>>() {
                assert!(task.await.unwrap().starts_with("0 GET"));
            }
            let (feed, frames) = mpsc::channel(8);
            feed.send(Ok(Frame::data(Bytes::from_static(b"abc")))).await.unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("1"));
            trailers.insert("x-forwarded-for", HeaderValue::from_static("evil"));
            feed.send(Ok(Frame::trailers(trailers))).await.unwrap();
            drop(feed);
            let answer = slot.send(request("POST", "/t", TestBody::Fed(frames))).await.unwrap();
            let whole = answer.into_body().collect().await.unwrap();
            let trailers = whole.trailers().unwrap();
            assert_eq!(trailers["x-bytes"], "3");
            assert_eq!(trailers["x-sum"], "1");
            assert!(trailers.get("x-forwarded-for").is_none());
            assert_eq!((slot.counters().dialled.get(), slot.idle()), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_full_connection_gets_a_second_one() {
    let few = H2Limits { streams: 2, ..H2Limits::default() };
    let slow = async |incoming: Incoming| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        telling(incoming).await;
    };
    with(
        PoolLimits { h2: Some(few), ..PoolLimits::default() },
        async move |n, c| each(n, c, slow).await,
        async |_, slot, _| {
            let many = (0..5).map(|_| {
                let slot = Rc::clone(&slot);
                spawn_local(async move { get(&slot, "/").await.unwrap() })
            });
            for task in many.collect::<Vec<_>>() {
                task.await.unwrap();
            }
            assert_eq!(slot.counters().dialled.get(), 3, "five requests, two at a time on each");
        },
    )
    .await;
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_with_its_body_and_on_another_connection() {
    let refusing = async |incoming: Incoming| {
        let (number, _, mut respond) = incoming;
        if number == 0 {
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        telling((number, incoming.1, respond)).await;
    };
    with(
        limits(),
        async move |n, c| each(n, c, refusing).await,
        async |_, slot, _| {
            let (_feed, frames) = mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(1);
            drop(_feed);
            let answer = slot.send(request("POST", "/p", TestBody::Fed(frames))).await.unwrap();
            let whole = answer.into_body().collect().await;
            assert_eq!(whole.unwrap().to_bytes(), "1 POST http://a.example/p ");
            assert_eq!(slot.counters().retried.get(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_a_goaway_leaves_out_is_sent_elsewhere_and_the_others_end_well() {
    let serve = async |number: usize, mut connection: Connection<TcpStream, Bytes>| {
        if number > 0 {
            return each(number, connection, telling).await;
        }
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        connection.graceful_shutdown();
        spawn_local(async move { while connection.accept().await.is_some() {} });
        tokio::time::sleep(Duration::from_millis(30)).await;
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from(format!("0 {}", request.uri().path())), true).unwrap();
    };
    with(limits(), serve, async |pool, slot, _| {
        let first = spawn_local({
            let slot = Rc::clone(&slot);
            async move { get(&slot, "/first").await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(get(&slot, "/second").await.unwrap().starts_with("1 GET"));
        assert_eq!(first.await.unwrap().unwrap(), "0 /first");
        tokio::time::sleep(Duration::from_millis(50)).await;
        pool.sweep();
        assert_eq!(slot.counters().open.get(), 1, "the first one is over");
    })
    .await;
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    let serve = async move |_: usize, mut connection: Connection<TcpStream, Bytes>| {
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            log.borrow_mut().push(request.uri().path().to_owned());
            match request.uri().path() {
                "/ok" => drop(respond.send_response(Response::new(()), true)),
                "/reset" => respond.send_reset(Reason::INTERNAL_ERROR),
                _ => return, // and the connection with it
            }
        }
    };
    with(limits(), serve, async |_, slot, _| {
        get(&slot, "/ok").await.unwrap();
        let error = slot.send(request("GET", "/reset", text(""))).await.unwrap_err();
        assert!(matches!(error, SendError::Broken(_)) && error.status() == 502, "{error}");
        let error = slot.send(request("POST", "/dies", text("x"))).await.unwrap_err();
        assert!(matches!(error, SendError::Broken(_)), "{error}");
        get(&slot, "/ok").await.unwrap();
        // Idempotent, and the connection had served before: once more.
        slot.send(request("GET", "/dies", text(""))).await.unwrap_err();
        assert_eq!(*seen.borrow(), ["/ok", "/reset", "/dies", "/ok", "/dies", "/dies"]);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_with_the_backends_reason() {
    let breaking = async |(_, request, mut respond): Incoming| {
        let short = request.uri().path() == "/short";
        let head = Response::builder();
        let head = if short { head.header("content-length", "10") } else { head };
        let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.send_reset(if short { Reason::NO_ERROR } else { Reason::CANCEL });
    };
    with(
        limits(),
        async move |n, c| each(n, c, breaking).await,
        async |_, slot, _| {
            let error = get(&slot, "/cancel").await.unwrap_err();
            let source = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<h2::Error>()).unwrap();
            assert_eq!(source.reason(), Some(Reason::CANCEL));
            let error = get(&slot, "/short").await.unwrap_err();
            assert!(matches!(error, SendError::Closed(_)), "{error}");
        },
    )
    .await;
}

#[tokio::test]
async fn dropping_an_answer_resets_its_stream_only() {
    let (tell, mut told) = mpsc::channel(4);
    let watching = async move |(_, request, mut respond): Incoming| {
        if request.uri().path() == "/wait" {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
            return tell.send(reason).await.unwrap();
        }
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
        let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
        tell.send(reason).await.unwrap();
    };
    let watching = Rc::new(watching);
    with(
        limits(),
        async move |n, c| {
            let watching = Rc::clone(&watching);
            each(n, c, async move |incoming| watching(incoming).await).await;
        },
        async |_, slot, _| {
            let answer = slot.send(request("GET", "/", text(""))).await.unwrap();
            drop(answer);
            assert_eq!(told.recv().await, Some(Reason::CANCEL));
            // While waiting for the head too, and while sending a body.
            let (feed, frames) = mpsc::channel(1);
            let waiting = spawn_local({
                let slot = Rc::clone(&slot);
                async move { slot.send(request("POST", "/wait", TestBody::Fed(frames))).await.map(drop) }
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
            feed.send(Err(std::io::Error::other("the client left"))).await.unwrap();
            let error = waiting.await.unwrap().unwrap_err();
            assert!(matches!(error, SendError::Request(_)), "{error}");
            assert_eq!(told.recv().await, Some(Reason::CANCEL));
            assert_eq!(slot.counters().open.get(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn both_directions_stream_at_once() {
    let echo = async |(_, mut request, mut respond): Incoming| {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        while let Some(Ok(data)) = request.body_mut().data().await {
            request.body_mut().flow_control().release_capacity(data.len()).unwrap();
            stream.send_data(data, false).unwrap();
        }
        let mut end = HeaderMap::new();
        end.insert("grpc-status", HeaderValue::from_static("0"));
        stream.send_trailers(end).unwrap();
    };
    with(
        limits(),
        async move |n, c| each(n, c, echo).await,
        async |_, slot, _| {
            let (feed, frames) = mpsc::channel(1);
            let mut answer = slot.send(request("POST", "/", TestBody::Fed(frames))).await.unwrap().into_body();
            for word in ["one", "two", "three"] {
                feed.send(Ok(Frame::data(Bytes::from(word)))).await.unwrap();
                let frame = answer.frame().await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), word);
            }
            drop(feed);
            let end = answer.frame().await.unwrap().unwrap();
            assert_eq!(end.into_trailers().unwrap()["grpc-status"], "0");
            assert!(answer.frame().await.is_none());
        },
    )
    .await;
}

#[tokio::test]
async fn a_slow_reader_does_not_stop_the_others_and_little_waits_for_it() {
    let big = async |(_, request, mut respond): Incoming| {
        if request.uri().path() != "/big" {
            return drop(respond.send_response(Response::new(()), true));
        }
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        let block = Bytes::from(vec![7; 16 * 1024]);
        for _ in 0..256 {
            stream.reserve_capacity(block.len());
            while stream.capacity() < block.len() {
                std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
            }
            stream.send_data(block.clone(), false).unwrap();
        }
        stream.send_data(Bytes::new(), true).unwrap();
    };
    with(
        limits(),
        async move |n, c| each(n, c, big).await,
        async |_, slot, _| {
            let mut slow = Vec::new();
            for _ in 0..20 {
                slow.push(slot.send(request("GET", "/big", text(""))).await.unwrap());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            get(&slot, "/small").await.unwrap();
            assert_eq!(slot.counters().dialled.get(), 1);
            for answer in slow {
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 4 << 20);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn deadlines_hold_for_streams_and_silence_ends_a_connection() {
    let h2 = H2Limits {
        ping_interval: Duration::from_secs(5),
        ping_deadline: Duration::from_secs(2),
        ..H2Limits::default()
    };
    let limits = PoolLimits { h2: Some(h2), first_byte: Duration::from_secs(10), ..PoolLimits::default() };
    // Its connection is never driven: it is as good as dead.
    let silent = async |_: usize, connection: Connection<TcpStream, Bytes>| {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(connection);
    };
    with(limits, silent, async |pool, slot, clock| {
        let waiting = |slot: &Rc<TestSlot>| {
            let slot = Rc::clone(slot);
            spawn_local(async move { slot.send(request("GET", "/", text(""))).await.map(drop) })
        };
        let task = waiting(&slot);
        tokio::time::sleep(Duration::from_millis(50)).await;
        // The handshake's own question was never answered.
        clock.set(Duration::from_secs(3));
        pool.sweep();
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error, SendError::Broken(_)), "{error}");
        pool.sweep();
        assert_eq!(slot.counters().open.get(), 0);
    })
    .await;
    let limits = PoolLimits { first_byte: Duration::from_secs(1), body_idle: Duration::from_secs(1), ..limits };
    let idle = async |(_, request, mut respond): Incoming| {
        if request.uri().path() == "/head" {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"x"), false).unwrap();
            std::future::pending::<()>().await;
        }
        std::future::pending::<()>().await;
    };
    with(
        limits,
        async move |n, c| each(n, c, idle).await,
        async |pool, slot, clock| {
            let task = spawn_local({
                let slot = Rc::clone(&slot);
                async move { get(&slot, "/none").await }
            });
            tokio::time::sleep(Duration::from_millis(30)).await;
            clock.set(Duration::from_millis(1500));
            pool.sweep();
            assert!(matches!(task.await.unwrap(), Err(SendError::FirstByte)));
            let task = spawn_local({
                let slot = Rc::clone(&slot);
                async move { get(&slot, "/head").await }
            });
            tokio::time::sleep(Duration::from_millis(30)).await;
            clock.set(Duration::from_millis(3000));
            pool.sweep();
            assert!(matches!(task.await.unwrap(), Err(SendError::Stalled)));
        },
    )
    .await;
}

#[tokio::test]
async fn what_is_not_http2_is_a_protocol_error_and_a_failed_dial_is_shared() {
    LocalSet::new()
        .run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = Endpoint::new("127.0.0.1", listener.local_addr().unwrap().port());
            spawn_local(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                drop(listener);
                let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
                tokio::time::sleep(Duration::from_secs(5)).await;
            });
            let pool = TestPool::new(Direct, limits(), Clock::new());
            let slot = pool.slot(&endpoint);
            let error = slot.send(request("GET", "/", text(""))).await.unwrap_err();
            assert!(matches!(error, SendError::Protocol(_)), "{error:?}");
            // Nobody listens there any more.
            let waiting = (0..3).map(|_| slot.send(request("POST", "/", text("x"))));
            for failed in all_at_once(waiting).await {
                assert!(matches!(failed.map(drop).unwrap_err(), SendError::Dial(_)));
            }
        })
        .await;
}

async fn all_at_once<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|one| Some(Box::pin(one))).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|cx| {
        for one in &mut all {
            if let Some(waiting) = one
                && let std::task::Poll::Ready(output) = waiting.as_mut().poll(cx)
            {
                done.push(output);
                *one = None;
            }
        }
        if all.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn interim_answers_are_skipped_and_a_flood_of_them_is_not() {
    // Written by hand: the h2 crate sends no interim answers.
    LocalSet::new()
        .run_until(async {
            for (interim, good) in [(3usize, true), (100, false)] {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let endpoint = Endpoint::new("127.0.0.1", listener.local_addr().unwrap().port());
                spawn_local(async move {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
                    for _ in 0..interim {
                        bytes.extend_from_slice(b"\0\0\x05\x01\x04\0\0\0\x01\x08\x03103");
                    }
                    bytes.extend_from_slice(b"\0\0\x01\x01\x05\0\0\0\x01\x89"); // :status 204
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes).await.unwrap();
                    tokio::time::sleep(Duration::from_secs(5)).await;
                });
                let pool = TestPool::new(Direct, limits(), Clock::new());
                let answer = pool.slot(&endpoint).send(request("GET", "/", text(""))).await;
                match answer {
                    Ok(answer) => assert!(good && answer.status() == 204),
                    Err(error) => assert!(!good && matches!(error, SendError::Protocol(_)), "{error:?}"),
                }
            }
        })
        .await;
}
