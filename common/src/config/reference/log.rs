//! Keys of `[log]`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    table("log", "What is written to standard error.", "docs/operations.md lists the fields of a request's line."),
    key(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        value("\"info\""),
        "Least severe level that is written.",
        "Lines of requests and connections are of level `info`.",
    ),
    key("log.format", Kind::Choice(&["text", "json"]), value("\"text\""), "Form of a line.", ""),
    key("log.access", Kind::Flag, value("true"), "Whether one line per request and connection is written.", ""),
    key(
        "log.sample",
        integer(1, 1_000_000),
        value("1"),
        "Of so many successful requests one is written (http-filter).",
        "Successful: passed on and answered with a status below 400. Refusals, errors, and requests slower than `slow` are \
         always written. A line that stands for others says so (`sample`).",
    ),
    key(
        "log.slow",
        Kind::Duration(Bounds { min: 1, max: DAY, zero: Some("none is slow") }),
        value("\"5s\""),
        "A request that took so long in all is written whatever `sample` says, marked `slow`.",
        "",
    ),
    key(
        "log.fields",
        list_or_empty("`\"query\"`, `\"user-agent\"`, `\"referer\"`"),
        value("[]"),
        "What a request's line shows beside the fixed fields.",
        "They may hold what concerns nobody but client and server, so none is shown unless it is named here.",
    ),
    key(
        "log.gather",
        Kind::Duration(Bounds { min: 1, max: 10 * SECOND, zero: Some("until the end of the event loop's turn") }),
        value("\"50ms\""),
        "How long lines gather before they are written together.",
        "4 KiB of lines, and every line of level `warn` or `error`, are written without waiting. A process that is killed takes \
         with it what has gathered.",
    ),
    key(
        "log.buffer",
        size(16 * KIB, 64 * MIB),
        value("\"1MiB\""),
        "Bytes of lines that wait for a standard error which takes none.",
        "No process ever waits for its log. What does not fit is dropped, counted (`log_dropped`), and told in a line as soon as \
         there is room.",
    ),
];
