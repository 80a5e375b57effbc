//! "What the client gets" of docs/operations.md, row by row: a backend that dies, hangs, lies or babbles, seen by an HTTP/1 and by an HTTP/2 client.
//! The table and this file name the same rows; a test holds them together.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use harness::backends::{Backend, Talk};
use harness::clients::multiplexed::{self, whole};
use harness::clients::raw::{self, End};
use harness::{World, within};

/// What the client gets.
#[derive(Clone, Copy, Debug)]
enum Gets {
    /// This status, by us or by the backend; never a part of anything else.
    Status(u16),
    /// The head and these bytes, and then a visible break.
    Cut(&'static str),
    /// The whole answer with this body, but on a connection that is not used again.
    Whole(&'static str),
}

use Gets::{Cut, Status, Whole};

/// One row: its name in the table, what the backend says (`~`: a pause of 300 ms, `^`: silence until the client leaves, `!`: a reset).
const ROWS: &[(&str, &[&str], Gets)] = &[
    ("closes before its answer", &[], Status(502)),
    ("resets instead of an answer", &["!"], Status(502)),
    ("closes inside its head", &["HTTP/1.1 200 OK\r\nContent-Len"], Status(502)),
    ("does not answer in time", &["^"], Status(504)),
    ("stops inside its head", &["HTTP/1.1 200 OK\r\nA: b\r\n", "^"], Status(504)),
    ("sends its head byte by byte", &["H", "~", "T", "~", "T", "~", "P", "~", "/", "~", "1", "^"], Status(504)),
    ("is not HTTP", &["220 this is SMTP\r\n\r\n"], Status(502)),
    ("has an invalid status line", &["HTTP/1.1 99 x\r\n\r\n"], Status(502)),
    ("sends two lengths", &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"], Status(502)),
    ("sends one length twice", &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"], Status(502)),
    (
        "sends a length and chunks",
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        Status(502),
    ),
    ("sends another coding", &["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"], Status(502)),
    ("folds a line of its head", &["HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"], Status(502)),
    ("sends a head that is too large", &["HTTP/1.1 200 OK\r\n", "A", "\r\nContent-Length: 0\r\n\r\n"], Status(502)),
    ("floods with interim answers", &["I"], Status(502)),
    (
        "switches protocols unasked",
        &["HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
        Status(502),
    ),
    ("closes inside a body that comes with its head", &["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "~"], Cut("")),
    ("closes inside a body of known length", &["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "~"], Cut("abc")),
    (
        "closes inside a chunked body",
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "~"],
        Cut("abc"),
    ),
    ("resets inside a body", &["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "~", "!"], Cut("abc")),
    ("stops inside a body", &["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "^"], Cut("abc")),
    (
        "sends a bad chunk at once",
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n"],
        Status(502),
    ),
    (
        "sends a bad chunk later",
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "~", "-1\r\nabc\r\n"],
        Cut("abc"),
    ),
    (
        "sends more than it announced",
        &["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"],
        Whole("abc"),
    ),
    (
        "sends a second answer behind the last chunk",
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil"],
        Whole("abc"),
    ),
    ("sends a body with 204", &["HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil"], Whole("")),
    ("closes at the end of a body without length", &["HTTP/1.1 200 OK\r\n\r\nabc"], Whole("abc")),
];

fn say(talk: &mut Talk, script: &[&str]) -> io::Result<()> {
    talk.read_until(b"\r\n\r\n")?;
    for line in script {
        match *line {
            "~" => std::thread::sleep(Duration::from_millis(300)),
            "^" => talk.drain(),
            "!" => return talk.reset(),
            "A" => (0..200).try_for_each(|_| talk.say(format!("X-Big: {}\r\n", "b".repeat(8000)).as_bytes()))?,
            "I" => (0..1000).try_for_each(|_| talk.say(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"))?,
            text => talk.say(text.as_bytes())?,
        }
    }
    if script.iter().any(|line| line.contains("evil")) {
        talk.drain(); // keeps the connection, so that reusing it would be possible
    }
    Ok(())
}

fn world(name: &str, pools: &[(String, SocketAddr)]) -> World {
    let mut builder = World::new(name)
        .set("http-filter", "response_deadline", "\"1s\"")
        .set("http-filter", "body_idle_deadline", "\"1s\"")
        .terminates(&["www.test"]);
    for (name, address) in pools {
        builder = builder
            .pool_with(name, &[*address], "eject_after = 0\nconnect_deadline = \"1s\"\n")
            .http_route(&format!("name = \"{name}\"\npaths = [\"/{name}\"]\npool = \"{name}\""));
    }
    builder.start()
}

fn backends() -> Vec<(String, Backend)> {
    let rows = ROWS.iter().enumerate();
    rows.map(|(number, (_, script, _))| {
        (format!("row{number}"), Backend::talking(move |mut talk| say(&mut talk, script)))
    })
    .collect()
}

fn places(backends: &[(String, Backend)]) -> Vec<(String, SocketAddr)> {
    backends.iter().map(|(name, backend)| (name.clone(), backend.address())).collect()
}

#[test]
fn an_http1_client_gets_what_the_table_says() {
    within(120, || {
        let backends = backends();
        let world = world("bad-h1", &places(&backends));
        let asked: Vec<_> = backends
            .iter()
            .map(|(name, _)| {
                let (name, address) = (name.clone(), world.http());
                std::thread::spawn(move || {
                    let mut stream = raw::connect(address);
                    write!(stream, "GET /{name} HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
                    raw::how_it_ends(&mut stream)
                })
            })
            .collect();
        for ((row, _, gets), asked) in ROWS.iter().zip(asked) {
            let (bytes, end) = asked.join().unwrap();
            judge_h1(row, *gets, &String::from_utf8_lossy(&bytes), &end);
        }
        for ((row, _, gets), (name, backend)) in ROWS.iter().zip(&backends).filter(|(row, _)| matches!(row.2, Whole(_)))
        {
            let mut stream = raw::connect(world.http());
            write!(stream, "GET /{name} HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            let (bytes, end) = raw::how_it_ends(&mut stream);
            judge_h1(row, *gets, &String::from_utf8_lossy(&bytes), &end);
            assert_eq!(backend.connections().len(), 2, "{row}: its connection must not be used again");
        }
    });
}

fn judge_h1(row: &str, gets: Gets, text: &str, end: &End) {
    let whole = |body: &str| {
        let plain = text.ends_with(&format!("\r\n\r\n{body}")) && !text.contains("chunked");
        plain || text.ends_with(&format!("\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
    };
    match gets {
        Status(status) => assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{row}: {text}"),
        Whole(body) => assert!(text.starts_with("HTTP/1.1 20") && whole(body), "{row}: {text}"),
        Cut(body) => {
            assert!(text.starts_with("HTTP/1.1 200 ") && text.contains(body), "{row}: {text}");
            assert!(!whole(body) || text.contains("content-length: 10"), "{row}: it must not look whole: {text}");
            assert_ne!(*end, End::Open, "{row}: the connection ends");
        }
    }
    assert!(!text.contains("evil"), "{row}: {text}");
}

#[test]
fn an_http2_client_gets_what_the_table_says() {
    within(120, || {
        let backends = backends();
        let world = world("bad-h2", &places(&backends));
        multiplexed::run(world.https(), "www.test", async |client| {
            let mut asked = Vec::new();
            for (name, _) in &backends {
                let (response, _) = client.open(client.request("GET", &format!("/{name}")), true).await;
                asked.push(tokio::task::spawn_local(async move {
                    let response = response.await?;
                    let status = response.status().as_u16();
                    Ok::<_, h2::Error>((status, whole(response).await))
                }));
            }
            for ((row, _, gets), asked) in ROWS.iter().zip(asked) {
                let (status, body) = asked.await.unwrap().unwrap_or_else(|error| panic!("{row}: no head: {error}"));
                match (gets, body) {
                    (Status(expected), Ok(_)) => assert_eq!(status, *expected, "{row}"),
                    (Whole(expected), Ok(got)) => {
                        assert_eq!((status / 100, got.body.as_slice()), (2, expected.as_bytes()), "{row}");
                    }
                    (Cut(_), Err(error)) => {
                        assert_eq!(status, 200, "{row}");
                        assert!(error.is_reset(), "{row}: {error}");
                        assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR), "{row}");
                    }
                    (gets, body) => panic!("{row}: {gets:?} was promised: {status} {body:?}"),
                }
            }
            // All of that on one connection, which still serves.
            assert_eq!(client.get("/nothing").await.unwrap().head.status(), 404);
        });
    });
}

#[test]
fn a_head_request_gets_no_body_and_its_connection_is_kept_only_if_nothing_came() {
    within(60, || {
        let honest = Backend::application();
        let babbling = Backend::talking(|mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")?;
            talk.drain();
            Ok(())
        });
        let places = [("honest".to_owned(), honest.address()), ("babbling".to_owned(), babbling.address())];
        let world = world("head", &places);
        let mut client = raw::connect(world.http());
        for name in ["honest", "babbling", "honest", "babbling"] {
            write!(client, "HEAD /{name} HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
            let head = harness::clients::http::read_head(&mut client).unwrap().to_lowercase();
            assert!(head.starts_with("http/1.1 200") && head.contains("content-length: "), "{head}");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!((honest.connections().len(), babbling.connections().len()), (1, 2));
    });
}

#[test]
fn nobody_there_and_nobody_who_accepts() {
    within(60, || {
        let refused = SocketAddr::from((harness::backends::ADDRESS, harness::ports::hold().port));
        // A queue of one that is never emptied: the kernel drops what comes then.
        let listener = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        let listener = listener.unwrap();
        rustix::net::bind(&listener, &SocketAddr::from((harness::backends::ADDRESS, 0))).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let full: SocketAddr = rustix::net::getsockname(&listener).unwrap().try_into().unwrap();
        let _waiting: Vec<_> =
            (0..3).map(|_| std::net::TcpStream::connect_timeout(&full, Duration::from_millis(100))).collect();
        let world = world("nobody", &[("refused".to_owned(), refused), ("full".to_owned(), full)]);
        for (name, status) in [("refused", 502), ("full", 504)] {
            let mut client = raw::connect(world.http());
            let answer = harness::clients::http::get(&mut client, "www.test", &format!("/{name}")).unwrap();
            assert_eq!(answer.status, status, "{name}: {}", answer.text());
        }
    });
}

#[test]
fn the_table_names_every_row() {
    within(10, || {
        let page = std::fs::read_to_string(harness::binaries::workspace().join("docs/operations.md")).unwrap();
        for (row, _, gets) in ROWS {
            let line = page.lines().find(|line| line.contains(&format!("| {row} |")));
            let line = line.unwrap_or_else(|| panic!("docs/operations.md has no row \"{row}\""));
            let word = match gets {
                Status(status) => status.to_string(),
                Cut(_) => "cut".to_owned(),
                Whole(_) => "whole".to_owned(),
            };
            assert!(line.contains(&word), "{line}: {word}");
        }
    });
}
