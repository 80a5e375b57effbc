//! What is noted while a file is read: everything that is wrong, and every name, address and file that is spoken of,
//! with its place, so that what needs the whole file can be judged afterwards (`cross`).

use super::diagnostic::{Diagnostic, Severity, Source, Span};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// More are not noted: nobody reads them, and each is compared with the earlier ones.
const MAX_DIAGNOSTICS: usize = 1000;

/// Lists in which a name may stand once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Names {
    Listeners,
    Pools,
    Routes,
    RouterRules,
    HttpRules,
    HttpLimits,
    WebAttackScopes,
    WebAttackExcludes,
    HttpRoutes,
    ForwardRules,
}

impl Names {
    /// What one of them is called in a message.
    pub(super) fn singular(self) -> &'static str {
        match self {
            Names::Listeners => "listener",
            Names::Pools => "pool",
            Names::Routes | Names::HttpRoutes => "route",
            Names::HttpLimits => "limit",
            Names::WebAttackScopes => "scope",
            Names::WebAttackExcludes => "exclusion",
            Names::RouterRules | Names::HttpRules | Names::ForwardRules => "rule",
        }
    }
}

/// A name where it is given to something.
pub(super) struct Defined {
    pub(super) names: Names,
    pub(super) key: &'static str,
    pub(super) name: Arc<str>,
    pub(super) span: Span,
}

/// A name where it is referred to.
pub(super) struct Used {
    pub(super) names: Names,
    pub(super) key: &'static str,
    pub(super) name: Arc<str>,
    pub(super) span: Span,
}

/// A listening address.
pub(super) struct Address {
    pub(super) key: &'static str,
    pub(super) address: SocketAddr,
    pub(super) span: Span,
}

/// A file that must be there when the program runs.
pub(super) struct NamedFile {
    pub(super) key: &'static str,
    pub(super) path: PathBuf,
    /// Whether others should not be able to read it.
    pub(super) secret: bool,
    pub(super) span: Span,
}

/// The notes of one reading.
pub(super) struct Ledger {
    pub(super) source: Arc<Source>,
    diagnostics: RefCell<Vec<Diagnostic>>,
    pub(super) defined: RefCell<Vec<Defined>>,
    pub(super) used: RefCell<Vec<Used>>,
    pub(super) addresses: RefCell<Vec<Address>>,
    pub(super) files: RefCell<Vec<NamedFile>>,
    /// Where each key was last given a value; of use for keys of tables that stand once.
    pub(super) places: RefCell<HashMap<&'static str, Span>>,
    /// Where lines end, once somebody has asked for one.
    line_ends: OnceCell<Vec<usize>>,
    /// Keys that were asked for: a test holds them against the reference.
    #[cfg(test)]
    pub(super) asked: RefCell<std::collections::BTreeSet<&'static str>>,
}

impl Ledger {
    pub(super) fn new(source: Source) -> Ledger {
        Ledger {
            source: Arc::new(source),
            diagnostics: RefCell::default(),
            defined: RefCell::default(),
            used: RefCell::default(),
            addresses: RefCell::default(),
            files: RefCell::default(),
            places: RefCell::default(),
            line_ends: OnceCell::new(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    pub(super) fn error(&self, key: &str, what: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, &self.source, key, what.into())
    }

    pub(super) fn warning(&self, key: &str, what: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, &self.source, key, what.into())
    }

    /// Notes a diagnostic; one that is already there is not repeated (a limit may be read for two reasons).
    pub(super) fn report(&self, diagnostic: Diagnostic) {
        let mut diagnostics = self.diagnostics.borrow_mut();
        if diagnostics.len() < MAX_DIAGNOSTICS && !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }

    pub(super) fn define(&self, names: Names, key: &'static str, name: &Arc<str>, span: &Span) {
        self.defined.borrow_mut().push(Defined { names, key, name: Arc::clone(name), span: span.clone() });
    }

    pub(super) fn refer(&self, names: Names, key: &'static str, name: &Arc<str>, span: &Span) {
        self.used.borrow_mut().push(Used { names, key, name: Arc::clone(name), span: span.clone() });
    }

    /// Whether something below this key is wrong. What follows from it is then not worth a word.
    pub(super) fn blames(&self, table: &str) -> bool {
        self.diagnostics.borrow().iter().any(|d| {
            let below = d.key().strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            below && d.severity() == Severity::Error
        })
    }

    /// The 1-based line in which something begins.
    pub(super) fn line_of(&self, span: &Span) -> usize {
        let ends = self.line_ends.get_or_init(|| {
            let bytes = self.source.text.bytes().enumerate();
            bytes.filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect()
        });
        ends.partition_point(|end| *end < span.start) + 1
    }

    /// Where the key was last given a value.
    pub(super) fn place(&self, key: &str) -> Option<Span> {
        self.places.borrow().get(key).cloned()
    }

    /// Errors and warnings.
    pub(super) fn into_diagnostics(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        self.diagnostics.into_inner().into_iter().partition(|d| d.severity() == Severity::Error)
    }
}
