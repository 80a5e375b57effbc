//! What a transaction holds: all bytes in one buffer that is kept from request to request, and spans of it by variable.

use crate::variable::Variable;

/// A piece of the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    at: usize,
    len: usize,
}

/// A name and a value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pair {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// A value that a rule looks at, and where it is from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) variable: Variable,
    /// Empty for a variable with one value.
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// The names and values of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Values {
    buffer: Vec<u8>,
    single: Vec<Option<Span>>,
    pub(crate) arguments_get: Vec<Pair>,
    pub(crate) arguments_post: Vec<Pair>,
    pub(crate) cookies: Vec<Pair>,
    pub(crate) headers: Vec<Pair>,
    /// Field name and file name.
    pub(crate) files: Vec<Pair>,
    /// Field name and size.
    pub(crate) file_sizes: Vec<Pair>,
    pub(crate) part_headers: Vec<Pair>,
    /// Named [`crate::variable::XML_TEXT`] or [`crate::variable::XML_ATTRIBUTES`].
    pub(crate) xml: Vec<Pair>,
    pub(crate) response_headers: Vec<Pair>,
}

impl Values {
    /// Forgets everything and keeps the memory, but no more of it than an ordinary request needs.
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT);
        self.single.clear();
        self.single.resize(Variable::ALL.len(), None);
        for list in [
            &mut self.arguments_get,
            &mut self.arguments_post,
            &mut self.cookies,
            &mut self.headers,
            &mut self.files,
            &mut self.file_sizes,
            &mut self.part_headers,
            &mut self.xml,
            &mut self.response_headers,
        ] {
            list.clear();
            list.shrink_to(KEPT_PAIRS);
        }
    }

    /// Adds bytes to the buffer.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Span {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        Span { at, len: bytes.len() }
    }

    /// How much there is, for [`Values::rewind`].
    pub(crate) fn mark(&self) -> usize {
        self.buffer.len()
    }

    /// Forgets what was added since the mark; no span of it may be used again.
    pub(crate) fn rewind(&mut self, mark: usize) {
        self.buffer.truncate(mark);
    }

    /// Adds the bytes of several pieces as one.
    pub(crate) fn push_all(&mut self, pieces: &[&[u8]]) -> Span {
        let at = self.buffer.len();
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
        }
        Span { at, len: self.buffer.len() - at }
    }

    /// Adds a name and a value.
    pub(crate) fn pair(&mut self, name: &[u8], value: &[u8]) -> Pair {
        Pair { name: self.push(name), value: self.push(value) }
    }

    /// The bytes of a span.
    pub(crate) fn get(&self, span: Span) -> &[u8] {
        self.buffer.get(span.at..span.at + span.len).unwrap_or_default()
    }

    /// Sets a variable that has one value.
    pub(crate) fn set(&mut self, variable: Variable, value: &[u8]) {
        let span = self.push(value);
        if let Some(slot) = self.single.get_mut(variable.index()) {
            *slot = Some(span);
        }
    }

    /// Lets a variable have no value again.
    pub(crate) fn unset(&mut self, variable: Variable) {
        if let Some(slot) = self.single.get_mut(variable.index()) {
            *slot = None;
        }
    }

    /// Lets a variable be a span that is already there.
    pub(crate) fn set_span(&mut self, variable: Variable, span: Span) {
        if let Some(slot) = self.single.get_mut(variable.index()) {
            *slot = Some(span);
        }
    }

    /// Sets it to a number.
    pub(crate) fn set_number(&mut self, variable: Variable, number: usize) {
        let mut digits = [0; 20];
        let digits = decimal(number, &mut digits);
        self.set(variable, digits);
    }

    /// The value of a variable that has one.
    pub(crate) fn single(&self, variable: Variable) -> Option<Span> {
        self.single.get(variable.index()).copied().flatten()
    }

    /// The bytes of a variable that has one value; nothing if it is not set.
    pub(crate) fn text(&self, variable: Variable) -> &[u8] {
        self.single(variable).map_or(&[], |span| self.get(span))
    }

    /// The value number `at` of a collection, as rules see it, under its name.
    pub(crate) fn pair_at(&self, variable: Variable, at: usize) -> Option<Pair> {
        let ([first, second], names) = self.lists(variable);
        let pair = first.get(at).or_else(|| second.get(at.checked_sub(first.len())?))?;
        Some(Pair { name: pair.name, value: if names { pair.name } else { pair.value } })
    }

    /// The lists behind a collection, and whether its values are the names.
    pub(crate) fn lists(&self, variable: Variable) -> ([&[Pair]; 2], bool) {
        let none: &[Pair] = &[];
        match variable {
            Variable::Args => ([&self.arguments_get, &self.arguments_post], false),
            Variable::ArgsNames => ([&self.arguments_get, &self.arguments_post], true),
            Variable::ArgsGet => ([&self.arguments_get, none], false),
            Variable::ArgsGetNames => ([&self.arguments_get, none], true),
            Variable::ArgsPost => ([&self.arguments_post, none], false),
            Variable::ArgsPostNames => ([&self.arguments_post, none], true),
            Variable::RequestCookies => ([&self.cookies, none], false),
            Variable::RequestCookiesNames => ([&self.cookies, none], true),
            Variable::RequestHeaders => ([&self.headers, none], false),
            Variable::RequestHeadersNames => ([&self.headers, none], true),
            Variable::Files | Variable::MultipartFilename => ([&self.files, none], false),
            Variable::FilesNames | Variable::MultipartName => ([&self.files, none], true),
            Variable::FilesSizes => ([&self.file_sizes, none], false),
            Variable::MultipartPartHeaders => ([&self.part_headers, none], false),
            Variable::Xml => ([&self.xml, none], false),
            Variable::ResponseHeaders => ([&self.response_headers, none], false),
            Variable::ResponseHeadersNames => ([&self.response_headers, none], true),
            _ => ([none, none], false),
        }
    }
}

/// Bytes of buffer that are kept between requests.
const KEPT: usize = 256 << 10;
/// Pairs of a list that are kept between requests.
const KEPT_PAIRS: usize = 512;

/// A number in decimal digits, written into `room`.
pub(crate) fn decimal(number: usize, room: &mut [u8; 20]) -> &[u8] {
    let mut rest = number;
    let mut used = 0;
    for slot in room.iter_mut().rev() {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    room.get(20 - used..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn numbers() {
        for number in [0, 7, 10, 413, usize::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
