//! One request through the rules, as the web-attack stage sends it through them: what they say, and whether it would have been refused. Every request is
//! judged by itself: what rules remember of a client stays out, so that the order of a corpus does not matter.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use common::config::WebAttackMode;
use common_access::{Facts, Request, system_clock};
use common_http::headers::Fields;
use common_http::target::Target;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Uri, Version};
use seclang::{Adjusted, Adjustments, Engine, Transaction};

use super::backend;
use super::sample::Told;
use super::setup::Setup;
use crate::stages::web_attacks::verdict::{Fault, Policy};
use crate::stages::web_attacks::{tell, unseen};

/// Who sends the requests.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// And who gets them.
const ENDS: (SocketAddr, SocketAddr) = (SocketAddr::new(CLIENT, 40_000), SocketAddr::new(CLIENT, 80));

/// Why a request would have been refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rule; for scores it is the one that adds them up.
    Rule(u64),
    /// A limit, the budget, or a body that is not what it says: the word that the log has for it.
    Fault(&'static str),
    /// HTTP in front of the rules: no rule sees it.
    Http,
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

/// Asks the rules of one setup.
#[derive(Debug)]
pub struct Judge<'a> {
    setup: &'a Setup,
    transaction: Transaction,
    adjusted: Option<Adjusted>,
}

impl<'a> Judge<'a> {
    /// By these rules.
    pub fn new(setup: &'a Setup) -> Self {
        let transaction = Transaction::new(Arc::clone(&setup.rules.set), None);
        Self { setup, transaction, adjusted: None }
    }

    /// From now on nothing is refused, and these variables are set.
    ///
    /// # Errors
    /// A variable that rules cannot have.
    pub fn only_detect(&mut self, variables: Vec<(String, String)>) -> Result<(), String> {
        let adjustments = Adjustments { engine: Some(Engine::DetectionOnly), variables, ..Adjustments::default() };
        self.adjusted = Some(self.setup.rules.set.adjust(&adjustments).map_err(|error| format!("error: {error}"))?);
        Ok(())
    }

    /// Judges a request.
    pub fn request(&mut self, told: &Told) -> Judged {
        let Some(parts) = parts(told) else { return Judged { refused: Some(Cause::Http), ..Judged::default() } };
        let Ok(target) = Target::read(&parts, self.setup.paths) else {
            return Judged { refused: Some(Cause::Http), ..Judged::default() };
        };
        let headers = Fields(&parts.headers);
        let request = Request {
            method: parts.method.as_str(),
            host: &target.host,
            path: &target.path,
            query: parts.uri.query(),
            headers: &headers,
            body_size: u64::try_from(told.body.len()).ok().filter(|length| *length > 0),
        };
        let facts = Facts { request: Some(request), ..Facts::of(CLIENT, &system_clock) };
        self.under(told, &parts, &target, &facts)
    }

    /// In the order of `Inspection`, with the same pieces.
    fn under(&mut self, told: &Told, parts: &Parts, target: &Target<'_>, facts: &Facts<'_>) -> Judged {
        let own = &self.setup.own;
        let mut failures = 0;
        let choice = self.setup.scopes.choose(facts, &mut failures);
        if choice.mode == WebAttackMode::Off {
            return Judged::default();
        }
        let policy = Policy {
            mode: WebAttackMode::Block,
            over_limit: choice.over_limit,
            malformed_body: own.malformed_body,
            over_budget: own.over_budget,
        };
        self.begin();
        self.transaction.set_budget(self.setup.rules.units(own.budget));
        self.setup.scopes.apply(&choice, &mut self.transaction, facts, &mut failures);
        tell::head(&mut self.transaction, ENDS, parts, &target.path, false);
        let verdict = self.transaction.request_headers();
        let refused = |fault: Option<Fault>| fault.filter(|fault| policy.refuses(fault));
        let mut fault = refused(Fault::of(verdict));
        let ambiguous = !told.body.is_empty() && unseen::has_two_types(parts);
        fault = fault.or_else(|| refused(ambiguous.then_some(Fault::Malformed)));
        let reads = !told.body.is_empty() && self.transaction.reads_body() && !unseen::is_unread(own, parts);
        let unseen = unseen::before(parts, choice.max_body).filter(|_| reads);
        fault = fault.or_else(|| refused(unseen.clone()));
        if fault.is_none() {
            let part = told.body.get(..choice.max_body).unwrap_or(&told.body);
            let looks = reads && (unseen.is_none() || (unseen == Some(Fault::Large) && policy.looks_at_part()));
            let verdict = match looks {
                true => self.transaction.request_body(part),
                false if told.body.is_empty() => self.transaction.request_body(b""),
                false => self.transaction.request_body_unread(),
            };
            let malformed = looks && unseen.is_none() && self.transaction.body_fault().is_some();
            fault = refused(Fault::of(verdict)).or_else(|| refused(malformed.then_some(Fault::Malformed)));
        }
        let refused = fault.map(|fault| match fault {
            Fault::Attack { rule, .. } => Cause::Rule(rule),
            other => Cause::Fault(other.word()),
        });
        let names = ["blocking_inbound_anomaly_score", "anomaly_score"];
        let score = names.map(|name| self.transaction.score(name)).into_iter().max().unwrap_or(0);
        Judged { refused, score, rules: self.transaction.hits().iter().map(|hit| hit.rule).collect() }
    }

    /// All phases, with the answer of the backend that the Core Rule Set's tests expect.
    pub fn exchange(&mut self, told: &Told) -> (Vec<u64>, Vec<u8>) {
        self.begin();
        let transaction = &mut self.transaction;
        // As the test wrote it: it may hold what no HTTP layer lets through.
        transaction.connection(ENDS.0, ENDS.1);
        transaction.request_line(&told.method, &told.target, &told.protocol);
        told.headers.iter().for_each(|(name, value)| transaction.request_header(name, value));
        let _ = transaction.request_headers();
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

    fn begin(&mut self) {
        // Some time, the same for all: rules may ask for it.
        self.transaction.begin(1_790_000_000, b"rules-test");
        if let Some(adjusted) = &self.adjusted {
            self.transaction.apply(adjusted);
        }
    }
}

/// The head as hyper would give it to the pipeline; `None`: it would refuse it.
fn parts(told: &Told) -> Option<Parts> {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = Method::from_bytes(&told.method).ok()?;
    if told.protocol == b"HTTP/1.0" {
        parts.version = Version::HTTP_10;
    }
    parts.uri = Uri::try_from(told.target.as_slice()).ok()?;
    for (name, value) in &told.headers {
        parts.headers.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    Some(parts)
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
