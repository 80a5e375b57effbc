//! What passthrough-relay counts.

common::figures! {
    /// Figures of passthrough-relay.
    pub struct Metrics {
        connections: "tunnels open now: passthrough connections and CONNECT tunnels",
        passthrough: "passthrough connections taken",
        splices: "CONNECT tunnels taken",
        dials: "connections asked for by http-filter and forward-proxy",
        dials_refused: "of these, refused because of the address or the configuration",
        dials_failed: "of these, failed because of the name, the server or the deadline",
        connects_failed: "connects to a server of a passthrough pool that failed",
        no_server: "passthrough connections closed because no server of the pool could be reached",
        pool_full: "passthrough connections closed because their pool holds max_connections",
        checks: "health checks made",
        checks_failed: "of these, those that failed",
        servers_went_down: "times a server was taken out by its health checks",
        servers_came_up: "times a server was brought back by its health checks",
        ejections: "servers left out for a while after failing in a row",
        handed_on: "tunnels, and clients still without a server, that were given to a successor",
        taken_over: "tunnels, and clients still without a server, that a predecessor has given",
        came_back: "of those handed on, the ones that no successor had a place for: they go on here as long as this process does",
        full: "hand-overs returned because of max_connections",
        client_full: "connections closed because their address holds max_connections_per_address",
        bytes_in: "bytes from clients to servers",
        bytes_out: "bytes from servers to clients",
        bytes_spliced: "bytes of both that never entered this process",
        ended_idle: "tunnels ended because nothing moved",
        ended_by_error: "tunnels ended by a reset or a broken connection",
    }
}
