//! The same with clients we did not write: OpenSSL and curl. Skipped, and said so, where they are missing; never in CI.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::world::{Plan, World};

/// Whether a program is there. In CI it has to be.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "{program} is missing, and this is CI");
    if !found {
        eprintln!("skipped: {program} is missing");
    }
    found
}

fn s_client(world: &World, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("timeout");
    command.args(["10", "openssl", "s_client", "-connect", &world.address.to_string(), "-CAfile"]);
    command.arg(world.folder.join("ca.pem")).args(["-verify_return_error", "-servername", "shop.example"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let _ = stdin.write_all(line); // it may have given up already
        std::thread::sleep(std::time::Duration::from_millis(250)); // s_client takes commands only as lines of their own
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn openssl_agrees_in_both_versions_and_renews_keys() {
    if !has("openssl") || !has("timeout") {
        return;
    }
    let world = World::start(Plan::default());
    let text = s_client(&world, &["-tls1_3", "-alpn", "h2"], b"hello\nK\nafter K\nk\nafter k\nQ\n");
    assert!(text.contains("Verify return code: 0") && text.contains("ALPN protocol: h2"), "{text}");
    assert!(text.contains("\nhello\n") && text.contains("\nafter K\n") && text.contains("\nafter k\n"), "{text}");
    let text = s_client(&world, &["-tls1_2"], b"hello\nR\nafter R\nQ\n");
    assert!(text.contains("ECDHE-ECDSA-AES256-GCM-SHA384") && text.contains("\nhello\n"), "{text}");
    let text = s_client(&world, &["-tls1_3", "-sigalgs", "RSA-PSS+SHA256"], b"hello\nQ\n");
    assert!(text.contains("RSA") && text.contains("\nhello\n"), "{text}");
    let text = s_client(&world, &["-tls1_3", "-alpn", "imap"], b"Q\n");
    assert!(text.contains("no application protocol"), "{text}");
    drop(world);
    // The test's own router cannot read such an old hello; the real one can.
    let world = World::start(Plan { blind: Some("shop.example"), ..Plan::default() });
    let text = s_client(&world, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], b"Q\n");
    assert!(text.contains("alert") || text.contains("no protocols available"), "{text}");
}

#[test]
fn curl_gets_its_own_request_back() {
    if !has("curl") {
        return;
    }
    let world = World::start(Plan::default());
    let port = world.address.port();
    let output = Command::new("curl")
        .args(["-sv", "--http0.9", "--http1.1", "--max-time", "2", "--resolve"])
        .arg(format!("shop.example:{port}:127.0.0.1"))
        .arg("--cacert")
        .arg(world.folder.join("ca.pem"))
        .arg(format!("https://shop.example:{port}/hello"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("SSL connection using TLSv1.3"), "{text}");
    // The echo is no HTTP answer; curl shows it as one of HTTP/0.9.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("GET /hello HTTP/1.1\r\nHost: shop.example"), "{text}");
    assert_eq!(world.message().alpn.as_deref(), Some(&b"http/1.1"[..]));
}
