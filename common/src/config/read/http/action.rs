//! What a route leads to: exactly one of `pool`, `split`, `redirect`, `respond` and `status`.

use super::answers::media_type;
use super::redirect_template;
use crate::config::checked::{Redirect, RedirectTo, Respond, RespondBody, RouteTarget, Split, SplitBy};
use crate::config::diagnostic::Span;
use crate::config::ledger::Names;
use crate::config::read::reference;
use crate::config::read::terminator::noted_file;
use crate::config::reference::{Key, Kind};
use crate::config::scalar::{Fault, whole_number, within, wrong_type};
use crate::config::tree::{Placed, Section};
use crate::config::value;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeValue;

/// Longest body of a fixed answer that stands in the configuration, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Most pools of one split.
const MAX_SHARES: usize = 64;
const KEYS: [&str; 5] = ["pool", "split", "redirect", "respond", "status"];

/// An action, and where it names pools.
pub(super) struct Action {
    pub(super) target: RouteTarget,
    pub(super) pools: Vec<(Arc<str>, Span)>,
}

impl From<RouteTarget> for Action {
    fn from(target: RouteTarget) -> Self {
        Action { target, pools: Vec::new() }
    }
}

pub(super) fn action(section: &Section<'_>, base: &Path, captures: bool) -> Option<Action> {
    let pool = reference(section, "pool", Names::Pools);
    let split = split(section);
    let redirect = redirect(section, captures);
    let respond = respond(section, base);
    let status =
        section.has("status").then(|| section.amount("status")).and_then(|status| u16::try_from(status.value).ok());
    let _ = section.key("status");
    exactly_one(section);
    match (pool, split, redirect, respond, status) {
        (Some(pool), ..) => {
            let target = RouteTarget::Pool(Arc::clone(&pool.value));
            Some(Action { target, pools: vec![(pool.value, pool.span)] })
        }
        (_, Some(split), ..) => Some(split),
        (_, _, Some(redirect), ..) => Some(RouteTarget::Redirect(redirect).into()),
        (_, _, _, Some(respond), _) => Some(RouteTarget::Respond(respond).into()),
        (.., Some(status)) => Some(RouteTarget::Status(status).into()),
        _ => None,
    }
}

fn exactly_one(section: &Section<'_>) {
    let given: Vec<&str> = KEYS.into_iter().filter(|key| section.has(key)).collect();
    let help = "give exactly one of `pool`, `split`, `redirect`, `respond` and `status`";
    let error = match given.as_slice() {
        [_] => return,
        [] => section
            .ledger
            .error("http-filter.route", "the route does not say what happens")
            .at(&section.span, "in this route"),
        [first, second, ..] => section
            .ledger
            .error("http-filter.route", format!("`{first}` and `{second}` exclude each other"))
            .at(&section.span_of(second), format!("`{second}`"))
            .and(&section.span_of(first), format!("`{first}`")),
    };
    section.ledger.report(error.help(help));
}

fn split(section: &Section<'_>) -> Option<Action> {
    let by = section.text("split_by", split_by)?;
    let shares = section.list("split", |key, found, span| {
        let DeValue::Table(table) = found else {
            return Err(wrong_type(found, "a table (`{ pool = \"POOL\", weight = 9 }`)"));
        };
        let inline = Section::inline(section.ledger, table, key, span);
        let pool = reference(&inline, "pool", Names::Pools);
        let weight = inline.count32("weight");
        pool.map(|pool| (pool, weight)).ok_or_else(Fault::already_reported)
    })?;
    let complain = |what: String| {
        let error = section.ledger.error("http-filter.route.split", what);
        section.ledger.report(error.at(&section.span_of("split"), "here"));
    };
    if shares.len() > MAX_SHARES {
        complain(format!("more than {MAX_SHARES} pools"));
    }
    if !shares.is_empty() && shares.iter().all(|share| share.value.1 == 0) {
        complain("no pool has a weight above 0, so nobody would serve".to_owned());
    }
    let pools = shares.iter().map(|share| (Arc::clone(&share.value.0.value), share.value.0.span.clone())).collect();
    let shares = shares.into_iter().map(|share| (share.value.0.value, share.value.1)).collect();
    Some(Action { target: RouteTarget::Split(Split { shares, by: by.value }), pools })
}

