//! Patterns of paths: `*` stands for any characters of one name and `?` for one; neither for a slash, nor for the dot at the start of a
//! hidden name. Pure; names are bytes, as the kernel has them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Whether a path has a wildcard.
pub fn is_pattern(path: &Path) -> bool {
    path.components().any(|component| wildcard(component).is_some())
}

/// The part of a path, if it has a wildcard.
pub fn wildcard<'a>(component: Component<'a>) -> Option<&'a OsStr> {
    match component {
        Component::Normal(name) if name.as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?')) => Some(name),
        _ => None,
    }
}

/// Whether the pattern names the path.
pub fn names(pattern: &Path, path: &Path) -> bool {
    let (mut wanted, mut parts) = (pattern.components(), path.components());
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) => match (wildcard(one), other) {
                (Some(wanted), Component::Normal(name)) if matches(wanted, name) => {}
                (None, _) if one == other => {}
                _ => return false,
            },
            _ => return false,
        }
    }
}

/// Whether one part of a pattern stands for a name. One step back per star, which is enough: quadratic at worst.
pub fn matches(pattern: &OsStr, name: &OsStr) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut at, mut seen) = (0, 0);
    // Behind the latest star, and how much of the name it stands for at least.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((behind, eaten)) = star else { return false };
                star = Some((behind, eaten + 1));
                (at, seen) = (behind, eaten + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(pattern: &str, name: &str) -> bool {
        matches(OsStr::new(pattern), OsStr::new(name))
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name) in [
            ("*.conf", "a.conf"),
            ("*", "a"),
            ("a*", "a"),
            ("*a*b*", "xaxxb"),
            ("RE*-9??-*.conf", "REQUEST-901-INIT.conf"),
            (".*", ".a"),
            ("a", "a"),
            ("*ab", "aab"),
        ] {
            assert!(one(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.config"),
            ("*.conf", ".a.conf"),
            ("?", ""),
            ("a?", "a"),
            ("*a", "b"),
            ("a", "A"),
            ("a*b", "ab*"),
        ] {
            assert!(!one(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_star_stays_within_its_name() {
        let names = |pattern: &str, path: &str| names(Path::new(pattern), Path::new(path));
        assert!(names("/a/*.conf", "/a/x.conf") && names("/*/x", "/a/x") && names("/a/../*/x", "/a/../b/x"));
        assert!(!names("/a/*.conf", "/a/b/x.conf") && !names("/*/x", "/../x") && !names("/*", "/a/b"));
        assert!(is_pattern(Path::new("/a/*")) && is_pattern(Path::new("/?/b")) && !is_pattern(Path::new("/a/b")));
    }
}
