//! Keys of `[metrics]`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    table(
        "metrics",
        "Where Prometheus finds the figures of all processes.",
        "`bulkhead metrics` prints the same page. docs/metrics.md lists the figures.",
    ),
    key(
        "metrics.listen",
        Kind::Text("an address with a port, as `\"127.0.0.1:9100\"`"),
        Preset::Absent("no port is opened"),
        "Where `bulkhead up` serves `/metrics`, in a process of its own.",
        "",
    ),
    key(
        "metrics.allow_remote",
        Kind::Flag,
        value("false"),
        "Whether `listen` may be an address that other machines reach.",
        "The page tells names of routes, pools and servers to whoever asks; nobody is asked for a password.",
    ),
    key("metrics.max_connections", integer(1, 256), value("16"), "Connections to that port at once.", ""),
];
