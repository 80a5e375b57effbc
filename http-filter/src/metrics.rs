//! What http-filter counts.

use common_http::h2_guard::Flood;
use tls_record::Fault;

common::figures! {
    /// Figures of http-filter.
    pub struct Metrics with labelled: super::observe::labelled::Labelled {
        connections: "client connections open now",
        connections_tls: "connections taken from tls-terminator",
        tls_truncated: "connections whose client left without close_notify (counted here with `handoff = \"secrets\"`)",
        tls_faulty: "connections whose client broke the TLS protocol behind its handshake (likewise)",
        connections_plain: "connections taken from sni-router",
        handed_on: "connections given to a successor when this process was told to finish",
        taken_over: "connections taken from an http-filter that finished",
        came_back: "connections for which no successor had a place: they were closed",
        full: "hand-overs returned because of max_connections",
        client_full: "connections refused (503 or GOAWAY) because their address holds max_connections_per_address",
        lingering: "refused connections that are being told so now",
        requests: "requests read",
        requests_active: "requests being answered now",
        sent_on: "of these, those that are sent on or wait for a server, WebSockets included (max_requests)",
        shed: "requests refused because max_requests were under way (503)",
        query_of_death_refused: "requests refused because requests like them were in flight when http-filter died (500)",
        deaths_recorded: "requests in flight when the former life of this process died, which are under suspicion since",
        journal_full: "requests that were not noted because 4096 others were in flight",
        malformed: "requests refused because they have no single reading (400, 414, 417, 431)",
        misdirected: "requests for another host than the TLS name of their connection (421)",
        denied: "requests refused by an access rule (403)",
        observed: "requests that a rule in observe mode would have refused",
        expression_failures: "expressions of access rules that failed; a rule that denies then matches, one that allows does not",
        rate_limited: "requests beyond a rate limit (429)",
        concurrency_limited: "requests beyond a concurrency limit (429)",
        web_attacks_inspected: "requests that rules against web attacks looked at",
        web_attacks_refused: "of these, those that were refused",
        web_attacks_detected: "of these, those that would have been refused, in detect mode",
        web_attack_bodies_inspected: "request bodies that rules looked at",
        web_attack_answers_inspected: "answers that rules looked at (responses)",
        web_attack_answer_bodies_inspected: "of these, those whose bodies they looked at",
        web_attack_answers_overlooked: "answers that rules did not look at as a whole: larger than max_response_body, coded, or no room (max_held, threads)",
        web_attack_over_limit: "requests beyond max_body or another limit of web-attacks, or with a coded body",
        web_attack_over_budget: "requests whose inspection would have cost more than `budget`",
        web_attack_malformed_bodies: "bodies that are not what their Content-Type says",
        web_attack_busy: "bodies for which there was no inspection thread or no room (max_waiting, max_held)",
        web_attack_failed: "inspections that failed by a mistake of ours",
        web_attack_shadow_judged: "requests that the shadow rules looked at",
        web_attack_shadow_differences: "of these, those that they judge otherwise",
        web_attack_shadow_dropped: "requests that the shadow rules did not look at for lack of room (max_waiting, max_held / 4)",
        no_route: "requests that no route matched (404)",
        redirects: "requests that a route redirected",
        fixed_answers: "requests that a route answered with a fixed answer",
        route_refusals: "requests that a route refused with its `status`",
        error_pages: "answers of backends that an error page took the place of",
        compressing: "answers being compressed now",
        compressed: "answers that were compressed",
        compressed_from: "bytes of answer bodies before they were compressed",
        rewrites_failed: "requests of which a redirect or a rewriting rule made no valid target (500)",
        too_large: "requests whose body is larger than max_body (413)",
        upstream_failed: "requests without an answer from a backend (502, 503, 504)",
        retries: "requests sent to another server because the first could not be reached",
        retries_refused: "retries not made because the budget of the pool was spent",
        queued: "requests that wait for a free server now",
        queue_full: "requests refused because the queue of their pool was full (503)",
        queue_timeouts: "requests refused because they waited too long for a free server (503)",
        checks: "health checks made",
        checks_failed: "of these, those that failed",
        servers_went_down: "times a server was taken out by its health checks",
        servers_came_up: "times a server was brought back by its health checks",
        ejections: "servers left out for a while after failing in a row",
        upgrades: "connections that switched protocols (WebSocket)",
        h2_floods_resets: "HTTP/2 connections closed because of RST_STREAM floods (rapid reset)",
        h2_floods_provoked_resets: "HTTP/2 connections closed because the client provoked resets (MadeYouReset)",
        h2_floods_settings: "HTTP/2 connections closed because of SETTINGS floods",
        h2_floods_pings: "HTTP/2 connections closed because of PING floods",
        h2_floods_priorities: "HTTP/2 connections closed because of PRIORITY floods",
        h2_floods_empty_data: "HTTP/2 connections closed because of DATA frames without data",
        h2_floods_tiny_data: "HTTP/2 connections closed because of DATA frames with a few bytes each",
        h2_floods_window_updates: "HTTP/2 connections closed because of WINDOW_UPDATE floods",
        h2_floods_continuations: "HTTP/2 connections closed because of too many CONTINUATION frames",
        h2_floods_header_block: "HTTP/2 connections closed because of a header block without end",
        h2_floods_unknown_frames: "HTTP/2 connections closed because of frames of unknown types",
        timeouts: "client connections closed because a deadline passed",
        answers_2xx: "answers with a status from 200 to 299",
        answers_3xx: "answers with a status from 300 to 399",
        answers_4xx: "answers with a status from 400 to 499",
        answers_5xx: "answers with a status from 500 to 599",
        unsent: "bytes of HTTP/2 answers that wait for their clients now",
        held_back: "times an HTTP/2 answer was held back because its address has max_unsent_per_address waiting",
        aborted: "requests whose client left before the last byte of its answer",
        spans_sent: "spans that the collector took",
        spans_dropped: "spans dropped because the queue was full or the collector refused them",
        bytes_in: "bytes of request bodies",
        bytes_out: "bytes of answer bodies",
    }
}

impl Metrics {
    /// A connection ended with an error: this one of its TLS, if it was that.
    pub fn tls_fault(&self, fault: Option<&Fault>) {
        match fault {
            Some(Fault::Truncated) => self.tls_truncated.up(),
            Some(_) => self.tls_faulty.up(),
            None => {}
        }
    }

    /// One more connection closed for this.
    pub fn flood(&self, flood: Flood) {
        match flood {
            Flood::Resets => &self.h2_floods_resets,
            Flood::ProvokedResets => &self.h2_floods_provoked_resets,
            Flood::Settings => &self.h2_floods_settings,
            Flood::Pings => &self.h2_floods_pings,
            Flood::Priorities => &self.h2_floods_priorities,
            Flood::EmptyData => &self.h2_floods_empty_data,
            Flood::TinyData => &self.h2_floods_tiny_data,
            Flood::WindowUpdates => &self.h2_floods_window_updates,
            Flood::Continuations => &self.h2_floods_continuations,
            Flood::HeaderBlock => &self.h2_floods_header_block,
            Flood::UnknownFrames => &self.h2_floods_unknown_frames,
        }
        .up();
    }
}
