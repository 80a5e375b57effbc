//! `[http-filter.web-attacks]`, its scopes and exclusions. Rule files are noted only where rules run at all; what is in them judges
//! the rule engine.

use crate::config::checked::{OverLimit, RejectOrPass, WebAttackExclude, WebAttackMode, WebAttackScope, WebAttacks};
use crate::config::ledger::{NamedFile, Names};
use crate::config::read::access::{conditions, media_type};
use crate::config::read::terminator::path;
use crate::config::read::{name, report_repeated, values};
use crate::config::scalar::{Fault, whole_number, wrong_type};
use crate::config::tree::{Placed, Section};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::de::DeValue;

/// Longest tag, target, name of a parameter, and part of a name that is masked, in bytes.
const MAX_WORD: usize = 256;

const MODES: [(&str, WebAttackMode); 3] =
    [("off", WebAttackMode::Off), ("detect", WebAttackMode::Detect), ("block", WebAttackMode::Block)];
const OVER_LIMIT: [(&str, OverLimit); 3] =
    [("reject", OverLimit::Reject), ("inspect-part", OverLimit::InspectPart), ("skip", OverLimit::Skip)];
const REJECT_OR_PASS: [(&str, RejectOrPass); 2] = [("reject", RejectOrPass::Reject), ("pass", RejectOrPass::Pass)];

pub(super) fn web_attacks(section: &Section<'_>, base: &Path) -> WebAttacks {
    let mode = section.choice("mode", &MODES);
    let (rules, shadow) = (patterns(section, "rules", base), patterns(section, "shadow", base));
    let max_held = section.amount("max_held").value;
    let scopes = section.tables("scope").iter().filter_map(|inner| scope(inner, max_held)).collect();
    let reject_or_pass =
        |key: &str| section.choice(key, &REJECT_OR_PASS).map_or(RejectOrPass::Reject, |placed| placed.value);
    let unread_types = section.texts("unread_types", media_type).unwrap_or_default();
    let mask = section.texts("mask", |text| word(text, "part of a name").map(|word| word.to_ascii_lowercase().into()));
    let attacks = WebAttacks {
        mode: mode.as_ref().map_or(WebAttackMode::Off, |placed| placed.value),
        paranoia: paranoia(section).unwrap_or(1),
        inbound_threshold: section.count32("inbound_threshold"),
        outbound_threshold: section.count32("outbound_threshold"),
        early_blocking: section.flag("early_blocking").unwrap_or_default(),
        max_body: section.count_up_to("max_body", "max_held"),
        over_limit: section.choice("over_limit", &OVER_LIMIT).map_or(OverLimit::Reject, |placed| placed.value),
        malformed_body: reject_or_pass("malformed_body"),
        budget: section.duration("budget"),
        over_budget: reject_or_pass("over_budget"),
        max_arguments: section.count("max_arguments"),
        max_depth: section.count("max_depth"),
        max_nodes: section.count("max_nodes"),
        max_name_length: section.count("max_name_length"),
        max_value_length: section.count("max_value_length"),
        max_parts: section.count("max_parts"),
        inline_body: section.count("inline_body"),
        threads: section.count("threads"),
        max_waiting: section.count("max_waiting"),
        max_held,
        unread_types: values(unread_types),
        responses: section.flag("responses").unwrap_or_default(),
        max_response_body: section.count("max_response_body"),
        collections: section.count("collections"),
        mask: values(mask.unwrap_or_default()),
        rules: rules.iter().map(|placed| placed.value.clone()).collect(),
        shadow: shadow.iter().map(|placed| placed.value.clone()).collect(),
        scopes,
        excludes: section.tables("exclude").iter().filter_map(exclude).collect(),
    };
    if attacks.is_on() {
        note(section, "rules", &rules);
        note(section, "shadow", &shadow);
    } else if !section.has("mode") {
        warn_idle(section);
    }
    attacks
}

/// Patterns of files, from the directory of the configuration.
fn patterns(section: &Section<'_>, key_name: &str, base: &Path) -> Vec<Placed<PathBuf>> {
    let patterns = section.texts(key_name, |text| path(text, base)).unwrap_or_default();
    report_repeated(section, key_name, &patterns, "path");
    patterns
}

/// To be looked for and read later ([`crate::config::rule_files`]).
fn note(section: &Section<'_>, key_name: &str, patterns: &[Placed<PathBuf>]) {
    let Some(key) = section.key(key_name) else { return };
    for pattern in patterns {
        let (path, span) = (pattern.value.clone(), pattern.span.clone());
        section.ledger.files.borrow_mut().push(NamedFile { key: key.path, path, secret: false, span });
    }
}

/// Who names rules, scopes or exclusions without a mode may believe that they do something.
fn warn_idle(section: &Section<'_>) {
    let Some(given) = ["rules", "shadow", "scope", "exclude"].into_iter().find(|key| section.has(key)) else { return };
    let Some(key) = section.key("mode") else { return };
    let warning = section
        .ledger
        .warning(key.path, "it is not given and so \"off\": no rule looks at any request")
        .at(&section.span_of(given), "this has no effect")
        .help("write `mode = \"detect\"` to begin with, and `\"block\"` later; or `mode = \"off\"`");
    section.ledger.report(warning);
}

