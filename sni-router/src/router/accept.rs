//! The accept loop: everything that is ready is accepted in one turn, judged, and (mostly) handed on within the same turn
//! without ever being part of the event loop; only a client whose ClientHello is not whole yet gets a task of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use common::client_hello::{self, ClientHello, NotTls, Reading};
use common::config::{self, ListenProtocol};
use common::ipc::messages::Ends;
use common::net::accept::Acceptor;
use common::net::client_limit::{ClientKey, Place};
use common::net::farewell::part;

use super::announce::{self, NoHeader};
use super::peek::{Look, Watched, look};
use super::refuse::{alert, http_on_tls_port, redirect};
use super::route::{Decider, Target};
use super::serve::{Door, Gate, Router};

/// What the peeked bytes are, for a TLS listener.
enum Verdict {
    Hello(Box<ClientHello>),
    /// With the answer for somebody who speaks HTTP.
    NotTls(NotTls, Option<Vec<u8>>),
    Malformed(client_hello::Malformed),
}

/// Accepts on one socket until the process is told to stop.
pub async fn accept(router: Rc<Router>, door: Rc<Door>, listener: OwnedFd) -> io::Result<()> {
    let mut acceptor = Acceptor::new(listener, router.metrics.out_of_descriptors.clone())?;
    loop {
        router.hand_over.room().await;
        acceptor.turn(|socket, ends| admit(&router, &door.gate(), socket, ends)).await?;
    }
}

fn admit(router: &Rc<Router>, gate: &Rc<Gate>, socket: OwnedFd, ends: Ends) {
    router.metrics.accepted.up();
    if gate.proxy_from.contains(ends.client.ip()) {
        return wait(router, gate, socket, ends, true);
    }
    if !allowed(router, gate, ends) {
        return;
    }
    if gate.protocol == ListenProtocol::Http {
        return router.hand_over.plain_http(socket, ends);
    }
    match look(&socket, router.hello_limit.get(), |bytes| judge(router, gate, bytes)) {
        Look::Done(verdict) => finish(router, gate, socket, ends, verdict),
        Look::Wait(_) => wait(router, gate, socket, ends, false),
        Look::Gone => router.metrics.vanished.up(),
    }
}

/// Access rules and rate, for the client as announced.
fn allowed(router: &Router, gate: &Gate, ends: Ends) -> bool {
    let access = gate.access.decide(ends.client.ip());
    for rule in &access.observed {
        tracing::info!(client = %ends.client, listener = &*gate.name, rule = &**rule, "would be denied (observe)");
    }
    if !access.allowed {
        router.metrics.denied.up();
        tracing::info!(client = %ends.client, listener = &*gate.name, rule = access.rule.as_deref(), "denied");
        return false;
    }
    let mut rate = router.rate.borrow_mut();
    if rate.as_mut().is_some_and(|rate| !rate.admit(ClientKey::from(ends.client.ip()), Instant::now())) {
        router.metrics.rate_limited.up();
        tracing::debug!(client = %ends.client, "too many connections a second");
        return false;
    }
    true
}

fn wait(router: &Rc<Router>, gate: &Rc<Gate>, socket: OwnedFd, ends: Ends, announced: bool) {
    let places = &router.in_progress;
    // A load balancer speaks for many clients; each is counted as itself once it is known.
    let place = if announced { places.enter_unattributed() } else { places.enter(ClientKey::from(ends.client.ip())) };
    let Ok(place) = place else { return router.metrics.hellos_refused.up() };
    let (router, gate) = (Rc::clone(router), Rc::clone(gate));
    tokio::task::spawn_local(async move {
        let _waiting = router.metrics.hellos_waiting.hold();
        let Ok(watched) = Watched::new(socket) else { return };
        let known = if announced { hear(&router, &gate, &watched, ends, place).await } else { Some((ends, place)) };
        let Some((ends, _place)) = known else { return };
        if tokio::time::timeout(router.hello_deadline.get(), patiently(&router, &gate, watched, ends)).await.is_err() {
            router.metrics.hello_timeouts.up();
            tracing::debug!(client = %ends.client, "the ClientHello was not whole in time");
        }
    });
}

