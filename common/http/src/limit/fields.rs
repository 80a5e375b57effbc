//! What a client is told about limits: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10: lists of named items with
//! parameters, RFC 9651) and `Retry-After` (RFC 9110 §10.2.3). Names come from the configuration, never from a client.

use std::fmt::Write;
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};

use super::gcra::Standing;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Collects one item per limit.
#[derive(Debug, Default)]
pub struct Fields {
    policy: String,
    standing: String,
    retry_after: Option<u64>,
}

impl Fields {
    /// Adds a limit: `quota` requests in `window`, and where the client stands in it. `name` is a label of the configuration.
    pub fn add(&mut self, name: &str, quota: u64, window: Duration, standing: Standing) {
        for text in [&mut self.policy, &mut self.standing] {
            if !text.is_empty() {
                text.push_str(", ");
            }
        }
        // Writing to a String cannot fail.
        let _ = write!(self.policy, "\"{name}\";q={quota};w={}", seconds(window));
        let _ = write!(self.standing, "\"{name}\";r={};t={}", standing.remaining, seconds(standing.full_after));
    }

    /// When to come back: at least one second from now.
    pub fn retry_after(&mut self, after: Duration) {
        self.retry_after = Some(seconds(after).max(1));
    }

    /// Writes them into an answer's header. What a backend says under these names stays beside it: they are lists.
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, text) in [(RATE_LIMIT_POLICY, &self.policy), (RATE_LIMIT, &self.standing)] {
            if let Ok(value) = HeaderValue::from_str(text)
                && !text.is_empty()
            {
                headers.append(name, value);
            }
        }
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after));
        }
    }
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_structured_lists() {
        let mut fields = Fields::default();
        let standing = Standing { remaining: 7, full_after: Duration::from_millis(1200) };
        fields.add("api", 10, Duration::from_secs(60), standing);
        fields.add("all", 100, Duration::from_millis(1500), Standing { remaining: 0, full_after: Duration::ZERO });
        fields.retry_after(Duration::from_millis(1));
        let mut headers = HeaderMap::new();
        fields.write(&mut headers);
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(value("ratelimit-policy"), Some("\"api\";q=10;w=60, \"all\";q=100;w=2"));
        assert_eq!(value("ratelimit"), Some("\"api\";r=7;t=2, \"all\";r=0;t=0"));
        assert_eq!(value("retry-after"), Some("1"));
        let mut none = HeaderMap::new();
        Fields::default().write(&mut none);
        assert!(none.is_empty());
    }
}
