//! All regular expressions of routes that name no hosts, searched for in one pass over the path, so that a request does not cost one search
//! per route. A filter only: it says which routes cannot take a path; those that remain are asked as ever. Pure.

use common::config::HttpRoute;
use regex::{RegexSet, RegexSetBuilder};

/// With fewer expressions asking one by one is as cheap.
const FEWEST: usize = 4;
/// Bytes that the compiled set may have, and its cache of states.
const SIZE: usize = 32 << 20;
const CACHE: usize = 8 << 20;

/// See the module's words.
#[derive(Debug)]
pub struct PathIndex {
    set: RegexSet,
    /// For each route the numbers of its expressions in the set; `None`: it takes other paths too, or any.
    of: Box<[Option<std::ops::Range<usize>>]>,
}

/// What the index says of one path.
#[derive(Debug)]
pub struct Fitting<'a> {
    index: &'a PathIndex,
    matches: regex::SetMatches,
}

impl PathIndex {
    /// An index over the routes with these numbers; `None`: it would not be worth it, or be too large.
    pub fn new(routes: &[HttpRoute], numbers: &[usize]) -> Option<Self> {
        let mut patterns = Vec::new();
        let mut of = vec![None; routes.len()];
        for number in numbers {
            let (Some(route), Some(own)) = (routes.get(*number), of.get_mut(*number)) else { continue };
            let asks = &route.conditions;
            if asks.paths.is_empty() && !asks.path_regex.is_empty() {
                let from = patterns.len();
                patterns.extend(asks.path_regex.iter().map(common::config::Located::as_str));
                *own = Some(from..patterns.len());
            }
        }
        if patterns.len() < FEWEST {
            return None;
        }
        let set = RegexSetBuilder::new(patterns).size_limit(SIZE).dfa_size_limit(CACHE).build().ok()?;
        Some(Self { set, of: of.into() })
    }

    /// Searches the path once for all of them.
    pub fn search(&self, path: &str) -> Fitting<'_> {
        Fitting { index: self, matches: self.set.matches(path) }
    }
}

impl Fitting<'_> {
    /// Whether the route may take the path; if not, none of its expressions is in it.
    pub fn may_take(&self, route: usize) -> bool {
        match self.index.of.get(route) {
            Some(Some(own)) => own.clone().any(|pattern| self.matches.matched(pattern)),
            _ => true,
        }
    }
}
