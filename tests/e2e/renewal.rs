//! Certificates while everything runs: renewed when their files change, without a client noticing; the last good pair served on
//! when they are not good, and told; OCSP responses stapled; ends told in time.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::backends::Backend;
use harness::certificates::{self, Signed};
use harness::clients::{http, programs, tls};
use harness::{Builder, World, eventually, need, within};

fn world(name: &str, backend: &Backend) -> World {
    two_sites(name, "", backend).start()
}

/// `keys` go to the first site.
fn two_sites(name: &str, keys: &str, backend: &Backend) -> Builder {
    let builder = World::new(name).terminates(&["www.test"]).site_keys(keys).terminates(&["two.test"]);
    builder.pool("app", &[backend.address()]).serves("app")
}

fn file(world: &World, name: &str) -> PathBuf {
    world.folder().join("certs").join(name)
}

/// As careful writers do: beside, then in place of the old.
fn swap(path: &Path, contents: impl AsRef<[u8]>) {
    let beside = path.with_extension("new");
    fs::write(&beside, contents).unwrap();
    fs::rename(beside, path).unwrap();
}

/// The files of a site become this pair, the one after the other.
fn bring(world: &World, site: usize, pair: &Signed) {
    swap(&file(world, &format!("{site}.key")), &pair.key_pem);
    swap(&file(world, &format!("{site}.pem")), &pair.pem);
}

fn shown(world: &World, name: &str) -> Vec<u8> {
    let stream = tls::client(name).connect(world.https()).unwrap();
    let shown = tls::certificate(&stream);
    tls::goodbye(stream);
    shown
}

fn is_shown(world: &World, name: &str, pair: &Signed) {
    eventually(15, &format!("{name} shows its new certificate"), || (shown(world, name) == *pair.der).then_some(()));
}

