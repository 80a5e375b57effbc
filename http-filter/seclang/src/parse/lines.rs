//! Logical lines: a line that ends in a backslash goes on in the next; comments and empty lines are left out.

/// One logical line and the number of the physical line on which it begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// The logical lines of `text`. A comment ends with its physical line, as in Apache; a comment inside a continued directive is text of it.
pub(crate) fn logical(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    for (index, raw) in text.split('\n').enumerate() {
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        let (piece, goes_on) = match raw.strip_suffix('\\') {
            Some(piece) => (piece, true),
            None => (raw, false),
        };
        if open.is_none() && (raw.trim_start().starts_with('#') || raw.trim().is_empty()) {
            continue;
        }
        let line = open.get_or_insert_with(|| Line { number: index + 1, text: String::new() });
        line.text.push_str(piece);
        if !goes_on {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    for line in &mut lines {
        line.text = line.text.trim().to_owned();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(usize, String)> {
        logical(text).into_iter().map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn lines_go_on_after_a_backslash_and_keep_their_first_number() {
        assert_eq!(
            texts("# c\n\nSecRule A \\\n  \"@rx x\" \\\r\n  \"id:1\"\nSecMarker M"),
            vec![(3, "SecRule A   \"@rx x\"   \"id:1\"".to_owned()), (6, "SecMarker M".to_owned())]
        );
    }

    #[test]
    fn a_commented_rule_stays_out_as_a_whole() {
        assert_eq!(texts("#SecRule A \\\n#  x\nSecAction \\"), vec![(3, "SecAction".to_owned())]);
    }
}
