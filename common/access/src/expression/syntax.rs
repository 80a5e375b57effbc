//! Before and around the parser: brackets are counted before it begins, and its complaints are told in our words. Pure.

use super::{MAX_NESTING, Problem};

/// The parser needs much of the stack for every bracket that is open, so brackets are counted before it begins.
pub(super) fn nesting(text: &str) -> Result<(), Problem> {
    let (mut open, mut rest) = (0_usize, text.char_indices());
    let mut before = ' ';
    while let Some((at, c)) = rest.next() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            '"' | '\'' => rest = behind_text(text, at, matches!(before, 'r' | 'R')),
            _ => {}
        }
        if open > MAX_NESTING {
            let what = format!("more than {MAX_NESTING} brackets are open here");
            return Err(Problem { at: at..at + 1, what, label: "here".to_owned(), help: None });
        }
        before = c;
    }
    Ok(())
}

/// What follows the text literal that begins at `from`.
fn behind_text(text: &str, from: usize, raw: bool) -> std::str::CharIndices<'_> {
    let rest = text.get(from..).unwrap_or_default();
    let quote = ["\"\"\"", "\'\'\'", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote)).unwrap_or("'");
    let mut at = from + quote.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty() && !rest.starts_with(quote)) {
        let mut characters = rest.chars();
        let escaped = characters.next() == Some('\\') && !raw;
        at += rest.len() - characters.as_str().len();
        at += if escaped { characters.next().map_or(0, char::len_utf8) } else { 0 };
    }
    let mut all = text.char_indices();
    while all.offset() < at + quote.len() && all.next().is_some() {}
    all
}

/// The first complaint of the parser in our words.
pub(super) fn complaint(text: &str, errors: &cel::ParseErrors) -> Problem {
    let (line, column, message) =
        errors.errors.first().map_or((1, 1, ""), |error| (error.pos.0, error.pos.1, &*error.msg));
    let line = usize::try_from(line - 1).unwrap_or_default();
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let column = usize::try_from(column - 1).unwrap_or_default();
    let rest = text.get(start..).unwrap_or_default();
    let at = start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    if message.contains("Recursion limit") {
        let what = "the expression is nested too deep".to_owned();
        return Problem { at: 0..text.len(), what, label: "here".to_owned(), help: None };
    }
    // The list of all tokens that could stand there helps nobody.
    let short = message.split(" expecting {").next().unwrap_or(message).replace("<EOF>", "end of the expression");
    Problem {
        at: at..at + 1,
        what: format!("this is not an expression in CEL: {short}"),
        label: "here".to_owned(),
        help: Some("for example `request.path.startsWith(\"/api/\") && !(\"x-key\" in request.headers)`".to_owned()),
    }
}
