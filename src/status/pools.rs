//! The pools of `bulkhead status`: a line per server and process that balances it.

use common::ipc::messages::control::{ControlReply, PoolState};
use serde_json::{Value, json};

use crate::ask::Reply;

/// Empty when nobody balances anything.
pub fn table(replies: &[Reply]) -> String {
    let mut text = String::new();
    for (who, pool) in all(replies) {
        for server in &pool.servers {
            let line = format!(
                "{:<20} {:<28} {:<22} {:>6} {:>7} {:>9}  {who}",
                pool.name, server.label, server.state, server.weight, server.active, server.failures
            );
            text.push_str(&format!("{line}\n"));
        }
        if pool.waiting > 0 {
            text.push_str(&format!("{:<20} {} requests wait for a free server  {who}\n", pool.name, pool.waiting));
        }
        if pool.left_out > 0 {
            text.push_str(&format!("{:<20} … and {} servers more  {who}\n", pool.name, pool.left_out));
        }
    }
    if text.is_empty() {
        return text;
    }
    let head = format!(
        "\n{:<20} {:<28} {:<22} {:>6} {:>7} {:>9}  {}\n",
        "POOL", "SERVER", "STATE", "WEIGHT", "ACTIVE", "FAILURES", "BY"
    );
    head + &text
}

/// The same for machines.
pub fn json(replies: &[Reply]) -> Vec<Value> {
    let pool = |(who, pool): (String, &PoolState)| {
        let servers: Vec<Value> = pool
            .servers
            .iter()
            .map(|server| {
                json!({
                    "server": server.label,
                    "state": server.state,
                    "weight": server.weight,
                    "active": server.active,
                    "failures": server.failures,
                })
            })
            .collect();
        json!({ "pool": pool.name, "by": who, "waiting": pool.waiting, "servers": servers, "left_out": pool.left_out })
    };
    all(replies).into_iter().map(pool).collect()
}

fn all(replies: &[Reply]) -> Vec<(String, &PoolState)> {
    let mut found = Vec::new();
    for (target, answer) in replies {
        if let Ok(ControlReply::Pools(pools)) = answer {
            found.extend(pools.iter().map(|pool| (format!("{}@{}", target.process, target.instance), pool)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use crate::ask::Target;
    use common::ipc::messages::control::ServerState;
    use common::process::Process;

    #[test]
    fn every_server_has_a_line_and_nobody_is_no_table() {
        let server =
            ServerState { label: "10.0.0.7:80".into(), state: "draining".into(), weight: 3, active: 2, failures: 1 };
        let pool = PoolState { name: "shop".into(), waiting: 5, servers: vec![server], left_out: 7 };
        let target = |process| Target { process, instance: 2, socket: "/x".into() };
        let replies = [
            (target(Process::SniRouter), Ok(ControlReply::Pools(Vec::new()))),
            (target(Process::HttpFilter), Ok(ControlReply::Pools(vec![pool]))),
        ];
        let text = table(&replies);
        assert!(text.contains("shop") && text.contains("draining") && text.contains("and 7 servers more"), "{text}");
        assert!(text.lines().filter(|line| line.ends_with("http-filter@2")).count() == 3, "{text}");
        assert_eq!(json(&replies)[0]["servers"][0]["state"], "draining");
        assert_eq!(table(&replies[..1]), "");
    }
}
