//! One request through the rules, as the web-attack stage sends it through them: what they say, and whether it would have been refused. Every request is
//! judged by itself: what rules remember of a client stays out, so that the order of a corpus does not matter.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use seclang::{Partial, RuleSet, Transaction, Verdict};

use super::backend;
use super::sample::Told;

/// Why a request would have been refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rule; for scores it is the one that adds them up.
    Rule(u64),
    /// It holds more than is inspected.
    Limit,
    /// The budget was spent.
    Budget,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// `None`: it passes.
    pub refused: Option<Cause>,
    /// The anomaly score.
    pub score: i64,
    /// The rules that matched and that log, in their order; without those which run when all is decided.
    pub rules: Vec<u64>,
}

/// Asks one rule set.
#[derive(Debug)]
pub struct Judge {
    transaction: Transaction,
}

impl Judge {
    /// By these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self { transaction: Transaction::new(rules, None) }
    }

    /// Judges a request.
    pub fn request(&mut self, told: &Told) -> Judged {
        let mut verdict = self.headers(told);
        if !matches!(verdict, Verdict::Interrupt(_)) {
            let body = self.transaction.request_body(&told.body);
            if body != Verdict::Pass {
                verdict = body;
            }
        }
        let refused = match verdict {
            Verdict::Pass => None,
            Verdict::Partial(Partial::Budget) => Some(Cause::Budget),
            Verdict::Partial(_) => Some(Cause::Limit),
            Verdict::Interrupt(interrupt) if interrupt.rule == 0 => Some(Cause::Limit),
            Verdict::Interrupt(interrupt) => Some(Cause::Rule(interrupt.rule)),
        };
        let score = self.transaction.score("blocking_inbound_anomaly_score");
        Judged { refused, score, rules: self.transaction.hits().iter().map(|hit| hit.rule).collect() }
    }

    /// All phases, with the answer of the backend that the Core Rule Set's tests expect.
    pub fn exchange(&mut self, told: &Told) -> (Vec<u64>, Vec<u8>) {
        let _ = self.headers(told);
        let transaction = &mut self.transaction;
        let _ = transaction.request_body(&told.body);
        let answer = backend::answer(told);
        for (name, value) in &answer.headers {
            transaction.response_header(name.as_bytes(), value.as_bytes());
        }
        let _ = transaction.response_headers(answer.status, b"HTTP/1.1");
        let _ = transaction.response_body(&answer.body);
        transaction.logging();
        let mut log = String::new();
        for hit in transaction.hits() {
            let _ = writeln!(
                log,
                "[id \"{}\"] [msg \"{}\"] [data \"{}\"]",
                hit.rule,
                plain(&hit.message),
                plain(&hit.data)
            );
        }
        (transaction.hits().iter().map(|hit| hit.rule).collect(), log.into_bytes())
    }

    fn headers(&mut self, told: &Told) -> Verdict {
        let transaction = &mut self.transaction;
        // Some time, the same for all: rules may ask for it.
        transaction.begin(1_790_000_000, b"rules-test");
        transaction
            .connection(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)), SocketAddr::from((Ipv4Addr::LOCALHOST, 80)));
        transaction.request_line(&told.method, &told.target, &told.protocol);
        for (name, value) in &told.headers {
            transaction.request_header(name, value);
        }
        transaction.request_headers()
    }
}

/// As ModSecurity writes it to an error log.
fn plain(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        text
    })
}
