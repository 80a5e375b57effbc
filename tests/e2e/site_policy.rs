//! What a site's handshakes may agree on, and whose client certificates are good: real curl and openssl, versions 1.2 and 1.3, lists that are
//! in date, out of date and of somebody else, names, and what the backend is told.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::backends::Backend;
use harness::certificates::{self, Signed};
use harness::clients::curl::curl;
use harness::clients::{http, programs, raw};
use harness::{World, need, within};
use rcgen::{CertificateParams, SanType, SerialNumber};

const ASKS: &str = "client_auth = \"require\"\nclient_ca = \"ca.pem\"\n";
const HEADERS: &str = "certificate = \"Client-Cert\", subject = \"X-Client-Subject\", issuer = \"X-Client-Issuer\", names = \"X-Client-Names\", serial = \"X-Client-Serial\", fingerprint = \"X-Client-Sha256\"";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn written(world: &World, name: &str, signed: &Signed) -> String {
    let path: PathBuf = world.folder().join(format!("{name}.pem"));
    fs::write(&path, format!("{}{}", signed.pem, signed.key_pem)).unwrap();
    path.to_string_lossy().into_owned()
}

/// A certificate with a serial number and a DNS name.
fn member(serial: u64, name: &str) -> Signed {
    certificates::client_with("member", |params| {
        params.serial_number = Some(SerialNumber::from(serial));
        dns(params, name);
    })
}

fn dns(params: &mut CertificateParams, name: &str) {
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
}

/// The status of `GET /` with curl; 0: the handshake failed.
fn status(world: &World, host: &str, certificate: Option<&str>, more: &[&str]) -> u16 {
    let mut asking = curl(world, "https", host, "/").with(more);
    if let Some(certificate) = certificate {
        asking = asking.with(&["--cert", certificate]);
    }
    asking.run().status
}

