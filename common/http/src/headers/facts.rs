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
