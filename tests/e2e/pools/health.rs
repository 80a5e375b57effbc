//! Health checks and passive ejection.

use harness::backends::nginx::Nginx;
use harness::{World, certificates, eventually, need, within};

use super::*;

const CHECKS: &str =
    "[pool.health]\npath = \"/health\"\ninterval = \"100ms\"\ntimeout = \"500ms\"\nrise = 2\nfall = 2\n";

#[test]
fn a_server_whose_checks_fail_is_left_out_until_they_pass() {
    within(90, || {
        let servers = three();
        let world = world("health", &servers, CHECKS);
        assert_eq!(tally(&world, 6).len(), 3, "all are up at the start");
        for (mood, why) in [(Mood::Ill, "status 503"), (Mood::Hangs, "no answer within"), (Mood::Closes, "down: ")] {
            let (down, up) =
                (world.figure("http-filter", "servers_went_down"), world.figure("http-filter", "servers_came_up"));
            servers[1].is(mood);
            eventually(20, "it is down", || (world.figure("http-filter", "servers_went_down") > down).then_some(()));
            world.wait_for_line("http-filter", &["down: ", why, &servers[1].address().to_string()]);
            let before = servers[1].seen();
            assert_eq!(tally(&world, 12).get("b"), None, "{mood:?}");
            assert_eq!(servers[1].seen(), before, "not even asked");
            servers[1].is(Mood::Well);
            eventually(20, "it is up", || (world.figure("http-filter", "servers_came_up") > up).then_some(()));
            assert_eq!(tally(&world, 12)["b"], 4, "its share again");
        }
        assert!(world.figure("http-filter", "checks") > 10);
        world.stop_without_counting(); // a check may be under way
    });
}

#[test]
fn a_server_that_comes_back_warms_up() {
    within(60, || {
        let servers = three();
        let world = world("slow-start", &servers[..2], &format!("slow_start = \"1h\"\n{CHECKS}"));
        assert_eq!(tally(&world, 10)["a"], 5, "at the start nobody has come back");
        servers[0].is(Mood::Ill);
        eventually(20, "it is down", || (world.figure("http-filter", "servers_went_down") == 1).then_some(()));
        servers[0].is(Mood::Well);
        eventually(20, "it is up", || (world.figure("http-filter", "servers_came_up") == 1).then_some(()));
        assert_eq!(tally(&world, 22)["a"], 2, "a tenth of its share");
        world.stop_without_counting();
    });
}

#[test]
fn below_the_panic_threshold_all_are_used() {
    within(60, || {
        let servers = three();
        let world = world("panic", &servers, &format!("panic_below = 50\n{CHECKS}"));
        servers[..2].iter().for_each(|server| server.is(Mood::Ill));
        eventually(20, "two are down", || (world.figure("http-filter", "servers_went_down") == 2).then_some(()));
        let mut statuses = [(); 9].map(|()| ask(&world, "").unwrap().status);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 503, 503, 503, 503, 503, 503], "a third is healthy");
        servers[0].is(Mood::Well);
        eventually(20, "one is up", || (world.figure("http-filter", "servers_came_up") == 1).then_some(()));
        assert_eq!(tally(&world, 8).get("b"), None, "two thirds are healthy");
        world.stop_without_counting();
    });
}

