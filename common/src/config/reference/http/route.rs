//! Keys of `[[http-filter.route]]`.

use super::super::*;

pub(in crate::config::reference) const KEYS: &[Key] = &[
    tables(
        "http-filter.route",
        "Which pool serves a request.",
        "Routes are tried in order and the first that matches serves; when none does, the client gets a 404 that says so.",
    ),
    key("http-filter.route.name", Kind::Text(LABEL), Preset::Required, "Name in logs; unique.", ""),
    key("http-filter.route.hosts", list(HOST), Preset::Absent("any host"), "Hosts the request is for.", ""),
    key(
        "http-filter.route.paths",
        list("`\"/exact\"` or `\"/prefix*\"`"),
        Preset::Absent("any path"),
        "Paths, compared after normalisation and without the query.",
        "",
    ),
    key(
        "http-filter.route.pool",
        Kind::Text("name of a `[[pool]]`"),
        Preset::Required,
        "The pool that serves.",
        "It may not send PROXY headers (`proxy_protocol`): the connections to it are shared by clients.",
    ),
    key(
        "http-filter.route.host_header",
        Kind::Choice(&["keep", "server"]),
        value("\"keep\""),
        "Which `Host` the backend sees: the client's, or `host:port` of the server.",
        "",
    ),
];
