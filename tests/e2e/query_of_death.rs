//! A request that was being answered in two deaths of http-filter is refused; what was in its company is not.

use std::io::Write;
use std::net::TcpStream;

use harness::backends::Backend;
use harness::clients::{http, raw};
use harness::{World, eventually, within};

/// Answered after four seconds, if http-filter lives so long.
const KILLER: &str = "/sleep/4000?name=secret";
/// What many ask for.
const POPULAR: &str = "/sleep/1200";

fn ask(world: &World, path: &str) -> TcpStream {
    let mut stream = raw::connect(world.http());
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: www.test\r\n\r\n").as_bytes()).unwrap();
    stream
}

fn status(world: &World, path: &str) -> u16 {
    http::read_answer(&mut ask(world, path)).unwrap().status
}

/// Kills http-filter while it answers these.
fn die_of(world: &World, paths: &[&str]) {
    let asked: Vec<TcpStream> = paths.iter().map(|path| ask(world, path)).collect();
    let many = u64::try_from(paths.len()).unwrap();
    eventually(5, "they are being answered", || (world.figure("http-filter", "requests_active") == many).then_some(()));
    let killed = world.kill("http-filter");
    world.wait_for_restart(&killed);
    drop(asked);
    assert_eq!(world.figure("http-filter", "deaths_recorded"), many);
}

#[test]
fn a_request_in_flight_at_two_deaths_is_refused_and_its_company_is_not() {
    within(90, || {
        let app = Backend::application();
        let world = World::new("query-of-death").pool("app", &[app.address()]).serves("app").start();
        die_of(&world, &[KILLER, POPULAR]);
        world.wait_for_line("http-filter", &["one more death and it is refused", "GET www.test /sleep/4000"]);
        assert_eq!(status(&world, POPULAR), 200, "an answer between the deaths proves its innocence");
        world.wait_for_line("http-filter", &["no longer suspected"]);
        die_of(&world, &[POPULAR, KILLER]);
        world.wait_for_line("http-filter", &["refused from here on", "GET www.test /sleep/4000"]);
        assert!(
            !world.log().iter().any(|line| line.contains("in flight when") && line.contains("secret")),
            "no queries"
        );

        let refused = http::read_answer(&mut ask(&world, KILLER)).unwrap();
        assert_eq!(refused.status, 500, "{}", refused.text());
        assert!(refused.text().contains("fingerprint"), "{}", refused.text());
        assert_eq!(refused.header("connection"), Some("close"));
        world.wait_for_line("http-filter", &["query-of-death", "http-filter.max_deaths"]);
        assert_eq!(world.figure("http-filter", "query_of_death_refused"), 1);
        for path in [POPULAR, "/", "/sleep/4?name=secret"] {
            assert_eq!(status(&world, path), 200, "{path}");
        }

        // It outlives another death, in which nothing was in flight, and a restart; a reload pardons.
        let killed = world.kill("http-filter");
        world.wait_for_restart(&killed);
        assert_eq!(status(&world, KILLER), 500);
        let restarted = world.terminate("http-filter");
        world.wait_for_restart(&restarted);
        assert_eq!(status(&world, KILLER), 500);
        let reload = world.bulkhead(&["reload", &world.config().to_string_lossy()]);
        assert!(reload.status.success(), "{reload:?}");
        assert_eq!(status(&world, KILLER), 200);
    });
}

#[test]
fn the_guard_can_be_off() {
    within(60, || {
        let app = Backend::application();
        let world = World::new("no-guard").set("http-filter", "max_deaths", "0");
        let world = world.pool("app", &[app.address()]).serves("app").start();
        for _ in 0..2 {
            let asked = ask(&world, KILLER);
            eventually(5, "it is being answered", || {
                (world.figure("http-filter", "requests_active") == 1).then_some(())
            });
            let killed = world.kill("http-filter");
            world.wait_for_restart(&killed);
            drop(asked);
            assert_eq!(world.figure("http-filter", "deaths_recorded"), 0);
        }
        assert_eq!(status(&world, KILLER), 200);
    });
}
