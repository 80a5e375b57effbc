//! Directives that change rules defined elsewhere. They are collected, and done when all rules are known: as in ModSecurity 3 it does not
//! matter whether they stand before or after the rule.

use super::directives::{id_ranges, one, text_match};
use super::{Item, Loader};
use crate::error::{LoadError, Mistake};
use crate::parse::{actions, targets};
use crate::rule::{Rule, Which};
use crate::variable::Entry;

/// What is to be done to which rules.
pub(super) struct Update {
    which: Which,
    change: Change,
    /// For what turns out wrong only when it is done.
    place: LoadError,
}

enum Change {
    Remove,
    Targets(Vec<Entry>),
    Actions(Vec<actions::Word>),
}

impl Loader<'_> {
    /// `SecRuleRemove...`, `SecRuleUpdate...`.
    pub(super) fn change_rules(&mut self, name: &str, lower: &str, arguments: &[String]) -> Result<(), Mistake> {
        let place = Mistake::new(name, "").at(&self.file, self.line);
        let mut push = |which: Vec<Which>, change: &dyn Fn() -> Result<Change, Mistake>| {
            for which in which {
                self.updates.push(Update { which, change: change()?, place: place.clone() });
            }
            Ok(())
        };
        match (lower, arguments) {
            ("secruleremovebyid", ids) if !ids.is_empty() => push(id_ranges(&ids.join(" "))?, &|| Ok(Change::Remove)),
            ("secruleremovebytag", _) => {
                push(vec![Which::Tag(text_match(one(name, arguments)?)?)], &|| Ok(Change::Remove))
            }
            ("secruleremovebymsg", _) => {
                push(vec![Which::Message(text_match(one(name, arguments)?)?)], &|| Ok(Change::Remove))
            }
            ("secruleupdatetargetbyid", [ids, list]) => push(id_ranges(ids)?, &|| entries(list)),
            ("secruleupdatetargetbytag", [tag, list]) => push(vec![Which::Tag(text_match(tag)?)], &|| entries(list)),
            ("secruleupdatetargetbymsg", [message, list]) => {
                push(vec![Which::Message(text_match(message)?)], &|| entries(list))
            }
            ("secruleupdateactionbyid", [ids, list]) => {
                push(id_ranges(ids)?, &|| Ok(Change::Actions(actions::split(list)?)))
            }
            ("secruleremovebyid", _) => Err(Mistake::new(name, "rule numbers are missing")),
            _ if lower.starts_with("secruleupdate") => {
                Err(Mistake::new(name, "the directive names rules and what to change about them")
                    .allowed("SecRuleUpdateTargetById 942100 \"!ARGS:password\""))
            }
            _ => Err(Mistake::new(name, "unknown directive")),
        }
    }

    /// Does all of them.
    pub(super) fn update(&mut self) {
        for update in std::mem::take(&mut self.updates) {
            if matches!(update.change, Change::Remove) {
                self.items.retain(|item| !matches!(item, Item::Rule(rule) if update.which.picks(rule)));
                continue;
            }
            for item in &mut self.items {
                let Item::Rule(rule) = item else { continue };
                if !update.which.picks(rule) {
                    continue;
                }
                match &update.change {
                    Change::Targets(entries) => entries.iter().for_each(|entry| retarget(rule, entry)),
                    Change::Actions(words) => {
                        if let Err(mistake) = super::build::update_actions(rule, words) {
                            self.errors.push(mistake.at(&update.place.file, update.place.line));
                        }
                    }
                    Change::Remove => {}
                }
            }
        }
    }
}

fn entries(list: &str) -> Result<Change, Mistake> {
    Ok(Change::Targets(
        targets::split(&list.replace(',', "|")).iter().map(|entry| Entry::parse(entry)).collect::<Result<_, _>>()?,
    ))
}

fn retarget(rule: &mut Rule, entry: &Entry) {
    if entry.negated {
        rule.excluded.push(entry.target.clone());
    } else {
        rule.targets.push(entry.target.clone());
    }
}
