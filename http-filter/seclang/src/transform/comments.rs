//! Comments of SQL, C and HTML, with which attackers break up words.

/// Each `/* */` becomes one space, also one that does not end. A `*/` without a beginning stays.
pub(super) fn replace(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some(begin) = find(rest, b"/*") {
        let (before, comment) = rest.split_at_checked(begin).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        out.push(b' ');
        let inside = comment.get(2..).unwrap_or_default();
        rest = find(inside, b"*/").and_then(|end| inside.get(end + 2..)).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Removes `/* */` and `<!-- -->` (either end ends either), and everything from `--` or `#` on. One that does not end leaves a space.
pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    loop {
        match rest {
            [] | [b'-', b'-', ..] | [b'#', ..] => return,
            [b'/', b'*', inside @ ..] | [b'<', b'!', b'-', b'-', inside @ ..] => {
                let Some(end) = end_of_comment(inside) else {
                    out.push(b' ');
                    return;
                };
                // The byte behind a comment is taken as it is, even if another comment begins there.
                let behind = inside.get(end..).unwrap_or_default();
                out.extend(behind.first());
                rest = behind.get(1..).unwrap_or_default();
            }
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

/// Removes the marks `/*`, `*/`, `<!--`, `-->`, `--` and `#`.
pub(super) fn remove_marks(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    loop {
        match rest {
            [] => return,
            [b'/', b'*', after @ ..]
            | [b'*', b'/', after @ ..]
            | [b'<', b'!', b'-', b'-', after @ ..]
            | [b'-', b'-', b'>', after @ ..]
            | [b'-', b'-', after @ ..]
            | [b'#', after @ ..] => rest = after,
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

/// Where the text behind the first `*/` or `-->` begins. One pass that stops there: two searches to the end for each comment would be
/// quadratic.
fn end_of_comment(inside: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b'*', b'-', inside).find_map(|at| match inside.get(at..)? {
        [b'*', b'/', ..] => Some(at + 2),
        [b'-', b'-', b'>', ..] => Some(at + 3),
        _ => None,
    })
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, mark)
}
