//! Who may use the proxy, and how it is asked for a password.

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;

use crate::world::{Answer, Setting, World};

/// ada has an argon2 hash, bob a bcrypt one.
fn users() -> String {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
    let salt = SaltString::encode_b64(b"0123456789abcdef").unwrap();
    let ada = argon2.hash_password(b"open", &salt).unwrap();
    format!("ada:{ada}\nbob:{}\n", bcrypt::hash("sesame", 4).unwrap())
}

fn login(text: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(text))
}

async fn both(world: &World, destination: &str, lines: &str) -> [Answer; 2] {
    let connect = format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n{lines}\r\n");
    let get = format!("GET http://{destination}/ HTTP/1.1\r\nHost: {destination}\r\n{lines}\r\n");
    [world.ask(&connect).await, world.ask(&get).await]
}

#[test]
fn a_password_is_asked_for_and_both_kinds_of_hash_open() {
    World::run(Setting { users: users(), ..Setting::default() }, async |world| {
        let backend = world.backend_name();
        let (none, wrong, unknown) = (String::new(), login("ada:sesame"), login("eve:open"));
        let twice = format!("{}{}", login("ada:open"), login("ada:open"));
        for lines in [&none, &wrong, &unknown, &twice, "Proxy-Authorization: Bearer x\r\n"] {
            for answer in both(&world, &backend, lines).await {
                assert_eq!(answer.status, 407, "{lines} {answer:?}");
                assert!(answer.has("proxy-authenticate: Basic realm=\"bulkhead\", charset=\"UTF-8\""), "{answer:?}");
                assert!(answer.body.contains("rule: authentication"), "{answer:?}");
            }
        }
        assert!(world.relay.dialled.borrow().is_empty());
        for (credentials, user) in [("ada:open", "ada"), ("bob:sesame", "bob")] {
            for answer in both(&world, &backend, &login(credentials)).await {
                assert_eq!(answer.status, 200, "{answer:?}");
                assert!(!answer.body.to_ascii_lowercase().contains("proxy-authorization"), "{answer:?}");
            }
            assert_eq!(world.relay.spliced.borrow().last().unwrap().user.as_deref(), Some(user));
        }
        assert_eq!(world.metrics.password_checks.get(), 6, "2 × wrong, 2 × unknown, and once for each user");
    });
}

#[test]
fn a_malformed_head_is_refused_before_any_password() {
    World::run(Setting { users: users(), ..Setting::default() }, async |world| {
        let answer = world.ask("CONNECT a.test:443 HTTP/1.1\r\nHost: b.test\r\n\r\n").await;
        assert_eq!(answer.status, 400);
        for answer in both(&world, "127.1:443", "").await {
            assert_eq!(answer.status, 400, "{answer:?}");
        }
    });
}

#[test]
fn a_login_on_a_kept_alive_connection() {
    World::run(Setting { users: users(), ..Setting::default() }, async |world| {
        let backend = world.backend_name();
        let mut client = world.connect().await;
        let head = format!("GET http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n");
        for (lines, status) in [("", 407), (&login("ada:no"), 407), (&login("ada:open"), 200), ("", 407)] {
            client.send(format!("{head}{lines}\r\n")).await;
            assert_eq!(client.answer().await.status, status);
        }
    });
}

#[test]
fn guessing_is_throttled_and_users_are_not() {
    World::run(Setting { users: users(), ..Setting::default() }, async |world| {
        let backend = world.backend_name();
        assert_eq!(both(&world, &backend, &login("ada:open")).await.map(|answer| answer.status), [200, 200]);
        let mut statuses = Vec::new();
        for guess in 0..12 {
            let [answer, _] = both(&world, &backend, &login(&format!("ada:{guess}"))).await;
            statuses.push(answer.status);
        }
        assert_eq!((statuses[0], statuses[11]), (407, 429));
        assert_eq!(both(&world, &backend, &login("ada:open")).await.map(|answer| answer.status), [200, 200]);
        assert!(world.metrics.throttled.get() > 0);
    });
}

#[test]
fn rules_see_the_user_and_a_login_is_asked_for_where_it_helps() {
    let config = "require_user = false\n\
        [[forward-proxy.access]]\nname = \"blocked\"\naction = \"deny\"\nclients = [\"127.0.0.66\"]\n\
        [[forward-proxy.access]]\nname = \"bobs\"\naction = \"allow\"\nusers = [\"bob\"]\nports = [8443]\n";
    World::run(Setting { users: users(), config: config.into(), ..Setting::default() }, async |world| {
        let statuses = async |destination: &str, lines: &str| both(&world, destination, lines).await.map(|a| a.status);
        assert_eq!(statuses(&world.backend_name(), "").await, [200, 200], "no user is needed");
        assert_eq!(statuses("nosuch.test:8443", "").await, [407, 407]);
        assert_eq!(statuses("nosuch.test:8443", &login("ada:open")).await, [403, 403]);
        assert_eq!(statuses("nosuch.test:8443", &login("bob:sesame")).await, [502, 502]);
        assert_eq!(statuses("nosuch.test:8444", "").await, [403, 403]);
        assert_eq!(statuses(&world.backend_name(), &login("bob:wrong")).await, [407, 407], "wrong is wrong");
        let mut client = world.connect_from([127, 0, 0, 66].into()).await;
        client.send("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n").await;
        let answer = client.answer().await;
        assert!(answer.status == 403 && answer.body.contains("rule: blocked"), "{answer:?}");
    });
}
