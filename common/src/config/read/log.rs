//! `[log]`: level, form, and what a line of a request costs and shows.

use super::report_repeated;
use crate::config::checked::{AccessFields, Log, LogFormat, LogLevel};
use crate::config::tree::Section;

pub(in crate::config) fn log(section: &Section<'_>) -> Log {
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    Log {
        level: section.choice("level", &levels).map_or(LogLevel::Info, |placed| placed.value),
        format: section
            .choice("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])
            .map_or(LogFormat::Text, |placed| placed.value),
        access: section.flag("access").unwrap_or(true),
        sample: section.count32("sample"),
        slow: Some(section.duration("slow")).filter(|slow| !slow.is_zero()),
        fields: fields(section),
        gather: section.duration("gather"),
        buffer: section.count("buffer"),
    }
}

fn fields(section: &Section<'_>) -> AccessFields {
    let known = ["query", "user-agent", "referer"];
    let named = section.texts("fields", |text| {
        let known = known.iter().find(|known| **known == text);
        known.copied().ok_or_else(|| format!("there is no field `{text}` to choose"))
    });
    let named = named.unwrap_or_default();
    report_repeated(section, "fields", &named, "field");
    let has = |name: &str| named.iter().any(|placed| placed.value == name);
    AccessFields { query: has("query"), user_agent: has("user-agent"), referer: has("referer") }
}
