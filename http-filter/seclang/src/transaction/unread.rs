//! Request bodies that are not looked at, and those that could not be taken apart.

use super::{Transaction, Verdict};
use crate::rule::Phase;
use crate::variable::Variable;

impl Transaction {
    /// Phase 2 of a request whose body is not looked at: what its header says about it holds, it has no arguments, and nothing is wrong with it.
    pub fn request_body_unread(&mut self) -> Verdict {
        self.run(Phase::RequestBody)
    }

    /// Why the body that was told could not be taken apart (`REQBODY_ERROR_MSG`); `None` if it could.
    #[must_use]
    pub fn body_fault(&self) -> Option<&[u8]> {
        let wrong = self.values.text(Variable::ReqbodyError) == b"1";
        wrong.then(|| self.values.text(Variable::ReqbodyErrorMsg))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use crate::{RuleSet, Settings, Transaction, Verdict};

    #[test]
    fn a_body_that_is_not_looked_at_has_no_fault_and_the_query_is_looked_at() {
        let rules = "SecRuleEngine On\nSecRequestBodyAccess On\n\
                     SecRule REQUEST_HEADERS:Content-Type \"json\" \"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"\n\
                     SecRule ARGS \"@contains bad\" \"id:2,phase:2,deny\"";
        let mut transaction = Transaction::new(Arc::new(RuleSet::load_text(rules, Settings::default()).unwrap()), None);
        for (query, body, passes, fault) in [
            ("/?a=1", Some("{\"a\":\"bad\"}"), false, false),
            ("/?a=1", None, true, false),
            ("/?a=bad", None, false, false),
            ("/?a=1", Some("{\"a\":"), true, true),
        ] {
            transaction.begin(0, b"");
            transaction.request_line(b"POST", query.as_bytes(), b"HTTP/1.1");
            transaction.request_header(b"Content-Type", b"application/json");
            assert_eq!(transaction.request_headers(), Verdict::Pass);
            let verdict = match body {
                Some(body) => transaction.request_body(body.as_bytes()),
                None => transaction.request_body_unread(),
            };
            assert_eq!(
                (verdict == Verdict::Pass, transaction.body_fault().is_some()),
                (passes, fault),
                "{query} {body:?}"
            );
        }
    }
}
