//! Requests in absolute form: what the server sees, what the client gets back, what is refused.

use crate::world::{Client, Setting, World};

async fn get(client: &mut Client, uri: &str, lines: &str) -> crate::world::Answer {
    let host = uri.split(['/', '?']).nth(2).unwrap();
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")).await;
    client.answer().await
}

#[test]
fn both_sides_are_kept_alive_and_only_what_belongs_there_goes_on() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let mut client = world.connect().await;
        let lines = "Proxy-Authorization: Basic c2VjcmV0OnNlY3JldA==\r\nProxy-Connection: keep-alive\r\nConnection: X-Hop\r\n\
                     X-Hop: 1\r\nX-Forwarded-For: 10.1.2.3\r\nForwarded: for=10.1.2.3\r\nX-Real-IP: 10.1.2.3\r\nVia: 1.0 inner\r\n\
                     TE: trailers\r\nUpgrade: websocket\r\nCookie: a=b\r\nX_Under: kept\r\n";
        for path in ["/first?q=%20x&y=1", "/second", "/third"] {
            let answer = get(&mut client, &format!("http://{backend}{path}"), lines).await;
            assert_eq!(answer.status, 200);
            assert!(answer.has("via: 1.1 bulkhead") && answer.has("x-backend: yes"), "{answer:?}");
            let seen = answer.body.to_ascii_lowercase();
            assert!(seen.starts_with(&format!("get {path} http/1.1\r\n")), "{seen}");
            assert!(
                seen.contains(&format!("\r\nhost: {backend}\r\n")) && seen.contains("\r\ncookie: a=b\r\n"),
                "{seen}"
            );
            assert!(
                seen.contains("\r\nvia: 1.0 inner, 1.1 bulkhead\r\n") && seen.contains("\r\nx_under: kept\r\n"),
                "{seen}"
            );
            let gone =
                ["proxy-", "x-hop", "forwarded", "real-ip", "10.1.2.3", "127.0.0.1", "upgrade", "c2vjcmv0", "\r\nte:"];
            for word in gone {
                assert!(!seen.contains(word), "{word} in {seen}");
            }
        }
        assert_eq!(world.backend.connections.get(), 1);
        assert_eq!(world.relay.dialled.borrow().len(), 1);
    });
}

#[test]
fn hop_by_hop_fields_of_answers_stay_here() {
    World::run(Setting::default(), async |world| {
        let mut client = world.connect().await;
        let answer = get(&mut client, &format!("http://{}/hop", world.backend_name()), "").await;
        let head = answer.head.to_ascii_lowercase();
        for word in ["x-hop", "proxy-authenticate", "keep-alive", "ntlm", "negotiate"] {
            assert!(!head.contains(word), "{word} in {head}");
        }
        assert!(head.contains("www-authenticate: basic realm=\"origin\""), "{head}");
    });
}

#[test]
fn a_connection_that_authenticates_itself_is_not_shared() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let mut client = world.connect().await;
        for authorization in ["NTLM abc", "negotiate abc", "Basic abc", "Basic abc"] {
            let lines = format!("Authorization: {authorization}\r\n");
            assert_eq!(get(&mut client, &format!("http://{backend}/"), &lines).await.status, 200);
            assert!(world.backend.last().contains(authorization));
        }
        assert_eq!(world.backend.connections.get(), 3);
    });
}

#[test]
fn bodies_go_both_ways() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let mut client = world.connect().await;
        let body = "0123456789".repeat(20_000);
        let head = format!("POST http://{backend}/up HTTP/1.1\r\nHost: {backend}\r\n");
        client.send(format!("{head}Content-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len())).await;
        assert!(client.head().await.starts_with("HTTP/1.1 100 "));
        client.send(&body).await;
        let answer = client.answer().await;
        assert!(answer.status == 200 && answer.body.ends_with(&body), "{}", answer.body.len());
        client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")).await;
        let answer = client.answer().await;
        assert!(answer.body.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{answer:?}");
        client.send(format!("HEAD http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n\r\n")).await;
        let head = client.head().await;
        assert!(head.contains("ontent-length: "), "{head}");
        assert_eq!(get(&mut client, &format!("http://{backend}/"), "").await.status, 200);
    });
}

