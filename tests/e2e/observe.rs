//! What http-filter says of a request: its line in the log (fields, escapes, sampling), its id, its place in a trace.

use std::io::Write;
use std::net::SocketAddr;

use harness::backends::{Backend, strict};
use harness::clients::{http, raw};
use harness::world::Builder;
use harness::{World, eventually, within};
use serde_json::Value;

fn seen(backend: &Backend) -> Vec<strict::Request> {
    let connections = backend.connections();
    connections.iter().flat_map(|one| strict::requests(&one.bytes(), true).expect("only strict requests")).collect()
}

fn ask(address: SocketAddr, request: &str) -> http::Answer {
    let mut stream = raw::connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    http::read_answer(&mut stream).unwrap()
}

fn get(address: SocketAddr, path: &str, headers: &str) -> http::Answer {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: www.test\r\n{headers}\r\n"))
}

/// A world whose log is JSON.
fn json_world(name: &str, backend: &Backend) -> Builder {
    World::new(name)
        .pool("app", &[backend.address()])
        .serves("app")
        .set("log", "format", "\"json\"")
        .set("log", "gather", "\"1ms\"")
}

/// The lines of requests so far; every line of the log must be JSON.
fn lines(world: &World) -> Vec<Value> {
    let own = world.log().into_iter().filter(|line| line.starts_with('{'));
    let parsed = own.map(|line| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}")));
    let own: Vec<Value> =
        parsed.filter(|line: &Value| line["message"] == "request" && line["process"] == "http-filter").collect();
    let manual = include_str!("../../docs/operations.md");
    for (name, value) in own.iter().flat_map(|line| line.as_object().unwrap()) {
        assert!(manual.contains(&format!("| `{name}` |")), "docs/operations.md does not know {name}");
        assert!(!value.is_null() && !value.is_object() && !value.is_array(), "{name}: {value}");
    }
    own
}

/// Waits for the line of a path.
fn line_of(world: &World, path: &str) -> Value {
    eventually(5, &format!("a line of {path}"), || lines(world).into_iter().find(|line| line["path"] == path))
}

