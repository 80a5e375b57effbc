//! The rules of one configuration: where they come from, how they are set, and the time that loading them takes. It is a second or so for the
//! Core Rule Set, so at a reload it happens on a thread of its own, and not at all if nothing about the rules has changed.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::{self, Files};
use seclang::body::BodyLimits;
use seclang::{Engine, RuleSet, Settings, Source};
use tokio::sync::oneshot;

use super::files::KnownFiles;
use super::{audit, no_threads};

/// What protects a first installation: our own rules, which need no download.
pub const STARTER: &str = include_str!("starter.conf");
/// The name of [`STARTER`] in errors and records.
pub const STARTER_NAME: &str = "starter.conf (built in)";
/// Units of work in a millisecond below which no measurement is believed: somebody else used the processor meanwhile.
const SLOWEST: u64 = 100_000;

/// Rules, ready for use; clones share them.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The rules.
    pub set: Arc<RuleSet>,
    /// Units of work that this machine does in a millisecond.
    pub pace: u64,
    /// The shadow rules.
    pub shadow: Option<Arc<RuleSet>>,
    made_from: [u64; 2],
    shadow_made_from: Option<[u64; 2]>,
}

thread_local! {
    /// What the check of the configuration has loaded.
    static KEPT: Cell<Option<Rules>> = const { Cell::new(None) };
}

/// All that loading needs; it can be sent to another thread.
#[derive(Debug)]
pub struct Recipe {
    sources: Vec<Source>,
    settings: Settings,
    files: KnownFiles,
    made_from: [u64; 2],
    /// For the shadow rules.
    shadow: Option<Box<Recipe>>,
}

impl Recipe {
    /// For the rules that decide.
    ///
    /// # Errors
    /// A sentence for each file that is missing.
    pub fn new(own: &config::WebAttacks, files: &Files) -> Result<Self, Vec<String>> {
        let shadow = match &own.shadow[..] {
            [] => None,
            paths => Some(Box::new(Self::of(paths, own, files)?)),
        };
        Ok(Self { shadow, ..Self::of(&own.rules, own, files)? })
    }

    /// The rules at these paths, or the built-in ones.
    fn of(paths: &[PathBuf], own: &config::WebAttacks, files: &Files) -> Result<Self, Vec<String>> {
        let sources = match paths {
            [] => vec![Source::Text { name: STARTER_NAME.to_owned(), text: STARTER.to_owned() }],
            paths => paths.iter().cloned().map(Source::Path).collect(),
        };
        let settings = settings(own);
        let known = KnownFiles::new(paths, files)?;
        let made_from = [0_u8, 1].map(|salt| {
            // Not a matter of security: who could find two files alike could write either.
            let mut hasher = DefaultHasher::new();
            (salt, paths, &known).hash(&mut hasher);
            format!("{settings:?}").hash(&mut hasher);
            hasher.finish()
        });
        Ok(Self { sources, settings, files: known, made_from, shadow: None })
    }

    /// Rules that remember so many hits of a request, so many bytes of each.
    #[must_use]
    pub fn remembering(mut self, hits: usize, shown: usize) -> Self {
        (self.settings.hits, self.settings.shown) = (hits, shown);
        self
    }

    /// Whether it would make the same rules again.
    pub fn makes(&self, rules: &Rules) -> bool {
        self.made_from == rules.made_from && self.shadow_made_from() == rules.shadow_made_from
    }

    fn shadow_made_from(&self) -> Option<[u64; 2]> {
        self.shadow.as_ref().map(|shadow| shadow.made_from)
    }

    /// Loads the rules, and measures how fast they are. Takes up to some seconds.
    ///
    /// # Errors
    /// Every mistake in the files, with its place.
    pub fn load(self) -> Result<Rules, Vec<String>> {
        let shadow_made_from = self.shadow_made_from();
        let (made_from, shadow) = (self.made_from, self.shadow);
        let load = |key: &str, files: &KnownFiles, sources: &[Source], settings: Settings| {
            let set = RuleSet::load_from(files, sources, settings).map_err(|mistakes| {
                mistakes
                    .into_iter()
                    .map(|mistake| format!("http-filter.web-attacks.{key}: {mistake}"))
                    .collect::<Vec<_>>()
            });
            set.map(Arc::new)
        };
        let set = load("rules", &self.files, &self.sources, self.settings)?;
        let shadow = shadow.map(|own| load("shadow", &own.files, &own.sources, own.settings)).transpose()?;
        Ok(Rules { set, pace: 0, shadow, made_from, shadow_made_from })
    }
}

