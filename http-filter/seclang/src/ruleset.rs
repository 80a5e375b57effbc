//! The rules as a whole: loaded once, shared by all transactions, never changed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::adjust::RuleBits;
use crate::body::BodyLimits;
use crate::error::LoadError;
use crate::load::directives::Values;
use crate::load::files::{Disk, Files};
use crate::load::{self, Source};
use crate::operator::Operator;
use crate::plan::{self, Plan};
use crate::rule::{Engine, Phase, Rule};

/// How rules are evaluated. Both ways give the same result; a test holds them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Evaluation {
    /// By the plan: strings are looked at once, and rules that cannot match are not run.
    #[default]
    Planned,
    /// One rule after the other, one value after the other, nothing remembered. For comparison and for finding faults.
    Naive,
}

/// What the caller decides about a rule set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Overrides `SecRuleEngine`.
    pub engine: Option<Engine>,
    /// Values of TX that are set before the first rule runs, such as `("blocking_paranoia_level", "2")`. Rules that set them later win.
    pub variables: Vec<(String, String)>,
    /// Values of TX that [`crate::Adjustments`] give to some transactions, as far as they make more rules run: the highest paranoia level of all,
    /// such as `("detection_paranoia_level", "3")`. Rules that run under these values but not under `variables` are planned too. They cost other
    /// transactions some 10 % (and memory), and without the plan they would cost theirs far more. What matches is the same.
    pub planned_variables: Vec<(String, String)>,
    /// Limits on what a request may hold, checked before rules run.
    pub limits: BodyLimits,
    /// Overrides `SecRequestBodyAccess` and `SecResponseBodyAccess`, in this order.
    pub body_access: (Option<bool>, Option<bool>),
    /// Answers will not be told: rules of phases 3 and 4 are judged when they are read, and not kept.
    pub requests_only: bool,
    /// Content types of response bodies that rules look at, where the files do not name any (`SecResponseBodyMimeType`); empty: all.
    pub response_types: Vec<String>,
    /// Bodies whose `Content-Type` says JSON or XML (`application/json`, `text/xml`, `image/svg+xml` ...) are taken apart as such, unless a
    /// rule chooses otherwise. Rule sets leave this to the engine's configuration, where it usually takes two rules.
    pub json_and_xml: bool,
    /// Rules that matched and are remembered for a transaction; more are counted only.
    pub hits: usize,
    /// Bytes of a matched value, of `msg` and of `logdata` that are remembered.
    pub shown: usize,
    /// Bytes that patterns may remember to run faster, in each thread that runs rules. CRS uses 2 MiB at level 1, 6 at level 4; with less, some
    /// patterns begin anew now and then.
    pub cache: usize,
    /// How rules are evaluated.
    pub evaluation: Evaluation,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: None,
            variables: Vec::new(),
            planned_variables: Vec::new(),
            limits: BodyLimits::default(),
            body_access: (None, None),
            requests_only: false,
            response_types: Vec::new(),
            json_and_xml: false,
            hits: 256,
            shown: 512,
            cache: 4 << 20,
            evaluation: Evaluation::default(),
        }
    }
}

/// The numbers of the variables of TX that rules name in full. 0 to 9 are the captures.
#[derive(Debug)]
pub(crate) struct Names {
    numbers: HashMap<Box<[u8]>, u32>,
    names: Vec<Box<[u8]>>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self { numbers: HashMap::new(), names: Vec::new() };
        for digit in b'0'..=b'9' {
            names.number(&[digit]);
        }
        names
    }
}

