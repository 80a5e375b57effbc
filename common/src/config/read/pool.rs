//! `[[pool]]`

mod balancing;
mod transport;

use super::{name, report_repeated, values};
use crate::config::checked::{Pool, SendProxy};
use crate::config::diagnostic::Span;
use crate::config::ledger::Names;
use crate::config::pattern::ServerAddress;
use crate::config::reference::Key;
use crate::config::scalar::{Fault, wrong_type};
use crate::config::tree::{Placed, Section};
use std::path::Path;
use std::sync::Arc;
use toml::de::DeValue;

/// Most servers of one pool.
const MAX_SERVERS: usize = 1000;

/// A pool, and where it stands.
pub(in crate::config) struct PoolDraft {
    pub(in crate::config) pool: Pool,
    pub(in crate::config) name: Placed<Arc<str>>,
    pub(in crate::config) proxy: Placed<SendProxy>,
}

pub(in crate::config) fn pool(section: &Section<'_>, base: &Path) -> Option<PoolDraft> {
    let name = name(section, Names::Pools);
    let servers = section.list("servers", |key, found, span| server(section, key, found, span)).unwrap_or_default();
    // Two entries with different weights are still one server.
    let plain: Vec<Placed<String>> = servers
        .iter()
        .map(|one| Placed { value: one.value.to_string(), span: one.span.clone(), explicit: one.explicit })
        .collect();
    report_repeated(section, "servers", &plain, "server");
    if servers.len() > MAX_SERVERS
        && let Some(key) = section.key("servers")
    {
        let error = section.ledger.error(key.path, format!("more than {MAX_SERVERS} servers"));
        section.ledger.report(error.at(&section.span_of("servers"), format!("{} servers", servers.len())));
    }
    let proxies = [("none", SendProxy::None), ("v1", SendProxy::V1), ("v2", SendProxy::V2)];
    let balance = balancing::balance(section);
    let proxy = section.choice("proxy_protocol", &proxies);
    let connect_deadline = section.duration("connect_deadline");
    let eject = balancing::ejection(section);
    let (health, sticky) = (balancing::health(section), balancing::sticky(section, base));
    let (crowd, retries) = (balancing::crowd(section), balancing::retries(section));
    let (slow_start, panic_below) = (section.duration("slow_start"), section.count32("panic_below"));
    let (total_deadline, max_age) = (section.duration("total_deadline"), section.duration("max_age"));
    let max_idle = section.count("max_idle");
    let idle_deadline = section.duration("idle_deadline");
    let transport = transport::transport(section, base);
    let (name, proxy) = (name?, proxy?);
    let pool = Pool {
        name: Arc::clone(&name.value),
        servers: values(servers),
        balance: balance?,
        connect_deadline,
        proxy_protocol: proxy.value,
        eject,
        slow_start,
        panic_below,
        health,
        sticky,
        crowd,
        retries,
        total_deadline,
        max_age,
        max_idle,
        idle_deadline,
        transport: transport?,
    };
    Some(PoolDraft { pool, name, proxy })
}

fn server(section: &Section<'_>, key: &'static Key, found: &DeValue<'_>, span: &Span) -> Result<ServerAddress, Fault> {
    match found {
        DeValue::String(text) => ServerAddress::parse(text).map_err(Fault::from),
        DeValue::Table(table) => {
            let inline = Section::inline(section.ledger, table, key, span);
            let address = inline.text("address", ServerAddress::parse);
            let weight = inline.count32("weight");
            match address {
                Some(address) => Ok(ServerAddress { weight, ..address.value }),
                None => Err(Fault::already_reported()),
            }
        }
        other => Err(wrong_type(other, "a server")),
    }
}
