//! A compiled pattern in little memory. The `regex` crate keeps for every pattern automata of both directions and several engines, each with memory of
//! its own per thread. Rules mostly ask whether a pattern matches at all, for which one direction is enough; the other is made when a match is to be
//! taken apart. The pieces are those of `regex`, put together as it does, so that results are the same (a test compares).
//!
//! All of it takes time linear in the value: the automaton is built as it runs and bounded; where building it does not pay, a simulation takes over.

use std::ops::Range;
use std::sync::OnceLock;

use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::nfa::thompson::backtrack::BoundedBacktracker;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Compiler, Config, NFA, WhichCaptures};
use regex_automata::util::captures::Captures;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Anchored, Input, MatchKind};

use super::caches::Caches;
use super::pattern;

/// Memory that one compiled pattern may take. The largest of CRS takes a quarter of a MiB.
pub(crate) const PROGRAM: usize = 32 << 20;
/// Memory of one pattern's automaton in one direction; when it is full it starts anew, so more would only buy speed on odd values.
pub(crate) const AUTOMATON: usize = 512 << 10;
/// An automaton that was emptied so often and looks at fewer bytes for each state that it builds gives up.
const EMPTIED: usize = 3;
/// See [`EMPTIED`].
const BYTES: usize = 10;

/// A pattern, ready to run.
#[derive(Debug)]
pub(crate) struct Matcher {
    nfa: NFA,
    forward: DFA,
    /// Finds where a match begins whose end is known; made when a match is taken apart.
    backward: OnceLock<Option<DFA>>,
    /// Bytes of the shortest match.
    least: usize,
}

/// A pattern takes more than [`PROGRAM`] when it is compiled.
#[derive(Debug)]
pub(crate) struct TooLarge;

impl Matcher {
    /// Compiles a pattern (in the syntax of `regex`) whose syntax has been checked.
    pub(crate) fn new(source: &str) -> Result<Self, TooLarge> {
        let hir = pattern::parser().parse(source).map_err(|_| TooLarge)?;
        let nfa = Compiler::new()
            .configure(program().which_captures(WhichCaptures::All))
            .build_from_hir(&hir)
            .map_err(|_| TooLarge)?;
        let prefix = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &hir);
        let config = automaton().specialize_start_states(prefix.is_some()).prefilter(prefix);
        let forward = dfa::Builder::new().configure(config).build_from_nfa(nfa.clone()).map_err(|_| TooLarge)?;
        let least = hir.properties().minimum_len().unwrap_or(0);
        Ok(Self { nfa, forward, backward: OnceLock::new(), least })
    }

    /// True if the pattern matches somewhere in the value. `number` is the pattern's.
    pub(crate) fn is_match(&self, value: &[u8], number: u64, caches: &mut Caches) -> bool {
        if value.len() < self.least {
            return false;
        }
        let input = Input::new(value).earliest(true);
        let found =
            caches.with(2 * number, &self.forward, value.len(), |cache| self.forward.try_search_fwd(cache, &input));
        match found {
            Ok(found) => found.is_some(),
            Err(_) => self.simulation().is_some_and(|vm| vm.is_match(&mut vm.create_cache(), input)),
        }
    }

    /// Shows the groups of the leftmost match that took part, with their numbers. `source` is what the pattern was made of.
    pub(crate) fn captures(
        &self,
        source: &str,
        value: &[u8],
        number: u64,
        caches: &mut Caches,
        show: &mut dyn FnMut(usize, Range<usize>),
    ) {
        let whole = Input::new(value);
        let backward = self.backward.get_or_init(|| backward(source)).as_ref();
        match backward.and_then(|backward| self.span(backward, &whole, number, caches)) {
            Some(None) => {}
            Some(Some(span)) if self.nfa.group_info().all_group_len() == 1 => show(0, span),
            // What remains is to see the groups of a known match, which mostly is short.
            Some(Some(span)) => self.groups(&whole.span(span).anchored(Anchored::Yes), show),
            None => self.groups(&whole, show),
        }
    }

    /// Where the leftmost match is; `None` if the automata cannot tell.
    fn span(
        &self,
        backward: &DFA,
        whole: &Input<'_>,
        number: u64,
        caches: &mut Caches,
    ) -> Option<Option<Range<usize>>> {
        let length = whole.haystack().len();
        let end =
            caches.with(2 * number, &self.forward, length, |cache| self.forward.try_search_fwd(cache, whole)).ok()?;
        let Some(end) = end.map(|end| end.offset()) else { return Some(None) };
        let input = whole.clone().span(0..end).anchored(Anchored::Yes);
        let start =
            caches.with(2 * number + 1, backward, end, |cache| backward.try_search_rev(cache, &input)).ok()??;
        Some(Some(start.offset()..end))
    }

    fn groups(&self, input: &Input<'_>, show: &mut dyn FnMut(usize, Range<usize>)) {
        let mut groups = Captures::all(self.nfa.group_info().clone());
        let seen = BoundedBacktracker::new_from_nfa(self.nfa.clone())
            .is_ok_and(|tracker| tracker.try_search(&mut tracker.create_cache(), input, &mut groups).is_ok());
        // Else the match is too long to go back and forth in.
        if !seen && let Some(vm) = self.simulation() {
            vm.search(&mut vm.create_cache(), input, &mut groups);
        }
        for number in 0..groups.group_len() {
            if let Some(span) = groups.get_group(number) {
                show(number, span.range());
            }
        }
    }

    fn simulation(&self) -> Option<PikeVM> {
        PikeVM::new_from_nfa(self.nfa.clone()).ok()
    }
}

