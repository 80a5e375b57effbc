//! The command line as a table: `bulkhead help`, the manual page and the completions are drawn from it, so they cannot disagree
//! with one another, and a test holds the parser ([`crate::command_line`]) to it. Data and layout; it reads no words.

mod forms;

pub use forms::FORMS;

/// Widest line of the usage text.
const WIDTH: usize = 126;
/// Where meanings begin.
const MEANING: usize = 34;
/// Where a form that is too long for a line goes on.
const INDENT: usize = 19;

/// One way to call `bulkhead`.
#[derive(Debug)]
pub struct Form {
    /// The first word.
    pub verb: &'static str,
    /// What follows it.
    pub words: &'static [Word],
    /// What it does, in a line.
    pub meaning: &'static str,
    /// More of it, for the manual page; Markdown's back ticks mark what is typed. May be empty.
    pub long: &'static str,
}

/// One word of a form, or a flag with its value.
#[derive(Debug)]
pub enum Word {
    /// A word that stands there as it is.
    Literal(&'static str),
    /// A value that must be given.
    Needed(Value),
    /// A value that may be given.
    Optional(Value),
    /// A flag that makes this form what it is.
    Mode(&'static str),
    /// A flag without a value, and what it changes.
    Flag(&'static str, &'static str),
    /// A flag with a value, and what it says.
    Setting(&'static str, Value, &'static str),
    /// The same, as often as one likes.
    Settings(&'static str, Value, &'static str),
    /// Whose processes: `CONFIG`, `--config CONFIG` or `--runtime-dir DIR`.
    Where,
    /// The same where a bare `CONFIG` would be taken for something else.
    Place,
}

/// The place of a value.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// As the usage shows it.
    pub name: &'static str,
    /// What belongs there.
    #[cfg_attr(not(test), allow(dead_code))] // completions are drawn by a test (src/manual/mod.rs)
    pub kind: Kind,
}

/// What a value is; completions offer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))] // as above
pub enum Kind {
    /// A configuration.
    Config,
    /// Some file.
    File,
    /// A path of a key.
    Key,
    /// One of the verbs.
    Verb,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Words that nobody can know beforehand; an example.
    Text(&'static str),
}

/// A flag of [`Word::Where`] and [`Word::Place`], its value, and what it says.
pub const PLACES: [(&str, &str, &str); 2] = [
    ("--config", "CONFIG", "The processes of this configuration; default `/etc/bulkhead/bulkhead.toml`."),
    ("--runtime-dir", "DIR", "The processes whose sockets lie in this folder; no configuration is read."),
];

impl Form {
    /// `bulkhead status`
    pub fn begin(&self) -> String {
        format!("bulkhead {}", self.verb)
    }

    /// What follows, as the usage shows it.
    pub fn shown(&self) -> impl Iterator<Item = String> {
        self.words.iter().map(Word::shown)
    }

