//! `[[http-filter.access]]`: which requests are allowed.

use crate::config::checked::Action;
use crate::config::pattern::{HeaderPattern, NamePattern, NetworkSet, PathPattern};
use std::sync::Arc;

/// `[[http-filter.access]]`. Every condition that is given must hold; within a list any entry may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRule {
    /// Unique among the rules of the section; appears in logs and counters.
    pub name: Arc<str>,
    /// What a match decides.
    pub action: Action,
    /// Client networks; `None`: any client.
    pub clients: Option<NetworkSet>,
    /// Methods; empty: any.
    pub methods: Vec<Arc<str>>,
    /// Names in the authority; empty: any.
    pub hosts: Vec<NamePattern>,
    /// Normalised paths; empty: any.
    pub paths: Vec<PathPattern>,
    /// Header fields; empty: any.
    pub headers: Vec<HeaderPattern>,
    /// Only log what would have happened and go on.
    pub observe: bool,
}
