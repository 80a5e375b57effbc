//! Header rules: set, add, remove, in their order. Values with placeholders are filled while the request is still whole and put in place
//! when the message they are for is there.

use common::config::HeaderRule;
use common::config::template::Template;
use common_http::host::Authority;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::values::Values;

/// Rules of one place, ready to be done.
#[derive(Debug, Default)]
pub struct HeaderRules {
    changes: Box<[Change]>,
    templates: bool,
}

#[derive(Debug)]
enum Change {
    Set(HeaderName, Value),
    Add(HeaderName, Value),
    Remove(HeaderName),
}

#[derive(Debug)]
enum Value {
    Fixed(Option<HeaderValue>),
    Template(Template),
}

/// The values of the placeholders of one request, in the order of the rules; nothing where there are none.
#[derive(Debug, Default)]
pub struct Filled(Vec<Option<HeaderValue>>);

impl HeaderRules {
    /// From the configuration.
    ///
    /// # Errors
    /// A name or value that no field can have.
    pub fn new(rules: &[HeaderRule]) -> Result<Self, String> {
        let changes = rules.iter().map(change).collect::<Result<Box<[_]>, _>>()?;
        let templates = changes
            .iter()
            .any(|change| matches!(change, Change::Set(_, Value::Template(_)) | Change::Add(_, Value::Template(_))));
        Ok(Self { changes, templates })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Fills placeholders. Costs nothing where there are none.
    pub fn fill(&self, values: &Values<'_>) -> Filled {
        if !self.templates {
            return Filled::default();
        }
        let templates = self.changes.iter().filter_map(|change| match change {
            Change::Set(_, Value::Template(template)) | Change::Add(_, Value::Template(template)) => Some(template),
            _ => None,
        });
        Filled(templates.map(|template| values.header(template)).collect())
    }

    /// Does all changes. A field that is set to nothing is taken off: what somebody else wrote into it must not stay.
    pub fn apply(&self, headers: &mut HeaderMap, filled: Filled) {
        let mut filled = filled.0.into_iter();
        let mut value = |own: &Value| match own {
            Value::Fixed(value) => value.clone(),
            Value::Template(_) => filled.next().flatten(),
        };
        for change in &self.changes {
            match change {
                Change::Set(name, own) => match value(own) {
                    Some(value) => drop(headers.insert(name, value)),
                    None => drop(headers.remove(name)),
                },
                Change::Add(name, own) => {
                    if let Some(value) = value(own) {
                        headers.append(name, value);
                    }
                }
                Change::Remove(name) => drop(headers.remove(name)),
            }
        }
    }
}

fn change(rule: &HeaderRule) -> Result<Change, String> {
    let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no field name"));
    match rule {
        HeaderRule::Set(field, template) => {
            let field = name(field)?;
            if field == header::HOST {
                let host = template.literal().filter(|host| Authority::parse(host.as_bytes()).is_ok());
                host.ok_or_else(|| format!("`{template}` is no host (a value for `host` has no placeholders)"))?;
            }
            Ok(Change::Set(field, value(template)?))
        }
        HeaderRule::Add(field, _) | HeaderRule::Remove(field) if **field == *"host" => {
            Err("a request has exactly one `host`; it can be set".to_owned())
        }
        HeaderRule::Add(field, template) => Ok(Change::Add(name(field)?, value(template)?)),
        HeaderRule::Remove(field) => Ok(Change::Remove(name(field)?)),
    }
}

fn value(template: &Template) -> Result<Value, String> {
    match template.literal() {
        Some("") => Ok(Value::Fixed(None)),
        Some(text) => {
            let value = HeaderValue::try_from(text).map_err(|_| format!("`{text}` is no value of a field"))?;
            Ok(Value::Fixed(Some(value)))
        }
        None => Ok(Value::Template(template.clone())),
    }
}
