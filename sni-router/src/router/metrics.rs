//! What sni-router counts.

common::figures! {
    /// Figures of sni-router.
    pub struct Metrics {
        accepted: "connections accepted",
        denied: "connections closed by an access rule",
        observed: "connections that a rule in observe mode would have closed",
        expression_failures: "expressions of access rules that failed; a rule that denies then matches, one that allows does not",
        rate_limited: "connections closed because their address opens too many per second",
        hellos_waiting: "connections whose ClientHello is not whole yet",
        hellos_refused: "connections closed because too many ClientHellos are in progress, in all or from one address",
        hello_timeouts: "connections closed because their ClientHello (or PROXY header) was not whole in time",
        vanished: "connections that the client ended before its ClientHello was whole",
        passthrough: "connections handed to passthrough-relay",
        terminate: "connections handed to tls-terminator",
        plain_http: "connections handed to http-filter",
        refused_by_route: "connections refused by a route",
        no_sni: "connections refused because their ClientHello names no server",
        unknown_name: "connections refused because no route knows the name",
        malformed: "connections refused because their ClientHello breaks a rule",
        not_tls: "connections refused because they do not speak TLS",
        bad_proxy_header: "connections closed because the PROXY header they owe is absent or malformed",
        undelivered: "connections refused because no instance of the receiving process took them in time",
        lingering: "refused connections that are being told so now",
        out_of_descriptors: "connections closed at once because this process has no descriptor left",
    }
}
