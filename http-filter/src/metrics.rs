//! What http-filter counts.

common::figures! {
    /// Figures of http-filter.
    pub struct Metrics with labelled: super::observe::labelled::Labelled {
        connections: "client connections open now",
        connections_tls: "connections taken from tls-terminator",
        connections_plain: "connections taken from sni-router",
        full: "hand-overs returned because of max_connections",
        client_full: "connections closed because their address holds max_connections_per_address",
        requests: "requests read",
        requests_active: "requests being answered now",
        malformed: "requests refused because they have no single reading (400, 414, 417, 431)",
        misdirected: "requests for another host than the TLS name of their connection (421)",
        denied: "requests refused by an access rule (403)",
        observed: "requests that a rule in observe mode would have refused",
        no_route: "requests that no route matched (404)",
        too_large: "requests whose body is larger than max_body (413)",
        upstream_failed: "requests without an answer from a backend (502, 503, 504)",
        retries: "requests sent to another server because the first could not be reached",
        ejections: "servers left out for a while after failing in a row",
        upgrades: "connections that switched protocols (WebSocket)",
        timeouts: "client connections closed because a deadline passed",
        answers_2xx: "answers with a status from 200 to 299",
        answers_3xx: "answers with a status from 300 to 399",
        answers_4xx: "answers with a status from 400 to 499",
        answers_5xx: "answers with a status from 500 to 599",
        aborted: "requests whose client left before the last byte of its answer",
        bytes_in: "bytes of request bodies",
        bytes_out: "bytes of answer bodies",
    }
}
