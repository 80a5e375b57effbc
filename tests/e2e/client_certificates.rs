//! Client certificates: real curl and openssl show them, tls-terminator verifies them, http-filter's rules speak of them, and there is
//! no way around.

use std::path::PathBuf;

use harness::backends::Backend;
use harness::clients::curl::{Came, curl};
use harness::clients::{http, programs, tls};
use harness::{World, certificates, need, within};

const RULES: &str = r#"
[[http-filter.access]]
name = "staff-admin"
action = "allow"
hosts = ["staff.test", "maybe.test"]
paths = "/admin"
certificate_subjects = "OU=admins"
certificate_issuers = "CN=Bulkhead test CA"

[[http-filter.access]]
name = "no-admin"
action = "deny"
paths = "/admin"

[[http-filter.access]]
name = "by-name"
action = "deny"
paths = "/named"
certificate_names = "DNS:*.staff.test"

[[http-filter.access]]
name = "by-expression"
action = "deny"
paths = "/expression"
when = 'tls.certificate.present && "CN=ada" in tls.certificate.attributes && tls.certificate.names.exists(n, n == "DNS:ada.staff.test")'
"#;

fn world(name: &str, backend: &Backend) -> World {
    World::new(name)
        .terminates(&["open.test"])
        .terminates(&["staff.test"])
        .site_keys("client_auth = \"require\"\nclient_ca = \"ca.pem\"")
        .terminates(&["maybe.test"])
        .site_keys("client_auth = \"request\"\nclient_ca = [\"ca.pem\"]")
        .with("[sni-router.otherwise]\nno_sni = { terminate = true }\n")
        .pool("app", &[backend.address()])
        .serves("app")
        .with(RULES)
        .start()
}

/// Writes a client's certificate with its key into the world's folder.
fn written(world: &World, name: &str, signed: &certificates::Signed) -> PathBuf {
    let path = world.folder().join(format!("{name}.pem"));
    std::fs::write(&path, format!("{}{}", signed.pem, signed.key_pem)).unwrap();
    path
}

#[test]
fn curl_shows_a_certificate_and_rules_see_it() {
    let name = "curl_shows_a_certificate_and_rules_see_it";
    if !need(name, "curl") {
        return;
    }
    within(90, || {
        let backend = Backend::application();
        let world = world("client-certificates", &backend);
        let ada = written(&world, "ada", &certificates::client("ada", "admins", &["ada.staff.test"], true));
        let bob = written(&world, "bob", &certificates::client("bob", "sales", &["bob.elsewhere.test"], true));
        let eve = written(&world, "eve", &certificates::client("ada", "admins", &["ada.staff.test"], false));
        let ask = |host: &str, path: &str, who: Option<&PathBuf>, more: &[&str]| -> Came {
            let mut asking = curl(&world, "https", host, path).with(more);
            if let Some(who) = who {
                asking = asking.with(&["--cert", &who.to_string_lossy()]);
            }
            asking.run()
        };
        for more in [&["--http1.1"][..], &["--http2"], &["--tls-max", "1.2"]] {
            for (host, path, who, status) in [
                ("staff.test", "/", Some(&ada), 200),
                ("staff.test", "/admin", Some(&ada), 200),
                ("staff.test", "/admin", Some(&bob), 403),
                ("staff.test", "/named", Some(&ada), 403),
                ("staff.test", "/named", Some(&bob), 200),
                ("staff.test", "/expression", Some(&ada), 403),
                ("staff.test", "/expression", Some(&bob), 200),
                ("maybe.test", "/", None, 200),
                ("maybe.test", "/admin", None, 403),
                ("maybe.test", "/admin", Some(&ada), 200),
                ("open.test", "/", Some(&ada), 200),
                ("open.test", "/expression", Some(&ada), 200),
                // Nothing comes of these: the handshake fails.
                ("staff.test", "/", None, 0),
                ("staff.test", "/", Some(&eve), 0),
                ("maybe.test", "/", Some(&eve), 0),
            ] {
                let came = ask(host, path, who, more);
                assert_eq!(came.status, status, "{more:?} {host}{path} {who:?}: {came:?}");
            }
        }
        assert_eq!(world.figure("tls-terminator", "handshakes_uncertified"), 9);
        assert!(world.figure("tls-terminator", "client_certificates") >= 24);
        assert_eq!(world.figure("tls-terminator", "handshakes_resumed"), 0);
    });
}

