//! Answers under inspection (`responses`): what gives something away is withheld, everything else arrives as the application sent it, and what
//! streams keeps streaming.

use std::io::Read;

use super::{Answer, get, http, line, raw, send, world};
use harness::World;
use harness::backends::{Backend, Talk};
use harness::within;
use std::io::Write;

const LEAK: &str = "<html>You have an error in your SQL syntax near 'x'</html>";

/// An application that says what the path asks for.
fn application() -> Backend {
    Backend::talking(|mut talk: Talk| {
        loop {
            let head = String::from_utf8_lossy(&talk.read_until(b"\r\n\r\n")?).to_ascii_lowercase();
            if head.is_empty() {
                return Ok(());
            }
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let whole = |kind: &str, extra: &str, body: &[u8]| {
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{extra}Content-Length: {}\r\n\r\n", body.len());
                [head.as_bytes(), body].concat()
            };
            let plain = head.contains("accept-encoding: identity\r\n");
            match path.as_str() {
                "/leak" => talk.say(&whole("text/html", "", LEAK.as_bytes()))?,
                "/binary" => talk.say(&whole("application/pdf", "", LEAK.as_bytes()))?,
                "/coded" => talk.say(&whole("text/html", "Content-Encoding: gzip\r\n", LEAK.as_bytes()))?,
                "/large" => talk.say(&whole("text/plain", "", &vec![b'a'; 40_000]))?,
                "/late" => talk.say(&whole("text/plain", "", &[&vec![b'a'; 20_000], LEAK.as_bytes()].concat()))?,
                "/coding" => talk.say(&whole("text/plain", "", if plain { b"plain" } else { b"coded" }))?,
                "/chunks" => talk.say(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                )?,
                "/head" => talk.say(b"HTTP/1.1 200 OK\r\nX-Leak: secret-build\r\nContent-Length: 0\r\n\r\n")?,
                "/cut" => {
                    talk.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nabc")?;
                    return talk.end();
                }
                "/events" => {
                    talk.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                    talk.say(b"9\r\ndata: 1\n\n\r\n")?;
                    talk.drain(); // the rest is up to the client
                    return Ok(());
                }
                _ => talk.say(&whole("text/html", "", b"<p>all is well</p>"))?,
            }
        }
    })
}

const RULES: &str = r#"
SecRuleEngine On
SecRule RESPONSE_HEADERS:X-Leak "@contains secret" "id:301,phase:3,deny,status:403,msg:'head'"
SecRule RESPONSE_BODY "@contains error in your SQL" "id:302,phase:4,deny,status:500,msg:'leak',tag:'attack-disclosure'"
"#;

fn watching(name: &str, backend: &Backend, keys: &str) -> World {
    let keys = format!("responses = true\nmax_response_body = \"16KiB\"\ninline_body = \"8KiB\"\n{keys}");
    world(name, backend, &keys).file("rules/answers.conf", RULES).start()
}

fn ask(world: &World, path: &str) -> Answer {
    send(world, format!("GET {path} HTTP/1.1\r\nHost: www.test\r\nAccept-Encoding: gzip\r\n\r\n").as_bytes())
}

#[test]
fn what_gives_something_away_is_withheld_and_the_rest_arrives_as_it_was() {
    within(60, || {
        let backend = application();
        let world = watching("waf-answers", &backend, "mode = \"block\"\n");
        let refused = ask(&world, "/leak");
        assert_eq!(refused.status, 500, "{}", refused.text());
        assert!(!refused.text().contains("SQL") && refused.text().contains("reference number "), "{}", refused.text());
        let reference = refused.text().split("reference number ").nth(1).unwrap()[..32].to_owned();
        assert_eq!(line(&world, "request", &reference)["decision"], "web-attack-answer");
        assert_eq!(line(&world, "web-attack", &reference)["hits"][0]["id"], 302);
        assert_eq!(ask(&world, "/head").status, 403, "the head is enough");
        assert_eq!(ask(&world, "/").body, b"<p>all is well</p>");
        assert_eq!(ask(&world, "/chunks").body, b"abcde");
        assert_eq!(ask(&world, "/coding").body, b"plain", "rules cannot look into what is compressed");
        assert_eq!(ask(&world, "/binary").body, LEAK.as_bytes(), "of no type that rules look at");
        // Looked at as far as may be, and passed on as a whole.
        assert_eq!(ask(&world, "/large").body, vec![b'a'; 40_000]);
        assert!(ask(&world, "/late").body.ends_with(LEAK.as_bytes()), "behind max_response_body");
        assert_eq!(ask(&world, "/coded").body, LEAK.as_bytes(), "compressed all the same");
        assert_eq!(world.figure("http-filter", "web_attack_answers_overlooked"), 3);
        assert_eq!(world.figure("http-filter", "web_attacks_refused"), 2);
        assert_eq!(get(&world, "/?a=evil"), 403, "requests are judged as ever");
    });
}

#[test]
fn what_streams_streams_and_what_breaks_off_is_a_502() {
    within(60, || {
        let backend = application();
        let world = watching("waf-answers-streams", &backend, "mode = \"block\"\n");
        let mut stream = raw::connect(world.http());
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let head = http::read_head(&mut stream).unwrap();
        assert!(head.contains("text/event-stream"), "{head}");
        let mut event = [0; 14];
        stream.read_exact(&mut event).unwrap();
        assert_eq!(&event, b"9\r\ndata: 1\n\n\r\n", "it came although the answer has no end");
        // Nobody has been told yet that there is an answer, so it can be said that there is none.
        let cut = ask(&world, "/cut");
        assert_eq!((cut.status, world.figure("http-filter", "upstream_failed")), (502, 1), "{}", cut.text());
    });
}

#[test]
fn detection_withholds_nothing_and_scopes_may_do_without() {
    within(60, || {
        let backend = application();
        let keys = r#"
            mode = "detect"
            [[http-filter.web-attacks.scope]]
            name = "downloads"
            paths = "/coding"
            responses = false
            "#;
        let world = watching("waf-answers-detect", &backend, keys);
        assert_eq!(ask(&world, "/leak").body, LEAK.as_bytes());
        let found = line(&world, "web-attack", "\"id\":302");
        assert_eq!((&found["refused"], &found["mode"]), (&false.into(), &"detect".into()));
        assert_eq!(ask(&world, "/coding").body, b"coded", "here nobody looks");
    });
}
