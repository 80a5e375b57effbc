//! The stage over a life of its process: reloads change rules under load, and threads are there only where the process may have them.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::backends::Backend;
use harness::{World, within};

use super::{RULES, blocking, get, world};

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
        assert!(!taken && said.contains("rules/test.conf:14") && said.contains("ARGZ"), "{said}");
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
        let world = world("waf-threads", &backend, "mode = \"off\"\n").set("log", "format", "\"text\"").start();
        edit(&world, "mode = \"off\"", "mode = \"block\"");
        let (taken, said) = reload(&world);
        assert!(!taken && said.contains("bulkhead upgrade http-filter"), "{said}");
        assert_eq!(get(&world, "/?a=evil"), 200);
        let killed = world.terminate("http-filter");
        world.wait_for_restart(&killed);
        assert_eq!(get(&world, "/?a=evil"), 403);
    });
}
