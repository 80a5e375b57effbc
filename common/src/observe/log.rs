//! Log lines: one per event, on standard error, text or JSON, always tagged with the process and its instance.
//!
//! Bytes of strangers reach a line only as field values, and control characters are escaped there, so nobody can forge a
//! line or colour a terminal.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging; later calls change nothing.
pub fn start(tag: String, log: &Log) {
    let level = match log.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let lines = Lines { tag, json: log.format == LogFormat::Json, libraries: level >= Level::DEBUG };
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    let _ = builder.event_format(lines).try_init();
}

struct Lines {
    tag: String,
    json: bool,
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
        let level = event.metadata().level();
        let mut fields = Fields { json: self.json, message: String::new(), rest: String::with_capacity(256) };
        event.record(&mut fields);
        if self.json {
            writer.write_str("{\"time\":\"")?;
            SystemTime.format_time(&mut writer)?;
            write!(writer, "\",\"level\":\"{level}\",\"process\":\"{}\"", self.tag)?;
            if !fields.message.is_empty() {
                writer.write_str(",\"message\":")?;
                writer.write_str(&fields.message)?;
            }
            writeln!(writer, "{}}}", fields.rest)
        } else {
            SystemTime.format_time(&mut writer)?;
            writeln!(writer, " {level:>5} {}: {}{}", self.tag, fields.message, fields.rest)
        }
    }
}

/// Collects the fields of one event; the field `message` is the sentence, the others follow it.
struct Fields {
    json: bool,
    message: String,
    rest: String,
}

impl Fields {
    fn put(&mut self, field: &Field, value: &str, quoted: bool) {
        if field.name() == "message" {
            let target = &mut self.message;
            if self.json {
                quote(target, value);
            } else {
                escape(target, value);
            }
            return;
        }
        if self.json {
            self.rest.push(',');
            quote(&mut self.rest, field.name());
            self.rest.push(':');
        } else {
            self.rest.push(' ');
            self.rest.push_str(field.name());
            self.rest.push('=');
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'=' && byte != b'\\';
        if quoted && (self.json || value.is_empty() || !value.bytes().all(plain)) {
            quote(&mut self.rest, value);
        } else {
            self.rest.push_str(value);
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value, true);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"), true);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &value.to_string(), false);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &value.to_string(), false);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, if value { "true" } else { "false" }, false);
    }
}

/// Appends `value` as a JSON string, quotes included (RFC 8259 §7). Text lines use the same form, so one reader serves both.
fn quote(target: &mut String, value: &str) {
    target.push('"');
    for character in value.chars() {
        match character {
            '"' => target.push_str("\\\""),
            '\\' => target.push_str("\\\\"),
            other => escape_one(target, other),
        }
    }
    target.push('"');
}

fn escape(target: &mut String, value: &str) {
    value.chars().for_each(|character| escape_one(target, character));
}

fn escape_one(target: &mut String, character: char) {
    match character {
        '\n' => target.push_str("\\n"),
        '\r' => target.push_str("\\r"),
        '\t' => target.push_str("\\t"),
        other if other.is_control() => {
            let _ = write!(target, "\\u{:04x}", u32::from(other));
        }
        other => target.push(other),
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
            .event_format(Lines { tag: "http-filter@1".into(), json, libraries: true })
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_json_line_is_json_whatever_a_stranger_sends() {
        let text = line(true, || tracing::info!(path = "/a\"b\n\u{1b}[31m", bytes = 7, ok = true, "served \"x\""));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["process"], "http-filter@1");
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
