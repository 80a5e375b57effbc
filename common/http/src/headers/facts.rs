//! Header fields as access rules see them: the bridge from `http` to `common_access`, which must not know HTTP libraries.

use std::borrow::Cow;

use common_access::Headers;
use http::HeaderMap;

/// The fields of one request.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a HeaderMap);

impl Headers for Fields<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.get_all(name).iter().any(|value| test(value.as_bytes()))
    }

    fn names(&self, visit: &mut dyn FnMut(&str)) {
        self.0.keys().for_each(|name| visit(name.as_str()));
    }

    fn joined(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut lines = self.0.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let first = lines.next()?;
        let separator = if name == "cookie" { "; " } else { ", " };
        Some(lines.fold(first, |mut all, line| {
            let joined = all.to_mut();
            joined.push_str(separator);
            joined.push_str(&line);
            all
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn fields_as_rules_see_them() {
        let mut map = HeaderMap::new();
        for (name, value) in [("x-a", "one"), ("X-A", "two"), ("cookie", "a=1"), ("cookie", "b=2"), ("x-b", "\u{e4}")] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map.append("x-c", HeaderValue::from_bytes(&[0xff, b'c']).unwrap());
        let fields = Fields(&map);
        assert_eq!(fields.joined("x-a").as_deref(), Some("one, two"));
        assert_eq!(fields.joined("cookie").as_deref(), Some("a=1; b=2"));
        assert_eq!(fields.joined("x-b").as_deref(), Some("\u{e4}"));
        assert_eq!(fields.joined("x-c").as_deref(), Some("\u{fffd}c"));
        assert_eq!(fields.joined("x-d"), None);
        assert!(fields.any("x-a", &mut |value| value == b"two") && !fields.any("x-d", &mut |_| true));
        let mut names = Vec::new();
        fields.names(&mut |name| names.push(name.to_owned()));
        names.sort();
        assert_eq!(names, ["cookie", "x-a", "x-b", "x-c"]);
    }
}
