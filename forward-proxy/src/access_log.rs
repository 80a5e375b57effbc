//! One line per request or tunnel (`log.access`): who wanted to go where, what was decided by which rule, and how long it took.
//! The line of a tunnel is written when it is handed over; its bytes and its end are in passthrough-relay's log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use common::observe::output;

use crate::refuse::Refusal;

/// Bytes of a method or destination that a line shows at most.
const LONGEST: usize = 512;

/// What is known of a request so far; written once, by [`Record::write`].
#[derive(Debug)]
pub struct Record {
    /// When its head was whole.
    pub began: Instant,
    /// The client.
    pub client: SocketAddr,
    /// Who authenticated.
    pub user: Option<Arc<str>>,
    /// The method, as written.
    pub method: String,
    /// `host:port`, once it was found sound.
    pub destination: String,
    /// "allowed" or "refused".
    pub decision: &'static str,
    /// The rule that decided.
    pub rule: String,
    /// Status of the answer; 0: none was given.
    pub status: u16,
    /// Microseconds to the decision.
    pub decided_us: u64,
    /// Microseconds to the answer's head, dialling included.
    pub answered_us: u64,
    /// Bytes of the answer's body.
    pub bytes: u64,
}

impl Record {
    /// A request whose head is whole.
    #[must_use]
    pub fn new(client: SocketAddr, method: &str) -> Self {
        Self {
            began: Instant::now(),
            client,
            user: None,
            method: method.to_owned(),
            destination: String::new(),
            decision: "refused",
            rule: String::new(),
            status: 0,
            decided_us: 0,
            answered_us: 0,
            bytes: 0,
        }
    }

    /// A rule let it go.
    pub fn allow(&mut self, user: Option<Arc<str>>, rule: &str) {
        (self.decision, self.user) = ("allowed", user);
        rule.clone_into(&mut self.rule);
        self.decided_us = self.elapsed();
    }

    /// It was refused, by a rule or by what came later.
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.decision = "refused";
        self.rule = refusal.rule.as_ref().to_owned();
        if self.decided_us == 0 {
            self.decided_us = self.elapsed();
        }
        self.answer(refusal.status.as_u16());
    }

    /// The answer's head is known.
    pub fn answer(&mut self, status: u16) {
        self.status = status;
        self.answered_us = self.elapsed();
    }

    /// Writes the line.
    pub fn write(&self) {
        output::access("request", |line| {
            line.display("client", self.client);
            line.maybe("user", self.user.as_deref());
            line.cut("method", &self.method, LONGEST);
            line.cut("destination", &self.destination, LONGEST);
            line.text("decision", self.decision);
            line.text("rule", &self.rule);
            line.number("status", self.status.into());
            line.number("decided_us", self.decided_us);
            line.number("answered_us", self.answered_us);
            line.number("total_us", self.elapsed());
            line.number("bytes_out", self.bytes);
        });
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
