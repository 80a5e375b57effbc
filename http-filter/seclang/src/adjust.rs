//! What differs from one transaction to another under the same rules: the state of the engine, values of TX (the paranoia level above all), rules
//! that are not to run, values that rules are not to look at. Names and tags are resolved once, by [`RuleSet::adjust`]; applying the result costs
//! a transaction next to nothing.
//!
//! An adjustment never changes the rule set, and never what the rules of other transactions see.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use crate::error::{LoadError, Mistake};
use crate::load::directives::text_match;
use crate::plan::{self, Live};
use crate::rule::{Engine, Rule, Which};
use crate::ruleset::{Evaluation, RuleSet};
use crate::transaction::Transaction;
use crate::variable::{Entry, Target};

/// What differs for some transactions. Make one per combination, [`RuleSet::adjust`] it once, and [`Transaction::apply`] it as often as you like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjustments {
    /// Overrides `SecRuleEngine` and [`crate::Settings::engine`]. `ctl:ruleEngine` of a rule that matches still wins.
    pub engine: Option<Engine>,
    /// Values of TX that are set before the first rule runs, over [`crate::Settings::variables`]. Rules that set them later win.
    ///
    /// A paranoia level above that of [`crate::Settings::variables`] makes more rules run. They match whatever they would match anyway, but
    /// slowly, unless [`crate::Settings::planned_variables`] named that level.
    pub variables: Vec<(String, String)>,
    /// Rules that do not run, and values that rules do not look at.
    pub removed: Vec<Removal>,
}

/// Rules that do not run, or (if `targets` names any) do not look at some values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// The ids of the rules that are meant. What is named here and under `tags` adds up.
    pub rules: Vec<RangeInclusive<u64>>,
    /// The tags of rules that are meant, compared as `SecRuleRemoveByTag` does: whole, or as a pattern if they hold signs of one.
    pub tags: Vec<String>,
    /// What these rules (all rules, if none is named) do not look at: `ARGS:text`, `REQUEST_COOKIES:/^_ga/`, `REQUEST_BODY`. It holds for the
    /// later links of a chain as well. Empty: the rules do not run.
    pub targets: Vec<String>,
}

/// [`Adjustments`], resolved for one rule set.
#[derive(Debug)]
pub struct Adjusted {
    /// The rule set's stamp.
    of: u64,
    pub(crate) engine: Option<Engine>,
    /// By number, or by name if no rule names the variable in full.
    pub(crate) variables: Vec<(Preset, Vec<u8>)>,
    pub(crate) removed: RuleBits,
    pub(crate) targets: Arc<[Unseen]>,
    /// The planned rules that are reached; `None`: as without the adjustment.
    pub(crate) live: Option<Live>,
    notes: Vec<LoadError>,
}

/// A variable of TX.
#[derive(Debug)]
pub(crate) enum Preset {
    Slot(u32),
    Name(Vec<u8>),
}

/// A value that some rules do not look at.
#[derive(Debug)]
pub(crate) struct Unseen {
    /// `None`: no rule looks at it.
    pub(crate) rules: Option<RuleBits>,
    pub(crate) target: Target,
}

/// A set of rules, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleBits(Vec<u64>);

impl RuleBits {
    /// Rules from 0 on, this many.
    pub(crate) fn all(count: usize) -> Self {
        Self(vec![u64::MAX; count.div_ceil(64)])
    }

