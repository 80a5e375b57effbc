//! `SecRule`, `SecAction`, `SecDefaultAction`: from lists of words to a [`Rule`].

use std::sync::Arc;

use super::{Defaults, Item, Loader, control};
use crate::error::Mistake;
use crate::operator::Operator;
use crate::parse::actions::{self, Word};
use crate::parse::targets;
use crate::rule::{Allow, Disruptive, Late, Phase, Place, Rule};
use crate::text::Text;
use crate::transform::Transform;
use crate::variable::Entry;

/// Names of severities, from the gravest.
const SEVERITIES: [&str; 8] = ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// What a list of actions says, before it is known where the rule stands.
#[derive(Default)]
struct Draft {
    id: Option<u64>,
    phase: Option<Phase>,
    chain: bool,
    disruptive: Option<Act>,
    status: Option<u16>,
    log: Option<bool>,
    capture: bool,
    multi_match: bool,
    /// `None`: none named; with `t:none` the phase's own are dropped.
    transforms: Vec<Transform>,
    none: bool,
    message: Option<(String, Text)>,
    log_data: Option<Text>,
    tags: Vec<Arc<str>>,
    severity: Option<u8>,
    setvars: Vec<crate::rule::SetVar>,
    late: Vec<Late>,
}

/// A disruptive action as written.
enum Act {
    Pass,
    Block,
    Deny,
    Drop,
    Redirect(Text),
    Allow(Allow),
}

impl Loader<'_> {
    /// A rule, or the next link of an open chain. `what` is `None` for `SecAction`.
    pub(super) fn rule(&mut self, what: Option<(&String, &String)>, list: &str) -> Result<(), Mistake> {
        let in_chain = std::mem::replace(&mut self.open_chain, false);
        let draft = Draft::read(&actions::split(list)?);
        // A rule that is wrong must not leave its chain's next rule to be taken for a rule of its own.
        self.open_chain = draft.as_ref().map_or(list.contains("chain"), |draft| draft.chain);
        let draft = draft?;
        let (mut wanted, mut excluded) = (Vec::new(), Vec::new());
        let (operator, negated) = match what {
            None => (Operator::Always, false),
            Some((variables, operator)) => {
                for text in targets::split(variables) {
                    let entry = Entry::parse(&text)?;
                    if entry.negated { excluded.push(entry.target) } else { wanted.push(entry.target) }
                }
                if wanted.is_empty() {
                    return Err(Mistake::new(variables, "the rule looks at no variable"));
                }
                self.operator(operator)?
            }
        };
        let head = if in_chain { self.last_head() } else { None };
        let phase = head.as_ref().map(|rule| rule.phase).or(draft.phase).unwrap_or(Phase::RequestBody);
        if in_chain {
            draft.fit_for_a_link()?;
        }
        let place = Place { file: Arc::clone(&self.file), line: self.line };
        let defaults = self.defaults.get(phase.index()).cloned().unwrap_or_default();
        if !in_chain {
            self.number(draft.id)?;
        }
        let mut rule = draft.rule(place, phase, &defaults, in_chain);
        rule.targets = wanted;
        rule.excluded = excluded;
        rule.operator = Arc::new(operator);
        rule.negated = negated;
        if in_chain {
            match self.last_head() {
                Some(head) => append(head, rule),
                None => return Err(Mistake::new(list, "the first rule of this chain is wrong")),
            }
        } else {
            self.items.push(Item::Rule(Box::new(rule)));
        }
        Ok(())
    }

    fn last_head(&mut self) -> Option<&mut Rule> {
        match self.items.last_mut() {
            Some(Item::Rule(rule)) => Some(rule),
            _ => None,
        }
    }

    fn number(&mut self, id: Option<u64>) -> Result<(), Mistake> {
        let id = id.ok_or_else(|| {
            Mistake::new("", "the rule has no id")
                .allowed("every rule but the later links of a chain needs `id:` and a number of its own")
        })?;
        let line = self.line;
        match self.ids.insert(id, line) {
            Some(before) => Err(Mistake::new(
                &id.to_string(),
                format!("another rule has this id; it was defined at line {before} of its file"),
            )),
            None => Ok(()),
        }
    }

    /// `SecDefaultAction`.
    pub(super) fn default_action(&mut self, list: &str) -> Result<(), Mistake> {
        let draft = Draft::read(&actions::split(list)?)?;
        let phase = draft.phase.ok_or_else(|| Mistake::new(list, "the phase is missing"))?;
        if draft.id.is_some()
            || draft.chain
            || draft.message.is_some()
            || !draft.late.is_empty()
            || !draft.setvars.is_empty()
        {
            return Err(Mistake::new(list, "this is not for a default")
                .allowed("phase, log, nolog, auditlog, t, status and what to do: pass, deny, drop, redirect, allow"));
        }
        let defaults = Defaults {
            disruptive: draft.act(&Defaults::default()).unwrap_or(Disruptive::Pass),
            log: draft.log.unwrap_or(true),
            transforms: draft.transforms,
        };
        if let Some(slot) = self.defaults.get_mut(phase.index()) {
            *slot = defaults;
        }
        Ok(())
    }
}

