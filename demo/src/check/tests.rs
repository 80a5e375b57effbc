//! The clients and the judgement against the example backends themselves, without Bulkhead in between: what needs no proxy must be found
//! right, what only a proxy can do must be found wrong. Refusals come from tiny servers made here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::got::{End, Got};
use super::{judge, perform};
use crate::backends::Backends;
use crate::certificates;
use crate::scenarios::{self, Scenario};
use crate::world::World;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A world whose listeners lead straight to the backends.
async fn direct() -> (World, Backends) {
    let made = certificates::make().unwrap();
    let backends = Backends::start(&made.secure).await.unwrap();
    let mut world = crate::tests::world();
    world.http_backend = backends.http;
    world.https_backend = backends.https;
    world.ports.https = relay_to(backends.https).await;
    world.ports.http = relay_to(backends.http).await;
    world.ca = made.ca_der;
    world.leaves = [made.www.der, made.api.der, made.secure.der];
    (world, backends)
}

async fn relay_to(to: SocketAddr) -> u16 {
    serve(move |mut client| async move {
        let mut server = TcpStream::connect(to).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
    })
    .await
}

async fn serve<F: Future<Output = ()> + Send + 'static>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(handle(client));
        }
    });
    port
}

fn row(name: &str) -> &'static Scenario {
    scenarios::all().find(|row| row.name == name).unwrap()
}

async fn complaints(name: &str, world: &World) -> (Vec<String>, Got) {
    let row = row(name);
    let got = perform(row, world).await;
    (judge::judge(&row.expect, &got, world), got)
}

async fn assert_right(names: &[&str], world: &World) {
    for name in names {
        let (wrong, got) = complaints(name, world).await;
        assert!(wrong.is_empty(), "{name}: {wrong:?} {got:?}");
    }
}

async fn assert_wrong(names: &[&str], world: &World) {
    for name in names {
        let (wrong, got) = complaints(name, world).await;
        assert!(!wrong.is_empty(), "{name} was found right: {got:?}");
    }
}

#[tokio::test]
async fn passthrough_is_what_the_backend_does_by_itself() {
    let (world, _backends) = direct().await;
    let names = ["passthrough-h1", "passthrough-h2", "upload-passthrough-h1", "upload-passthrough-h2"];
    assert_right(&names, &world).await;
    assert_right(&["download-passthrough-h1", "download-passthrough-h2"], &world).await;
}

#[tokio::test]
async fn what_only_a_proxy_can_do_is_missed_without_one() {
    let (world, _backends) = direct().await;
    let names = ["termination-h1", "termination-h2", "plain-http", "access-list-plain", "no-route", "unknown-name"];
    assert_wrong(&names, &world).await;
    let (_, got) = complaints("plain-http", &world).await;
    assert_eq!(got.end, End::Status(200), "it was reached, only the headers are missing");
}

#[tokio::test]
async fn the_clients_trust_no_other_authority() {
    let (mut world, _backends) = direct().await;
    world.ca = certificates::make().unwrap().ca_der;
    let (_, got) = complaints("passthrough-h2", &world).await;
    assert!(matches!(&got.end, End::Error(text) if text.contains("certificate")), "{got:?}");
}

#[tokio::test]
async fn slow_answers_are_seen_to_come_in_pieces_or_at_once() {
    let (mut world, backends) = direct().await;
    let mut slow = *row("streaming-h1");
    slow.road = scenarios::Road::Plain;
    let got = perform(&slow, &world).await;
    assert_eq!(judge::judge(&slow.expect, &got, &world), Vec::<String>::new());
    // The same through something that waits for the end.
    let to = backends.http;
    world.ports.http = serve(move |mut client| async move {
        let mut server = TcpStream::connect(to).await.unwrap();
        let mut request = [0; 4096];
        let read = client.read(&mut request).await.unwrap();
        server.write_all(&request[..read]).await.unwrap();
        server.shutdown().await.unwrap();
        let mut whole = Vec::new();
        server.read_to_end(&mut whole).await.unwrap();
        client.write_all(&whole).await.unwrap();
    })
    .await;
    let got = perform(&slow, &world).await;
    assert_eq!(judge::judge(&slow.expect, &got, &world).len(), 1, "{got:?}");
}

#[tokio::test]
async fn an_alert_is_read_as_one_and_another_alert_is_wrong() {
    let (mut world, _backends) = direct().await;
    for (code, right) in [(112, true), (40, false)] {
        world.ports.https = serve(move |mut client| async move {
            let _ = client.read(&mut [0; 4096]).await;
            let _ = client.write_all(&[21, 3, 3, 0, 2, 2, code]).await;
        })
        .await;
        let (wrong, got) = complaints("unknown-name", &world).await;
        assert!(matches!(got.end, End::Alert(_)), "{got:?}");
        assert_eq!(wrong.is_empty(), right, "{got:?}");
    }
}

/// A forward proxy that answers by what it is asked: enough to try the client on.
async fn forward_proxy(mut client: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let refuse = |status: &str, header: &str, text: &str| {
        format!("HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\n\r\n{text}", text.len())
    };
    let answer = if !head.contains("Basic ZGVtbzpkZW1v\r\n") {
        refuse("407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"x\"\r\n", "log in")
    } else if target.starts_with("10.") {
        refuse("403 Forbidden", "", "refused: private address")
    } else {
        let mut server = TcpStream::connect(target).await.unwrap();
        // The first bytes of the tunnel in one piece with the head must not be lost.
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
        return;
    };
    client.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn tunnels_and_their_refusals() {
    let (mut world, _backends) = direct().await;
    world.ports.proxy = serve(forward_proxy).await;
    let names =
        ["connect", "connect-tls", "connect-download", "connect-no-user", "connect-wrong-password", "guard-private"];
    assert_right(&names, &world).await;
    // This proxy lets everybody to loopback.
    assert_wrong(&["guard-loopback", "port-closed"], &world).await;
}

#[tokio::test]
async fn a_server_that_never_answers_ends_at_the_deadline() {
    let mut world = crate::tests::world();
    world.ports.http = serve(|client| async move {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        drop(client);
    })
    .await;
    let mut scenario = *row("plain-http");
    scenario.expect.deadline = std::time::Duration::from_millis(50);
    assert!(matches!(perform(&scenario, &world).await.end, End::Error(text) if text.contains("no end")));
}

#[test]
fn the_rules_of_a_refused_attack_are_found_in_its_log_line() {
    let line = "INFO request method=GET decision=web-attack attack_score=8 attack_rules=\"1100,1101\" path=/";
    assert_eq!(super::rules_named(line), Some("1100,1101"));
    assert_eq!(super::rules_named("INFO request decision=access"), None);
}
