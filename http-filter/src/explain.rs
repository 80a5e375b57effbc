//! `bulkhead explain` inside the pipeline: a request that nobody sends is judged by the code and the configuration that requests are
//! judged by now, stage by stage in the order of [`super::pipeline`].
//!
//! It leaves no trace: rates are looked at and not used up, nothing is sent or logged, and the figures that the stages count are
//! put back, which works because nothing else runs on this thread meanwhile.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use common::config::Config;
use common::ipc::messages::Ends;
use common::ipc::messages::explain::{Explain, Explained, Reach, Step, Then};
use common_http::h2_gate::check_h2;
use common_http::headers::Fields;
use http::header::{CONTENT_LENGTH, HOST, LOCATION};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Uri, Version};

use super::app::{App, Instance};
use super::connection::Connection;
use super::receive::{Client, Tls};
use super::response::Refusal;
use super::response::plan;
use super::route;
use super::route::lead::{Lead, lead, rewrite};
use super::stages::{access_list, limit_scope, rate_limit, web_attacks};
use super::upstream::ServerPool;
use super::{normalise, pipeline};

/// What would become of this request.
pub fn explain(instance: &Rc<Instance>, config: &Config, question: &Explain) -> Explained {
    let figures = instance.metrics.all();
    let before: Vec<u64> = figures.iter().map(|figure| figure.get()).collect();
    let explained = judge(instance, config, question);
    figures.iter().zip(before).for_each(|(figure, value)| figure.set(value));
    explained
}

fn judge(instance: &Rc<Instance>, config: &Config, question: &Explain) -> Explained {
    let app = instance.app();
    let connection = match Connection::imagined(instance, client(&app, question)) {
        Ok(connection) => connection,
        Err(error) => return Explained::ends(vec![Step::new("request", error).refuses(true)]),
    };
    let parts = match request(question) {
        Ok(parts) => parts,
        Err(error) => return Explained::ends(vec![Step::new("request", error).refuses(true)]),
    };
    let mut steps = Vec::new();
    match decide(&app, config, &connection, (&parts, question.body.as_deref()), &mut steps) {
        Ok(None) => Explained::ends(steps),
        Ok(Some(pool)) => {
            let servers = pool.status();
            let labels: Vec<Box<str>> = servers.iter().map(|server| server.label.clone()).collect();
            let mut step = Step::new("pool", labels.join(", ")).by(&pool.name, None);
            for server in &servers {
                step = step.fact(&server.label, server.state());
            }
            steps.push(step);
            Explained::goes_on(steps, Then::Relay(Reach::Servers(labels)))
        }
        Err(refusal) => {
            steps.push(refused(&refusal));
            Explained::ends(steps)
        }
    }
}

/// The stages in their order. A refusal of the access list is a step of its own, because it knows its line.
fn decide<'a>(
    app: &'a App,
    config: &Config,
    connection: &Connection,
    (parts, body): (&Parts, Option<&[u8]>),
    steps: &mut Vec<Step>,
) -> Result<Option<&'a Rc<ServerPool>>, Refusal> {
    if connection.h2 {
        check_h2(parts, &app.framing)
            .map_err(|violation| Refusal::malformed(violation.status(), violation.text(), violation.label(), false))?;
    }
    pipeline::no_tunnels(app, connection, parts)?;
    let seen = normalise::read(app, connection, parts)?;
    let query = seen.target.query.map(|query| format!("?{query}")).unwrap_or_default();
    let read = format!("{} {}{}{query} for {}", parts.method, seen.target.host, seen.target.path, seen.client);
    steps.push(Step::new("request", read));
    let fields = Fields(&parts.headers);
    let known = access_list::facts(connection, &seen, parts, &fields);
    let decision = app.access.decide(&known);
    let default = format!("`access_default` is {}", if decision.allow { "allow" } else { "deny" });
    let access = common_access::explain::step(&decision, &default);
    let refused = access.refused;
    steps.push(access.refuses(false));
    if refused {
        let rule = decision.rule.map_or("access_default", |rule| &*rule.name);
        return Err(access_list::refusal(rule));
    }
    let failures = Cell::new(0);
    let asked = limit_scope::Facts { connection, seen: &seen, parts, known: &known, failures: &failures };
    steps.extend(rate_limit::look(app, &asked)?);
    let mut held = None;
    if let Some(look) = web_attacks::explain::look(app, connection, (&seen, parts, &known), body) {
        steps.push(look.step);
        match look.refusal {
            Some((refusal, false)) => return Err(refusal),
            Some((refusal, true)) => held = Some(refusal),
            None => {}
        }
    }
    // The body is looked at just before the request would leave.
    match (follow(app, config, connection, &seen, parts, steps)?, held) {
        (Some(_), Some(refusal)) => Err(refusal),
        (pool, _) => Ok(pool),
    }
}

