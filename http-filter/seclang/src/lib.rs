//! A SecLang engine: it reads ModSecurity rules (such as the OWASP Core Rule Set) and judges HTTP transactions by them.
//!
//! It runs all of CRS 4 and (but for one rule) CRS 3.3. Requests and responses are raw bytes, matching takes time linear in them, there is no
//! `unsafe` code, no I/O but reading rule files, no clock, no thread, no async: a program of any kind can hold a [`Transaction`] next to each
//! HTTP exchange and ask it phase by phase.
//!
//! ```
//! use std::sync::Arc;
//! use seclang::{Action, Interrupt, RuleSet, Settings, Transaction, Verdict};
//!
//! let rules = RuleSet::load_text(
//!     r#"
//!     SecRuleEngine On
//!     SecRule ARGS "@detectSQLi" \
//!         "id:1, phase:2, deny, status:403, t:none,t:urlDecodeUni, \
//!         msg:'SQL injection', logdata:'%{MATCHED_VAR} in %{MATCHED_VAR_NAME}'"
//!     "#,
//!     Settings::default(),
//! ).map_err(|mistakes| mistakes[0].clone())?;
//!
//! let mut transaction = Transaction::new(Arc::new(rules), None);
//! transaction.begin(1_790_000_000, b"request 1");
//! transaction.connection("192.0.2.7:40000".parse()?, "192.0.2.1:443".parse()?);
//! transaction.request_line(b"GET", b"/?id=1'+or+'1'='1", b"HTTP/1.1");
//! transaction.request_header(b"Host", b"example.org");
//! assert_eq!(transaction.request_headers(), Verdict::Pass);
//! assert_eq!(
//!     transaction.request_body(b""),
//!     Verdict::Interrupt(Interrupt { status: 403, action: Action::Deny, rule: 1 })
//! );
//! assert_eq!(transaction.hits()[0].data, b"1' or '1'='1 in ARGS:id");
//!
//! // Every mistake in a rule file is reported with its place and what would be right.
//! let mistakes = RuleSet::load_text("SecRule ARG \"@rx x\" \"id:1\"", Settings::default()).unwrap_err();
//! assert!(mistakes[0].to_string().starts_with("(text):1: unknown variable: `ARG` (known are: ARGS "));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One rule set, many sites
//! Rules are loaded once. What differs from site to site (the engine's state, the paranoia level, exclusions) is an adjustment, resolved once and
//! applied to a transaction at no cost worth naming:
//!
//! ```
//! use std::sync::Arc;
//! use seclang::{Adjustments, Engine, Removal, RuleSet, Settings, Transaction, Verdict};
//!
//! let text = r#"
//!     SecRule TX:detection_paranoia_level "@lt 2" "id:1,phase:2,pass,nolog,skipAfter:END"
//!     SecRule ARGS "@contains ../" "id:2,phase:2,deny,tag:'attack-lfi'"
//!     SecMarker END
//! "#;
//! let level = |level: &str| vec![("detection_paranoia_level".to_owned(), level.to_owned())];
//! // The highest level that anybody uses, so that its rules are planned.
//! let settings = Settings { variables: level("1"), planned_variables: level("2"), ..Settings::default() };
//! let rules = Arc::new(RuleSet::load_text(text, settings).map_err(|mistakes| mistakes[0].clone())?);
//!
//! let strict = rules.adjust(&Adjustments { variables: level("2"), ..Adjustments::default() })?;
//! let wiki = rules.adjust(&Adjustments {
//!     removed: vec![Removal { rules: vec![2..=2], targets: vec!["ARGS:text".to_owned()], ..Removal::default() }],
//!     ..Adjustments::default()
//! })?;
//! let trial = rules.adjust(&Adjustments { engine: Some(Engine::DetectionOnly), ..Adjustments::default() })?;
//!
//! let mut transaction = Transaction::new(rules, None);
//! for (adjustments, refused, hits) in [
//!     (vec![], false, 0),
//!     (vec![&strict], true, 1),
//!     (vec![&strict, &wiki], false, 0),
//!     (vec![&strict, &trial], false, 1),
//! ] {
//!     transaction.begin(0, b"");
//!     for adjusted in adjustments {
//!         assert!(transaction.apply(adjusted));
//!     }
//!     transaction.request_line(b"GET", b"/?text=../", b"HTTP/1.1");
//!     assert_eq!(transaction.request_headers(), Verdict::Pass);
//!     assert!(!transaction.reads_body());
//!     assert_eq!(transaction.request_body(b"") != Verdict::Pass, refused);
//!     assert_eq!(transaction.hits().len(), hits);
//! }
//! # Ok::<(), seclang::LoadError>(())
//! ```
//! [`RuleSet::calibrate`] measures what a budget of milliseconds is in work, and warms everything before the first client waits.
//!
//! # The pieces, in the order in which a rule and then a request meets them
//! - `parse`: lines, quotes, lists. `load`: directives, rules, updates of rules. `variable`, `text`, `operator`, [`transform`]: what a rule is
//!   made of. `rule`: a rule, compiled. [`RuleSet`]: all of them.
//! - [`Transaction`]: what is told about a request ([`body`] takes bodies apart), the evaluation, what rules do. [`Store`]: collections that
//!   outlive it. [`Adjustments`]: what differs for some transactions, such as the paranoia level or what rules do not look at.
//!   [`RuleInfo`]: what a rule says about itself.
//! - `plan`: how most of the work is left out without changing any result. [`Evaluation::Naive`] does without it.
//!
//! # Limits
//! [`Settings::limits`] bound what a request may hold, before any rule runs; [`Transaction::set_budget`] bounds the work of one transaction.
//! Both end in [`Verdict::Partial`], never in silence: whether that means to refuse, to pass or to report is the caller's decision.
//!
//! # What differs from `ModSecurity` 3
//! Semantics are those of `libmodsecurity` 3 where it and the manual agree, and where they do not:
//! - `MATCHED_VARS` begins empty with every rule; `REQUEST_BODY` is filled for URL-encoded bodies and, with `ctl:forceRequestBodyVariable`, for
//!   bodies of unknown types only (as in version 2; CRS's tests expect it), and for bodies that cannot be taken apart;
//! - tags and messages in `SecRuleRemoveByTag` and its like are compared whole, or as a pattern if they hold signs of one;
//! - a rule without a disruptive action takes that of `SecDefaultAction`, as the manual says;
//! - `@rbl` and `@geoLookup` never match, patterns with back-references or unbounded look-around neither; [`RuleSet::notes`] names the rules.
#![forbid(unsafe_code)]

mod adjust;
pub mod body;
mod calibrate;
mod error;
mod info;
mod load;
pub mod mask;
mod operator;
mod parse;
mod plan;
mod rule;
mod ruleset;
mod store;
mod text;
mod transaction;
pub mod transform;
mod variable;
mod workshop;

pub use crate::adjust::{Adjusted, Adjustments, Removal};
pub use crate::error::LoadError;
pub use crate::info::RuleInfo;
pub use crate::load::Source;
pub use crate::load::directives::OverLimit;
pub use crate::load::files::{Disk, Files, Memory};
pub use crate::rule::{Engine, Phase, Place};
pub use crate::ruleset::{Evaluation, RuleSet, Settings};
pub use crate::store::Store;
pub use crate::transaction::{Action, Hit, Interrupt, Partial, Transaction, Verdict};
pub use crate::variable::Variable;
