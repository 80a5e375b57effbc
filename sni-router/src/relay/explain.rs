//! `bulkhead explain` at the way out: which servers, which addresses, what the guard says. Names are looked up (nobody but this
//! process can); nothing is connected to and nothing is counted.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::ipc::messages::explain::{Explain, Explained, Reach, Step};

use super::dial::DialService;
use super::literal::{Host, parse_host};
use super::passthrough::{PassthroughService, Pool};
use super::resolve::{Purpose, Resolver};

/// How long all names together may take.
const LOOKUPS: Duration = Duration::from_secs(3);
/// Servers that are looked up for one question.
const MOST_SERVERS: usize = 32;

/// What would be connected to.
pub async fn explain(
    dials: Rc<DialService>,
    passthrough: Rc<PassthroughService>,
    resolver: Rc<Resolver>,
    question: Explain,
) -> Explained {
    let until = Instant::now() + LOOKUPS;
    match question.reach {
        Some(Reach::Pool(name)) => match passthrough.pool(&name) {
            Some(pool) => Explained::ends(through(&pool, &resolver, until).await),
            None => {
                let step = Step::new("pool", format!("this process knows no pool {name}")).refuses(true);
                Explained::ends(vec![step])
            }
        },
        Some(Reach::Servers(labels)) => {
            let mut steps = Vec::new();
            for label in labels.iter().take(MOST_SERVERS) {
                let server = dials.server(label);
                steps.push(match server {
                    Some((host, port)) => looked_up(label, &host, port, &resolver, until).await,
                    None => Step::new("server", format!("{label}: not a server of this process")).refuses(true),
                });
            }
            Explained::ends(steps)
        }
        Some(Reach::Outward(host, port)) => Explained::ends(outward(&dials, &resolver, &host, port, until).await),
        None => Explained::ends(vec![Step::new("relay", "nothing was asked for").refuses(true)]),
    }
}

async fn through(pool: &Pool, resolver: &Resolver, until: Instant) -> Vec<Step> {
    let mut steps = vec![Step::new("pool", pool.describe()).by(pool.name(), None)];
    for (server, state) in pool.servers().into_iter().take(MOST_SERVERS) {
        let step = looked_up(&server.label, &server.host, server.port, resolver, until).await;
        steps.push(step.fact("state", state));
    }
    steps
}

async fn looked_up(label: &str, host: &Host, port: u16, resolver: &Resolver, until: Instant) -> Step {
    match resolver.resolve(host, port, Purpose::Backend, until).await {
        Ok(addresses) if matches!(host, Host::Name(_)) => Step::new("server", format!("{label}: {}", list(&addresses))),
        Ok(_) => Step::new("server", label),
        Err(error) => Step::new("server", format!("{label}: {error}")),
    }
}

async fn outward(dials: &DialService, resolver: &Resolver, host: &str, port: u16, until: Instant) -> Vec<Step> {
    let host = match parse_host(host) {
        Ok(host) => host,
        Err(error) => return vec![Step::new("destination", error.to_string()).refuses(true)],
    };
    let addresses = match resolver.resolve(&host, port, Purpose::Destination, until).await {
        Ok(addresses) => addresses,
        Err(error) => return vec![Step::new("destination", error.to_string()).refuses(true)],
    };
    let mut steps = Vec::new();
    let mut open = 0;
    for address in &addresses {
        steps.push(match dials.judge(*address) {
            Ok(()) => {
                open += 1;
                Step::new("address", format!("{address}: may be connected to"))
            }
            Err(refused) => Step::new("address", refused.to_string()).by("passthrough-relay.outward", None),
        });
    }
    if let (0, Some(last)) = (open, steps.last_mut()) {
        last.refused = true;
    }
    steps
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