#[test]
fn checks_ask_what_they_are_told_to() {
    within(60, || {
        // Well is only who is asked exactly so, and says 404.
        let backend = Backend::talking(|mut talk| {
            let head = String::from_utf8_lossy(&talk.read_until(b"\r\n\r\n")?).into_owned();
            let asked = head.starts_with("HEAD /up?deep=1 HTTP/1.1\r\n")
                && head.contains("host: health.internal:81\r\n")
                && head.contains("user-agent: bulkhead-health-check\r\n");
            let status = if asked { "404 Not Found" } else { "200 OK" };
            talk.say(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
        });
        let keys = "[pool.health]\nmethod = \"HEAD\"\npath = \"/up?deep=1\"\nhost = \"health.internal:81\"\n\
                    statuses = [404]\nstart = \"down\"\ninterval = \"100ms\"\ntimeout = \"500ms\"";
        let world = World::new("health-words")
            .terminates(&["www.test"])
            .pool_with("app", &[backend.address()], keys)
            .serves("app")
            .start();
        eventually(10, "it is up", || (world.figure("http-filter", "servers_came_up") == 1).then_some(()));
        assert_eq!(world.figure("http-filter", "checks_failed"), 0);
        world.stop_without_counting();
    });
}

#[test]
fn checks_speak_what_the_pool_speaks() {
    if !need("checks_speak_what_the_pool_speaks", "nginx") {
        return;
    }
    within(90, || {
        let mut nginx = Nginx::start(&certificates::sign(&["inner.test"]));
        let tls = "[pool.tls]\nca = \"ca.pem\"\nserver_name = \"inner.test\"\n";
        for (protocol, version) in [("https", "HTTP/1.1"), ("https-h2", "HTTP/2.0")] {
            nginx.restart();
            let world = World::new(protocol)
                .terminates(&["www.test"])
                .pool_with("app", &[nginx.https], &format!("protocol = \"{protocol}\"\n{CHECKS}{tls}"))
                .serves("app")
                .start();
            let figure = |name| world.figure("http-filter", name);
            eventually(10, "checks pass", || (figure("checks") > figure("checks_failed") + 1).then_some(()));
            let asked = format!("{version} \"GET /health {version}\" 200");
            eventually(10, &asked, || nginx.access_log().contains(&asked).then_some(()));
            assert_eq!(figure("checks_failed"), 0);
            nginx.kill();
            eventually(10, "it is down", || (figure("servers_went_down") == 1).then_some(()));
            world.stop_without_counting();
        }
    });
}

#[test]
fn when_all_are_down_all_are_used() {
    within(60, || {
        let servers = three();
        let world = world("all-down", &servers[..2], CHECKS);
        servers.iter().for_each(|server| server.is(Mood::Ill));
        eventually(20, "both are down", || (world.figure("http-filter", "servers_went_down") == 2).then_some(()));
        let answer = ask(&world, "").unwrap();
        assert_eq!(answer.status, 503);
        assert!(["a", "b"].contains(&answer.text().as_str()), "a server's own answer: {}", answer.text());
        world.stop_without_counting();
    });
}

#[test]
fn servers_may_begin_as_down_and_checks_may_only_connect() {
    within(60, || {
        let servers = three();
        servers[0].is(Mood::Ill);
        let pool = format!("{CHECKS}start = \"down\"\n");
        let connect = CHECKS.replace("path = \"/health\"", "check = \"connect\"");
        let dead = dead();
        let world = World::new("start-down")
            .terminates(&["www.test"])
            .pool_with("app", &addresses(&servers[..2]), &pool)
            .pool_with("dead", &[dead, servers[2].address()], &connect)
            .http_route("name = \"dead\"\nhosts = [\"dead.test\"]\npool = \"dead\"")
            .serves("app")
            .start();
        // Until then all are down, so all are used.
        world.wait_for_line("http-filter", &["up", "pool=app", &servers[1].address().to_string()]);
        assert_eq!(tally(&world, 6), BTreeMap::from([("b".to_owned(), 6)]));
        world.wait_for_line("http-filter", &["down: ", "pool=dead", &dead.to_string()]);
        let refused = world.figure("http-filter", "retries");
        for _ in 0..6 {
            let answer = request(&world, "GET / HTTP/1.1\r\nHost: dead.test\r\n\r\n").unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, "c"));
        }
        assert_eq!(world.figure("http-filter", "retries"), refused, "the dead one is not even tried");
        world.stop_without_counting();
    });
}

#[test]
fn a_server_that_answers_5xx_can_be_ejected_but_never_more_than_allowed() {
    within(60, || {
        let servers = three();
        let keys = "eject_on = [\"5xx\"]\neject_after = 2\neject_for = \"1m\"\nmax_ejected = 40";
        let world = world("eject-5xx", &servers, keys);
        servers[0].is(Mood::Ill);
        for _ in 0..9 {
            ask(&world, "").unwrap();
        }
        assert_eq!((servers[0].seen(), world.figure("http-filter", "ejections")), (2, 1));
        servers[1].is(Mood::Ill);
        for _ in 0..9 {
            ask(&world, "").unwrap();
        }
        assert_eq!(world.figure("http-filter", "ejections"), 1, "one of three is all that 40 % allow");
        assert_eq!(servers[0].seen(), 2);
    });
}
