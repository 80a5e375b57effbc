//! Request id and place in a trace of one request: read when it comes, written into what goes on.

use common::config::{RequestIdPolicy, TraceMode};
use http::HeaderMap;

use super::request_id::{RequestId, X_REQUEST_ID};
use super::settings::Settings;
use super::trace::{Parent, TRACEPARENT, TRACESTATE, is_valid_state};

/// Who this request is to others.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its id.
    pub id: RequestId,
    /// The span that the backend sees as its parent: ours with `mode = "span"`, else the client's.
    pub here: Option<Parent>,
    /// With `mode = "span"`: the span we continue.
    pub parent: Option<u64>,
}

impl Context {
    /// Reads what came; `trusted`: from a trusted proxy.
    pub fn read(settings: &Settings, headers: &HeaderMap, trusted: bool) -> Self {
        let takes_over = trusted && settings.request_id != RequestIdPolicy::Off;
        let ids = &settings.lasting.ids;
        let id = if takes_over { ids.take_over(headers) } else { ids.make() };
        let (here, parent) = match settings.trace {
            TraceMode::Off => (None, None),
            TraceMode::Pass => (claimed(settings, headers, trusted), None),
            TraceMode::Span => span(settings, claimed(settings, headers, trusted)),
        };
        Self { id, here, parent }
    }

    /// Writes what goes to the backend. What a client sent of it and what does not hold is gone then.
    pub fn write(&self, settings: &Settings, headers: &mut HeaderMap) {
        if settings.request_id != RequestIdPolicy::Off {
            headers.insert(X_REQUEST_ID, self.id.value());
        }
        if settings.trace == TraceMode::Off {
            return;
        }
        let continued = match settings.trace {
            TraceMode::Span => self.parent.is_some(),
            _ => self.here.is_some(),
        };
        if headers.contains_key(TRACESTATE) && !(continued && is_valid_state(headers)) {
            headers.remove(TRACESTATE);
        }
        match (&self.here, settings.trace) {
            (Some(here), TraceMode::Span) => drop(headers.insert(TRACEPARENT, here.value())),
            (Some(_), _) => {}
            (None, _) => drop(headers.remove(TRACEPARENT)),
        }
    }

    /// Writes what the client is told.
    pub fn tell_client(&self, settings: &Settings, headers: &mut HeaderMap) {
        if settings.request_id == RequestIdPolicy::Both {
            headers.insert(X_REQUEST_ID, self.id.value());
        }
    }
}

/// The trace that the request says it belongs to, if it is believed.
fn claimed(settings: &Settings, headers: &HeaderMap, trusted: bool) -> Option<Parent> {
    (trusted || !settings.trace_trusted_only).then(|| Parent::of(headers)).flatten()
}

/// Our own span below `parent`, or the first of a new trace.
fn span(settings: &Settings, parent: Option<Parent>) -> (Option<Parent>, Option<u64>) {
    let span = settings.lasting.draw();
    let here = match parent {
        Some(parent) => Parent { span, ..parent },
        None => {
            let trace = (u128::from(settings.lasting.draw()) << 64) | u128::from(settings.lasting.draw());
            Parent { trace, span, sampled: settings.records_trace() }
        }
    };
    (Some(here), parent.map(|parent| parent.span))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use common::config::Config;
    use http::HeaderValue;

    const CAME: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::new(&Config::default(), &crate::metrics::Metrics::default(), None).unwrap();
        change(&mut settings);
        settings
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    /// What goes on of what came.
    fn through(settings: &Settings, came: &[(&'static str, &'static str)], trusted: bool) -> HeaderMap {
        let mut headers = headers(came);
        let context = Context::read(settings, &headers, trusted);
        context.write(settings, &mut headers);
        headers
    }

    #[test]
    fn only_a_trusted_proxy_chooses_the_id() {
        let backend = settings(|_| {});
        assert_eq!(through(&backend, &[("x-request-id", "theirs")], true)["x-request-id"], "theirs");
        let made = through(&backend, &[("x-request-id", "forged")], false);
        assert_eq!(made.get_all("x-request-id").iter().count(), 1);
        assert_eq!(made["x-request-id"].len(), 32);
        let off = settings(|own| own.request_id = RequestIdPolicy::Off);
        assert_eq!(through(&off, &[("x-request-id", "plain")], false)["x-request-id"], "plain");
        assert!(!through(&off, &[], false).contains_key("x-request-id"));
    }

    #[test]
    fn a_valid_trace_passes_and_an_invalid_one_is_dropped() {
        let pass = settings(|_| {});
        let good = through(&pass, &[("traceparent", CAME), ("tracestate", "a=1")], false);
        assert_eq!(good["traceparent"], CAME);
        assert_eq!(good["tracestate"], "a=1");
        for bad in [
            &[("traceparent", "00-0-0-0"), ("tracestate", "a=1")][..],
            &[("tracestate", "a=1")],
            &[("traceparent", CAME), ("traceparent", CAME), ("tracestate", "a=1")],
        ] {
            let gone = through(&pass, bad, false);
            assert!(!gone.contains_key("tracestate") && !gone.contains_key("traceparent"), "{bad:?}");
        }
        let state_only = through(&pass, &[("traceparent", CAME), ("tracestate", "A=1")], false);
        assert!(state_only.contains_key("traceparent") && !state_only.contains_key("tracestate"));
    }

    #[test]
    fn a_span_continues_or_begins_a_trace() {
        let own = settings(|own| own.trace = TraceMode::Span);
        let on = through(&own, &[("traceparent", CAME), ("tracestate", "a=1")], false);
        let (came, goes) = (Parent::parse(CAME.as_bytes()).unwrap(), Parent::of(&on).unwrap());
        assert_eq!((goes.trace, goes.sampled, &on["tracestate"]), (came.trace, true, &HeaderValue::from_static("a=1")));
        assert_ne!(goes.span, came.span);
        let new = through(&own, &[("traceparent", "junk"), ("tracestate", "a=1")], false);
        let begun = Parent::of(&new).unwrap();
        assert!(begun.trace != came.trace && begun.sampled && !new.contains_key("tracestate"));
        let none = settings(|own| (own.trace, own.trace_sample) = (TraceMode::Span, 0));
        assert!(!Parent::of(&through(&none, &[], false)).unwrap().sampled);
    }

    #[test]
    fn strangers_cannot_make_us_record() {
        let own = settings(|own| (own.trace, own.trace_trusted_only, own.trace_sample) = (TraceMode::Span, true, 0));
        let came = Parent::parse(CAME.as_bytes()).unwrap();
        let stranger = Parent::of(&through(&own, &[("traceparent", CAME)], false)).unwrap();
        assert!(stranger.trace != came.trace && !stranger.sampled);
        let proxy = Parent::of(&through(&own, &[("traceparent", CAME)], true)).unwrap();
        assert!(proxy.trace == came.trace && proxy.sampled);
    }
}
