//! Who is asking: Basic authentication for proxies (RFC 9110 §11.7, RFC 7617) against a file of hashes.
//!
//! Checking a password costs tens of milliseconds on purpose, so it happens on a helper thread, at most [`CHECKS_AT_ONCE`] at
//! a time; what was checked lately is remembered under a keyed hash; the same credentials sent on several connections at
//! once are checked once; and a client that keeps guessing is made to wait before it costs anything.
//!
//! It must never keep a password, log one, or tell by words or time whether a user exists.
//!
//! - [`basic`]: the header, read (pure)
//! - [`users`]: the file of names and hashes (pure but for reading it)
//! - [`recent`]: credentials checked lately
//! - [`throttle`]: failed attempts per client

pub mod basic;
pub mod recent;
pub mod throttle;
pub mod users;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use common::net::client_limit::ClientKey;
use tokio::sync::{Notify, Semaphore};

use crate::metrics::Metrics;
use basic::{Credentials, Given};
use recent::{Recent, Tag};
use throttle::Throttle;
use users::Users;

/// Helper threads that check passwords.
pub const CHECKS_AT_ONCE: usize = 2;
/// Checks that may wait for a helper thread; beyond it the client is told to come back.
pub const MAX_WAITING: usize = 64;

/// Why a client is not (yet) a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAuthenticated {
    /// No credentials came.
    Missing,
    /// They cannot be read; the text says why.
    Malformed(&'static str),
    /// User and password do not belong together.
    Wrong,
    /// Too many failed attempts; try again after so many seconds.
    Throttled(u64),
    /// Too many passwords wait to be checked.
    Busy,
}

/// One check under way, for all connections that wait for it.
#[derive(Debug, Default)]
struct Flight {
    outcome: Cell<Option<bool>>,
    done: Notify,
}

impl Flight {
    async fn outcome(&self) -> bool {
        loop {
            if let Some(outcome) = self.outcome.get() {
                return outcome;
            }
            self.done.notified().await;
        }
    }
}

/// The users of this proxy.
#[derive(Debug)]
pub struct Authenticator {
    users: RefCell<Option<Arc<Users>>>,
    recent: RefCell<Recent>,
    flights: RefCell<HashMap<Tag, Rc<Flight>>>,
    throttle: RefCell<Throttle>,
    helpers: Semaphore,
    metrics: Metrics,
}

impl Authenticator {
    /// For these users; `None`: there are none, and credentials are not looked at.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn new(users: Option<Users>, metrics: Metrics) -> Result<Rc<Self>, getrandom::Error> {
        Ok(Rc::new(Self {
            users: RefCell::new(users.map(Arc::new)),
            recent: RefCell::new(Recent::new()?),
            flights: RefCell::default(),
            throttle: RefCell::default(),
            helpers: Semaphore::new(CHECKS_AT_ONCE),
            metrics,
        }))
    }

    /// Makes ready for other users. What the result then does cannot fail: from there on only they are users. What was checked
    /// lately is forgotten with the key it was remembered under, so a check that is still under way is forgotten as well; unless
    /// the users are the same as before.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn prepare(self: &Rc<Self>, users: Option<Users>) -> Result<impl FnOnce() + use<>, getrandom::Error> {
        let recent = Recent::new()?;
        let authenticator = Rc::clone(self);
        Ok(move || {
            let same = match (&*authenticator.users.borrow(), &users) {
                (Some(old), Some(new)) => old.same_as(new),
                (None, None) => true,
                _ => false,
            };
            if same {
                return;
            }
            *authenticator.users.borrow_mut() = users.map(Arc::new);
            *authenticator.recent.borrow_mut() = recent;
        })
    }

    /// Whether somebody of that name is a user; `None`: there are no users at all.
    #[must_use]
    pub fn knows(&self, name: Option<&str>) -> Option<bool> {
        self.users.borrow().as_ref().map(|users| name.is_some_and(|name| users.has(name)))
    }

    /// Who sent this `Proxy-Authorization`. Answers without waiting when the credentials were checked lately. Without users
    /// everybody is nobody (`Missing`).
    ///
    /// # Errors
    /// Why the client is no user.
    pub async fn authenticate(
        self: &Rc<Self>,
        client: ClientKey,
        given: Given<'_>,
    ) -> Result<Arc<str>, NotAuthenticated> {
        let users = self.users.borrow().clone();
        let Some(users) = users else { return Err(NotAuthenticated::Missing) };
        let credentials = Credentials::read(given)?;
        let tag = self.recent.borrow().tag(&credentials);
        if let Some(user) = self.recent.borrow_mut().recall(&tag, Instant::now()) {
            return Ok(user);
        }
        let user = Arc::clone(&credentials.user);
        let running = self.flights.borrow().get(&tag).cloned();
        let flight = match running {
            Some(flight) => flight,
            None => self.begin(client, &users, credentials, tag)?,
        };
        if flight.outcome().await { Ok(user) } else { Err(NotAuthenticated::Wrong) }
    }

    /// Starts a check of its own task, so that it ends and is remembered also when this client goes away meanwhile.
    fn begin(
        self: &Rc<Self>,
        client: ClientKey,
        users: &Arc<Users>,
        credentials: Credentials,
        tag: Tag,
    ) -> Result<Rc<Flight>, NotAuthenticated> {
        if self.flights.borrow().len() >= MAX_WAITING + CHECKS_AT_ONCE {
            self.metrics.password_checks_refused.up();
            return Err(NotAuthenticated::Busy);
        }
        // Counted before the answer is known, so that a hundred guesses at once do not all count as the first.
        if let Err(seconds) = self.throttle.borrow_mut().take(client, Instant::now()) {
            self.metrics.throttled.up();
            return Err(NotAuthenticated::Throttled(seconds));
        }
        let flight = Rc::new(Flight::default());
        self.flights.borrow_mut().insert(tag, Rc::clone(&flight));
        tokio::task::spawn_local(Rc::clone(self).check(
            client,
            Arc::clone(users),
            credentials,
            tag,
            Rc::clone(&flight),
        ));
        Ok(flight)
    }

    async fn check(
        self: Rc<Self>,
        client: ClientKey,
        users: Arc<Users>,
        credentials: Credentials,
        tag: Tag,
        flight: Rc<Flight>,
    ) {
        // The semaphore is never closed.
        let _helper = self.helpers.acquire().await;
        self.metrics.password_checks.up();
        let name = Arc::clone(&credentials.user);
        let checked = tokio::task::spawn_blocking(move || users.verify(&credentials)).await;
        let right = checked.unwrap_or_else(|error| {
            tracing::error!("a password could not be checked: {error}");
            false
        });
        if right {
            self.throttle.borrow_mut().give_back(client);
            self.recent.borrow_mut().remember(tag, name, Instant::now());
        } else {
            self.metrics.wrong_passwords.up();
        }
        self.flights.borrow_mut().remove(&tag);
        flight.outcome.set(Some(right));
        flight.done.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
