//! A SecLang engine: it reads ModSecurity rules (such as the OWASP Core Rule Set) and judges HTTP transactions by them.
#![forbid(unsafe_code)]

pub mod body;
pub mod mask;
pub mod transform;
