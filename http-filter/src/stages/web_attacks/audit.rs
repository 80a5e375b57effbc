//! The record of what rules found in one request: what an operator needs in order to understand a refusal and, if it was none, to exclude the
//! rule. It becomes one line of the log, and two fields of the request's own line.
//!
//! Attackers write most of it. Values are shortened, and everything is escaped by the log itself. Secrets of honest users must not come in: what
//! belongs to a name that sounds like a secret (`mask`) is left out wherever it stands.

use std::sync::Arc;

use common::config::WebAttackMode;
use common::observe::line::Line;
use common::observe::output;
use http::header::HeaderValue;
use seclang::{Hit, Transaction};

use crate::journey::Account;
use crate::observe::access_line;

/// Hits that a record shows, and ids that a request's line does.
pub const HITS: usize = 32;
/// Bytes of a matched value that a record shows.
const VALUE: usize = 100;
/// Bytes of the hits in one line: with what says whose they are, less than a pipe takes as one piece (4,096).
const LINE: usize = 2500;
/// Bytes of other texts.
const TEXT: usize = 256;
/// Bytes that the engine remembers of each text: enough to find the end of what is left out.
pub const REMEMBERED: usize = 512;
/// Tags of a hit that are shown, and what they begin with: the others name platforms and standards.
const TAGS: (usize, &str) = (8, "attack-");
/// What stands for a secret.
const MASKED: &[u8] = b"(masked)";

/// See the module's words.
#[derive(Clone, Debug)]
pub struct Record {
    /// Detect or block.
    pub mode: WebAttackMode,
    /// It was refused.
    pub refused: bool,
    /// It was not, and would have been in block mode.
    pub detected: bool,
    /// The anomaly score of the request; 0 if the rules keep none.
    pub score: i64,
    /// The same of the answer.
    pub outbound_score: i64,
    /// Rules that matched, once each, with commas between.
    pub rules: String,
    /// Why not all of the request was looked at, or why it was refused.
    pub note: Option<&'static str>,
    /// Where the client is sent instead of an answer.
    pub location: Option<HeaderValue>,
    hits: Vec<Entry>,
    /// Hits that are not shown.
    more: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    message: Vec<u8>,
    tags: Vec<Arc<str>>,
    severity: Option<u8>,
    variable: Vec<u8>,
    value: Vec<u8>,
    data: Vec<u8>,
    place: String,
    disruptive: bool,
}

impl Record {
    /// What a transaction found; `mask` in lower case.
    pub fn of(transaction: &Transaction, mode: WebAttackMode, mask: &[Arc<str>]) -> Self {
        let hits = transaction.hits();
        let mut ids: Vec<u64> = Vec::new();
        for hit in hits {
            if !ids.contains(&hit.rule) && ids.len() < HITS {
                ids.push(hit.rule);
            }
        }
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        Self {
            score: score(transaction, &["blocking_inbound_anomaly_score", "inbound_anomaly_score", "anomaly_score"]),
            outbound_score: score(transaction, &["blocking_outbound_anomaly_score", "outbound_anomaly_score"]),
            rules: ids.join(","),
            hits: hits.iter().take(HITS).map(|hit| Entry::of(hit, mask)).collect(),
            more: transaction.hit_count().saturating_sub(hits.len().min(HITS)),
            ..Self::empty(mode)
        }
    }

    /// Of a request about which nothing is known.
    pub fn empty(mode: WebAttackMode) -> Self {
        Self {
            mode,
            refused: false,
            detected: false,
            score: 0,
            outbound_score: 0,
            rules: String::new(),
            note: None,
            location: None,
            hits: Vec::new(),
            more: 0,
        }
    }

    /// A rule refused the request, or would have.
    pub fn is_disruptive(&self) -> bool {
        self.hits.iter().any(|hit| hit.disruptive)
    }

    /// The rules that matched, once each.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.split(',').filter(|id| !id.is_empty())
    }

    /// Each hit for people: the rule, and what it found where.
    pub fn hits_in_words(&self) -> impl Iterator<Item = (u64, String)> + '_ {
        self.hits.iter().map(|hit| {
            let [message, variable] = [&hit.message, &hit.variable].map(|text| printable(text, TEXT));
            (hit.id, format!("{message}: {variable} = {} ({})", printable(&hit.value, VALUE), hit.place))
        })
    }

    /// Nothing was found, and all of it was looked at.
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty() && self.note.is_none()
    }

    /// The request's own line is written, whatever share of the others is.
    pub fn is_remarkable(&self) -> bool {
        self.refused || self.detected || self.score > 0 || self.note.is_some()
    }

    /// Its fields of the request's line.
    pub fn fields(&self, line: &mut Line<'_>) {
        if !self.hits.is_empty() && (self.refused || self.detected || self.score > 0 || self.outbound_score > 0) {
            line.number("attack_score", unsigned(self.score.max(self.outbound_score)));
            line.text("attack_rules", &self.rules);
        }
        if let Some(note) = self.note {
            line.word("attack_note", note);
        }
    }
}