impl Names {
    /// The number of a name, a new one if it has none. Case does not matter.
    pub(crate) fn number(&mut self, name: &[u8]) -> u32 {
        let name = name.to_ascii_lowercase().into_boxed_slice();
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The number of a name in lower case, if it has one.
    pub(crate) fn find(&self, lower: &[u8]) -> Option<u32> {
        self.numbers.get(lower).copied()
    }

    /// The name of a number.
    pub(crate) fn name(&self, number: u32) -> &[u8] {
        self.names.get(number as usize).map_or(&[], AsRef::as_ref)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// The next rule set's stamp.
static STAMPS: AtomicU64 = AtomicU64::new(0);

/// Rules, read and compiled. Share it (`Arc`) between as many [`crate::Transaction`]s as you like.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    /// The numbers of the rules of each phase, in order.
    pub(crate) phases: [Vec<usize>; Phase::COUNT],
    pub(crate) names: Names,
    pub(crate) values: Values,
    pub(crate) settings: Settings,
    pub(crate) limits: BodyLimits,
    /// The values of TX at the start, by number.
    pub(crate) presets: Vec<(u32, Vec<u8>)>,
    pub(crate) plan: Plan,
    /// Tells rule sets apart.
    pub(crate) stamp: u64,
    notes: Vec<LoadError>,
}

impl RuleSet {
    /// Reads rules from the disk. See [`RuleSet::load_from`].
    ///
    /// # Errors
    /// Every mistake in the files, with its place.
    pub fn load(sources: &[Source], settings: Settings) -> Result<Self, Vec<LoadError>> {
        load::load(&Disk, sources, settings)
    }

    /// Reads rules from the files of one pattern: `RuleSet::load_path("rules/*.conf", ...)`.
    ///
    /// # Errors
    /// Every mistake in the files, with its place.
    pub fn load_path(path: impl Into<PathBuf>, settings: Settings) -> Result<Self, Vec<LoadError>> {
        Self::load(&[Source::Path(path.into())], settings)
    }

    /// Reads rules out of a text.
    ///
    /// # Errors
    /// Every mistake in the text, with its line.
    pub fn load_text(text: &str, settings: Settings) -> Result<Self, Vec<LoadError>> {
        Self::load(&[Source::Text { name: "(text)".to_owned(), text: text.to_owned() }], settings)
    }

    /// Reads `sources` in order through `files`. Reading is slow (CRS takes about a second, most of it compiling patterns): do it where
    /// nobody waits.
    ///
    /// # Errors
    /// Every mistake in the files, with its place; up to 100.
    pub fn load_from(files: &dyn Files, sources: &[Source], settings: Settings) -> Result<Self, Vec<LoadError>> {
        load::load(files, sources, settings)
    }

    pub(crate) fn new(
        rules: Vec<Rule>,
        phases: [Vec<usize>; Phase::COUNT],
        mut names: Names,
        mut values: Values,
        settings: Settings,
        notes: Vec<LoadError>,
    ) -> Result<Self, Vec<LoadError>> {
        values.engine = settings.engine.unwrap_or(values.engine);
        values.request_body_access = settings.body_access.0.unwrap_or(values.request_body_access);
        values.response_body_access = settings.body_access.1.unwrap_or(values.response_body_access);
        if values.response_types.is_empty() {
            values.response_types.clone_from(&settings.response_types);
        }
        let mut limits = settings.limits.clone();
        limits.arguments = values.arguments.map_or(limits.arguments, |own| limits.arguments.min(own));
        limits.depth = values.json_depth.map_or(limits.depth, |own| limits.depth.min(own));
        let presets = settings
            .variables
            .iter()
            .map(|(name, value)| (names.number(name.as_bytes()), value.clone().into_bytes()))
            .collect();
        let stamp = STAMPS.fetch_add(1, Ordering::Relaxed);
        let set = Self { rules, phases, names, values, settings, limits, presets, plan: Plan::default(), stamp, notes };
        let (set, reached) = if set.settings.evaluation == Evaluation::Naive {
            let all = set.rules.len();
            (set, RuleBits::all(all))
        } else {
            set.planned()
        };
        let mistakes = set.compile(&reached);
        if mistakes.is_empty() { Ok(set) } else { Err(mistakes) }
    }

    /// Compiles the patterns of the rules that are reached; of the others, sees whether that is possible.
    fn compile(&self, reached: &RuleBits) -> Vec<LoadError> {
        let mut mistakes = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            rule.operators(&mut |operator| {
                let Operator::Rx(rx) = operator else { return };
                if let Err(mistake) = rx.check(reached.has(number)) {
                    mistakes.push(mistake.at(&rule.place.file, rule.place.line));
                }
            });
        }
        mistakes
    }

    /// Makes the plan; which rules it expects to be reached.
    #[allow(clippy::expect_used, reason = "no input has a say in who owns the rules here")]
    fn planned(self) -> (Self, RuleBits) {
        let shared = Arc::new(self);
        let own = plan::probe(&shared, |_| {});
        let wide = plan::probe(&shared, |probe| {
            for (name, value) in &shared.settings.planned_variables {
                probe.tx.set(&shared.names, name.as_bytes(), Some(value.as_bytes()));
            }
        });
        let (plan, reached) = Plan::build(&shared, &own.tx, &wide.tx);
        drop((own, wide));
        let mut set = Arc::into_inner(shared).expect("the probes, its only other owners, are gone");
        set.plan = plan;
        (set, reached)
    }

    /// How many rules there are, chains counted once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True if there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The ids of all rules, in the order of the files.
    pub fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.rules.iter().map(|rule| rule.id)
    }

    /// What was accepted but works otherwise than its author may think: operators that never match here, markers that are missing.
    #[must_use]
    pub fn notes(&self) -> &[LoadError] {
        &self.notes
    }

    /// The most bytes of a request body that rules want to see (`SecRequestBodyLimit`), and of a response body; 0 if they want none.
    #[must_use]
    pub fn body_sizes(&self) -> (usize, usize) {
        let request = if self.values.request_body_access { self.values.request_body_limit } else { 0 };
        let response = if self.values.response_body_access { self.values.response_body_limit } else { 0 };
        (request, response)
    }
}
