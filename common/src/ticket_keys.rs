//! The file with the keys of session tickets, as text: read by tls-terminator, written by `bulkhead ticket-keys rotate`. Pure.
//!
//! One key a line, base64 of 48 to 96 random bytes. The first key encrypts, all of them decrypt. The second is the next one: it is in
//! the file for a whole period before it encrypts, so whoever has read the file one rotation ago understands the tickets of whoever has
//! read it now. That is what makes a rotation over several processes and machines, which never happens at one instant, lose nothing.
//!
//! It must never put a byte of a key into a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Fewest random bytes of one key.
pub const MIN_KEY: usize = 48;
/// Most of them.
pub const MAX_KEY: usize = 96;
/// Most keys in one file.
pub const MAX_KEYS: usize = 16;
/// Keys that a rotation keeps unless told otherwise: one that encrypts, the next one, and two earlier ones.
pub const KEEP: usize = 4;
/// Largest file, in bytes.
pub const MAX_FILE: usize = 64 * 1024;

const HEAD: &str = "\
# Keys of TLS session tickets: the first encrypts, the second is the next one, all decrypt.
# Secret. Rotated by `bulkhead ticket-keys rotate`; `bulkhead reload` puts it to work.
";

/// Reads the keys, in their order.
///
/// # Errors
/// What is wrong, with the line and without the key.
pub fn parse(text: &str) -> Result<Vec<Vec<u8>>, String> {
    if text.len() > MAX_FILE {
        return Err(format!("the file is larger than {MAX_FILE} bytes"));
    }
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for (number, line) in lines(text) {
        let key = STANDARD.decode(line).map_err(|_| format!("line {number} is not base64"))?;
        if !(MIN_KEY..=MAX_KEY).contains(&key.len()) {
            return Err(format!("line {number} has {} bytes, a key has {MIN_KEY} to {MAX_KEY}", key.len()));
        }
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return Err(format!("line {number} is not random: all its bytes are the same"));
        }
        if keys.contains(&key) {
            return Err(format!("line {number} repeats an earlier key"));
        }
        if keys.len() == MAX_KEYS {
            return Err(format!("there are more than {MAX_KEYS} keys"));
        }
        keys.push(key);
    }
    if keys.is_empty() { Err("there is no key in it".to_owned()) } else { Ok(keys) }
}

/// The lines with keys, each with its number.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The file after a rotation: the next key encrypts, `fresh` (base64) is the next one, the earlier ones follow, `keep` in all. Without an
/// earlier file, `first` encrypts.
#[must_use]
pub fn rotated(old: Option<&str>, [first, fresh]: [&str; 2], keep: usize) -> String {
    let old: Vec<&str> = old.map(|text| lines(text).map(|(_, line)| line).collect()).unwrap_or_default();
    let (now, earlier): (&str, Vec<&str>) = match old.as_slice() {
        [] => (first, Vec::new()),
        [current] => (first, vec![current]),
        [current, next, rest @ ..] => (next, [current].into_iter().chain(rest).copied().collect()),
    };
    let mut text = HEAD.to_owned();
    for key in [now, fresh].into_iter().chain(earlier).take(keep.clamp(2, MAX_KEYS)) {
        text.push_str(key);
        text.push('\n');
    }
    text
}

/// A key as a line of the file.
#[must_use]
pub fn encode(random: &[u8; MIN_KEY]) -> String {
    STANDARD.encode(random)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn key(number: u8) -> String {
        let mut bytes = [number; MIN_KEY];
        bytes[0] = 255;
        encode(&bytes)
    }

    #[test]
    fn what_is_no_file_of_keys_is_named_without_being_shown() {
        let (one, two) = (key(1), key(2));
        let same = STANDARD.encode([7; 48]);
        let (short, long) = (STANDARD.encode([1, 2, 3]), STANDARD.encode((0..97).collect::<Vec<u8>>()));
        for (text, says) in [
            (String::new(), "no key"),
            ("# only words\n\n".to_owned(), "no key"),
            (format!("{one}\nnot base64!\n"), "line 2 is not base64"),
            (short, "line 1 has 3 bytes"),
            (long, "line 1 has 97 bytes"),
            (same, "not random"),
            (format!("{one}\n# x\n{two}\n{one}"), "line 4 repeats"),
            ((0..17).map(|n| key(n) + "\n").collect(), "more than 16"),
            ("x".repeat(MAX_FILE + 1), "larger than"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(says) && !error.contains(&one), "{error}");
        }
        assert_eq!(parse(&format!("# keys\r\n  {one}  \r\n\n{two}")).unwrap().len(), 2);
    }

    #[test]
    fn a_key_is_known_everywhere_before_it_encrypts() {
        let mut text = rotated(None, [&key(0), &key(1)], KEEP);
        let keys = |text: &str| parse(text).unwrap();
        assert_eq!(keys(&text).len(), 2);
        for number in 2..8 {
            let before = keys(&text);
            text = rotated(Some(&text), [&key(100), &key(number)], KEEP);
            let after = keys(&text);
            assert_eq!(after[0], before[1], "the next one encrypts now, and whoever has the old file has it");
            assert_eq!(after[2], before[0], "the one that encrypted still decrypts");
            assert_eq!(after.len(), (usize::from(number) + 1).min(KEEP));
            assert!(!before.contains(&after[1]));
        }
        // Somebody wrote a single line by hand.
        let single = rotated(Some(&key(9)), [&key(10), &key(11)], KEEP);
        assert_eq!(keys(&single).len(), 3);
        assert_eq!(lines(&single).nth(2).unwrap().1, key(9));
        assert_eq!(keys(&rotated(Some(&single), [&key(12), &key(13)], 0)).len(), 2, "never fewer than two");
    }
}
