//! HTTP/2 from end to end, as gRPC needs it: trailers, both directions at once, `te: trailers`, resets that arrive at the other end.

use std::time::Duration;

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use h2::Reason;
use harness::backends::h2::H2Backend;
use harness::clients::multiplexed::{self, piece, whole};
use harness::clients::{http, raw};
use harness::{World, certificates, within};

fn world(name: &str, backend: &H2Backend) -> World {
    World::new(name)
        .terminates(&["www.test"])
        .pool_with("grpc", &[backend.address()], "protocol = \"h2c\"\n")
        .serves("grpc")
        .start()
}

#[test]
fn a_call_streams_both_ways_and_ends_with_its_status_in_trailers() {
    within(60, || {
        let identity = certificates::sign(&[&harness::backends::ADDRESS.to_string()]);
        let tls = "protocol = \"https-h2\"\n[pool.tls]\nca = \"ca.pem\"\n";
        for (name, backend, keys) in
            [("grpc-h2c", H2Backend::clear(), "protocol = \"h2c\"\n"), ("grpc-tls", H2Backend::tls(&identity), tls)]
        {
            let world = World::new(name)
                .terminates(&["www.test"])
                .pool_with("grpc", &[backend.address()], keys)
                .serves("grpc")
                .start();
            multiplexed::run(world.https(), "www.test", async |client| {
                let mut request = client.request("POST", "/grpc.Echo/Stream");
                request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
                request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
                let (response, mut sending) = client.open(request, false).await;
                let response = response.await.unwrap();
                assert_eq!(response.headers()["content-type"], "application/grpc");
                let mut incoming = response.into_body();
                for message in ["one", "two", "three"] {
                    sending.send_data(Bytes::from(message), false).unwrap();
                    assert_eq!(piece(&mut incoming).await.unwrap().unwrap(), message, "each comes back at once");
                }
                let mut trailers = HeaderMap::new();
                trailers.insert("x-client-sum", HeaderValue::from_static("7"));
                trailers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
                sending.send_trailers(trailers).unwrap();
                assert!(piece(&mut incoming).await.unwrap().is_none());
                let end = incoming.trailers().await.unwrap().unwrap();
                assert_eq!(end["grpc-status"], "0");
                assert_eq!((&end["x-bytes"], &end["seen-te"]), (&"11".parse().unwrap(), &"trailers".parse().unwrap()));
                assert_eq!(end["x-client-sum"], "7", "the client's trailers arrived");
                assert!(end.get("x-forwarded-for").is_none(), "but not what nobody may say there");
                let answer = client.get("/grpc.Echo/Missing").await.unwrap();
                assert_eq!(
                    (answer.head.status().as_u16(), &answer.head.headers()["grpc-status"]),
                    (200, &"5".parse().unwrap())
                );
                assert!(answer.body.is_empty() && answer.trailers.is_none());
            });
        }
    });
}

#[test]
fn a_call_that_is_quiet_for_long_lives_as_long_as_its_client_may_speak() {
    within(60, || {
        let backend = H2Backend::clear();
        let world = World::new("grpc-quiet")
            .set("http-filter", "body_idle_deadline", "\"1s\"")
            .terminates(&["www.test"])
            .pool_with("grpc", &[backend.address()], "protocol = \"h2c\"\n")
            .serves("grpc")
            .start();
        multiplexed::run(world.https(), "www.test", async |client| {
            let (response, mut sending) = client.open(client.request("POST", "/grpc.Echo/Stream"), false).await;
            let mut incoming = response.await.unwrap().into_body();
            for message in ["one", "two"] {
                tokio::time::sleep(Duration::from_millis(2500)).await;
                sending.send_data(Bytes::from(message), false).unwrap();
                assert_eq!(piece(&mut incoming).await.unwrap().unwrap(), message);
            }
            sending.send_data(Bytes::new(), true).unwrap();
            assert!(piece(&mut incoming).await.unwrap().is_none());
        });
    });
}

