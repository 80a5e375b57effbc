//! Reading one table of the file: values with their places, judged against the reference.
//!
//! Nothing here stops at the first error. A value that is wrong is reported and its default is taken instead, so that
//! the rest of the file is judged too; a file with an error never becomes a `Config`. Unknown keys are reported when a
//! table is opened.

use super::diagnostic::Span;
use super::ledger::Ledger;
use super::nearest::nearest;
use super::reference::{self, Key, Kind, Preset};
use super::scalar::{Fault, duration, pick, size, whole_number, within, wrong_type};
use super::value;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest piece of the file that a message repeats.
const MAX_QUOTE: usize = 60;

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Span,
    /// Whether it stands in the file (else it is the default, and the place is that of the table).
    pub(super) explicit: bool,
}

/// One table of the file; an absent one reads as an empty one.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub(super) ledger: &'a Ledger,
    table: Option<&'a DeTable<'a>>,
    /// Path in the reference.
    path: &'static str,
    pub(super) span: Span,
}

impl<'a> Section<'a> {
    /// The top of the file.
    pub(super) fn root(ledger: &'a Ledger, table: &'a DeTable<'a>) -> Section<'a> {
        Section::open(ledger, Some(table), "", 0..0)
    }

    fn open(ledger: &'a Ledger, table: Option<&'a DeTable<'a>>, path: &'static str, span: Span) -> Section<'a> {
        let section = Section { ledger, table, path, span };
        section.report_unknown_keys();
        section
    }