/// `SecRuleUpdateActionById`: what the list names replaces what the rule had; tags and variables are added.
pub(super) fn update_actions(rule: &mut Rule, words: &[Word]) -> Result<(), Mistake> {
    let draft = Draft::read(words)?;
    if draft.id.is_some() || draft.phase.is_some() || draft.chain {
        return Err(Mistake::new("", "id, phase and chain of a rule cannot be changed"));
    }
    if let Some(act) = draft.act(&Defaults { disruptive: Disruptive::Deny { status: 403 }, ..Defaults::default() }) {
        rule.disruptive = Some(act);
    }
    rule.log = draft.log.unwrap_or(rule.log);
    rule.capture |= draft.capture;
    rule.multi_match |= draft.multi_match;
    if draft.none {
        rule.transforms.clear();
    }
    rule.transforms.extend(draft.transforms);
    if let Some((source, text)) = draft.message {
        rule.message_source = Some(source.into());
        rule.message = Some(text);
    }
    rule.log_data = draft.log_data.or(rule.log_data.take());
    rule.severity = draft.severity.or(rule.severity);
    rule.tags.extend(draft.tags);
    rule.setvars.extend(draft.setvars);
    rule.late.extend(draft.late);
    Ok(())
}

/// Hangs a link on the end of a chain.
fn append(rule: &mut Rule, link: Rule) {
    match &mut rule.chained {
        Some(next) => append(next, link),
        slot @ None => *slot = Some(Box::new(link)),
    }
}

impl Draft {
    fn read(words: &[Word]) -> Result<Self, Mistake> {
        let mut draft = Self::default();
        for word in words {
            draft.word(&word.name, word.value.as_deref())?;
        }
        Ok(draft)
    }

    fn word(&mut self, name: &str, value: Option<&str>) -> Result<(), Mistake> {
        let lower = name.to_ascii_lowercase();
        let needed = || value.ok_or_else(|| Mistake::new(name, "the action needs a value"));
        match lower.as_str() {
            "id" => {
                let text = needed()?;
                let id = text.parse().ok().filter(|id| *id > 0);
                self.id = Some(id.ok_or_else(|| Mistake::new(text, "the id is not a number above 0"))?);
            }
            "phase" => {
                let text = needed()?;
                let phase = Phase::parse(text)
                    .ok_or_else(|| Mistake::new(text, "unknown phase").allowed("1 to 5, request, response, logging"))?;
                self.phase = Some(phase);
            }
            "chain" => self.chain = true,
            "pass" => self.disruptive = Some(Act::Pass),
            "block" => self.disruptive = Some(Act::Block),
            "deny" => self.disruptive = Some(Act::Deny),
            "drop" => self.disruptive = Some(Act::Drop),
            "redirect" => self.disruptive = Some(Act::Redirect(Text::parse(needed()?)?)),
            "allow" => self.disruptive = Some(Act::Allow(allow(value)?)),
            "status" => {
                let text = needed()?;
                let status = text.parse().ok().filter(|status| (200..600).contains(status));
                self.status = Some(status.ok_or_else(|| Mistake::new(text, "not an HTTP status"))?);
            }
            "log" => self.log = Some(true),
            "nolog" => self.log = Some(false),
            "auditlog"
            | "noauditlog"
            | "ver"
            | "rev"
            | "maturity"
            | "accuracy"
            | "xmlns"
            | "sanitisearg"
            | "sanitisematched"
            | "sanitisematchedbytes"
            | "sanitiserequestheader"
            | "sanitiseresponseheader"
            | "setenv"
            | "setuid"
            | "setsid"
            | "setrsc"
            | "pause" => {}
            "capture" => self.capture = true,
            "multimatch" => self.multi_match = true,
            "t" => self.transform(needed()?)?,
            "msg" => {
                let text = needed()?;
                self.message = Some((text.to_owned(), Text::parse(text)?));
            }
            "logdata" => self.log_data = Some(Text::parse(needed()?)?),
            "tag" => self.tags.push(Arc::from(needed()?)),
            "severity" => self.severity = Some(severity(needed()?)?),
            "setvar" => self.setvars.push(control::setvar(needed()?)?),
            "expirevar" => self.late.push(control::expirevar(needed()?)?),
            "deprecatevar" => self.late.push(control::deprecatevar(needed()?)?),
            "initcol" => self.late.push(control::initcol(needed()?)?),
            "ctl" => self.late.push(Late::Control(control::control(needed()?)?)),
            "skip" => {
                let text = needed()?;
                self.late.push(Late::Skip(text.parse().map_err(|_| Mistake::new(text, "not a number of rules"))?));
            }
            "skipafter" => self.late.push(Late::SkipAfter { marker: Arc::from(needed()?), to: 0 }),
            "exec" | "proxy" | "append" | "prepend" => {
                return Err(Mistake::new(
                    name,
                    "this action is not supported: the engine starts no programs and changes no bodies",
                ));
            }
            _ => return Err(Mistake::new(name, "unknown action").allowed(KNOWN)),
        }
        Ok(())
    }

