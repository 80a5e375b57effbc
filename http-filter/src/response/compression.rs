//! Which answers are compressed (RFC 9110 §8.4, §8.8.3, §12.5.5), and what that does to their header. Pure.
//!
//! Never: what has a coding already, parts, answers without body, what must not be transformed, what carries a digest of its bytes, gRPC
//! (it has a compression of its own inside its frames). A cache is told by `Vary` wherever the answer could have been another one.

use common::config::{self, Algorithm};
use common_http::framing::list_has;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use http::response::Parts;

/// Fields whose value is about the bytes as they were.
const DIGESTS: [&str; 4] = ["digest", "repr-digest", "content-digest", "content-md5"];

/// The section, ready to be asked.
#[derive(Debug)]
pub struct Compression {
    /// What is offered.
    pub algorithms: Box<[Algorithm]>,
    /// How much work is put into it.
    pub level: config::CompressionLevel,
    /// Logarithm of the largest window.
    pub window_log: u32,
    /// Answers at once.
    pub max_answers: u64,
    exact: Box<[Box<str>]>,
    /// `text/`
    kinds: Box<[Box<str>]>,
    min_size: u64,
}

impl Compression {
    /// From the configuration; `None` where nothing is offered.
    pub fn new(own: &config::Compression) -> Option<Self> {
        if own.algorithms.is_empty() {
            return None;
        }
        let (kinds, exact): (Vec<&str>, Vec<&str>) =
            own.types.iter().map(|kind| &**kind).partition(|kind| kind.ends_with('*'));
        Some(Self {
            algorithms: own.algorithms.as_slice().into(),
            level: own.level,
            window_log: own.max_window.checked_ilog2().unwrap_or(15).clamp(15, 23),
            max_answers: u64::try_from(own.max_answers).unwrap_or(u64::MAX),
            exact: exact.into_iter().map(Box::from).collect(),
            kinds: kinds.into_iter().map(|kind| kind.trim_end_matches('*').into()).collect(),
            min_size: own.min_size,
        })
    }

    /// Judges an answer and, if it will be compressed, writes its header anew. `wanted` is what the client wants most,
    /// `size` what is known of the body's length, `room` whether another one may be compressed now.
    pub fn judge(
        &self,
        parts: &mut Parts,
        wanted: Option<Algorithm>,
        size: Option<u64>,
        head: bool,
        room: bool,
    ) -> Option<Algorithm> {
        if !self.may_be(parts, size) {
            return None;
        }
        vary(&mut parts.headers);
        let algorithm = wanted.filter(|_| !head && room)?;
        let name = match algorithm {
            Algorithm::Zstd => "zstd",
            Algorithm::Brotli => "br",
            Algorithm::Gzip => "gzip",
        };
        let headers = &mut parts.headers;
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        weaken(headers);
        Some(algorithm)
    }

    fn may_be(&self, parts: &Parts, size: Option<u64>) -> bool {
        let headers = &parts.headers;
        let status = parts.status;
        let has_body = !status.is_informational()
            && !matches!(
                status,
                StatusCode::NO_CONTENT
                    | StatusCode::RESET_CONTENT
                    | StatusCode::PARTIAL_CONTENT
                    | StatusCode::NOT_MODIFIED
            );
        has_body
            && size.is_none_or(|size| size >= self.min_size && size > 0)
            && self.is_of_type(headers)
            && !headers.contains_key(header::CONTENT_ENCODING)
            && !headers.contains_key(header::CONTENT_RANGE)
            && !headers.get_all(header::CACHE_CONTROL).iter().any(|line| list_has(line.as_bytes(), b"no-transform"))
            && !DIGESTS.iter().any(|name| headers.contains_key(*name))
    }

    fn is_of_type(&self, headers: &HeaderMap) -> bool {
        let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str) else { return false };
        let essence = value.split(';').next().unwrap_or_default().trim_ascii();
        if self.exact.iter().any(|own| essence.eq_ignore_ascii_case(own)) {
            return true;
        }
        // Events and calls flush all the time, and are only compressed where they are named outright.
        let streams = ["text/event-stream", "application/grpc"];
        let is = |own: &str| essence.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own));
        !streams.iter().any(|own| is(own)) && self.kinds.iter().any(|own| is(own))
    }
}

