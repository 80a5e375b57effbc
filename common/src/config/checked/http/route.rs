//! `[[http-filter.route]]`: who serves a request.

use crate::config::pattern::{NamePattern, PathPattern};
use std::sync::Arc;

/// `[[http-filter.route]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRoute {
    /// Unique; appears in logs.
    pub name: Arc<str>,
    /// Where it stands in the file, counted from 1.
    pub line: u32,
    /// Names in the authority; empty: any.
    pub hosts: Vec<NamePattern>,
    /// Normalised paths; empty: any.
    pub paths: Vec<PathPattern>,
    /// The pool that serves.
    pub pool: Arc<str>,
    /// What `Host` the backend sees.
    pub host_header: HostHeader,
}

/// `host_header` of a route
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's.
    Keep,
    /// `host:port` of the server.
    Server,
}
