//! The page of figures under the units: a process that can ask everybody and order nobody.

use std::path::Path;

use common::ipc::ask::ask_with;
use common::ipc::messages::control::{Control, ControlReply};
use common::process::Process;
use harness::clients::{http, raw};
use harness::{eventually, within};

use crate::world::{World, instance, unit};

#[test]
fn the_page_shows_every_instance_there_is() {
    within(120, || {
        let Some(world) = World::start("the_page_shows") else { return };
        world.machine.systemctl(&["--quiet", "enable", "bulkhead-metrics.socket"]);
        world.machine.systemctl(&["start", "bulkhead-metrics.socket"]);
        let page = || {
            let mut stream = raw::connect("127.0.0.1:9100".parse().expect("an address"));
            let answer = http::get(&mut stream, "127.0.0.1:9100", "/metrics").expect("traffic starts the service");
            assert_eq!(answer.status, 200, "{}", answer.head);
            answer.text()
        };
        let up = |text: &str, process: Process, number: u32| {
            let sample = format!("bulkhead_up{{process=\"{process}\",instance=\"{number}\"}} 1");
            text.lines().any(|line| line == sample)
        };
        let text = page();
        for process in Process::ALL {
            assert!(up(&text, process, 1), "{process}: {text}");
        }
        let second = instance(Process::HttpFilter, 2);
        world.machine.systemctl(&["start", &second]);
        assert!(up(&page(), Process::HttpFilter, 2), "an instance that came later");
        world.machine.systemctl(&["stop", &second]);
        eventually(10, "an instance that went is gone from the page", || {
            (!page().contains("instance=\"2\"")).then_some(())
        });
        assert_eq!(world.machine.property("bulkhead-metrics.service", "ActiveState"), "active");
    });
}

#[test]
fn observers_may_ask_and_order_nothing() {
    within(120, || {
        let Some(world) = World::start("observers_may_ask") else { return };
        let socket = |folder: &str| world.machine.path(&format!("/run/bulkhead/{folder}/sni-router-1.sock"));
        assert!(matches!(ask(&socket("observe"), &Control::Status), ControlReply::Status(_)));
        assert!(matches!(ask(&socket("observe"), &Control::Sandbox), ControlReply::Sandbox(_)));
        for order in [Control::Drain, Control::Commit { generation: 1 }, Control::Abort { generation: 1 }] {
            let reply = ask(&socket("observe"), &order);
            assert!(matches!(&reply, ControlReply::Refused(why) if why[0].contains("control socket")), "{reply:?}");
        }
        world.everything_serves();
        // Who is in the group reaches these sockets, and not the others.
        let as_observer = |words: &[&str]| {
            let who = ["--reuid=bulkhead-metrics", "--regid=bulkhead-metrics", "--groups=bulkhead-observe"];
            world.machine.try_run("setpriv", &[&who[..], &["/usr/lib/bulkhead/bulkhead"], words].concat())
        };
        let page = as_observer(&["metrics", "--runtime-dir", "/run/bulkhead"]);
        assert!(page.good && page.text.contains("bulkhead_up"), "{}", page.text);
        assert!(!as_observer(&["sandbox", "--runtime-dir", "/run/bulkhead"]).good, "the control sockets are root's");
        assert_ne!(world.machine.main_pid(&unit(Process::SniRouter)), 0);
    });
}

fn ask(socket: &Path, question: &Control) -> ControlReply {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).expect("an event loop");
    runtime.block_on(ask_with(socket, question, &[])).expect("an answer")
}
