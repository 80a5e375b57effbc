//! Redirects (RFC 9110 §15.4). The origin of a target is written in the configuration, `${host}` at most comes from the request and has been
//! read as a host; path and query are made apart from it and normalised. So no request can make an open redirect or a second header.

use bytes::Bytes;
use common::config::template::{Part, Placeholder, Template};
use common::config::{self, Conditions, RedirectTo};
use common_http::host::{Authority, write_authority};
use http::header::{HeaderValue, LOCATION};
use http::uri::PathAndQuery;
use http::{Response, StatusCode};
use regex::Regex;

use crate::rewriting::Values;
use crate::rewriting::path::{captures_exist, compile, target};

/// A redirect, ready to be followed.
#[derive(Debug)]
pub struct Redirection {
    status: StatusCode,
    to: RedirectTo,
    /// Whose captures the target may ask for.
    regex: Option<Regex>,
}

/// Why there is no redirect for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRedirect {
    /// The request names no host.
    NoHost,
    /// The outcome is no valid target.
    NoTarget,
    /// The outcome is the request itself.
    Loop,
}

impl Redirection {
    /// From the configuration.
    ///
    /// # Errors
    /// The target asks for captures that `path_regex` does not surely bring.
    pub fn new(own: &config::Redirect, conditions: &Conditions) -> Result<Self, String> {
        let status = StatusCode::from_u16(own.status).map_err(|error| error.to_string())?;
        let mut regex = None;
        if let RedirectTo::Template(template) = &own.to
            && template.target.captures().next().is_some()
        {
            let ([only], []) = (&*conditions.path_regex, &*conditions.paths) else {
                return Err("captures in `redirect` need exactly one `path_regex`, and no `paths` beside it".to_owned());
            };
            let compiled = compile(only.as_str()).and_then(|regex| {
                captures_exist(&regex, &template.target)?;
                Ok(regex)
            });
            let compiled =
                compiled.map_err(|what| only.fault(0..only.as_str().len(), what, "this expression").to_string())?;
            regex = Some(compiled);
        }
        Ok(Self { status, to: own.to.clone(), regex })
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to a request.
    ///
    /// # Errors
    /// There is none, and why.
    pub fn respond(&self, values: &Values<'_>) -> Result<Response<Bytes>, NoRedirect> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, self.location(values)?);
        Ok(response)
    }

    /// The target for a request.
    ///
    /// # Errors
    /// There is none, and why.
    pub fn location(&self, values: &Values<'_>) -> Result<HeaderValue, NoRedirect> {
        let (origin, path, fragment) = match &self.to {
            RedirectTo::Https => {
                let path = target(values.path, values.query).map_err(|_| NoRedirect::NoTarget)?;
                (Some(("https", host(values, None)?)), path, None)
            }
            RedirectTo::Template(own) => {
                let captures = self.regex.as_ref().and_then(|regex| regex.captures(values.path));
                let (path, query) = values.target(&own.target, captures.as_ref());
                let path = if path.is_empty() { "/" } else { &path };
                let path = target(path, query.as_deref()).map_err(|_| NoRedirect::NoTarget)?;
                let origin = own.origin.as_ref();
                let origin = origin.map(|(scheme, authority)| Ok((&**scheme, host(values, Some(authority))?)));
                (origin.transpose()?, path, own.fragment.as_deref())
            }
        };
        // Whoever is sent elsewhere with another method (POST, then 303) may well come back to the same place.
        let same_method = matches!(values.method, "GET" | "HEAD") || matches!(self.status.as_u16(), 307 | 308);
        if same_method && leads_back(values, origin.as_ref().map(|(scheme, host)| (*scheme, host.as_str())), &path) {
            return Err(NoRedirect::Loop);
        }
        let mut text = origin.map_or_else(String::new, |(scheme, host)| format!("{scheme}://{host}"));
        push_encoded(&mut text, path.as_str());
        if let Some(fragment) = fragment {
            text.push('#');
            push_encoded(&mut text, fragment);
        }
        HeaderValue::try_from(text).map_err(|_| NoRedirect::NoTarget)
    }
}

/// The authority of a target, checked once it is filled in.
fn host(values: &Values<'_>, template: Option<&Template>) -> Result<String, NoRedirect> {
    let own = || match values.host {
        "" => Err(NoRedirect::NoHost),
        host => Ok(write_authority(host, None)),
    };
    let Some(template) = template else { return own() };
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Text(piece) => text.push_str(piece),
            Part::Fact(Placeholder::Host) => text.push_str(&own()?),
            _ => return Err(NoRedirect::NoTarget),
        }
    }
    Authority::parse(text.as_bytes()).map_err(|_| NoRedirect::NoTarget)?;
    Ok(text)
}

/// Whether the target is the request itself.
fn leads_back(values: &Values<'_>, origin: Option<(&str, &str)>, path: &PathAndQuery) -> bool {
    if path.path() != values.path || path.query() != values.query.filter(|query| !query.is_empty()) {
        return false;
    }
    let Some((scheme, authority)) = origin else { return true };
    let Ok(authority) = Authority::parse(authority.as_bytes()) else { return false };
    let port = if values.secure { 443 } else { 80 };
    scheme == values.scheme()
        && authority.host() == values.host
        && authority.port.unwrap_or(port) == values.port.unwrap_or(port)
}

/// What is no character of a URI (RFC 3986 §2) is encoded.
fn push_encoded(out: &mut String, text: &str) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // to a String: cannot fail
        }
    }
}
