//! `bulkhead explain URL`: what it says is what then happens, with the rule and its line, and asking leaves no trace.

use std::fs;
use std::io::Write;

use harness::backends::Backend;
use harness::clients::{http, raw, tls, tunnel};
use harness::{World, folder, within};
use serde_json::Value;

const RULES: &str = r#"
[[http-filter.access]]
name = "no-admin"
action = "deny"
paths = ["/admin", "/admin/*"]

[[http-filter.access]]
name = "no-delete"
action = "deny"
methods = ["DELETE"]

[[http-filter.access]]
name = "would-deny"
action = "deny"
mode = 'observe'
paths = ["/observed"]

[[http-filter.access]]
name = "no-debug"
action = "deny"
headers = [{ name = "x-debug", value = "1" }]

[[http-filter.rate-limit]]
name = "two"
requests = 2
per = "1h"
key = ["client"]
paths = ["/limited"]

[[sni-router.access]]
name = "not-from-there"
action = "deny"
clients = ["127.0.0.66"]

[[forward-proxy.access]]
name = "no-social"
action = "deny"
destinations = ["*.social.test"]
"#;

struct Asked<'a> {
    world: &'a World,
    words: Vec<String>,
}

impl Asked<'_> {
    fn text(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let output = self.world.bulkhead(&words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    fn json(mut self) -> Value {
        self.words.push("--json".into());
        serde_json::from_str(&self.text()).unwrap()
    }
}

fn explain<'a>(world: &'a World, words: &[&str]) -> Asked<'a> {
    let config = world.config().to_string_lossy().into_owned();
    let all = ["explain"].iter().chain(words).chain(&["--config", &config]).map(|word| (*word).to_owned()).collect();
    Asked { world, words: all }
}

/// The step that ended it: process, stage, rule.
fn refusal(value: &Value) -> Option<(String, String, String)> {
    let process = value["refused"]["process"].as_str()?;
    let stages = value["stages"].as_array().unwrap();
    let stage = stages.iter().find(|stage| stage["process"] == process).unwrap();
    let step = stage["steps"].as_array().unwrap().iter().find(|step| step["refused"] == true).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some((process.to_owned(), text(&step["decision"]), text(&step["rule"])))
}

/// The steps of one process by the name of their stage.
fn step<'v>(value: &'v Value, process: &str, stage: &str) -> &'v Value {
    let stages = value["stages"].as_array().unwrap();
    let found =
        stages.iter().find(|one| one["process"] == process).unwrap_or_else(|| panic!("no {process}: {value:#}"));
    let steps = found["steps"].as_array().unwrap();
    steps.iter().find(|one| one["stage"] == stage).unwrap_or_else(|| panic!("no {stage}: {value:#}"))
}

/// The line of the file in which a text stands.
fn line_of(world: &World, text: &str) -> u64 {
    let file = fs::read_to_string(world.config()).unwrap();
    let at = file.find(text).unwrap_or_else(|| panic!("{text} is not in the file"));
    // The table begins in the line above its name.
    file[..at].matches('\n').count() as u64
}

