//! Servers that die, hang and come back under load, and what is tried again.

use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use harness::backends::nginx::Nginx;
use harness::{World, certificates, eventually, need, within};
use nix::sys::signal::Signal;

use super::*;

/// Requests on kept connections until told to stop.
struct Load {
    over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(world: &World, clients: usize) -> Self {
        let (over, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let address = world.http();
        let client = |_| {
            let (over, served) = (Arc::clone(&over), Arc::clone(&served));
            thread::spawn(move || {
                let mut lost = Vec::new();
                let mut stream = raw::connect(address);
                while !over.load(Ordering::SeqCst) {
                    match http::get(&mut stream, "www.test", "/") {
                        Ok(answer) if answer.status == 200 => drop(served.fetch_add(1, Ordering::SeqCst)),
                        Ok(answer) => lost.push(answer.text()),
                        Err(error) => {
                            lost.push(error.to_string());
                            stream = raw::connect(address);
                        }
                    }
                }
                lost
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { over, served, clients }
    }

    /// Waits until so many more were served.
    fn goes_on(&self, more: usize) {
        let goal = self.served.load(Ordering::SeqCst) + more;
        eventually(30, "requests are served", || (self.served.load(Ordering::SeqCst) >= goal).then_some(()));
    }

    /// Those that were not answered with 200.
    fn end(self) -> Vec<String> {
        self.over.store(true, Ordering::SeqCst);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

#[test]
fn a_real_nginx_that_is_killed_stopped_and_restarted_under_load_costs_no_request() {
    if !need("a_real_nginx_that_is_killed_stopped_and_restarted_under_load_costs_no_request", "nginx") {
        return;
    }
    within(120, || {
        let identity = certificates::sign(&["backend.test"]);
        let (mut one, two) = (Nginx::start(&identity), Nginx::start(&identity));
        let keys = "eject_for = \"500ms\"\nretry_on = [\"connect\", \"closed\", \"timeout\"]\nretry_min = 1000\n";
        let world = World::new("nginx-dies")
            .set("http-filter", "response_deadline", "\"700ms\"")
            .terminates(&["www.test"])
            .pool_with("app", &[one.http, two.http], keys)
            .serves("app")
            .start();
        let load = Load::start(&world, 4);
        load.goes_on(200);
        one.kill();
        load.goes_on(200);
        one.restart();
        load.goes_on(200);
        let before = world.figure("http-filter", "retries");
        two.signal(Signal::SIGSTOP);
        load.goes_on(200);
        two.signal(Signal::SIGCONT);
        load.goes_on(200);
        assert!(world.figure("http-filter", "retries") > before, "the one that hung was noticed");
        let share = one.access_log().len();
        load.goes_on(500);
        assert!(one.access_log_of(share + 101).len() > share, "the one that was killed has its share again");
        assert_eq!(load.end(), Vec::<String>::new(), "lost");
        assert!(world.figure("http-filter", "ejections") >= 2);
    });
}

#[test]
fn servers_can_be_exchanged_one_after_the_other_under_load() {
    let name = "servers_can_be_exchanged_one_after_the_other_under_load";
    if !need(name, "nginx") {
        return;
    }
    within(120, || {
        let identity = certificates::sign(&["backend.test"]);
        let mut servers = [Nginx::start(&identity), Nginx::start(&identity)];
        let world = World::new("exchange")
            .terminates(&["www.test"])
            .pool("app", &[servers[0].http, servers[1].http])
            .serves("app")
            .start();
        let load = Load::start(&world, 4);
        for server in &mut servers {
            load.goes_on(100);
            drain(&world, "drain", &server.http.to_string());
            load.goes_on(100);
            server.restart();
            drain(&world, "undrain", &server.http.to_string());
        }
        load.goes_on(100);
        assert_eq!(load.end(), Vec::<String>::new(), "lost");
        let figure = |name| world.figure("http-filter", name);
        assert_eq!((figure("retries"), figure("ejections")), (0, 0), "nobody was even asked in vain");
    });
}

#[test]
fn only_what_may_be_repeated_is_sent_again() {
    within(60, || {
        let servers = three();
        servers[0].is(Mood::Closes);
        let world = world("repeat", &servers[..2], "eject_after = 0");
        for (method, body, again) in [
            ("GET", "", true),
            ("DELETE", "", true),
            ("PUT", "", true),
            ("POST", "", false),
            ("PATCH", "", false),
            ("PUT", "data", false),
        ] {
            let length = body.len();
            let text = format!("{method} / HTTP/1.1\r\nHost: www.test\r\nContent-Length: {length}\r\n\r\n{body}");
            let before = [servers[0].seen(), servers[1].seen()];
            // Turn about: in two requests each server is asked first once.
            let mut statuses = [(); 2].map(|()| request(&world, &text).unwrap().status);
            statuses.sort_unstable();
            assert_eq!(statuses, if again { [200, 200] } else { [200, 502] }, "{method} {body:?}");
            let after = [servers[0].seen() - before[0], servers[1].seen() - before[1]];
            assert_eq!(after[0], 1, "{method} {body:?}: asked once");
            assert_eq!(after[1], if again { 2 } else { 1 }, "{method} {body:?}");
        }
    });
}

#[test]
fn what_was_not_sent_goes_to_the_next_server_whatever_it_is() {
    within(60, || {
        let servers = three();
        let dead = dead();
        let world = World::new("unsent")
            .terminates(&["www.test"])
            .pool_with("app", &[dead, servers[0].address()], "eject_after = 0")
            .serves("app")
            .start();
        for _ in 0..4 {
            let post = "POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 4\r\n\r\ndata";
            assert_eq!(request(&world, post).unwrap().status, 200);
        }
        assert_eq!((servers[0].seen(), world.figure("http-filter", "retries")), (4, 2));
    });
}

#[test]
fn a_pool_says_how_often_and_after_what() {
    within(60, || {
        let servers = three();
        servers.iter().for_each(|server| server.is(Mood::Closes));
        let address = addresses(&servers);
        let pool = |name, keys: &str| (name, format!("eject_after = 0\n{keys}"));
        let pools =
            [pool("none", "max_retries = 0"), pool("two", "max_retries = 2"), pool("not", "retry_on = \"connect\"")];
        let mut builder = World::new("retry-keys").terminates(&["www.test"]);
        for (name, keys) in &pools {
            let route = format!("name = \"{name}\"\nhosts = [\"{name}.test\"]\npool = \"{name}\"");
            builder = builder.pool_with(name, &address, keys).http_route(&route);
        }
        let world = builder.start();
        for (name, tries) in [("none", 1), ("two", 3), ("not", 1)] {
            let before: usize = servers.iter().map(Server::seen).sum();
            let answer = request(&world, &format!("GET / HTTP/1.1\r\nHost: {name}.test\r\n\r\n")).unwrap();
            let after: usize = servers.iter().map(Server::seen).sum();
            assert_eq!((answer.status, after - before), (502, tries), "{name}");
        }
    });
}

#[test]
fn retries_have_a_budget() {
    within(60, || {
        let servers = three();
        servers.iter().for_each(|server| server.is(Mood::Closes));
        let keys = "eject_after = 0\nretry_budget = 10\nretry_min = 0\nmax_retries = 5";
        let world = world("budget", &servers, keys);
        for _ in 0..40 {
            assert_eq!(ask(&world, "").unwrap().status, 502);
        }
        assert_eq!(world.figure("http-filter", "retries"), 4, "a tenth of 40");
        assert!(world.figure("http-filter", "retries_refused") > 30);
        assert_eq!(servers.iter().map(Server::seen).sum::<usize>(), 44, "and not 120");
    });
}