#[test]
fn the_target_wins_over_host() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let answer = world.ask(&format!("GET http://{backend}/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n")).await;
        assert!(
            answer.body.contains(&format!("host: {backend}\r\n")) && !answer.body.contains("10.0.0.1"),
            "{answer:?}"
        );
        assert_eq!(*world.relay.dialled.borrow(), [backend.replace(':', " ")]);
    });
}

#[test]
fn targets_without_a_path_and_with_a_query_only() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let mut client = world.connect().await;
        for (uri, path) in [(format!("http://{backend}"), "/"), (format!("http://{backend}?a=b"), "/?a=b")] {
            let answer = get(&mut client, &uri, "").await;
            assert!(answer.body.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{answer:?}");
        }
        let old = world.ask(&format!("GET http://{backend}/old HTTP/1.0\r\n\r\n")).await;
        assert!(old.status == 200 && old.body.contains("/old HTTP/1.1"), "{old:?}");
    });
}

#[test]
fn what_is_not_for_a_proxy_is_explained() {
    World::run(Setting::default(), async |world| {
        for (request, status, word) in [
            ("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400, "rule: not-a-proxy-request"),
            ("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", 400, "rule: not-a-proxy-request"),
            ("GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 501, "CONNECT host:443"),
            ("GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400, "rule: bad-target"),
            ("GET http://a.test:22/ HTTP/1.1\r\nHost: a.test:22\r\n\r\n", 403, "rule: forward-proxy.ports"),
            ("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 403, "loopback"),
            ("GET http://169.254.169.254/latest HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", 403, "link-local"),
            ("GET http://nosuch.test/ HTTP/1.1\r\nHost: nosuch.test\r\n\r\n", 502, "DNS"),
            ("GET http://closed.test/ HTTP/1.1\r\nHost: closed.test\r\n\r\n", 502, "rule: connect\n"),
            ("GET http://slow.test/ HTTP/1.1\r\nHost: slow.test\r\n\r\n", 504, "in time"),
            ("GET http://full.test/ HTTP/1.1\r\nHost: full.test\r\n\r\n", 503, "rule: relay"),
            ("TRACE http://a.test/ HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 0\r\n\r\n", 400, "rule: max-forwards"),
        ] {
            let answer = world.ask(request).await;
            assert!(answer.status == status && answer.body.contains(word), "{request} {answer:?}");
        }
    });
}

#[test]
fn servers_that_give_no_answer_are_named() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        for (path, word) in
            [("/close", "rule: closed"), ("/garbage", "rule: protocol"), ("/switch", "it switched protocols")]
        {
            let mut client = world.connect().await;
            let answer = get(&mut client, &format!("http://{backend}{path}"), "").await;
            assert!(answer.status == 502 && answer.body.contains(word), "{path} {answer:?}");
            assert_eq!(get(&mut client, &format!("http://{backend}/fine"), "").await.status, 200, "the client is kept");
        }
    });
}

#[test]
fn requests_under_way_are_finished_and_idle_connections_let_go() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let (mut idle, mut fresh, mut busy) = (world.connect().await, world.connect().await, world.connect().await);
        assert_eq!(get(&mut idle, &format!("http://{backend}/"), "").await.status, 200);
        busy.send(format!("POST http://{backend}/up HTTP/1.1\r\nHost: {backend}\r\nContent-Length: 4\r\n\r\nab")).await;
        crate::world::until("it is under way", || {
            world.backend.connections.get() == 2 || world.metrics.forwarded.get() == 2
        })
        .await;
        let proxy = std::rc::Rc::clone(&world.proxy);
        let drained =
            tokio::task::spawn_local(async move { proxy.drain(None, |_| std::time::Duration::from_secs(5)).await });
        assert_eq!((idle.rest().await, fresh.rest().await), (String::new(), String::new()));
        busy.send("cd").await;
        let answer = busy.answer().await;
        assert!(answer.status == 200 && answer.body.ends_with("abcd"), "{answer:?}");
        assert_eq!(busy.rest().await, "");
        drained.await.unwrap();
    });
}