#[test]
fn revoked_expired_strange_and_misnamed_certificates_are_refused() {
    let name = "revoked_expired_strange_and_misnamed_certificates_are_refused";
    if !need(name, "curl") {
        return;
    }
    within(120, || {
        let backend = Backend::application();
        let world = World::new("client-certificates-refused")
            .terminates(&["strict.test"])
            .site_keys(&format!(
                "{ASKS}crl = [\"ours.crl\"]\nallowed_names = [\"DNS:*.staff.test\", \"URI:spiffe://staff/*\"]"
            ))
            .terminates(&["maybe.test"])
            .site_keys("client_auth = \"request\"\nclient_ca = \"ca.pem\"\ncrl = \"ours.crl\"")
            .terminates(&["unknown.test"])
            .site_keys(&format!("{ASKS}crl = \"strange.crl\""))
            .terminates(&["unknown-is-fine.test"])
            .site_keys(&format!("{ASKS}crl = \"strange.crl\"\ncrl_unknown = \"accept\""))
            .terminates(&["late.test"])
            .site_keys(&format!("{ASKS}crl = \"late.crl\""))
            .terminates(&["late-is-fine.test"])
            .site_keys(&format!("{ASKS}crl = \"late.crl\"\ncrl_expired = \"accept\""))
            .file("ours.crl", &certificates::revocation_list(&[7, 666], true, true).0)
            .file("strange.crl", &certificates::revocation_list(&[666], false, true).0)
            .file("late.crl", &certificates::revocation_list(&[666], true, false).0)
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        world.wait_for_line("tls-terminator", &["late.crl", "out of date since"]);
        let [good, revoked, elsewhere] = [(1, "a.staff.test"), (666, "a.staff.test"), (2, "a.elsewhere.test")]
            .map(|(serial, name)| written(&world, &format!("{serial}"), &member(serial, name)));
        let old = certificates::client_with("old", |params| {
            dns(params, "a.staff.test");
            (params.not_before, params.not_after) =
                (rcgen::date_time_ymd(2019, 1, 1), rcgen::date_time_ymd(2020, 1, 1));
        });
        let spiffe = certificates::client_with("spiffe", |params| {
            params.subject_alt_names = vec![SanType::URI("spiffe://staff/web".try_into().unwrap())];
        });
        let nameless = written(&world, "nameless", &certificates::client_with("nameless", |_| {}));
        let stranger = written(&world, "stranger", &certificates::client("x", "y", &["a.staff.test"], false));
        let (old, spiffe) = (written(&world, "old", &old), written(&world, "spiffe", &spiffe));
        let rounds: [&[&str]; 2] = [&["--tlsv1.3"], &["--tls-max", "1.2"]];
        for more in rounds {
            for (host, certificate, expected) in [
                ("strict.test", Some(&good), 200),
                ("strict.test", Some(&spiffe), 200),
                ("strict.test", Some(&revoked), 0),
                ("strict.test", Some(&elsewhere), 0),
                ("strict.test", Some(&nameless), 0),
                ("strict.test", Some(&old), 0),
                ("strict.test", Some(&stranger), 0),
                ("strict.test", None, 0),
                ("maybe.test", None, 200),
                ("maybe.test", Some(&elsewhere), 200),
                ("maybe.test", Some(&revoked), 0),
                ("unknown.test", Some(&good), 0),
                ("unknown-is-fine.test", Some(&good), 200),
                ("late.test", Some(&good), 0),
                ("late-is-fine.test", Some(&good), 200),
                ("late-is-fine.test", Some(&revoked), 0),
            ] {
                let came = status(&world, host, certificate.map(String::as_str), more);
                assert_eq!(came, expected, "{more:?} {host} {certificate:?}");
            }
        }
        let figure = |name| world.figure("tls-terminator", name);
        assert_eq!((figure("refused_revoked"), figure("refused_names")), (6, 4));
        assert_eq!((figure("refused_unknown_revocation"), figure("handshakes_uncertified")), (4, 6));
        let line = world.wait_for_line("tls-terminator", &["refused: client certificate: it is revoked"]);
        assert!(line.contains("CN=member") && line.contains("strict.test"), "{line}");
        let url = format!("https://strict.test:{}/", world.https().port());
        let config = world.config().to_string_lossy().into_owned();
        for (certificate, words) in [(&elsewhere, "site.allowed_names"), (&good, "ours.crl")] {
            let output = world.bulkhead(&["explain", &url, "--client-cert", certificate, "--config", &config]);
            assert!((text(&output.stdout) + &text(&output.stderr)).contains(words), "{output:?}");
        }
        // A list is swapped by a reload: who was good is not any more.
        fs::write(world.folder().join("ours.crl"), certificates::revocation_list(&[1], true, true).1).unwrap();
        let output = world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        for more in rounds {
            assert_eq!(status(&world, "strict.test", Some(&good), more), 0);
            assert_eq!(status(&world, "maybe.test", Some(&revoked), more), 200);
        }
        fs::write(world.folder().join("ours.crl"), "nothing of use").unwrap();
        let output = world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()]);
        assert!(!output.status.success() && text(&output.stderr).contains("ours.crl"), "{}", text(&output.stderr));
        assert_eq!(status(&world, "maybe.test", Some(&revoked), &[]), 200, "what was there goes on");
    });
}

#[test]
fn openssl_is_told_why() {
    let name = "openssl_is_told_why";
    if !need(name, "openssl") {
        return;
    }
    within(60, || {
        let backend = Backend::application();
        let world = World::new("client-certificates-alerts")
            .terminates(&["strict.test"])
            .site_keys(&format!("{ASKS}crl = \"ours.crl\"\nallowed_names = \"DNS:*.staff.test\""))
            .file("ours.crl", &certificates::revocation_list(&[666], true, true).0)
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        for (serial, own, alert) in [
            (1, "a.staff.test", None),
            (666, "a.staff.test", Some("certificate revoked")),
            (2, "a.test", Some("access denied")),
        ] {
            let certificate = written(&world, &serial.to_string(), &member(serial, own));
            for version in ["-tls1_2", "-tls1_3"] {
                let with =
                    ["-quiet", "-servername", "strict.test", version, "-cert", &certificate, "-key", &certificate];
                let request = "GET / HTTP/1.1\r\nHost: strict.test\r\nConnection: close\r\n\r\n";
                let output = programs::openssl(&world, &with, request);
                let said = text(&output.stdout) + &text(&output.stderr);
                match alert {
                    None => assert!(said.contains("HTTP/1.1 200"), "{said}"),
                    Some(alert) => {
                        assert!(said.contains(alert) && !said.contains("HTTP/1.1"), "{version} {alert}: {said}")
                    }
                }
            }
        }
    });
}

