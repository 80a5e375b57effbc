//! `[[http-filter.error-page]]` and `[http-filter.compression]`

use crate::config::checked::{Algorithm, Compression, CompressionLevel, ErrorPage, SecurityHeaders};
use crate::config::pattern::NamePattern;
use crate::config::read::terminator::noted_file;
use crate::config::read::{report_repeated, values};
use crate::config::scalar::{Fault, pick, whole_number, wrong_type};
use crate::config::tree::Section;
use crate::config::value;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeValue;

pub(super) const SECURITY: [(&str, SecurityHeaders); 3] =
    [("off", SecurityHeaders::Off), ("basic", SecurityHeaders::Basic), ("strict", SecurityHeaders::Strict)];

pub(super) fn error_page(section: &Section<'_>, base: &Path) -> Option<ErrorPage> {
    let statuses = section.list("statuses", |_, found, _| match found {
        DeValue::Integer(_) => statuses(&whole_number(found)?.to_string()).map_err(Fault::from),
        DeValue::String(text) => statuses(text).map_err(Fault::from),
        other => Err(wrong_type(other, "a status")),
    });
    let hosts = section.texts("hosts", NamePattern::parse).unwrap_or_default();
    let file = noted_file(section, "file", base);
    let content_type = section.text("content_type", media_type);
    let intercept = section.flag("intercept");
    Some(ErrorPage {
        statuses: values(statuses?),
        hosts: values(hosts),
        file: file?,
        content_type: content_type?.value,
        intercept: intercept?,
    })
}

fn statuses(text: &str) -> Result<(u16, u16), String> {
    let range = match text {
        "4xx" => Some((400, 499)),
        "5xx" => Some((500, 599)),
        _ => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            first.trim().parse().ok().zip(last.trim().parse().ok())
        }
    };
    range
        .filter(|(first, last)| 400 <= *first && first <= last && *last <= 599)
        .ok_or_else(|| format!("`{text}` is not a status from 400 to 599"))
}

/// `type/subtype`, with parameters (RFC 9110 §8.3.1).
pub(super) fn media_type(text: &str) -> Result<Arc<str>, String> {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    plain_type(essence)?;
    if let Some(bad) = text.chars().find(|c| c.is_control() || !c.is_ascii()) {
        return Err(format!("{bad:?} may not stand in a media type"));
    }
    Ok(text.into())
}

fn plain_type(text: &str) -> Result<(), String> {
    let token = |part: &str| !part.is_empty() && part.bytes().all(value::is_token_byte);
    match text.split_once('/') {
        Some((kind, of)) if text.len() <= 256 && token(kind) && token(of) => Ok(()),
        _ => Err(format!("`{text}` is not a media type; write `text/html`")),
    }
}

pub(super) fn compression(section: &Section<'_>) -> Compression {
    let names = [("zstd", Algorithm::Zstd), ("br", Algorithm::Brotli), ("gzip", Algorithm::Gzip)];
    let levels = [
        ("fast", CompressionLevel::Fast),
        ("balanced", CompressionLevel::Balanced),
        ("small", CompressionLevel::Small),
    ];
    let algorithms = section.list("algorithms", |_, found, _| match found {
        DeValue::String(text) => pick(text, &names),
        other => Err(wrong_type(other, "a text in quotes")),
    });
    let algorithms = algorithms.unwrap_or_default();
    report_repeated(section, "algorithms", &algorithms, "algorithm");
    let types = section.texts("types", |text| {
        plain_type(text)?;
        if text.starts_with('*') || text.strip_suffix("/*").unwrap_or(text).contains('*') {
            return Err("`*` may only stand behind the slash, `text/*`".to_owned());
        }
        Ok(Arc::<str>::from(text.to_ascii_lowercase()))
    });
    Compression {
        algorithms: values(algorithms),
        types: values(types.unwrap_or_default()),
        min_size: section.amount("min_size").value,
        level: section.choice("level", &levels).map_or(CompressionLevel::Fast, |placed| placed.value),
        max_window: section.amount("max_window").value,
        max_answers: section.count("max_answers"),
    }
}
