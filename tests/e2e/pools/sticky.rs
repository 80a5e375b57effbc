//! The sticky cookie.

use harness::clients::{h2, http, tls};
use harness::within;

use super::*;

const KEYS: &str = "[pool.sticky]\ncookie = \"srv\"\n";

/// The pair of the answer's `Set-Cookie`, and its attributes.
fn cookie(answer: &http::Answer) -> Option<(String, String)> {
    let set = answer.header("set-cookie")?;
    let (pair, attributes) = set.split_once("; ")?;
    Some((pair.to_owned(), attributes.to_owned()))
}

#[test]
fn a_client_stays_with_its_server_and_moves_when_it_must() {
    within(60, || {
        let servers = three();
        let world = world("sticky", &servers, &format!("eject_after = 1\neject_for = \"1m\"\n{KEYS}"));
        let first = ask(&world, "").unwrap();
        let (pair, attributes) = cookie(&first).expect("a cookie");
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
        let address = servers[0].address();
        for telling in [first.text().as_str(), &address.to_string(), &address.port().to_string()] {
            assert!(!pair.trim_start_matches("srv=").eq(telling), "{pair} tells {telling}");
        }
        for _ in 0..8 {
            let again = ask(&world, &format!("Cookie: x=1; {pair}; y=2\r\n")).unwrap();
            assert_eq!((again.text(), again.header("set-cookie")), (first.text(), None));
        }
        let backend = servers.iter().find(|server| server.seen() > 3).expect("its server");
        let bytes = String::from_utf8_lossy(&backend.backend.bytes()).into_owned();
        assert!(bytes.contains("x=1; y=2\r\n") && !bytes.contains("srv="), "the server does not see it: {bytes}");

        // Forged, cut short, of another name: ignored and replaced.
        for strange in ["srv=AAAAAAAAAAAAAAAAAAAAAA", &pair[..pair.len() - 1], "srv=", "srw=1"] {
            let answer = ask(&world, &format!("Cookie: {strange}\r\n")).unwrap();
            assert!(cookie(&answer).is_some(), "{strange}");
        }
        backend.is(Mood::Closes);
        let moved = ask(&world, &format!("Cookie: {pair}\r\n")).unwrap();
        assert_eq!(moved.status, 200);
        assert_ne!(moved.text(), first.text());
        let (other, _) = cookie(&moved).expect("a new one");
        assert_ne!(other, pair);
        assert_eq!(who(&world, &format!("Cookie: {other}\r\n")), moved.text());
    });
}

#[test]
fn sticky_clients_of_a_drained_server_move() {
    within(60, || {
        let servers = three();
        let world = world("sticky-drain", &servers, KEYS);
        let first = ask(&world, "").unwrap();
        let (pair, _) = cookie(&first).expect("a cookie");
        let at = ["a", "b", "c"].iter().position(|name| **name == *first.text()).unwrap();
        let address = servers[at].address().to_string();
        drain(&world, "drain", &address);
        let moved = ask(&world, &format!("Cookie: {pair}\r\n")).unwrap();
        assert_ne!(moved.text(), first.text());
        let (other, _) = cookie(&moved).expect("a new one");
        drain(&world, "undrain", &address);
        assert_eq!(who(&world, &format!("Cookie: {other}\r\n")), moved.text(), "they stay where they are");
        assert_eq!(who(&world, &format!("Cookie: {pair}\r\n")), first.text());
    });
}

#[test]
fn over_tls_the_cookie_is_secure_and_http_2_may_spread_cookies() {
    within(60, || {
        let servers = three();
        let world = world("sticky-tls", &servers, KEYS);
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        let answer = http::get(&mut stream, "www.test", "/").unwrap();
        let (pair, attributes) = cookie(&answer).expect("a cookie");
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure");
        tls::goodbye(stream);
        for _ in 0..6 {
            let stream = tls::client("www.test").alpn(&["h2"]).connect(world.https()).unwrap();
            let mut connection = h2::Connection::over(stream);
            let fields: [(&[u8], &[u8]); 6] = [
                (b":method", b"GET"),
                (b":scheme", b"https"),
                (b":authority", b"www.test"),
                (b":path", b"/"),
                (b"cookie", b"a=b"),
                (b"cookie", pair.as_bytes()),
            ];
            let stream = connection.send(&fields, None).unwrap();
            let h2::Outcome::Answer(200, body) = connection.outcome(stream) else { panic!("no answer") };
            assert_eq!(String::from_utf8_lossy(&body), answer.text());
        }
    });
}

#[test]
fn with_a_key_cookies_outlive_the_process() {
    within(90, || {
        let servers = three();
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("sticky.key");
        std::fs::write(&key, [7; 48]).unwrap();
        let keys = format!("{KEYS}key = \"{}\"\nmax_age = \"1h\"\nsame_site = \"strict\"", key.display());
        let world = world("sticky-key", &servers, &keys);
        let first = ask(&world, "").unwrap();
        let (pair, attributes) = cookie(&first).expect("a cookie");
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict; Max-Age=3600");
        let killed = world.kill("http-filter");
        world.wait_for_restart(&killed);
        for _ in 0..6 {
            assert_eq!(who(&world, &format!("Cookie: {pair}\r\n")), first.text());
        }
        world.stop_without_counting();
    });
}
