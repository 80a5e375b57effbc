//! Health checks and passive ejection.

use harness::{World, eventually, within};

use super::*;

const CHECKS: &str =
    "[pool.health]\npath = \"/health\"\ninterval = \"100ms\"\ntimeout = \"500ms\"\nrise = 2\nfall = 2\n";

fn none_goes_to(world: &World, name: &str) -> Option<()> {
    let tally = tally(world, 6);
    (!tally.contains_key(name)).then_some(())
}

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
        let dead = std::net::SocketAddr::from((harness::backends::ADDRESS, harness::ports::hold().port));
        let world = World::new("start-down")
            .terminates(&["www.test"])
            .pool_with("app", &addresses(&servers[..2]), &pool)
            .pool_with("dead", &[dead, servers[2].address()], &connect)
            .http_route("name = \"dead\"\nhosts = [\"dead.test\"]\npool = \"dead\"")
            .serves("app")
            .start();
        eventually(20, "the good one is up", || none_goes_to(&world, "-").filter(|()| servers[1].seen() > 0));
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
