//! Keys of `[[pool]]` that say what http-filter speaks to the servers: `protocol`, `[pool.tls]`, `[pool.h2]`.

use super::super::*;

pub(in crate::config::reference) const KEYS: &[Key] = &[
    key(
        "pool.protocol",
        Kind::Choice(&["http1", "h2c", "https", "https-h2", "https-auto"]),
        value("\"http1\""),
        "What http-filter speaks to the servers.",
        "`h2c`: HTTP/2 without TLS, by prior knowledge. `https`: HTTP/1.1 over TLS. `https-h2`: HTTP/2 over TLS, agreed by ALPN; a \
         server that does not agree is an error. `https-auto`: HTTP/2 over TLS where the server chooses it by ALPN, else HTTP/1.1; WebSocket always \
         by HTTP/1.1. gRPC needs HTTP/2.",
    ),
    table(
        "pool.tls",
        "TLS to the servers of a pool with `protocol = \"https\"`, `\"https-h2\"` or `\"https-auto\"`.",
        "The server's certificate is verified: chain, validity and name.",
    ),
    key(
        "pool.tls.verify",
        Kind::Choice(&["full", "insecure-none"]),
        value("\"full\""),
        "Whether the server must prove who it is.",
        "`insecure-none` accepts any certificate: whoever sits between here and the server can read and change everything.",
    ),
    key(
        "pool.tls.ca",
        Kind::Text("path, from the directory of this file if relative"),
        Preset::Absent("the bundle of the system"),
        "Authorities that may have signed the server's certificate, in PEM.",
        "When given, no other authority is trusted. Read at the start and at each reload.",
    ),
    key(
        "pool.tls.server_name",
        Kind::Text("host name or address"),
        Preset::Absent("the host of the server's address"),
        "The name that is sent as SNI and that the certificate must be valid for.",
        "Needed where servers are addressed by number but have certificates for names.",
    ),
    key(
        "pool.tls.client_certificate",
        Kind::Text("path, from the directory of this file if relative"),
        Preset::Absent("none is shown"),
        "Certificate chain that is shown to servers that ask for one, in PEM, the leaf first.",
        "Needs `client_key`.",
    ),
    key(
        "pool.tls.client_key",
        Kind::Text("path, from the directory of this file if relative"),
        Preset::Absent("none"),
        "Private key of `client_certificate`, in PEM.",
        "",
    ),
    key(
        "pool.tls.min_version",
        Kind::Choice(&["1.2", "1.3"]),
        value("\"1.2\""),
        "Oldest TLS version that is accepted.",
        "",
    ),
    table(
        "pool.h2",
        "HTTP/2 to the servers of a pool with `protocol = \"h2c\"`, `\"https-h2\"` or `\"https-auto\"`.",
        "",
    ),
    key(
        "pool.h2.max_streams",
        integer(1, 10_000),
        value("100"),
        "Requests at once on one connection; beyond it another connection is made.",
        "The server's own limit holds too where it is smaller.",
    ),
    key(
        "pool.h2.stream_window",
        size(16 * KIB, 16 * MIB),
        value("\"128KiB\""),
        "Bytes of one answer that may wait here for a client that reads slowly.",
        "One connection holds `max_streams` times as much at most, so that one slow client never stops the others.",
    ),
    key(
        "pool.h2.ping_interval",
        Kind::Duration(Bounds { min: SECOND, max: HOUR, zero: Some("never") }),
        value("\"6m\""),
        "A connection with open requests on which nothing came for so long is asked whether it lives (PING).",
        "No answer within `ping_deadline` ends it. gRPC servers by default close connections that ping more often than every 5 minutes.",
    ),
    key(
        "pool.h2.ping_deadline",
        duration(100, 5 * MINUTE),
        value("\"20s\""),
        "How long a server may take to answer a PING.",
        "",
    ),
];
