//! Who may talk to whom: the table of edges, as data. The launcher makes its sockets from it, every process finds its own
//! ends in it, documents and units are checked against it. What is not in here does not exist.
//!
//! Most edges lead from one process to another and have a socket per receiving instance. A *succession* leads from a process to whoever
//! takes its place, and has one socket for all instances: a letter box that outlives them (decision 0029).

use std::path::{Path, PathBuf};

use crate::config::{Config, ListenProtocol};
use crate::process::Process;

/// One direction in which one process may send to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// `<sender>-to-<receiver>`, or `<process>-to-successor`: directory below `runtime_dir`, log field, and (with `edge-` before it) descriptor name.
    pub name: &'static str,
    /// The Unix group of those who may connect, under the units: `name` is longer than the 31 bytes a group may have.
    pub group: &'static str,
    /// Who sends.
    pub sender: Process,
    /// Who receives; one socket per instance of it.
    pub receiver: Process,
    /// What passes.
    pub purpose: &'static str,
}

/// Clients whose bytes pass untouched.
pub const ROUTER_TO_RELAY: Edge = Edge {
    name: "sni-router-to-passthrough-relay",
    group: "bulkhead-router-to-relay",
    sender: Process::SniRouter,
    receiver: Process::PassthroughRelay,
    purpose: "Passthrough: a client's socket, ClientHello unread",
};
/// Clients whose TLS ends here.
pub const ROUTER_TO_TERMINATOR: Edge = Edge {
    name: "sni-router-to-tls-terminator",
    group: "bulkhead-router-to-terminator",
    sender: Process::SniRouter,
    receiver: Process::TlsTerminator,
    purpose: "Terminate: a client's socket, ClientHello unread",
};
/// Clients of plain-HTTP ports.
pub const ROUTER_TO_FILTER: Edge = Edge {
    name: "sni-router-to-http-filter",
    group: "bulkhead-router-to-filter",
    sender: Process::SniRouter,
    receiver: Process::HttpFilter,
    purpose: "PlainHttp: a client's socket, nothing read",
};
/// Plaintext of terminated connections.
pub const TERMINATOR_TO_FILTER: Edge = Edge {
    name: "tls-terminator-to-http-filter",
    group: "bulkhead-terminator-to-filter",
    sender: Process::TlsTerminator,
    receiver: Process::HttpFilter,
    purpose: "Decrypted: one end of a socketpair, and what the handshake told",
};
/// Connections to the servers of the pools.
pub const FILTER_TO_RELAY: Edge = Edge {
    name: "http-filter-to-passthrough-relay",
    group: "bulkhead-filter-to-relay",
    sender: Process::HttpFilter,
    receiver: Process::PassthroughRelay,
    purpose: "Dial: a server of a pool by its configured name, answered with a connected socket",
};
/// Connections to where clients want to go, and tunnels.
pub const FORWARD_TO_RELAY: Edge = Edge {
    name: "forward-proxy-to-passthrough-relay",
    group: "bulkhead-forward-to-relay",
    sender: Process::ForwardProxy,
    receiver: Process::PassthroughRelay,
    purpose: "Dial: a destination, answered with a connected socket; Splice: a client's and a server's socket",
};

/// Living connections of an http-filter that finishes.
pub const FILTER_TO_SUCCESSOR: Edge = Edge {
    name: "http-filter-to-successor",
    group: "bulkhead-filter-to-successor",
    sender: Process::HttpFilter,
    receiver: Process::HttpFilter,
    purpose: "HandedOn: a connection between two requests, or a WebSocket, with all that is known of it",
};
/// Living tunnels of a passthrough-relay that finishes.
pub const RELAY_TO_SUCCESSOR: Edge = Edge {
    name: "passthrough-relay-to-successor",
    group: "bulkhead-passthrough-relay", // its own: it needs no further one, and a further one would be a right more
    sender: Process::PassthroughRelay,
    receiver: Process::PassthroughRelay,
    purpose: "HandedOn: both sockets of a tunnel, and what is between them",
};
/// Living connections of a forward-proxy that finishes.
pub const FORWARD_TO_SUCCESSOR: Edge = Edge {
    name: "forward-proxy-to-successor",
    group: "bulkhead-forward-to-successor",
    sender: Process::ForwardProxy,
    receiver: Process::ForwardProxy,
    purpose: "HandedOn: a connection between two requests",
};