fn said(world: &World, verb: &[&str]) -> String {
    let output = world.bulkhead(verb);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn status(world: &World) -> String {
    said(world, &["status", &world.config().to_string_lossy()])
}

fn becomes(world: &World, figure: &str, value: u64) {
    eventually(15, &format!("{figure} becomes {value}"), || {
        (world.figure("tls-terminator", figure) == value).then_some(())
    });
}

#[test]
fn five_renewals_under_load_cost_no_client_anything() {
    within(120, || {
        let backend = Backend::application();
        let world = world("renewals", &backend);
        let terminator = world.pid("tls-terminator");
        let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let again = |one: &mut dyn FnMut()| {
            while !over.load(Ordering::SeqCst) {
                one();
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        let again = &again;
        thread::scope(|scope| {
            // One connection that stays, and others that come and go.
            let world = &world;
            scope.spawn(move || {
                let mut kept = tls::client("www.test").connect(world.https()).unwrap();
                again(&mut || assert_eq!(http::get(&mut kept, "www.test", "/").unwrap().status, 200));
            });
            for client in [tls::client("www.test"), tls::client("www.test").tls12()] {
                scope.spawn(move || {
                    again(&mut || {
                        let mut stream = client.connect(world.https()).expect("a handshake was lost");
                        assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
                        tls::goodbye(stream);
                    });
                });
            }
            for _ in 0..5 {
                let pair = certificates::sign(&["www.test"]);
                bring(world, 0, &pair);
                is_shown(world, "www.test", &pair);
                let before = done.load(Ordering::SeqCst);
                eventually(10, "clients go on", || (done.load(Ordering::SeqCst) > before + 20).then_some(()));
            }
            over.store(true, Ordering::SeqCst);
        });
        assert_eq!(world.pid("tls-terminator"), terminator, "nothing was started again");
        assert_eq!(world.figure("tls-terminator", "certificates_renewed"), 5);
        assert_eq!(world.figure("tls-terminator", "certificates"), 2);
        assert!(world.status().iter().all(|status| status["reloads"] == 0), "{:?}", world.status());
        world.wait_for_line("tls-terminator", &["0.pem", "a new certificate is served", "www.test"]);
    });
}

#[test]
fn openssl_and_curl_see_the_new_serial_number() {
    let name = "openssl_and_curl_see_the_new_serial_number";
    if !need(name, "openssl") || !need(name, "curl") {
        return;
    }
    within(60, || {
        let backend = Backend::application();
        let world = world("serials", &backend);
        let pair = certificates::sign(&["www.test"]);
        let path = file(&world, "expected.pem");
        fs::write(&path, &pair.pem).unwrap();
        let serial = |pem: &Path| {
            let output = Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(pem).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        bring(&world, 0, &pair);
        is_shown(&world, "www.test", &pair);
        let output = programs::openssl(&world, &["-servername", "www.test", "-showcerts"], "");
        let seen = file(&world, "seen.pem");
        fs::write(&seen, &output.stdout).unwrap();
        assert_eq!(serial(&seen), serial(&path));
        let came = harness::clients::curl::curl(&world, "https", "www.test", "/").run();
        assert_eq!(came.status, 200, "{came:?}");
    });
}

#[test]
fn the_last_good_pair_is_served_on_and_told_until_its_files_are_good() {
    within(120, || {
        let backend = Backend::application();
        let world = world("kept", &backend);
        let first = shown(&world, "www.test");
        let (pem, key) = (file(&world, "0.pem"), file(&world, "0.key"));
        let sound = (fs::read(&pem).unwrap(), fs::read(&key).unwrap());
        let stranger = certificates::sign(&["www.test"]);
        let expired = certificates::sign_until(&["www.test"], -1);
        let half = sound.0[..sound.0.len() / 2].to_vec();
        let gone = pem.clone();
        type Damage = Box<dyn Fn()>;
        let writing = |path: &Path, contents: Vec<u8>| -> Damage {
            let path = path.to_owned();
            Box::new(move || fs::write(&path, &contents).unwrap())
        };
        let cases: [(&str, Damage); 5] = [
            ("the file is empty", writing(&pem, Vec::new())),
            ("not valid PEM", writing(&pem, half)),
            ("does not belong to the certificate", writing(&key, stranger.key_pem.into_bytes())),
            ("it does not exist", Box::new(move || fs::remove_file(&gone).unwrap())),
            ("expired at", {
                let (pem, key) = (pem.clone(), key.clone());
                Box::new(move || {
                    fs::write(&key, &expired.key_pem).unwrap();
                    fs::write(&pem, &expired.pem).unwrap();
                })
            }),
        ];
        for (why, damage) in cases {
            damage();
            becomes(&world, "certificates_kept", 1);
            let line = world.wait_for_line("tls-terminator", &[why, "www.test", "last good pair is served on"]);
            assert!(line.contains("0.pem") || line.contains("0.key"), "{line}");
            let status = status(&world);
            assert!(status.contains("kept") && status.contains(why) && status.contains("www.test"), "{status}");
            assert_eq!(shown(&world, "www.test"), first, "{why}");
            fs::write(&key, &sound.1).unwrap();
            fs::write(&pem, &sound.0).unwrap();
            becomes(&world, "certificates_kept", 0);
        }
        let status = status(&world);
        assert!(!status.contains("kept") && status.contains("CERTIFICATES of tls-terminator@1: 2"), "{status}");
        // What a half written file becomes is taken.
        let pair = certificates::sign(&["www.test"]);
        bring(&world, 0, &pair);
        is_shown(&world, "www.test", &pair);
    });
}

#[test]
fn links_are_swapped_as_certbot_and_kubernetes_do() {
    within(90, || {
        let backend = Backend::application();
        let world = world("links", &backend);
        let folder = world.folder().join("certs");
        let version = |name: &str| {
            let pair = certificates::sign(&["www.test"]);
            fs::create_dir(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("tls.crt"), &pair.pem).unwrap();
            fs::write(folder.join(name).join("tls.key"), &pair.key_pem).unwrap();
            pair
        };
        let point = |link: &str, target: &str| {
            symlink(target, folder.join("link")).unwrap();
            fs::rename(folder.join("link"), folder.join(link)).unwrap();
        };
        // certbot: the files themselves become links to other ones.
        for name in ["1", "2"] {
            let pair = version(name);
            point("0.key", &format!("{name}/tls.key"));
            point("0.pem", &format!("{name}/tls.crt"));
            is_shown(&world, "www.test", &pair);
        }
        // Kubernetes: links that stay, over a link to a folder that is swapped.
        let pair = version("..3");
        point("..data", "..3");
        point("0.key", "..data/tls.key");
        point("0.pem", "..data/tls.crt");
        is_shown(&world, "www.test", &pair);
        let pair = version("..4");
        point("..data", "..4");
        is_shown(&world, "www.test", &pair);
    });
}

#[test]
fn a_process_that_starts_again_refuses_the_clients_of_the_broken_pair_only() {
    within(90, || {
        let backend = Backend::application();
        let world = world("restart-broken", &backend);
        let path = file(&world, "0.pem");
        let sound = fs::read(&path).unwrap();
        fs::write(&path, "").unwrap();
        becomes(&world, "certificates_kept", 1);
        let killed = world.kill("tls-terminator");
        world.wait_for_restart(&killed);
        let other = eventually(10, "the other site is served", || tls::client("two.test").connect(world.https()).ok());
        tls::goodbye(other);
        let refused = tls::client("www.test").connect(world.https()).unwrap_err().to_string();
        assert!(refused.contains("UnrecognisedName"), "{refused}");
        becomes(&world, "certificates_missing", 1);
        assert!(world.figure("tls-terminator", "refused_certificate") > 0);
        assert!(status(&world).contains("missing"), "{}", status(&world));
        fs::write(&path, sound).unwrap();
        becomes(&world, "certificates_missing", 0);
        tls::goodbye(tls::client("www.test").connect(world.https()).unwrap());
    });
}

#[test]
fn authorities_of_clients_that_cannot_be_read_are_the_trouble_of_their_own_site() {
    let name = "authorities_of_clients_that_cannot_be_read_are_the_trouble_of_their_own_site";
    if !need(name, "openssl") {
        return;
    }
    within(120, || {
        let backend = Backend::application();
        let keys = "client_auth = \"require\"\nclient_ca = \"staff.pem\"";
        let builder = two_sites("broken-authorities", keys, &backend);
        let world = builder.file("staff.pem", &certificates::authority_pem()).start();
        let authorities = world.folder().join("staff.pem");
        let sound = fs::read(&authorities).unwrap();
        let ada = certificates::client("ada", "admins", &[], true);
        let path = world.folder().join("ada.pem");
        fs::write(&path, format!("{}{}", ada.pem, ada.key_pem)).unwrap();
        let lets_ada_in = || {
            let (path, request) =
                (path.to_string_lossy(), "GET / HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n");
            let with = ["-quiet", "-servername", "www.test", "-cert", &path, "-key", &path];
            let output = programs::openssl(&world, &with, request);
            String::from_utf8_lossy(&output.stdout).contains("HTTP/1.1 200")
        };
        assert!(lets_ada_in());
        // Broken while it runs: the last good ones judge on, and other files are renewed.
        fs::write(&authorities, "no longer a certificate").unwrap();
        world.wait_for_line("tls-terminator", &["staff.pem", "what was good before is used on"]);
        let pair = certificates::sign(&["two.test"]);
        bring(&world, 1, &pair);
        is_shown(&world, "two.test", &pair);
        assert!(lets_ada_in());
        fs::remove_file(&authorities).unwrap();
        let pair = certificates::sign(&["two.test"]);
        bring(&world, 1, &pair);
        is_shown(&world, "two.test", &pair);
        assert!(lets_ada_in());
        // Who starts by itself has no good ones: nobody could judge these clients, so none comes in, and the others do.
        let killed = world.kill("tls-terminator");
        world.wait_for_restart(&killed);
        let other = eventually(10, "the other site is served", || tls::client("two.test").connect(world.https()).ok());
        tls::goodbye(other);
        let refused = tls::client("www.test").connect(world.https()).unwrap_err().to_string();
        assert!(refused.contains("UnrecognisedName"), "{refused}");
        assert!(!lets_ada_in());
        let pair = certificates::sign(&["two.test"]);
        bring(&world, 1, &pair);
        is_shown(&world, "two.test", &pair);
        // Somebody who waits for the answer gets it.
        let text = said(&world, &["check", &world.config().to_string_lossy()]);
        assert!(text.contains("staff.pem") && !text.contains("ok: "), "{text}");
        swap(&authorities, sound);
        eventually(15, "the site is served again", || lets_ada_in().then_some(()));
    });
}

#[test]
fn an_operator_renews_where_nobody_watches_and_only_what_is_at_work() {
    within(90, || {
        let backend = Backend::application();
        let builder = two_sites("by-hand", "", &backend).set("tls-terminator", "watch", "false");
        let world = builder.start();
        let config = world.config().to_string_lossy().into_owned();
        let first = shown(&world, "www.test");
        let pair = certificates::sign(&["www.test"]);
        bring(&world, 0, &pair);
        thread::sleep(Duration::from_millis(1500));
        assert_eq!(shown(&world, "www.test"), first, "nobody watches");
        let text = said(&world, &["reload", "--certificates", &config]);
        assert!(text.contains("certificates reloaded: 1 process"), "{text}");
        assert_eq!(shown(&world, "www.test"), *pair.der);
        // A file that is not good is told to whoever asked.
        fs::write(file(&world, "0.pem"), "").unwrap();
        let text = said(&world, &["reload", "--certificates", &config]);
        assert!(text.contains("warning: tls-terminator@1: kept") && text.contains("the file is empty"), "{text}");
        // So does a whole reload, which goes on.
        let text = said(&world, &["reload", &config]);
        assert!(text.contains("reloaded: ") && text.contains("kept"), "{text}");
        assert_eq!(shown(&world, "www.test"), *pair.der);
        // A new site with such a file is refused: nothing is served yet that could be kept.
        let before = fs::read_to_string(world.config()).unwrap();
        let more = "\n[[site]]\nnames = [\"three.test\"]\ncertificate = \"certs/0.pem\"\nkey = \"certs/0.key\"\n";
        fs::write(world.config(), before.clone() + more).unwrap();
        let text = said(&world, &["reload", &config]);
        assert!(text.contains("nothing was reloaded") && text.contains("three.test"), "{text}");
        // What was edited and not reloaded does not come in by a side door.
        let text = said(&world, &["reload", "--certificates", &config]);
        assert!(text.contains("another configuration"), "{text}");
        fs::write(world.config(), before).unwrap();
    });
}

#[test]
fn a_configuration_that_was_edited_and_not_reloaded_holds_no_renewal_up() {
    within(90, || {
        let backend = Backend::application();
        let world = world("edited", &backend);
        let before = fs::read_to_string(world.config()).unwrap();
        fs::write(world.config(), format!("{before}\nnonsense = 1\n")).unwrap();
        let pair = certificates::sign(&["two.test"]);
        bring(&world, 1, &pair);
        is_shown(&world, "two.test", &pair);
        fs::write(world.config(), &before).unwrap();
        // A site that came with a reload is watched from then on.
        let three = certificates::sign(&["three.test"]);
        fs::write(file(&world, "3.pem"), &three.pem).unwrap();
        fs::write(file(&world, "3.key"), &three.key_pem).unwrap();
        let more = "\n[[site]]\nnames = [\"three.test\"]\ncertificate = \"certs/3.pem\"\nkey = \"certs/3.key\"\n\
            [[route]]\nname = \"three\"\nserver_names = [\"three.test\"]\nterminate = true\n";
        fs::write(world.config(), before + more).unwrap();
        let launcher = nix::unistd::Pid::from_raw(i32::try_from(world.launcher()).unwrap());
        nix::sys::signal::kill(launcher, nix::sys::signal::Signal::SIGHUP).unwrap();
        eventually(20, "the new site is served", || {
            tls::client("three.test").connect(world.https()).ok().map(tls::goodbye)
        });
        let pair = certificates::sign(&["three.test"]);
        swap(&file(&world, "3.key"), &pair.key_pem);
        swap(&file(&world, "3.pem"), &pair.pem);
        is_shown(&world, "three.test", &pair);
        // Whoever calls `bulkhead reload` tells the launcher what is at work.
        let four = certificates::sign(&["four.test"]);
        fs::write(file(&world, "4.pem"), &four.pem).unwrap();
        fs::write(file(&world, "4.key"), &four.key_pem).unwrap();
        let more = "\n[[site]]\nnames = [\"four.test\"]\ncertificate = \"certs/4.pem\"\nkey = \"certs/4.key\"\n\
            [[route]]\nname = \"four\"\nserver_names = [\"four.test\"]\nterminate = true\n";
        let before = fs::read_to_string(world.config()).unwrap();
        fs::write(world.config(), before + more).unwrap();
        let text = said(&world, &["reload", &world.config().to_string_lossy()]);
        assert!(text.contains("reloaded: "), "{text}");
        is_shown(&world, "four.test", &four);
        let pair = certificates::sign(&["four.test"]);
        swap(&file(&world, "4.key"), &pair.key_pem);
        swap(&file(&world, "4.pem"), &pair.pem);
        is_shown(&world, "four.test", &pair);
    });
}

#[test]
fn the_end_of_a_certificate_is_told_in_time() {
    within(60, || {
        let backend = Backend::application();
        let world = world("ending", &backend);
        assert_eq!(world.figure("tls-terminator", "certificates_ending"), 0);
        bring(&world, 0, &certificates::sign_until(&["www.test"], 12));
        becomes(&world, "certificates_ending", 1);
        let left = world.figure("tls-terminator", "certificate_seconds_left");
        assert!((12 * 24 * 3600..=13 * 24 * 3600).contains(&left), "{left}");
        world.wait_for_line("tls-terminator", &["www.test", "expires soon, in 12 days"]);
        let text = status(&world);
        assert!(text.contains("the first expires in 12 days") && text.contains("ends soon"), "{text}");
        let page = said(&world, &["metrics", &world.config().to_string_lossy()]);
        let sample =
            "bulkhead_tls_terminator_certificate_not_after_seconds{instance=\"1\",site=\"www.test\",key=\"ECDSA\"}";
        assert!(page.contains(sample), "{page}");
    });
}

/// A certificate authority of openssl's own in a folder, with one leaf, and what it says of it.
struct Authority(PathBuf);

impl Authority {
    fn new(folder: &Path) -> Self {
        let authority = Self(folder.join("authority"));
        fs::create_dir(&authority.0).unwrap();
        let p256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
        let ca = ["-x509", "-subj", "/CN=CA", "-keyout", "ca.key", "-out", "ca.pem"];
        authority.openssl("req", &[&p256[..], &ca].concat());
        let leaf = ["-subj", "/CN=www.test", "-keyout", "leaf.key", "-out", "leaf.csr"];
        authority.openssl("req", &[&p256[..5], &leaf].concat());
        fs::write(authority.0.join("ext"), "subjectAltName=DNS:www.test\n").unwrap();
        let sign =
            ["-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "0x8001", "-days", "20"];
        authority.openssl("x509", &[&sign[..], &["-extfile", "ext", "-out", "leaf.pem"]].concat());
        authority.openssl("ocsp", &["-issuer", "ca.pem", "-cert", "leaf.pem", "-reqout", "request"]);
        authority
    }

    fn openssl(&self, verb: &str, arguments: &[&str]) {
        let output = Command::new("openssl").arg(verb).args(arguments).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "openssl {verb}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What it says of the leaf: `V` valid, `R` revoked.
    fn response(&self, status: char) -> Vec<u8> {
        let revoked = if status == 'R' { "260101000000Z" } else { "" };
        fs::write(self.0.join("index"), format!("{status}\t400101000000Z\t{revoked}\t8001\tunknown\t/CN=www.test\n"))
            .unwrap();
        let signer = ["-index", "index", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key"];
        self.openssl("ocsp", &[&signer[..], &["-reqin", "request", "-respout", "response", "-ndays", "3"]].concat());
        self.read("response")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }
}

#[test]
fn an_ocsp_response_is_stapled_while_it_is_good() {
    let name = "an_ocsp_response_is_stapled_while_it_is_good";
    if !need(name, "openssl") {
        return;
    }
    within(120, || {
        let backend = Backend::application();
        let builder = two_sites("ocsp", "ocsp = \"certs/0.ocsp\"", &backend);
        let world = builder.start(); // the file is not there yet: no reason not to start
        assert_eq!((world.figure("tls-terminator", "stapled"), world.figure("tls-terminator", "unstapled")), (0, 1));
        let authority = Authority::new(world.folder());
        swap(&file(&world, "0.key"), authority.read("leaf.key"));
        swap(&file(&world, "0.pem"), authority.read("leaf.pem"));
        swap(&file(&world, "0.ocsp"), authority.response('V'));
        becomes(&world, "stapled", 1);
        let ask = |version: &str| {
            let output = programs::openssl(&world, &["-servername", "www.test", "-status", version], "");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        for version in ["-tls1_2", "-tls1_3"] {
            let text = ask(version);
            assert!(text.contains("OCSP Response Status: successful") && text.contains("Cert Status: good"), "{text}");
        }
        // Another site is not touched, and a new response is taken.
        let output = programs::openssl(&world, &["-servername", "two.test", "-status"], "");
        assert!(String::from_utf8_lossy(&output.stdout).contains("no response sent"));
        // A broken file: the response that is good is stapled on.
        swap(&file(&world, "0.ocsp"), "");
        world.wait_for_line("tls-terminator", &["0.ocsp", "last good response is stapled on"]);
        assert!(ask("-tls1_3").contains("Cert Status: good"));
        // The certificate is renewed, and the file still speaks of the one before.
        let good = authority.response('V');
        bring(&world, 0, &certificates::sign(&["www.test"]));
        swap(&file(&world, "0.ocsp"), &good);
        becomes(&world, "unstapled", 1);
        world.wait_for_line("tls-terminator", &["0.ocsp", "another certificate"]);
        assert!(ask("-tls1_3").contains("no response sent"));
        // Revoked.
        swap(&file(&world, "0.key"), authority.read("leaf.key"));
        swap(&file(&world, "0.pem"), authority.read("leaf.pem"));
        becomes(&world, "stapled", 1);
        swap(&file(&world, "0.ocsp"), authority.response('R'));
        world.wait_for_line("tls-terminator", &["0.ocsp", "REVOKED"]);
        assert!(status(&world).contains("REVOKED"), "{}", status(&world));
    });
}

#[test]
fn a_folder_in_which_everything_changes_all_the_time_disturbs_nothing() {
    within(60, || {
        let backend = Backend::application();
        let world = Arc::new(world("noise", &backend));
        let over = Arc::new(AtomicBool::new(false));
        let noise = {
            let (world, over) = (Arc::clone(&world), Arc::clone(&over));
            thread::spawn(move || {
                let mut number = 0;
                while !over.load(Ordering::SeqCst) {
                    fs::write(file(&world, &format!("noise-{}", number % 50)), "x").unwrap();
                    number += 1;
                    thread::sleep(Duration::from_millis(2));
                }
            })
        };
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(4) {
            assert_eq!(
                http::get(&mut tls::client("www.test").connect(world.https()).unwrap(), "www.test", "/")
                    .unwrap()
                    .status,
                200
            );
        }
        let pair = certificates::sign(&["www.test"]);
        bring(&world, 0, &pair);
        is_shown(&world, "www.test", &pair);
        over.store(true, Ordering::SeqCst);
        noise.join().unwrap();
        let renewals = world.log().iter().filter(|line| line.contains("renewing:")).count();
        assert!((1..=3).contains(&renewals), "{renewals} renewals");
    });
}