    /// Adds a rule.
    pub(crate) fn add(&mut self, number: usize) {
        if self.0.len() <= number / 64 {
            self.0.resize(number / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    /// Adds the rules of another set.
    pub(crate) fn add_all(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// True if the rule is in the set.
    pub(crate) fn has(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// True if no rule is.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Removes all; the memory is kept.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl RuleSet {
    /// Resolves what differs for some transactions. Do it when the configuration is read, not per request: it looks through all rules.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use seclang::{Adjustments, Engine, Removal, RuleSet, Settings, Transaction, Verdict};
    ///
    /// let rules = Arc::new(RuleSet::load_text(
    ///     r#"SecRule ARGS "@rx <script" "id:7,phase:2,deny,tag:'attack-xss'""#,
    ///     Settings::default(),
    /// ).map_err(|mistakes| mistakes[0].clone())?);
    /// let editor = rules.adjust(&Adjustments {
    ///     removed: vec![Removal { tags: vec!["attack-xss".to_owned()], targets: vec!["ARGS:html".to_owned()], ..Removal::default() }],
    ///     ..Adjustments::default()
    /// })?;
    /// let mut transaction = Transaction::new(rules, None);
    /// for (path, uri, passes) in [("/", "/?html=<script>", false), ("/edit", "/edit?html=<script>", true), ("/edit", "/edit?q=<script>", false)] {
    ///     transaction.begin(0, b"");
    ///     if path == "/edit" {
    ///         transaction.apply(&editor);
    ///     }
    ///     transaction.request_line(b"GET", uri.as_bytes(), b"HTTP/1.1");
    ///     assert_eq!(transaction.request_headers(), Verdict::Pass);
    ///     assert_eq!(transaction.request_body(b"") == Verdict::Pass, passes, "{uri}");
    /// }
    /// // What is wrong is named.
    /// let wrong = Adjustments { removed: vec![Removal { targets: vec!["ARGZ:x".to_owned()], ..Removal::default() }], ..Adjustments::default() };
    /// # let rules = Arc::new(RuleSet::load_text("", Settings::default()).map_err(|mistakes| mistakes[0].clone())?);
    /// assert!(rules.adjust(&wrong).is_err_and(|mistake| mistake.text == "ARGZ:x"));
    /// # Ok::<(), seclang::LoadError>(())
    /// ```
    ///
    /// # Errors
    /// The first target that no rule could look at, tag that is a broken pattern, or removal that names nothing. File and line are empty: the
    /// caller knows where the text is from.
    pub fn adjust(self: &Arc<Self>, adjustments: &Adjustments) -> Result<Adjusted, LoadError> {
        let at = |mistake: Mistake| mistake.at(Path::new(""), 0);
        let (mut removed, mut targets, mut notes) = (RuleBits::default(), Vec::new(), Vec::new());
        for removal in &adjustments.removed {
            let picked = self.pick(removal, &mut notes).map_err(at)?;
            if removal.targets.is_empty() {
                let none = || Mistake::new("", "rules, tags or targets are missing: this removes nothing");
                removed.add_all(&picked.ok_or_else(none).map_err(at)?);
                continue;
            }
            for text in &removal.targets {
                targets.push(Unseen { rules: picked.clone(), target: target(text).map_err(at)? });
            }
        }
        let mut variables = Vec::new();
        for (name, value) in &adjustments.variables {
            let name = name.to_ascii_lowercase().into_bytes();
            let preset = self.names.find(&name).map_or(Preset::Name(name), Preset::Slot);
            variables.push((preset, value.clone().into_bytes()));
        }
        let mut adjusted = Adjusted {
            of: self.stamp,
            engine: adjustments.engine,
            variables,
            removed,
            targets: targets.into(),
            live: None,
            notes,
        };
        if !adjusted.variables.is_empty() && self.settings.evaluation == Evaluation::Planned {
            let probe = plan::probe(self, |probe| adjusted.set_variables(probe));
            adjusted.live = Some(self.plan.live(self, &probe.tx));
        }
        Ok(adjusted)
    }

    /// The rules that a removal names; `None` if it names none, which with targets means all.
    fn pick(&self, removal: &Removal, notes: &mut Vec<LoadError>) -> Result<Option<RuleBits>, Mistake> {
        let ids = removal.rules.iter().map(|ids| Ok((shown(ids), Which::Ids(ids.clone()))));
        let tags = removal.tags.iter().map(|tag| Ok((tag.clone(), Which::Tag(text_match(tag)?))));
        let mut picked = None;
        for which in ids.chain(tags) {
            let (text, which) = which?;
            let picked = picked.get_or_insert_with(RuleBits::default);
            let mut any = false;
            for (number, _) in self.rules.iter().enumerate().filter(|(_, rule)| which.picks(rule)) {
                picked.add(number);
                any = true;
            }
            if !any {
                notes.push(Mistake::new(&text, "no rule has this id or tag").at(Path::new(""), 0));
            }
        }
        Ok(picked)
    }
}

fn shown(ids: &RangeInclusive<u64>) -> String {
    if ids.start() == ids.end() { ids.start().to_string() } else { format!("{}-{}", ids.start(), ids.end()) }
}

fn target(text: &str) -> Result<Target, Mistake> {
    let entry = Entry::parse(text.trim())?;
    if entry.negated || entry.target.count {
        return Err(Mistake::new(text, "a variable that rules are not to look at stands without a sign")
            .allowed("such as ARGS:text, REQUEST_COOKIES:session or REQUEST_HEADERS:/^x-/"));
    }
    Ok(entry.target)
}

impl Adjusted {
    /// Ids and tags that no loaded rule has: nothing is wrong, but it may be a slip, or a rule that a newer rule set has no more.
    #[must_use]
    pub fn notes(&self) -> &[LoadError] {
        &self.notes
    }

    fn set_variables(&self, transaction: &mut Transaction) {
        for (preset, value) in &self.variables {
            match preset {
                Preset::Slot(number) => transaction.tx.set_slot(*number, value),
                Preset::Name(name) => {
                    let rules = Arc::clone(&transaction.rules);
                    transaction.tx.set(&rules.names, name, Some(value));
                }
            }
        }
    }
}

impl Transaction {
    /// Lets this transaction differ. Call it after [`Transaction::begin`] and before [`Transaction::request_line`]. Several may be applied: what
    /// they remove adds up, of engines and variables the last one counts. False, and nothing is changed, if `adjusted` was made by another rule
    /// set than the transaction's.
    pub fn apply(&mut self, adjusted: &Adjusted) -> bool {
        if adjusted.of != self.rules.stamp {
            return false;
        }
        self.engine = adjusted.engine.unwrap_or(self.engine);
        adjusted.set_variables(self);
        self.removed.add_all(&adjusted.removed);
        if !adjusted.targets.is_empty() {
            self.unseen.push(Arc::clone(&adjusted.targets));
        }
        if let Some(live) = &adjusted.live {
            self.live = match &self.live {
                // Whose variables count in the end is not known here. A rule too many costs time, one too few costs more.
                Some(own) => Some(own.or(live)),
                None => Some(*live),
            };
        }
        true
    }

    /// True if an adjustment keeps a rule (the number of its head) from looking at a value.
    pub(crate) fn is_unseen(&self, number: usize, meant: impl Fn(&Target) -> bool) -> bool {
        self.unseen
            .iter()
            .flat_map(|list| list.iter())
            .any(|unseen| unseen.rules.as_ref().is_none_or(|rules| rules.has(number)) && meant(&unseen.target))
    }
}

impl Rule {
    /// The paranoia level that the rule's tag `paranoia-level/N` names.
    pub(crate) fn paranoia(&self) -> Option<u8> {
        self.tags.iter().find_map(|tag| tag.strip_prefix("paranoia-level/")?.parse().ok())
    }
}
