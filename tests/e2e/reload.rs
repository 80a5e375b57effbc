//! `bulkhead reload` and SIGHUP: another configuration under load loses no request, a bad one changes nothing, and whatever
//! can be changed takes effect.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::backends::{Backend, application, websocket};
use harness::clients::websocket::WebSocket;
use harness::clients::{h2, http, programs, raw, tls, tunnel};
use harness::{World, certificates, eventually, folder, needs::need, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Changes the file in one place.
fn edit(world: &World, from: &str, to: &str) {
    let text = fs::read_to_string(world.config()).unwrap();
    assert!(text.contains(from), "{from:?} is not in:\n{text}");
    fs::write(world.config(), text.replace(from, to)).unwrap();
}

fn reload(world: &World) -> Output {
    world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()])
}

fn reload_well(world: &World) {
    let output = reload(world);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("reloaded: "), "{}", text(&output));
}

fn ask(address: SocketAddr, path: &str) -> http::Answer {
    http::get(&mut raw::connect(address), "www.test", path).unwrap()
}

/// Says who it is in the body of every answer.
fn named(name: &'static str) -> Backend {
    Backend::talking(move |mut talk| {
        loop {
            talk.read_until(b"\r\n\r\n")?;
            let length = name.len();
            talk.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}").as_bytes())?;
        }
    })
}

/// Something that runs until told to stop, and counts.
struct Load {
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn new() -> Self {
        Self { over: Arc::default(), done: Arc::default(), threads: Vec::new() }
    }

    /// `one` must succeed however often it is called.
    fn run(&mut self, mut one: impl FnMut() + Send + 'static) {
        let (over, done) = (Arc::clone(&self.over), Arc::clone(&self.done));
        self.threads.push(thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                one();
                done.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }

    fn goes_on(&self) {
        let before = self.done.load(Ordering::SeqCst);
        eventually(10, "requests go on", || (self.done.load(Ordering::SeqCst) >= before + 20).then_some(()));
    }

    fn end(self) -> u64 {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a request was lost");
        }
        self.done.load(Ordering::SeqCst)
    }
}

/// Kept-alive clients of every kind, each comparing every body. None may ever have to connect again.
fn load(world: &World) -> Load {
    let mut load = Load::new();
    let expected = Arc::new(application::pattern_of(3000));
    let plain = raw::connect(world.http());
    let secure = tls::client("www.test").connect(world.https()).unwrap();
    let (of_plain, of_secure, of_h2) = (Arc::clone(&expected), Arc::clone(&expected), expected);
    let mut plain = plain;
    load.run(move || {
        let answer = http::get(&mut plain, "www.test", "/bytes/3000").unwrap();
        assert_eq!((answer.status, &answer.body), (200, &*of_plain));
    });
    let mut secure = secure;
    load.run(move || {
        let answer = http::get(&mut secure, "www.test", "/bytes/3000").unwrap();
        assert_eq!((answer.status, &answer.body), (200, &*of_secure));
    });
    let mut connection = h2::Connection::over(tls::client("www.test").alpn(&["h2"]).connect(world.https()).unwrap());
    connection.frame(8, 0, 0, &0x3fff_0000_u32.to_be_bytes()).unwrap(); // a window for all that comes
    load.run(move || {
        let fields: [(&[u8], &[u8]); 4] =
            [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"www.test"), (b":path", b"/bytes/3000")];
        let stream = connection.send(&fields, None).unwrap();
        assert_eq!(connection.outcome(stream), h2::Outcome::Answer(200, (*of_h2).clone()));
    });
    // Uploads, so that a body under way meets a reload as well.
    let mut uploads = raw::connect(world.http());
    let body = application::pattern_of(200_000);
    load.run(move || {
        let head = format!("POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: {}\r\n\r\n", body.len());
        uploads.write_all(head.as_bytes()).unwrap();
        uploads.write_all(&body).unwrap();
        let answer = http::read_answer(&mut uploads).unwrap();
        assert!(answer.status == 200 && answer.body == body, "{}", answer.head);
    });
    // Connections that come and go.
    let address = world.https();
    load.run(move || {
        let mut stream = tls::client("www.test").connect(address).unwrap();
        assert_eq!(http::get(&mut stream, "www.test", "/bytes/100").unwrap().body, application::pattern_of(100));
        tls::goodbye(stream);
    });
    load
}

