//! What http-filter speaks to the servers of a pool.

use crate::config::checked::TlsVersion;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `protocol`, `[pool.tls]` and `[pool.h2]` of a pool
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Present where the protocol is HTTP/2.
    pub h2: Option<PoolH2>,
    /// Present where the protocol is over TLS.
    pub tls: Option<PoolTls>,
}

/// `[pool.h2]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolH2 {
    /// HTTP/1.1 with servers that choose it in the TLS handshake (`https-auto`).
    pub or_http1: bool,
    /// Requests at once on one connection.
    pub max_streams: usize,
    /// Bytes of one answer that may wait.
    pub stream_window: u32,
    /// Silence after which a connection with open requests is asked whether it lives; `None`: never.
    pub ping_interval: Option<Duration>,
    /// How long the answer to that may take.
    pub ping_deadline: Duration,
}

/// `[pool.tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolTls {
    /// PEM bundle of the trusted authorities; `None`: nothing is verified (`verify = "insecure-none"`).
    pub ca: Option<PathBuf>,
    /// Sent and verified instead of the server's host.
    pub server_name: Option<Arc<str>>,
    /// Chain and key shown to servers that ask.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Oldest version.
    pub min_version: TlsVersion,
}
