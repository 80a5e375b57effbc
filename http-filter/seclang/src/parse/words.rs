//! The arguments of a directive: words between white space, or anything between quotes.

use crate::error::Mistake;

/// Splits a logical line into the directive's name and its arguments. In double quotes `\"` stands for a quote, any other backslash for
/// itself (patterns are full of them); in single quotes `\'` likewise.
pub(crate) fn split(line: &str) -> Result<Vec<String>, Mistake> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, tail) = match first {
            '"' | '\'' => quoted(rest, first)?,
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest.get(..end).unwrap_or_default().to_owned(), rest.get(end..).unwrap_or_default())
            }
        };
        words.push(word);
        rest = tail.trim_start();
    }
    Ok(words)
}

/// The text up to the closing quote, and what follows it. `rest` begins with the opening quote.
fn quoted(rest: &str, quote: char) -> Result<(String, &str), Mistake> {
    let mut word = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char == quote {
            return Ok((word, rest.get(at + 1..).unwrap_or_default()));
        }
        if char == '\\' {
            match chars.peek() {
                Some((_, next)) if *next == quote => {
                    word.push(quote);
                    chars.next();
                    continue;
                }
                // Two backslashes stay two; the second must not be taken for the one that protects a quote.
                Some((_, '\\')) => {
                    word.push_str("\\\\");
                    chars.next();
                    continue;
                }
                _ => {}
            }
        }
        word.push(char);
    }
    Err(Mistake::new(rest, "a quoted argument does not end").allowed(format!("close it with {quote}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quotes_and_backslashes() {
        assert_eq!(
            split(r#"SecRule A|B "@rx \"x\s\\" "id:1,msg:'it\'s'""#).unwrap(),
            vec!["SecRule", "A|B", r#"@rx "x\s\\"#, r"id:1,msg:'it\'s'"]
        );
        assert_eq!(split("  SecMarker   'END A' ").unwrap(), vec!["SecMarker", "END A"]);
        assert!(split(r#"SecRule A "open"#).is_err());
    }
}
