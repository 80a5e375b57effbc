//! One value of the tree, judged by itself: its type, its unit, its range. Pure.

use super::nearest::nearest;
use super::reference::Bounds;
use super::value;
use toml::de::DeValue;

/// Why one value is wrong.
pub(super) struct Fault {
    /// Sentence without full stop; empty when it was said already.
    pub(super) what: String,
    /// What was probably meant.
    pub(super) meant: Option<String>,
}

impl Fault {
    /// For a value whose parts were reported one by one: nothing more is said about it.
    pub(super) fn already_reported() -> Fault {
        Fault { what: String::new(), meant: None }
    }
}

impl From<String> for Fault {
    fn from(what: String) -> Fault {
        Fault { what, meant: None }
    }
}

/// One of the words, or a fault with the nearest one.
pub(super) fn pick<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Fault> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| Fault {
        what: format!("`{text}` is not one of the allowed words"),
        meant: nearest(text, words.iter().map(|(word, _)| *word)).map(str::to_owned),
    })
}

/// "found a …, wanted …"
pub(super) fn wrong_type(found: &DeValue<'_>, wanted: &str) -> Fault {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Fault { what: format!("this is {found}, and {wanted} is wanted"), meant: None }
}

pub(super) fn within(value: u64, bounds: Bounds) -> Result<u64, Fault> {
    if bounds.allow(value) {
        Ok(value)
    } else {
        let side = if value < bounds.min { "small" } else { "large" };
        Err(format!("the value is too {side}").into())
    }
}

/// A whole number that is not negative.
pub(super) fn whole_number(found: &DeValue<'_>) -> Result<u64, Fault> {
    match found {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).map_err(|_| {
            let what = if number.as_str().starts_with('-') {
                "a negative number is not allowed"
            } else {
                "the value is too large"
            };
            what.to_owned().into()
        }),
        other => Err(wrong_type(other, "a whole number")),
    }
}

pub(super) fn size(found: &DeValue<'_>) -> Result<u64, Fault> {
    match found {
        DeValue::String(text) => value::size(text).map_err(Fault::from),
        DeValue::Integer(_) => whole_number(found),
        other => Err(wrong_type(other, "a size (`\"64KiB\"`, or a number of bytes)")),
    }
}

pub(super) fn duration(found: &DeValue<'_>) -> Result<u64, Fault> {
    match found {
        DeValue::String(text) => value::duration_ms(text).map_err(Fault::from),
        DeValue::Integer(number) => {
            Err(Fault { what: "a duration needs a unit".to_owned(), meant: Some(format!("\"{number}s\"")) })
        }
        other => Err(wrong_type(other, "a duration in quotes (`\"5s\"`)")),
    }
}
