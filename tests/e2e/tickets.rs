//! Session tickets with `openssl s_client`: resumed by another instance, after a restart and over a rotation; never under another policy
//! or name, never where certificates are asked for, never as early data.

use std::fs;
use std::path::{Path, PathBuf};

use harness::backends::Backend;
use harness::clients::curl::curl;
use harness::clients::{programs, tls};
use harness::{World, need, within};

const TLS13: &str = "-tls1_3";
const TLS12: &str = "-tls1_2";

fn world(name: &str, backend: &Backend) -> World {
    World::new(name)
        .terminates(&["a.test", "www.a.test"])
        .terminates(&["b.test"])
        .terminates(&["strict.test"])
        .site_keys("suites = [\"TLS_AES_256_GCM_SHA384\", \"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\"]")
        .terminates(&["staff.test"])
        .site_keys("client_auth = \"request\"\nclient_ca = \"ca.pem\"")
        .set("tls-terminator", "instances", "2")
        .set("tls-terminator", "ticket_keys", "\"tickets\"")
        .file("tickets", &common::ticket_keys::rotated(None, [&key(1), &key(2)], 4))
        .pool("app", &[backend.address()])
        .serves("app")
        .start()
}

fn key(number: u8) -> String {
    let mut bytes = [number; common::ticket_keys::MIN_KEY];
    bytes[0] = 255;
    common::ticket_keys::encode(&bytes)
}

/// One request over `s_client`; whether the session was resumed. The request must be answered either way.
#[track_caller]
fn resumed(world: &World, name: &str, more: &[&str]) -> bool {
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    let arguments = [&["-ign_eof", "-servername", name][..], more].concat();
    let output = programs::openssl(world, &arguments, &request);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("HTTP/1.1 200"), "{name} {more:?}: {said}");
    match (said.contains("\nReused, TLS"), said.contains("\nNew, TLS")) {
        (true, _) => true,
        (false, true) => false,
        _ => panic!("neither new nor resumed: {said}"),
    }
}

/// A new session, kept in a file.
fn session(world: &World, name: &str, version: &str) -> PathBuf {
    let file = world.folder().join(format!("session-{name}{version}"));
    assert!(!resumed(world, name, &[version, "-sess_out", &file.to_string_lossy()]), "the first is new");
    assert!(fs::read_to_string(&file).unwrap().contains("SESSION"), "no ticket came");
    file
}

fn again(world: &World, name: &str, version: &str, file: &Path) -> bool {
    resumed(world, name, &[version, "-sess_in", &file.to_string_lossy()])
}

/// openssl's file of a session (RFC 7468 around DER) with 16 KiB of early data allowed: element 15 of its sequence, which is absent for 0.
fn allowing_early_data(pem: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(lines).unwrap();
    let length = |at: usize| match der[at] {
        0x81 => (2, usize::from(der[at + 1])),
        0x82 => (3, usize::from(der[at + 1]) << 8 | usize::from(der[at + 2])),
        short => (1, usize::from(short)),
    };
    assert_eq!(der[0], 0x30);
    let mut at = 1 + length(1).0;
    let begin = at;
    // Behind everything with a smaller number.
    while at < der.len() && der[at] < 0xaf {
        let (head, body) = length(at + 1);
        at += 1 + head + body;
    }
    let body = [&der[begin..at], &[0xaf, 4, 2, 2, 0x40, 0], &der[at..]].concat();
    let size = u16::try_from(body.len()).unwrap().to_be_bytes();
    let whole = [&[0x30, 0x82][..], &size, &body].concat();
    format!(
        "-----BEGIN SSL SESSION PARAMETERS-----\n{}\n-----END SSL SESSION PARAMETERS-----\n",
        lines_of(&STANDARD.encode(whole))
    )
}

fn lines_of(text: &str) -> String {
    text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n")
}

