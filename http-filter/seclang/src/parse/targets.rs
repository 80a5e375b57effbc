//! A rule's list of variables: `ARGS|!ARGS:/^x|y/|&REQUEST_HEADERS:Host`.

/// Splits at every `|` that is not inside a `/pattern/` or quotes (`TX:'/a|b/'`).
pub(crate) fn split(list: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut piece = String::new();
    let mut pattern = false;
    let mut quoted = false;
    let mut before = '\0';
    let mut chars = list.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\'' if !pattern => quoted = !quoted,
            // A pattern begins right after the colon (or its quote) and ends at a slash before `|`, a quote or the end. The XPath `/*` of
            // XML is no pattern.
            '/' if pattern => pattern = !matches!(chars.peek(), None | Some('|' | '\'')) || before == '\\',
            '/' if !pattern && (before == ':' || before == '\'') && !xml(&piece) => pattern = true,
            _ => {}
        }
        before = char;
        if char == '|' && !pattern && !quoted {
            targets.push(std::mem::take(&mut piece));
        } else {
            piece.push(char);
        }
    }
    targets.push(piece);
    targets.into_iter().map(|target| target.trim().to_owned()).filter(|target| !target.is_empty()).collect()
}

fn xml(piece: &str) -> bool {
    piece.trim_start_matches(['!', '&', ' ']).get(..4).is_some_and(|head| head.eq_ignore_ascii_case("XML:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_quotes_hold_bars() {
        assert_eq!(
            split("ARGS|!ARGS:/^x|y/|XML:/*|XML://@*|&TX:'/A|B/'|TX:a"),
            vec!["ARGS", "!ARGS:/^x|y/", "XML:/*", "XML://@*", "&TX:'/A|B/'", "TX:a"]
        );
        assert_eq!(split(r"TX:/a\/|b/|ARGS"), vec![r"TX:/a\/|b/", "ARGS"]);
    }
}
