//! The rules of one configuration: where they come from, how they are set, and the time that loading them takes. It is a second or so for the
//! Core Rule Set, so at a reload it happens on a thread of its own, and not at all if nothing about the rules has changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::{self, Files};
use seclang::body::BodyLimits;
use seclang::{Engine, Memory, RuleSet, Settings, Source};

use super::audit;

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
    made_from: [u64; 2],
}

/// All that loading needs; it can be sent to another thread.
#[derive(Debug)]
pub struct Recipe {
    sources: Vec<Source>,
    settings: Settings,
    files: Memory,
    made_from: [u64; 2],
}

impl Recipe {
    /// For the rules that decide.
    pub fn new(own: &config::WebAttacks, files: &Files) -> Self {
        Self::of(&own.rules, own, files)
    }

    /// The rules at these paths, or the built-in ones.
    fn of(paths: &[PathBuf], own: &config::WebAttacks, files: &Files) -> Self {
        let sources = match paths {
            [] => vec![Source::Text { name: STARTER_NAME.to_owned(), text: STARTER.to_owned() }],
            paths => paths.iter().cloned().map(Source::Path).collect(),
        };
        let settings = settings(own);
        let known = if paths.is_empty() { Memory::default() } else { memory(files) };
        let made_from = [0_u8, 1].map(|salt| {
            // Not a matter of security: who could find two files alike could write either.
            let mut hasher = DefaultHasher::new();
            (salt, paths, &known.files).hash(&mut hasher);
            format!("{settings:?}").hash(&mut hasher);
            hasher.finish()
        });
        Self { sources, settings, files: known, made_from }
    }

    /// Whether it would make the same rules again.
    pub fn makes(&self, rules: &Rules) -> bool {
        self.made_from == rules.made_from
    }

    /// Loads the rules, and measures how fast they are. Takes up to some seconds.
    ///
    /// # Errors
    /// Every mistake in the files, with its place.
    pub fn load(self) -> Result<Rules, Vec<String>> {
        let set = RuleSet::load_from(&self.files, &self.sources, self.settings).map_err(|mistakes| {
            let mistakes = mistakes.into_iter().map(|mistake| format!("http-filter.web-attacks.rules: {mistake}"));
            mistakes.collect::<Vec<_>>()
        })?;
        Ok(Rules { set: Arc::new(set), pace: 0, made_from: self.made_from })
    }
}

impl Rules {
    /// Warms them and measures the machine's pace.
    #[must_use]
    pub fn warm(self) -> Self {
        let began = Instant::now();
        let paces = [(); 2].map(|()| self.set.calibrate(&mut || began.elapsed()));
        Self { pace: paces.into_iter().max().unwrap_or(0).max(SLOWEST), ..self }
    }

    /// Units of work for so much time.
    pub fn units(&self, time: Duration) -> u64 {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.pace.saturating_mul(micros) / 1000
    }
}

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

/// The files that rules may name. What is not theirs is never found by their patterns, and is let go when they are loaded.
fn memory(files: &Files) -> Memory {
    let readable = files.iter().filter_map(|(path, contents)| Some((path.to_owned(), contents.ok()?.to_vec())));
    Memory { files: readable.collect() }
}