#[test]
fn what_is_explained_is_what_happens() {
    within(120, || {
        let (app, echo) = (Backend::application(), Backend::echo());
        let world = World::new("explain")
            .terminates(&["www.test", "*.wild.test"])
            .pool("app", &[app.address()])
            .pool("echo", &[echo.address()])
            .http_route("name = \"special\"\npool = \"app\"\nhosts = [\"www.test\"]\npaths = [\"/special/*\"]")
            .http_route("name = \"all\"\npool = \"app\"\nhosts = [\"www.test\"]")
            .passes("echo.test", "echo")
            .with(RULES)
            .start();
        let (https, plain) = (world.https().port(), world.http().port());
        let real = |secure: bool, method: &str, path: &str, headers: &str| {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: www.test\r\n{headers}\r\n");
            let answer = if secure {
                let mut stream = tls::client("www.test").connect(world.https()).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                let answer = http::read_answer(&mut stream).unwrap();
                tls::goodbye(stream);
                answer
            } else {
                let mut stream = raw::connect(world.http());
                stream.write_all(request.as_bytes()).unwrap();
                http::read_answer(&mut stream).unwrap()
            };
            answer.status
        };
        for (method, path, header, status, rule) in [
            ("GET", "/", None, 200, None),
            ("GET", "/special/x", None, 200, None),
            ("GET", "/admin/x", None, 403, Some("no-admin")),
            ("GET", "/a/../admin", None, 403, Some("no-admin")),
            ("GET", "/observed", None, 200, None),
            ("DELETE", "/", None, 403, Some("no-delete")),
            ("GET", "/", Some("X-Debug: 1"), 403, Some("no-debug")),
            ("GET", "/", Some("X-Debug: 2"), 200, None),
        ] {
            for secure in [true, false] {
                let url = format!(
                    "{}://www.test:{}{path}",
                    if secure { "https" } else { "http" },
                    if secure { https } else { plain }
                );
                let mut words = vec![&*url, "--method", method];
                words.extend(header.iter().flat_map(|header| ["--header", header]));
                let value = explain(&world, &words).json();
                let refused = refusal(&value);
                assert_eq!(refused.is_some(), status != 200, "{url}: {value:#}");
                if let (Some((process, decision, by)), Some(rule)) = (&refused, rule) {
                    assert_eq!((process.as_str(), by.as_str()), ("http-filter", rule));
                    assert!(decision.starts_with(&status.to_string()), "{decision}");
                    let access = step(&value, "http-filter", "access");
                    assert_eq!(access["line"], line_of(&world, &format!("name = \"{rule}\"")), "{access}");
                }
                let header = header.map(|header| format!("{header}\r\n")).unwrap_or_default();
                assert_eq!(real(secure, method, path, &header), status, "{url}");
            }
        }
        let value = explain(&world, &[&format!("https://www.test:{https}/special/a?b=1")]).json();
        assert_eq!(step(&value, "sni-router", "route")["rule"], "site-0");
        assert_eq!(step(&value, "sni-router", "route")["line"], line_of(&world, "name = \"site-0\""));
        assert_eq!(step(&value, "tls-terminator", "site")["decision"], "www.test, *.wild.test");
        assert_eq!(step(&value, "tls-terminator", "protocol")["decision"], "TLSv1.3, h2");
        assert_eq!(step(&value, "http-filter", "request")["decision"], "GET www.test/special/a?b=1 for 127.0.0.1");
        assert_eq!(step(&value, "http-filter", "route")["rule"], "special");
        assert_eq!(step(&value, "http-filter", "route")["line"], line_of(&world, "name = \"special\""));
        assert_eq!(step(&value, "passthrough-relay", "server")["decision"], app.address().to_string());
        let observed = explain(&world, &[&format!("http://www.test:{plain}/observed")]).text();
        assert!(observed.contains("would-deny") && observed.contains("It goes through."), "{observed}");
    });
}

