//! `t:normalizePath`: a path without empty, `.` and `..` segments. The reading is ModSecurity's, with its peculiarities (`ab..` counts as a
//! way back too), because rules are tuned to it; it errs on the side of finding more.

/// Appends the normalised path. `windows`: backslashes are slashes.
pub(super) fn normalize(input: &[u8], windows: bool, out: &mut Vec<u8>) {
    let slash = |byte: Option<&u8>| match byte {
        Some(b'/') => true,
        Some(b'\\') => windows,
        _ => false,
    };
    let begin = out.len();
    let relative = !slash(input.first());
    let mut hit_root = false;
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        let last = after.is_empty();
        if last || slash(after.first()) {
            // The last byte of a segment tells what the segment is.
            let is_slash = slash(Some(byte));
            match (byte, written(out, begin)) {
                _ if is_slash && !last => {}
                (b'.', [before @ .., b'.']) if relative && (hit_root || before.len() <= 1) => hit_root = true,
                (b'.', [.., b'.']) => {
                    hit_root |= go_back(out, begin, !relative && last);
                    rest = after;
                }
                (b'.', []) => rest = after,
                (b'.', [.., b'/']) => {
                    if !last {
                        out.pop(); // the slash that follows takes its place
                    }
                    rest = after;
                }
                (b'.', _) | (_, []) => {}
                _ => hit_root = false,
            }
        }
        rest = copy(rest, relative && out.len() == begin, slash, out);
    }
    if !slash(input.last()) && written(out, begin).last() == Some(&b'/') {
        out.pop();
    }
}

/// What this call of [`normalize`] has written so far.
fn written(out: &[u8], begin: usize) -> &[u8] {
    out.get(begin..).unwrap_or_default()
}

/// Removes the first dot of a back reference, the slash before it and the segment before that one. True if nothing is left;
/// `keep_root` leaves the slash of the root even so.
fn go_back(out: &mut Vec<u8>, begin: usize, keep_root: bool) -> bool {
    let length = written(out, begin).len();
    let before = written(out, begin).get(..length.saturating_sub(2)).unwrap_or_default();
    match before.iter().rposition(|byte| *byte == b'/') {
        Some(slash) if slash > 0 => {
            out.truncate(begin + slash);
            false
        }
        _ => {
            out.truncate(begin + usize::from(keep_root));
            true
        }
    }
}

/// Copies one byte, or a run of slashes as one slash (none if `at_root`), and returns what follows.
fn copy<'a>(rest: &'a [u8], at_root: bool, slash: impl Fn(Option<&u8>) -> bool, out: &mut Vec<u8>) -> &'a [u8] {
    let Some((byte, after)) = rest.split_first() else { return rest };
    if !slash(Some(byte)) {
        out.push(*byte);
        return after;
    }
    let run = after.iter().take_while(|byte| slash(Some(byte))).count();
    if !at_root {
        out.push(b'/');
    }
    after.get(run..).unwrap_or_default()
}
