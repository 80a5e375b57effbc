//! What the configuration says about log, request ids and traces, and what of them outlives a reload.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use common::config::{AccessFields, Config, RequestIdPolicy, TraceMode, TraceTrust};

#[cfg(feature = "otlp")]
use super::otlp::Exporter;
use super::request_id::{RequestIds, mixed, random};
use crate::metrics::Metrics;

/// One configuration.
#[derive(Debug)]
pub struct Settings {
    /// One line per request.
    pub log: bool,
    /// Of so many successes one has a line.
    pub sample: u32,
    /// From here on a request is slow.
    pub slow: Option<Duration>,
    /// What a line shows beside the fixed fields.
    pub fields: AccessFields,
    /// Who is told the id.
    pub request_id: RequestIdPolicy,
    /// What happens to traces.
    pub trace: TraceMode,
    /// Only traces of trusted proxies are continued.
    pub trace_trusted_only: bool,
    /// Of so many new traces one is recorded; 0: none.
    pub trace_sample: u32,
    /// What stays when the configuration goes.
    pub lasting: Rc<Lasting>,
    /// Where recorded spans go.
    #[cfg(feature = "otlp")]
    pub exporter: Option<Exporter>,
}

/// What `--check` judges: an export needs the code for it.
///
/// # Errors
/// One sentence.
pub fn check(config: &Config) -> Result<(), String> {
    if cfg!(feature = "otlp") || config.http_filter.observe.trace.export.is_none() {
        return Ok(());
    }
    let build = "build it with `--features otlp`, or remove the key";
    Err(format!("http-filter.trace.export: this http-filter was built without the export of traces; {build}"))
}

/// Counters that a reload does not reset.
#[derive(Debug)]
pub struct Lasting {
    /// Makes request ids.
    pub ids: RequestIds,
    successes: Cell<u64>,
    traces: Cell<u64>,
    random: Cell<u64>,
}

impl Default for Lasting {
    fn default() -> Self {
        Self { ids: RequestIds::default(), successes: Cell::new(0), traces: Cell::new(0), random: Cell::new(random()) }
    }
}

impl Settings {
    /// From the configuration; what lasts is taken over from the one before.
    ///
    /// # Errors
    /// What this build cannot do.
    pub fn new(config: &Config, metrics: &Metrics, previous: Option<&Self>) -> Result<Self, String> {
        check(config)?;
        metrics.labelled.announce(config);
        let observe = &config.http_filter.observe;
        Ok(Self {
            log: config.log.writes_access(),
            sample: config.log.sample,
            slow: config.log.slow,
            fields: config.log.fields,
            request_id: observe.request_id,
            trace: observe.trace.mode,
            trace_trusted_only: observe.trace.accept == TraceTrust::Trusted,
            trace_sample: observe.trace.sample,
            lasting: previous.map_or_else(Rc::default, |previous| Rc::clone(&previous.lasting)),
            #[cfg(feature = "otlp")]
            exporter: None,
        })
    }

    /// Before the process ends: what waits to be sent elsewhere is sent.
    pub async fn finish(&self) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.exporter {
            exporter.finish().await;
        }
    }

    /// Whether the line of this success is written: the first, and then every `sample`th.
    pub fn keeps_success(&self) -> bool {
        every(&self.lasting.successes, self.sample)
    }

    /// Whether a trace that begins here is recorded.
    pub fn records_trace(&self) -> bool {
        every(&self.lasting.traces, self.trace_sample)
    }
}

impl Lasting {
    /// A number that nobody else has; never 0.
    pub fn draw(&self) -> u64 {
        let next = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(next);
        mixed(next).max(1)
    }
}

fn every(counter: &Cell<u64>, one_of: u32) -> bool {
    let Some(rest) = counter.get().checked_rem(u64::from(one_of)) else { return false };
    counter.set(counter.get().wrapping_add(1));
    rest == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_so_many_is_exact() {
        for (one_of, of_a_hundred) in [(0, 0), (1, 100), (2, 50), (3, 34), (100, 1), (1000, 1)] {
            let counter = Cell::new(0);
            assert_eq!((0..100).filter(|_| every(&counter, one_of)).count(), of_a_hundred, "1 of {one_of}");
        }
    }
}
