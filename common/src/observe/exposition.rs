//! The text that Prometheus reads (exposition format 0.0.4), and the merging of several such texts into one page. Pure.
//!
//! A family is written as one block: `# HELP`, `# TYPE`, its samples. Label values are escaped; names and meanings are ours.

use std::fmt::Write as _;

use super::histogram::{BOUNDS, Histogram};
use super::metrics::{Figures, is_gauge};

/// Bytes of a page of one process at most; samples beyond are left out.
pub const MAX_PAGE: usize = 16 << 20;
/// What one sample, or the head of a family, takes at most.
const ROOM_FOR_ONE: usize = 4096;

/// What a family counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page of one process.
#[derive(Debug)]
pub struct Page {
    text: String,
    prefix: String,
    common: String,
    family: String,
}

impl Page {
    /// A page of `process` (`http-filter`); its instance stands at every sample.
    #[must_use]
    pub fn new(process: &str, instance: u32) -> Self {
        Self {
            text: String::new(),
            prefix: format!("bulkhead_{}_", process.replace('-', "_")),
            common: format!("instance=\"{instance}\""),
            family: String::new(),
        }
    }

    /// Every figure of a process, with and without labels.
    pub fn figures(&mut self, figures: &dyn Figures, values: &[(Box<str>, u64)]) {
        let meanings = figures.table().iter().chain(super::output::TABLE);
        for ((name, value), (_, meaning)) in values.iter().zip(meanings) {
            let kind = if is_gauge(meaning) { Kind::Gauge } else { Kind::Counter };
            self.family(name, kind, meaning);
            self.sample(&[], *value);
        }
        figures.families(self);
    }

    /// Begins a family. Counters are named `…_total`, histograms `…_seconds`.
    pub fn family(&mut self, name: &str, kind: Kind, meaning: &str) {
        let (ending, word) = match kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
            Kind::Histogram => ("_seconds", "histogram"),
        };
        self.family = format!("{}{name}{ending}", self.prefix);
        let family = &self.family;
        let _ = writeln!(self.text, "# HELP {family} {}", escape(meaning, false)); // writing into memory cannot fail
        let _ = writeln!(self.text, "# TYPE {family} {word}");
    }

    /// A sample of the family that has begun.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.line("", labels, "", value);
    }

    /// A sample in seconds.
    pub fn micros(&mut self, micros: u64) {
        self.line("", &[], "", seconds(micros));
    }

    /// All samples of one histogram.
    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let counts = histogram.cumulated();
        for (count, bound) in counts.iter().zip(BOUNDS.map(seconds).into_iter().chain(["+Inf".to_owned()])) {
            self.line("_bucket", labels, &format!("le=\"{bound}\""), count);
        }
        self.line("_sum", labels, "", seconds(histogram.sum_micros()));
        self.line("_count", labels, "", counts.last().copied().unwrap_or_default());
    }

    /// Past [`MAX_PAGE`] nothing is added: a page that grows without end helps nobody.
    fn line(&mut self, ending: &str, labels: &[(&str, &str)], last: &str, value: impl std::fmt::Display) {
        if self.text.len() > MAX_PAGE - ROOM_FOR_ONE {
            return;
        }
        let _ = write!(self.text, "{}{ending}{{{}", self.family, self.common);
        for (name, value) in labels {
            let _ = write!(self.text, ",{name}=\"{}\"", escape(value, true));
        }
        if !last.is_empty() {
            let _ = write!(self.text, ",{last}");
        }
        let _ = writeln!(self.text, "}} {value}");
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }
}

/// Microseconds as seconds, without a floating-point number between.
fn seconds(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:06}").trim_end_matches('0').to_owned()
}

fn escape(text: &str, quoted: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quoted => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out
}

/// Puts pages of several processes together: what is one family becomes one block, in the order of first appearance.
#[must_use]
pub fn merge(pages: &[String]) -> String {
    let mut families: Vec<(&str, String, String)> = Vec::new();
    for page in pages {
        let mut current = None;
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let name = rest.split(' ').next().unwrap_or_default();
                let known = families.iter().position(|(known, ..)| *known == name);
                current = Some(known.unwrap_or_else(|| {
                    families.push((name, String::new(), String::new()));
                    families.len() - 1
                }));
            }
            let Some((_, head, samples)) = current.and_then(|at| families.get_mut(at)) else { continue };
            let is_head = line.starts_with('#');
            if is_head && head.lines().any(|known| known == line) {
                continue;
            }
            let block = if is_head { head } else { samples };
            block.push_str(line);
            block.push('\n');
        }
    }
    families.into_iter().map(|(_, head, samples)| head + &samples).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(instance: u32, value: u64) -> String {
        let mut page = Page::new("http-filter", instance);
        page.family("requests", Kind::Counter, "requests read");
        page.sample(&[], value);
        page.family("connections", Kind::Gauge, "back\\slash\nnew \"line\"");
        page.sample(&[("route", "a\"b\\c\nd")], 1);
        page.finish()
    }

    #[test]
    fn families_samples_and_escapes() {
        assert_eq!(
            page(1, 7),
            "# HELP bulkhead_http_filter_requests_total requests read\n\
             # TYPE bulkhead_http_filter_requests_total counter\n\
             bulkhead_http_filter_requests_total{instance=\"1\"} 7\n\
             # HELP bulkhead_http_filter_connections back\\\\slash\\nnew \"line\"\n\
             # TYPE bulkhead_http_filter_connections gauge\n\
             bulkhead_http_filter_connections{instance=\"1\",route=\"a\\\"b\\\\c\\nd\"} 1\n"
        );
    }

    #[test]
    fn a_histogram_is_cumulated_and_ends_with_infinity() {
        let histogram = Histogram::default();
        histogram.observe_micros(1_500);
        histogram.observe_micros(60_000_000);
        let mut page = Page::new("x", 1);
        page.family("total", Kind::Histogram, "m");
        page.histogram(&[("route", "r")], &histogram);
        let text = page.finish();
        for line in [
            "bulkhead_x_total_seconds_bucket{instance=\"1\",route=\"r\",le=\"0.001\"} 0",
            "bulkhead_x_total_seconds_bucket{instance=\"1\",route=\"r\",le=\"0.0025\"} 1",
            "bulkhead_x_total_seconds_bucket{instance=\"1\",route=\"r\",le=\"30\"} 1",
            "bulkhead_x_total_seconds_bucket{instance=\"1\",route=\"r\",le=\"+Inf\"} 2",
            "bulkhead_x_total_seconds_sum{instance=\"1\",route=\"r\"} 60.0015",
            "bulkhead_x_total_seconds_count{instance=\"1\",route=\"r\"} 2",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in {text}");
        }
    }

    #[test]
    fn pages_are_merged_family_by_family() {
        let merged = merge(&[page(1, 7), page(2, 8)]);
        let lines: Vec<&str> = merged.lines().collect();
        assert_eq!(lines.len(), 8);
        let numbers: Vec<&str> = lines.iter().copied().filter(|line| line.contains("requests_total{")).collect();
        assert_eq!(lines.get(2..4), Some(numbers.as_slice()), "{merged}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("# TYPE")).count(), 2);
    }
}
