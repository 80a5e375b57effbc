//! More and fewer instances, and one generation after another, while every kind of client asks without a pause: `bulkhead scale` and
//! `bulkhead upgrade` under `bulkhead up`. (The same under systemd: `tests/units/scaling.rs`.)

use std::path::Path;

use common::process::Process;
use harness::backends::{Backend, websocket};
use harness::load::{Came, Load, Manner};
use harness::needs::note;
use harness::{Builder, World, certificates, within};

struct Everything {
    world: World,
    app: Backend,
    others: [Backend; 2],
}

fn everything(name: &str, further: impl FnOnce(Builder) -> Builder) -> Everything {
    let (app, socket) = (Backend::application(), Backend::talking(websocket::talk_to_anybody));
    let secure = Backend::tls_application(&certificates::sign(&["secure.test"]));
    let builder = World::new(name)
        .terminates(&["www.test"])
        .passes("secure.test", "secure")
        .pool("app", &[app.address()])
        .pool("socket", &[socket.address()])
        .pool("secure", &[secure.address()])
        .http_route("name = \"socket\"\npaths = [\"/chat\"]\npool = \"socket\"")
        .serves("app")
        .forwards_to(&[app.address()]);
    Everything { world: further(builder).start(), app, others: [socket, secure] }
}

impl Everything {
    fn load(&self, manners: &[Manner]) -> Load {
        let load = Load::start(&self.world.doors("www.test", "secure.test", self.app.address()), manners);
        load.go_on(50);
        load
    }

    /// Lets go of what backends have recorded, a descriptor for every connection.
    fn forget(&self) {
        self.app.forget();
        self.others.iter().for_each(Backend::forget);
    }

    /// A verb with the configuration; what it said.
    fn bulkhead(&self, words: &[&str]) -> Result<String, String> {
        let config = self.world.config();
        let output = self.world.bulkhead(&[words, &[&config.to_string_lossy()]].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

fn nothing_lost(what: &str, came: &Came) {
    note(what, &format!("{} answered, lost: {}", came.answered, came.told()));
    assert!(came.lost.is_empty(), "{what}: {} answered, lost: {:#?}", came.answered, came.lost);
}

#[test]
fn every_process_grows_to_four_and_shrinks_to_one_and_nothing_is_lost() {
    within(200, || {
        let all = everything("generations-scale", |builder| builder);
        let load = all.load(&Manner::ALL);
        for process in Process::ALL {
            let grown = all.bulkhead(&["scale", process.name(), "4"]).unwrap();
            assert!(grown.contains("4 instances serve (1, 2, 3, 4)"), "{grown}");
            load.go_on(100);
            let shrunk = all.bulkhead(&["scale", process.name(), "1"]).unwrap();
            assert!(shrunk.contains("1 instance serves (1)"), "{shrunk}");
            load.go_on(50);
            all.forget();
        }
        nothing_lost("scaling every process from 1 to 4 to 1", &load.end());
    });
}

#[test]
fn every_process_is_upgraded_ten_times_and_nothing_is_lost() {
    within(300, || {
        let all = everything("generations-upgrade", |builder| builder);
        let load = all.load(&Manner::ALL);
        for _ in 0..10 {
            let told = all.bulkhead(&["upgrade"]).unwrap();
            assert_eq!(told.lines().count(), Process::ALL.len(), "{told}");
            load.go_on(50);
            all.forget();
        }
        nothing_lost("upgrading every process ten times", &load.end());
    });
}

#[test]
fn a_generation_that_does_not_serve_is_taken_back_and_nothing_is_lost() {
    within(120, || {
        let all = everything("generations-rollback", Builder::own_programs);
        let load = all.load(&Manner::ALL);
        let before = all.world.processes();
        let programs = all.world.programs().to_owned();
        let wrong: [(&Path, &str); 2] = [
            (&programs.join("sni-router"), "no socket named"), // starts, but is somebody else
            (Path::new("/bin/false"), "exit code 1"),
        ];
        for (program, why) in wrong {
            all.world.put_program("http-filter", program);
            // Without a file nobody judges the new programs before they are started.
            let run = all.world.folder().join("run");
            let output = all.world.bulkhead(&["upgrade", "http-filter", "--runtime-dir", &run.to_string_lossy()]);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!(told.contains(why) && told.contains("rolled back: http-filter goes on as it was"), "{told}");
            load.go_on(50);
        }
        let broken = all.world.folder().join("broken");
        std::fs::write(&broken, "not a program").unwrap();
        all.world.put_program("tls-terminator", &broken);
        let told = all.bulkhead(&["upgrade"]).unwrap_err();
        assert!(told.contains("nothing was upgraded"), "the check has found it: {told}");
        assert_eq!(all.world.processes(), before, "everybody is who he was");
        let came = load.end();
        assert!(came.lost.is_empty(), "{came:#?}");
    });
}

#[test]
fn a_reload_reaches_those_that_came_later() {
    within(90, || {
        let all = everything("generations-reload", |builder| builder);
        all.bulkhead(&["scale", "http-filter", "3"]).unwrap();
        all.bulkhead(&["upgrade", "http-filter"]).unwrap();
        let config = all.world.config();
        let text = std::fs::read_to_string(&config).unwrap();
        let rule = "\n[[http-filter.access]]\nname = \"closed\"\naction = \"deny\"\npaths = [\"/closed\"]\n";
        std::fs::write(&config, text + rule).unwrap();
        let told = all.bulkhead(&["reload"]).unwrap();
        assert!(told.contains("7 processes work with it"), "{told}");
        for _ in 0..12 {
            let mut stream = harness::clients::raw::connect(all.world.http());
            let answer = harness::clients::http::get(&mut stream, "www.test", "/closed").unwrap();
            assert_eq!(answer.status, 403, "every instance has the rule");
        }
        // Who is started now reads the file as it is now: the same.
        all.bulkhead(&["upgrade", "http-filter"]).unwrap();
        let status = all.world.status();
        let at_work: std::collections::BTreeSet<String> =
            status.iter().map(|one| one["configuration"].as_str().unwrap().to_owned()).collect();
        assert_eq!(at_work.len(), 1, "{status:?}");
        all.bulkhead(&["scale", "http-filter", "1"]).unwrap();
        all.bulkhead(&["upgrade", "http-filter"]).unwrap_or_default();
        let metrics = all.bulkhead(&["metrics"]).unwrap();
        assert_eq!(metrics.matches("bulkhead_up{process=\"http-filter\"").count(), 1, "{metrics}");
        all.world.stop_without_counting();
    });
}