#[test]
fn a_line_has_every_field_that_applies_and_none_that_does_not() {
    within(60, || {
        let backend = Backend::application();
        let world = json_world("log-fields", &backend)
            .terminates(&["www.test"])
            .set("log", "fields", "[\"query\", \"user-agent\", \"referer\"]")
            .with("[[http-filter.access]]\nname = \"no-admin\"\naction = \"deny\"\npaths = [\"/admin\"]\n")
            .start();
        let headers = "User-Agent: curl/8\r\nReferer: http://x.test/?a=b\r\n";
        assert_eq!(get(world.http(), "/a/../plain?x=1&y", headers).status, 200);
        let plain = line_of(&world, "/plain");
        for (name, value) in [
            ("level", "INFO"),
            ("protocol", "HTTP/1.1"),
            ("method", "GET"),
            ("host", "www.test"),
            ("query", "x=1&y"),
            ("user_agent", "curl/8"),
            ("referer", "http://x.test/?a=b"),
            ("stage", "upstream"),
            ("decision", "passed"),
            ("route", "everything-to-app"),
            ("pool", "app"),
        ] {
            assert_eq!(plain[name], value, "{name} in {plain}");
        }
        assert_eq!((&plain["instance"], &plain["status"], &plain["attempts"]), (&1.into(), &200.into(), &1.into()));
        assert_eq!(plain["server"], backend.address().to_string());
        assert!(plain["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{plain}");
        assert_eq!(plain["request_id"].as_str().unwrap().len(), 32);
        let micros = |name: &str| plain[name].as_u64().unwrap_or_else(|| panic!("{name} in {plain}"));
        assert!(micros("connect_us") <= micros("first_byte_us") && micros("first_byte_us") <= micros("total_us"));
        assert!(plain["time"].as_str().unwrap().ends_with('Z') && micros("bytes_out") > 0);
        for absent in ["rule", "reason", "observed", "error", "slow", "aborted", "sample", "tls", "peer", "trace_id"] {
            assert!(plain.get(absent).is_none(), "{absent} in {plain}");
        }
        assert_eq!(get(world.http(), "/admin", "").status, 403);
        let denied = line_of(&world, "/admin");
        assert_eq!(
            (&denied["stage"], &denied["decision"], &denied["rule"]),
            (&"access".into(), &"denied".into(), &"no-admin".into())
        );
        assert!(
            denied["reason"].as_str().unwrap().contains("access rule") && denied.get("server").is_none(),
            "{denied}"
        );
        // TLS facts, and the next request on a kept-alive backend connection.
        let mut tls = harness::clients::tls::client("www.test").alpn(&["http/1.1"]).connect(world.https()).unwrap();
        tls.write_all(b"GET /over-tls HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        assert_eq!(http::read_answer(&mut tls).unwrap().status, 200);
        drop(tls);
        let over = line_of(&world, "/over-tls");
        assert_eq!((&over["server_name"], &over["tls"]), (&"www.test".into(), &"TLSv1.3".into()), "{over}");
        assert!(over["ja4"].as_str().unwrap().starts_with("t13d") && over.get("connect_us").is_none(), "{over}");
    });
}

#[test]
fn nothing_that_a_client_sends_forges_a_line_or_a_field() {
    within(60, || {
        let backend = Backend::application();
        let json = json_world("log-injection", &backend)
            .set("log", "fields", "[\"query\", \"user-agent\", \"referer\"]")
            .start();
        let hostile = "User-Agent: x\"},{\"status\":200,\"a\":\"\x1b[31m\tb\\\r\nReferer: \u{202e}\u{85}\u{2028}é\r\n";
        // The control byte in a value is refused by the framing; the rest must come out as it went in.
        assert_eq!(get(json.http(), "/refused", hostile).status, 400);
        let hostile = hostile.replace('\x1b', "");
        let answer = get(json.http(), "/%22%7D%0a%1b[31m\"}?a=%0d%0a\"\\n{}", &hostile);
        assert!([200, 400].contains(&answer.status), "{}", answer.status);
        let answer = get(json.http(), "/agent?a=%0d%0a%22\\n{}", &hostile);
        assert!([200, 400].contains(&answer.status), "{}", answer.status);
        let answer = get(json.http(), "/agent2", &hostile);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let line = line_of(&json, "/agent2");
        assert_eq!(line["user_agent"], "x\"},{\"status\":200,\"a\":\"[31m\tb\\");
        assert_eq!((&line["referer"], &line["status"]), (&"\u{202e}\u{85}\u{2028}é".into(), &200.into()));
        let raw: Vec<String> = json.log().into_iter().filter(|line| line.contains("agent2")).collect();
        assert!(raw.len() == 1 && raw[0].chars().all(|c| !c.is_control() && c != '\u{202e}'), "{raw:?}");
        drop(json);
        let text = World::new("log-injection-text").pool("app", &[backend.address()]).serves("app");
        let text = text.set("log", "fields", "[\"user-agent\"]").start();
        assert_eq!(get(text.http(), "/x", "User-Agent: a b=\"c\" status=200 \\\r\n").status, 200);
        let line = text.wait_for_line("http-filter", &["path=/x"]);
        assert!(line.contains("user_agent=\"a b=\\\"c\\\" status=200 \\\\\""), "{line}");
        assert!(line.contains(" http-filter@1: request request_id="), "{line}");
    });
}

#[test]
fn sampling_keeps_exactly_one_of_n_successes_and_every_other_line() {
    within(90, || {
        let backend = Backend::application();
        let world = json_world("log-sampling", &backend)
            .set("log", "sample", "10")
            .set("log", "slow", "\"300ms\"")
            .with("[[http-filter.access]]\nname = \"no-admin\"\naction = \"deny\"\npaths = [\"/admin\"]\n")
            .with("[[http-filter.access]]\nname = \"watched\"\naction = \"deny\"\npaths = [\"/watched\"]\nmode = 'observe'\n")
            .start();
        for _ in 0..50 {
            assert_eq!(get(world.http(), "/fine", "").status, 200);
        }
        for _ in 0..7 {
            assert_eq!(get(world.http(), "/admin", "").status, 403);
        }
        for _ in 0..3 {
            assert_eq!(get(world.http(), "/watched", "").status, 200);
        }
        // A slow request: its body comes late.
        let mut slow = raw::connect(world.http());
        slow.write_all(b"POST /slow HTTP/1.1\r\nHost: www.test\r\nContent-Length: 1\r\n\r\n").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(400));
        slow.write_all(b"x").unwrap();
        assert_eq!(http::read_answer(&mut slow).unwrap().status, 200);
        let line = line_of(&world, "/slow");
        assert_eq!((&line["slow"], line.get("sample")), (&true.into(), None), "{line}");
        let of = |path: &str| lines(&world).into_iter().filter(|line| line["path"] == path).collect::<Vec<_>>();
        let fine = of("/fine");
        assert_eq!(fine.len(), 5, "{fine:?}");
        assert!(fine.iter().all(|line| line["sample"] == 10));
        assert_eq!((of("/admin").len(), of("/watched").len()), (7, 3));
        assert!(of("/watched").iter().all(|line| line["observed"] == "watched" && line.get("sample").is_none()));
        assert_eq!(world.figure("http-filter", "log_dropped"), 0);
    });
}

#[test]
fn a_request_id_is_made_here_and_told_as_configured() {
    within(90, || {
        let backend = Backend::application();
        let world = json_world("request-id", &backend).set("http-filter", "request_id", "\"both\"").start();
        let answer = get(world.http(), "/id", "X-Request-Id: forged\r\nX-Request-Id: twice\r\n");
        let id = answer.header("x-request-id").expect("told to the client").to_owned();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(line_of(&world, "/id")["request_id"], *id);
        let requests = seen(&backend);
        assert_eq!(requests.last().unwrap().get("x-request-id"), Some(id.as_str()));
        // A refusal names it, too.
        let refused = ask(world.http(), "GET /x HTTP/1.1\r\nHost: www.test\r\nHost: b\r\n\r\n");
        let id = refused.header("x-request-id").expect("told").to_owned();
        assert!(refused.text().contains(&id), "{}", refused.text());
        assert!(
            eventually(5, "its line", || lines(&world).into_iter().find(|line| line["request_id"] == *id))["status"]
                == 400
        );
        drop(world);

        let trusting =
            json_world("request-id-trusted", &backend).set("http-filter", "trusted_proxies", "[\"127.0.0.1\"]").start();
        let answer = get(trusting.http(), "/theirs", "X-Request-Id: edge-7:a\r\nX-Forwarded-For: 192.0.2.9\r\n");
        assert_eq!(answer.header("x-request-id"), None, "the client is not told by default");
        let line = line_of(&trusting, "/theirs");
        assert_eq!((&line["request_id"], &line["client"]), (&"edge-7:a".into(), &"192.0.2.9".into()), "{line}");
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        assert_eq!(seen(&backend).last().unwrap().get("x-request-id"), Some("edge-7:a"));
        get(trusting.http(), "/theirs-bad", "X-Request-Id: two words\r\n");
        assert_eq!(line_of(&trusting, "/theirs-bad")["request_id"].as_str().unwrap().len(), 32);
        drop(trusting);

        let off = json_world("request-id-off", &backend).set("http-filter", "request_id", "\"off\"").start();
        get(off.http(), "/off", "X-Request-Id: theirs\r\n");
        assert_eq!(seen(&backend).last().unwrap().get("x-request-id"), Some("theirs"));
        get(off.http(), "/off2", "");
        assert_eq!(seen(&backend).last().unwrap().all("x-request-id"), Vec::<&str>::new());
    });
}

#[test]
fn a_trace_passes_begins_or_is_dropped() {
    const CAME: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    within(90, || {
        let backend = Backend::application();
        let last = |name: &str| seen(&backend).last().unwrap().all(name).join("|");
        let pass = json_world("trace-pass", &backend).start();
        for (sent, parent, state) in [
            (format!("traceparent: {CAME}\r\ntracestate: a=1,b=2\r\n"), CAME, "a=1,b=2"),
            (format!("traceparent: {CAME}\r\ntracestate: A=1\r\n"), CAME, ""),
            (format!("traceparent: {}\r\ntracestate: a=1\r\n", CAME.to_uppercase()), "", ""),
            (format!("traceparent: {CAME}\r\ntraceparent: {CAME}\r\n"), "", ""),
            ("tracestate: a=1\r\n".to_owned(), "", ""),
        ] {
            assert_eq!(get(pass.http(), "/t", &sent).status, 200);
            assert_eq!((last("traceparent").as_str(), last("tracestate").as_str()), (parent, state), "{sent}");
        }
        assert_eq!(line_of(&pass, "/t")["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        drop(pass);
        let span = json_world("trace-span", &backend).set("http-filter.trace", "mode", "\"span\"").start();
        get(span.http(), "/go-on", &format!("traceparent: {CAME}\r\ntracestate: a=1\r\n"));
        let line = line_of(&span, "/go-on");
        let own = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", line["span_id"].as_str().unwrap());
        assert!(last("traceparent") == own && own != CAME && last("tracestate") == "a=1", "{own}");
        get(span.http(), "/begin", "traceparent: junk\r\ntracestate: a=1\r\n");
        let line = line_of(&span, "/begin");
        let own = format!("00-{}-{}-01", line["trace_id"].as_str().unwrap(), line["span_id"].as_str().unwrap());
        assert!(last("traceparent") == own && last("tracestate").is_empty(), "{own}");
    });
}

/// The spans that a collector was sent.
fn spans(collector: &Backend) -> Vec<Value> {
    let bodies = seen(collector).into_iter().map(|request| {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/traces"));
        assert_eq!(request.get("content-type"), Some("application/json"));
        serde_json::from_slice::<Value>(&request.body).expect("JSON")
    });
    let resources: Vec<Value> = bodies.flat_map(|body| body["resourceSpans"].as_array().unwrap().clone()).collect();
    assert!(resources.iter().all(|one| one["resource"]["attributes"][0]["value"]["stringValue"] == "bulkhead"));
    let scopes = resources.iter().flat_map(|one| one["scopeSpans"].as_array().unwrap());
    scopes.flat_map(|scope| scope["spans"].as_array().unwrap().clone()).collect()
}

fn attribute<'a>(span: &'a Value, name: &str) -> &'a Value {
    let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == name);
    &found.unwrap_or_else(|| panic!("{name} in {span}"))["value"]
}

