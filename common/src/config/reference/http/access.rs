//! Keys of `[[http-filter.access]]`.

use super::super::*;

pub(in crate::config::reference) const KEYS: &[Key] = &[
    tables(
        "http-filter.access",
        "Which requests are allowed.",
        "Rules are tried in order and the first that matches decides. Every condition that is given must hold; within a \
         list any entry may.",
    ),
    key("http-filter.access.name", Kind::Text(LABEL), Preset::Required, RULE_NAME, ""),
    key("http-filter.access.action", Kind::Choice(&["allow", "deny"]), Preset::Required, "What a match decides.", ""),
    key("http-filter.access.clients", list(NETWORK), Preset::Absent("any client"), "Networks of clients.", ""),
    key("http-filter.access.methods", list("method (`\"POST\"`)"), Preset::Absent("any method"), "Methods.", ""),
    key(
        "http-filter.access.hosts",
        list(HOST),
        Preset::Absent("any host"),
        "Hosts the request is for.",
        "`*.shop.example` does not stand for `shop.example` itself.",
    ),
    key(
        "http-filter.access.paths",
        list("`\"/exact\"` or `\"/prefix*\"`"),
        Preset::Absent("any path"),
        "Paths, compared after normalisation and without the query.",
        "`/admin/*` does not stand for `/admin` itself; write both.",
    ),
    key(
        "http-filter.access.headers",
        list("`{ name = \"x-debug\", value = \"1\" }`"),
        Preset::Absent("any headers"),
        "Header fields that are there.",
        "",
    ),
    key(
        "http-filter.access.headers.name",
        Kind::Text("a field name, in any case"),
        Preset::Required,
        "Name of the field.",
        "",
    ),
    key(
        "http-filter.access.headers.value",
        Kind::Text("printable text; a trailing `*` stands for any ending"),
        Preset::Absent("any value"),
        "What its value must be, byte for byte.",
        "",
    ),
    key("http-filter.access.observe", Kind::Flag, value("false"), OBSERVE, ""),
];