#[test]
fn twenty_reloads_under_load_lose_nothing() {
    let name = "twenty_reloads_under_load_lose_nothing";
    let with_h2load = need(name, "h2load");
    within(240, move || {
        let (one, two) = (Backend::application(), Backend::application());
        let (first, second) = (one.address().to_string(), two.address().to_string());
        let world =
            World::new("twenty-reloads").terminates(&["www.test"]).pool("app", &[one.address()]).serves("app").start();
        let load = load(&world);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let reports = scope.spawn(|| {
                let mut reports = Vec::new();
                while with_h2load && !over.load(Ordering::SeqCst) {
                    reports.push(programs::h2load(&world, "www.test", "/bytes/1024", 600, 4, 8));
                }
                reports
            });
            for number in 0..20 {
                // Every reload takes a server away, brings another, renames the pool and changes a limit.
                let (from, to) = if number % 2 == 0 { (&first, &second) } else { (&second, &first) };
                edit(&world, from, to);
                edit(
                    &world,
                    &format!("everything-to-app{}", "x".repeat(number)),
                    &format!("everything-to-app{}", "x".repeat(number + 1)),
                );
                reload_well(&world);
                load.goes_on();
            }
            over.store(true, Ordering::SeqCst);
            for report in reports.join().unwrap() {
                assert!(report.contains("600 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
                assert!(report.contains("status codes: 600 2xx"), "{report}");
            }
        });
        let requests = load.end();
        assert!(requests > 400, "{requests}");
        assert!(!one.connections().is_empty() && !two.connections().is_empty());
        for status in world.status() {
            assert_eq!(status["reloads"], 20, "{status}");
        }
        assert_eq!(world.figure("http-filter", "upstream_failed"), 0);
    });
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    within(120, || {
        let (one, two) = (named("one"), named("two"));
        let other = certificates::sign(&["www.test"]);
        let world =
            World::new("bad-reload").terminates(&["www.test"]).pool("app", &[one.address()]).serves("app").start();
        let good = fs::read_to_string(world.config()).unwrap();
        let port = world.http().port();
        let (first, second) = (one.address().to_string(), two.address().to_string());
        let pid = world.launcher();
        for (from, to, words) in [
            ("[log]", "[log]\nlvel = \"info\"", vec!["lvel", "unknown"]),
            ("[log]", "[log", vec!["TOML"]),
            ("pool = \"app\"", "pool = \"ap\"", vec!["ap"]),
            (&format!("127.0.0.1:{port}"), "127.0.0.1:1", vec!["cannot change", "sni-router.listen.address (of http)"]),
            ("[log]", "[http-filter]\ninstances = 2\n[log]", vec!["http-filter.instances", "restart"]),
            ("certs/0.pem", "certs/none.pem", vec!["none.pem"]),
        ] {
            // The new server shows whether anything of the file was taken.
            fs::write(world.config(), good.replace(&first, &second).replace(from, to)).unwrap();
            let output = reload(&world);
            assert!(!output.status.success(), "{to}");
            for word in words {
                assert!(text(&output).contains(word), "{word}: {}", text(&output));
            }
            assert_eq!(ask(world.http(), "/").text(), "one", "{to}");
        }
        // A key of another certificate holds nothing up: tls-terminator serves the last good pair on, and says so.
        fs::write(world.config(), good.replace(&first, &second)).unwrap();
        let key = world.folder().join("certs/0.key");
        let own_key = fs::read_to_string(&key).unwrap();
        fs::write(&key, &other.key_pem).unwrap();
        let output = reload(&world);
        assert!(output.status.success() && text(&output).contains("does not belong"), "{}", text(&output));
        assert_eq!(ask(world.http(), "/").text(), "two");
        assert!(tls::client("www.test").connect(world.https()).is_ok(), "the last good certificate is shown");
        assert_eq!(world.figure("tls-terminator", "certificates_kept"), 1);
        fs::write(&key, own_key).unwrap();
        reload_well(&world);
        assert_eq!(ask(world.http(), "/").text(), "two");
        assert_eq!(world.launcher(), pid);
        for status in world.status() {
            assert_eq!(status["reloads"], 2, "{status}");
        }
        assert_eq!(world.figure("tls-terminator", "certificates_kept"), 0);
    });
}