/// The first of these variables that is above 0.
fn score(transaction: &Transaction, names: &[&str]) -> i64 {
    names.iter().map(|name| transaction.score(name)).find(|score| *score > 0).unwrap_or(0)
}

/// The beginning of a text, safe for a terminal.
fn printable(text: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let (shown, more) = (text.chars().take(most), text.chars().nth(most).is_some());
    let mut shown: String = shown.map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect();
    if more {
        shown.push_str("...");
    }
    shown
}

fn unsigned(score: i64) -> u64 {
    u64::try_from(score).unwrap_or(0)
}

impl Entry {
    fn of(hit: &Hit, mask: &[Arc<str>]) -> Self {
        let secret = names_a_secret(&hit.variable, mask);
        let shown = |text: &[u8]| match secret && !hit.value.is_empty() && contains(text, &hit.value) {
            true => MASKED.to_vec(),
            false => hide(text, mask),
        };
        Self {
            id: hit.rule,
            message: shown(&hit.message),
            tags: hit.tags.iter().filter(|tag| tag.starts_with(TAGS.1)).take(TAGS.0).cloned().collect(),
            severity: hit.severity,
            variable: hit.variable.clone(),
            value: if secret { MASKED.to_vec() } else { hide(&hit.value, mask) },
            data: if secret { MASKED.to_vec() } else { hide(&hit.data, mask) },
            place: format!("{}:{}", hit.place.file.display(), hit.place.line),
            disruptive: hit.disruptive,
        }
    }

    /// Bytes that it takes in a line at most, more or less.
    fn length(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 3).sum();
        let texts = [(&self.message, TEXT), (&self.variable, TEXT), (&self.value, VALUE), (&self.data, TEXT)];
        texts.map(|(text, most)| escaped(text, most)).iter().sum::<usize>() + tags + self.place.len() + 120
    }

    fn write(&self, line: &mut Line<'_>) {
        line.number("id", self.id);
        line.bytes("message", &self.message, TEXT);
        line.texts("tags", self.tags.iter().map(|tag| &**tag));
        if let Some(severity) = self.severity {
            line.number("severity", severity.into());
        }
        line.bytes("variable", &self.variable, TEXT);
        line.bytes("value", &self.value, VALUE);
        line.bytes("data", &self.data, TEXT);
        line.text("place", &self.place);
    }
}

/// Writes the record: a line, or several that name their `part` where many rules matched. Longer lines than [`LINE`] would be torn apart by those
/// of other processes where all write into one pipe (`common::observe::output`).
pub fn write(record: &Record, account: &Account) {
    let (mut rest, mut part) = (record.hits.as_slice(), 1);
    while !rest.is_empty() {
        let (hits, later) = rest.split_at_checked(fitting(rest)).unwrap_or((rest, &[]));
        output::access("web-attack", |line| {
            access_line::subject(account, line);
            line.word("mode", if record.mode == WebAttackMode::Detect { "detect" } else { "block" });
            line.flag("refused", record.refused);
            if record.detected {
                line.flag("detected", true);
            }
            line.number("score", unsigned(record.score));
            line.number("outbound_score", unsigned(record.outbound_score));
            if part > 1 || !later.is_empty() {
                line.number("part", part);
            }
            line.list("hits", hits, |line, hit| hit.write(line));
            if later.is_empty() && record.more > 0 {
                line.number("more", u64::try_from(record.more).unwrap_or(u64::MAX));
            }
        });
        (rest, part) = (later, part + 1);
    }
}

/// How many of these fit into one line; at least one.
fn fitting(hits: &[Entry]) -> usize {
    let mut room = LINE;
    let fits = |hit: &&Entry| {
        let left = room.checked_sub(hit.length());
        room = left.unwrap_or(0);
        left.is_some()
    };
    hits.iter().take_while(fits).count().max(1)
}

/// Bytes that a text takes in the log at most, cut at `most`.
fn escaped(text: &[u8], most: usize) -> usize {
    text.iter().take(most).map(|byte| if matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte) { 1 } else { 6 }).sum()
}

/// Whether the values of this variable are secret.
fn names_a_secret(variable: &[u8], mask: &[Arc<str>]) -> bool {
    mask.iter().any(|word| find(variable, word.as_bytes()).is_some())
}