#[test]
fn recorded_spans_reach_the_collector_and_others_do_not() {
    const RECORDED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNRECORDED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00";
    within(90, || {
        let (backend, collector) = (Backend::application(), Backend::application());
        let world = json_world("otlp", &backend)
            .pool("collector", &[collector.address()])
            .set("http-filter.trace", "mode", "\"span\"")
            .set("http-filter.trace", "sample", "2")
            .set("http-filter.trace", "export", "\"collector\"")
            .set("http-filter.trace", "interval", "\"100ms\"")
            .with("[[http-filter.access]]\nname = \"no-admin\"\naction = \"deny\"\npaths = [\"/admin\"]\n")
            .start();
        get(world.http(), "/recorded?secret", &format!("traceparent: {RECORDED}\r\n"));
        get(world.http(), "/unrecorded", &format!("traceparent: {UNRECORDED}\r\n"));
        get(world.http(), "/admin", &format!("traceparent: {RECORDED}\r\n"));
        for _ in 0..10 {
            get(world.http(), "/new", ""); // every second one begins a trace that is recorded
        }
        let all = eventually(10, "seven spans", || Some(spans(&collector)).filter(|spans| spans.len() == 7));
        let of = |path: &str| {
            let own = all.iter().filter(|span| attribute(span, "url.path")["stringValue"] == path);
            own.collect::<Vec<_>>()
        };
        assert_eq!((of("/unrecorded").len(), of("/new").len(), of("/admin").len()), (0, 5, 1));
        let span = of("/recorded")[0];
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((&span["parentSpanId"], &span["kind"]), (&"00f067aa0ba902b7".into(), &2.into()));
        assert_eq!(span["name"], "GET everything-to-app");
        assert_eq!(attribute(span, "http.response.status_code")["intValue"], "200");
        let line = line_of(&world, "/recorded");
        assert_eq!(
            (&span["spanId"], attribute(span, "bulkhead.request_id")),
            (&line["span_id"], &serde_json::json!({ "stringValue": line["request_id"] }))
        );
        let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(nanos("startTimeUnixNano") < nanos("endTimeUnixNano"));
        assert_eq!(attribute(of("/admin")[0], "bulkhead.rule")["stringValue"], "no-admin");
        assert!(of("/new").iter().all(|span| span.get("parentSpanId").is_none()));
        assert!(!all.iter().any(|span| span.to_string().contains("secret")), "no query leaves");
        eventually(5, "the figure", || (world.figure("http-filter", "spans_sent") == 7).then_some(()));
        assert_eq!(world.figure("http-filter", "spans_dropped"), 0);
    });
}

