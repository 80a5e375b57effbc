//! Keys of `[[http-filter.error-page]]` and `[http-filter.compression]`.

use super::super::*;

pub(in crate::config::reference) const ERROR_PAGES: &[Key] = &[
    tables(
        "http-filter.error-page",
        "Pages of one's own for errors.",
        "The first page for the status (and host) whose media type the client accepts is shown, else the first for the status. \
         `${status}`, `${reason}`, `${rule}` and `${request_id}` in it are filled in, escaped for its media type; anything else in \
         it stays as it is. Pages are read when the process starts and at each reload, and may have 1 MiB.",
    ),
    key(
        "http-filter.error-page.statuses",
        list("status (`404`), `\"4xx\"`, `\"5xx\"` or a range `\"500-504\"`"),
        Preset::Required,
        "Statuses it is for, from 400 to 599.",
        "",
    ),
    key("http-filter.error-page.hosts", list(HOST), Preset::Absent("any host"), "Hosts of requests it is for.", ""),
    key("http-filter.error-page.file", Kind::Text("path of a file"), Preset::Required, "The page.", ""),
    key(
        "http-filter.error-page.content_type",
        Kind::Text("a media type"),
        value("\"text/html; charset=utf-8\""),
        "Its media type; says how what is filled in is escaped.",
        "",
    ),
    key(
        "http-filter.error-page.intercept",
        Kind::Flag,
        value("false"),
        "Whether it also takes the place of what a backend says with that status.",
        "Without it only answers of Bulkhead itself are shown this way.",
    ),
];

pub(in crate::config::reference) const COMPRESSION: &[Key] = &[
    table(
        "http-filter.compression",
        "Compresses answers of backends on their way.",
        "Never: what is compressed already, parts (206), answers to HEAD, 204 and 304, what says `Cache-Control: no-transform` or \
         carries a digest of its bytes. Answers that stream are passed on at once, whatever has come. Strong ETags become weak. \
         Where an answer holds a secret beside something that its client chose (BREACH), switch it off for that route with \
         `compress = false`.",
    ),
    key(
        "http-filter.compression.algorithms",
        list_or_empty("`\"zstd\"`, `\"br\"`, `\"gzip\"`"),
        value("[]"),
        "What is offered to clients, the best first; empty: nothing is compressed.",
        "The client's q-values decide, this order where they are equal.",
    ),
    key(
        "http-filter.compression.types",
        list("media type (`\"text/html\"`) or `\"text/*\"`"),
        value(
            "[\"text/html\", \"text/css\", \"text/plain\", \"text/xml\", \"text/csv\", \"text/markdown\", \"text/javascript\", \
             \"application/javascript\", \"application/json\", \"application/ld+json\", \"application/problem+json\", \
             \"application/manifest+json\", \"application/xml\", \"application/rss+xml\", \"application/atom+xml\", \
             \"application/xhtml+xml\", \"application/wasm\", \"image/svg+xml\", \"font/ttf\", \"font/otf\"]",
        ),
        "Media types that are compressed.",
        "`text/event-stream` only where it is named itself.",
    ),
    key(
        "http-filter.compression.min_size",
        size(0, GIB),
        value("\"1KiB\""),
        "Answers that are known to be shorter stay as they are.",
        "",
    ),
    key(
        "http-filter.compression.level",
        Kind::Choice(&["fast", "balanced", "small"]),
        value("\"balanced\""),
        "How much work is put into it.",
        "zstd 1, 3, 7; br 1, 4, 6; gzip 1, 5, 8.",
    ),
    key(
        "http-filter.compression.max_window",
        size(32 * KIB, 8 * MIB),
        value("\"256KiB\""),
        "How far back zstd and br look for repetitions; rounded down to a power of two.",
        "The greatest part of the memory that one compressed answer needs; gzip always looks back 32KiB.",
    ),
    key(
        "http-filter.compression.max_answers",
        integer(1, 65_536),
        value("128"),
        "Answers that are compressed at once in one instance; further ones are sent as they are.",
        "This is the limit of memory for compression: each needs up to 1.7 MiB with zstd, 2.2 MiB with br, 0.3 MiB with gzip at the \
         default `max_window`. Most are done at once and do not count for long.",
    ),
];