#[test]
fn one_process_that_refuses_keeps_all_from_reloading() {
    within(90, || {
        let (one, two) = (named("one"), named("two"));
        let world = World::new("one-refuses")
            .terminates(&["www.test"])
            .pool("app", &[one.address()])
            .serves("app")
            .forwards_to(&[one.address()])
            .start();
        // A process that does not answer has not agreed.
        let stopped = Pid::from_raw(i32::try_from(world.pid("forward-proxy")).unwrap());
        edit(&world, &one.address().to_string(), &two.address().to_string());
        let _ = kill(stopped, Signal::SIGSTOP);
        let output = reload(&world);
        let _ = kill(stopped, Signal::SIGCONT);
        assert!(!output.status.success(), "{}", text(&output));
        assert!(text(&output).contains("forward-proxy@1: no answer within"), "{}", text(&output));
        assert!(text(&output).contains("nothing was reloaded"), "{}", text(&output));
        assert_eq!(ask(world.http(), "/").text(), "one");
        reload_well(&world);
        assert_eq!(ask(world.http(), "/").text(), "two");
    });
}

#[test]
fn whatever_can_be_changed_takes_effect() {
    within(120, || {
        let (one, two, echo) = (named("one"), named("two"), Backend::echo());
        let users = folder::temporary();
        let users_file = users.path().join("users");
        // Names `demo` and `demi`, both with the password `demo`.
        let hash = "$2b$05$bulkheadDemoSaltAAAAAOLY5b8vRjc4JFCd2F4gcDFTgyEOF9SE2";
        folder::write_private(&users_file, &format!("demo:{hash}\n"));
        let world = World::new("reload-effects")
            .terminates(&["www.test"])
            .pool("app", &[one.address()])
            .pool("echo", &[echo.address()])
            .serves("app")
            .passes("echo.test", "echo")
            .forwards_to(&[one.address(), two.address()])
            .set("forward-proxy", "users_file", &format!("\"{}\"", users_file.display()))
            .start();
        let target = one.address().to_string();
        let (demo, demi) = ("ZGVtbzpkZW1v", "ZGVtaTpkZW1v");
        let mut kept = raw::connect(world.http());
        let mut kept_proxy = raw::connect(world.proxy());
        let by_proxy = |stream: &mut TcpStream, user: &str| {
            let request =
                format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {user}\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            http::read_answer(stream).unwrap().status
        };
        assert_eq!(http::get(&mut kept, "www.test", "/").unwrap().text(), "one");
        assert_eq!((by_proxy(&mut kept_proxy, demo), by_proxy(&mut raw::connect(world.proxy()), demi)), (200, 407));
        let before = tls::client("www.test").connect(world.https()).unwrap();
        let before = tls::certificate(&before);

        // A server, an access rule, a certificate, a site, a route, a user: all at once.
        edit(&world, &format!("servers = [\"{}\"]", one.address()), &format!("servers = [\"{}\"]", two.address()));
        let (signed, more) = (certificates::sign(&["www.test"]), certificates::sign(&["more.test"]));
        for (number, signed) in [("0", &signed), ("more", &more)] {
            fs::write(world.folder().join(format!("certs/{number}.pem")), &signed.pem).unwrap();
            folder::write_private(&world.folder().join(format!("certs/{number}.key")), &signed.key_pem);
        }
        folder::write_private(&users_file, &format!("demi:{hash}\n"));
        let mut text = fs::read_to_string(world.config()).unwrap();
        text.push_str(
            "[[http-filter.access]]\nname = \"no-admin\"\naction = \"deny\"\npaths = [\"/admin\"]\n\
             [[site]]\nnames = [\"more.test\"]\ncertificate = \"certs/more.pem\"\nkey = \"certs/more.key\"\n\
             [[route]]\nname = \"more\"\nserver_names = [\"more.test\"]\nterminate = true\n\
             [[route]]\nname = \"again\"\nserver_names = [\"again.test\"]\npassthrough = \"echo\"\n",
        );
        fs::write(world.config(), text).unwrap();
        assert!(tls::client("more.test").connect(world.https()).is_err());
        reload_well(&world);

        assert_eq!(http::get(&mut kept, "www.test", "/").unwrap().text(), "two", "also on an open connection");
        assert_eq!(http::get(&mut kept, "www.test", "/admin").unwrap().status, 403);
        let after = tls::client("www.test").connect(world.https()).unwrap();
        assert_eq!(tls::certificate(&after), certificate_der(&signed));
        assert_ne!(tls::certificate(&after), before);
        tls::goodbye(after);
        let mut more = tls::client("more.test").connect(world.https()).unwrap();
        assert_eq!(http::get(&mut more, "more.test", "/").unwrap().text(), "two");
        tls::goodbye(more);
        assert!(passes(&world, "again.test") && passes(&world, "echo.test"));
        assert_eq!(by_proxy(&mut kept_proxy, demo), 407, "who was taken off the list is nobody from now on");
        assert_eq!(by_proxy(&mut raw::connect(world.proxy()), demi), 200);

        // And away with it again: the way in forgets as well.
        edit(
            &world,
            "server_names = [\"again.test\"]\npassthrough = \"echo\"",
            "server_names = [\"gone.test\"]\nrefuse = \"alert\"",
        );
        let rule = "\n[[sni-router.access]]\nname = \"nobody\"\naction = \"deny\"\nclients = [\"127.0.0.77\"]\n";
        let mut text = fs::read_to_string(world.config()).unwrap();
        text.push_str(rule);
        fs::write(world.config(), text).unwrap();
        reload_well(&world);
        assert!(!passes(&world, "again.test") && passes(&world, "echo.test"));
        assert_eq!(http::get(&mut kept, "www.test", "/").unwrap().text(), "two");
    });
}

