//! `[http-filter.web-attacks]`: which rules look at which requests, how far, and what happens then.

use crate::config::checked::Conditions;
use crate::config::text_pattern::TextPattern;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `[http-filter.web-attacks]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAttacks {
    /// What holds where no scope says otherwise.
    pub mode: WebAttackMode,
    /// Files with rules, or patterns of such (`*`, `?`), in order; absolute, unless the configuration was named by a relative
    /// path. Empty: the rules that are built in.
    pub rules: Vec<PathBuf>,
    /// 1..=4.
    pub paranoia: u8,
    /// Score from which a request is refused, at least 1.
    pub inbound_threshold: u32,
    /// The same for an answer.
    pub outbound_threshold: u32,
    /// Whether the score is looked at after the header already.
    pub early_blocking: bool,
    /// Bytes of a request's body that rules look at; never above `max_held`.
    pub max_body: usize,
    /// What becomes of a request that goes beyond `max_body` or one of the limits below.
    pub over_limit: OverLimit,
    /// What becomes of a body that is not what its type says.
    pub malformed_body: RejectOrPass,
    /// CPU time for all rules over one request.
    pub budget: Duration,
    /// What becomes of a request that needs more.
    pub over_budget: RejectOrPass,
    /// Parameters of a request, query and body together.
    pub max_arguments: usize,
    /// Nesting of JSON and XML.
    pub max_depth: usize,
    /// Values of a JSON body; elements, attributes and texts of an XML one.
    pub max_nodes: usize,
    /// Bytes of a parameter's name.
    pub max_name_length: usize,
    /// Bytes of a parameter's value.
    pub max_value_length: usize,
    /// Parts of a multipart body.
    pub max_parts: usize,
    /// Larger bodies, in bytes, are looked at on an inspection thread.
    pub inline_body: usize,
    /// Inspection threads of one process, 1..=16.
    pub threads: usize,
    /// Bodies that may wait for an inspection thread.
    pub max_waiting: usize,
    /// Bytes of bodies that are held for inspection in one process, in all.
    pub max_held: u64,
    /// Bodies of these media types (lower case, without parameters) are not looked at and stream through.
    pub unread_types: Vec<TextPattern>,
    /// Whether answers are looked at, too.
    pub responses: bool,
    /// Bytes of an answer's body that rules look at.
    pub max_response_body: usize,
    /// Records that rules keep of clients and the like.
    pub collections: usize,
    /// Parts of names, in lower case: the values of variables whose name has one of them are not shown in records.
    pub mask: Vec<Arc<str>>,
    /// Files with a second set of rules, that never refuses; as `rules`. Empty: none.
    pub shadow: Vec<PathBuf>,
    /// `[[http-filter.web-attacks.scope]]` in order; for each setting the first that applies and names it decides.
    pub scopes: Vec<WebAttackScope>,
    /// `[[http-filter.web-attacks.exclude]]`; all that apply add up.
    pub excludes: Vec<WebAttackExclude>,
}

impl WebAttacks {
    /// Whether any request could be looked at: the section or a scope has a mode other than off.
    #[must_use]
    pub fn is_on(&self) -> bool {
        let scoped = self.scopes.iter().filter_map(|scope| scope.mode);
        std::iter::once(self.mode).chain(scoped).any(|mode| mode != WebAttackMode::Off)
    }

    /// Whether any answer could be looked at.
    #[must_use]
    pub fn reads_responses(&self) -> bool {
        self.is_on() && (self.responses || self.scopes.iter().any(|scope| scope.responses == Some(true)))
    }
}

/// `mode` of the section or a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebAttackMode {
    /// Nothing is looked at.
    Off,
    /// Rules run and are logged; nothing is refused.
    Detect,
    /// Rules refuse.
    Block,
}

/// `over_limit`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverLimit {
    /// The request is refused.
    Reject,
    /// Rules look at what is within the limit, and all of it passes.
    InspectPart,
    /// The body passes unlooked-at.
    Skip,
}

/// `malformed_body`, `over_budget`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectOrPass {
    /// The request is refused.
    Reject,
    /// It passes, and is counted.
    Pass,
}

/// `[[http-filter.web-attacks.scope]]`: what is different for some requests. `None`: as elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAttackScope {
    /// Unique among the scopes; appears in records and `explain`.
    pub name: Arc<str>,
    /// 1-based line of the file in which it begins.
    pub line: usize,
    /// Which requests.
    pub conditions: Conditions,
    /// See [`WebAttacks::mode`].
    pub mode: Option<WebAttackMode>,
    /// See [`WebAttacks::paranoia`].
    pub paranoia: Option<u8>,
    /// See [`WebAttacks::inbound_threshold`].
    pub inbound_threshold: Option<u32>,
    /// See [`WebAttacks::outbound_threshold`].
    pub outbound_threshold: Option<u32>,
    /// See [`WebAttacks::max_body`].
    pub max_body: Option<usize>,
    /// See [`WebAttacks::over_limit`].
    pub over_limit: Option<OverLimit>,
    /// See [`WebAttacks::responses`].
    pub responses: Option<bool>,
}

/// `[[http-filter.web-attacks.exclude]]`: rules that do not run for some requests, or do not look at some of their parts. At least
/// one of the four lists is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAttackExclude {
    /// Unique among the exclusions; appears in `explain`.
    pub name: Arc<str>,
    /// 1-based line of the file in which it begins.
    pub line: usize,
    /// Which requests.
    pub conditions: Conditions,
    /// Numbers of rules.
    pub rules: Vec<RangeInclusive<u64>>,
    /// Tags of rules.
    pub tags: Vec<String>,
    /// What the rules do not look at, as `SecLang` writes it (`REQUEST_COOKIES:session`). Without these and without parameters
    /// the rules do not run; with either all rules are meant if neither `rules` nor `tags` name some.
    pub targets: Vec<String>,
    /// `arguments`: names of parameters; `text` is short for the target `ARGS:text`.
    pub parameters: Vec<String>,
}