fn reload(world: &World) {
    let output = world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn rotate(world: &World) {
    let file = world.folder().join("tickets");
    let output = world.bulkhead(&["ticket-keys", "rotate", &file.to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    reload(world);
}

#[test]
fn sessions_survive_instances_restarts_and_rotations() {
    let name = "sessions_survive_instances_restarts_and_rotations";
    if !need(name, "openssl") {
        return;
    }
    within(120, || {
        let backend = Backend::application();
        let world = world("tickets", &backend);
        let of_instance = |instance: usize| {
            let processes = world.status();
            let own: Vec<_> = processes.iter().filter(|one| one["process"] == "tls-terminator").collect();
            assert_eq!(own.len(), 2);
            own[instance]["figures"]["handshakes_resumed"].as_u64().unwrap_or_default()
        };
        for version in [TLS13, TLS12] {
            let file = session(&world, "a.test", version);
            for _ in 0..6 {
                assert!(again(&world, "a.test", version, &file), "{version}: whichever instance it meets");
            }
        }
        assert!(of_instance(0) > 0 && of_instance(1) > 0, "both instances have resumed some");
        let files: Vec<PathBuf> = [TLS13, TLS12].map(|version| session(&world, "a.test", version)).into();
        let old = world.pids("tls-terminator");
        while world.pids("tls-terminator").iter().any(|pid| old.contains(pid)) {
            let killed = world.kill("tls-terminator");
            world.wait_for_restart(&killed);
        }
        for (version, file) in [TLS13, TLS12].into_iter().zip(&files) {
            assert!(again(&world, "a.test", version, file), "{version}: the keys outlive the process");
        }
        // Two rotations keep the key that sealed them, four have thrown it away.
        for round in 1..=4 {
            rotate(&world);
            for (version, file) in [TLS13, TLS12].into_iter().zip(&files) {
                assert_eq!(again(&world, "a.test", version, file), round <= 2, "{version}, rotation {round}");
            }
        }
        // A broken file is refused as a whole, and what was there goes on.
        fs::write(world.folder().join("tickets"), "rubbish\n").unwrap();
        let output = world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("ticket_keys") && said.contains("line 1"), "{said}");
        let file = session(&world, "a.test", TLS13);
        assert!(again(&world, "a.test", TLS13, &file));
    });
}

#[test]
fn a_ticket_is_good_for_its_own_site_only_and_never_early() {
    let name = "a_ticket_is_good_for_its_own_site_only_and_never_early";
    if !need(name, "openssl") {
        return;
    }
    within(120, || {
        let backend = Backend::application();
        let world = world("tickets-of-sites", &backend);
        for version in [TLS13, TLS12] {
            let file = session(&world, "a.test", version);
            // Another name of the same site, a site of the same policy, one of another, one that asks for certificates.
            for other in ["www.a.test", "b.test", "strict.test", "staff.test"] {
                assert!(!again(&world, other, version, &file), "{version}: {other}");
            }
            assert!(again(&world, "a.test", version, &file));
        }
        let file = world.folder().join("none");
        assert!(!resumed(&world, "staff.test", &[TLS13, "-sess_out", &file.to_string_lossy()]));
        assert!(!file.exists(), "a site that asks for certificates gives out no ticket");
        // openssl sends early data only where the session allows it, so the session is made to say so.
        let file = session(&world, "a.test", TLS13);
        fs::write(&file, allowing_early_data(&fs::read_to_string(&file).unwrap())).unwrap();
        let early = world.folder().join("early");
        fs::write(&early, "GET /early HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        let (file, early) = (file.to_string_lossy().into_owned(), early.to_string_lossy().into_owned());
        let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        let arguments = ["-ign_eof", "-servername", "a.test", TLS13, "-sess_in", &file, "-early_data", &early];
        let output = programs::openssl(&world, &arguments, request);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("HTTP/1.1 200") && said.contains("\nReused, TLS"), "{said}");
        assert!(said.contains("Early data was rejected"), "it was sent, and the connection goes on without it: {said}");
        let reached = backend.connections().iter().map(|one| one.bytes()).collect::<Vec<_>>().concat();
        assert!(!String::from_utf8_lossy(&reached).contains("/early"), "early data reached nobody");
    });
}

#[test]
fn full_handshakes_of_one_network_are_bounded_and_known_clients_come_in() {
    let name = "full_handshakes_of_one_network_are_bounded_and_known_clients_come_in";
    if !need(name, "openssl") || !need(name, "curl") {
        return;
    }
    within(90, || {
        let backend = Backend::application();
        let world = World::new("full-handshakes")
            .terminates(&["a.test"])
            .set("tls-terminator", "full_handshake_rate", "1")
            .set("tls-terminator", "full_handshake_burst", "6")
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        let file = session(&world, "a.test", TLS13);
        let full = || tls::client("a.test").connect(world.https()).map(drop);
        // However slow the machine is: one of many comes too early.
        let refused = |said: &dyn Fn() -> std::io::Result<()>| (0..200).find_map(|_| said().err()).expect("a refusal");
        assert!(refused(&full).to_string().contains("AccessDenied"));
        let old = || tls::client("a.test").tls12().connect(world.https()).map(drop);
        assert!(refused(&old).to_string().contains("AccessDenied"));
        assert!(again(&world, "a.test", TLS13, &file), "who is known comes in");
        refused(&full);
        let neighbour = curl(&world, "https", "a.test", "/").with(&["--interface", "127.0.0.2"]).run();
        assert_eq!(neighbour.status, 200, "{neighbour:?}");
        assert!(world.figure("tls-terminator", "refused_rate") >= 3);
        assert_eq!(world.figure("tls-terminator", "handshakes_resumed"), 1);
        world.wait_for_line("tls-terminator", &["full_handshake_rate", "client=127.0.0.1"]);
        let text = fs::read_to_string(world.config()).unwrap();
        fs::write(world.config(), text.replace("full_handshake_rate = 1", "full_handshake_rate = 0")).unwrap();
        reload(&world);
        (0..20).for_each(|_| full().unwrap());
    });
}
