//! What a rule file names: other rule files (`Include`, `IncludeOptional`) and files with data (`@pmFromFile`, `@pmf`,
//! `@ipMatchFromFile`, `@ipMatchF`). Pure, linear in the file, and lenient: what is no rule is the rule engine's to judge.

/// What a line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, or a pattern that must name some.
    Include,
    /// A pattern that need not name any.
    IncludeOptional,
    /// A file with words or networks.
    Data,
}

/// A file that is named in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The line, from 1, in which the directive begins.
    pub line: usize,
    /// As what.
    pub kind: Kind,
    /// As it is written.
    pub name: String,
}

/// Everything that a file names, in order.
pub fn mentions(contents: &[u8]) -> Vec<Mention> {
    let text = String::from_utf8_lossy(contents);
    let mut found = Vec::new();
    let mut directive = String::new();
    let mut begun = None;
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (piece, goes_on) = line.strip_suffix('\\').map_or((line, false), |piece| (piece, true));
        // A comment ends with its line, whatever stands at its end; within a directive there are none.
        if begun.is_none() && (line.trim_start().starts_with('#') || line.trim().is_empty()) {
            continue;
        }
        let first = *begun.get_or_insert(index + 1);
        directive.push_str(piece);
        if !goes_on {
            judge(&directive, first, &mut found);
            directive.clear();
            begun = None;
        }
    }
    if let Some(first) = begun {
        judge(&directive, first, &mut found);
    }
    found
}

fn judge(directive: &str, line: usize, found: &mut Vec<Mention>) {
    let mut rest = directive;
    let Some(name) = word(&mut rest) else { return };
    let mut named = |kind: Kind, name: String| found.push(Mention { line, kind, name });
    if name.eq_ignore_ascii_case("Include") {
        word(&mut rest).into_iter().for_each(|name| named(Kind::Include, name));
    } else if name.eq_ignore_ascii_case("IncludeOptional") {
        word(&mut rest).into_iter().for_each(|name| named(Kind::IncludeOptional, name));
    } else if name.eq_ignore_ascii_case("SecRule") {
        let operator = word(&mut rest).and_then(|_variables| word(&mut rest)).unwrap_or_default();
        let operator = operator.trim_start();
        let operator = operator.strip_prefix('!').unwrap_or(operator).trim_start();
        let Some((operator, names)) = operator.strip_prefix('@').and_then(|it| it.split_once(char::is_whitespace))
        else {
            return;
        };
        if DATA.iter().any(|known| known.eq_ignore_ascii_case(operator)) {
            names.split_ascii_whitespace().for_each(|name| named(Kind::Data, name.to_owned()));
        }
    }
}

/// Operators whose argument is a list of files.
const DATA: [&str; 4] = ["pmFromFile", "pmf", "ipMatchFromFile", "ipMatchF"];

/// The next word, or what stands between quotes; a quote after a backslash does not end it.
fn word(rest: &mut &str) -> Option<String> {
    let text = rest.trim_start();
    let first = text.chars().next()?;
    if !matches!(first, '"' | '\'') {
        let (word, behind) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
        *rest = behind;
        return Some(word.to_owned());
    }
    let mut chars = text.chars();
    chars.next();
    let mut word = String::new();
    while let Some(char) = chars.next() {
        match char {
            _ if char == first => break,
            '\\' => match chars.next() {
                Some(quote) if quote == first => word.push(quote),
                other => word.extend(std::iter::once('\\').chain(other)),
            },
            _ => word.push(char),
        }
    }
    *rest = chars.as_str();
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<(usize, Kind, String)> {
        mentions(text.as_bytes()).into_iter().map(|one| (one.line, one.kind, one.name)).collect()
    }

    fn named(text: &str) -> Vec<String> {
        found(text).into_iter().map(|(.., name)| name).collect()
    }

    #[test]
    fn includes_and_data_with_their_lines() {
        let text = "# Include no.conf \\\nInclude a.conf\r\n\n  includeoptional \"b c/*.conf\"\nSecRule ARGS \\\n  \"!@pmFromFile w.data x.data\" \\\n \"id:1\"\nSecRule REMOTE_ADDR '@ipMatchF nets'";
        let expected = [
            (2, Kind::Include, "a.conf"),
            (4, Kind::IncludeOptional, "b c/*.conf"),
            (5, Kind::Data, "w.data"),
            (5, Kind::Data, "x.data"),
            (8, Kind::Data, "nets"),
        ];
        assert_eq!(found(text), expected.map(|(line, kind, name)| (line, kind, name.to_owned())));
    }

    #[test]
    fn what_only_looks_like_it() {
        assert!(named("SecRule ARGS \"@rx @pmFromFile x\" \"id:1,msg:'@pmf y'\"").is_empty());
        assert!(
            named("SecAction \"id:1,msg:'Include z'\"\n#SecRule A \"@pmf x\"\nIncludes x\nSecRule A @pmf").is_empty()
        );
        assert!(named("SecRule A \"@contains \\\" @pmf x\" \"id:1\"").is_empty());
        assert_eq!(named("SecRule A \"@pmf   x\\\ny.data\""), ["xy.data"], "a line that goes on");
        assert_eq!(named("Include"), [""; 0]);
        assert_eq!(named("SecRule A \"@pmf unclosed"), ["unclosed"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_through(bytes in proptest::collection::vec(any::<u8>(), 0..300), rule in "(SecRule|Include|[\"'\\\\ a@!\n])*") {
            drop(mentions(&bytes));
            drop(mentions(rule.as_bytes()));
        }
    }
}