fn split_by(text: &str) -> Result<SplitBy, String> {
    let named = |name: &str, what| {
        if name.is_empty() || name.len() > 256 || !name.bytes().all(value::is_token_byte) {
            return Err(format!("{name:?} is not the name of a {what}"));
        }
        Ok(Arc::<str>::from(name))
    };
    match text.split_once(':') {
        None if text == "random" => Ok(SplitBy::Random),
        None if text == "client" => Ok(SplitBy::Client),
        Some(("header", name)) => named(&name.to_ascii_lowercase(), "header field").map(SplitBy::Header),
        Some(("cookie", name)) => named(name, "cookie").map(SplitBy::Cookie),
        _ => Err(format!("`{text}` is not a way to split")),
    }
}

fn redirect(section: &Section<'_>, captures: bool) -> Option<Redirect> {
    let read = section.read("redirect", |key, found, span| match found {
        DeValue::String(text) => Ok(made(redirect_template::read(text, captures)?, None)),
        DeValue::Table(table) => {
            let inline = Section::inline(section.ledger, table, key, span);
            let to = inline.text("to", |text| redirect_template::read(text, captures));
            let status = inline.read("status", |key, found, _| redirect_status(key, found));
            to.map(|to| made(to.value, status)).ok_or_else(Fault::already_reported)
        }
        other => Err(wrong_type(other, "a text or a table")),
    });
    read.map(|placed| placed.value)
}

fn made(to: RedirectTo, status: Option<Placed<u16>>) -> Redirect {
    let preset = if to == RedirectTo::Https { 308 } else { 302 };
    Redirect { to, status: status.map_or(preset, |placed| placed.value) }
}

fn redirect_status(key: &'static Key, found: &DeValue<'_>) -> Result<u16, Fault> {
    let status = match key.kind {
        Kind::Integer(bounds) => within(whole_number(found)?, bounds)?,
        _ => whole_number(found)?,
    };
    match u16::try_from(status) {
        Ok(status @ (301 | 302 | 303 | 307 | 308)) => Ok(status),
        _ => Err(format!("{status} does not redirect").into()),
    }
}

fn respond(section: &Section<'_>, base: &Path) -> Option<Respond> {
    let read = section.read("respond", |key, found, span| match found {
        DeValue::Table(table) => respond_table(&Section::inline(section.ledger, table, key, span), base),
        other => Err(wrong_type(other, "a table (`{ body = \"text\" }`)")),
    });
    read.map(|placed| placed.value)
}

fn respond_table(inline: &Section<'_>, base: &Path) -> Result<Respond, Fault> {
    let status = u16::try_from(inline.amount("status").value).unwrap_or(200);
    let body = inline.text("body", |text| match text.len() {
        0..=MAX_BODY => Ok(Arc::<str>::from(text)),
        _ => Err(format!("it is longer than {MAX_BODY} bytes; write it into a file and name that with `file`")),
    });
    let file = noted_file(inline, "file", base);
    let content_type = inline.text("content_type", media_type);
    if body.is_some() && file.is_some() {
        return Err("`body` and `file` exclude each other".to_owned().into());
    }
    if matches!(status, 204 | 205 | 304) && (body.is_some() || file.is_some()) {
        return Err(format!("an answer with status {status} has no body (RFC 9110 §15)").into());
    }
    let body = match (file, body) {
        (Some(file), _) => RespondBody::File(file),
        (None, body) => RespondBody::Text(body.map(|placed| placed.value).unwrap_or_default()),
    };
    let content_type = content_type.ok_or_else(Fault::already_reported)?.value;
    Ok(Respond { status, body, content_type })
}