/// Where a word stands, in any case of letters.
fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    if word.is_empty() {
        return None;
    }
    text.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}

/// A text without what follows a secret's name in it: `a=1&password=x&b=2`, `"token": "x"`, `Cookie: x`.
fn hide(text: &[u8], mask: &[Arc<str>]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((name, secret)) = next_secret(rest, mask) {
        let (before, after) = rest.split_at_checked(name).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        out.extend_from_slice(MASKED);
        rest = after.get(secret..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// Where the next secret begins, and how long it is.
fn next_secret(text: &[u8], mask: &[Arc<str>]) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let words = mask.iter().filter_map(|word| Some((find(rest, word.as_bytes())?, word.len())));
        let (at, length) = words.min()?;
        let behind = from + at + length;
        if let Some((begin, end)) = value_behind(text.get(behind..)?) {
            return Some((behind + begin, end - begin));
        }
        from = behind;
    }
}

/// Behind a part of a name: the rest of the name, a sign, and the value that follows; where that begins and ends.
fn value_behind(text: &[u8]) -> Option<(usize, usize)> {
    let skip = |from: usize, test: &dyn Fn(u8) -> bool| {
        from + text.get(from..).unwrap_or_default().iter().take_while(|byte| test(**byte)).count()
    };
    let name = skip(0, &|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte));
    let sign = skip(name, &|byte| b"\"' \t".contains(&byte));
    let wide = match text.get(sign)? {
        b'=' => false,
        b':' => true,
        _ => return None,
    };
    let open = skip(sign + 1, &|byte| b" \t".contains(&byte));
    let quote = text.get(open).copied().filter(|byte| b"\"'".contains(byte));
    let begin = open + usize::from(quote.is_some());
    let end = match (quote, wide) {
        (Some(quote), _) => skip(begin, &|byte| byte != quote),
        // A header field goes on to its end.
        (None, true) => skip(begin, &|byte| !b"\r\n,}&\"'".contains(&byte)),
        (None, false) => skip(begin, &|byte| !b"&;, \t\r\n\"'<>}".contains(&byte)),
    };
    (end > begin).then_some((begin, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Vec<Arc<str>> {
        ["password", "token", "cookie", "authorization"].map(Arc::from).into()
    }

    fn hidden(text: &str) -> String {
        String::from_utf8_lossy(&hide(text.as_bytes(), &mask())).into_owned()
    }

    #[test]
    fn secrets_stay_out_of_records_wherever_they_stand() {
        for (text, expected) in [
            ("a=1&password=geheim&b=2", "a=1&password=(masked)&b=2"),
            ("user[Password_2]=x", "user[Password_2]=(masked)"),
            ("{\"access_token\": \"abc def\", \"n\": 1}", "{\"access_token\": \"(masked)\", \"n\": 1}"),
            ("token:abc", "token:(masked)"),
            ("Authorization: Bearer abc.def", "Authorization: (masked)"),
            ("found within ARGS:q: my password is secret", "found within ARGS:q: my password is secret"),
            ("password=", "password="),
            ("password=a password=b", "password=(masked) password=(masked)"),
            ("no secret", "no secret"),
            ("", ""),
        ] {
            assert_eq!(hidden(text), expected);
        }
        assert!(names_a_secret(b"ARGS:user_PASSWORD", &mask()) && names_a_secret(b"REQUEST_COOKIES:id", &mask()));
        assert!(!names_a_secret(b"ARGS:q", &mask()));
    }

    #[test]
    fn records_are_cut_into_lines() {
        let entry = |length: usize, byte: u8| Entry {
            id: 1,
            message: Vec::new(),
            tags: Vec::new(),
            severity: None,
            variable: Vec::new(),
            value: Vec::new(),
            data: vec![byte; length],
            disruptive: false,
            place: String::new(),
        };
        let many: Vec<Entry> = (0..32).map(|_| entry(80, b'a')).collect();
        assert_eq!(fitting(&many), LINE / 200);
        assert_eq!(fitting(&[entry(5000, 0), entry(1, b'a')]), 2, "what is cut off takes no room");
        assert_eq!(fitting(&[entry(256, 0), entry(256, 0)]), 1);
    }

    #[test]
    fn masking_ends_on_any_bytes() {
        let all: Vec<u8> = (0..=255).cycle().take(4096).collect();
        assert_eq!(hide(&all, &mask()), all);
        let many = b"token=".repeat(500);
        assert!(hide(&many, &mask()).len() <= many.len() + MASKED.len());
    }
}
