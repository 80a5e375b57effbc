//! Patterns: what PCRE understands is rewritten for the `regex` crate, whose matching time is linear in the value, whatever the pattern.
//!
//! The two read some texts differently (`\<`, `[[]`, `\x{80}`, `{,3}`, `[\w-.]`, possessive `a++`); those are rewritten. Look-around, atomic
//! groups and back-references have no linear-time equivalent and are refused. Flags are those of ModSecurity 3: `.` matches line feeds, `^`
//! and `$` match at lines; bytes, not characters.
//!
//! One difference remains: PCRE's `^` does not match behind a line feed that ends the value, that of `regex` does.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

use super::matcher::{AUTOMATON, PROGRAM};
use crate::error::Mistake;

/// Compiles a pattern that is not a rule's whole operator.
pub(crate) fn compile(pattern: &str) -> Result<Regex, Mistake> {
    build(pattern, false)
}

/// Compiles the pattern of a selector (`ARGS:/^x/`); case does not matter there.
pub(crate) fn compile_selector(pattern: &str) -> Result<Regex, Mistake> {
    build(pattern, true)
}

/// Reads a pattern without compiling it: what it is in the syntax of `regex`, or what is wrong with it.
pub(crate) fn check(pattern: &str) -> Result<String, Mistake> {
    let translated = translate(pattern)?;
    match parser().parse(&translated) {
        Ok(_) => Ok(translated),
        Err(error) => Err(broken(pattern, &error.to_string())),
    }
}

/// A parser with the flags with which patterns are compiled.
pub(crate) fn parser() -> regex_syntax::Parser {
    regex_syntax::ParserBuilder::new().utf8(false).unicode(false).multi_line(true).dot_matches_new_line(true).build()
}

fn build(pattern: &str, caseless: bool) -> Result<Regex, Mistake> {
    RegexBuilder::new(&translate(pattern)?)
        .unicode(false)
        .multi_line(true)
        .dot_matches_new_line(true)
        .case_insensitive(caseless)
        .size_limit(PROGRAM)
        .dfa_size_limit(AUTOMATON)
        .build()
        .map_err(|error| broken(pattern, &error.to_string()))
}

