//! Keys of `[[http-filter.route]]`: where a route applies, and what it leads to. What is changed on the way stands in `rewriting`.

use super::super::access::*;
use super::super::*;

pub(in crate::config::reference) const KEYS: &[&[Key]] = &[
    NAME,
    client_keys!("http-filter.route"),
    hello_keys!("http-filter.route"),
    handshake_keys!("http-filter.route"),
    method_keys!("http-filter.route"),
    place_keys!("http-filter.route"),
    request_keys!("http-filter.route"),
    ACTIONS,
];

const NAME: &[Key] = &[
    tables(
        "http-filter.route",
        "What serves a request.",
        "Routes are tried in order and the first that matches serves; when none does, the client gets a 404 that says so. Every \
         condition that is given must hold; within a list any entry may. A route leads to exactly one of `pool`, `split`, \
         `redirect`, `respond` and `status`. A route whose `when` fails while a request is judged (a division by zero, too much work) answers 500: \
         it cannot be known who should serve.",
    ),
    key("http-filter.route.name", Kind::Text(LABEL), Preset::Required, "Name in logs; unique.", ""),
];

const ACTIONS: &[Key] = &[
    key(
        "http-filter.route.pool",
        Kind::Text("name of a `[[pool]]`"),
        Preset::Absent("another action"),
        "The pool that serves.",
        "It may not send PROXY headers (`proxy_protocol`): the connections to it are shared by clients.",
    ),
    key(
        "http-filter.route.split",
        list("`{ pool = \"POOL\", weight = 9 }`"),
        Preset::Absent("another action"),
        "Several pools that serve, each its share of the requests.",
        "",
    ),
    key("http-filter.route.split.pool", Kind::Text("name of a `[[pool]]`"), Preset::Required, "The pool.", ""),
    key(
        "http-filter.route.split.weight",
        integer(0, 1000),
        Preset::Required,
        "Its share beside the others; 0: nothing for now.",
        "",
    ),
    key(
        "http-filter.route.split_by",
        Kind::Text("`\"random\"`, `\"client\"`, `\"header:NAME\"` or `\"cookie:NAME\"`"),
        value("\"random\""),
        "What decides which pool of `split` gets a request.",
        "`random` draws anew for each request. The others send what is the same to the same pool for as long as the weights \
         stay; a request without that header or cookie is judged by the address of its client.",
    ),
    key(
        "http-filter.route.redirect",
        Kind::Shapes("`\"https\"`, a target, or `{ to = \"https\" or a target, status = 301 }`"),
        Preset::Absent("another action"),
        "Tells the client to ask elsewhere.",
        "`\"https\"`: the same host and target over TLS on its usual port, with 308; such a route does not take requests that came \
         over TLS. A target is a path (`\"/new${path}\"`) or a whole address (`\"https://www.example${target}\"`) with placeholders: \
         `${host}`, `${path}`, `${query}`, `${target}` (path and query), `${scheme}`, and captures of `path_regex`. Captures cannot \
         reach into the host. A target that leads to the request itself is answered with 500 instead.",
    ),
    key(
        "http-filter.route.redirect.to",
        Kind::Text("`\"https\"` or a target"),
        Preset::Required,
        "Where to, as above.",
        "",
    ),
    key(
        "http-filter.route.redirect.status",
        Kind::Integer(Bounds { min: 301, max: 308, zero: None }),
        Preset::Absent("308 for `\"https\"`, else 302"),
        "301, 302, 303, 307 or 308.",
        "Browsers keep 301 and 308 for good. 307 and 308 keep the method.",
    ),
    key(
        "http-filter.route.respond",
        Kind::Shapes("`{ status = 200, body = \"text\" }` or `{ file = \"path\", content_type = \"text/html\" }`"),
        Preset::Absent("another action"),
        "A fixed answer.",
        "",
    ),
    key("http-filter.route.respond.status", integer(200, 599), value("200"), "Its status.", ""),
    key("http-filter.route.respond.body", Kind::Text("a text"), Preset::Absent("empty"), "Its body.", ""),
    key(
        "http-filter.route.respond.file",
        Kind::Text("path of a file"),
        Preset::Absent("`body`"),
        "A file as its body, read when the process starts and at each reload; at most 1 MiB.",
        "",
    ),
    key(
        "http-filter.route.respond.content_type",
        Kind::Text("a media type"),
        value("\"text/plain; charset=utf-8\""),
        "Its media type.",
        "",
    ),
    key(
        "http-filter.route.status",
        integer(400, 599),
        Preset::Absent("another action"),
        "Refuses with this status and the error page that belongs to it.",
        "",
    ),
    key(
        "http-filter.route.max_body",
        Kind::Size(Bounds { min: 1, max: 1024 * GIB, zero: Some("not limited") }),
        Preset::Absent("`http-filter.max_body`"),
        "Bytes of the body of a request that this route takes; more is a 413.",
        "Above or below what the section allows. A declared length is refused before the backend is asked, an undeclared one when it is reached.",
    ),
    key(
        "http-filter.route.host_header",
        Kind::Choice(&["keep", "server"]),
        value("\"keep\""),
        "Which `Host` the backend sees: the client's, or `host:port` of the server.",
        "",
    ),
];
