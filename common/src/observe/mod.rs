//! How a process tells what it does: log lines on standard error, figures for `bulkhead status` and Prometheus.
//!
//! A line: [`stamp`] (the time), [`line`] (fields, escaped), [`output`] (the way out, which never waits); [`log`] brings what
//! `tracing` says the same way. A figure: [`metrics`] (the tables), [`histogram`], [`exposition`] (as Prometheus reads them),
//! [`page`] (of this process, for who asks).

pub mod exposition;
pub mod histogram;
pub mod line;
pub mod log;
pub mod metrics;
pub mod output;
pub mod page;
pub mod stamp;
