//! Nothing leaks, however rudely clients leave. Every world counts open descriptors at its end; here are the worlds that
//! give it something to count, and the proof that the counting counts.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use harness::backends::{Backend, websocket};
use harness::clients::websocket::WebSocket;
use harness::clients::{h2, raw, tls, tunnel};
use harness::{World, needs, within};

/// Ends a connection with a reset instead of a goodbye.
fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}

/// What one client does before it breaks off.
struct Stage {
    what: &'static str,
    until: fn(&Everything) -> TcpStream,
}

struct Everything {
    world: World,
    socket: Backend,
    app: Backend,
    echo: Backend,
}

impl Everything {
    fn plain(&self, bytes: &[u8]) -> TcpStream {
        sent(self.world.http(), bytes)
    }

    fn secure(&self) -> tls::Stream {
        tls::client("www.test").connect(self.world.https()).unwrap()
    }
}

fn sent(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = raw::connect(address);
    stream.write_all(bytes).unwrap();
    stream
}

const STAGES: &[Stage] = &[
    Stage { what: "connected", until: |all| raw::connect(all.world.https()) },
    Stage {
        what: "half a ClientHello",
        until: |all| sent(all.world.https(), &tls::client("www.test").hello().0[..90]),
    },
    Stage { what: "a ClientHello", until: |all| sent(all.world.https(), &tls::client("www.test").hello().0) },
    Stage {
        what: "a ClientHello of a passthrough",
        until: |all| sent(all.world.https(), &tls::client("echo.test").hello().0),
    },
    Stage { what: "a refused ClientHello", until: |all| sent(all.world.https(), &tls::client("other.test").hello().0) },
    Stage { what: "a handshake", until: |all| all.secure().sock },
    Stage {
        what: "half a request in TLS",
        until: |all| {
            let mut stream = all.secure();
            stream.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
            stream.sock
        },
    },
    Stage {
        what: "a download in TLS",
        until: |all| {
            let mut stream = all.secure();
            stream.write_all(b"GET /bytes/9000000 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
            std::thread::sleep(Duration::from_millis(20));
            stream.sock
        },
    },
    Stage {
        what: "an HTTP/2 stream",
        until: |all| {
            let mut connection =
                h2::Connection::over(tls::client("www.test").alpn(&["h2"]).connect(all.world.https()).unwrap());
            let fields: [(&[u8], &[u8]); 4] = [
                (b":method", b"GET"),
                (b":scheme", b"https"),
                (b":authority", b"www.test"),
                (b":path", b"/sleep/5000"),
            ];
            connection.send(&fields, None).unwrap();
            connection.into_socket()
        },
    },
    Stage { what: "half a request", until: |all| all.plain(b"GET / HTTP/1.1\r\nHo") },
    Stage { what: "a request", until: |all| all.plain(b"GET /sleep/5000 HTTP/1.1\r\nHost: www.test\r\n\r\n") },
    Stage {
        what: "an upload",
        until: |all| all.plain(b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: 100000\r\n\r\nand so on"),
    },
    Stage { what: "a download", until: |all| all.plain(b"GET /bytes/9000000 HTTP/1.1\r\nHost: www.test\r\n\r\n") },
    Stage { what: "a refused request", until: |all| all.plain(b"GET / HTTP/1.1\nHost: www.test\n\n") },
    Stage {
        what: "a WebSocket",
        until: |all| {
            let stream = raw::connect(all.world.http());
            let kept = stream.try_clone().unwrap();
            let mut socket = WebSocket::open(stream, "www.test", "/socket").map_err(|answer| answer.text()).unwrap();
            socket.send(b"hello").unwrap();
            kept
        },
    },
    Stage { what: "half a CONNECT", until: |all| sent(all.world.proxy(), b"CONNECT 127.") },
    Stage {
        what: "a CONNECT",
        until: |all| {
            let target = all.echo.address();
            sent(all.world.proxy(), format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes())
        },
    },
    Stage {
        what: "a tunnel",
        until: |all| {
            let mut stream = tunnel::open(all.world.proxy(), &all.echo.address().to_string(), "").unwrap();
            stream.write_all(&[7; 50_000]).unwrap();
            stream
        },
    },
    Stage {
        what: "a forwarded download",
        until: |all| {
            let target = all.app.address();
            sent(
                all.world.proxy(),
                format!("GET http://{target}/bytes/9000000 HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes(),
            )
        },
    },
];

#[test]
fn clients_that_break_off_at_any_stage_leave_nothing_behind() {
    within(120, || {
        let (app, echo, socket) = (Backend::application(), Backend::echo(), Backend::talking(websocket::talk));
        let world = World::new("break-off")
            .terminates(&["www.test"])
            .pool("app", &[app.address()])
            .pool("echo", &[echo.address()])
            .pool("socket", &[socket.address()])
            .http_route("name = \"socket\"\npaths = [\"/socket\"]\npool = \"socket\"")
            .serves("app")
            .passes("echo.test", "echo")
            .forwards_to(&[echo.address(), app.address()])
            .start();
        let all = Everything { world, socket, app, echo };
        for stage in STAGES {
            for rude in [true, false] {
                let streams: Vec<TcpStream> = (0..4).map(|_| (stage.until)(&all)).collect();
                if rude {
                    streams.iter().for_each(reset);
                }
                drop(streams);
            }
            let count = std::panic::AssertUnwindSafe(|| all.world.assert_descriptors());
            assert!(std::panic::catch_unwind(count).is_ok(), "after clients broke off after {}", stage.what);
        }
        assert!(!all.socket.connections().is_empty());
    });
}

#[test]
fn the_counting_counts() {
    let name = "the_counting_counts";
    if !nix::unistd::geteuid().is_root() {
        return needs::note(name, "descriptors of our processes are shown to root only");
    }
    within(60, || {
        let echo = Backend::echo();
        let world = World::new("counting").pool("echo", &[echo.address()]).passes("echo.test", "echo").start();
        let held = sent(world.https(), &tls::client("echo.test").hello().0);
        echo.wait_for_bytes(100);
        let count = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.assert_descriptors()));
        assert!(count().is_err(), "an open tunnel is two descriptors more");
        drop(held);
        assert!(count().is_ok());
    });
}