#[test]
fn the_backend_is_told_whose_certificate_it_was_and_clients_cannot_say_so() {
    let name = "the_backend_is_told_whose_certificate_it_was_and_clients_cannot_say_so";
    if !need(name, "curl") {
        return;
    }
    within(90, || {
        let backend = Backend::application();
        let world = World::new("identity-headers")
            .terminates(&["staff.test"])
            .site_keys(&format!("{ASKS}identity_headers = {{ {HEADERS} }}"))
            .terminates(&["maybe.test"])
            .site_keys("client_auth = \"request\"\nclient_ca = \"ca.pem\"\nidentity_headers = { subject = \"X-Client-Subject\" }")
            .terminates(&["open.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .set("http-filter", "underscore_headers", "\"keep\"")
            .start();
        let ada = member(0x0abc, "ada.staff.test");
        let certificate = written(&world, "ada", &ada);
        let forged = [
            "-H",
            "Client-Cert: :Zm9yZ2Vk:",
            "-H",
            "X-Client-Subject: CN=forged",
            "-H",
            "X_Client_Subject: CN=forged",
            "-H",
            "X-Client-Serial: forged",
            "-H",
            "Connection: X-Client-Subject, Client-Cert",
        ];
        let rounds: [&[&str]; 3] = [&["--http1.1"], &["--http2"], &["--tls-max", "1.2", "--http1.1"]];
        for more in rounds {
            let ask = |host: &str, certificate: Option<&str>| {
                let mut asking = curl(&world, "https", host, "/").with(more);
                // HTTP/2 has no Connection.
                asking = asking.with(if more == ["--http2"] { &forged[..8] } else { &forged });
                if let Some(certificate) = certificate {
                    asking = asking.with(&["--cert", certificate]);
                }
                let came = asking.run();
                assert_eq!(came.status, 200, "{more:?} {host}: {came:?}");
                let head = came.text().to_lowercase();
                assert!(!head.contains("forged") && !head.contains("zm9yz2vk"), "{more:?} {host}: {head}");
                head
            };
            let head = ask("staff.test", Some(&certificate));
            let der = format!("client-cert: :{}:\r\n", STANDARD.encode(&ada.der)).to_lowercase();
            let fingerprint: String = sha256(&ada.der);
            for wanted in [
                &*der,
                "x-client-subject: cn=member\r\n",
                "x-client-issuer: cn=bulkhead test ca\r\n",
                "x-client-names: dns:ada.staff.test\r\n",
                "x-client-serial: 0abc\r\n",
                &format!("x-client-sha256: {fingerprint}\r\n"),
            ] {
                assert_eq!(head.matches(wanted).count(), 1, "{more:?} {wanted}: {head}");
            }
            assert_eq!(head.matches("client-cert").count(), 1, "{head}");
            let head = ask("maybe.test", Some(&certificate));
            assert!(head.contains("x-client-subject: cn=member\r\n") && !head.contains("client-cert"), "{head}");
            for (host, certificate) in [("maybe.test", None), ("open.test", None), ("open.test", Some(&*certificate))] {
                let head = ask(host, certificate);
                assert!(!head.contains("client-cert") && !head.contains("x-client"), "{host}: {head}");
            }
        }
        // Over plain HTTP, and in trailers.
        let mut plain = raw::connect(world.http());
        let answer = http::get(&mut plain, "open.test", "/").unwrap();
        assert_eq!(answer.status, 200);
        plain.write_all(b"POST /echo HTTP/1.1\r\nHost: open.test\r\nTransfer-Encoding: chunked\r\nTrailer: client-cert\r\nX-Client-Subject: CN=forged\r\n\r\n2\r\nhi\r\n0\r\nClient-Cert: forged\r\nX-Sum: kept\r\n\r\n").unwrap();
        let answer = http::read_answer(&mut plain).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
        let reached = backend.connections().iter().map(|one| one.bytes()).collect::<Vec<_>>().concat();
        let reached = text(&reached).to_lowercase();
        assert!(!reached.contains("forged") && reached.contains("x-sum: kept"), "{reached}");
    });
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn versions_and_suites_are_the_sites_own() {
    let name = "versions_and_suites_are_the_sites_own";
    if !need(name, "openssl") {
        return;
    }
    within(120, || {
        let backend = Backend::application();
        let old = "suites = \"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\"";
        let world = World::new("versions-and-suites")
            .terminates(&["any.test"])
            .terminates(&["new.test"])
            .site_keys("min_version = \"1.3\"")
            .terminates(&["old.test"])
            .site_keys(old)
            .terminates(&["aes.test"])
            .site_keys("suites = [\"TLS_AES_128_GCM_SHA256\", \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\"]")
            .set(
                "tls-terminator",
                "suites",
                "[\"TLS_AES_256_GCM_SHA384\", \"TLS_AES_128_GCM_SHA256\", \"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\"]",
            )
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        for (host, version, agreed) in [
            ("any.test", "-tls1_3", Some("TLS_AES_256_GCM_SHA384")),
            ("any.test", "-tls1_2", Some("ECDHE-ECDSA-AES256-GCM-SHA384")),
            ("new.test", "-tls1_3", Some("TLS_AES_256_GCM_SHA384")),
            ("new.test", "-tls1_2", None),
            ("old.test", "-tls1_2", Some("ECDHE-ECDSA-CHACHA20-POLY1305")),
            ("old.test", "-tls1_3", None),
            ("aes.test", "-tls1_3", Some("TLS_AES_128_GCM_SHA256")),
            ("aes.test", "-tls1_2", Some("ECDHE-ECDSA-AES128-GCM-SHA256")),
            ("any.test", "-ciphersuites=TLS_CHACHA20_POLY1305_SHA256 -tls1_3", None),
            ("aes.test", "-cipher=ECDHE-ECDSA-AES256-GCM-SHA384 -tls1_2", None),
            // Left to itself openssl offers both versions; a site without suites of 1.3 is not a dead end.
            ("old.test", "", Some("ECDHE-ECDSA-CHACHA20-POLY1305")),
        ] {
            let mut arguments = vec!["-servername", host];
            arguments.extend(version.split([' ', '=']).filter(|word| !word.is_empty()));
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let output = programs::openssl(&world, &[&["-ign_eof"], &arguments[..]].concat(), &request);
            let said = text(&output.stdout) + &text(&output.stderr);
            match agreed {
                Some(suite) => {
                    assert!(said.contains(&format!("Cipher is {suite}\n")), "{host} {version}: {said}");
                    assert!(said.contains("HTTP/1.1 200"), "{host} {version}: {said}");
                }
                None => assert!(said.contains("alert") && !said.contains("HTTP/1.1"), "{host} {version}: {said}"),
            }
        }
        let config = world.config().to_string_lossy().into_owned();
        for (host, version, words) in [
            ("new.test", "1.2", ["site.min_version", "protocol_version"]),
            ("old.test", "1.3", ["site.suites", "no suite of TLSv1.3"]),
        ] {
            let url = format!("https://{host}:{}/", world.https().port());
            let output = world.bulkhead(&["explain", &url, "--tls-version", version, "--config", &config]);
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
    });
}
