//! front door → every process: how are you, please stop.

use crate::process::Process;
use crate::sandbox::Report;

/// A question or an order; always a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Control {
    /// Answered with [`ControlReply::Status`].
    Status,
    /// Answered with [`ControlReply::Sandbox`].
    Sandbox,
    /// The figures as text for Prometheus, written into the stream that comes with the question. Answered with
    /// [`ControlReply::Done`] at once.
    Metrics,
    /// Take nothing new, finish what is begun, then exit. Answered with [`ControlReply::Done`] at once.
    Drain,
}

/// The answers.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum ControlReply {
    /// To `Status`.
    Status(Box<Status>),
    /// To `Sandbox`.
    Sandbox(Box<Report>),
    /// The order is being carried out.
    Done,
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
    /// Whether it is finishing.
    pub draining: bool,
    /// Whether every layer of its sandbox holds.
    pub sandboxed: bool,
    /// Named counters and gauges, in the order of the process's own table.
    pub figures: Vec<(Box<str>, u64)>,
}

impl crate::ipc::Message for Control {
    fn descriptors(&self) -> usize {
        usize::from(matches!(self, Self::Metrics))
    }
}

impl crate::ipc::Message for ControlReply {
    fn descriptors(&self) -> usize {
        0
    }
}
