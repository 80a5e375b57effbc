//! What stands in the headers of multipart bodies: the boundary in `Content-Type` (RFC 2046 §5.1.1) and the names in
//! `Content-Disposition` (RFC 7578 §4.2), with the strictness of ModSecurity: whoever writes them oddly hopes that somebody reads them
//! differently.

use super::Flag;
use crate::transform::bytes::{is_space, trim_end, trim_start};

/// The flags raised so far, each once.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<Flag>);

impl Flags {
    pub(super) fn raise(&mut self, flag: Flag) {
        if !self.0.contains(&flag) {
            self.0.push(flag);
        }
    }

    pub(super) fn raised(&self) -> &[Flag] {
        &self.0
    }
}

/// The longest `Content-Type` that is read.
const CONTENT_TYPE: usize = 1024;

/// The boundary that `Content-Type` names, without its dashes. Raises flags for what is odd.
pub(super) fn boundary<'a>(content_type: &'a [u8], flags: &mut Flags) -> Result<&'a [u8], &'static str> {
    const KEY: &[u8] = b"boundary";
    if content_type.len() > CONTENT_TYPE {
        return Err("Multipart: Invalid boundary in C-T (length).");
    }
    let Some((mime, parameters)) = content_type.split_at_checked(b"multipart/form-data".len()) else {
        return Err("Multipart: Invalid MIME type.");
    };
    if !mime.eq_ignore_ascii_case(b"multipart/form-data") {
        return Err("Multipart: Invalid MIME type.");
    }
    match parameters.windows(KEY.len()).enumerate().filter(|(at, word)| is_parameter(parameters, *at, word)).count() {
        0 => return Err("Multipart: Boundary not found in C-T."),
        1 => {}
        _ => return Err("Multipart: Multiple boundary parameters in C-T."),
    }
    let Some(at) = memchr::memmem::find(parameters, KEY) else {
        return Err("Multipart: Invalid boundary in C-T (case sensitivity).");
    };
    let (before, after) = parameters.split_at_checked(at + KEY.len()).unwrap_or_default();
    match trim_end(trim_start(before.get(..at).unwrap_or_default())) {
        b";" => {}
        b"" => flags.raise(Flag::MultipartMissingSemicolon),
        _ => return Err("Multipart: Invalid boundary in C-T (malformed)."),
    }
    let Some(value) = trim_start(after).strip_prefix(b"=") else {
        return Err("Multipart: Invalid boundary in C-T (parameter name).");
    };
    if after.first() != Some(&b'=') || value.first().copied().is_some_and(is_space) {
        flags.raise(Flag::MultipartBoundaryWhitespace);
    }
    let boundary = if let Some(quoted) = value.strip_prefix(b"\"") {
        flags.raise(Flag::MultipartBoundaryQuoted);
        let Some(end) = memchr::memchr(b'"', quoted) else { return Err("Multipart: Invalid boundary in C-T (quote).") };
        let (boundary, behind) = quoted.split_at_checked(end).unwrap_or_default();
        if !matches!(trim_start(behind.get(1..).unwrap_or_default()), [] | [b';', ..]) {
            return Err("Multipart: Invalid boundary in C-T (quote).");
        }
        boundary
    } else {
        trim_end(value.split(|byte| *byte == b';').next().unwrap_or_default())
    };
    if boundary.is_empty() {
        return Err("Multipart: Invalid boundary in C-T (empty).");
    }
    if boundary.last() == Some(&b' ')
        || !boundary.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(byte))
    {
        return Err("Multipart: Invalid boundary in C-T (characters).");
    }
    Ok(boundary)
}

/// Whether the word at this place is `boundary`, in any letter case, with an equals sign somewhere behind it: `boundary`
/// may be the boundary's value as well.
fn is_parameter(parameters: &[u8], at: usize, word: &[u8]) -> bool {
    let behind = parameters.get(at + word.len()..).unwrap_or_default();
    word.eq_ignore_ascii_case(b"boundary") && behind.contains(&b'=')
}

/// What a `Content-Disposition` of a part says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disposition {
    /// The name of the field.
    pub(super) name: Vec<u8>,
    /// The name of the file, if there is one.
    pub(super) filename: Vec<u8>,
}

/// Reads the value of a part's `Content-Disposition`. Only `name` and `filename` may be there, each once.
pub(super) fn disposition(value: &[u8], flags: &mut Flags) -> Result<Disposition, &'static str> {
    let mut found = Disposition::default();
    let Some(mut rest) = value.strip_prefix(b"form-data").map(skip_blanks) else {
        return Err("Multipart: Invalid Content-Disposition header (not form-data).");
    };
    while let Some(parameter) = rest.strip_prefix(b";") {
        let parameter = skip_blanks(parameter);
        if parameter.is_empty() {
            return Err("Multipart: Invalid Content-Disposition header (a parameter is missing).");
        }
        let length = parameter.iter().take_while(|byte| !matches!(byte, b'=' | b' ' | b'\t')).count();
        let (key, after) = parameter.split_at_checked(length).unwrap_or_default();
        let Some(after) = skip_blanks(after).strip_prefix(b"=").map(skip_blanks) else {
            return Err("Multipart: Invalid Content-Disposition header (a parameter without value).");
        };
        let (text, after) = parameter_value(after, flags)?;
        rest = skip_blanks(after);
        let place = match key {
            b"name" => &mut found.name,
            b"filename" => &mut found.filename,
            _ => return Err("Multipart: Invalid Content-Disposition header (unknown parameter)."),
        };
        if !place.is_empty() {
            return Err("Multipart: Invalid Content-Disposition header (duplicate parameter).");
        }
        *place = text;
    }
    if !rest.is_empty() {
        if matches!(rest.first(), Some(b'"' | b'\'')) {
            flags.raise(Flag::MultipartInvalidQuoting);
        }
        return Err("Multipart: Invalid Content-Disposition header (something follows a value).");
    }
    if found.name.is_empty() {
        return Err("Multipart: Content-Disposition header missing name field.");
    }
    Ok(found)
}

/// A token or a quoted value, and what follows it. Only the quote and the backslash can be escaped: old browsers send paths of Windows.
fn parameter_value<'a>(text: &'a [u8], flags: &mut Flags) -> Result<(Vec<u8>, &'a [u8]), &'static str> {
    let Some((quote @ (b'"' | b'\''), mut rest)) = text.split_first() else {
        let length = text.iter().take_while(|byte| is_token(**byte)).count();
        let (value, after) = text.split_at_checked(length).unwrap_or_default();
        return Ok((value.to_vec(), after));
    };
    if *quote == b'\'' {
        flags.raise(Flag::MultipartInvalidQuoting);
    }
    let mut value = Vec::new();
    loop {
        rest = match rest {
            [b'\\', escaped, after @ ..] if escaped == quote || *escaped == b'\\' => {
                value.push(*escaped);
                after
            }
            [b'\\'] | [] => return Err("Multipart: Invalid Content-Disposition header (a quote does not end)."),
            [byte, after @ ..] if byte == quote => return Ok((value, after)),
            [byte, after @ ..] => {
                value.push(*byte);
                after
            }
        };
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text.get(blanks..).unwrap_or_default()
}

/// A character of a token (RFC 2045 §5.1).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}