fn certificate_der(signed: &certificates::Signed) -> Vec<u8> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_slice(signed.pem.as_bytes()).unwrap().to_vec()
}

/// Whether a ClientHello for this name comes back from the echo server.
fn passes(world: &World, name: &str) -> bool {
    let hello = tls::client(name).hello().0;
    let mut stream = raw::connect(world.https());
    stream.write_all(&hello).unwrap();
    let mut back = vec![0; hello.len()];
    stream.read_exact(&mut back).is_ok() && back == hello
}

#[test]
fn a_websocket_and_tunnels_survive_reloads() {
    within(90, || {
        let (socket, echo) = (Backend::talking(websocket::talk), Backend::echo());
        let world = World::new("reload-websocket")
            .terminates(&["www.test"])
            .pool("app", &[socket.address()])
            .pool("echo", &[echo.address()])
            .serves("app")
            .passes("echo.test", "echo")
            .forwards_to(&[echo.address()])
            .start();
        let stream = tls::client("www.test").connect(world.https()).unwrap();
        let mut websocket = WebSocket::open(stream, "www.test", "/chat").unwrap();
        let mut through = tunnel::open(world.proxy(), &echo.address().to_string(), "").unwrap();
        let hello = tls::client("echo.test").hello().0;
        let mut passed = raw::connect(world.https());
        passed.write_all(&hello).unwrap();
        let mut back = vec![0; hello.len()];
        passed.read_exact(&mut back).unwrap();
        let trap = Backend::silent();
        for number in 0..3 {
            if number == 0 {
                // Their servers and their pools are gone from the configuration altogether.
                edit(&world, &socket.address().to_string(), &trap.address().to_string());
                edit(&world, "passthrough = \"echo\"", "refuse = \"close\"");
            }
            reload_well(&world);
            websocket.send(b"still there").unwrap();
            assert_eq!(websocket.receive().unwrap(), b"still there");
            for stream in [&mut through, &mut passed] {
                stream.write_all(b"still there").unwrap();
                let mut back = [0; 11];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(&back, b"still there");
            }
        }
        assert!(!passes(&world, "echo.test"));
        websocket.close().unwrap();
    });
}