impl Rules {
    /// The rules of a configuration, loaded here: nobody is served yet. `None`: it wants none.
    ///
    /// # Errors
    /// Each mistake in the files, and each file that is missing.
    pub fn now(own: &config::WebAttacks, files: &Files) -> Result<Option<Self>, Vec<String>> {
        if !own.is_on() {
            return Ok(None);
        }
        let recipe = Recipe::new(own, files)?;
        let kept = KEPT.take().filter(|rules| recipe.makes(rules));
        kept.map_or_else(|| recipe.load(), Ok).map(|rules| Some(rules.warm()))
    }

    /// A process that is started judges its configuration first, and works with it a moment later: loading the rules once does for both.
    pub fn keep_for_the_start(self) {
        KEPT.set(Some(self));
    }

    /// The same, loaded on a thread of its own; those at work if they are the same.
    ///
    /// # Errors
    /// As [`Rules::now`]; or there is no thread.
    pub async fn elsewhere(
        own: &config::WebAttacks,
        files: &Files,
        at_work: Option<Self>,
    ) -> Result<Option<Self>, Vec<String>> {
        if !own.is_on() {
            return Ok(None);
        }
        let recipe = Recipe::new(own, files)?;
        if let Some(same) = at_work.filter(|rules| recipe.makes(rules)) {
            return Ok(Some(same));
        }
        let (reply, loaded) = oneshot::channel();
        let work = move || {
            let _ = reply.send(recipe.load().map(Self::warm)); // nobody may be waiting any more
        };
        let thread = std::thread::Builder::new().name("loading-rules".to_owned()).spawn(work);
        thread.map_err(|error| vec![no_threads(&error)])?;
        let failed = || vec!["http-filter.web-attacks.rules: loading them failed by a mistake of ours".to_owned()];
        loaded.await.map_err(|_| failed())?.map(Some)
    }

    /// Warms them and measures the machine's pace.
    #[must_use]
    pub fn warm(self) -> Self {
        let began = Instant::now();
        let paces = [(); 2].map(|()| self.set.calibrate(&mut || began.elapsed()));
        if let Some(shadow) = &self.shadow {
            shadow.calibrate(&mut || began.elapsed());
        }
        Self { pace: paces.into_iter().max().unwrap_or(0).max(SLOWEST), ..self }
    }

    /// Units of work for so much time.
    pub fn units(&self, time: Duration) -> u64 {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.pace.saturating_mul(micros) / 1000
    }
}

/// Answers that rules look at where rule files name no types: what people read, and what programs answer in errors.
const RESPONSE_TYPES: [&str; 4] = ["text/html", "text/plain", "text/xml", "application/json"];

/// The engine's settings. Both generations of the Core Rule Set are told: each knows its own names.
fn settings(own: &config::WebAttacks) -> Settings {
    let scopes = || own.scopes.iter();
    let highest = scopes().filter_map(|scope| scope.paranoia).chain([own.paranoia]).max().unwrap_or(1);
    let mut variables = paranoia(own.paranoia);
    variables.extend(threshold("inbound", own.inbound_threshold));
    variables.extend(threshold("outbound", own.outbound_threshold));
    variables.push(("early_blocking".to_owned(), u8::from(own.early_blocking).to_string()));
    Settings {
        engine: Some(Engine::On),
        variables,
        planned_variables: if highest > own.paranoia { paranoia(highest) } else { Vec::new() },
        limits: BodyLimits {
            arguments: own.max_arguments,
            depth: own.max_depth,
            nodes: own.max_nodes,
            name_length: own.max_name_length,
            value_length: own.max_value_length,
            parts: own.max_parts,
        },
        body_access: (Some(true), Some(own.reads_responses())),
        requests_only: !own.reads_responses(),
        response_types: RESPONSE_TYPES.map(str::to_owned).to_vec(),
        json_and_xml: true,
        hits: audit::HITS,
        shown: audit::REMEMBERED,
        ..Settings::default()
    }
}

/// The paranoia level in the words of the Core Rule Set, 4 and 3.
pub fn paranoia(level: u8) -> Vec<(String, String)> {
    let names = ["blocking_paranoia_level", "detection_paranoia_level", "paranoia_level", "executing_paranoia_level"];
    names.map(|name| (name.to_owned(), level.to_string())).into()
}

/// A threshold, likewise; `way` is `inbound` or `outbound`.
pub fn threshold(way: &str, score: u32) -> Vec<(String, String)> {
    vec![(format!("{way}_anomaly_score_threshold"), score.to_string())]
}
