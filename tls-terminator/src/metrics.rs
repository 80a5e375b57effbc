//! The figures of this process, as `bulkhead status` shows them.

common::figures! {
    /// What tls-terminator counts.
    pub struct TerminatorFigures {
        received: "client sockets taken from sni-router",
        returned: "client sockets given back because max_handshakes or max_connections was reached, or while draining",
        refused_address: "clients closed because their address had max_connections_per_address open",
        refused_name: "clients refused because no site serves the name they asked for",
        handshakes: "handshakes going on now",
        handshakes_full: "handshakes finished, with a certificate",
        handshakes_resumed: "handshakes finished, resumed from a ticket",
        tls13: "finished handshakes that agreed on TLS 1.3",
        tls12: "finished handshakes that agreed on TLS 1.2",
        post_quantum: "finished handshakes with a post-quantum key exchange",
        client_certificates: "finished handshakes with a verified client certificate",
        refused_identity: "clients closed because their verified certificate has names that rules cannot be asked about",
        handshakes_uncertified: "handshakes that failed because the client certificate was missing or not good",
        handshakes_incompatible: "handshakes that failed because nothing in common was found (version, suite, protocol, signature)",
        handshakes_faulty: "handshakes that failed because the client broke the protocol",
        handshakes_rejected: "handshakes that the client ended with an alert (it may not trust the certificate)",
        handshakes_abandoned: "handshakes that the client left without a word",
        handshakes_late: "handshakes not finished within handshake_deadline",
        connections: "connections going on now, handshakes included",
        handed_over: "connections given to http-filter with their traffic secrets",
        undelivered: "finished handshakes that no http-filter took",
        ended_by_client: "connections that the client ended properly",
        ended_by_filter: "connections that http-filter ended",
        ended_truncated: "connections whose client left without close_notify",
        ended_reset: "connections whose client reset them or could not be reached any more",
        ended_filter_gone: "connections whose http-filter died",
        ended_faulty: "connections whose client broke the protocol after the handshake",
        ended_idle: "connections closed after idle_deadline",
        ended_stopping: "connections closed because this process stops",
        bytes_from_clients: "plaintext bytes from clients to http-filter",
        bytes_to_clients: "plaintext bytes from http-filter to clients",
        certificate_warnings: "warnings about certificates at start (expired, wrong names); see the log",
    }
}