/// Waits for the PROXY header that is owed, then judges the client it names as if it had come itself: access, rate, and a
/// place among its own ClientHellos in progress instead of the load balancer's.
async fn hear(router: &Router, gate: &Gate, watched: &Watched, ends: Ends, place: Place) -> Option<(Ends, Place)> {
    let metrics = &router.metrics;
    let told = match tokio::time::timeout(gate.proxy_deadline, announce::read(watched, ends)).await {
        Ok(Ok(told)) => told,
        Ok(Err(NoHeader::Malformed)) => {
            metrics.bad_proxy_header.up();
            tracing::warn!(peer = %ends.client, listener = &*gate.name, "no PROXY header, though proxy_protocol_from names this peer");
            return None;
        }
        Ok(Err(NoHeader::Gone)) => {
            metrics.vanished.up();
            return None;
        }
        Err(_) => {
            metrics.hello_timeouts.up();
            return None;
        }
    };
    if !allowed(router, gate, told) {
        return None;
    }
    drop(place);
    match router.in_progress.enter(ClientKey::from(told.client.ip())) {
        Ok(own) => Some((told, own)),
        Err(_) => {
            metrics.hellos_refused.up();
            None
        }
    }
}

/// Waits for the ClientHello; plain HTTP needs none.
async fn patiently(router: &Rc<Router>, gate: &Gate, watched: Watched, ends: Ends) {
    if gate.protocol == ListenProtocol::Http {
        if let Ok(socket) = watched.release() {
            router.hand_over.plain_http(socket, ends);
        }
        return;
    }
    match watched.until(router.hello_limit.get(), |bytes| judge(router, gate, bytes)).await {
        Some(verdict) => {
            if let Ok(socket) = watched.release() {
                finish(router, gate, socket, ends, verdict);
            }
        }
        None => router.metrics.vanished.up(),
    }
}

fn judge(router: &Router, gate: &Gate, bytes: &[u8]) -> Result<Verdict, usize> {
    match client_hello::read(bytes, router.hello_limit.get()) {
        Reading::Incomplete { at_least } => Err(at_least),
        Reading::Hello(hello) => Ok(Verdict::Hello(hello)),
        Reading::Malformed(malformed) => Ok(Verdict::Malformed(malformed)),
        Reading::NotTls(what) => {
            let answer = match (what, &gate.not_tls) {
                (NotTls::Http, config::NotTls::Redirect) => Some(redirect(bytes).unwrap_or_else(http_on_tls_port)),
                (NotTls::Http, config::NotTls::Refuse) => Some(http_on_tls_port()),
                _ => None,
            };
            Ok(Verdict::NotTls(what, answer))
        }
    }
}

fn finish(router: &Rc<Router>, gate: &Gate, socket: OwnedFd, ends: Ends, verdict: Verdict) {
    match verdict {
        Verdict::Hello(hello) => decide(router, gate, socket, ends, &hello),
        Verdict::Malformed(malformed) => {
            router.metrics.malformed.up();
            tracing::info!(client = %ends.client, listener = &*gate.name, "malformed ClientHello: {malformed}");
            if gate.malformed == config::Refusal::Alert {
                part(socket, &alert(malformed.alert()), &router.metrics.lingering);
            }
        }
        Verdict::NotTls(what, answer) => {
            if let config::NotTls::Passthrough(pool) = &gate.not_tls {
                return router.hand_over.passthrough(socket, ends, pool, None);
            }
            router.metrics.not_tls.up();
            tracing::info!(client = %ends.client, listener = &*gate.name, "{what}");
            if let Some(answer) = answer {
                part(socket, &answer, &router.metrics.lingering);
            }
        }
    }
}

fn decide(router: &Rc<Router>, gate: &Gate, socket: OwnedFd, ends: Ends, hello: &ClientHello) {
    let decision = gate.routes.decide(hello);
    let name = hello.server_name.as_ref().map(client_hello::HostName::as_str);
    match &decision.target {
        Target::Passthrough(pool) => return router.hand_over.passthrough(socket, ends, pool, Some(hello)),
        Target::Terminate => return router.hand_over.terminate(socket, ends, hello),
        Target::Alert(description) => part(socket, &alert(*description), &router.metrics.lingering),
        Target::Close => drop(socket),
    }
    let (counter, decider) = match &decision.decider {
        Decider::Route(route) => (&router.metrics.refused_by_route, &**route),
        Decider::NoSni => (&router.metrics.no_sni, "otherwise.no_sni"),
        Decider::UnknownName => (&router.metrics.unknown_name, "otherwise.unknown_name"),
    };
    counter.up();
    tracing::info!(client = %ends.client, listener = &*gate.name, server_name = name, rule = decider, "refused");
}
