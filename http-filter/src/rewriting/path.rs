//! `strip_prefix` and `rewrite_path`: another path for the backend. Rules and routes have judged the path as it came; what is made of it
//! goes through the same normalisation, so no rewriting can bring back a second reading.

use std::sync::Arc;

use common::config::Rewrite;
use common::config::template::Template;
use common_http::normalise::{PathPolicy, normalise_path};
use http::uri::PathAndQuery;
use regex::Regex;

use super::values::{MAX_OUTCOME, Values};

/// Largest compiled expression, in bytes.
const REGEX_SIZE: usize = 1 << 20;

/// A rewriting, ready to be done.
#[derive(Debug)]
pub enum Rewriting {
    /// A beginning, cut at slashes.
    Prefix {
        /// What is taken off, without final slash.
        from: Arc<str>,
        /// What stands there instead, without final slash.
        to: Arc<str>,
    },
    /// What an expression matches first.
    Regex {
        /// The expression.
        regex: Regex,
        /// What stands there instead.
        to: Template,
    },
}

/// The outcome is no target: the rule is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTarget;

impl Rewriting {
    /// From the configuration.
    ///
    /// # Errors
    /// The expression is none, or lacks a capture that is asked for.
    pub fn new(own: &Rewrite) -> Result<Self, String> {
        match own {
            Rewrite::Prefix { from, to } => Ok(Self::Prefix { from: Arc::clone(from), to: Arc::clone(to) }),
            Rewrite::Regex { regex, to } => {
                let compiled = compile(regex.as_str())
                    .and_then(|compiled| captures_exist(&compiled, to).map(|()| compiled))
                    .map_err(|what| regex.fault(0..regex.as_str().len(), what, "this expression").to_string())?;
                Ok(Self::Regex { regex: compiled, to: to.clone() })
            }
        }
    }

    /// The target for the backend; `None`: as it came.
    ///
    /// # Errors
    /// What comes out is no valid target.
    pub fn apply(&self, values: &Values<'_>) -> Result<Option<PathAndQuery>, NoTarget> {
        match self {
            Self::Prefix { from, to } => {
                let Some(rest) = values.path.strip_prefix(&**from) else { return Ok(None) };
                if !(rest.is_empty() || rest.starts_with('/')) {
                    return Ok(None);
                }
                let path = format!("{to}{rest}");
                target(if path.is_empty() { "/" } else { &path }, values.query).map(Some)
            }
            Self::Regex { regex, to } => {
                let Some(captures) = regex.captures(values.path) else { return Ok(None) };
                let Some(matched) = captures.get(0) else { return Ok(None) };
                let (middle, query) = values.target(to, Some(&captures));
                let before = values.path.get(..matched.start()).unwrap_or_default();
                let after = values.path.get(matched.end()..).unwrap_or_default();
                target(&format!("{before}{middle}{after}"), query.as_deref().or(values.query)).map(Some)
            }
        }
    }
}

/// A path and a query as one normalised target in origin form.
///
/// # Errors
/// It is none.
pub fn target(path: &str, query: Option<&str>) -> Result<PathAndQuery, NoTarget> {
    if path.len() > MAX_OUTCOME || !path.starts_with('/') {
        return Err(NoTarget);
    }
    let path = normalise_path(path, PathPolicy::Normalise).map_err(|_| NoTarget)?;
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    // The parser would cut a fragment off in silence.
    if text.contains('#') {
        return Err(NoTarget);
    }
    PathAndQuery::try_from(text).map_err(|_| NoTarget)
}

/// Compiles with a limit to the memory that a pattern may cost.
///
/// # Errors
/// Why it is no expression.
pub fn compile(text: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(text).size_limit(REGEX_SIZE).build().map_err(|error| error.to_string())
}

/// Whether the expression has every capture that the template asks for.
///
/// # Errors
/// Names one that it has not.
pub fn captures_exist(regex: &Regex, template: &Template) -> Result<(), String> {
    let has = |name: &str| match name.parse::<usize>() {
        Ok(number) => number < regex.captures_len(),
        Err(_) => regex.capture_names().flatten().any(|own| own == name),
    };
    match template.captures().find(|name| !has(name)) {
        Some(name) => Err(format!("the expression has no capture `{name}`, which the target asks for")),
        None => Ok(()),
    }
}