fn paranoia(section: &Section<'_>) -> Option<u8> {
    section.given_amount("paranoia").and_then(|placed| u8::try_from(placed.value).ok())
}

fn scope(section: &Section<'_>, max_held: u64) -> Option<WebAttackScope> {
    const SETTINGS: [&str; 7] =
        ["mode", "paranoia", "inbound_threshold", "outbound_threshold", "max_body", "over_limit", "responses"];
    let name = name(section, Names::WebAttackScopes);
    let threshold = |key: &str| section.given_amount(key).map(|placed| u32::try_from(placed.value).unwrap_or(u32::MAX));
    let max_body = section.given_amount("max_body");
    if let (Some(body), Some(key)) = (max_body.as_ref().filter(|body| body.value > max_held), section.key("max_body")) {
        let error = section
            .ledger
            .error(key.path, "it is above `http-filter.web-attacks.max_held`, so it would never be reached")
            .at(&body.span, format!("more than {max_held}"))
            .help("lower it, or raise `max_held` in `[http-filter.web-attacks]`");
        section.ledger.report(error);
    }
    if !SETTINGS.iter().any(|key| section.has(key)) {
        let key = section.key("mode").map_or("", |key| key.path);
        let error = section
            .ledger
            .error(key, "this scope does not say what is different in it")
            .at(&section.span, "no setting here")
            .help(format!("give one of {}", SETTINGS.map(|key| format!("`{key}`")).join(", ")));
        section.ledger.report(error);
    }
    let scope = WebAttackScope {
        name: Arc::from(""),
        line: section.ledger.line_of(&section.span),
        conditions: conditions(section),
        mode: section.choice("mode", &MODES).map(|placed| placed.value),
        paranoia: paranoia(section),
        inbound_threshold: threshold("inbound_threshold"),
        outbound_threshold: threshold("outbound_threshold"),
        max_body: max_body.map(|placed| usize::try_from(placed.value).unwrap_or(usize::MAX)),
        over_limit: section.choice("over_limit", &OVER_LIMIT).map(|placed| placed.value),
        responses: section.flag("responses"),
    };
    Some(WebAttackScope { name: name?.value, ..scope })
}

fn exclude(section: &Section<'_>) -> Option<WebAttackExclude> {
    const WHAT: [&str; 4] = ["rules", "tags", "targets", "arguments"];
    let name = name(section, Names::WebAttackExcludes);
    let rules = section.list("rules", |_, found, _| match found {
        DeValue::Integer(_) => whole_number(found).map(|id| id..=id),
        DeValue::String(text) => rule_range(text).map_err(Fault::from),
        other => Err(wrong_type(other, "the number of a rule, or a range in quotes")),
    });
    let words =
        |key: &str, read: fn(&str) -> Result<String, String>| values(section.texts(key, read).unwrap_or_default());
    let exclude = WebAttackExclude {
        name: Arc::from(""),
        line: section.ledger.line_of(&section.span),
        conditions: conditions(section),
        rules: values(rules.unwrap_or_default()),
        tags: words("tags", |text| word(text, "tag")),
        targets: words("targets", target),
        parameters: words("arguments", |text| word(text, "name of a parameter")),
    };
    if !WHAT.iter().any(|key| section.has(key)) {
        let key = section.key("rules").map_or("", |key| key.path);
        let error = section
            .ledger
            .error(key, "this exclusion does not say what is excluded")
            .at(&section.span, "nothing here")
            .help(format!("give one of {}", WHAT.map(|key| format!("`{key}`")).join(", ")));
        section.ledger.report(error);
    }
    Some(WebAttackExclude { name: name?.value, ..exclude })
}

/// `942100` or `942200-942299`
fn rule_range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number =
        |part: &str| part.trim().parse::<u64>().map_err(|_| format!("`{}` is not the number of a rule", part.trim()));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first)?, number(last)?) {
        (first, last) if first <= last => Ok(first..=last),
        (first, last) => Err(format!("the range `{text}` is empty; write `{last}-{first}`")),
    }
}

fn word(text: &str, what: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_WORD || text.chars().any(char::is_control) {
        return Err(format!("{text:?} is not a {what}"));
    }
    Ok(text.to_owned())
}

/// `ARGS:text`: the variable in capitals. Whether there is one of that name says the rule engine.
fn target(text: &str) -> Result<String, String> {
    let text = word(text, "target")?;
    let (variable, part) = text.split_once(':').map_or((text.as_str(), None), |(name, part)| (name, Some(part)));
    if let Some(rest) = text.strip_prefix(['!', '&']) {
        return Err(format!("what is excluded needs no sign; write `{rest}`"));
    }
    if variable.is_empty() || !variable.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
        return Err(format!(
            "`{variable}` is not a variable; write `ARGS:text`, `REQUEST_COOKIES:session` or the like"
        ));
    }
    match part {
        Some("") => Err(format!("`{text}` names nothing behind the colon; all of it would be `{variable}`")),
        Some(part) => Ok(format!("{}:{part}", variable.to_ascii_uppercase())),
        None => Ok(variable.to_ascii_uppercase()),
    }
}
