//! Keys of `[http-filter.h2]`.

use super::super::*;

pub(in crate::config::reference) const KEYS: &[Key] = &[
    table("http-filter.h2", "What an HTTP/2 client may do besides asking for things, per connection.", H2),
    key("http-filter.h2.window", duration(SECOND, HOUR), value("\"30s\""), "The time for all counts below.", ""),
    key(
        "http-filter.h2.resets",
        frames(),
        value("400"),
        "RST_STREAM frames (rapid reset).",
        "Every answer that was finished allows one more.",
    ),
    key(
        "http-filter.h2.provoked_resets",
        frames(),
        value("100"),
        "Streams that had to be reset because of what the client sent (MadeYouReset), refused ones included.",
        "Every answer that was finished allows one more.",
    ),
    key("http-filter.h2.settings", frames(), value("100"), "SETTINGS frames, acknowledgements included.", ""),
    key(
        "http-filter.h2.pings",
        frames(),
        value("500"),
        "PING frames.",
        "Every DATA frame sent to the client allows one more: gRPC clients measure with them.",
    ),
    key(
        "http-filter.h2.priorities",
        frames(),
        value("500"),
        "PRIORITY and PRIORITY_UPDATE frames.",
        "Every stream the client opens allows four more.",
    ),
    key("http-filter.h2.empty_data", frames(), value("100"), "DATA frames without data that do not end a stream.", ""),
    key(
        "http-filter.h2.tiny_data",
        frames(),
        value("10000"),
        "DATA frames with less than 16 bytes of data that do not end a stream.",
        "",
    ),
    key(
        "http-filter.h2.window_updates",
        frames(),
        value("1000"),
        "WINDOW_UPDATE frames.",
        "Every DATA frame sent to the client allows ten more, every stream it opens two.",
    ),
    key("http-filter.h2.unknown_frames", frames(), value("500"), "Frames of types that do not exist, and GOAWAY.", ""),
    key(
        "http-filter.h2.continuations",
        frames(),
        value("32"),
        "CONTINUATION frames of one header block, whatever the window.",
        "",
    ),
];

const fn frames() -> Kind {
    integer_or_zero(1, 10_000_000, "not limited")
}

const H2: &str = "More is a flood: the client is told to calm down (GOAWAY, ENHANCE_YOUR_CALM) and the connection is closed. Browsers and gRPC \
     clients stay far below the defaults. A change holds for new connections.";
