//! The operator of a rule: `!@rx pattern`, `@pmFromFile words.data`, or a bare pattern.

use super::Loader;
use crate::error::Mistake;
use crate::operator::around::Guarded;
use crate::operator::bytes::ByteSet;
use crate::operator::networks::Networks;
use crate::operator::number::Comparison;
use crate::operator::phrases::Phrases;
use crate::operator::{Operator, pattern};
use crate::text::Text;

/// For error messages.
const KNOWN: &str = "rx pm pmf pmFromFile within contains containsWord strmatch streq beginsWith endsWith eq ge gt le lt ipMatch ipMatchF \
                     ipMatchFromFile detectSQLi detectXSS validateByteRange validateUrlEncoding validateUtf8Encoding unconditionalMatch noMatch \
                     rbl geoLookup";

impl Loader<'_> {
    /// Reads an operator; true: its answer is negated.
    pub(super) fn operator(&mut self, text: &str) -> Result<(Operator, bool), Mistake> {
        let trimmed = text.trim_start();
        let (rest, negated) = match trimmed.strip_prefix('!') {
            Some(rest) => (rest.trim_start(), true),
            None => (trimmed, false),
        };
        let Some(rest) = rest.strip_prefix('@') else {
            return self.rx(rest, negated);
        };
        let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let argument = argument.trim_start();
        if name.eq_ignore_ascii_case("rx") {
            return self.rx(argument, negated);
        }
        Ok((self.named_operator(name, argument)?, negated))
    }

    fn named_operator(&mut self, name: &str, argument: &str) -> Result<Operator, Mistake> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "pm" => Operator::Pm(self.shared.phrases(Phrases::inline(argument)?)),
            "pmf" | "pmfromfile" => {
                let data = self.data(argument)?;
                Operator::Pm(self.shared.phrases(Phrases::from_file(&data, argument)?))
            }
            "within" => Operator::Within(Text::parse(argument)?),
            "contains" | "strmatch" => Operator::Contains(Text::parse(argument)?),
            "containsword" => Operator::ContainsWord(Text::parse(argument)?),
            "streq" => Operator::StrEq(Text::parse(argument)?),
            "beginswith" => Operator::BeginsWith(Text::parse(argument)?),
            "endswith" => Operator::EndsWith(Text::parse(argument)?),
            "eq" => Operator::Compare(Comparison::Eq, Text::parse(argument)?),
            "ge" => Operator::Compare(Comparison::Ge, Text::parse(argument)?),
            "gt" => Operator::Compare(Comparison::Gt, Text::parse(argument)?),
            "le" => Operator::Compare(Comparison::Le, Text::parse(argument)?),
            "lt" => Operator::Compare(Comparison::Lt, Text::parse(argument)?),
            "ipmatch" => Operator::IpMatch(Networks::parse(argument)?),
            "ipmatchf" | "ipmatchfromfile" => {
                Operator::IpMatch(Networks::from_file(&String::from_utf8_lossy(&self.data(argument)?))?)
            }
            "detectsqli" => Operator::DetectSqli,
            "detectxss" => Operator::DetectXss,
            "validatebyterange" => Operator::ValidateByteRange(Box::new(ByteSet::parse(argument)?)),
            "validateurlencoding" => Operator::ValidateUrlEncoding,
            "validateutf8encoding" => Operator::ValidateUtf8,
            "unconditionalmatch" => Operator::Always,
            "nomatch" => Operator::Never,
            "rbl" | "geolookup" => {
                self.note(Mistake::new(
                    name,
                    "this operator needs the network or a data base, which the engine does not use; it never matches",
                ));
                Operator::Never
            }
            _ => return Err(Mistake::new(name, "unknown operator").allowed(format!("known are: {KNOWN}"))),
        })
    }

    /// A pattern. One that no linear-time engine can run (CRS 3.3 has one, CRS 4 none) makes the rule inert, and a note says so.
    fn rx(&mut self, source: &str, negated: bool) -> Result<(Operator, bool), Mistake> {
        // `%{` that names no variable is a piece of pattern.
        if let Ok(text) = Text::parse(source)
            && text.constant().is_none()
        {
            return Ok((Operator::RxMacro(text), negated));
        }
        match pattern::check(source) {
            Ok(translated) => Ok((Operator::Rx(self.shared.rx(translated)), negated)),
            Err(mistake) if mistake.is_beyond() => {
                if let Some(guarded) = Guarded::parse(source) {
                    return Ok((Operator::RxGuarded(Box::new(guarded)), negated));
                }
                self.note(mistake.but("the rule never matches"));
                Ok((Operator::Never, false))
            }
            Err(mistake) => Err(mistake),
        }
    }

    fn data(&self, names: &str) -> Result<Vec<u8>, Mistake> {
        let mut all = Vec::new();
        for name in names.split_ascii_whitespace() {
            let bytes = self
                .files
                .read(&self.beside(name))
                .map_err(|error| Mistake::new(name, format!("the data file cannot be read: {error}")))?;
            all.extend_from_slice(&bytes);
            all.push(b'\n');
        }
        Ok(all)
    }
}
