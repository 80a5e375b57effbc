//! tls-terminator: arguments → configuration → sockets → certificates → sandbox → serve. The order lives in `common::startup`.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use common::process::Process;
use common::reload::Commit;
use common::startup::{Component, run};
use common::wiring::ROUTER_TO_TERMINATOR;
use tls_terminator::certificates::desk::Desk;
use tls_terminator::{budget, explain, metrics::TerminatorFigures, sandbox, serve};

const COMPONENT: Component = Component {
    process: Process::TlsTerminator,
    policy: &sandbox::POLICY,
    stricter: |_| None,
    figures: TerminatorFigures::TABLE,
    check: serve::check,
    budget: budget::budget,
};

fn main() -> ExitCode {
    run(&COMPONENT, serve::open, |opened, context| async move {
        let (world, from_router) = serve::start(opened);
        context.on_explain({
            let world = Rc::clone(&world);
            move |question, config| std::future::ready(explain::explain(&world.now(), &config, &question))
        });
        context.offer_certificates({
            let world = Rc::clone(&world);
            let now = move || (Arc::clone(world.now().sites.store()), world.now().warn_before);
            Rc::new(Desk(now))
        });
        context.on_reload({
            let world = Rc::clone(&world);
            move |config, files| {
                let prepared = serve::prepare(&world, &config, &files);
                std::future::ready(prepared.map(|commit| Box::new(commit) as Commit))
            }
        });
        let stopping = async {
            context.stopping().await;
            context.shared().stop_deadline
        };
        serve::serve(world, from_router, context.peers(&ROUTER_TO_TERMINATOR), stopping).await;
    })
}
