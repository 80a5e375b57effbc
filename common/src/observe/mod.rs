//! How a process tells what it does: log lines on standard error, figures for `bulkhead status`.

pub mod log;
pub mod metrics;