/// The automaton that reads from the end.
fn backward(source: &str) -> Option<DFA> {
    let hir = pattern::parser().parse(source).ok()?;
    let config = program().reverse(true).which_captures(WhichCaptures::None);
    let nfa = Compiler::new().configure(config).build_from_hir(&hir).ok()?;
    dfa::Builder::new().configure(automaton().match_kind(MatchKind::All)).build_from_nfa(nfa).ok()
}

fn program() -> Config {
    Config::new().utf8(false).nfa_size_limit(Some(PROGRAM))
}

fn automaton() -> dfa::Config {
    dfa::Config::new()
        .cache_capacity(AUTOMATON)
        // A pattern whose smallest automaton is larger has a larger one.
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(EMPTIED))
        .minimum_bytes_per_state(Some(BYTES))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;
    use regex::bytes::RegexBuilder;

    use super::*;

    /// The answers of `regex` to the same questions.
    fn compare(source: &str, value: &[u8]) {
        let regex =
            RegexBuilder::new(source).unicode(false).multi_line(true).dot_matches_new_line(true).build().unwrap();
        let (matcher, mut caches) = (Matcher::new(source).unwrap(), Caches::default());
        for _ in 0..2 {
            assert_eq!(matcher.is_match(value, 1, &mut caches), regex.is_match(value), "{source}");
            let mut own = Vec::new();
            matcher.captures(source, value, 1, &mut caches, &mut |number, range| own.push((number, range)));
            let expected = regex.captures(value);
            let groups = expected.iter().flat_map(|all| all.iter().enumerate());
            let expected: Vec<_> = groups.filter_map(|(number, group)| Some((number, group?.range()))).collect();
            assert_eq!(own, expected, "{source}");
        }
    }

    #[test]
    fn long_matches_and_long_patterns() {
        compare("(a*)(b+)c", format!("{}{}c", "a".repeat(40_000), "b".repeat(40_000)).as_bytes());
        compare("(?:[a-z]{3,9} ?){40,60}(x)", "some words that go on and on ".repeat(20).as_bytes());
        compare("([0-9]+)$", format!("{}\n12", "x1 ".repeat(30_000)).as_bytes());
    }

    /// Patterns whose automata have a state for almost every byte: emptied, given up, and right all the same.
    #[test]
    fn where_the_automaton_gives_up() {
        let mut seed = 7_u32;
        let noise: Vec<u8> = (0..200_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if seed & (1 << 20) == 0 { b'a' } else { b'b' }
            })
            .collect();
        compare("(a)[ab]{60}c", &noise);
        compare("b[ab]{90}(a)", &noise);
    }

    #[test]
    fn what_is_too_large_is_told() {
        assert!(Matcher::new("(?:[a-z]{900}){900}").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn as_regex_does(
            source in prop_oneof![
                "(\\(\\?i\\))?[abc|]{1,6}(\\([abx]{1,3}\\)[*+?]?)?[abc^$]{0,3}(\\([ab]+|c\\))?",
                "\\\\b[ab]{1,3}(\\.[*+?]\\??)?(\\([^abc]\\)?)?\\\\b",
                "(\\([ab]\\*\\)){1,3}[c$]?",
            ],
            value in "[abcxABC \\n-]{0,40}",
        ) {
            if pattern::parser().parse(&source).is_ok() {
                compare(&source, value.as_bytes());
            }
        }
    }
}
