//! A rule's list of actions: `id:1, phase:2, msg:'a, b', t:none`.

use crate::error::Mistake;

/// One action: its name as written and what follows the colon, without the single quotes around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

/// Splits at the commas outside single quotes. `\'` is a quote that neither opens nor closes.
pub(crate) fn split(list: &str) -> Result<Vec<Word>, Mistake> {
    let mut words = Vec::new();
    let mut piece = String::new();
    let mut inside = false;
    let mut chars = list.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' if chars.peek() == Some(&'\'') => {
                // Kept with its backslash: `unquote` must tell it from a quote that ends the value.
                piece.push_str("\\'");
                chars.next();
            }
            '\'' => {
                inside = !inside;
                piece.push('\'');
            }
            ',' if !inside => words.extend(word(&std::mem::take(&mut piece))),
            _ => piece.push(char),
        }
    }
    if inside {
        return Err(Mistake::new(list, "a single quote in the list of actions does not end"));
    }
    words.extend(word(&piece));
    Ok(words)
}

fn word(piece: &str) -> Option<Word> {
    let piece = piece.trim();
    if piece.is_empty() {
        return None;
    }
    Some(match piece.split_once(':') {
        Some((name, value)) => Word { name: name.trim().to_owned(), value: Some(unquote(value.trim())) },
        None => Word { name: piece.to_owned(), value: None },
    })
}

fn unquote(value: &str) -> String {
    value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value).replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn commas_inside_quotes_do_not_separate() {
        let list = split(r"id:1,  phase : 2,msg:'a, \'b\'', setvar:'tx.a=%{x},1',block,").unwrap();
        let list: Vec<_> = list.iter().map(|word| (word.name.as_str(), word.value.as_deref())).collect();
        assert_eq!(
            list,
            vec![
                ("id", Some("1")),
                ("phase", Some("2")),
                ("msg", Some("a, 'b'")),
                ("setvar", Some("tx.a=%{x},1")),
                ("block", None)
            ]
        );
        assert!(split("msg:'open").is_err());
    }
}
