//! The pool against hand-written backends on real sockets: each misbehaves in one way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::*;
use crate::guarded::Clock;

struct Direct;

impl Dialer for Direct {
    type Io = TcpStream;

    async fn dial(&self, endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, DialError> {
        let connect = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
        match tokio::time::timeout_at(deadline.into(), connect).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(DialError::Unreachable(error.to_string())),
            Err(_) => Err(DialError::Timeout),
        }
    }
}

type TestBody = Pin<Box<UnsyncBody>>;

/// Full or channel-fed.
enum UnsyncBody {
    Full(Full<Bytes>),
    Channel(tokio::sync::mpsc::Receiver<Result<Bytes, std::io::Error>>),
}

impl http_body::Body for UnsyncBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            UnsyncBody::Full(full) => Pin::new(full).poll_frame(cx).map_err(|e| match e {}),
            UnsyncBody::Channel(rx) => rx.poll_recv(cx).map(|m| m.map(|r| r.map(http_body::Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, UnsyncBody::Full(full) if full.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            UnsyncBody::Full(full) => full.size_hint(),
            UnsyncBody::Channel(_) => http_body::SizeHint::default(),
        }
    }
}

impl RequestBody for TestBody {
    fn empty() -> Self {
        full("")
    }
}

fn full(text: &'static str) -> TestBody {
    Box::pin(UnsyncBody::Full(Full::new(Bytes::from_static(text.as_bytes()))))
}

type TestPool = Pool<Direct, TestBody>;
type TestSlot = Slot<Direct, TestBody>;

/// What the backends saw, one entry per request: number of the connection and request line with body.
type Log = Rc<RefCell<Vec<(usize, String)>>>;

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|l| l.strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap()));
            if body.len() >= length.unwrap_or(0) {
                return Some(format!("{} {body}", head.lines().next().unwrap()).trim().to_owned());
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

/// Runs `test` with a pool whose one endpoint is served by `backend` (connection number, stream, log).
async fn with<F, T>(
    limits: PoolLimits,
    backend: F,
    test: impl AsyncFnOnce(Rc<TestPool>, Rc<TestSlot>, Clock, Log) -> T,
) -> T
where
    F: AsyncFn(usize, TcpStream, Log) + 'static,
{
    LocalSet::new()
        .run_until(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let log = Log::default();
            let (backend, backend_log) = (Rc::new(backend), Rc::clone(&log));
            tokio::task::spawn_local(async move {
                for number in 0.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (backend, log) = (Rc::clone(&backend), Rc::clone(&backend_log));
                    tokio::task::spawn_local(async move { backend(number, stream, log).await });
                }
            });
            let clock = Clock::new();
            let pool = Rc::new(TestPool::new(Direct, limits, clock.clone()));
            let slot = pool.slot(&Endpoint::new("127.0.0.1", port));
            test(pool, slot, clock, log).await
        })
        .await
}

fn request(method: &str, path: &str, body: &'static str) -> Request<TestBody> {
    Request::builder().method(method).uri(path).header("host", "a").body(full(body)).unwrap()
}

async fn text(response: Response<ResponseBody<TestBody>>) -> Result<String, SendError> {
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec()).unwrap())
}

async fn get(slot: &TestSlot, path: &str) -> Result<String, SendError> {
    text(slot.send(request("GET", path, "")).await?).await
}

/// Answers every request in a form that its path names.
async fn polite(number: usize, mut stream: TcpStream, log: Log) {
    while let Some(line) = read_request(&mut stream).await {
        let answer = match line.split(' ').nth(1).unwrap() {
            "/chunked" => {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
                    .to_owned()
            }
            "/empty" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            "/last" => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast".to_owned(),
            "/endless" => "HTTP/1.1 200 OK\r\n\r\nuntil the end".to_owned(),
            "/early" => "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                .to_owned(),
            _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len()),
        };
        log.borrow_mut().push((number, line.clone()));
        stream.write_all(answer.as_bytes()).await.unwrap();
        if matches!(line.split(' ').nth(1), Some("/last" | "/endless")) {
            return;
        }
    }
}

