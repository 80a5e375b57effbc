//! What a configuration asks the launcher for: processes, edges, listeners. Pure: a configuration in, lists out.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use common::config::Config;
use common::process::Process;
use common::wiring::{EDGES, Edge};

/// Everything that is to be started and opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who is needed and how often, receivers before senders: the order of starting.
    pub processes: Vec<(Process, u32)>,
    /// Edges that this configuration uses.
    pub edges: Vec<Edge>,
    /// Every address clients connect to.
    pub listeners: Vec<Listening>,
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Whose it is.
    pub process: Process,
    /// As in the file.
    pub name: String,
    /// `listen-<name>`, for `LISTEN_FDNAMES`.
    pub descriptor_name: String,
    /// Where.
    pub address: SocketAddr,
    /// Connections the kernel keeps until they are accepted.
    pub backlog: u32,
    /// How long the kernel keeps a silent connection to itself.
    pub defer_accept: Duration,
}

impl Plan {
    /// Reads it off the configuration.
    pub fn of(config: &Config) -> Self {
        let needed = config.needed().into_iter();
        let processes: Vec<(Process, u32)> =
            needed.filter_map(|(name, instances)| Some((name.parse().ok()?, u32::try_from(instances).ok()?))).collect();
        let edges = EDGES.into_iter().filter(|edge| edge.is_used(config)).collect();
        Self { edges, listeners: listeners(config), processes }
    }

    /// How many processes there will be, instances counted.
    pub fn size(&self) -> usize {
        self.instances().count()
    }

    /// Every instance of every process, in the order of starting.
    pub fn instances(&self) -> impl Iterator<Item = (Process, u32)> {
        self.processes.iter().flat_map(|(process, count)| (1..=*count).map(|instance| (*process, instance)))
    }
}

fn listeners(config: &Config) -> Vec<Listening> {
    let way_in = config.sni_router.listen.iter().flat_map(|listener| {
        listener.addresses.iter().map(|address| Listening {
            process: Process::SniRouter,
            name: listener.name.to_string(),
            descriptor_name: listener.descriptor_name(),
            address: *address,
            backlog: listener.backlog,
            defer_accept: listener.defer_accept,
        })
    });
    let way_out = config.forward_proxy.listen.iter().flat_map(|listener| {
        listener.addresses.iter().map(|address| Listening {
            process: Process::ForwardProxy,
            name: listener.name.to_string(),
            descriptor_name: listener.descriptor_name(),
            address: *address,
            backlog: listener.backlog,
            defer_accept: listener.defer_accept,
        })
    });
    way_in.chain(way_out).collect()
}

/// `sni-router × 1, http-filter × 2; listening: web 127.0.0.1:80`
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processes: Vec<String> = self.processes.iter().map(|(name, count)| format!("{name} × {count}")).collect();
        let listeners: Vec<String> = self.listeners.iter().map(Listening::to_string).collect();
        write!(f, "{}; listening: {}", processes.join(", "), listeners.join(", "))
    }
}

/// `web 127.0.0.1:80`
impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.address)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    fn plan(text: &str) -> Plan {
        Plan::of(&Config::parse(text, "test.toml", Path::new("/")).unwrap().0)
    }

    #[test]
    fn only_what_has_work_is_started_and_only_they_are_joined() {
        let text = "[[forward-proxy.listen]]\nname = \"out\"\naddress = [\"127.0.0.1:3128\", \"[::1]:3128\"]\n";
        let plan = plan(&format!("[forward-proxy]\ninstances = 2\n{text}"));
        assert_eq!(plan.processes, [(Process::PassthroughRelay, 1), (Process::ForwardProxy, 2)]);
        let edges: Vec<&str> = plan.edges.iter().map(|edge| edge.name).collect();
        assert_eq!(
            edges,
            ["forward-proxy-to-passthrough-relay", "passthrough-relay-to-successor", "forward-proxy-to-successor"]
        );
        assert_eq!(plan.listeners.len(), 2);
        assert!(plan.listeners.iter().all(|one| one.descriptor_name == "listen-out"));
        assert_eq!(plan.size(), 3);
        let text = plan.to_string();
        assert!(text.contains("forward-proxy × 2") && text.contains("out [::1]:3128"), "{text}");
    }

    #[test]
    fn a_plain_http_port_needs_no_terminator() {
        let plan = plan(
            "[[sni-router.listen]]\nname = \"web\"\naddress = [\"127.0.0.1:8080\"]\nprotocol = \"http\"\n\
             [[pool]]\nname = \"app\"\nservers = [\"127.0.0.1:9000\"]\n\
             [[http-filter.route]]\nname = \"all\"\npool = \"app\"\n",
        );
        let names: Vec<_> = plan.instances().collect();
        assert_eq!(
            names,
            [(Process::PassthroughRelay, 1), (Process::HttpFilter, 1), (Process::SniRouter, 1)],
            "receivers first"
        );
        assert!(!plan.edges.contains(&common::wiring::TERMINATOR_TO_FILTER));
        assert!(plan.edges.contains(&common::wiring::ROUTER_TO_FILTER));
    }
}
