//! front door → every process: how are you, please stop, take this configuration.

use super::explain::{Explain, Explained};
use crate::certificate_desk::CertificateReport;
use crate::process::Process;
use crate::sandbox::Report;

/// A question or an order; always a call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Control {
    /// Answered with [`ControlReply::Status`].
    Status,
    /// Answered with [`ControlReply::Sandbox`].
    Sandbox,
    /// The figures as text for Prometheus, written into the stream that comes with the question. Answered with
    /// [`ControlReply::Done`] at once.
    Metrics,
    /// Answered with [`ControlReply::Pools`]; empty from a process that balances nothing.
    Pools,
    /// Answered with [`ControlReply::Certificates`]; an empty report from a process that has none.
    Certificates,
    /// Give a server of a pool nothing new, or take that back. Answered with [`ControlReply::Done`] or
    /// [`ControlReply::Refused`].
    DrainServer {
        /// The pool.
        pool: Box<str>,
        /// `host:port`, as configured.
        server: Box<str>,
        /// `false` takes it back.
        drain: bool,
    },
    /// Take nothing new, finish what is begun, then exit. Answered with [`ControlReply::Done`] at once.
    Drain,
    /// Judge the configuration in the sealed memory file that comes with this ([`crate::config::archive`]) and keep aside what
    /// it needs; `generation` stands for it from here on. Answered with [`ControlReply::Done`], [`ControlReply::Refused`] or
    /// [`ControlReply::Finishing`].
    Prepare {
        /// Which reload, chosen by whoever asks.
        generation: u64,
    },
    /// Work with what was prepared. Answered as `Prepare`.
    Commit {
        /// Which reload.
        generation: u64,
    },
    /// What would become of this request? Answered with [`ControlReply::Explained`] or [`ControlReply::Refused`].
    Explain(Box<Explain>),
    /// Drop what was prepared. Answered with [`ControlReply::Done`].
    Abort {
        /// Which reload.
        generation: u64,
    },
}

impl Control {
    /// Whether it asks for figures and states only: nothing changes, and nothing is told that a client or a secret could be
    /// found in.
    #[must_use]
    pub fn only_asks(&self) -> bool {
        matches!(self, Self::Status | Self::Sandbox | Self::Metrics | Self::Pools)
    }
}

/// The answers.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum ControlReply {
    /// To `Status`.
    Status(Box<Status>),
    /// To `Sandbox`.
    Sandbox(Box<Report>),
    /// To `Pools`.
    Pools(Vec<PoolState>),
    /// To `Certificates`.
    Certificates(Box<CertificateReport>),
    /// The order is being carried out.
    Done,
    /// To `Explain`: the file that the process works with, and its decisions.
    Explained(Box<str>, Box<Explained>),
    /// It is not, for these reasons.
    Refused(Vec<Box<str>>),
    /// To `Prepare`: it takes nothing new any more, so it needs no new configuration either.
    Finishing,
}

/// What a process says of itself.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Status {
    /// Which one.
    pub process: Process,
    /// Which instance of it.
    pub instance: u32,
    /// Process id as the process sees it.
    pub pid: u32,
    /// Release.
    pub version: Box<str>,
    /// Seconds since it began to serve.
    pub uptime: u64,
    /// Digest of the text of the configuration that it works with.
    pub configuration: Box<str>,
    /// How often its configuration was replaced since.
    pub reloads: u64,
    /// Whether it is finishing.
    pub draining: bool,
    /// Whether every layer of its sandbox holds.
    pub sandboxed: bool,
    /// Named counters and gauges, in the order of the process's own table.
    pub figures: Vec<(Box<str>, u64)>,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PoolState {
    /// Its name.
    pub name: Box<str>,
    /// Requests that wait for a free server.
    pub waiting: u64,
    /// Its servers, in the order of the configuration.
    pub servers: Vec<ServerState>,
    /// Servers that are not shown because they do not fit.
    pub left_out: u32,
}

/// A server of a pool.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServerState {
    /// `host:port`, as configured.
    pub label: Box<str>,
    /// `in use`, `draining`, `down`, `left out for 9 s`.
    pub state: Box<str>,
    /// Its share beside the others.
    pub weight: u64,
    /// Open connections or requests.
    pub active: u64,
    /// Failures since it last worked.
    pub failures: u32,
}

impl crate::ipc::Message for Control {
    fn descriptors(&self) -> usize {
        usize::from(matches!(self, Self::Prepare { .. } | Self::Metrics))
    }
}

impl crate::ipc::Message for ControlReply {
    fn descriptors(&self) -> usize {
        0
    }
}
