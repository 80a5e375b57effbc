//! `ctl:`, `setvar:` and the other actions whose values have a grammar of their own.

use std::sync::Arc;

use super::directives::{engine, id_ranges, on_off, text_match};
use crate::body::Processor;
use crate::error::Mistake;
use crate::rule::{Change, Control, Late, Name, SetVar, Which};
use crate::text::Text;
use crate::variable::{Entry, Variable};

/// Reads the value of `ctl`.
pub(super) fn control(text: &str) -> Result<Control, Mistake> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Mistake::new(text, "ctl has a name and a value").allowed("ctl:ruleEngine=Off"))?;
    let value = value.trim();
    Ok(match name.trim().to_ascii_lowercase().as_str() {
        "ruleengine" => Control::Engine(engine(value)?),
        "requestbodyprocessor" => Control::BodyProcessor(match value.to_ascii_uppercase().as_str() {
            "URLENCODED" => Processor::UrlEncoded,
            "MULTIPART" => Processor::Multipart,
            "JSON" => Processor::Json,
            "XML" => Processor::Xml,
            _ => {
                return Err(Mistake::new(value, "unknown body processor").allowed("URLENCODED, MULTIPART, JSON or XML"));
            }
        }),
        "forcerequestbodyvariable" => Control::ForceRequestBody(on_off(value)?),
        "requestbodyaccess" => Control::RequestBodyAccess(on_off(value)?),
        "responsebodyaccess" => Control::ResponseBodyAccess(on_off(value)?),
        "ruleremovebyid" => Control::Remove(single(id_ranges(value)?, value)?),
        "ruleremovebytag" => Control::Remove(Which::Tag(text_match(value)?)),
        "ruleremovebymsg" => Control::Remove(Which::Message(text_match(value)?)),
        "ruleremovetargetbyid" => target(value, |which| single(id_ranges(which)?, which))?,
        "ruleremovetargetbytag" => target(value, |which| Ok(Which::Tag(text_match(which)?)))?,
        "ruleremovetargetbymsg" => target(value, |which| Ok(Which::Message(text_match(which)?)))?,
        "auditengine" | "auditlogparts" | "debugloglevel" | "hashengine" | "hashenforcement" | "requestbodylimit"
        | "responsebodylimit" => Control::Nothing,
        _ => {
            return Err(Mistake::new(name, "unknown ctl").allowed(
                "ruleEngine, requestBodyProcessor, forceRequestBodyVariable, requestBodyAccess, responseBodyAccess, ruleRemoveById/ByTag/ByMsg, \
                 ruleRemoveTargetById/ByTag/ByMsg, auditEngine, auditLogParts",
            ));
        }
    })
}

fn single(mut list: Vec<Which>, text: &str) -> Result<Which, Mistake> {
    match (list.pop(), list.is_empty()) {
        (Some(which), true) => Ok(which),
        _ => Err(Mistake::new(text, "one rule number or one range is expected")),
    }
}

fn target(text: &str, which: impl Fn(&str) -> Result<Which, Mistake>) -> Result<Control, Mistake> {
    let (rules, target) = text
        .split_once(';')
        .ok_or_else(|| Mistake::new(text, "the variable is missing").allowed("942100;ARGS:password"))?;
    Ok(Control::RemoveTarget(which(rules.trim())?, Arc::new(Entry::parse(target.trim())?.target)))
}

/// Reads the value of `setvar`: `tx.a=1`, `tx.a=+%{tx.b}`, `tx.a=-1`, `!tx.a`, `tx.a`.
pub(super) fn setvar(text: &str) -> Result<SetVar, Mistake> {
    let (rest, unset) = text.strip_prefix('!').map_or((text, false), |rest| (rest, true));
    let (left, value) = rest.split_once('=').map_or((rest, None), |(left, value)| (left, Some(value)));
    let (collection, name) = named(left)?;
    let change = match value {
        _ if unset => Change::Unset,
        None => Change::Set(Text::parse("1")?),
        Some(value) => match (value.strip_prefix('+'), value.strip_prefix('-')) {
            (Some(amount), _) => Change::Add(Text::parse(amount)?),
            (_, Some(amount)) => Change::Subtract(Text::parse(amount)?),
            _ => Change::Set(Text::parse(value)?),
        },
    };
    Ok(SetVar { collection, name, change })
}

/// Reads `tx.name`, `ip.name`; the name may hold macros.
fn named(text: &str) -> Result<(Variable, Name), Mistake> {
    let wrong = || {
        Mistake::new(text, "a variable that can be written is expected")
            .allowed("tx.name, ip.name, global.name, session.name, user.name, resource.name")
    };
    let (collection, name) = text.trim().split_once(['.', ':']).ok_or_else(wrong)?;
    if name.is_empty() {
        return Err(wrong());
    }
    Ok((collection_of(collection).ok_or_else(wrong)?, Name::Text(Text::parse(name)?)))
}

fn collection_of(text: &str) -> Option<Variable> {
    match text.to_ascii_lowercase().as_str() {
        "tx" => Some(Variable::Tx),
        "ip" => Some(Variable::Ip),
        "global" => Some(Variable::Global),
        "session" => Some(Variable::Session),
        "user" => Some(Variable::User),
        "resource" => Some(Variable::Resource),
        _ => None,
    }
}

/// Reads `ip=%{remote_addr}`.
pub(super) fn initcol(text: &str) -> Result<Late, Mistake> {
    let wrong = || Mistake::new(text, "initcol has a collection and a key").allowed("initcol:ip=%{remote_addr}");
    let (collection, key) = text.split_once('=').ok_or_else(wrong)?;
    let collection = collection_of(collection.trim()).filter(|collection| collection.persistent()).ok_or_else(wrong)?;
    Ok(Late::InitCollection { collection, key: Text::parse(key.trim())? })
}

/// Reads `ip.counter=60`.
pub(super) fn expirevar(text: &str) -> Result<Late, Mistake> {
    let wrong = || Mistake::new(text, "expirevar has a variable and seconds").allowed("expirevar:'ip.counter=60'");
    let (left, seconds) = text.split_once('=').ok_or_else(wrong)?;
    let (collection, name) = named(left)?;
    Ok(Late::Expire { collection, name, seconds: Text::parse(seconds.trim())? })
}

/// Reads `session.score=60/300`.
pub(super) fn deprecatevar(text: &str) -> Result<Late, Mistake> {
    let wrong = || {
        Mistake::new(text, "deprecatevar has a variable, an amount and seconds")
            .allowed("deprecatevar:'session.score=60/300'")
    };
    let (left, rate) = text.split_once('=').ok_or_else(wrong)?;
    let (amount, seconds) = rate.split_once('/').ok_or_else(wrong)?;
    let (collection, name) = named(left)?;
    let seconds: u64 = seconds.trim().parse().map_err(|_| wrong())?;
    Ok(Late::Deprecate {
        collection,
        name,
        amount: amount.trim().parse().map_err(|_| wrong())?,
        seconds: seconds.max(1),
    })
}
