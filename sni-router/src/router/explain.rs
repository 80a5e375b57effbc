//! `bulkhead explain` at the way in: which listener, what the access rules say, where the name leads. Asks the tables that
//! connections are judged by; nothing is counted and no rate is used up.

use std::rc::Rc;

use common::client_hello::HostName;
use common::config::{Config, ListenProtocol, Listener, NotTls};
use common::ipc::messages::explain::{Explain, Explained, Reach, Step, Then};
use common_access::{Facts, Tls, system_clock};

use super::route::{Decider, Decision, Target};
use super::serve::{Door, Gate};

/// What would become of this connection.
#[must_use]
pub fn explain(doors: &[Rc<Door>], config: &Config, question: &Explain) -> Explained {
    let Some(listener) = listener(config, question) else {
        let known: Vec<String> = config.sni_router.listen.iter().map(describe).collect();
        let why = match &question.listener {
            Some(name) => format!("there is no listener {name}"),
            None => format!("nothing listens on port {}", question.port),
        };
        return Explained::ends(vec![
            Step::new("listener", format!("{why}; listening: {}", known.join(", "))).refuses(true),
        ]);
    };
    let Some(gate) = doors.iter().map(|door| door.gate()).find(|gate| gate.name == listener.name) else {
        return Explained::ends(vec![Step::new("listener", "it is not open").refuses(true)]);
    };
    let mut steps = vec![Step::new("listener", describe(listener))];
    if gate.proxy_from.contains(question.client) {
        let announced =
            "this peer owes a PROXY header; what follows is for a client that it announces with this address";
        steps.push(Step::new("proxy protocol", announced));
    }
    let access = access(&gate, question);
    let refused = access.refused;
    steps.push(access);
    if refused {
        return Explained::ends(steps);
    }
    if let Some(rate) = config.sni_router.connection_rate {
        let counts = format!("counts: {} connections a second, {} at once", rate.per_second, rate.burst);
        steps.push(Step::new("rate", counts).by("connection_rate", None));
    }
    match (gate.protocol, question.secure) {
        (ListenProtocol::Http, false) => Explained::goes_on(steps, Then::Filter(None)),
        (ListenProtocol::Http, true) => {
            steps.push(Step::new("protocol", "TLS on a port for plain HTTP: http-filter answers 400").refuses(true));
            Explained::ends(steps)
        }
        (ListenProtocol::Tls, false) => not_tls(&gate, steps),
        (ListenProtocol::Tls, true) => routed(&gate, config, question, steps),
    }
}

/// The named one, or the first of the port; one that speaks the protocol of the request before one that does not.
fn listener<'a>(config: &'a Config, question: &Explain) -> Option<&'a Listener> {
    let fits = |listener: &&Listener| match &question.listener {
        Some(name) => *listener.name == **name,
        None => listener.addresses.iter().any(|address| address.port() == question.port),
    };
    let speaks = |listener: &&Listener| (listener.protocol == ListenProtocol::Tls) == question.secure;
    let all = || config.sni_router.listen.iter().filter(fits);
    all().find(speaks).or_else(|| all().next())
}

fn describe(listener: &Listener) -> String {
    let addresses: Vec<String> = listener.addresses.iter().map(ToString::to_string).collect();
    let protocol = match listener.protocol {
        ListenProtocol::Tls => "tls",
        ListenProtocol::Http => "http",
    };
    format!("{} {} ({protocol})", listener.name, addresses.join(" "))
}

fn access(gate: &Gate, question: &Explain) -> Step {
    let tls = question.secure.then_some(Tls {
        server_name: question.server_name.as_deref(),
        ja4: &question.ja4,
        version: None,
        certificate: None,
    });
    let facts = Facts { listener: &gate.name, tls, ..Facts::of(question.client, &system_clock) };
    common_access::explain::step(&gate.access.decide(&facts), "everybody may come in")
}

fn not_tls(gate: &Gate, mut steps: Vec<Step>) -> Explained {
    let by = |step: Step| step.by("otherwise.not_tls", None);
    match &gate.not_tls {
        NotTls::Passthrough(pool) => {
            steps.push(by(Step::new("protocol", format!("plain HTTP on a TLS port: passed to the pool {pool}"))));
            Explained::goes_on(steps, Then::Relay(Reach::Pool((&**pool).into())))
        }
        NotTls::Redirect => {
            steps.push(by(Step::new("protocol", "plain HTTP on a TLS port: redirected to https").refuses(true)));
            Explained::ends(steps)
        }
        NotTls::Refuse => {
            steps.push(by(Step::new("protocol", "plain HTTP on a TLS port: answered with 400").refuses(true)));
            Explained::ends(steps)
        }
        NotTls::Close => {
            steps.push(by(Step::new("protocol", "plain HTTP on a TLS port: closed").refuses(true)));
            Explained::ends(steps)
        }
    }
}

fn routed(gate: &Gate, config: &Config, question: &Explain, mut steps: Vec<Step>) -> Explained {
    let name = question.server_name.as_deref().map(|name| HostName::parse(name.as_bytes()));
    let name = match name.transpose() {
        Ok(name) => name,
        Err(error) => {
            steps.push(Step::new("route", format!("no client can send this name: {error}")).refuses(true));
            return Explained::ends(steps);
        }
    };
    let offers = |protocol: &[u8]| question.alpn.iter().any(|own| own.as_bytes() == protocol);
    let Decision { target, decider } = gate.routes.choose(name.as_ref(), offers);
    let shown = question.server_name.as_deref().unwrap_or("no name");
    let (what, then) = match &target {
        Target::Passthrough(pool) => {
            (format!("{shown}: passed untouched to the pool {pool}"), Then::Relay(Reach::Pool((&**pool).into())))
        }
        Target::Terminate => (format!("{shown}: TLS ends here"), Then::Terminator),
        Target::Alert(number) => (format!("{shown}: refused with TLS alert {number}"), Then::Ends),
        Target::Close => (format!("{shown}: closed without a word"), Then::Ends),
    };
    let step = Step::new("route", what).refuses(then == Then::Ends);
    steps.push(match &decider {
        Decider::Route(route) => {
            step.by(route, config.routes.iter().find(|own| own.name == *route).map(|own| own.line))
        }
        Decider::NoSni => step.by("otherwise.no_sni", None),
        Decider::UnknownName => step.by("otherwise.unknown_name", None),
    });
    Explained { steps, then, identity: None }
}
