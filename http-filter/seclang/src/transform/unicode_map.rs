//! Which ASCII character stands for a Unicode character: Microsoft's best fit for code page 20127 (US-ASCII), as IIS decodes `%uXXXX` and
//! as ModSecurity ships it in `unicode.mapping`. An attacker writes `%u2032` because some servers read it as `'`.
//!
//! Characters that windows-1252 has of its own are left out: a server that goes over to it (or to Latin-1) keeps them what they are. Among them are the
//! quotes, dashes and accents of ordinary prose, which the whole table would turn into signs of attacks: `it’s` into `it's`, `«` into `<`.

use super::url::full_width;

/// First code of a block and the ASCII characters of its codes; a dot where there is none.
const BLOCKS: &[(u16, &[u8])] = &[
    (0x0100, b"AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi..JjKk.LlLlLl..LlNnNnNn...OoOoOoOoRrRrRrSsSsSsSs"),
    (0x0162, b"TtTtTtUuUuUuUuUuUuWwYyYZ.ZzZz.b........D.......Ff....I..l....OOo.........t..TUu.....z"),
    (0x01cd, b"AaIiOoUuUuUuUuUu.Aa....GgGgKkOoOo..j"),
    (0x02b9, b"'\".'.......^.^.'..`._..............~"),
    (0x0300, b"`.^~..........\"..................................__"),
    (0x2000, b"       .........--.--...'',.\"\"\"...................'..`...<>"),
];

/// Codes outside of [`BLOCKS`]. The lower bytes of the bullet, the ellipsis and the trademark sign would be a quote or an ampersand.
const SINGLES: &[(u16, u8)] = &[(0x0261, b'g'), (0x2022, b'.'), (0x2026, b'.'), (0x2122, b'T')];
/// What windows-1252 has beyond Latin-1.
const WINDOWS_1252: &[u16] = &[
    0x0152, 0x0153, 0x0160, 0x0161, 0x0178, 0x017d, 0x017e, 0x0192, 0x02c6, 0x02dc, 0x2013, 0x2014, 0x2018, 0x2019,
    0x201a, 0x201c, 0x201d, 0x201e, 0x2020, 0x2021, 0x2030, 0x2039, 0x203a, 0x20ac,
];

/// The ASCII character for a code, or its lower byte if there is none.
pub(super) fn to_ascii(code: u16) -> u8 {
    let [high, low] = code.to_be_bytes();
    if code <= 0xff || WINDOWS_1252.contains(&code) {
        return low;
    }
    if let Some((_, ascii)) = SINGLES.iter().find(|(single, _)| *single == code) {
        return *ascii;
    }
    let in_block = BLOCKS.iter().find_map(|(first, block)| block.get(usize::from(code.checked_sub(*first)?)).copied());
    match in_block {
        Some(ascii) if ascii != b'.' => ascii,
        _ => full_width(high, low),
    }
}
