//! One request as a span, and spans as the JSON of OTLP (protobuf's JSON mapping: 64-bit numbers are strings, ids are
//! hexadecimal). Attributes have the names of OpenTelemetry's semantic conventions for HTTP servers. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::journey::Account;
use crate::observe::trace::Parent;

/// Bytes of a text of the client in a span.
const LONGEST: usize = 1024;
/// `SPAN_KIND_SERVER`
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`
const ERROR: u8 = 2;

/// A recorded request.
#[derive(Debug, Default)]
pub struct Span {
    trace: u128,
    span: u64,
    parent: Option<u64>,
    name: String,
    began: Duration,
    ended: Duration,
    failed: bool,
    attributes: Vec<(&'static str, Value)>,
}

impl Span {
    /// The span of a request that ended at `now`.
    pub fn of(account: &Account, here: Parent, now: SystemTime, total: Duration) -> Self {
        let ended = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let method = known_method(&account.method);
        let name = match &account.route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        Self {
            trace: here.trace,
            span: here.span,
            parent: account.context.parent,
            name,
            began: ended.saturating_sub(total),
            ended,
            failed: account.status >= 500 || account.status == 0 || account.error.is_some(),
            attributes: attributes(account, method),
        }
    }
}

/// Method names come from clients; only those everybody knows become names (semantic conventions, "HTTP").
fn known_method(method: &http::Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

fn attributes(account: &Account, method: &'static str) -> Vec<(&'static str, Value)> {
    let client = account.client.unwrap_or_else(|| account.connection.client.ends.client.ip());
    let cut = |text: &str| text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned();
    let scheme = if account.connection.client.tls.is_some() { "https" } else { "http" };
    let mut all = vec![
        ("http.request.method", json!({ "stringValue": method })),
        ("http.response.status_code", number(account.status.into())),
        ("url.scheme", text(scheme)),
        ("url.path", text(&cut(&account.path))),
        ("server.address", text(&cut(&account.host))),
        ("client.address", text(&client.to_string())),
        ("network.protocol.version", text(version(account.version))),
        ("http.request.body.size", number(account.bytes_in())),
        ("http.response.body.size", number(account.bytes_out)),
        ("bulkhead.decision", text(account.decision)),
        ("bulkhead.request_id", account.context.id.with(text)),
    ];
    let named = [
        ("bulkhead.route", account.route.as_deref()),
        ("bulkhead.pool", account.pool.as_deref()),
        ("bulkhead.server", Some(account.server.as_str()).filter(|server| !server.is_empty())),
        ("bulkhead.rule", account.rule.as_deref()),
    ];
    all.extend(named.into_iter().filter_map(|(name, value)| Some((name, text(value?)))));
    if account.status >= 500 {
        all.push(("error.type", text(&account.status.to_string())));
    }
    all
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

fn text(value: &str) -> Value {
    json!({ "stringValue": value })
}

fn number(value: u64) -> Value {
    json!({ "intValue": value.to_string() })
}

fn attribute((name, value): &(&'static str, Value)) -> Value {
    json!({ "key": name, "value": value })
}

/// An `ExportTraceServiceRequest`.
pub fn body<'a>(spans: impl Iterator<Item = &'a Span>) -> Bytes {
    let release = env!("CARGO_PKG_VERSION");
    let resource = [("service.name", text("bulkhead")), ("service.version", text(release))];
    let spans: Vec<Value> = spans.map(one).collect();
    let whole = json!({ "resourceSpans": [{
        "resource": { "attributes": resource.iter().map(attribute).collect::<Vec<_>>() },
        "scopeSpans": [{ "scope": { "name": "http-filter", "version": release }, "spans": spans }],
    }]});
    Bytes::from(whole.to_string())
}

fn one(span: &Span) -> Value {
    let mut value = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.span),
        "flags": 1,
        "name": span.name,
        "kind": SERVER,
        "startTimeUnixNano": span.began.as_nanos().to_string(),
        "endTimeUnixNano": span.ended.as_nanos().to_string(),
        "attributes": span.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "status": if span.failed { json!({ "code": ERROR }) } else { json!({}) },
    });
    if let (Some(parent), Some(fields)) = (span.parent, value.as_object_mut()) {
        fields.insert("parentSpanId".to_owned(), format!("{parent:016x}").into());
    }
    value
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_span_has_the_form_that_collectors_read() {
        let span = Span {
            trace: 0xab,
            span: 0xcd,
            parent: Some(0xef),
            name: "GET all".into(),
            began: Duration::from_nanos(1_700_000_000_000_000_001),
            ended: Duration::from_nanos(1_700_000_000_000_001_000),
            failed: true,
            attributes: vec![("url.path", text("/a\"b")), ("n", number(u64::MAX))],
        };
        let value: Value = serde_json::from_slice(&body([span].iter())).unwrap();
        let span = &value["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "000000000000000000000000000000ab");
        assert_eq!((&span["spanId"], &span["parentSpanId"]), (&"00000000000000cd".into(), &"00000000000000ef".into()));
        assert_eq!((&span["startTimeUnixNano"], &span["kind"]), (&"1700000000000000001".into(), &2.into()));
        assert_eq!(span["status"]["code"], 2);
        assert_eq!(span["attributes"][0]["value"]["stringValue"], "/a\"b");
        assert_eq!(span["attributes"][1]["value"]["intValue"], "18446744073709551615");
    }

    #[test]
    fn methods_of_strangers_are_no_names() {
        assert_eq!(known_method(&http::Method::GET), "GET");
        assert_eq!(known_method(&http::Method::from_bytes(b"GETX").unwrap()), "_OTHER");
    }
}