fn broken(pattern: &str, error: &str) -> Mistake {
    Mistake::new(pattern, format!("the pattern cannot be compiled: {}", last_line(error)))
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Rewrites a PCRE pattern in the syntax of `regex`.
pub(crate) fn translate(pattern: &str) -> Result<String, Mistake> {
    let mut translator =
        Translator { pattern, rest: pattern.chars().peekable(), out: String::with_capacity(pattern.len() + 16) };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'a> {
    pattern: &'a str,
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Translator<'_> {
    fn refuse<T>(&self, what: &str) -> Result<T, Mistake> {
        Err(Mistake::new(self.pattern, format!("the pattern uses {what}, which no linear-time engine has"))
            .allowed("look-around, atomic groups, back-references and recursion are not supported")
            .beyond())
    }

    fn run(&mut self) -> Result<(), Mistake> {
        // True right after a quantifier: a `+` then makes it possessive, a `?` lazy.
        let mut quantified = false;
        while let Some(char) = self.rest.next() {
            let was = std::mem::replace(&mut quantified, false);
            match char {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                // Possessive is read as greedy: that matches whatever possessive matches, and seldom more.
                '+' if was => {}
                '?' if was => self.out.push('?'),
                '*' | '+' | '?' => {
                    self.out.push(char);
                    quantified = true;
                }
                '{' => match self.counted() {
                    Some(text) => {
                        self.out.push_str(&text);
                        quantified = true;
                    }
                    None => self.out.push_str("\\{"),
                },
                '}' | ']' => {
                    self.out.push('\\');
                    self.out.push(char);
                }
                _ => self.literal(char),
            }
        }
        Ok(())
    }

    /// A character that stands for itself. Beyond ASCII it is the bytes of its UTF-8, one by one, as for PCRE.
    fn literal(&mut self, char: char) {
        if char.is_ascii() {
            self.out.push(char);
        } else {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                self.byte(byte);
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        let _ = write!(self.out, "\\x{byte:02X}");
    }

    /// The quantifier behind an opening brace, if it is one (`{3}`, `{3,}`, `{3,5}`; anything else is text to PCRE).
    fn counted(&mut self) -> Option<String> {
        let mut ahead = self.rest.clone();
        let mut text = String::from("{");
        loop {
            let char = ahead.next()?;
            text.push(char);
            match char {
                '0'..='9' => {}
                ',' if text.len() > 2 && !text.get(..text.len() - 1).unwrap_or_default().contains(',') => {}
                '}' if text.len() > 2 => break,
                _ => return None,
            }
        }
        self.rest = ahead;
        Some(text)
    }

    fn group(&mut self) -> Result<(), Mistake> {
        self.out.push('(');
        if self.rest.peek() == Some(&'*') {
            return self.refuse("a verb (*...)");
        }
        if self.rest.peek() != Some(&'?') {
            return Ok(());
        }
        let mut ahead = self.rest.clone();
        ahead.next();
        match (ahead.next(), ahead.next()) {
            (Some('='), _) => self.refuse("a look-ahead (?=...)"),
            (Some('!'), _) => self.refuse("a negative look-ahead (?!...)"),
            (Some('<'), Some('=' | '!')) => self.refuse("a look-behind (?<=...)"),
            (Some('>'), _) => self.refuse("an atomic group (?>...)"),
            (Some('|' | '(' | 'R' | '&' | '0'..='9'), _) | (Some('P'), Some('=' | '>')) => {
                self.refuse("a conditional, recursive or reset group")
            }
            (Some('#'), _) => {
                self.out.pop();
                for char in self.rest.by_ref() {
                    if char == ')' {
                        break;
                    }
                }
                Ok(())
            }
            // A name or flags: copied by the main loop, but the question mark is not a quantifier.
            _ => {
                self.rest.next();
                self.out.push('?');
                while let Some(char) = self
                    .rest
                    .next_if(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '<' | '>' | ':' | '_' | '\''))
                {
                    self.out.push(char);
                    if matches!(char, ':' | '>') {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// An escape outside a class.
    fn escape(&mut self) -> Result<(), Mistake> {
        let Some(char) = self.rest.next() else {
            return Err(Mistake::new(self.pattern, "the pattern ends in a backslash"));
        };
        match char {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'B' | 'A' | 'z' => {
                self.out.push('\\');
                self.out.push(char);
            }
            // In a group, lest a brace behind it be read as one of `regex`'s own boundaries, `\b{start}`.
            'b' => self.out.push_str("(?:\\b)"),
            'Z' => self.out.push_str("\\n?\\z"),
            'h' => self.out.push_str("[\\t\\x20\\xA0]"),
            'H' => self.out.push_str("[^\\t\\x20\\xA0]"),
            'v' => self.out.push_str("[\\n\\x0B\\x0C\\r\\x85]"),
            'V' => self.out.push_str("[^\\n\\x0B\\x0C\\r\\x85]"),
            'R' => self.out.push_str("(?:\\r\\n|[\\n\\x0B\\x0C\\r\\x85])"),
            'N' => self.out.push_str("[^\\n]"),
            'Q' => self.quote(),
            'E' => {}
            '1'..='9' | 'k' | 'g' => return self.refuse("a back-reference"),
            'K' | 'G' | 'X' | 'C' => return self.refuse(&format!("\\{char}")),
            _ => {
                let byte = self.escaped_byte(char)?;
                self.byte_or_char(byte);
            }
        }
        Ok(())
    }

    fn quote(&mut self) {
        while let Some(char) = self.rest.next() {
            if char == '\\' && self.rest.peek() == Some(&'E') {
                self.rest.next();
                return;
            }
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                self.byte(byte);
            }
        }
    }

    fn byte_or_char(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() { self.out.push(char::from(byte)) } else { self.byte(byte) }
    }

    /// The byte that an escape stands for; `char` is the one after the backslash.
    fn escaped_byte(&mut self, char: char) -> Result<u8, Mistake> {
        Ok(match char {
            'x' => return self.hexadecimal(),
            '0' => {
                let mut value = 0;
                for _ in 0..2 {
                    let Some(digit) = self.rest.next_if(|char| ('0'..='7').contains(char)) else { break };
                    value = value * 8 + digit.to_digit(8).unwrap_or(0);
                }
                u8::try_from(value).unwrap_or(u8::MAX)
            }
            'a' => 0x07,
            'e' => 0x1b,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'c' => self
                .rest
                .next()
                .and_then(|char| u8::try_from(char).ok())
                .map_or(0, |byte| byte.to_ascii_uppercase() ^ 0x40),
            _ if char.is_ascii_alphanumeric() => {
                return Err(Mistake::new(self.pattern, format!("the pattern uses the unknown escape \\{char}")));
            }
            _ => match u8::try_from(char) {
                Ok(byte) if byte.is_ascii() => byte,
                _ => return Err(Mistake::new(self.pattern, "a backslash stands before a character beyond ASCII")),
            },
        })
    }

    fn hexadecimal(&mut self) -> Result<u8, Mistake> {
        let braces = self.rest.next_if_eq(&'{').is_some();
        let mut value = 0_u32;
        let mut digits = 0;
        while let Some(char) = self.rest.next_if(|char| char.is_ascii_hexdigit() && (braces || digits < 2)) {
            value = value.saturating_mul(16).saturating_add(char.to_digit(16).unwrap_or(0));
            digits += 1;
        }
        if braces && self.rest.next_if_eq(&'}').is_none() {
            return Err(Mistake::new(self.pattern, "\\x{ does not end"));
        }
        u8::try_from(value)
            .map_err(|_| Mistake::new(self.pattern, "\\x{...} beyond FF: values are bytes, not characters"))
    }

    /// A class, from behind its opening bracket to its closing one.
    fn class(&mut self) -> Result<(), Mistake> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        // What came before, so that a hyphen can be told from a range: nothing or a set (then it is a hyphen), a byte, an open range.
        #[derive(PartialEq)]
        enum Before {
            Set,
            Byte,
            Range,
        }
        let mut before = Before::Set;
        let mut first = true;
        loop {
            let Some(char) = self.rest.next() else {
                return Err(Mistake::new(self.pattern, "a class [ does not end"));
            };
            let is_first = std::mem::replace(&mut first, false);
            match char {
                ']' if !is_first => break,
                '[' if self.posix() => before = Before::Set,
                '-' if before == Before::Byte && self.range_follows() => {
                    self.out.push('-');
                    before = Before::Range;
                    continue;
                }
                '\\' if self.set_escape() => before = Before::Set,
                _ => {
                    if char == '\\' {
                        let Some(escaped) = self.rest.next() else {
                            return Err(Mistake::new(self.pattern, "the pattern ends in a backslash"));
                        };
                        let byte = match escaped {
                            'b' => 0x08,
                            '1'..='7' => u8::try_from(escaped.to_digit(8).unwrap_or(0)).unwrap_or(0),
                            _ => self.escaped_byte(escaped)?,
                        };
                        self.byte_or_char(byte);
                    } else if char.is_ascii_punctuation() {
                        self.byte_or_char(u8::try_from(char).unwrap_or(0));
                    } else {
                        self.literal(char);
                    }
                    before = if before == Before::Range { Before::Set } else { Before::Byte };
                }
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// Copies `[:name:]`; the opening bracket has been read.
    fn posix(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some(':') {
            return false;
        }
        let mut name = String::from("[:");
        for char in ahead.by_ref() {
            name.push(char);
            if !(char.is_ascii_alphabetic() || char == '^') {
                break;
            }
        }
        if !name.ends_with(':') || ahead.next() != Some(']') {
            return false;
        }
        name.push(']');
        self.out.push_str(&name);
        self.rest = ahead;
        true
    }

    /// True if a hyphen here makes a range: a single byte must follow.
    fn range_follows(&self) -> bool {
        let mut ahead = self.rest.clone();
        match ahead.next() {
            None | Some(']') => false,
            Some('\\') => !matches!(ahead.next(), Some('d' | 'D' | 's' | 'S' | 'w' | 'W' | 'h' | 'H' | 'v' | 'V')),
            Some('[') => ahead.next() != Some(':'),
            Some(_) => true,
        }
    }

    /// Copies an escape that stands for a set of bytes; the backslash has been read.
    fn set_escape(&mut self) -> bool {
        let text = match self.rest.peek() {
            Some('d') => "\\d",
            Some('D') => "\\D",
            Some('s') => "\\s",
            Some('S') => "\\S",
            Some('w') => "\\w",
            Some('W') => "\\W",
            Some('h') => "\\t\\x20\\xA0",
            Some('v') => "\\n\\x0B\\x0C\\r\\x85",
            _ => return false,
        };
        self.out.push_str(text);
        self.rest.next();
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn matches(pattern: &str, value: &[u8]) -> bool {
        compile(pattern).unwrap().is_match(value)
    }

    #[test]
    fn what_the_two_engines_read_differently() {
        assert!(matches(r"\<b\>", b"<b>"), "not word boundaries");
        assert!(matches(r"^[[a]$", b"["), "no nested class");
        assert!(matches(r"^[a&&b]+$", b"a&b"), "no intersection");
        assert!(matches(r"^[\w-.]+$", b"a-."), "a hyphen behind a set");
        assert!(matches(r"^[a-c-e]+$", b"a-e") && !matches(r"^[a-c-e]$", b"d"), "a hyphen behind a range");
        assert!(matches(r"^[]a]+$", b"]a") && matches(r"^[^]a]$", b"b"), "a bracket that comes first");
        assert!(matches(r"^\x{ff}\xE9$", b"\xff\xe9"), "bytes, not characters");
        assert!(matches("^\u{e9}$", "\u{e9}".as_bytes()), "beyond ASCII: the bytes of UTF-8");
        assert!(matches(r"^a{,2}$", b"a{,2}") && matches(r"^a{2,}$", b"aaa") && matches("^{}$", b"{}"), "braces");
        assert!(matches(r"^a++b$", b"aaab") && matches(r"^(?:ab)*+$", b"abab"), "possessive");
        assert!(matches(r"^\Qa.b\E\/\-$", b"a.b/-"));
        assert!(matches(r"^[\b\e\0\n]$", b"\x08") && matches(r"^[\x5c\]]+$", b"\\]"));
        assert!(matches(r"^[[:alpha:]-]+$", b"a-z"));
        assert!(matches(r"(?i)^AB(?-i)c$", b"abc") && matches("^(?P<n>a)(?<m>b)$", b"ab"));
        assert!(matches(r"a.b", b"a\nb") && matches("^b$", b"a\nb\nc"), "dot and lines");
    }

    #[test]
    fn what_cannot_run_in_linear_time_is_refused() {
        for pattern in ["(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", r"(a)\1", r"\Ka", "(?R)", "(*SKIP)"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
