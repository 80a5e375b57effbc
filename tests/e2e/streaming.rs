//! Bodies pass as they come, in both directions, and what one side does the other side learns: 100-continue, early answers, back-pressure with
//! bounded memory, clients that leave, trailers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use harness::backends::h2::H2Backend;
use harness::backends::{Backend, Talk};
use harness::clients::multiplexed::{self, piece, whole};
use harness::clients::{http, raw};
use harness::{World, certificates, eventually, processes, within};

/// More than all buffers on the way together, and far more than a filter may hold.
const LARGE: u64 = 1 << 30;
/// What the memory of http-filter may grow by while a gibibyte waits, in KiB.
const GROWTH: u64 = 24 * 1024;

fn world(name: &str, backend: SocketAddr, keys: &str) -> World {
    World::new(name).terminates(&["www.test"]).pool_with("app", &[backend], keys).serves("app").start()
}

fn memory(world: &World) -> u64 {
    processes::resident_kib(world.pid("http-filter")).unwrap()
}

/// A backend that says this head and then bytes without end, and counts what was taken.
fn gushing(head: &'static str, taken: &Arc<AtomicU64>) -> impl Fn(Talk) -> std::io::Result<()> + Send + Sync + 'static {
    let taken = Arc::clone(taken);
    move |mut talk| {
        talk.read_until(b"\r\n\r\n")?;
        talk.say(head.as_bytes())?;
        let block = vec![b'x'; 64 * 1024];
        for _ in 0..LARGE / block.len() as u64 {
            talk.say(&block)?;
            taken.fetch_add(block.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Waits until a counter stands still.
fn settled(counter: &AtomicU64) -> u64 {
    let mut last = u64::MAX;
    eventually(20, "the flow stops", || {
        let now = counter.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
        (std::mem::replace(&mut last, now) == now).then_some(now)
    })
}

#[test]
fn a_slow_reader_stops_the_backend_and_not_the_memory() {
    within(120, || {
        let identity = certificates::sign(&[&harness::backends::ADDRESS.to_string()]);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
        let tls = "protocol = \"https\"\n[pool.tls]\nca = \"ca.pem\"\n";
        let taken: [Arc<AtomicU64>; 2] = Default::default();
        let plain = Backend::talking(gushing(head, &taken[0]));
        let secure = Backend::tls_talking(&identity, gushing(head, &taken[1]));
        for (backend, keys, taken) in [(&plain, "", &taken[0]), (&secure, tls, &taken[1])] {
            let world = world("slow-reader", backend.address(), keys);
            let before = memory(&world);
            let mut client = raw::connect(world.http());
            client.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
            assert!(http::read_head(&mut client).unwrap().starts_with("HTTP/1.1 200"));
            let held = settled(taken);
            assert!(held > 0 && held < LARGE / 8, "{held} bytes were taken from the backend for nobody");
            let grown = memory(&world).saturating_sub(before);
            assert!(grown < GROWTH, "{grown} KiB more");
            // It goes on where it stopped.
            let mut much = vec![0; 64 << 20];
            client.read_exact(&mut much).unwrap();
            assert!(much.iter().all(|byte| *byte == b'x') && taken.load(Ordering::SeqCst) > held);
            assert!(memory(&world).saturating_sub(before) < GROWTH);
        }
    });
}

#[test]
fn a_slow_http2_reader_stops_its_stream_only() {
    within(120, || {
        let taken = Arc::new(AtomicU64::new(0));
        let gushes = Backend::talking(gushing("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", &taken));
        let other = H2Backend::clear();
        let world = World::new("slow-stream")
            .terminates(&["www.test"])
            .pool("gushes", &[gushes.address()])
            .pool_with("other", &[other.address()], "protocol = \"h2c\"\n")
            .http_route("name = \"g\"\npaths = [\"/gush\"]\npool = \"gushes\"")
            .serves("other")
            .start();
        let before = memory(&world);
        multiplexed::run(world.https(), "www.test", async |client| {
            let (response, _) = client.open(client.request("GET", "/gush"), true).await;
            let slow = response.await.unwrap();
            // Streams of another backend's one connection that nobody reads.
            let mut unread = Vec::new();
            for _ in 0..10 {
                let (response, _) = client.open(client.request("GET", "/bytes/4000000"), true).await;
                unread.push(response.await.unwrap());
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
            let held = taken.load(Ordering::SeqCst);
            assert!(held > 0 && held < LARGE / 8, "{held}");
            drop((slow, unread));
        });
        assert!(memory(&world).saturating_sub(before) < GROWTH);
        multiplexed::run(world.https(), "www.test", async |client| {
            assert_eq!(client.get("/bytes/1000").await.unwrap().body.len(), 1000);
        });
        assert_eq!(other.connections(), 1, "the streams that nobody read were reset, the connection serves on");
    });
}

#[test]
fn a_slow_backend_stops_the_upload_and_not_the_memory() {
    within(120, || {
        let counter = Arc::new(AtomicU64::new(0));
        let over = Arc::clone(&counter);
        let backend = Backend::talking(move |mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            while over.load(Ordering::SeqCst) < LARGE {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        });
        let world = world("slow-backend", backend.address(), "");
        let before = memory(&world);
        let mut client = raw::connect(world.http());
        client.write_all(b"POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 1073741824\r\n\r\n").unwrap();
        let (mut writer, count) = (client.try_clone().unwrap(), Arc::clone(&counter));
        std::thread::spawn(move || {
            let block = vec![b'x'; 64 * 1024];
            while count.load(Ordering::SeqCst) < LARGE && writer.write_all(&block).is_ok() {
                count.fetch_add(block.len() as u64, Ordering::SeqCst);
            }
        });
        let held = settled(&counter);
        assert!(held > 0 && held < LARGE / 8, "{held} bytes were taken from the client for nobody");
        assert!(memory(&world).saturating_sub(before) < GROWTH);
        // An end that stands behind bytes which nobody reads is not seen: here it is the backend that gives up.
        drop(client.shutdown(std::net::Shutdown::Both));
        counter.store(LARGE, Ordering::SeqCst);
    });
}

#[test]
fn a_client_that_expects_100_is_told_to_go_on_unless_it_is_refused() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("continue")
            .set("http-filter", "max_body", "1000")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        let ask = |length: usize| {
            let mut client = raw::connect(world.http());
            let head = format!(
                "POST /echo HTTP/1.1\r\nHost: www.test\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            );
            client.write_all(head.as_bytes()).unwrap();
            client
        };
        let mut client = ask(5);
        assert_eq!(http::read_head(&mut client).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"hello").unwrap();
        assert_eq!(http::read_answer(&mut client).unwrap().text(), "hello");
        let mut refused = ask(5000);
        assert!(http::read_head(&mut refused).unwrap().starts_with("HTTP/1.1 413"), "no 100 before it");
    });
}

#[test]
fn an_answer_during_the_upload_is_passed_on_and_the_upload_ends() {
    within(60, || {
        let backend = Backend::talking(|mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            talk.say(b"HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate")
        });
        let world = world("early", backend.address(), "");
        let mut client = raw::connect(world.http());
        client.write_all(b"POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 100000000\r\n\r\nbegin").unwrap();
        let mut writer = client.try_clone().unwrap();
        std::thread::spawn(move || while writer.write_all(&[0; 16 * 1024]).is_ok() {});
        let answer = http::read_answer(&mut client).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (409, "late"));
        // What is left of the upload cannot be a request: the connection ends.
        let (rest, end) = raw::how_it_ends(&mut client);
        assert!(rest.is_empty() && end != raw::End::Open, "{end:?}");
    });
}

#[test]
fn a_client_that_leaves_is_missed_at_once_whatever_is_under_way() {
    within(90, || {
        let endings = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&endings);
        let backend = Backend::talking(move |mut talk| {
            let head = talk.read_until(b"\r\n\r\n")?;
            let result = match String::from_utf8_lossy(&head).split(' ').nth(1) {
                // In the middle of an answer.
                Some("/answer") => talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").and_then(|()| {
                    loop {
                        talk.say(b"1\r\nx\r\n")?;
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }),
                // While it waits for an event.
                Some("/quiet") => {
                    talk.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").map(|()| talk.drain())
                }
                // While it waits for the head, or for the rest of an upload.
                _ => {
                    talk.drain();
                    Ok(())
                }
            };
            count.fetch_add(1, Ordering::SeqCst);
            result
        });
        let world = world("leaving", backend.address(), "");
        let begin = |text: &str| {
            let mut client = raw::connect(world.http());
            client.write_all(text.as_bytes()).unwrap();
            client
        };
        let wait = |so_many: u64| {
            eventually(3, "the backend is left", || (endings.load(Ordering::SeqCst) == so_many).then_some(()))
        };
        for (number, (text, reads)) in [
            ("GET /head HTTP/1.1\r\nHost: www.test\r\n\r\n", false),
            ("POST /upload HTTP/1.1\r\nHost: www.test\r\nContent-Length: 1000\r\n\r\nabc", false),
            ("GET /answer HTTP/1.1\r\nHost: www.test\r\n\r\n", true),
            ("GET /quiet HTTP/1.1\r\nHost: www.test\r\n\r\n", true),
        ]
        .into_iter()
        .enumerate()
        {
            let mut client: TcpStream = begin(text);
            if reads {
                http::read_head(&mut client).unwrap();
            } else {
                let sent = backend.connections().len();
                eventually(3, "the request arrives", || {
                    (backend.connections().len() >= sent.max(number + 1)).then_some(())
                });
                std::thread::sleep(Duration::from_millis(100));
            }
            drop(client);
            wait(number as u64 + 1);
        }
        // Nor over HTTP/2.
        multiplexed::run(world.https(), "www.test", async |client| {
            let (response, mut sending) = client.open(client.request("POST", "/head"), false).await;
            sending.send_data(Bytes::from_static(b"x"), false).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            sending.send_reset(h2::Reason::CANCEL);
            drop(response);
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        wait(5);
        multiplexed::run(world.https(), "www.test", async |client| {
            let (response, _) = client.open(client.request("GET", "/quiet"), true).await;
            let quiet = response.await.unwrap();
            drop(quiet);
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        wait(6);
    });
}

#[test]
fn a_half_closed_client_has_left_or_gets_its_answer_as_configured() {
    within(60, || {
        let backend = Backend::application();
        for (word, answered) in [("leave", false), ("answer", true)] {
            let world = World::new(word)
                .set("http-filter", "half_close", &format!("\"{word}\""))
                .terminates(&["www.test"])
                .pool("app", &[backend.address()])
                .serves("app")
                .start();
            let mut client = raw::connect(world.http());
            client.write_all(b"GET /sleep/700 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let (bytes, end) = raw::how_it_ends(&mut client);
            assert_eq!(bytes.starts_with(b"HTTP/1.1 200"), answered, "{word}: {}", String::from_utf8_lossy(&bytes));
            assert_ne!(end, raw::End::Open, "{word}");
        }
    });
}

#[test]
fn trailers_of_an_http1_backend_arrive_where_they_were_asked_for() {
    within(60, || {
        let backend = Backend::talking(|mut talk| {
            loop {
                talk.read_until(b"\r\n\r\n")?;
                talk.say(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\n\r\n",
                )?;
            }
        });
        let world = world("trailers", backend.address(), "");
        multiplexed::run(world.https(), "www.test", async |client| {
            let (response, _) = client.open(client.request("GET", "/"), true).await;
            let answer = whole(response.await.unwrap()).await.unwrap();
            let trailers = answer.trailers.unwrap();
            assert_eq!((answer.body.as_slice(), &trailers["x-sum"]), (&b"abc"[..], &"7".parse().unwrap()));
            assert_eq!(trailers.len(), 1, "{trailers:?}");
        });
        for (te, expected) in [("TE: trailers\r\nConnection: te\r\n", true), ("", false)] {
            let mut client = raw::connect(world.http());
            write!(client, "GET / HTTP/1.1\r\nHost: www.test\r\n{te}\r\n").unwrap();
            let text = String::from_utf8_lossy(&raw::read_answers(&mut client, |stream| stream)).to_lowercase();
            assert_eq!(text.contains("x-sum: 7"), expected, "{text}");
            assert!(text.contains("3\r\nabc\r\n0\r\n") && !text.contains("a=b"), "{text}");
        }
        assert_eq!(backend.connections().len(), 1);
    });
}

#[test]
fn answers_without_body_keep_their_fields_and_their_connection() {
    within(60, || {
        let backend = Backend::talking(|mut talk| {
            loop {
                let head = talk.read_until(b"\r\n\r\n")?;
                let said: &[u8] = match String::from_utf8_lossy(&head).split(' ').nth(1) {
                    Some("/304") => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1000\r\n\r\n",
                    Some("/204") => b"HTTP/1.1 204 No Content\r\nX-Kept: yes\r\n\r\n",
                    _ => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                };
                talk.say(said)?;
            }
        });
        let world = world("bodiless", backend.address(), "");
        let mut client = raw::connect(world.http());
        for (path, status, field) in [("/304", 304, "etag"), ("/204", 204, "x-kept"), ("/", 200, "content-length")] {
            let answer = http::get(&mut client, "www.test", path).unwrap();
            assert_eq!((answer.status, answer.body.len()), (status, 0));
            assert!(answer.header(field).is_some(), "{}", answer.head);
            assert!(status != 204 || answer.header("content-length").is_none(), "{}", answer.head);
        }
        multiplexed::run(world.https(), "www.test", async |client| {
            for (path, status) in [("/304", 304), ("/204", 204)] {
                let answer = client.get(path).await.unwrap();
                assert_eq!((answer.head.status().as_u16(), answer.body.len()), (status, 0));
            }
        });
        assert_eq!(backend.connections().len(), 1);
    });
}

#[test]
fn cookies_in_pieces_are_one_field_again() {
    within(60, || {
        let backend = Backend::application();
        let world = world("cookies", backend.address(), "");
        multiplexed::run(world.https(), "www.test", async |client| {
            let mut request = client.request("GET", "/x");
            for crumb in ["a=1", "b=2", "c=3"] {
                request.headers_mut().append("cookie", crumb.parse().unwrap());
            }
            let (response, _) = client.open(request, true).await;
            let text = String::from_utf8(whole(response.await.unwrap()).await.unwrap().body).unwrap();
            assert!(text.contains("cookie: a=1; b=2; c=3\r\n"), "{text}");
        });
    });
}

#[test]
fn events_reach_an_http2_client_one_by_one_from_either_kind_of_backend() {
    within(60, || {
        let (h1, h2) = (Backend::application(), H2Backend::clear());
        let world = World::new("events-h2")
            .terminates(&["www.test"])
            .pool("h1", &[h1.address()])
            .pool_with("h2", &[h2.address()], "protocol = \"h2c\"\n")
            .http_route("name = \"h2\"\npaths = [\"/endless\"]\npool = \"h2\"")
            .serves("h1")
            .start();
        multiplexed::run(world.https(), "www.test", async |client| {
            let (response, _) = client.open(client.request("GET", "/pieces"), true).await;
            let mut incoming = response.await.unwrap().into_body();
            for number in 1..=5 {
                let event = piece(&mut incoming).await.unwrap().unwrap();
                assert_eq!(event, format!("data: piece {number}\n\n"), "one event, one frame");
            }
            let (response, _) = client.open(client.request("GET", "/endless"), true).await;
            let mut incoming = response.await.unwrap().into_body();
            for _ in 0..5 {
                assert_eq!(piece(&mut incoming).await.unwrap().unwrap().len(), 1024);
            }
        });
    });
}
