//! Counts what was refused, and writes it down.

use std::collections::BTreeMap;
use std::path::Path;

use super::corpus::{Label, Request};

#[derive(Default)]
pub struct Rates {
    /// Refused and all, by label and set.
    sets: BTreeMap<(Label, String), (usize, usize)>,
    /// How often a rule matched a harmless request that was refused.
    blamed: BTreeMap<u64, usize>,
}

impl Rates {
    pub fn add(&mut self, request: &Request, refused: bool, hits: &[u64]) {
        let (count, all) = self.sets.entry((request.label, request.set.clone())).or_default();
        *count += usize::from(refused);
        *all += 1;
        if refused && request.label == Label::Benign {
            for rule in hits {
                *self.blamed.entry(*rule).or_default() += 1;
            }
        }
    }

    /// Refused and all of a set.
    pub fn set(&self, set: &str) -> (usize, usize) {
        self.sum(|(_, known)| known == set)
    }

    /// Refused and all of a label.
    pub fn label(&self, label: Label) -> (usize, usize) {
        self.sum(|(known, _)| *known == label)
    }

    fn sum(&self, wanted: impl Fn(&(Label, String)) -> bool) -> (usize, usize) {
        self.sets
            .iter()
            .filter(|(key, _)| wanted(key))
            .fold((0, 0), |sum, (_, (refused, all))| (sum.0 + refused, sum.1 + all))
    }

    pub fn print(&self, name: &str) {
        println!("{name}:");
        for ((label, set), (refused, all)) in &self.sets {
            println!("  {label:?} {set}: {refused} of {all} refused, {}", percent((*refused, *all)));
        }
        println!(
            "  all attacks {}, harmless {}",
            percent(self.label(Label::Attack)),
            percent(self.label(Label::Benign))
        );
        println!("  rules that harmless requests were refused by: {:?}", self.blamed);
    }
}

fn percent((refused, all): (usize, usize)) -> String {
    // Both are small.
    #[allow(clippy::cast_precision_loss)]
    let share = refused as f64 * 100.0 / all.max(1) as f64;
    format!("{share:.1} %")
}

const BEGIN: &str = "<!-- begin: starter -->\n";
const END: &str = "<!-- end: starter -->\n";

/// Holds the table in `docs/web-attacks.md` against the figures, or rewrites it. Without CRS its column cannot be told, and nothing is done.
pub fn publish(ours: &Rates, crs: Option<&Rates>) {
    let Some(crs) = crs else { return };
    let mut table = String::from(
        "| requests | number | refused by the starter rules | refused by CRS 4, level 1 |\n| --- | --- | --- | --- |\n",
    );
    let row = |name: &str, ours: (usize, usize), crs: (usize, usize)| {
        format!("| {name} | {} | {} ({}) | {} ({}) |\n", ours.1, ours.0, percent(ours), crs.0, percent(crs))
    };
    for (label, word) in [(Label::Attack, "attacks"), (Label::Benign, "harmless")] {
        for ((_, set), counts) in ours.sets.iter().filter(|((known, _), _)| *known == label) {
            table += &row(&format!("{word}: {set}"), *counts, crs.set(set));
        }
        table += &row(&format!("**all {word}**"), ours.label(label), crs.label(label));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/web-attacks.md");
    let page = std::fs::read_to_string(&path).expect("docs/web-attacks.md");
    let (before, rest) = page.split_once(BEGIN).expect("the page marks the table");
    let (told, after) = rest.split_once(END).expect("the page marks its end");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("the page can be written");
    } else {
        assert_eq!(told, table, "BLESS=1 rewrites docs/web-attacks.md");
    }
}
