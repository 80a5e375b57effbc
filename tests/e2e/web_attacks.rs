//! Web attacks: what rules refuse, what passes and arrives as it was sent, and every limit and policy of the stage, through real sockets.

mod answers;
mod beside;
mod bodies;
mod life;
mod limits;

use std::io::Write;

use harness::backends::Backend;
use harness::clients::http::{self, Answer};
use harness::clients::{h2, raw, tls};
use harness::world::Builder;
use harness::{World, eventually, within};
use serde_json::Value;

/// Two rules that are easy to foresee, and what reads bodies. The score is the Core Rule Set's.
const RULES: &str = r#"
SecRuleEngine On
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" "id:11,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^text/xml" "id:12,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:X-Evil "@contains evil" "id:103,phase:2,deny,status:403,msg:'header'"
SecRule REQUEST_HEADERS:X-Early "@contains evil" "id:100,phase:1,deny,status:403,msg:'early'"
SecRule ARGS|REQUEST_COOKIES|XML:/* "@contains evil" "id:101,phase:2,pass,log,t:none,t:lowercase,severity:'CRITICAL',\
    msg:'Something evil',logdata:'%{MATCHED_VAR} in %{MATCHED_VAR_NAME}',tag:'attack-evil',tag:'paranoia-level/1',\
    setvar:'tx.anomaly_score=+5'"
SecRule ARGS "@contains odd" "id:102,phase:2,pass,log,t:none,severity:'WARNING',msg:'Something odd',tag:'attack-odd',\
    setvar:'tx.anomaly_score=+3'"
SecRule TX:ANOMALY_SCORE "@ge %{tx.inbound_anomaly_score_threshold}" "id:199,phase:2,deny,status:403,msg:'Score %{tx.anomaly_score}'"
"#;

/// A world with these rules and keys of `[http-filter.web-attacks]`.
fn world(name: &str, backend: &Backend, keys: &str) -> Builder {
    let rules = if keys.contains("rules = [\"rules") { "" } else { "rules = [\"rules/*.conf\"]\n" };
    World::new(name)
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .set("log", "format", "\"json\"")
        .set("log", "gather", "\"1ms\"")
        .file("rules/test.conf", RULES)
        .with(&format!("[http-filter.web-attacks]\n{rules}{keys}"))
}

fn blocking(name: &str, backend: &Backend, keys: &str) -> World {
    world(name, backend, &format!("mode = \"block\"\n{keys}")).start()
}

/// Sends bytes over plain HTTP/1.1 and reads the answer.
fn send(world: &World, request: &[u8]) -> Answer {
    let mut stream = raw::connect(world.http());
    stream.write_all(request).unwrap();
    http::read_answer(&mut stream).unwrap()
}

fn get(world: &World, target: &str) -> u16 {
    send(world, format!("GET {target} HTTP/1.1\r\nHost: www.test\r\n\r\n").as_bytes()).status
}

fn post(world: &World, path: &str, kind: &str, body: &[u8]) -> Answer {
    post_with(world, path, &format!("Content-Type: {kind}\r\n"), body)
}

fn post_with(world: &World, path: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nHost: www.test\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    send(world, &[head.as_bytes(), body].concat())
}

/// Waits for the line with this message that contains a word.
fn line(world: &World, message: &str, word: &str) -> Value {
    eventually(5, &format!("a line {message:?} with {word:?}"), || {
        let lines = world.log().into_iter().filter(|line| line.starts_with('{') && line.contains(word));
        lines.map(|line| serde_json::from_str::<Value>(&line).unwrap()).find(|line| line["message"] == message)
    })
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[test]
fn the_built_in_rules_refuse_attacks_and_pass_harmless_words() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("waf-starter")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .set("log", "format", "\"json\"")
            .set("log", "gather", "\"1ms\"")
            .with("[http-filter.web-attacks]\nmode = \"block\"\n")
            .start();
        assert_eq!(get(&world, "/?q=please+select+a+table+from+the+list"), 200);
        let attack = "/?id=1%27%20OR%20%271%27=%271%27%20--%20";
        let refused = send(&world, format!("GET {attack} HTTP/1.1\r\nHost: www.test\r\n\r\n").as_bytes());
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.text().contains("reference number "), "{}", refused.text());
        assert!(!refused.text().contains("rule:"), "a client is not told which rule: {}", refused.text());
        let reference = refused.text().split("reference number ").nth(1).unwrap()[..32].to_owned();
        let line = line(&world, "request", &reference);
        assert_eq!(line["decision"], "web-attack");
        assert!(
            line["attack_score"].as_u64().unwrap() >= 5 && line["attack_rules"].as_str().unwrap().contains("1100"),
            "{line}"
        );
        let record = self::line(&world, "web-attack", &reference);
        assert_eq!((&record["refused"], &record["mode"]), (&true.into(), &"block".into()));
        assert!(record["hits"][0]["tags"].as_array().unwrap().contains(&"attack-sqli".into()), "{record}");
        assert_eq!(post(&world, "/", FORM, b"text=<script>alert(1)</script>").status, 403);
        assert_eq!(post(&world, "/", FORM, b"text=I+like+scripts+and+alerts").status, 200);
        assert_eq!(world.figure("http-filter", "web_attacks_refused"), 2);
        assert_eq!(world.figure("http-filter", "web_attacks_inspected"), 4);
    });
}

#[test]
fn requests_are_judged_alike_over_h1_tls_and_h2() {
    within(60, || {
        let backend = Backend::application();
        let world = blocking("waf-protocols", &backend, "");
        assert_eq!((get(&world, "/?a=fine"), get(&world, "/?a=evil")), (200, 403));
        let mut stream = tls::client("www.test").alpn(&["http/1.1"]).connect(world.https()).unwrap();
        stream.write_all(b"GET /?a=EVIL HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        assert_eq!(http::read_answer(&mut stream).unwrap().status, 403);
        stream.write_all(b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}").unwrap();
        assert_eq!(
            http::read_answer(&mut stream).unwrap().text(),
            "{\"a\":\"b\"}",
            "the connection goes on after a refusal"
        );
        let mut connection =
            h2::Connection::over(tls::client("www.test").alpn(&["h2"]).connect(world.https()).unwrap());
        let kind: (&[u8], &[u8]) = (b"content-type", FORM.as_bytes());
        for (body, status) in [(&b"a=fine"[..], 200), (b"a=evil", 403)] {
            let fields = [
                (&b":method"[..], &b"POST"[..]),
                (b":scheme", b"https"),
                (b":authority", b"www.test"),
                (b":path", b"/echo"),
                kind,
            ];
            let stream = connection.send(&fields, Some(body)).unwrap();
            match connection.outcome(stream) {
                h2::Outcome::Answer(answered, text) => {
                    assert_eq!(answered, status);
                    assert!(status == 403 || text == body);
                }
                other => panic!("{other:?}"),
            }
        }
        let record = line(&world, "web-attack", "HTTP/2.0");
        assert_eq!(record["hits"][0]["variable"], "ARGS:a");
    });
}

#[test]
fn off_is_off_and_detection_refuses_nothing() {
    within(60, || {
        let backend = Backend::application();
        let off = world("waf-off", &backend, "").start();
        assert_eq!(get(&off, "/?a=evil"), 200);
        assert_eq!(off.figure("http-filter", "web_attacks_inspected"), 0);
        drop(off);
        let detect =
            world("waf-detect", &backend, "mode = \"detect\"\nmax_body = \"1KiB\"\nmax_arguments = 3\n").start();
        assert_eq!(get(&detect, "/?a=evil"), 200);
        let record = line(&detect, "web-attack", "detect");
        assert_eq!((&record["refused"], &record["detected"]), (&false.into(), &true.into()));
        let large = [b"a=1&b=", "x".repeat(2000).as_bytes()].concat();
        for (headers, body) in [
            (format!("Content-Type: {FORM}\r\n"), large),
            (format!("Content-Type: {FORM}\r\n"), b"a=1&b=2&c=3&d=4".to_vec()),
            (format!("Content-Type: {JSON}\r\n"), b"{broken".to_vec()),
            (format!("Content-Type: {JSON}\r\nContent-Encoding: gzip\r\n"), b"{}".to_vec()),
        ] {
            let answer = post_with(&detect, "/echo", &headers, &body);
            assert_eq!((answer.status, answer.body == body), (200, true), "{headers}");
        }
        assert_eq!(detect.figure("http-filter", "web_attacks_refused"), 0);
        assert_eq!(detect.figure("http-filter", "web_attacks_detected"), 5);
    });
}
