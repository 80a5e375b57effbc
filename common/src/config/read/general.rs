//! `[bulkhead]` and `[passthrough-relay]`.

use super::networks;
use crate::config::checked::{Outward, Relay, SandboxMode, Shared, Users};
use crate::config::tree::Section;
use std::path::PathBuf;

/// Longest `runtime_dir`: a UNIX socket path has 107 bytes, and the longest name below it 43.
const MAX_RUNTIME_DIR: usize = 60;

pub(in crate::config) fn shared(section: &Section<'_>) -> Shared {
    let runtime_dir = section.text("runtime_dir", |text| {
        if !text.starts_with('/') {
            return Err("the path is not absolute".to_owned());
        }
        if text.len() > MAX_RUNTIME_DIR || text.contains('\0') {
            return Err(format!("the path is longer than {MAX_RUNTIME_DIR} bytes or has a NUL"));
        }
        Ok(PathBuf::from(text))
    });
    let sandbox = [("best-effort", SandboxMode::BestEffort), ("strict", SandboxMode::Strict)];
    Shared {
        runtime_dir: runtime_dir.map(|placed| placed.value).unwrap_or_default(),
        sandbox: section.choice("sandbox", &sandbox).map_or(SandboxMode::Strict, |placed| placed.value),
        drain_deadline: section.duration("drain_deadline"),
        stop_deadline: section.duration("stop_deadline"),
        users: section.choice("users", &[("per-process", Users::PerProcess)]).map_or(Users::PerProcess, |p| p.value),
    }
}

pub(in crate::config) fn relay(section: &Section<'_>) -> Relay {
    let outward = section.table("outward");
    Relay {
        instances: section.count("instances"),
        idle_deadline: section.duration("idle_deadline"),
        half_closed_deadline: section.duration("half_closed_deadline"),
        user_timeout: section.duration("user_timeout"),
        max_connections: section.count("max_connections"),
        max_connections_per_address: section.count_up_to("max_connections_per_address", "max_connections"),
        splice_pipes: section.count("splice_pipes"),
        resolve_deadline: section.duration("resolve_deadline"),
        outward: Outward {
            allow: networks(&outward, "allow").unwrap_or_default(),
            deny: networks(&outward, "deny").unwrap_or_default(),
        },
    }
}