#[test]
fn a_call_that_is_refused_here_is_told_so_in_its_own_words() {
    within(60, || {
        let dead = std::net::SocketAddr::from((harness::backends::ADDRESS, harness::ports::hold().port));
        let world = World::new("grpc-refused")
            .terminates(&["www.test"])
            .pool_with("grpc", &[dead], "protocol = \"h2c\"\n")
            .http_route("name = \"grpc\"\npaths = [\"/grpc.Echo/*\"]\npool = \"grpc\"")
            .with("[[http-filter.access]]\nname = \"no-abort\"\naction = \"deny\"\npaths = [\"/grpc.Echo/Abort\"]\n")
            .start();
        multiplexed::run(world.https(), "www.test", async |client| {
            for (path, code) in [("/grpc.Echo/Abort", "7"), ("/other.Service/X", "12"), ("/grpc.Echo/Stream", "14")] {
                let mut request = client.request("POST", path);
                request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
                let (response, _sending) = client.open(request, false).await;
                let answer = whole(response.await.unwrap()).await.unwrap();
                let headers = answer.head.headers();
                assert_eq!(
                    (answer.head.status().as_u16(), &headers["grpc-status"]),
                    (200, &code.parse().unwrap()),
                    "{path}"
                );
                assert!(!headers["grpc-message"].is_empty() && answer.body.is_empty());
            }
            assert_eq!(client.get("/grpc.Echo/Abort").await.unwrap().head.status(), 403, "others get HTTP");
        });
        world.wait_for_line("http-filter", &["no-abort", "403"]);
    });
}

#[test]
fn many_calls_at_once_share_connections() {
    within(60, || {
        let backend = H2Backend::clear();
        let world = world("grpc-many", &backend);
        multiplexed::run(world.https(), "www.test", async |client| {
            let mut calls = Vec::new();
            for _ in 0..80 {
                let (response, mut sending) = client.open(client.request("POST", "/grpc.Echo/Stream"), false).await;
                sending.send_data(Bytes::from(vec![1; 5000]), true).unwrap();
                calls.push(tokio::task::spawn_local(async move { whole(response.await.unwrap()).await.unwrap() }));
            }
            for call in calls {
                let answer = call.await.unwrap();
                assert_eq!(
                    (answer.body.len(), &answer.trailers.unwrap()["grpc-status"]),
                    (5000, &"0".parse().unwrap())
                );
            }
        });
        assert_eq!(backend.connections(), 1);
    });
}

#[test]
fn whoever_breaks_off_the_other_side_learns_it_at_once() {
    within(60, || {
        let backend = H2Backend::clear();
        let world = world("grpc-abort", &backend);
        multiplexed::run(world.https(), "www.test", async |client| {
            // The client, while it waits for the head of an answer.
            let (response, mut sending) = client.open(client.request("POST", "/hang"), false).await;
            sending.send_data(Bytes::from_static(b"x"), false).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            sending.send_reset(Reason::CANCEL);
            drop(response);
            // Time for the reset to leave before the connection does.
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        backend.wait_for_note("/hang reset CANCEL");
        multiplexed::run(world.https(), "www.test", async |client| {
            // The client, in the middle of an answer.
            let (response, _) = client.open(client.request("GET", "/endless"), true).await;
            let mut incoming = response.await.unwrap().into_body();
            piece(&mut incoming).await.unwrap().unwrap();
        });
        backend.wait_for_note("/endless reset");
        multiplexed::run(world.https(), "www.test", async |client| {
            // The backend, with its reason.
            let error = client.get("/grpc.Echo/Abort").await.unwrap_err();
            assert_eq!((error.is_reset(), error.reason()), (true, Some(Reason::CANCEL)), "{error}");
            // The others on these connections noticed nothing.
            assert_eq!(client.get("/bytes/1000").await.unwrap().body.len(), 1000);
        });
        assert_eq!(backend.connections(), 1);
    });
}

#[test]
fn an_http1_client_leaves_and_the_stream_behind_it_is_reset() {
    within(60, || {
        let backend = H2Backend::clear();
        let world = world("h1-abort", &backend);
        let mut client = raw::connect(world.http());
        std::io::Write::write_all(&mut client, b"GET /hang HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(300));
        drop(client);
        backend.wait_for_note("/hang reset CANCEL");
        // A broken answer is cut visibly: no last chunk.
        let mut client = raw::connect(world.http());
        assert!(http::get(&mut client, "www.test", "/grpc.Echo/Abort").is_err());
    });
}

#[test]
fn an_answer_that_does_not_wait_for_the_body_arrives_and_the_upload_ends() {
    within(60, || {
        let backend = H2Backend::clear();
        let world = world("h2-early", &backend);
        multiplexed::run(world.https(), "www.test", async |client| {
            let (response, mut sending) = client.open(client.request("POST", "/early"), false).await;
            sending.send_data(Bytes::from(vec![0; 1000]), false).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), 403);
            assert_eq!(whole(response).await.unwrap().body, b"no, thanks");
            let ended = std::future::poll_fn(|cx| sending.poll_reset(cx)).await;
            assert_eq!(ended.unwrap(), Reason::NO_ERROR, "the client is told to stop (RFC 9113 §8.1)");
            assert_eq!(client.get("/bytes/10").await.unwrap().body.len(), 10);
        });
    });
}
