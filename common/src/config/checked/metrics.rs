//! `[metrics]`: where Prometheus finds the figures of all processes.

use std::net::SocketAddr;

/// `[metrics]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsPage {
    /// Where `/metrics` is served; `None`: nowhere. A loopback address unless the file says `allow_remote`.
    pub listen: Option<SocketAddr>,
    /// Connections served at once, 1..=256.
    pub max_connections: usize,
}
