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
use common_access::{Decision, Facts, Known, Tls, system_clock};

use super::announce::{self, NoHeader};
use super::peek::{Look, Watched, look};
use super::refuse::{alert, http_on_tls_port, redirect};
use super::route::{ACCESS_DENIED, Decider, Target};
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
        let turn = acceptor.turn(|socket, ends| {
            admit(&router, &door.gate(), socket, ends);
            router.hand_over.has_room()
        });
        turn.await?;
    }
}

fn admit(router: &Rc<Router>, gate: &Rc<Gate>, socket: OwnedFd, ends: Ends) {
    router.metrics.accepted.up();
    if gate.proxy_from.contains(ends.client.ip()) {
        return wait(router, gate, socket, ends, None);
    }
    let Some(access) = admitted(router, gate, ends) else { return };
    if gate.protocol == ListenProtocol::Http {
        return router.hand_over.plain_http(socket, ends);
    }
    match look(&socket, router.hello_limit.get(), |bytes| judge(router, gate, bytes)) {
        Look::Done(verdict) => finish(router, gate, socket, ends, verdict, access),
        Look::Wait(_) => wait(router, gate, socket, ends, Some(access)),
        Look::Gone => router.metrics.vanished.up(),
    }
}

/// What the access rules said before the ClientHello was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// All of them were heard.
    Settled,
    /// One of them asks what only the ClientHello says.
    AfterHello,
}

/// Access rules and rate, for the client as announced. `None`: turned away.
fn admitted(router: &Router, gate: &Gate, ends: Ends) -> Option<Access> {
    // Plain HTTP has no ClientHello: all there is to know of TLS is known.
    let known = if gate.protocol == ListenProtocol::Http { Known::ALL } else { Known::USER.and(Known::REQUEST) };
    let access = match gate.access.decide_early(&facts(gate, &ends), known) {
        Some(decision) if !heed(router, gate, ends, &decision) => return None,
        Some(_) => Access::Settled,
        None => Access::AfterHello,
    };
    let mut rate = router.rate.borrow_mut();
    if rate.as_mut().is_some_and(|rate| !rate.admit(ClientKey::from(ends.client.ip()), Instant::now())) {
        router.metrics.rate_limited.up();
        tracing::debug!(client = %ends.client, "too many connections a second");
        return None;
    }
    Some(access)
}

fn facts<'a>(gate: &'a Gate, ends: &Ends) -> Facts<'a> {
    Facts { listener: &gate.name, ..Facts::of(ends.client.ip(), &system_clock) }
}

/// Writes a decision down. Whether the client may come in.
fn heed(router: &Router, gate: &Gate, ends: Ends, decision: &Decision<'_>) -> bool {
    router.metrics.expression_failures.add(u64::from(decision.failures));
    if let Some(rule) = decision.observed.filter(|rule| rule.action == config::Action::Deny) {
        router.metrics.observed.up();
        tracing::info!(client = %ends.client, listener = &*gate.name, rule = &*rule.name, "would be denied (observe)");
    }
    if !decision.allow {
        router.metrics.denied.up();
        let rule = decision.rule.map_or("access_default", |rule| &rule.name);
        tracing::info!(client = %ends.client, listener = &*gate.name, rule, "denied");
    }
    decision.allow
}

/// The rules that had to wait for the ClientHello; `None`: it is not TLS.
fn admitted_late(router: &Router, gate: &Gate, ends: Ends, hello: Option<&ClientHello>) -> bool {
    let tls = hello.map(|hello| Tls {
        server_name: hello.server_name.as_ref().map(client_hello::HostName::as_str),
        ja4: hello.ja4.as_str(),
        version: None,
        certificate: None,
    });
    let decision = gate.access.decide(&Facts { tls, ..facts(gate, &ends) });
    heed(router, gate, ends, &decision)
}

/// Waits for more of a client; `None`: for its PROXY header first, which is owed.
fn wait(router: &Rc<Router>, gate: &Rc<Gate>, socket: OwnedFd, ends: Ends, access: Option<Access>) {
    let places = &router.in_progress;
    // A load balancer speaks for many clients; each is counted as itself once it is known.
    let place = match access {
        None => places.enter_unattributed(),
        Some(_) => places.enter(ClientKey::from(ends.client.ip())),
    };
    let Ok(place) = place else { return router.metrics.hellos_refused.up() };
    // Counted before the task first runs: a process that is told to finish in this turn must wait for it.
    let waiting = router.metrics.hellos_waiting.hold();
    let (router, gate) = (Rc::clone(router), Rc::clone(gate));
    tokio::task::spawn_local(async move {
        let _waiting = waiting;
        let Ok(watched) = Watched::new(socket) else { return };
        let known = match access {
            None => hear(&router, &gate, &watched, ends, place).await,
            Some(access) => Some((ends, place, access)),
        };
        let Some((ends, _place, access)) = known else { return };
        let Ok(whole) = tokio::time::timeout(router.hello_deadline.get(), whole(&router, &gate, watched)).await else {
            router.metrics.hello_timeouts.up();
            return tracing::debug!(client = %ends.client, "the ClientHello was not whole in time");
        };
        let Some((socket, verdict)) = whole else { return };
        // However many become whole at once, the queue takes no more than the accept loops leave it; it moves on within `hand_over_deadline`.
        router.hand_over.room().await;
        match verdict {
            Some(verdict) => finish(&router, &gate, socket, ends, verdict, access),
            None => router.hand_over.plain_http(socket, ends),
        }
    });
}

/// Waits for the PROXY header that is owed, then judges the client it names as if it had come itself: access, rate, and a
/// place among its own ClientHellos in progress instead of the load balancer's.
async fn hear(
    router: &Router,
    gate: &Gate,
    watched: &Watched,
    ends: Ends,
    place: Place,
) -> Option<(Ends, Place, Access)> {
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
    let access = admitted(router, gate, told)?;
    drop(place);
    match router.in_progress.enter(ClientKey::from(told.client.ip())) {
        Ok(own) => Some((told, own, access)),
        Err(_) => {
            metrics.hellos_refused.up();
            None
        }
    }
}

/// Waits until the ClientHello is whole; plain HTTP needs none. `None`: the client is gone.
async fn whole(router: &Router, gate: &Gate, watched: Watched) -> Option<(OwnedFd, Option<Verdict>)> {
    if gate.protocol == ListenProtocol::Http {
        return Some((watched.release().ok()?, None));
    }
    let verdict = watched.until(router.hello_limit.get(), |bytes| judge(router, gate, bytes)).await;
    if verdict.is_none() {
        router.metrics.vanished.up();
    }
    Some((watched.release().ok()?, Some(verdict?)))
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

fn finish(router: &Rc<Router>, gate: &Gate, socket: OwnedFd, ends: Ends, verdict: Verdict, access: Access) {
    let late = access == Access::AfterHello;
    match verdict {
        Verdict::Hello(hello) if late && !admitted_late(router, gate, ends, Some(&hello)) => {
            part(socket, &alert(ACCESS_DENIED), &router.metrics.lingering);
        }
        Verdict::NotTls(..) if late && !admitted_late(router, gate, ends, None) => drop(socket),
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
