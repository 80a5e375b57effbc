//! Transformations: what a rule does to a value before its operator looks at it (`t:lowercase`, `t:urlDecodeUni` ...), byte for byte as
//! ModSecurity 3 does it (where that engine cuts a value at a NUL or reads past its end we do not; `docs/crs.md` has the list). Pure,
//! linear in the value, no allocation but into the caller's buffer; never panics, whatever the bytes.

mod base64;
pub(crate) mod bytes;
mod comments;
mod digest;
mod entities;
mod escapes;
mod path;
mod simple;
#[cfg(test)]
mod tests;
mod unicode_map;
pub(crate) mod url;
mod utf8;

use crate::mask::ByteMask;

/// One transformation. `t:none` is not really one: it empties the list of those before it; whoever reads rules looks for
/// [`Transform::None`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transform {
    /// No change; as a name in a rule it discards the transformations named before it.
    None,
    /// Base64 (RFC 4648) to bytes; a value that is not wholly base64 stays as it is.
    Base64Decode,
    /// Base64 to bytes, skipping what does not belong.
    Base64DecodeExt,
    /// Bytes to base64.
    Base64Encode,
    /// Undoes the tricks of command lines: quotes, carets and backslashes go, separators become one space, letters become small.
    CmdLine,
    /// Runs of white space become one space.
    CompressWhitespace,
    /// Backslash escapes of CSS 2.
    CssDecode,
    /// Backslash escapes of ANSI C.
    EscapeSeqDecode,
    /// Pairs of hexadecimal digits to bytes.
    HexDecode,
    /// Bytes to pairs of small hexadecimal digits.
    HexEncode,
    /// Character references of HTML: numbers, and the names quot, amp, lt, gt, nbsp.
    HtmlEntityDecode,
    /// Backslash escapes of JavaScript.
    JsDecode,
    /// The value's length in bytes, in decimal.
    Length,
    /// ASCII letters to lower case.
    Lowercase,
    /// The MD5 digest, 16 raw bytes.
    Md5,
    /// Removes `//`, `/./` and `/x/../` from a path.
    NormalizePath,
    /// The same after backslashes have become slashes.
    NormalizePathWin,
    /// Makes bit 7 an even parity bit of each byte.
    ParityEven7Bit,
    /// Makes bit 7 an odd parity bit of each byte.
    ParityOdd7Bit,
    /// Clears bit 7 of each byte.
    ParityZero7Bit,
    /// Removes comments: `/* */`, `<!-- -->`, and from `--` or `#` to the end.
    RemoveComments,
    /// Removes the marks of comments, not what they enclose.
    RemoveCommentsChar,
    /// Removes NUL bytes.
    RemoveNulls,
    /// Removes white space, and the bytes of the no-break space (0xA0, in UTF-8 0xC2 0xA0).
    RemoveWhitespace,
    /// Each `/* */` comment becomes one space.
    ReplaceComments,
    /// NUL bytes become spaces.
    ReplaceNulls,
    /// The SHA-1 digest, 20 raw bytes.
    Sha1,
    /// SQL's `0x414243` to bytes.
    SqlHexDecode,
    /// Removes white space at both ends.
    Trim,
    /// Removes white space at the beginning.
    TrimLeft,
    /// Removes white space at the end.
    TrimRight,
    /// ASCII letters to upper case.
    Uppercase,
    /// `%XX` and `+`; what is not valid stays.
    UrlDecode,
    /// The same with `%uXXXX`, mapped to ASCII as Microsoft's code page 20127 does (ModSecurity's `SecUnicodeMapFile unicode.mapping 20127`).
    UrlDecodeUni,
    /// Bytes to `%xx` and `+`.
    UrlEncode,
    /// Characters beyond ASCII in UTF-8 become `%uXXXX`.
    Utf8ToUnicode,
}