#[test]
fn each_process_explains_its_own_part() {
    within(120, || {
        let (app, echo) = (Backend::application(), Backend::echo());
        let users = folder::temporary();
        folder::write_private(
            &users.path().join("users"),
            "demo:$2b$05$bulkheadDemoSaltAAAAAOLY5b8vRjc4JFCd2F4gcDFTgyEOF9SE2\n",
        );
        let world = World::new("explain-parts")
            .terminates(&["www.test"])
            .pool("app", &[app.address()])
            .pool("echo", &[echo.address()])
            .http_route("name = \"all\"\npool = \"app\"\nhosts = [\"www.test\"]")
            .passes("echo.test", "echo")
            .forwards_to(&[app.address()])
            .set("forward-proxy", "users_file", &format!("\"{}\"", users.path().join("users").display()))
            .with(RULES)
            .start();
        let (https, plain) = (world.https().port(), world.http().port());
        let url = format!("https://www.test:{https}/");
        let ends = |words: &[&str], process: &str, part: &str| {
            let value = explain(&world, words).json();
            let (at, decision, rule) = refusal(&value).unwrap_or_else(|| panic!("{words:?}: {value:#}"));
            assert_eq!(at, process, "{words:?}: {value:#}");
            assert!(decision.contains(part) || rule.contains(part), "{part}: {value:#}");
        };
        ends(&[&url, "--from", "127.0.0.66"], "sni-router", "not-from-there");
        ends(&["https://www.test:1/"], "sni-router", "nothing listens on port 1");
        ends(&[&format!("https://nobody.test:{https}/")], "sni-router", "otherwise.unknown_name");
        ends(&[&format!("https://127.0.0.1:{https}/")], "sni-router", "otherwise.no_sni");
        ends(&[&format!("http://www.test:{https}/")], "sni-router", "otherwise.not_tls");
        ends(&[&url, "--header", "Host: other.test"], "http-filter", "421");
        ends(&[&format!("http://other.test:{plain}/")], "http-filter", "404");
        ends(&[&format!("http://www.test:{plain}/"), "--method", "CONNECT"], "http-filter", "501");
        let passed = explain(&world, &[&format!("https://echo.test:{https}/")]).json();
        assert!(refusal(&passed).is_none());
        assert!(step(&passed, "passthrough-relay", "server")["decision"] == echo.address().to_string(), "{passed:#}");

        // Rates are looked at, not used up.
        let limited = format!("http://www.test:{plain}/limited");
        for _ in 0..5 {
            let value = explain(&world, &[&limited]).json();
            assert!(step(&value, "http-filter", "rate")["decision"].as_str().unwrap().contains("there is room"));
        }
        for _ in 0..2 {
            assert_eq!(http::get(&mut raw::connect(world.http()), "www.test", "/limited").unwrap().status, 200);
        }
        ends(&[&limited], "http-filter", "429");

        // Going out.
        let target = app.address().to_string();
        ends(&["--proxy", "CONNECT", &target], "forward-proxy", "407");
        ends(&["--proxy", "CONNECT", &target, "--user", "nobody"], "forward-proxy", "no user nobody");
        ends(&["--proxy", "CONNECT", "www.social.test:443", "--user", "demo"], "forward-proxy", "no-social");
        ends(&["--proxy", "CONNECT", "example.org:22", "--user", "demo"], "forward-proxy", "forward-proxy.ports");
        ends(&["--proxy", "CONNECT", "10.0.0.1:443", "--user", "demo"], "passthrough-relay", "private address");
        let out = explain(&world, &["--proxy", "CONNECT", &target, "--user", "demo"]).json();
        assert!(refusal(&out).is_none(), "{out:#}");
        let demo = "Proxy-Authorization: Basic ZGVtbzpkZW1v\r\n";
        assert!(tunnel::open(world.proxy(), &target, demo).is_ok());
    });
}

#[test]
fn asking_leaves_no_trace() {
    within(60, || {
        let app = Backend::application();
        let world = World::new("explain-trace")
            .terminates(&["www.test"])
            .pool("app", &[app.address()])
            .http_route("name = \"all\"\npool = \"app\"\nhosts = [\"www.test\"]")
            .with(RULES)
            .start();
        let (https, plain) = (world.https().port(), world.http().port());
        let figures = || world.status().into_iter().map(|one| one["figures"].clone()).collect::<Vec<Value>>();
        let (before, said) = (figures(), world.log().len());
        for url in [
            format!("https://www.test:{https}/"),
            format!("https://www.test:{https}/admin"),
            format!("https://www.test:{https}/%zz"),
            format!("http://nobody.test:{plain}/limited"),
            format!("https://nobody.test:{https}/"),
        ] {
            explain(&world, &[&url, "--header", "X-Debug: 1"]).json();
        }
        assert_eq!(figures(), before);
        assert_eq!(world.log().len(), said, "{:?}", &world.log()[said..]);
        assert!(app.connections().is_empty());
    });
}