    /// An inline table that is the value of `key`, or an element of it.
    pub(super) fn inline(ledger: &'a Ledger, table: &'a DeTable<'a>, key: &'static Key, span: &Span) -> Section<'a> {
        Section::open(ledger, Some(table), key.path, span.clone())
    }

    /// The entry of the reference. A name that is not there is a mistake of this crate and reads as an absent key.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        let key = reference::keys_of(self.path).find(|key| key.last() == name);
        debug_assert!(key.is_some(), "`{}` + `{name}` is not in the reference", self.path);
        #[cfg(test)]
        if let Some(key) = key {
            self.ledger.asked.borrow_mut().insert(key.path);
        }
        key
    }

    /// Whether the table of the reference has such a key.
    pub(super) fn knows(&self, name: &str) -> bool {
        reference::keys_of(self.path).any(|key| key.last() == name)
    }

    fn get(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.and_then(|table| table.get(name))
    }

    /// Whether the key stands in the file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Where the key's value stands, or else the table.
    pub(super) fn span_of(&self, name: &str) -> Span {
        self.get(name).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// `[table]` inside this one.
    pub(super) fn table(&self, name: &str) -> Section<'a> {
        let Some(key) = self.key(name) else { return self.empty() };
        match self.get(name) {
            None => Section { path: key.path, ..self.empty() },
            Some(found) => match found.get_ref() {
                DeValue::Table(table) => Section::open(self.ledger, Some(table), key.path, found.span()),
                other => {
                    let help = match other {
                        DeValue::Array(_) => format!("write `[{}]` once", key.path),
                        _ => format!("write `[{}]` and its keys below", key.path),
                    };
                    self.report_shape(key, other, &found.span(), "a table", &help);
                    Section { path: key.path, ..self.empty() }
                }
            },
        }
    }

    /// `[[tables]]` inside this one.
    pub(super) fn tables(&self, name: &str) -> Vec<Section<'a>> {
        let Some(key) = self.key(name) else { return Vec::new() };
        let Some(found) = self.get(name) else { return Vec::new() };
        let help = format!("write `[[{}]]` and its keys below", key.path);
        let DeValue::Array(elements) = found.get_ref() else {
            self.report_shape(key, found.get_ref(), &found.span(), "an array of tables", &help);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for element in elements.iter() {
            match element.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Section::open(self.ledger, Some(table), key.path, element.span()));
                }
                other => self.report_shape(key, other, &element.span(), "a table", &help),
            }
        }
        sections
    }

    fn empty(&self) -> Section<'a> {
        Section { ledger: self.ledger, table: None, path: self.path, span: self.span.clone() }
    }

    /// Reads one key. `None`: it is required and absent (reported), or absent and has no default.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl Fn(&'static Key, &DeValue<'_>, &Span) -> Result<T, Fault>,
    ) -> Option<Placed<T>> {
        let key = self.key(name)?;
        if let Some(found) = self.get(name) {
            let span = found.span();
            self.ledger.places.borrow_mut().insert(key.path, span.clone());
            match read(key, found.get_ref(), &span) {
                Ok(value) => return Some(Placed { value, span, explicit: true }),
                Err(fault) => self.report_fault(key, &span, fault),
            }
        } else if matches!(key.preset, Preset::Required) {
            let last = key.last();
            self.ledger.report(
                self.ledger
                    .error(key.path, "it must be given")
                    .at(&self.span, format!("`{last}` is missing here"))
                    .help(format!("allowed: {}", key.kind.allowed())),
            );
        }
        let Preset::Value(text) = key.preset else { return None };
        let preset = DeValue::parse(text).ok()?;
        let value = read(key, preset.get_ref(), &self.span).ok();
        debug_assert!(value.is_some(), "the default of `{}` is not allowed", key.path);
        value.map(|value| Placed { value, span: self.span.clone(), explicit: false })
    }

    /// Reads a list, or a single value where the reference allows that; wrong elements are reported and left out.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&'static Key, &DeValue<'_>, &Span) -> Result<T, Fault>,
    ) -> Option<Vec<Placed<T>>> {
        let placed = self.read(name, |key, found, span| {
            let Kind::List { single, empty, .. } = key.kind else {
                return Err(wrong_type(found, "something else"));
            };
            let mut out = Vec::new();
            let mut one = |value: &DeValue<'_>, span: &Span| match read(key, value, span) {
                Ok(value) => out.push(Placed { value, span: span.clone(), explicit: true }),
                Err(fault) => self.report_fault(key, span, fault),
            };
            match found {
                DeValue::Array(elements) if elements.is_empty() && !empty => {
                    return Err("an empty list matches nothing; leave the key out or name something".to_owned().into());
                }
                DeValue::Array(elements) => elements.iter().for_each(|e| one(e.get_ref(), &e.span())),
                other if single => one(other, span),
                other => return Err(wrong_type(other, "a list")),
            }
            Ok(out)
        });
        placed.map(|placed| placed.value)
    }

    /// A list of texts.
    pub(super) fn texts<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<Placed<T>>> {
        self.list(name, |_, found, _| match found {
            DeValue::String(text) => read(text).map_err(Fault::from),
            other => Err(wrong_type(other, "a text in quotes")),
        })
    }

    /// One text.
    pub(super) fn text<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<Placed<T>> {
        self.read(name, |_, found, _| match found {
            DeValue::String(text) => read(text).map_err(Fault::from),
            other => Err(wrong_type(other, "a text in quotes")),
        })
    }

    /// `true` or `false`; `None` only when absent without default.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.read(name, |_, found, _| match found {
            DeValue::Boolean(value) => Ok(*value),
            other => Err(wrong_type(other, "`true` or `false`")),
        })
        .map(|placed| placed.value)
    }

    /// A word of the key's choice, translated.
    pub(super) fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<Placed<T>> {
        self.read(name, |_, found, _| match found {
            DeValue::String(text) => pick(text, words),
            other => Err(wrong_type(other, "a text in quotes")),
        })
    }

    /// A number, size or duration (milliseconds) in the range of the reference, with its place.
    pub(super) fn amount(&self, name: &str) -> Placed<u64> {
        self.given_amount(name).unwrap_or_else(|| Placed { value: 0, span: self.span.clone(), explicit: false })
    }

    /// The same; `None`: it is required and absent (reported), or absent and has no default.
    pub(super) fn given_amount(&self, name: &str) -> Option<Placed<u64>> {
        self.read(name, |key, found, _| match key.kind {
            Kind::Integer(bounds) => within(whole_number(found)?, bounds),
            Kind::Size(bounds) => within(size(found)?, bounds),
            Kind::Duration(bounds) => within(duration(found)?, bounds),
            _ => Err(wrong_type(found, "something else")),
        })
    }

    /// A number or size.
    pub(super) fn count(&self, name: &str) -> usize {
        usize::try_from(self.amount(name).value).unwrap_or(usize::MAX)
    }

    /// A number that fits 32 bits by its range.
    pub(super) fn count32(&self, name: &str) -> u32 {
        u32::try_from(self.amount(name).value).unwrap_or(u32::MAX)
    }

    /// A duration.
    pub(super) fn duration(&self, name: &str) -> Duration {
        value::to_duration(self.amount(name).value)
    }

    /// A limit that must not be above another one of the table. As a default it follows the other one down.
    pub(super) fn count_up_to(&self, name: &str, limit: &str) -> usize {
        let (part, whole) = (self.amount(name), self.amount(limit));
        if part.value > whole.value
            && part.explicit
            && let Some(key) = self.key(name)
        {
            let help = format!("lower it to {} or raise `{limit}`", whole.value);
            let mut error = self
                .ledger
                .error(key.path, format!("it is above `{limit}`, so it would never be reached"))
                .at(&part.span, format!("more than {}", whole.value))
                .help(help);
            if whole.explicit {
                error = error.and(&whole.span, format!("`{limit}`"));
            }
            self.ledger.report(error);
        }
        usize::try_from(part.value.min(whole.value)).unwrap_or(usize::MAX)
    }

    fn report_shape(&self, key: &'static Key, found: &DeValue<'_>, span: &Span, wanted: &str, help: &str) {
        let fault = wrong_type(found, wanted);
        self.ledger.report(self.ledger.error(key.path, fault.what).at(span, "").help(help));
    }

    fn report_fault(&self, key: &'static Key, span: &Span, fault: Fault) {
        if fault.what.is_empty() {
            return;
        }
        let mut error = self
            .ledger
            .error(key.path, fault.what)
            .at(span, format!("found {}", self.quote(span)))
            .note(format!("allowed: {}", key.kind.allowed()));
        if let Some(meant) = fault.meant {
            error = error.help(format!("did you mean `{meant}`?"));
        }
        self.ledger.report(error);
    }

    /// The piece of the file, on one line and not too long.
    fn quote(&self, span: &Span) -> String {
        let text = self.ledger.source.text.get(span.clone()).unwrap_or("");
        let line = text.lines().next().unwrap_or("");
        let short: String = line.chars().take(MAX_QUOTE).collect();
        let cut = short.len() < text.len();
        format!("`{short}{}`", if cut { "…" } else { "" })
    }

    fn report_unknown_keys(&self) {
        let Some(table) = self.table else { return };
        for (name, value) in table.iter() {
            if reference::keys_of(self.path).any(|key| key.last() == name.get_ref()) {
                continue;
            }
            let path = if self.path.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{}.{}", self.path, name.get_ref())
            };
            let place =
                if self.path.is_empty() { "at the top of the file".to_owned() } else { format!("in `{}`", self.path) };
            let mut error = self
                .ledger
                .error(&path, format!("there is no such key {place}"))
                .at(&spot(name.span(), value), "unknown key");
            let known: Vec<&str> = reference::keys_of(self.path).map(Key::last).collect();
            if let Some(near) = nearest(name.get_ref(), known.iter().copied()) {
                error = error.help(format!("did you mean `{near}`?"));
            } else if let Some(elsewhere) = reference::keys().find(|key| key.last() == name.get_ref().as_ref()) {
                error = error.help(format!("`{}` is known; it may stand in the wrong table", elsewhere.path));
            }
            self.ledger.report(error.note(format!("allowed {place}: {}", known.join(", "))));
        }
    }
}

/// The place of a key; the parser gives keys of headers no place of their own in some shapes, then it is the value's.
fn spot(key: Span, value: &Spanned<DeValue<'_>>) -> Span {
    if key.is_empty() { value.span() } else { key }
}