#[test]
fn a_collector_that_is_gone_costs_spans_but_no_request() {
    within(90, || {
        let backend = Backend::application();
        let held = harness::ports::hold();
        let dead: SocketAddr = ([127, 0, 0, 1], held.port).into();
        drop(held);
        let world = json_world("otlp-gone", &backend)
            .pool("collector", &[dead])
            .set("http-filter.trace", "mode", "\"span\"")
            .set("http-filter.trace", "export", "\"collector\"")
            .set("http-filter.trace", "queue", "16")
            .set("http-filter.trace", "interval", "\"100ms\"")
            .start();
        for _ in 0..40 {
            assert_eq!(get(world.http(), "/x", "").status, 200);
        }
        eventually(5, "the figure", || (world.figure("http-filter", "spans_dropped") == 24).then_some(()));
        world.log().iter().find(|line| line.contains("spans are not taken")).expect("a line says so");
        assert_eq!(world.figure("http-filter", "spans_sent"), 0);
    });
}

/// Ends with the test, also when that fails.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_no_request() {
    // The launcher's standard error is a pipe that is read late: the processes share it.
    within(90, || {
        let backend = Backend::application();
        let folder = harness::folder::temporary();
        let held = harness::ports::hold();
        let port = held.port;
        drop(held);
        let file = folder.path().join("bulkhead.toml");
        let text = format!(
            "[bulkhead]\nruntime_dir = \"{}/run\"\n[log]\nformat = \"json\"\nbuffer = \"16KiB\"\n\
             [[sni-router.listen]]\nname = \"web\"\naddress = \"127.0.0.1:{port}\"\nprotocol = \"http\"\n\
             [[pool]]\nname = \"app\"\nservers = \"{}\"\n[[http-filter.route]]\nname = \"all\"\npool = \"app\"\n",
            folder.path().display(),
            backend.address()
        );
        std::fs::create_dir(folder.path().join("run")).unwrap();
        std::fs::write(&file, text).unwrap();
        let mut child = Killed(
            std::process::Command::new(harness::binaries::path("bulkhead"))
                .arg("up")
                .arg(&file)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        eventually(20, "it serves", || std::net::TcpStream::connect(address).is_ok().then_some(()));
        let mut stream = raw::connect(address);
        // 64 KiB of pipe and 16 KiB of buffer hold some 200 lines.
        for _ in 0..1500 {
            stream.write_all(b"GET /flood HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
            assert_eq!(http::read_answer(&mut stream).unwrap().status, 200);
        }
        drop(stream);
        let log = harness::world::Log::default();
        log.follow(child.0.stderr.take().unwrap());
        let told = eventually(10, "the loss is told", || {
            let lines = log.lines();
            let dropped: u64 =
                lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["dropped"].as_u64()).sum();
            let written = lines.iter().filter(|line| line.contains("/flood")).count();
            (dropped > 0 && dropped + u64::try_from(written).unwrap() == 1500).then_some(lines)
        });
        assert!(told.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "every line is whole");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(child.0.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        )
        .unwrap();
        assert!(child.0.wait().unwrap().success());
    });
}