/// Every transformation's names in rules; the first is the one that ModSecurity's documentation uses.
const NAMES: &[(&str, Transform)] = &[
    ("none", Transform::None),
    ("base64Decode", Transform::Base64Decode),
    ("base64DecodeExt", Transform::Base64DecodeExt),
    ("base64Encode", Transform::Base64Encode),
    ("cmdLine", Transform::CmdLine),
    ("compressWhitespace", Transform::CompressWhitespace),
    ("cssDecode", Transform::CssDecode),
    ("escapeSeqDecode", Transform::EscapeSeqDecode),
    ("hexDecode", Transform::HexDecode),
    ("hexEncode", Transform::HexEncode),
    ("htmlEntityDecode", Transform::HtmlEntityDecode),
    ("jsDecode", Transform::JsDecode),
    ("length", Transform::Length),
    ("lowercase", Transform::Lowercase),
    ("md5", Transform::Md5),
    ("normalizePath", Transform::NormalizePath),
    ("normalisePath", Transform::NormalizePath),
    ("normalizePathWin", Transform::NormalizePathWin),
    ("normalisePathWin", Transform::NormalizePathWin),
    ("parityEven7bit", Transform::ParityEven7Bit),
    ("parityOdd7bit", Transform::ParityOdd7Bit),
    ("parityZero7bit", Transform::ParityZero7Bit),
    ("removeComments", Transform::RemoveComments),
    ("removeCommentsChar", Transform::RemoveCommentsChar),
    ("removeNulls", Transform::RemoveNulls),
    ("removeWhitespace", Transform::RemoveWhitespace),
    ("replaceComments", Transform::ReplaceComments),
    ("replaceNulls", Transform::ReplaceNulls),
    ("sha1", Transform::Sha1),
    ("sqlHexDecode", Transform::SqlHexDecode),
    ("trim", Transform::Trim),
    ("trimLeft", Transform::TrimLeft),
    ("trimRight", Transform::TrimRight),
    ("uppercase", Transform::Uppercase),
    ("urlDecode", Transform::UrlDecode),
    ("urlDecodeUni", Transform::UrlDecodeUni),
    ("urlEncode", Transform::UrlEncode),
    ("utf8toUnicode", Transform::Utf8ToUnicode),
];

