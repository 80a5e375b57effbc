//! `[forward-proxy]`, its listeners and access rules.

use super::terminator::path;
use super::{ACTIONS, access, listen_addresses, name};
use crate::config::checked::{Action, ForwardListener, ForwardProxy};
use crate::config::ledger::{NamedFile, Names};
use crate::config::tree::Section;
use std::path::Path;
use std::sync::Arc;

/// Longest realm.
const MAX_REALM: usize = 64;

pub(in crate::config) fn forward_proxy(section: &Section<'_>, base: &Path) -> ForwardProxy {
    let users_file = section.text("users_file", |text| path(text, base));
    if let (Some(file), Some(key)) = (&users_file, section.key("users_file")) {
        let file = NamedFile { key: key.path, path: file.value.clone(), secret: true, span: file.span.clone() };
        section.ledger.files.borrow_mut().push(file);
    }
    let require_user = section.flag("require_user");
    let realm = section.text("realm", |text| {
        let sound = text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\');
        if text.is_empty() || text.len() > MAX_REALM || !sound {
            return Err("this cannot be a realm".to_owned());
        }
        Ok(Arc::<str>::from(text))
    });
    let without_users = !section.has("users_file");
    if without_users && require_user == Some(true) {
        report_no_users(section, "require_user", section);
    }
    let rule = |rule: &Section<'_>| {
        if without_users && rule.has("users") {
            report_no_users(rule, "users", section);
        }
        access::rule(rule, Names::ForwardRules)
    };
    ForwardProxy {
        instances: section.count("instances"),
        idle_deadline: section.duration("idle_deadline"),
        header_deadline: section.duration("header_deadline"),
        connect_deadline: section.duration("connect_deadline"),
        max_connections: section.count("max_connections"),
        max_connections_per_address: section.count_up_to("max_connections_per_address", "max_connections"),
        max_header_bytes: section.count("max_header_bytes"),
        max_headers: section.count("max_headers"),
        max_unacknowledged: section.count("max_unacknowledged"),
        require_user: require_user.unwrap_or(users_file.is_some()),
        users_file: users_file.map(|placed| placed.value),
        realm: realm.map_or_else(|| Arc::from("bulkhead"), |placed| placed.value),
        ports: access::ports(section).unwrap_or_default(),
        access_default: section.choice("access_default", &ACTIONS).map_or(Action::Deny, |placed| placed.value),
        listen: section.tables("listen").iter().filter_map(listener).collect(),
        access: section.tables("access").iter().filter_map(rule).collect(),
    }
}

fn report_no_users(section: &Section<'_>, key_name: &str, whole: &Section<'_>) {
    if let Some(key) = section.key(key_name) {
        let error = section
            .ledger
            .error(key.path, "there are no users, because `forward-proxy.users_file` is not given")
            .at(&section.span_of(key_name), "this speaks of users")
            .help("give `users_file` in `[forward-proxy]`, or leave this out");
        section.ledger.report(if whole.span.is_empty() {
            error
        } else {
            error.and(&whole.span, "no `users_file` here")
        });
    }
}

fn listener(section: &Section<'_>) -> Option<ForwardListener> {
    let name = name(section, Names::Listeners);
    let addresses = listen_addresses(section);
    let backlog = section.count32("backlog");
    let defer_accept = section.duration("defer_accept");
    Some(ForwardListener { name: name?.value, addresses, backlog, defer_accept })
}
