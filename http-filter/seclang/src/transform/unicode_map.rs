//! Which ASCII character stands for a Unicode character: Microsoft's best fit for code page 20127 (US-ASCII), as IIS decodes `%uXXXX` and
//! as ModSecurity ships it in `unicode.mapping`. An attacker writes `%u2032` because some servers read it as `'`.

use super::url::full_width;

/// First code of a block and the ASCII characters of its codes; a dot where there is none (no code of these blocks but those in
/// [`DOTS`] stands for a dot).
const BLOCKS: &[(u16, &[u8])] = &[
    (0x00a0, b" !c.$Y|..Ca<.-R...23....,1o>....AAAAAAACEEEEIIIIDNOOOOO.OUUUUY..aaaaaaaceeeeiiii.nooooo.ouuuuy.y"),
    (0x0100, b"AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi..JjKk.LlLlLl..LlNnNnNn...OoOoOoOoRrRrRrSsSsSsSs"),
    (0x0162, b"TtTtTtUuUuUuUuUuUuWwYyYZ.ZzZz.b........D.......Ff....I..l....OOo.........t..TUu.....z"),
    (0x01cd, b"AaIiOoUuUuUuUuUu.Aa....GgGgKkOoOo..j"),
    (0x02b9, b"'\".'.......^.^.'..`._..............~"),
    (0x0300, b"`.^~..........\"..................................__"),
    (0x2000, b"       .........--.--...'',.\"\"\"...................'..`...<>"),
];

/// Codes that stand for a dot, and those outside of [`BLOCKS`].
const DOTS: &[u16] = &[0x00b7, 0x2022, 0x2026];
const SINGLES: &[(u16, u8)] = &[(0x0261, b'g'), (0x2122, b'T')];

/// The ASCII character for a code, or its lower byte if there is none.
pub(super) fn to_ascii(code: u16) -> u8 {
    let [high, low] = code.to_be_bytes();
    if DOTS.contains(&code) {
        return b'.';
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