#[test]
fn openssl_shows_one_too() {
    let name = "openssl_shows_one_too";
    if !need(name, "openssl") {
        return;
    }
    within(60, || {
        let backend = Backend::application();
        let world = world("openssl-certificates", &backend);
        let ada = written(&world, "ada", &certificates::client("ada", "admins", &[], true));
        let (request, cert) = (
            "GET /admin HTTP/1.1\r\nHost: staff.test\r\nConnection: close\r\n\r\n",
            ada.to_string_lossy().into_owned(),
        );
        let with = ["-quiet", "-servername", "staff.test", "-cert", &cert, "-key", &cert];
        let output = programs::openssl(&world, &with, request);
        assert!(String::from_utf8_lossy(&output.stdout).contains("HTTP/1.1 200"), "{output:?}");
        let output = programs::openssl(&world, &["-quiet", "-servername", "staff.test"], request);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!String::from_utf8_lossy(&output.stdout).contains("HTTP/1.1"), "{output:?}");
        assert!(said.contains("certificate required") || said.contains("alert number 116"), "{said}");
    });
}

#[test]
fn there_is_no_way_around_a_required_certificate() {
    within(60, || {
        let backend = Backend::application();
        let world = world("around-certificates", &backend);
        // Over a connection for another name, over one without a name, and over plain HTTP.
        let mut other = tls::client("open.test").connect(world.https()).unwrap();
        assert_eq!(http::get(&mut other, "staff.test", "/").unwrap().status, 421);
        let mut nameless = tls::client("open.test").nameless().connect(world.https()).unwrap();
        assert_eq!(http::get(&mut nameless, "open.test", "/").unwrap().status, 200);
        for host in ["staff.test", "maybe.test"] {
            let answer = http::get(&mut nameless, host, "/").unwrap();
            assert_eq!(answer.status, 421, "{host}");
            assert!(answer.text().contains("site.client_auth"), "{}", answer.text());
        }
        let mut plain = harness::clients::raw::connect(world.http());
        assert_eq!(http::get(&mut plain, "staff.test", "/").unwrap().status, 421);
        assert_eq!(http::get(&mut plain, "maybe.test", "/").unwrap().status, 200);
        let reached = backend.connections().iter().map(|one| one.bytes()).collect::<Vec<_>>().concat();
        assert!(!String::from_utf8_lossy(&reached).contains("staff.test"), "no request for it went through");
    });
}

#[test]
fn explain_says_what_becomes_of_a_certificate() {
    within(60, || {
        let backend = Backend::application();
        let world = world("explained-certificates", &backend);
        let ada = written(&world, "ada", &certificates::client("ada", "admins", &["ada.staff.test"], true));
        let bob = written(&world, "bob", &certificates::client("bob", "sales", &["bob.elsewhere.test"], true));
        let config = world.config().to_string_lossy().into_owned();
        let port = world.https().port();
        let explain = |host: &str, path: &str, who: Option<&PathBuf>| {
            let url = format!("https://{host}:{port}{path}");
            let mut words = vec!["explain", &url, "--json", "--config", &config];
            let path = who.map(|who| who.to_string_lossy().into_owned());
            words.extend(path.iter().flat_map(|path| ["--client-cert", path]));
            let output = world.bulkhead(&words);
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        // As curl has it above, now without a handshake.
        for (path, who, rule, allowed) in [
            ("/admin", Some(&ada), "staff-admin", true),
            ("/admin", Some(&bob), "no-admin", false),
            ("/admin", None, "no-admin", false),
            ("/named", Some(&ada), "by-name", false),
            ("/expression", Some(&ada), "by-expression", false),
        ] {
            let said = explain("staff.test", path, who);
            let steps = serde_json::from_str::<serde_json::Value>(&said).unwrap();
            let steps: Vec<_> =
                steps["stages"].as_array().unwrap().iter().flat_map(|s| s["steps"].as_array().unwrap()).collect();
            let access =
                steps.iter().find(|step| step["rule"] == rule).unwrap_or_else(|| panic!("{path} {who:?}: {said}"));
            assert_eq!(access["decision"] == "allowed", allowed, "{path} {who:?}: {said}");
        }
        assert!(explain("staff.test", "/", Some(&ada)).contains("CN=ada"));
        assert!(explain("staff.test", "/", Some(&ada)).contains("DNS:ada.staff.test"));
        assert!(explain("staff.test", "/named", Some(&bob)).contains("everything-to-app"));
        assert!(explain("open.test", "/expression", Some(&ada)).contains("not asked for"));
        // The file has the key too; only the certificate may have left it.
        std::fs::write(world.folder().join("none.pem"), certificates::client("x", "y", &[], true).key_pem).unwrap();
        let none = world.folder().join("none.pem").to_string_lossy().into_owned();
        let output = world.bulkhead(&["explain", "https://staff.test/", "--client-cert", &none, "--config", &config]);
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no certificate in it"));
    });
}