/// The route, and what it does to the request. `None`: it answers itself.
fn follow<'a>(
    app: &'a App,
    config: &Config,
    connection: &Connection,
    seen: &normalise::Seen<'_>,
    parts: &Parts,
    steps: &mut Vec<Step>,
) -> Result<Option<&'a Rc<ServerPool>>, Refusal> {
    let fields = Fields(&parts.headers);
    let secure = plan::is_secure(connection, &parts.headers);
    let route = route::choose(app, &access_list::facts(connection, seen, parts, &fields), secure)?;
    let line = usize::try_from(route.line).ok();
    let step = Step::new("route", format!("to {}", route.leads_to(&route::pool_names(config)))).by(&route.name, line);
    let values = plan::values(connection, seen, parts, route, secure, None);
    match lead(app, route, seen.client, &parts.headers, &values) {
        Err(refusal) => {
            steps.push(step);
            Err(refusal)
        }
        Ok(Lead::Own(answer, decision)) => {
            let mut step = step.fact("decision", decision).fact("status", answer.status().as_str());
            if let Some(location) = answer.headers().get(LOCATION) {
                step = step.fact("location", String::from_utf8_lossy(location.as_bytes()));
            }
            steps.push(step);
            Ok(None)
        }
        Ok(Lead::Pool(pool)) => {
            let rewritten = rewrite(app, route, &values);
            steps.push(match &rewritten {
                Ok(Some(target)) => step.fact("sent as", target.as_str()),
                _ => step,
            });
            rewritten.map(|_| Some(pool))
        }
    }
}

fn refused(refusal: &Refusal) -> Step {
    let step = Step::new("answer", format!("{}: {}", refusal.status, refusal.reason)).refuses(true);
    let step = step.fact("decision", refusal.decision);
    match &refusal.rule {
        Some(rule) => step.by(rule, None),
        None => step,
    }
}

/// Where a certificate is required, it shows one: of a subject without a name.
fn client(app: &App, question: &Explain) -> Client {
    let local = if question.client.is_ipv6() { [0u16; 8].into() } else { [0u8; 4].into() };
    let ends = Ends { client: SocketAddr::new(question.client, 0), local: SocketAddr::new(local, question.port) };
    let tls = question.secure.then(|| Tls {
        server_name: question.server_name.clone(),
        version: question.tls_version.clone(),
        ja4: question.ja4.clone(),
        h2: question.protocol.as_deref() == Some("h2"),
        // Of a site that insists on a certificate nobody else gets here.
        identity: question.identity.clone().or_else(|| {
            question.server_name.as_deref().filter(|name| app.certified.insists(name)).map(|_| Box::default())
        }),
    });
    Client { ends, tls }
}

/// The head as hyper would give it to the pipeline.
fn request(question: &Explain) -> Result<Parts, String> {
    let h2 = question.protocol.as_deref() == Some("h2");
    let uri =
        if h2 { format!("https://{}{}", question.authority, question.target) } else { question.target.to_string() };
    let uri: Uri = uri.parse().map_err(|error| format!("no client can send this target: {error}"))?;
    let mut request = Request::builder().method(&*question.method).uri(uri);
    request = request.version(if h2 { Version::HTTP_2 } else { Version::HTTP_11 });
    let (mut parts, ()) = request.body(()).map_err(|error| format!("this is no request: {error}"))?.into_parts();
    if !h2 {
        let host = HeaderValue::from_str(&question.authority).map_err(|error| format!("Host: {error}"))?;
        parts.headers.insert(HOST, host);
    }
    for (name, value) in &question.headers {
        let own = HeaderName::from_bytes(name.as_bytes()).map_err(|error| format!("header {name}: {error}"))?;
        let value = HeaderValue::from_str(value).map_err(|error| format!("header {name}: {error}"))?;
        parts.headers.append(own, value);
    }
    if let Some(body) = &question.body
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
    }
    Ok(parts)
}