    fn line(&self) -> String {
        let mut lines = vec![format!("  {}", self.begin())];
        for word in self.shown() {
            let last = lines.last_mut().map_or(0, |line| line.chars().count());
            if last + 1 + word.chars().count() > WIDTH {
                lines.push(" ".repeat(INDENT - 1));
            }
            if let Some(line) = lines.last_mut() {
                line.push(' ');
                line.push_str(&word);
            }
        }
        let mut text = lines.join("\n");
        if text.chars().count() + 2 > MEANING {
            text.push_str(&format!("\n{:MEANING$}{}\n", "", self.meaning));
        } else {
            text = format!("{text:MEANING$}{}\n", self.meaning);
        }
        text
    }
}

impl Word {
    /// Its flags with what they mean, for a longer text.
    pub fn flags(&self) -> Vec<(String, &'static str)> {
        match *self {
            Self::Flag(flag, meaning) => vec![(flag.to_owned(), meaning)],
            Self::Setting(flag, value, meaning) | Self::Settings(flag, value, meaning) => {
                vec![(format!("{flag} {}", value.name), meaning)]
            }
            Self::Where | Self::Place => {
                PLACES.iter().map(|(flag, value, meaning)| (format!("{flag} {value}"), *meaning)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// As the usage shows it.
    pub fn shown(&self) -> String {
        match self {
            Self::Literal(word) | Self::Mode(word) => (*word).to_owned(),
            Self::Needed(value) => value.name.to_owned(),
            Self::Optional(value) => format!("[{}]", value.name),
            Self::Flag(flag, _) => format!("[{flag}]"),
            Self::Setting(flag, value, _) => format!("[{flag} {}]", value.name),
            Self::Settings(flag, value, _) => format!("[{flag} {}]...", value.name),
            Self::Where => "[WHERE]".to_owned(),
            Self::Place => "[--config FILE | --runtime-dir DIR]".to_owned(),
        }
    }
}

/// Shown for `help` and under every complaint.
pub fn text() -> String {
    let forms: String = FORMS.iter().map(Form::line).collect();
    format!(
        "bulkhead: a reverse and forward proxy in five separate processes\n\n{forms}\n  \
         WHERE is CONFIG (or --config CONFIG) or --runtime-dir DIR; without it, {}.\n  \
         Exit codes: 0 all well; 1 something is wrong, standard error says what; 64 the command line was not understood.\n",
        crate::command_line::DEFAULT_CONFIG
    )
}

/// Shown for `help VERB`; `None`: there is no such verb.
pub fn about(verb: &str) -> Option<String> {
    let about = |form: &Form| {
        let mut text = form.line();
        if !form.long.is_empty() {
            text.push_str(&fold(form.long, 6));
        }
        for (flag, meaning) in form.words.iter().flat_map(Word::flags) {
            text.push_str(&format!("      {flag}\n{}", fold(meaning, 10)));
        }
        text
    };
    let texts: Vec<String> = FORMS.iter().filter(|form| form.verb == verb).map(about).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// Lines of at most [`WIDTH`], each behind so many blanks.
fn fold(text: &str, indent: usize) -> String {
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > indent && last + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(indent));
        }
        if let Some(line) = lines.last_mut() {
            if line.len() > indent {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use super::*;
    use crate::command_line::read;

    /// Flags that the parser knows and nobody types: systemd and `bulkhead up` say them; help and version by habit.
    const UNSPOKEN: [&str; 4] = ["--stdin", "--serve", "--help", "--version"];

    fn sample(value: &Value) -> &'static str {
        match value.kind {
            Kind::Config | Kind::File => "some.file",
            Kind::Key => "log.level",
            Kind::Verb => "status",
            Kind::Choice(words) => words[0],
            Kind::Text(example) => example,
        }
    }

    /// The words of a form; with everything that may be left out, or without.
    fn spoken(form: &Form, whole: bool) -> Vec<OsString> {
        let mut words = vec![form.verb];
        for word in form.words {
            match word {
                Word::Literal(word) | Word::Mode(word) => words.push(word),
                Word::Needed(value) => words.push(sample(value)),
                Word::Optional(value) if whole => words.push(sample(value)),
                Word::Flag(flag, _) if whole => words.push(flag),
                Word::Setting(flag, value, _) | Word::Settings(flag, value, _) if whole => {
                    words.extend([*flag, sample(value)]);
                }
                Word::Where | Word::Place if whole => words.extend(["--config", "some.file"]),
                _ => {}
            }
        }
        words.into_iter().map(OsString::from).collect()
    }

    #[test]
    fn every_form_is_understood_whole_and_at_its_shortest() {
        for form in FORMS {
            for whole in [true, false] {
                let words = spoken(form, whole);
                assert!(read(words.clone()).is_ok(), "{words:?}: {:?}", read(words.clone()));
            }
        }
    }

    #[test]
    fn every_flag_of_a_form_is_understood_by_itself() {
        for form in FORMS {
            for word in form.words {
                let (flag, value) = match word {
                    Word::Flag(flag, _) => (*flag, None),
                    Word::Setting(flag, value, _) | Word::Settings(flag, value, _) => (*flag, Some(sample(value))),
                    _ => continue,
                };
                let mut words = spoken(form, false);
                words.extend([flag].into_iter().chain(value).map(OsString::from));
                assert!(read(words.clone()).is_ok(), "{words:?}: {:?}", read(words.clone()));
            }
        }
    }

    /// Every flag that the sources of the parser name, and every verb, stand in the table.
    #[test]
    fn the_parser_understands_nothing_that_the_table_does_not_say() {
        let mut known: BTreeSet<&str> = UNSPOKEN.into_iter().chain(PLACES.map(|(flag, ..)| flag)).collect();
        for word in FORMS.iter().flat_map(|form| form.words) {
            if let Word::Mode(flag) | Word::Flag(flag, _) | Word::Setting(flag, ..) | Word::Settings(flag, ..) = word {
                known.insert(flag);
            }
        }
        let sources = [
            include_str!("command_line.rs"),
            include_str!("explain/words.rs"),
            include_str!("../common/src/rules_test.rs"),
        ];
        let mut seen = BTreeSet::new();
        for source in sources.map(|source| source.split("#[cfg(test)]").next().unwrap()) {
            let words = source.split('"').skip(1).step_by(2);
            seen.extend(words.filter(|word| word.starts_with("--") && !word.contains(' ')));
        }
        assert!(seen.len() > 15, "this test no longer sees what it should: {seen:?}");
        let unsaid: Vec<_> = seen.difference(&known).collect();
        assert!(unsaid.is_empty(), "the parser knows {unsaid:?}, src/usage/forms.rs does not");
        // The words behind `demo` are for the demo.
        assert_eq!(known.difference(&seen).copied().collect::<Vec<_>>(), ["--check"], "the parser knows them not");
        assert!(read(["nonsense".into()]).is_err());
    }

    #[test]
    fn the_text_is_as_wide_as_a_terminal_may_be() {
        let text = text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 1), "{text}");
        assert_eq!(about("nonsense"), None);
        for form in FORMS {
            let about = about(form.verb).unwrap();
            assert!(
                about.contains(form.meaning) && about.lines().all(|line| line.chars().count() <= WIDTH + 1),
                "{about}"
            );
            assert!(text.contains(&format!("  {}", form.begin())) && text.contains(form.meaning), "{}", form.verb);
        }
    }
}