impl Transform {
    /// The transformation of this name (`urlDecodeUni`; letter case does not matter), or `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, transform)| *transform)
    }

    /// The name in rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, transform)| *transform == self).map_or("none", |(name, _)| name)
    }

    /// Every transformation, each once.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().filter(|(name, transform)| transform.name() == *name).map(|(_, transform)| *transform)
    }

    /// Transforms `input` into `out` (which is cleared first). True if `out` holds a value that differs from `input`; false if nothing
    /// changes, and then `out` is empty.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        if self == Self::None || (input.is_empty() && !self.changes_nothing_into_something()) {
            return false;
        }
        self.write(input, out);
        if out.as_slice() == input {
            out.clear();
            return false;
        }
        true
    }

    /// False only if no value with exactly these kinds of bytes is changed by [`Transform::apply`]: then the caller need not call it.
    #[must_use]
    pub fn may_change(self, mask: ByteMask) -> bool {
        const fn kinds(list: &[u8]) -> ByteMask {
            ByteMask::bytes(list)
        }
        const DIGITS_AND_LETTERS: ByteMask = kinds(b"0aA");
        match self {
            Self::None => false,
            Self::Base64Decode => {
                const BASE64: ByteMask = kinds(b"0aA+/= \r");
                mask != ByteMask::NONE && (BASE64.contains(mask) || mask.intersects(ByteMask::NUL))
            }
            Self::CmdLine => mask.intersects(kinds(b"\"'\\^,; \tA")),
            Self::CompressWhitespace | Self::Trim | Self::TrimLeft | Self::TrimRight => {
                mask.intersects(ByteMask::WHITE)
            }
            Self::RemoveWhitespace => mask.intersects(ByteMask::WHITE.union(ByteMask::HIGH)),
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => mask.intersects(kinds(b"\\")),
            Self::HtmlEntityDecode => mask.intersects(kinds(b"&")),
            Self::Lowercase => mask.intersects(ByteMask::UPPER),
            Self::NormalizePath => mask.intersects(kinds(b"/.")),
            Self::NormalizePathWin => mask.intersects(kinds(b"/.\\")),
            Self::ParityZero7Bit => mask.intersects(ByteMask::HIGH),
            Self::RemoveComments | Self::RemoveCommentsChar => {
                mask.contains(kinds(b"/*")) || mask.intersects(kinds(b"-#"))
            }
            Self::RemoveNulls | Self::ReplaceNulls => mask.intersects(ByteMask::NUL),
            Self::ReplaceComments => mask.contains(kinds(b"/*")),
            Self::SqlHexDecode => mask.contains(ByteMask::DIGIT) && mask.intersects(kinds(b"xX")),
            Self::Uppercase => mask.intersects(ByteMask::LOWER),
            Self::UrlDecode | Self::UrlDecodeUni => {
                mask.intersects(kinds(b"+")) || (mask.intersects(kinds(b"%")) && mask.intersects(DIGITS_AND_LETTERS))
            }
            Self::UrlEncode => !kinds(b"0aA*").contains(mask),
            Self::Utf8ToUnicode => mask.intersects(ByteMask::HIGH.union(ByteMask::NUL)),
            Self::Length | Self::Md5 | Self::Sha1 => true,
            Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::ParityEven7Bit
            | Self::ParityOdd7Bit => mask != ByteMask::NONE,
        }
    }

    /// True if the empty value has a result that is not empty.
    fn changes_nothing_into_something(self) -> bool {
        matches!(self, Self::Length | Self::Md5 | Self::Sha1)
    }

    /// Appends the result to `out`, changed or not.
    fn write(self, input: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(input),
            Self::Base64Decode => base64::decode(input, out),
            Self::Base64DecodeExt => base64::decode_forgiving(input, out),
            Self::Base64Encode => base64::encode(input, out),
            Self::CmdLine => simple::cmd_line(input, out),
            Self::CompressWhitespace => simple::compress_whitespace(input, out),
            Self::CssDecode => escapes::css(input, out),
            Self::EscapeSeqDecode => escapes::ansi_c(input, out),
            Self::HexDecode => simple::hex_decode(input, out),
            Self::HexEncode => simple::hex_encode(input, out),
            Self::HtmlEntityDecode => entities::decode(input, out),
            Self::JsDecode => escapes::javascript(input, out),
            Self::Length => simple::length(input, out),
            Self::Lowercase => out.extend(input.iter().map(u8::to_ascii_lowercase)),
            Self::Md5 => digest::md5(input, out),
            Self::NormalizePath => path::normalize(input, false, out),
            Self::NormalizePathWin => path::normalize(input, true, out),
            Self::ParityEven7Bit => simple::parity(input, 0, out),
            Self::ParityOdd7Bit => simple::parity(input, 1, out),
            Self::ParityZero7Bit => out.extend(input.iter().map(|byte| byte & 0x7f)),
            Self::RemoveComments => comments::remove(input, out),
            Self::RemoveCommentsChar => comments::remove_marks(input, out),
            Self::RemoveNulls => out.extend(input.iter().filter(|byte| **byte != 0)),
            Self::RemoveWhitespace => {
                out.extend(input.iter().filter(|byte| !bytes::is_space(**byte) && !matches!(byte, 0xa0 | 0xc2)))
            }
            Self::ReplaceComments => comments::replace(input, out),
            Self::ReplaceNulls => out.extend(input.iter().map(|byte| if *byte == 0 { b' ' } else { *byte })),
            Self::Sha1 => digest::sha1(input, out),
            Self::SqlHexDecode => simple::sql_hex_decode(input, out),
            Self::Trim => out.extend_from_slice(bytes::trim_end(bytes::trim_start(input))),
            Self::TrimLeft => out.extend_from_slice(bytes::trim_start(input)),
            Self::TrimRight => out.extend_from_slice(bytes::trim_end(input)),
            Self::Uppercase => out.extend(input.iter().map(u8::to_ascii_uppercase)),
            Self::UrlDecode => url::decode(input, out),
            Self::UrlDecodeUni => url::decode_unicode(input, out),
            Self::UrlEncode => url::encode(input, out),
            Self::Utf8ToUnicode => utf8::to_unicode(input, out),
        }
    }
}
