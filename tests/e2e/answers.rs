//! What becomes of answers on their way to the client: compression with the real curl and the real zstd as judges, and error pages.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use harness::backends::{Backend, Talk};
use harness::clients::curl::curl;
use harness::clients::{http, raw, tls};
use harness::{World, within};

/// A page that compresses well.
fn page() -> String {
    (0..2000).map(|number| format!("<li>item {}</li>\n", number % 50)).collect()
}

/// Each path stands for an answer that has to be treated in its own way.
fn talk(mut talk: Talk) -> std::io::Result<()> {
    loop {
        let head = String::from_utf8_lossy(&talk.read_until(b"\r\n\r\n")?).into_owned();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, fields, body) = match path {
            "/html" | "/secret" => {
                ("200 OK", "Content-Type: text/html\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\n", page())
            }
            "/png" => ("200 OK", "Content-Type: image/png\r\n", page()),
            "/done" => ("200 OK", "Content-Type: text/html\r\nContent-Encoding: gzip\r\n", page()),
            "/as-it-is" => ("200 OK", "Content-Type: text/html\r\nCache-Control: no-transform\r\n", page()),
            "/part" => (
                "206 Partial Content",
                "Content-Type: text/html\r\nContent-Range: bytes 0-9/99\r\n",
                "0123456789".into(),
            ),
            "/short" => ("200 OK", "Content-Type: text/html\r\n", "short".into()),
            "/fresh" => ("304 Not Modified", "ETag: \"a\"\r\n", String::new()),
            "/error" => (
                "503 Service Unavailable",
                "Content-Type: text/plain\r\nRetry-After: 7\r\nETag: \"e\"\r\n",
                "panic at line 3".into(),
            ),
            "/teapot" => ("418 Teapot", "Content-Type: text/plain\r\n", "short and stout".into()),
            _ => ("404 Not Found", "Content-Type: text/plain\r\n", "the backend's own".into()),
        };
        let length = if path == "/fresh" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        talk.say(format!("HTTP/1.1 {status}\r\n{fields}{length}\r\n").as_bytes())?;
        if method != "HEAD" && path != "/fresh" {
            talk.say(body.as_bytes())?;
        }
    }
}

fn world(name: &str, backend: &Backend) -> World {
    World::new(name)
        .set("http-filter.compression", "algorithms", "[\"zstd\", \"br\", \"gzip\"]")
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .http_route("name = \"secret\"\npaths = \"/secret\"\npool = \"app\"\ncompress = false")
        .serves("app")
        .start()
}

fn get(world: &World, path: &str, fields: &str) -> http::Answer {
    let mut stream = raw::connect(world.http());
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: www.test\r\n{fields}\r\n").as_bytes()).unwrap();
    http::read_answer(&mut stream).unwrap()
}

/// What a program makes of bytes.
fn through(program: &str, arguments: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    assert!(output.status.success(), "{program} does not understand it");
    output.stdout
}

#[test]
fn each_coding_is_read_by_other_programs() {
    within(60, || {
        let backend = Backend::talking(talk);
        let world = world("compression", &backend);
        for (coding, tag) in [("gzip", "W/\"a\""), ("br", "W/\"a\""), ("zstd", "W/\"a\"")] {
            let answer = get(&world, "/html", &format!("Accept-Encoding: {coding}\r\n"));
            assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(coding)));
            assert_eq!((answer.header("vary"), answer.header("etag")), (Some("accept-encoding"), Some(tag)));
            assert_eq!((answer.header("content-length"), answer.header("accept-ranges")), (None, None));
            assert!(answer.body.len() * 10 < page().len(), "{coding}: {}", answer.body.len());
            match coding {
                "gzip" => assert!(through("gzip", &["-dc"], &answer.body) == page().as_bytes()),
                "zstd" => assert!(through("zstd", &["-dc"], &answer.body) == page().as_bytes()),
                _ => {}
            }
        }
        // curl reads whatever it asked for, br among it, over HTTP/1.1 and HTTP/2.
        for protocol in ["--http1.1", "--http2"] {
            for coding in ["br", "gzip", "zstd", "gzip;q=0.5, br;q=0.4"] {
                let header = format!("Accept-Encoding: {coding}");
                let came =
                    curl(&world, "https", "www.test", "/html").with(&[protocol, "--compressed", "-H", &header]).run();
                assert!(
                    came.code == 0 && came.text() == page(),
                    "{protocol} {coding}: {} {}",
                    came.code,
                    came.complaint
                );
            }
        }
        world.wait_for_line("http-filter", &["/html", "200"]);
    });
}

