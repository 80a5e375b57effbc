//! `[forward-proxy]`, its listeners and access rules.

use super::terminator::path;
use super::{ACTIONS, listen_addresses, methods, name, networks, values};
use crate::config::checked::{Action, Destination, ForwardListener, ForwardProxy, ForwardRule, UserPattern};
use crate::config::ledger::{NamedFile, Names};
use crate::config::pattern::{NamePattern, PortSet};
use crate::config::scalar::{Fault, whole_number, wrong_type};
use crate::config::tree::Section;
use crate::config::value;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeValue;

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
        self::rule(rule)
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
        ports: ports(section).unwrap_or_default(),
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

fn rule(section: &Section<'_>) -> Option<ForwardRule> {
    let name = name(section, Names::ForwardRules);
    let action = section.choice("action", &ACTIONS);
    let clients = networks(section, "clients");
    let users = section.texts("users", user).unwrap_or_default();
    let destinations = section.texts("destinations", destination).unwrap_or_default();
    let ports = ports(section);
    let methods = methods(section);
    let observe = section.flag("observe");
    Some(ForwardRule {
        name: name?.value,
        action: action?.value,
        clients,
        users: values(users),
        destinations: values(destinations),
        ports,
        methods,
        observe: observe?,
    })
}

fn user(text: &str) -> Result<UserPattern, String> {
    if text == "*" {
        return Ok(UserPattern::Anybody);
    }
    // RFC 7617 §2: a user name has no colon and no control character.
    if text.is_empty() || text.len() > 256 || text.chars().any(|c| c == ':' || c.is_control()) {
        return Err(format!("{text:?} is not a user name"));
    }
    Ok(UserPattern::Named(text.into()))
}

fn destination(text: &str) -> Result<Destination, String> {
    // What consists of the characters of an address was meant as one, so that `10.0.0.0/33` is told what is wrong with it.
    let address_like = text.contains([':', '/']) || text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if address_like {
        value::network(text).map(Destination::Network)
    } else {
        NamePattern::parse(text).map(Destination::Name)
    }
}

fn ports(section: &Section<'_>) -> Option<PortSet> {
    let ranges = section.list("ports", |_, found, _| match found {
        DeValue::String(text) => value::ports(text).map_err(Fault::from),
        DeValue::Integer(_) => {
            let number = whole_number(found)?;
            value::ports(&number.to_string()).map_err(Fault::from)
        }
        other => Err(wrong_type(other, "a port or a range of ports")),
    });
    ranges.map(|ranges| PortSet::new(values(ranges)))
}