#[test]
fn an_open_connection_meets_new_trust_and_status_tells_of_a_newer_file() {
    within(60, || {
        let app = Backend::application();
        let world = World::new("reload-trust")
            .set("http-filter", "trusted_proxies", "[]")
            .terminates(&["www.test"])
            .pool("app", &[app.address()])
            .serves("app")
            .start();
        let mut kept = raw::connect(world.http());
        let mut told = |claim: &str| {
            let request = format!("GET / HTTP/1.1\r\nHost: www.test\r\nX-Forwarded-For: {claim}\r\n\r\n");
            kept.write_all(request.as_bytes()).unwrap();
            let head = http::read_answer(&mut kept).unwrap().text();
            application::header(&head, "x-forwarded-for").unwrap_or_default().to_owned()
        };
        let status = || text(&world.bulkhead(&["status", &world.config().to_string_lossy()]));
        assert_eq!(told("192.0.2.7"), "127.0.0.1");
        assert!(!status().contains("has changed"), "{}", status());
        edit(&world, "trusted_proxies = []", "trusted_proxies = [\"127.0.0.0/8\"]");
        assert_eq!(told("192.0.2.7"), "127.0.0.1", "a file alone changes nothing");
        assert!(status().contains("has changed since it was put to work"), "{}", status());
        reload_well(&world);
        assert_eq!(told("192.0.2.7"), "192.0.2.7, 127.0.0.1");
        assert!(!status().contains("has changed"), "{}", status());
    });
}

#[test]
fn a_site_that_begins_to_ask_for_certificates_is_closed_to_connections_from_before() {
    within(60, || {
        let app = named("app");
        let world =
            World::new("reload-mtls").terminates(&["www.test"]).pool("app", &[app.address()]).serves("app").start();
        let mut kept = tls::client("www.test").connect(world.https()).unwrap();
        assert_eq!(http::get(&mut kept, "www.test", "/").unwrap().status, 200);
        edit(
            &world,
            "key = \"certs/0.key\"",
            "key = \"certs/0.key\"\nclient_auth = \"require\"\nclient_ca = \"ca.pem\"",
        );
        reload_well(&world);
        assert_eq!(http::get(&mut kept, "www.test", "/").unwrap().status, 421, "its handshake was before");
        let nobody =
            tls::client("www.test").connect(world.https()).and_then(|mut new| http::get(&mut new, "www.test", "/"));
        assert!(nobody.is_err(), "{nobody:?}");
    });
}

#[test]
fn sighup_to_the_launcher_reloads() {
    within(60, || {
        let (one, two) = (named("one"), named("two"));
        // As an ordinary user: the processes live in user namespaces of their own.
        let world = World::new("sighup")
            .as_user(64_321)
            .terminates(&["www.test"])
            .pool("app", &[one.address()])
            .serves("app")
            .start();
        let hang_up = || kill(Pid::from_raw(i32::try_from(world.launcher()).unwrap()), Signal::SIGHUP).unwrap();
        edit(&world, &one.address().to_string(), &two.address().to_string());
        hang_up();
        eventually(20, "the new server answers", || (ask(world.http(), "/").text() == "two").then_some(()));
        let said = |words: &str| world.log().iter().any(|line| line.contains(" bulkhead: ") && line.contains(words));
        eventually(5, "the launcher tells", || said("reloaded: ").then_some(()));
        edit(&world, "[log]", "[log]\nlvel = 1");
        hang_up();
        eventually(20, "the launcher tells", || said("lvel").then_some(()));
        assert_eq!(ask(world.http(), "/").text(), "two");
        thread::sleep(Duration::from_millis(50));
    });
}
