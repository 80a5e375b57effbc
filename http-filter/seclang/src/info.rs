//! What a rule says about itself, for those who explain or document a decision. It is not needed to make one.

use std::sync::Arc;

use crate::rule::{Phase, Place, Rule};
use crate::ruleset::RuleSet;

/// A loaded rule (the first of its chain), as its author describes it.
#[derive(Clone, Copy, Debug)]
pub struct RuleInfo<'a> {
    /// Its id.
    pub id: u64,
    /// When it runs.
    pub phase: Phase,
    /// Where it is written.
    pub place: &'a Place,
    /// Its message as written, macros unexpanded.
    pub message: Option<&'a str>,
    /// Its tags.
    pub tags: &'a [Arc<str>],
    /// 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// The paranoia level that its tag `paranoia-level/N` names.
    pub paranoia: Option<u8>,
}

impl RuleSet {
    /// The rule with this id. Looks through all rules: for explanations, not for every request.
    ///
    /// ```
    /// use seclang::{Phase, RuleSet, Settings};
    ///
    /// let text = r#"SecRule ARGS "@detectXSS" "id:941100,phase:2,block,msg:'XSS',severity:CRITICAL,tag:'paranoia-level/1'""#;
    /// let rules = RuleSet::load_text(text, Settings::default()).map_err(|mistakes| mistakes[0].clone())?;
    /// let rule = rules.rule(941100).ok_or("it is there")?;
    /// assert_eq!((rule.message, rule.severity, rule.paranoia, rule.place.line), (Some("XSS"), Some(2), Some(1), 1));
    /// assert!(rules.rule(1).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rule(&self, id: u64) -> Option<RuleInfo<'_>> {
        self.rules.iter().find(|rule| rule.id == id).map(Rule::info)
    }

    /// All rules, in the order of the files.
    pub fn rules(&self) -> impl Iterator<Item = RuleInfo<'_>> {
        self.rules.iter().map(Rule::info)
    }
}

impl Rule {
    fn info(&self) -> RuleInfo<'_> {
        RuleInfo {
            id: self.id,
            phase: self.phase,
            place: &self.place,
            message: self.message_source.as_deref(),
            tags: &self.tags,
            severity: self.severity,
            paranoia: self.paranoia(),
        }
    }
}
