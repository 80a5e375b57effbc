//! Keys of termination: `[tls-terminator]` and `[[site]]`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    table("tls-terminator", "Shakes hands and holds the private keys; reaches no network.", ""),
    key("tls-terminator.instances", integer(1, 64), value("1"), INSTANCES, INSTANCES_LONG),
    key(
        "tls-terminator.handshake_deadline",
        duration(100, 5 * MINUTE),
        value("\"10s\""),
        "Time for a handshake, from the moment the socket is received.",
        "",
    ),
    key("tls-terminator.max_handshakes", integer(1, MANY), value("4096"), "Handshakes at once.", ""),
    key(
        "tls-terminator.max_connections",
        integer(1, MANY),
        value("16384"),
        "Connections at once in one instance, in all.",
        "",
    ),
    key("tls-terminator.max_connections_per_address", integer(1, MANY), value("512"), PER_ADDRESS, PER_ADDRESS_LONG),
    key(
        "tls-terminator.idle_deadline",
        duration(SECOND, 7 * DAY),
        value("\"10m\""),
        "A connection on which no byte moves either way for so long is closed.",
        "",
    ),
    key(
        "tls-terminator.min_version",
        Kind::Choice(&["1.2", "1.3"]),
        value("\"1.2\""),
        "Oldest TLS version that is accepted.",
        "",
    ),
    key(
        "tls-terminator.ready_keys",
        integer(16, 65_536),
        value("1024"),
        "Private keys that are kept ready to sign.",
        "A key is parsed when a client needs it for the first time, so that thousands of sites cost neither time at the start \
         nor memory (a ready RSA key takes some 10 KiB). The one not used for longest makes room; it is parsed again when wanted.",
    ),
    key(
        "tls-terminator.watch",
        Kind::Flag,
        value("true"),
        "Whether `bulkhead up` takes certificates, keys and OCSP responses anew when their files change.",
        "A file that is not good (empty, half written, of another key, expired) does not take the place of the last good one. Under \
         systemd, `bulkhead reload --certificates` does the same once.",
    ),
    key(
        "tls-terminator.warn_before",
        duration(HOUR, 366 * DAY),
        value("\"720h\""),
        "A certificate that ends within this time is warned about: at the start, at each reload and once a day.",
        "One that lives so short that this would be most of its life is warned about in the last third of it.",
    ),
    key(
        "tls-terminator.handoff",
        Kind::Choice(HANDOFFS),
        value("\"secrets\""),
        "How http-filter gets the plaintext of a connection.",
        "`secrets`: after the handshake http-filter gets the client's socket and the two traffic secrets (TLS 1.2: keys) of this one \
         connection, and tls-terminator forgets it: nothing is copied, and tls-terminator can be restarted while connections live. `relay`: \
         tls-terminator stays in between and http-filter never sees a key. Private keys and ticket keys leave tls-terminator in neither case.",
    ),
    key("tls-terminator.max_unacknowledged", integer(1, 4096), value("256"), UNACKNOWLEDGED, ""),
    tables(
        "site",
        "Names that are terminated here, with their certificate.",
        "A site needs a route that leads to it (`terminate = true`). `bulkhead check` asks tls-terminator whether \
         certificates can be read, are valid for the names, and belong to their keys.",
    ),
    key(
        "site.names",
        list(HOST),
        Preset::Required,
        "Names the certificate is shown for; no name stands in two sites.",
        "A wildcard in a certificate covers one label only, here it covers any number of them.",
    ),
    key(
        "site.certificate",
        list("path, from the directory of this file if relative"),
        Preset::Required,
        "Certificate chain in PEM, the leaf first.",
        "A list gives several pairs for different kinds of key (ECDSA beside RSA); `key` then has as many entries.",
    ),
    key(
        "site.key",
        list("path, from the directory of this file if relative"),
        Preset::Required,
        "Private key in PEM; only tls-terminator needs to read it.",
        "",
    ),
    key(
        "site.ocsp",
        list("path, from the directory of this file if relative; `\"\"` for a certificate without"),
        Preset::Absent("nothing is stapled"),
        "OCSP response in DER that is stapled to the certificate; as many as there are certificates.",
        "It is not stapled when it is about another certificate, out of date, or says anything but `good`; log, figures and \
         `bulkhead status` say so. Whatever fetches it writes a new file, which is taken as a renewed certificate is.",
    ),
    key(
        "site.alpn",
        list("`\"h2\"`, `\"http/1.1\"`"),
        value("[\"h2\", \"http/1.1\"]"),
        "Protocols offered to the client, the preferred one first.",
        "",
    ),
    key(
        "site.handoff",
        Kind::Choice(HANDOFFS),
        Preset::Absent("as `tls-terminator.handoff`"),
        "How http-filter gets the plaintext of this site's connections.",
        "",
    ),
    key(
        "site.client_auth",
        Kind::Choice(&["none", "request", "require"]),
        value("\"none\""),
        "Whether clients are asked for a certificate.",
        "`require` turns away who has none; `request` lets them in, and access rules decide (`certificate_subjects` and the like). A \
         certificate that `client_ca` has not signed, or that is out of date, always ends the handshake. Sessions of such a site \
         are not resumed, so that every connection is verified anew.",
    ),
    key(
        "site.client_ca",
        list("path, from the directory of this file if relative"),
        Preset::Absent("only together with `client_auth`"),
        "Certificates in PEM of the authorities whose signatures on client certificates count.",
        "",
    ),
];

const HANDOFFS: &[&str] = &["secrets", "relay"];
