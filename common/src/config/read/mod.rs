//! The sections of the file, each read into its checked type; what a check across sections needs is noted in the ledger
//! or handed on as places.

pub(super) mod access;
pub(super) mod forward;
pub(super) mod general;
pub(super) mod http;
pub(super) mod log;
pub(super) mod metrics;
pub(super) mod pool;
pub(super) mod router;
pub(super) mod terminator;
mod tls_policy;

use super::checked::Action;
use super::diagnostic::Span;
use super::ledger::{Address, Names};
use super::pattern::NetworkSet;
use super::tree::{Placed, Section};
use super::value;
use std::net::SocketAddr;
use std::sync::Arc;

/// The verdicts a rule can have.
const ACTIONS: [(&str, Action); 2] = [("allow", Action::Allow), ("deny", Action::Deny)];

/// The `name` of a listener, pool, route or rule, noted as defined.
fn name(section: &Section<'_>, names: Names) -> Option<Placed<Arc<str>>> {
    let placed = section.text("name", |text| value::label(text).map(|()| Arc::<str>::from(text)))?;
    if let Some(key) = section.key("name") {
        section.ledger.define(names, key.path, &placed.value, &placed.span);
    }
    Some(placed)
}

/// A text that refers to something with a name, noted as used.
fn reference(section: &Section<'_>, key_name: &str, names: Names) -> Option<Placed<Arc<str>>> {
    let placed = section.text(key_name, |text| Ok(Arc::<str>::from(text)))?;
    if let Some(key) = section.key(key_name) {
        section.ledger.refer(names, key.path, &placed.value, &placed.span);
    }
    Some(placed)
}

/// `listen` of a route or rule: names of listeners, noted as used.
fn listener_references(section: &Section<'_>) -> Vec<Placed<Arc<str>>> {
    let listeners = section.texts("listen", |text| Ok(Arc::<str>::from(text))).unwrap_or_default();
    if let Some(key) = section.key("listen") {
        for listener in &listeners {
            section.ledger.refer(Names::Listeners, key.path, &listener.value, &listener.span);
        }
    }
    listeners
}

/// A list of networks; `None` when absent without default.
fn networks(section: &Section<'_>, key_name: &str) -> Option<NetworkSet> {
    let networks = section.texts(key_name, value::network)?;
    Some(NetworkSet::new(values(networks)))
}

/// The addresses of a listener, noted.
fn listen_addresses(section: &Section<'_>) -> Vec<SocketAddr> {
    let placed = section.texts("address", value::listen_address).unwrap_or_default();
    if let Some(key) = section.key("address") {
        for one in &placed {
            let (address, span) = (one.value, one.span.clone());
            section.ledger.addresses.borrow_mut().push(Address { key: key.path, address, span });
        }
    }
    values(placed)
}

/// A list of methods; empty when absent.
fn methods(section: &Section<'_>) -> Vec<Arc<str>> {
    let methods = section.texts("methods", |text| value::method(text).map(|()| Arc::<str>::from(text)));
    values(methods.unwrap_or_default())
}

fn values<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(|one| one.value).collect()
}

/// The element that repeats an earlier one of the list, with the earlier place.
fn repeated<T: PartialEq>(list: &[Placed<T>]) -> Option<(&Placed<T>, Span)> {
    list.iter().enumerate().find_map(|(at, one)| {
        let earlier = list.iter().take(at).find(|earlier| earlier.value == one.value)?;
        Some((one, earlier.span.clone()))
    })
}

/// Reports an element that stands twice in one list.
fn report_repeated<T: PartialEq>(section: &Section<'_>, key_name: &str, list: &[Placed<T>], what: &str) {
    if let Some((one, earlier)) = repeated(list)
        && let Some(key) = section.key(key_name)
    {
        let error = section
            .ledger
            .error(key.path, format!("the same {what} stands twice in one list"))
            .at(&one.span, "again")
            .and(&earlier, "first here");
        section.ledger.report(error);
    }
}
