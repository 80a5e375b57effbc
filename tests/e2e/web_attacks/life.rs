//! The stage over a life of its process: reloads change rules under load, and a request that ends the process on an inspection thread is known to
//! the next.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::backends::Backend;
use harness::clients::{http, raw};
use harness::{World, eventually, within};

use super::{FORM, RULES, blocking, get, world};

fn reload(world: &World) -> (bool, String) {
    let output = world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn edit(world: &World, from: &str, to: &str) {
    let text = fs::read_to_string(world.config()).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(world.config(), text.replace(from, to)).unwrap();
}

/// Rules that take long over a body of many arguments.
fn slow() -> String {
    let rule = |number: u32| {
        format!(
            "SecRule ARGS \"@rx (a|b|ab)*c{number}$\" \"id:{},phase:2,pass,nolog,t:lowercase,t:md5,t:hexEncode\"\n",
            500 + number
        )
    };
    (0..200).map(rule).collect()
}

#[test]
fn a_reload_swaps_rules_under_load_and_a_broken_rule_changes_nothing() {
    within(90, || {
        let backend = Backend::application();
        let world = Arc::new(blocking("waf-reload", &backend, ""));
        let over = Arc::new(AtomicBool::new(false));
        let load = thread::spawn({
            let (world, over) = (Arc::clone(&world), Arc::clone(&over));
            move || {
                while !over.load(Ordering::SeqCst) {
                    assert_eq!((get(&world, "/?a=fine"), get(&world, "/?a=evil")), (200, 403));
                }
            }
        });
        let file = world.folder().join("rules/test.conf");
        fs::write(&file, format!("{RULES}\nSecRule ARGS \"@streq new\" \"id:400,phase:2,deny,msg:'new'\"\n")).unwrap();
        assert_eq!(get(&world, "/?a=new"), 200);
        let (taken, said) = reload(&world);
        assert!(taken, "{said}");
        assert_eq!(get(&world, "/?a=new"), 403);
        fs::write(&file, format!("{RULES}\nSecRule ARGZ \"@streq x\" \"id:401,phase:2,deny\"\n")).unwrap();
        let (taken, said) = reload(&world);
        assert!(!taken && said.contains("rules/test.conf:15") && said.contains("ARGZ"), "{said}");
        assert_eq!(get(&world, "/?a=new"), 403, "as before");
        fs::write(&file, RULES).unwrap();
        fs::write(world.folder().join("rules/more.conf"), "SecRule ARGS \"@streq more\" \"id:402,phase:2,deny\"\n")
            .unwrap();
        let (taken, said) = reload(&world);
        assert!(taken, "{said}");
        assert_eq!((get(&world, "/?a=new"), get(&world, "/?a=more")), (200, 403), "a pattern finds new files");
        over.store(true, Ordering::SeqCst);
        load.join().unwrap();
        edit(&world, "mode = \"block\"", "mode = \"detect\"");
        assert!(reload(&world).0);
        assert_eq!(get(&world, "/?a=evil"), 200);
        edit(&world, "mode = \"detect\"", "mode = \"off\"");
        assert!(reload(&world).0);
        assert_eq!(get(&world, "/?a=evil"), 200);
        edit(&world, "mode = \"off\"", "mode = \"block\"");
        assert!(reload(&world).0, "it may have threads, for it had them before");
        assert_eq!(get(&world, "/?a=evil"), 403);
    });
}

#[test]
fn a_process_that_was_started_without_threads_is_told_to_restart() {
    within(60, || {
        let backend = Backend::application();
        let world = world("waf-threads", &backend, "mode = \"off\"\n").start();
        edit(&world, "mode = \"off\"", "mode = \"block\"");
        let (taken, said) = reload(&world);
        assert!(!taken && said.contains("bulkhead upgrade http-filter"), "{said}");
        assert_eq!(get(&world, "/?a=evil"), 200);
        let killed = world.terminate("http-filter");
        world.wait_for_restart(&killed);
        assert_eq!(get(&world, "/?a=evil"), 403);
    });
}

#[test]
fn a_body_that_ends_the_process_on_an_inspection_thread_is_known_although_its_client_left() {
    within(90, || {
        let backend = Backend::application();
        let keys = "mode = \"block\"\nbudget = \"5s\"\nrules = [\"rules/test.conf\", \"rules/slow.conf\"]\n";
        let world = world("waf-death", &backend, keys).file("rules/slow.conf", &slow()).start();
        let body: Vec<u8> =
            (0..240).flat_map(|number| format!("p{number}={}&", "ab".repeat(2000)).into_bytes()).collect();
        let head = format!(
            "POST /killer HTTP/1.1\r\nHost: www.test\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        eventually(60, "a death while a thread is at work, twice", || {
            let mut killer = raw::connect(world.http());
            killer.write_all(&[head.as_bytes(), &body].concat()).ok()?;
            let before = world.figure("http-filter", "web_attack_bodies_inspected");
            let began =
                || (world.figure("http-filter", "web_attack_bodies_inspected") > before || before > 0).then_some(());
            eventually(5, "it is being inspected", began);
            let killed = world.kill("http-filter");
            world.wait_for_restart(&killed);
            world
                .log()
                .iter()
                .any(|line| line.contains("refused from here on") && line.contains("at work"))
                .then_some(())
        });
        let mut again = raw::connect(world.http());
        again.write_all(&[head.as_bytes(), &body].concat()).unwrap_or_default();
        assert_eq!(http::read_answer(&mut again).unwrap().status, 500);
        assert_eq!(get(&world, "/?a=fine"), 200);
    });
}