#[test]
fn what_must_stay_as_it_is_stays() {
    within(60, || {
        let backend = Backend::talking(talk);
        let world = world("not-compressed", &backend);
        let all = "Accept-Encoding: zstd, br, gzip\r\n";
        for (path, fields, length, vary) in [
            ("/html", "", page().len(), true),
            ("/html", "Accept-Encoding: zstd;q=0, br;q=0.0, identity\r\n", page().len(), true),
            ("/png", all, page().len(), false),
            ("/as-it-is", all, page().len(), false),
            ("/part", all, 10, false),
            ("/short", all, 5, false),
            ("/secret", all, page().len(), false),
        ] {
            let answer = get(&world, path, fields);
            assert_eq!((answer.header("content-encoding"), answer.body.len()), (None, length), "{path}");
            assert_eq!(answer.header("vary").is_some(), vary, "{path}: {}", answer.head);
            assert_eq!(answer.header("content-length"), Some(length.to_string().as_str()), "{path}");
        }
        let done = get(&world, "/done", all);
        assert!(done.header("content-encoding") == Some("gzip") && done.body == page().as_bytes());
        assert_eq!(get(&world, "/html", "").header("etag"), Some("\"a\""), "untouched for who takes nothing");
        // HEAD and 304 have no body that could be compressed; the connection goes on behind them.
        let mut stream = raw::connect(world.http());
        stream.write_all(format!("HEAD /html HTTP/1.1\r\nHost: www.test\r\n{all}\r\n").as_bytes()).unwrap();
        let head = http::read_head(&mut stream).unwrap().to_lowercase();
        assert!(!head.contains("content-encoding") && head.contains("vary: accept-encoding"), "{head}");
        stream.write_all(format!("GET /fresh HTTP/1.1\r\nHost: www.test\r\n{all}\r\n").as_bytes()).unwrap();
        let fresh = http::read_answer(&mut stream).unwrap();
        assert_eq!((fresh.status, fresh.header("content-encoding"), fresh.header("etag")), (304, None, Some("\"a\"")));
        assert_eq!(http::get(&mut stream, "www.test", "/short").unwrap().text(), "short");
    });
}

/// A page that comes in pieces: the backend sends the next one only when the test has seen the one before.
#[test]
fn compressed_pages_that_come_slowly_do_not_stall() {
    within(60, || {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let backend = Backend::talking(move |mut talk| {
            talk.read_until(b"\r\n\r\n")?;
            talk.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for number in 0..5 {
                talk.say(format!("e\r\n<p>piece {number}</p>\r\n").as_bytes())?;
                let _ = wait.lock().unwrap().recv();
            }
            talk.say(b"0\r\n\r\n")
        });
        let world = world("slow-pages", &backend);
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
        stream.flush().unwrap();
        let head = http::read_head(&mut stream).unwrap();
        assert!(head.to_lowercase().contains("content-encoding: gzip"), "{head}");
        let mut all = Vec::new();
        for number in 0..5 {
            // gzip says all that it can be sure of, then that the end is missing.
            let piece = format!("<p>piece {number}</p>");
            loop {
                let mut child = Command::new("gzip")
                    .arg("-dc")
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                child.stdin.take().unwrap().write_all(&all).unwrap();
                let so_far = child.wait_with_output().unwrap().stdout;
                if String::from_utf8_lossy(&so_far).ends_with(&piece) {
                    break;
                }
                all.extend(read_chunk(&mut stream));
            }
            go.send(()).unwrap();
        }
        loop {
            let chunk = read_chunk(&mut stream);
            if chunk.is_empty() {
                break;
            }
            all.extend(chunk);
        }
        let whole: String = (0..5).map(|number| format!("<p>piece {number}</p>")).collect();
        assert_eq!(String::from_utf8(through("gzip", &["-dc"], &all)).unwrap(), whole);
        tls::goodbye(stream);
    });
}

fn read_chunk(stream: &mut impl std::io::Read) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap();
    let mut chunk = vec![0; size + 2];
    stream.read_exact(&mut chunk).unwrap();
    chunk.truncate(size);
    chunk
}

