//! A real client. Where curl is not installed the tests say so; with `CI` set that is a failure.

use std::process::Command;

use crate::world::{Setting, World};

fn missing() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "curl is not installed");
    if !found {
        eprintln!("skipped: curl is not installed");
    }
    !found
}

/// What curl prints: the body, and on the last line the status and the status of CONNECT.
async fn curl(world: &World, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", ""]);
    command.args(["--write-out", "\n%{http_code} %{http_connect} %{num_connects}"]);
    command.args(["--proxy", &format!("http://{}", world.address)]);
    command.args(arguments).env_clear();
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_through_a_tunnel_and_without() {
    if missing() {
        return;
    }
    let users = format!("demo:{}\n", bcrypt::hash("demo", 4).unwrap());
    World::run(Setting { users, ..Setting::default() }, async |world| {
        let url = format!("http://{}/seen", world.backend_name());
        let tunnel = curl(&world, &["--proxytunnel", "--proxy-user", "demo:demo", &url]).await;
        assert!(tunnel.starts_with("GET /seen HTTP/1.1\r\n") && tunnel.ends_with("\n200 200 1"), "{tunnel}");
        assert!(!tunnel.contains("via:"), "a tunnel is opaque: {tunnel}");
        let plain = curl(&world, &["--proxy-user", "demo:demo", &url, &url]).await;
        assert!(plain.contains("via: 1.1 bulkhead") && plain.ends_with("\n200 000 0"), "{plain}");
        let post = curl(&world, &["--proxy-user", "demo:demo", "--data", "a=b", &url]).await;
        assert!(post.contains("\r\n\r\na=b\n200 000 1"), "{post}");
        for extra in [&["--proxytunnel"][..], &[]] {
            let asked = curl(&world, &[extra, &["--proxy-anyauth", "--proxy-user", "demo:demo", &url]].concat()).await;
            assert!(asked.contains("GET /seen") && asked.contains("\n200 "), "a challenge is answered: {asked}");
        }
        let refused = curl(&world, &["--proxytunnel", "--proxy-user", "demo:wrong", &url]).await;
        assert!(refused.ends_with("\n000 407 1"), "{refused}");
        let guarded = curl(&world, &["--proxy-user", "demo:demo", "http://169.254.169.254/latest"]).await;
        assert!(guarded.contains("link-local") && guarded.ends_with("\n403 000 1"), "{guarded}");
    });
}

#[test]
fn many_tunnels_and_requests_at_once_leave_nothing_behind() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let mut tasks = Vec::new();
        for number in 0..300 {
            let (world, backend) = (std::rc::Rc::clone(&world), backend.clone());
            tasks.push(tokio::task::spawn_local(async move {
                let mut client = world.connect().await;
                if number % 3 == 0 {
                    client.send(format!("GET http://{backend}/{number} HTTP/1.1\r\nHost: {backend}\r\n\r\n")).await;
                    assert_eq!(client.answer().await.status, 200);
                } else if number % 3 == 1 {
                    client.send(format!("CONNECT {backend} HTTP/1.1\r\nHost: {backend}\r\n\r\nx{number}")).await;
                    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
                    client.expect(&format!("x{number}")).await;
                } else {
                    client.send("CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: 10.0.0.1:443\r\n\r\n").await;
                    assert_eq!(client.answer().await.status, 403);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(world.metrics.tunnels.get(), 100);
    });
}