/// All of them, in the order in which a connection can meet them; successions last.
pub const EDGES: [Edge; 9] = [
    ROUTER_TO_RELAY,
    ROUTER_TO_TERMINATOR,
    ROUTER_TO_FILTER,
    TERMINATOR_TO_FILTER,
    FILTER_TO_RELAY,
    FORWARD_TO_RELAY,
    FILTER_TO_SUCCESSOR,
    RELAY_TO_SUCCESSOR,
    FORWARD_TO_SUCCESSOR,
];

/// File name, without `.sock`, of the one socket of a succession.
pub const LETTER_BOX: &str = "any";
/// Descriptor name of the control socket, and the folder of these sockets.
pub const CONTROL: &str = "control";
/// The same for sockets that answer questions only: figures and states, no orders. Units make them, for the page of figures.
pub const OBSERVE: &str = "observe";

/// File name, without `.sock`, of the socket on which the launcher takes orders; beside the control sockets.
const LAUNCHER: &str = "launcher";

impl Edge {
    /// The directory that holds one socket per receiving instance.
    pub fn directory(&self, runtime_dir: &Path) -> PathBuf {
        runtime_dir.join(self.name)
    }

    /// Whether it leads from a process to its successor. Its one socket belongs to all instances.
    pub fn is_succession(&self) -> bool {
        self.sender == self.receiver
    }

    /// The socket of one receiving instance; in a succession that of all.
    pub fn socket(&self, runtime_dir: &Path, instance: u32) -> PathBuf {
        let file = if self.is_succession() { format!("{LETTER_BOX}.sock") } else { format!("{instance}.sock") };
        self.directory(runtime_dir).join(file)
    }

    /// Whether this configuration sends anything over it. The launcher makes its sockets and both ends open it exactly then.
    pub fn is_used(&self, config: &Config) -> bool {
        let needed = |process: Process| config.needed().iter().any(|(name, _)| *name == process.name());
        match *self {
            ROUTER_TO_RELAY => config.passes_through(),
            ROUTER_TO_TERMINATOR | TERMINATOR_TO_FILTER => config.terminates(),
            ROUTER_TO_FILTER => config.listens(ListenProtocol::Http),
            _ => needed(self.sender) && needed(self.receiver),
        }
    }

    /// Name in `LISTEN_FDNAMES` of the inherited listening end.
    pub fn descriptor_name(&self) -> String {
        format!("edge-{}", self.name)
    }
}

/// The control socket of an instance: where the front door asks.
pub fn control_socket(runtime_dir: &Path, process: Process, instance: u32) -> PathBuf {
    runtime_dir.join(CONTROL).join(instance_socket(process, instance))
}

/// Where the launcher takes orders. Under the units there is none.
pub fn launcher_socket(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join(CONTROL).join(format!("{LAUNCHER}.sock"))
}

/// The file name of an instance's socket in [`CONTROL`] and [`OBSERVE`].
pub fn instance_socket(process: Process, instance: u32) -> String {
    format!("{process}-{instance}.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_who_sends_to_whom() {
        for edge in EDGES {
            let receiver = if edge.is_succession() { "successor" } else { edge.receiver.name() };
            assert_eq!(edge.name, format!("{}-to-{receiver}", edge.sender));
            assert!(edge.group.len() < 32 && EDGES.iter().filter(|other| other.group == edge.group).count() == 1);
        }
    }

    #[test]
    fn a_socket_path_fits_into_sun_path() {
        let deepest = EDGES.iter().map(|edge| edge.socket(Path::new(""), 64).as_os_str().len()).max();
        assert!(deepest.is_some_and(|length| length + 60 < 108), "runtime_dir may have 60 bytes: {deepest:?}");
    }
}