#[test]
fn events_are_not_compressed_and_a_broken_page_does_not_look_whole() {
    within(60, || {
        let backend = Backend::talking(|mut talk| {
            let head = talk.read_until(b"\r\n\r\n")?;
            let kind =
                if String::from_utf8_lossy(&head).contains("/events") { "text/event-stream" } else { "text/html" };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
            talk.say(head.as_bytes())?;
            talk.say(b"5\r\nhello\r\n")?;
            std::thread::sleep(std::time::Duration::from_millis(300)); // hello reaches the client …
            Ok(()) // … and there is no end
        });
        let world = world("broken-pages", &backend);
        let events = curl(&world, "http", "www.test", "/events").with(&["-H", "Accept-Encoding: gzip"]).run();
        assert_eq!((events.text().as_str(), events.code), ("hello", 18), "{}", events.complaint);
        let broken = curl(&world, "http", "www.test", "/").with(&["--compressed"]).run();
        assert_eq!(broken.code, 18, "curl knows that it is not whole: {}", broken.complaint);
    });
}

#[test]
fn error_pages_for_our_answers_and_where_asked_for_those_of_backends() {
    within(60, || {
        let backend = Backend::talking(talk);
        let file = |name: &str, text: &str| -> PathBuf {
            let path = std::env::temp_dir().join(format!("bulkhead-{name}-{}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            path
        };
        let html = file("error-html", "<h1>${status}</h1><p>${reason}</p><i>${rule}</i><script>`${x}`</script>");
        let json = file("error-json", "{\"code\": ${status}, \"rule\": \"${rule}\"}");
        let other = file("error-other", "<p>our shop: ${status}</p>");
        let page =
            |keys: &str, path: &PathBuf| format!("[[http-filter.error-page]]\n{keys}\nfile = \"{}\"\n", path.display());
        let world = World::new("error-pages")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .with(&page("statuses = 403\nhosts = \"shop.test\"", &other))
            .with(&page("statuses = [\"4xx\", \"502-504\"]", &html))
            .with(&page("statuses = [403]\ncontent_type = \"application/json\"", &json))
            .with(&page("statuses = 503\nintercept = true\nhosts = \"www.test\"", &other))
            .with(
                "[[http-filter.access]]\nname = \"no-<b>\"\naction = \"deny\"\npaths = \"/denied\"\n"
                    .replace("<b>", "admin")
                    .as_str(),
            )
            .serves("app")
            .start();
        for path in [&html, &json, &other] {
            std::fs::remove_file(path).unwrap();
        }
        let denied = get(&world, "/denied", "Accept: text/html\r\n");
        assert_eq!((denied.status, denied.header("content-type")), (403, Some("text/html; charset=utf-8")));
        let text = denied.text();
        assert!(
            text.starts_with("<h1>403</h1><p>An access rule") && text.contains("<i>no-admin</i><script>`${x}`"),
            "{text}"
        );
        assert_eq!(denied.header("cache-control"), Some("no-store"));
        let denied = get(&world, "/denied", "Accept: application/json\r\n");
        assert_eq!(denied.text(), "{\"code\": 403, \"rule\": \"no-admin\"}");
        let mut stream = raw::connect(world.http());
        stream.write_all(b"GET /denied HTTP/1.1\r\nHost: shop.test\r\n\r\n").unwrap();
        assert_eq!(http::read_answer(&mut stream).unwrap().text(), "<p>our shop: 403</p>");
        // A malformed request is refused in the same words, and its connection ends.
        let malformed = get(&world, "/x", "Content-Length: 1\r\nContent-Length: 2\r\n");
        assert!(malformed.status == 400 && malformed.text().starts_with("<h1>400</h1>"), "{}", malformed.text());
        assert_eq!(malformed.header("connection"), Some("close"));
        // Backends speak for themselves, but for what a page intercepts.
        assert_eq!(get(&world, "/nothing", "").text(), "the backend's own");
        assert_eq!(get(&world, "/teapot", "").text(), "short and stout");
        let error = get(&world, "/error", "");
        assert_eq!((error.status, error.text().as_str()), (503, "<p>our shop: 503</p>"));
        assert_eq!((error.header("retry-after"), error.header("etag")), (Some("7"), None));
        assert!(error.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    });
}
