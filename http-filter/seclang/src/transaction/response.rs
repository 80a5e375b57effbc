//! What is told about the response, and the end of the transaction.

use super::{Interrupt, Partial, Transaction, Verdict};
use crate::load::directives::OverLimit;
use crate::rule::{Engine, Phase};
use crate::transaction::Action;
use crate::variable::Variable;

impl Transaction {
    /// One header line of the response.
    pub fn response_header(&mut self, name: &[u8], value: &[u8]) {
        let pair = self.values.pair(name, value);
        self.values.response_headers.push(pair);
        if name.eq_ignore_ascii_case(b"content-type") {
            let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
            self.values.set(Variable::ResponseContentType, kind.trim_ascii());
        }
    }

    /// The status line; all headers have been told: phase 3.
    pub fn response_headers(&mut self, status: u16, protocol: &[u8]) -> Verdict {
        self.values.set_number(Variable::ResponseStatus, usize::from(status));
        self.values.set_number(Variable::Status, usize::from(status));
        self.values.set(Variable::ResponseProtocol, protocol);
        self.run(Phase::ResponseHeaders)
    }

    pub(super) fn response_type_wanted(&self) -> bool {
        let types = &self.rules.values.response_types;
        let own = self.values.text(Variable::ResponseContentType);
        types.is_empty()
            || types.iter().any(|kind| kind.as_bytes().eq_ignore_ascii_case(own) || (own.is_empty() && kind == "null"))
    }

    /// The body of the response (decoded: rules cannot look into compressed data), then phase 4. Without access to bodies, or if the type of
    /// the body is not one that `SecResponseBodyMimeType` names, no rule runs.
    pub fn response_body(&mut self, body: &[u8]) -> Verdict {
        if !self.body_access.1 || !self.response_type_wanted() {
            return self.run_none();
        }
        let (limit, over) = (self.rules.values.response_body_limit, self.rules.values.response_over_limit);
        let mut body = body;
        self.values.set(Variable::OutboundDataError, if body.len() > limit { b"1" } else { b"0" });
        if body.len() > limit {
            if over == OverLimit::Reject && self.engine == Engine::On && self.interrupt.is_none() {
                self.interrupt = Some(Interrupt { status: 502, action: Action::Deny, rule: 0 });
                return self.run_none();
            }
            body = body.get(..limit).unwrap_or(body);
            self.note_partial(Partial::Body);
        }
        self.values.set(Variable::ResponseBody, body);
        self.values.set_number(Variable::ResponseContentLength, body.len());
        self.run(Phase::ResponseBody)
    }

    fn run_none(&self) -> Verdict {
        match (&self.interrupt, self.partial) {
            (Some(interrupt), _) => Verdict::Interrupt(interrupt.clone()),
            (None, Some(partial)) => Verdict::Partial(partial),
            (None, None) => Verdict::Pass,
        }
    }

    /// The end: phase 5. Rules still count and report, also after an interruption; nothing can be refused any more.
    pub fn logging(&mut self) {
        let _ = self.run(Phase::Logging);
    }
}
