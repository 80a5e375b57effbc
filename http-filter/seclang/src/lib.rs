//! A SecLang engine: it reads ModSecurity rules (such as the OWASP Core Rule Set) and judges HTTP transactions by them.
#![forbid(unsafe_code)]

pub mod body;
mod error;
mod load;
pub mod mask;
mod operator;
mod parse;
mod plan;
mod rule;
mod ruleset;
mod text;
pub mod transform;
mod variable;

pub use crate::error::LoadError;
pub use crate::load::Source;
pub use crate::load::files::{Disk, Files, Memory};
pub use crate::rule::{Engine, Phase, Place};
pub use crate::ruleset::{Evaluation, RuleSet, Settings};
pub use crate::variable::Variable;
