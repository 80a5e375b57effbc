//! What forward-proxy counts.

common::figures! {
    /// Figures of forward-proxy.
    pub struct Metrics {
        accepted: "connections accepted",
        connections: "client connections held now; tunnels belong to passthrough-relay",
        refused_full: "connections refused because max_connections or max_connections_per_address is reached",
        out_of_descriptors: "connections closed at once because this process has no descriptor left",
        handed_on: "connections between two requests, or before their first, that were given to a successor",
        taken_over: "connections that a predecessor has given",
        came_back: "of those handed on, the ones that no successor had a place for: they are ended",
        vanished: "connections that the client ended before its first request was whole",
        head_timeouts: "connections whose first request was not whole in time",
        malformed: "requests refused because their framing has no single reading",
        connects: "CONNECT requests",
        forwarded: "requests in absolute form",
        tunnels: "tunnels handed to passthrough-relay",
        undelivered: "tunnels that no instance of passthrough-relay took in time",
        not_proxy_requests: "requests refused because they are not for a proxy (origin form, https URI)",
        bad_destinations: "requests refused because their destination has no single reading",
        log_in: "requests answered with 407",
        denied: "requests refused by an access rule, a closed port or the default",
        observed: "requests that a rule in observe mode would have decided",
        expression_failures: "expressions of access rules that failed; a rule that denies then matches, one that allows does not",
        guarded: "requests refused by the address guard of passthrough-relay",
        dials_failed: "requests whose destination was not reached",
        upstream_errors: "forwarded requests that got no answer from the server they reached",
        password_checks: "passwords checked against a hash",
        password_checks_refused: "requests refused because too many passwords wait to be checked",
        wrong_passwords: "passwords that did not fit",
        throttled: "requests refused because their client tried too many wrong passwords",
        lingering: "refused connections that are being told so now",
    }
}
