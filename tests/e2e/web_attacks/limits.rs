//! Every limit and policy of the stage: what is refused, what passes unlooked-at, and that neither happens in silence.

use std::io::Write;

use harness::backends::Backend;
use harness::clients::{http, raw};
use harness::{World, eventually, within};
use serde_json::Value;

use super::{FORM, JSON, blocking, get, line, post, post_with, send, world};

/// `text=` and so many letters, then this.
fn padded(size: usize, end: &str) -> Vec<u8> {
    [b"text=", "x".repeat(size).as_bytes(), end.as_bytes()].concat()
}

fn chunks(body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut out = head.into_bytes();
    for chunk in body.chunks(700) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn decision(world: &World, word: &str) -> Value {
    line(world, "request", word)["decision"].clone()
}

#[test]
fn a_body_that_is_too_large_is_refused_inspected_in_part_or_passed() {
    within(90, || {
        let backend = Backend::application();
        for (policy, declared, in_chunks, behind, within) in [
            // Harmless and too large; the same in chunks; an attack behind the limit, and within it.
            ("reject", 413, 413, 413, 413),
            ("inspect-part", 200, 200, 200, 403),
            ("skip", 200, 200, 200, 200),
        ] {
            let keys = format!("max_body = \"1KiB\"\nover_limit = \"{policy}\"\n");
            let world = blocking(&format!("waf-over-{policy}"), &backend, &keys);
            let large = padded(3000, "");
            let answer = post(&world, "/echo", FORM, &large);
            assert_eq!((answer.status, answer.status == 413 || answer.body == large), (declared, true), "{policy}");
            let answer = send(&world, &chunks(&large));
            assert_eq!((answer.status, answer.status == 413 || answer.body == large), (in_chunks, true), "{policy}");
            assert_eq!(post(&world, "/", FORM, &padded(3000, "&a=evil")).status, behind, "{policy}");
            assert_eq!(
                post(&world, "/", FORM, &[b"a=evil&".to_vec(), large.clone()].concat()).status,
                within,
                "{policy}"
            );
            let fits = padded(1000, "");
            assert_eq!(post(&world, "/", FORM, &fits).status, 200, "{policy}");
            assert_eq!(
                post(&world, "/?q=evil", FORM, &large).status,
                if policy == "reject" { 413 } else { 403 },
                "{policy}"
            );
            // Never in silence.
            assert_eq!(world.figure("http-filter", "web_attack_over_limit"), 5, "{policy}");
            assert_eq!(line(&world, "request", "large-body")["attack_note"], "large-body");
            if policy == "reject" {
                assert_eq!(decision(&world, "413"), "web-attack-limit");
            }
        }
    });
}

#[test]
fn coded_bodies_cannot_be_looked_at() {
    within(60, || {
        let backend = Backend::application();
        let coded = format!("Content-Type: {FORM}\r\nContent-Encoding: gzip\r\n");
        for (policy, status) in [("reject", 415), ("skip", 200), ("inspect-part", 200)] {
            let world = blocking(&format!("waf-coded-{policy}"), &backend, &format!("over_limit = \"{policy}\"\n"));
            assert_eq!(post_with(&world, "/", &coded, b"\x1f\x8b\x08...").status, status, "{policy}");
            assert_eq!(line(&world, "request", "coded-body")["attack_note"], "coded-body");
            let identity = format!("Content-Type: {FORM}\r\nContent-Encoding: identity\r\n");
            assert_eq!(post_with(&world, "/", &identity, b"a=evil").status, 403);
        }
    });
}

#[test]
fn what_a_request_may_hold_is_limited() {
    within(60, || {
        let backend = Backend::application();
        let limits = "max_arguments = 3\nmax_depth = 4\nmax_nodes = 20\nmax_name_length = 20\nmax_value_length = 20\nmax_parts = 2\n";
        let world = blocking("waf-limits", &backend, limits);
        let multipart = |count: usize| {
            let part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
            format!("{}--b--\r\n", part.repeat(count))
        };
        let boundary = "multipart/form-data; boundary=b";
        let refused = [
            (FORM, "a=1&b=2&c=3&d=4".to_owned()),
            (FORM, "a_name_that_is_far_too_long=1".to_owned()),
            (FORM, "a=a_value_that_is_longer_than_twenty".to_owned()),
            (JSON, "[[[[[[1]]]]]]".to_owned()),
            (JSON, format!("[{}1]", "{},".repeat(30))),
            (boundary, multipart(3)),
        ];
        for (kind, body) in &refused {
            let answer = post(&world, "/", kind, body.as_bytes());
            assert_eq!(answer.status, 413, "{body}: {}", answer.text());
        }
        for (kind, body) in [(FORM, "a=1&b=2&c=3".to_owned()), (JSON, "[[1]]".to_owned()), (boundary, multipart(2))] {
            assert_eq!(post(&world, "/", kind, body.as_bytes()).status, 200, "{body}");
        }
        assert_eq!((get(&world, "/?a=1&b=2&c=3"), get(&world, "/?a=1&b=2&c=3&d=4")), (200, 413));
        assert_eq!(world.figure("http-filter", "web_attack_over_limit"), 7);
        drop(world);
        let world = blocking("waf-limits-skip", &backend, &format!("over_limit = \"inspect-part\"\n{limits}"));
        for (kind, body) in &refused {
            assert_eq!(post(&world, "/", kind, body.as_bytes()).status, 200, "{body}");
        }
        assert_eq!(post(&world, "/", FORM, b"a=evil&b=2&c=3&d=4").status, 403, "what was read is looked at");
        assert_eq!(world.figure("http-filter", "web_attack_over_limit"), 6);
    });
}

#[test]
fn bodies_that_are_not_what_they_say() {
    within(60, || {
        let backend = Backend::application();
        let broken = [
            (JSON, "{\"a\":"),
            ("text/xml", "<a><b></a>"),
            ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"),
        ];
        let world = blocking("waf-malformed", &backend, "");
        for (kind, body) in broken {
            let answer = post(&world, "/", kind, body.as_bytes());
            assert_eq!(answer.status, 400, "{kind}: {}", answer.text());
        }
        assert_eq!(decision(&world, "\"status\":400"), "web-attack-body");
        assert_eq!(post(&world, "/", JSON, b"{\"a\":\"Evil\"}").status, 403);
        assert_eq!(post(&world, "/", "text/xml", b"<a>evil</a>").status, 403);
        assert_eq!(post(&world, "/", JSON, b"").status, 200, "no body is no broken one");
        assert_eq!(world.figure("http-filter", "web_attack_malformed_bodies"), 3);
        drop(world);
        let world = blocking("waf-malformed-pass", &backend, "malformed_body = \"pass\"\n");
        for (kind, body) in broken {
            assert_eq!(post(&world, "/", kind, body.as_bytes()).status, 200, "{kind}");
        }
        assert_eq!(world.figure("http-filter", "web_attack_malformed_bodies"), 3);
        assert_eq!(line(&world, "request", "malformed-body")["attack_note"], "malformed-body");
    });
}

#[test]
fn a_request_that_costs_too_much_is_refused_or_passes() {
    within(60, || {
        let backend = Backend::application();
        // A rule that looks at everything many times; a millisecond is soon spent.
        let rules: String = (0..60)
            .map(|number| {
                format!(
                    "SecRule ARGS \"@rx (a|b|ab)*c{number}$\" \"id:{},phase:2,pass,nolog,t:lowercase,t:urlDecode\"\n",
                    500 + number
                )
            })
            .collect();
        for (policy, status) in [("reject", 403), ("pass", 200)] {
            let world = world(
                &format!("waf-budget-{policy}"),
                &backend,
                &format!(
                    "mode = \"block\"\nbudget = \"1ms\"\nover_budget = \"{policy}\"\nrules = [\"rules/test.conf\", \"rules/slow.conf\"]\n"
                ),
            );
            let world = world.file("rules/slow.conf", &rules).start();
            assert_eq!(get(&world, "/?a=short"), 200);
            let body: Vec<u8> =
                (0..200).flat_map(|number| format!("p{number}={}&", "ab".repeat(2000)).into_bytes()).collect();
            assert_eq!(post(&world, "/", FORM, &body).status, status, "{policy}");
            assert_eq!(world.figure("http-filter", "web_attack_over_budget"), 1);
            assert_eq!(line(&world, "request", "\"attack_note\":\"budget\"")["attack_note"], "budget");
            if status == 403 {
                assert_eq!(decision(&world, "\"status\":403"), "web-attack-budget");
            }
        }
    });
}

#[test]
fn bodies_beyond_what_may_wait_are_sent_away_at_once() {
    within(60, || {
        let backend = Backend::application();
        let slow: String = (0..200)
            .map(|number| format!("SecRule ARGS \"@rx (a|b|ab)*c{number}$\" \"id:{},phase:2,pass,nolog,t:lowercase,t:md5,t:hexEncode,t:sha1\"\n", 500 + number))
            .collect();
        let keys = "mode = \"block\"\nbudget = \"5s\"\nthreads = 1\nmax_waiting = 1\nrules = [\"rules/test.conf\", \"rules/slow.conf\"]\n";
        let world = world("waf-busy", &backend, keys).file("rules/slow.conf", &slow).start();
        let body: Vec<u8> =
            (0..240).flat_map(|number| format!("p{number}={}&", "ab".repeat(2000)).into_bytes()).collect();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: www.test\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let statuses = eventually(20, "more bodies than may wait", || {
            let mut streams: Vec<_> = (0..8).map(|_| raw::connect(world.http())).collect();
            for stream in &mut streams {
                stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            }
            // Meanwhile the serving thread serves.
            assert_eq!(get(&world, "/?a=fine"), 200);
            let statuses: Vec<u16> =
                streams.iter_mut().map(|stream| http::read_answer(stream).unwrap().status).collect();
            statuses.contains(&503).then_some(statuses)
        });
        assert!(statuses.contains(&200), "{statuses:?}");
        assert_eq!(decision(&world, "\"status\":503"), "web-attack-busy");
    });
}

#[test]
fn scopes_and_exclusions_decide_for_the_requests_they_describe() {
    within(60, || {
        let backend = Backend::application();
        let world = blocking(
            "waf-scopes",
            &backend,
            r#"
            [[http-filter.web-attacks.scope]]
            name = "free"
            paths = "/free/*"
            mode = "off"
            [[http-filter.web-attacks.scope]]
            name = "watched"
            paths = "/watched/*"
            mode = "detect"
            [[http-filter.web-attacks.scope]]
            name = "strict"
            paths = ["/strict/*", "/free/*"]
            inbound_threshold = 3
            max_body = "100B"
            mode = "block"
            [[http-filter.web-attacks.scope]]
            name = "lenient"
            paths = "/strict/lenient/*"
            inbound_threshold = 9
            over_limit = "skip"
            [[http-filter.web-attacks.exclude]]
            name = "editor"
            paths = "/edit"
            tags = ["attack-evil"]
            arguments = ["html"]
            [[http-filter.web-attacks.exclude]]
            name = "by-number"
            paths = "/tool"
            rules = ["100-101"]
            [[http-filter.web-attacks.exclude]]
            name = "cookie"
            targets = ["REQUEST_COOKIES:tracker"]
            "#,
        );
        for (target, status) in [
            ("/?a=evil", 403),
            ("/free/?a=evil", 200),
            ("/watched/?a=evil", 200),
            ("/?a=odd", 200),
            ("/strict/?a=odd", 403),
            ("/strict/lenient/?a=odd", 403),
            ("/edit?html=evil", 200),
            ("/edit?text=evil", 403),
            ("/edit?html=evil+odd&text=fine", 200),
            ("/tool?a=evil", 200),
            ("/tool?a=odd", 200),
        ] {
            assert_eq!(get(&world, target), status, "{target}");
        }
        let with_cookie = |cookie: &str| {
            send(&world, format!("GET / HTTP/1.1\r\nHost: www.test\r\nCookie: {cookie}\r\n\r\n").as_bytes()).status
        };
        assert_eq!((with_cookie("a=1; tracker=evil"), with_cookie("a=evil; tracker=1")), (200, 403));
        assert_eq!(post(&world, "/strict/", FORM, &padded(200, "")).status, 413);
        assert_eq!(post(&world, "/strict/lenient/", FORM, &padded(200, "")).status, 200, "its own over_limit");
        assert_eq!(post(&world, "/", FORM, &padded(200, "")).status, 200);
        assert_eq!(world.figure("http-filter", "web_attacks_detected"), 1);
    });
}

#[test]
fn records_hide_secrets_and_rules_may_redirect_or_drop() {
    within(60, || {
        let backend = Backend::application();
        let world = world("waf-records", &backend, "mode = \"block\"\nrules = [\"rules/test.conf\", \"rules/more.conf\"]\n").file(
            "rules/more.conf",
            "SecRule ARGS:go \"@streq away\" \"id:301,phase:2,status:302,redirect:'https://www.test/sorry',msg:'gone'\"\n\
             SecRule ARGS:go \"@streq drop\" \"id:302,phase:2,drop,msg:'dropped'\"\n\
             SecRule ARGS:go \"@streq teapot\" \"id:303,phase:2,deny,status:418,msg:'tea'\"\n",
        ).start();
        assert_eq!(post(&world, "/login", FORM, b"user=me&password=my-evil-secret").status, 403);
        let record = line(&world, "web-attack", "/login");
        assert_eq!(
            (&record["hits"][0]["variable"], &record["hits"][0]["value"]),
            (&"ARGS:password".into(), &"(masked)".into())
        );
        assert_eq!(record["hits"][0]["message"], "Something evil");
        assert!(record["hits"][0]["place"].as_str().unwrap().ends_with("test.conf:7"), "{record}");
        assert!(!world.log().iter().any(|line| line.contains("my-evil-secret")), "the secret is nowhere in the log");
        let answer = send(&world, b"GET /?go=away HTTP/1.1\r\nHost: www.test\r\n\r\n");
        assert_eq!((answer.status, answer.header("location")), (302, Some("https://www.test/sorry")));
        let answer = send(&world, b"GET /?go=drop HTTP/1.1\r\nHost: www.test\r\n\r\n");
        assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));
        assert_eq!(get(&world, "/?go=teapot"), 418);
        let page = world.bulkhead(&["metrics", world.config().to_str().unwrap()]);
        let page = String::from_utf8_lossy(&page.stdout).into_owned();
        assert!(
            page.lines().any(|line| line.contains("rule=\"web-attack:101\"")
                && line.contains("refused")
                && line.ends_with(" 1")),
            "{page}"
        );
    });
}