    fn transform(&mut self, name: &str) -> Result<(), Mistake> {
        match Transform::parse(name) {
            Some(Transform::None) => {
                self.transforms.clear();
                self.none = true;
            }
            Some(transform) => self.transforms.push(transform),
            None => return Err(Mistake::new(name, "unknown transformation")),
        }
        Ok(())
    }

    /// The disruptive action with its status; `block` is what the phase's default says.
    fn act(&self, defaults: &Defaults) -> Option<Disruptive> {
        let status = |usual| self.status.unwrap_or(usual);
        Some(match self.disruptive.as_ref()? {
            Act::Pass => Disruptive::Pass,
            Act::Deny => Disruptive::Deny { status: status(403) },
            Act::Drop => Disruptive::Drop,
            Act::Redirect(to) => Disruptive::Redirect { status: status(302), to: to.clone() },
            Act::Allow(scope) => Disruptive::Allow(*scope),
            Act::Block => match &defaults.disruptive {
                Disruptive::Deny { status: usual } => Disruptive::Deny { status: status(*usual) },
                other => other.clone(),
            },
        })
    }

    /// What only the first rule of a chain may say.
    fn fit_for_a_link(&self) -> Result<(), Mistake> {
        let wrong = match () {
            () if self.id.is_some() => "id",
            () if self.disruptive.as_ref().is_some_and(|act| !matches!(act, Act::Pass | Act::Block)) => {
                "a disruptive action"
            }
            () if self.late.iter().any(|late| matches!(late, Late::Skip(_) | Late::SkipAfter { .. })) => {
                "skip or skipAfter"
            }
            () => return Ok(()),
        };
        Err(Mistake::new(wrong, "only the first rule of a chain may have this"))
    }

    fn rule(self, place: Place, phase: Phase, defaults: &Defaults, link: bool) -> Rule {
        let disruptive =
            if link { None } else { Some(self.act(defaults).unwrap_or_else(|| defaults.disruptive.clone())) };
        let mut transforms = if self.none { Vec::new() } else { defaults.transforms.clone() };
        transforms.extend(self.transforms);
        let (message_source, message) =
            self.message.map_or((None, None), |(source, text)| (Some(source.into_boxed_str()), Some(text)));
        Rule {
            id: self.id.unwrap_or(0),
            place,
            phase,
            targets: Vec::new(),
            excluded: Vec::new(),
            transforms,
            operator: Arc::new(Operator::Always),
            negated: false,
            capture: self.capture,
            multi_match: self.multi_match,
            setvars: self.setvars,
            late: self.late,
            disruptive,
            log: self.log.unwrap_or(defaults.log),
            message,
            message_source,
            log_data: self.log_data,
            tags: self.tags,
            severity: self.severity,
            chained: None,
        }
    }
}

/// For error messages.
const KNOWN: &str = "known are: id phase chain pass block deny drop redirect allow status log nolog auditlog noauditlog ver rev maturity accuracy \
                     capture multiMatch t msg logdata tag severity setvar expirevar deprecatevar initcol ctl skip skipAfter";

fn allow(value: Option<&str>) -> Result<Allow, Mistake> {
    match value {
        None => Ok(Allow::All),
        Some(text) if text.eq_ignore_ascii_case("phase") => Ok(Allow::Phase),
        Some(text) if text.eq_ignore_ascii_case("request") => Ok(Allow::Request),
        Some(text) => Err(Mistake::new(text, "unknown scope of allow").allowed("allow, allow:phase or allow:request")),
    }
}

fn severity(text: &str) -> Result<u8, Mistake> {
    let named =
        SEVERITIES.iter().position(|name| name.eq_ignore_ascii_case(text)).and_then(|number| u8::try_from(number).ok());
    named.or_else(|| text.parse().ok().filter(|number| *number < 8)).ok_or_else(|| {
        Mistake::new(text, "unknown severity")
            .allowed("0 to 7, or EMERGENCY ALERT CRITICAL ERROR WARNING NOTICE INFO DEBUG")
    })
}
