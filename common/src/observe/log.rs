//! Log lines: one per event, on standard error ([`super::output`]), text or JSON, always tagged with the process and its instance.
//!
//! This file joins `tracing` to [`super::line`], which escapes what strangers send. Lines of requests do not come this way
//! ([`super::output::access`]), because they must cost little; they look the same.

use std::fmt;
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::line::{Line, Style};
use super::output;
use super::stamp::Stamp;
use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging; later calls change nothing but the limits of the buffer.
pub fn start(tag: &str, log: &Log) {
    let level = match log.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let json = log.format == LogFormat::Json;
    output::start(tag, json, log);
    let lines = Lines { style: Style::new(tag, json), libraries: level >= Level::DEBUG };
    let builder = tracing_subscriber::fmt().with_writer(ToOutput).with_max_level(level);
    let _ = builder.event_format(lines).try_init();
}

/// Gives whole lines to the output; warnings and errors do not wait there.
struct ToOutput;

struct Whole {
    urgent: bool,
}

impl io::Write for Whole {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !line.is_empty() {
            output::append(line, self.urgent);
        }
        Ok(line.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for ToOutput {
    type Writer = Whole;

    fn make_writer(&'a self) -> Whole {
        Whole { urgent: true }
    }
    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Whole {
        Whole { urgent: *meta.level() <= Level::WARN }
    }
}

struct Lines {
    style: Style,
    /// Whether lines of libraries are written.
    libraries: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &tracing_subscriber::fmt::FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // h2 warns of what any stranger can do as often as it likes; what matters of it we say and count ourselves.
        if !self.libraries && event.metadata().target().starts_with("h2::") {
            return Ok(());
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        let mut bytes = Vec::with_capacity(256);
        let level = event.metadata().level().as_str();
        let mut line = self.style.begin(&mut bytes, &mut Stamp::default(), level, &message.0);
        event.record(&mut Fields(&mut line));
        line.end();
        writer.write_str(&String::from_utf8_lossy(&bytes))
    }
}

/// The field `message` is the sentence; it comes first.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// The other fields, in order.
struct Fields<'a, 'b>(&'a mut Line<'b>);

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            self.0.text(field.name(), &format!("{value:?}"));
        }
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.number(field.name(), value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.0.number(field.name(), value),
            Err(_) => self.0.text(field.name(), &value.to_string()),
        }
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.flag(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line(json: bool, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Lines { style: Style::new("http-filter@1", json), libraries: true })
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_json_line_is_json_whatever_a_stranger_sends() {
        let text = line(true, || tracing::info!(path = "/a\"b\n\u{1b}[31m", bytes = 7, ok = true, "served \"x\""));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["process"], &value["instance"]), (&"http-filter".into(), &1.into()));
        assert_eq!(value["path"], "/a\"b\n\u{1b}[31m");
        assert_eq!((&value["bytes"], &value["ok"]), (&7.into(), &true.into()));
        assert_eq!(value["message"], "served \"x\"");
    }

    #[test]
    fn a_text_line_stays_one_line() {
        let text = line(false, || tracing::warn!(path = "/a\nWARN forged", name = "plain", "refused\nagain"));
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with("WARN http-filter@1: refused\\nagain path=\"/a\\nWARN forged\" name=plain\n"), "{text}");
    }
}
