//! Text to the macros of man(7), which groff and mandoc both read without a warning. Pure.

/// The release, in the foot of every page.
const RELEASE: &str = concat!("Bulkhead ", env!("CARGO_PKG_VERSION"));
/// When what the pages say was last looked through: a page must have a date, and a build must not choose it.
const DATE: &str = "2026-11-23";
/// Where lines are folded, for whoever reads the source.
const WIDTH: usize = 100;

/// A page that grows from its head to its foot.
pub struct Page(String);

impl Page {
    /// Title, NAME and what `apropos` finds.
    pub fn new(name: &str, section: u8, short: &str) -> Self {
        let title = name.to_uppercase().replace('-', "\\-");
        let mut page = Self(format!(
            ".\\\" Drawn by src/manual from the tables of the code: BLESS=1 cargo test -p bulkhead manual\n\
             .TH {title} {section} \"{DATE}\" \"{RELEASE}\" \"Bulkhead\"\n.SH NAME\n"
        ));
        page.0.push_str(&format!("{} \\- {}\n", escaped(name), escaped(short)));
        page
    }

    /// `.SH`
    pub fn section(&mut self, title: &str) -> &mut Self {
        self.0.push_str(&format!(".SH \"{}\"\n", escaped(title)));
        self
    }

    /// `.SS`
    pub fn part(&mut self, title: &str) -> &mut Self {
        self.0.push_str(&format!(".SS \"{}\"\n", escaped(title)));
        self
    }

    /// A paragraph; back ticks mark what is typed, bold here.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(".PP\n");
        self.words(text)
    }

    /// The text right behind a heading, which needs no `.PP`.
    pub fn first(&mut self, text: &str) -> &mut Self {
        self.words(text)
    }

    /// A term and what it means.
    pub fn term(&mut self, term: &str, meaning: &str) -> &mut Self {
        self.0.push_str(".TP\n");
        self.words(term).words(meaning)
    }

    /// One more paragraph of a term.
    pub fn more(&mut self, text: &str) -> &mut Self {
        self.0.push_str(".IP\n");
        self.words(text)
    }

    /// Lines as they are, such as commands.
    pub fn lines(&mut self, lines: &[&str]) -> &mut Self {
        self.0.push_str(".PP\n.RS 4\n.nf\n");
        for line in lines {
            self.0.push_str(&format!("{}\n", at_line_start(&escaped(line))));
        }
        self.0.push_str(".fi\n.RE\n");
        self
    }

    /// The text so far.
    pub fn end(&self) -> String {
        self.0.clone()
    }

    fn words(&mut self, text: &str) -> &mut Self {
        let mut line = String::new();
        for word in marked(text).split(' ').filter(|word| !word.is_empty()) {
            if !line.is_empty() && line.len() + word.len() >= WIDTH {
                self.0.push_str(&at_line_start(&line));
                self.0.push('\n');
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.0.push_str(&at_line_start(&line));
        self.0.push('\n');
        self
    }
}

/// Back ticks to bold.
fn marked(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let marked = parts.map(|(number, part)| match number % 2 {
        1 => format!("\\fB{}\\fR", escaped(part)),
        _ => escaped(part),
    });
    marked.collect()
}

/// Characters that roff would take for something else.
pub fn escaped(text: &str) -> String {
    let character = |character: char| match character {
        '\\' => "\\e".to_owned(),
        '-' => "\\-".to_owned(),
        '\'' => "\\(aq".to_owned(),
        '`' => "\\(ga".to_owned(),
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        '"' => "\\(dq".to_owned(),
        '\n' => " ".to_owned(),
        ascii if ascii.is_ascii() => ascii.to_string(),
        other => format!("\\[u{:04X}]", u32::from(other)),
    };
    text.chars().map(character).collect()
}

/// A dot there would be a macro.
fn at_line_start(line: &str) -> String {
    if line.starts_with('.') { format!("\\&{line}") } else { line.to_owned() }
}

#[test]
fn nothing_in_a_text_is_taken_for_a_macro() {
    let mut page = Page::new("a-b", 8, "x");
    let page = page.section("S").first(".TH `--x` \\n 'y' × \"q\"").lines(&[".PP"]).end();
    let body = page.split(".SH \"S\"\n").nth(1).unwrap_or_default();
    assert_eq!(
        body,
        "\\&.TH \\fB\\-\\-x\\fR \\en \\(aqy\\(aq \\[u00D7] \\(dqq\\(dq\n.PP\n.RS 4\n.nf\n\\&.PP\n.fi\n.RE\n"
    );
    assert!(page.contains("\na\\-b \\- x\n"));
}