/// A cache must not give this answer to whoever accepts something else.
fn vary(headers: &mut HeaderMap) {
    let says = |token: &[u8]| headers.get_all(header::VARY).iter().any(|line| list_has(line.as_bytes(), token));
    if !says(b"*") && !says(b"accept-encoding") {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Other bytes, so no longer the same representation byte for byte: a strong tag becomes weak, one that is none goes.
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG) else { return };
    let tag = tag.as_bytes();
    if tag.starts_with(b"W/\"") {
        return;
    }
    let weak = match tag {
        [b'"', .., b'"'] => HeaderValue::from_bytes(&[b"W/", tag].concat()).ok(),
        _ => None,
    };
    match weak {
        Some(weak) => drop(headers.insert(header::ETAG, weak)),
        None => drop(headers.remove(header::ETAG)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use http::Response;

    fn compression() -> Compression {
        let types = ["text/html", "application/json", "text/*"].map(Into::into).to_vec();
        Compression::new(&config::Compression {
            algorithms: vec![Algorithm::Zstd, Algorithm::Gzip],
            types,
            min_size: 100,
            level: config::CompressionLevel::Balanced,
            max_window: 300 << 10,
            max_answers: 4,
        })
        .unwrap()
    }

    fn answer(status: u16, fields: &[(&'static str, &'static str)]) -> Parts {
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    const HTML: (&str, &str) = ("content-type", "Text/HTML; charset=utf-8");

    #[test]
    fn the_header_says_what_became_of_the_body() {
        let own = compression();
        assert_eq!(own.window_log, 18);
        let mut parts = answer(200, &[HTML, ("content-length", "999"), ("etag", "\"a\""), ("accept-ranges", "bytes")]);
        assert_eq!(own.judge(&mut parts, Some(Algorithm::Gzip), Some(999), false, true), Some(Algorithm::Gzip));
        let headers = &parts.headers;
        assert_eq!(
            (&headers["content-encoding"], &headers["vary"], &headers["etag"]),
            (
                &HeaderValue::from_static("gzip"),
                &HeaderValue::from_static("accept-encoding"),
                &HeaderValue::from_static("W/\"a\"")
            )
        );
        assert!(!headers.contains_key("content-length") && !headers.contains_key("accept-ranges"));
        for (tag, stays) in [("W/\"a\"", true), ("broken", false)] {
            let mut parts = answer(200, &[HTML, ("etag", tag)]);
            own.judge(&mut parts, Some(Algorithm::Gzip), None, false, true);
            assert_eq!(parts.headers.contains_key("etag"), stays);
        }
    }

    #[test]
    fn what_could_have_been_compressed_varies() {
        let own = compression();
        for (wanted, head, room) in
            [(None, false, true), (Some(Algorithm::Zstd), true, true), (Some(Algorithm::Zstd), false, false)]
        {
            let mut parts = answer(200, &[HTML, ("vary", "Origin"), ("etag", "\"a\""), ("content-length", "999")]);
            assert_eq!(own.judge(&mut parts, wanted, Some(999), head, room), None);
            let lines: Vec<_> = parts.headers.get_all("vary").iter().collect();
            assert_eq!(lines, ["Origin", "accept-encoding"]);
            assert_eq!(
                (&parts.headers["etag"], &parts.headers["content-length"]),
                (&HeaderValue::from_static("\"a\""), &HeaderValue::from_static("999"))
            );
        }
        let mut parts = answer(200, &[HTML, ("vary", "Cookie, Accept-Encoding")]);
        own.judge(&mut parts, None, None, false, true);
        assert_eq!(parts.headers.get_all("vary").iter().count(), 1);
    }

    #[test]
    fn what_is_never_compressed_stays_as_it_is() {
        let own = compression();
        let with = |field| answer(200, &[HTML, field]);
        for (mut parts, size) in [
            (with(("content-encoding", "br")), None),
            (with(("content-encoding", "identity")), None),
            (with(("cache-control", "public, No-Transform")), None),
            (with(("content-range", "bytes 0-1/2")), None),
            (with(("repr-digest", "sha-256=:x:")), None),
            (answer(206, &[HTML]), None),
            (answer(204, &[HTML]), None),
            (answer(304, &[HTML]), None),
            (answer(101, &[HTML]), None),
            (answer(200, &[HTML]), Some(99)),
            (answer(200, &[]), None),
            (answer(200, &[("content-type", "image/png")]), None),
            (answer(200, &[("content-type", "text/event-stream")]), None),
            (answer(200, &[("content-type", "application/jsonx")]), None),
        ] {
            let before = parts.headers.clone();
            assert_eq!(own.judge(&mut parts, Some(Algorithm::Zstd), size, false, true), None, "{before:?}");
            assert_eq!(parts.headers, before);
        }
        for kind in ["text/anything", "APPLICATION/JSON"] {
            let mut parts = answer(404, &[("content-type", kind)]);
            assert_eq!(own.judge(&mut parts, Some(Algorithm::Zstd), None, false, true), Some(Algorithm::Zstd));
        }
    }
}
