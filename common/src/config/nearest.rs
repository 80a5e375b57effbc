//! The nearest spelling of a word among the allowed ones, for "did you mean". Pure.

/// Longer words are not compared: nobody mistypes a word of that length into another one.
const MAX_WORD: usize = 64;

/// The candidate that is nearest to `word`, if one is near enough to be what was meant.
///
/// Near enough is a third of the word's length in single-character edits (a swap of neighbours is one edit, an
/// upper-case letter or `_` for `-` none).
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = fold(word);
    if wanted.is_empty() || wanted.len() > MAX_WORD {
        return None;
    }
    let most = (wanted.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, &fold(candidate)), candidate))
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> Vec<char> {
    word.chars().take(MAX_WORD + 1).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Optimal string alignment distance: insert, delete, replace, swap neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    // Three rows are enough: this one, the one above, and the one above that (for swaps).
    let mut above_that: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut left_char = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        let mut before = None;
        for (j, &y) in b.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(&above, j) + usize::from(x != y)).min(at(&above, j + 1).saturating_add(1)).min(at(&row, j) + 1);
            if j > 0 && left_char == Some(y) && before == Some(x) {
                best = best.min(at(&above_that, j - 1).saturating_add(1));
            }
            row.push(best);
            before = Some(y);
        }
        above_that = std::mem::replace(&mut above, row);
        left_char = Some(x);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        let d = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(d("", "abc"), 3);
        assert_eq!(d("abc", ""), 3);
        assert_eq!(d("abc", "abc"), 0);
        assert_eq!(d("abc", "acb"), 1);
        assert_eq!(d("kitten", "sitting"), 3);
        assert_eq!(d("clinet_hello", "client_hello"), 1);
    }

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let keys = ["client_hello_limit", "client_hello_deadline", "max_hellos"];
        assert_eq!(nearest("clienthello_limit", keys), Some("client_hello_limit"));
        assert_eq!(nearest("max-hellos", keys), Some("max_hellos"));
        assert_eq!(nearest("banana", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }
}