#[tokio::test]
async fn connections_are_used_again_after_every_kind_of_answer() {
    with(PoolLimits::default(), polite, async |_, slot, _, log| {
        assert_eq!(get(&slot, "/1").await.unwrap(), "GET /1 HTTP/1.1");
        assert_eq!(get(&slot, "/chunked").await.unwrap(), "abcde");
        assert_eq!(get(&slot, "/empty").await.unwrap(), "");
        assert_eq!(get(&slot, "/early").await.unwrap(), "ok");
        assert_eq!(
            text(slot.send(request("POST", "/2", "body")).await.unwrap()).await.unwrap(),
            "POST /2 HTTP/1.1 body"
        );
        assert_eq!(slot.idle(), 1);
        assert!(log.borrow().iter().all(|(number, _)| *number == 0));
        // These end their connection.
        assert_eq!(get(&slot, "/last").await.unwrap(), "last");
        assert_eq!(get(&slot, "/endless").await.unwrap(), "until the end");
        assert_eq!((slot.idle(), slot.counters().open.get()), (0, 0));
        assert_eq!(get(&slot, "/3").await.unwrap(), "GET /3 HTTP/1.1");
        assert_eq!(
            (slot.counters().dialled.get(), slot.counters().reused.get(), slot.counters().active.get()),
            (3, 5, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn parallel_requests_get_their_own_connections_and_the_last_is_used_first() {
    with(PoolLimits { idle_per_endpoint: 2, ..PoolLimits::default() }, polite, async |_, slot, _, log| {
        let answers = tokio::join!(get(&slot, "/1"), get(&slot, "/2"), get(&slot, "/3"));
        assert!(answers.0.is_ok() && answers.1.is_ok() && answers.2.is_ok());
        assert_eq!((slot.idle(), slot.counters().open.get()), (2, 2), "the third is over the limit");
        get(&slot, "/4").await.unwrap();
        get(&slot, "/5").await.unwrap();
        let log = log.borrow();
        assert_eq!(log[3].0, log[4].0);
    })
    .await;
}

#[tokio::test]
async fn limits_on_age_requests_and_idleness_close_connections() {
    let limits = PoolLimits {
        requests: 2,
        age: Duration::from_secs(100),
        idle: Duration::from_secs(10),
        ..PoolLimits::default()
    };
    with(limits, polite, async |pool, slot, clock, _| {
        get(&slot, "/1").await.unwrap();
        get(&slot, "/2").await.unwrap();
        assert_eq!(slot.idle(), 0, "two requests are the limit");
        get(&slot, "/3").await.unwrap();
        clock.set(Duration::from_secs(9));
        pool.sweep();
        assert_eq!(slot.idle(), 1);
        clock.set(Duration::from_secs(11));
        pool.sweep();
        assert_eq!((slot.idle(), slot.counters().open.get()), (0, 0), "idle for too long");
        get(&slot, "/4").await.unwrap();
        clock.set(Duration::from_secs(200));
        get(&slot, "/5").await.unwrap();
        assert_eq!(slot.idle(), 0, "too old");
        let endpoint = slot.endpoint().clone();
        drop(slot);
        pool.sweep();
        assert_eq!(pool.slot(&endpoint).counters().dialled.get(), 0, "unused endpoints are forgotten");
    })
    .await;
}

/// Answers the first request on each connection and then does `then`.
async fn after_one(number: usize, mut stream: TcpStream, log: Log, answer_second: bool) {
    let Some(line) = read_request(&mut stream).await else { return };
    log.borrow_mut().push((number, line));
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    if answer_second {
        // Takes the second request and dies on it.
        let line = read_request(&mut stream).await;
        log.borrow_mut().push((number, line.unwrap_or_default()));
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_nothing() {
    for known in [true, false] {
        with(
            PoolLimits::default(),
            async |n, s, l| after_one(n, s, l, false).await,
            async move |pool, slot, _, log| {
                assert_eq!(get(&slot, "/1").await.unwrap(), "ok");
                tokio::time::sleep(Duration::from_millis(20)).await;
                if known {
                    pool.sweep();
                    assert_eq!((slot.idle(), slot.counters().open.get()), (0, 0), "the sweep notices the end");
                }
                // Not a byte was written, so even a POST with a body may go out again.
                let answer = slot.send(request("POST", "/2", "body")).await.unwrap();
                assert_eq!(text(answer).await.unwrap(), "ok");
                assert_eq!(*log.borrow(), [(0, "GET /1 HTTP/1.1".to_owned()), (1, "POST /2 HTTP/1.1 body".to_owned())]);
                assert_eq!(slot.counters().retried.get(), 0);
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_repeated_only_if_that_is_safe() {
    let backend = async |n, s, l| after_one(n, s, l, true).await;
    with(PoolLimits::default(), backend, async |_, slot, _, log| {
        assert_eq!(get(&slot, "/1").await.unwrap(), "ok");
        assert_eq!(get(&slot, "/2").await.unwrap(), "ok");
        let seen: Vec<_> = log.borrow().iter().map(|(n, line)| format!("{n} {line}")).collect();
        assert_eq!(seen, ["0 GET /1 HTTP/1.1", "0 GET /2 HTTP/1.1", "1 GET /2 HTTP/1.1"]);
        assert_eq!(slot.counters().retried.get(), 1);
        for (method, body) in [("POST", ""), ("POST", "x"), ("PUT", "x")] {
            let error = slot.send(request(method, "/no", body)).await.map(|r| r.status()).unwrap_err();
            assert!(matches!(error, SendError::Closed(_)) && error.status() == 502, "{method} {error}");
            assert_eq!(get(&slot, "/again").await.unwrap(), "ok");
        }
        assert_eq!(slot.counters().retried.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_an_error() {
    let backend = async |_, mut stream: TcpStream, _: Log| drop(read_request(&mut stream).await);
    with(PoolLimits::default(), backend, async |_, slot, _, _| {
        let error = get(&slot, "/").await.unwrap_err();
        assert!(matches!(error, SendError::Closed(_)) && error.blames_backend(), "{error}");
        assert_eq!(slot.counters().dialled.get(), 1, "no second try");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_for_the_reader() {
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let backend = async move |_, mut stream: TcpStream, _: Log| {
            read_request(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nab").as_bytes()).await.unwrap();
        };
        with(PoolLimits::default(), backend, async |_, slot, _, _| {
            let answer = slot.send(request("GET", "/", "")).await.unwrap();
            assert!(matches!(text(answer).await.unwrap_err(), SendError::Closed(_)));
            assert_eq!((slot.idle(), slot.counters().open.get()), (0, 0));
        })
        .await;
    }
}

#[tokio::test]
async fn answers_that_are_not_http_are_protocol_errors() {
    for answer in [
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        "HTTP/9.1 200 OK\r\n\r\n",
    ] {
        let backend = async move |_, mut stream: TcpStream, _: Log| {
            read_request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        with(PoolLimits::default(), backend, async |_, slot, _, _| {
            let error = get(&slot, "/").await.unwrap_err();
            assert!(matches!(error, SendError::Protocol(_)) && error.status() == 502, "{answer:?}: {error:?}");
        })
        .await;
    }
    let huge = async |_, mut stream: TcpStream, _: Log| {
        read_request(&mut stream).await;
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000)).as_bytes()).await;
        let _ = read_request(&mut stream).await;
    };
    with(PoolLimits::default(), huge, async |_, slot, _, _| {
        let error = get(&slot, "/").await.unwrap_err();
        assert!(matches!(error, SendError::Protocol(_)), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn deadlines_are_kept_by_the_sweep_alone() {
    let silent = async |_, mut stream: TcpStream, _: Log| {
        let line = read_request(&mut stream).await.unwrap();
        if line.contains("/half") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
        }
        read_request(&mut stream).await;
    };
    with(PoolLimits::default(), silent, async |pool, slot, clock, _| {
        let advance = async |seconds| {
            tokio::time::sleep(Duration::from_millis(20)).await;
            clock.set(Duration::from_secs(seconds));
            pool.sweep()
        };
        let (error, expired) = tokio::join!(get(&slot, "/silent"), async { (advance(59).await, advance(61).await) });
        assert_eq!(expired, (0, 1));
        assert!(matches!(error, Err(SendError::FirstByte)), "{error:?}");
        let (error, _) = tokio::join!(get(&slot, "/half"), async { (advance(100).await, advance(170).await) });
        assert!(matches!(&error, Err(e @ SendError::Stalled) if e.status() == 504), "{error:?}");
        assert_eq!(slot.counters().open.get(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_answer_closes_its_connection_and_a_slow_reader_slows_the_backend() {
    let sent = Rc::new(std::cell::Cell::new(0usize));
    let (count, ended) = (Rc::clone(&sent), Rc::new(std::cell::Cell::new(false)));
    let end = Rc::clone(&ended);
    let firehose = async move |_, mut stream: TcpStream, _: Log| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let block = [&b"10000\r\n"[..], &[b'x'; 65536], b"\r\n"].concat();
        while stream.write_all(&block).await.is_ok() {
            count.set(count.get() + 65536);
        }
        end.set(true);
    };
    with(PoolLimits::default(), firehose, async |_, slot, _, _| {
        let mut answer = slot.send(request("GET", "/", "")).await.unwrap();
        answer.body_mut().frame().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = sent.get();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(sent.get(), before, "back-pressure");
        drop(answer);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(ended.get(), "the backend sees the end");
        assert_eq!((slot.idle(), slot.counters().open.get()), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn uploads_stream_and_an_early_answer_is_passed_on() {
    let backend = async |_, mut stream: TcpStream, log: Log| {
        let mut bytes = [0; 4096];
        let mut text = String::new();
        while !text.contains("stop") && !text.contains("0\r\n\r\n") {
            let n = stream.read(&mut bytes).await.unwrap();
            text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
        }
        log.borrow_mut().push((0, text));
        stream.write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        let _ = stream.read(&mut bytes).await;
    };
    with(PoolLimits::default(), backend, async |_, slot, _, log| {
        for stop in [true, false] {
            let (tx, rx) = tokio::sync::mpsc::channel(1);
            let body: TestBody = Box::pin(UnsyncBody::Channel(rx));
            let upload = Request::post("/").header("host", "a").body(body).unwrap();
            let feed = async {
                for piece in ["one", "two"] {
                    tx.send(Ok(Bytes::from_static(piece.as_bytes()))).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                if stop {
                    tx.send(Ok(Bytes::from_static(b"stop"))).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
                drop(tx);
            };
            let (answer, ()) = tokio::join!(slot.send(upload), feed);
            let answer = answer.unwrap();
            assert_eq!(answer.status(), 413);
            assert_eq!(text(answer).await.unwrap(), "no");
            // This backend serves one request per connection and does not say so.
            slot.close_idle();
        }
        assert!(log.borrow().iter().all(|(_, text)| text.contains("3\r\none\r\n3\r\ntwo\r\n")), "{log:?}");
    })
    .await;
}

#[tokio::test]
async fn a_body_that_fails_is_the_requests_fault() {
    with(PoolLimits::default(), polite, async |_, slot, _, _| {
        let (tx, rx) = tokio::sync::mpsc::channel(1);
        let body: TestBody = Box::pin(UnsyncBody::Channel(rx));
        tx.send(Err(std::io::Error::other("client gone"))).await.unwrap();
        let error = slot.send(Request::post("/").header("host", "a").body(body).unwrap()).await.unwrap_err();
        assert!(matches!(error, SendError::Request(_)) && !error.blames_backend(), "{error:?}");
        assert_eq!(slot.counters().open.get(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_request_closes_its_connection() {
    let ended = Rc::new(std::cell::Cell::new(false));
    let end = Rc::clone(&ended);
    let backend = async move |_, mut stream: TcpStream, _: Log| {
        read_request(&mut stream).await;
        assert!(read_request(&mut stream).await.is_none());
        end.set(true);
    };
    with(PoolLimits::default(), backend, async |_, slot, _, _| {
        let _ = tokio::time::timeout(Duration::from_millis(30), get(&slot, "/")).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(ended.get() && slot.counters().open.get() == 0 && slot.counters().active.get() == 0);
    })
    .await;
}

#[tokio::test]
async fn a_switch_of_protocols_hands_out_the_stream() {
    let backend = async |_, mut stream: TcpStream, _: Log| {
        read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello")
            .await
            .unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    };
    with(PoolLimits::default(), backend, async |_, slot, _, _| {
        let mut ask = request("GET", "/", "");
        ask.headers_mut().insert("connection", "upgrade".parse().unwrap());
        ask.headers_mut().insert("upgrade", "echo".parse().unwrap());
        let answer = slot.send(ask).await.unwrap();
        assert_eq!(answer.status(), 101);
        let mut stream = upgraded(answer).unwrap();
        stream.write_all(b"ping").await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "helloping");
        assert_eq!(slot.idle(), 0);
    })
    .await;
}

#[tokio::test]
async fn dial_errors_have_their_own_words() {
    with(PoolLimits::default(), polite, async |pool, _, _, _| {
        let slot = pool.slot(&Endpoint::new("127.0.0.1", 1));
        let error = get(&slot, "/").await.unwrap_err();
        assert!(matches!(error, SendError::Dial(DialError::Unreachable(_))) && error.status() == 502, "{error}");
        assert_eq!(slot.counters().active.get(), 0);
        for (error, status) in [
            (DialError::Timeout, 504),
            (DialError::Denied("r".into()), 403),
            (DialError::Unavailable("x".into()), 503),
            (DialError::NoAddress("x".into()), 502),
        ] {
            assert_eq!(SendError::Dial(error).status(), status);
        }
    })
    .await;
}
