//! Keys that change requests and answers on their way: paths, header fields, security headers; in a route and for the whole section.

use super::super::*;

const PLACEHOLDERS: &str = "`${client}`, `${host}`, `${path}`, `${query}`, `${target}`, `${method}`, `${scheme}`, `${request_id}`, \
                            `${sni}`, `${ja4}` and `${route}` may stand in it; `$$` is a dollar sign.";
const RULES: &str =
    "`{ set = \"name\", value = \"text\" }`, `{ add = \"name\", value = \"text\" }` or `{ remove = \"name\" }`";
const RULES_LONG: &str = "Done in their order, those of the section before those of the route. `set` with a value that turns out \
                          empty takes the field off. Fields that belong to one connection or to the framing of a message \
                          (`connection`, `content-length`, `transfer-encoding`, …) cannot be named.";
const NAME: &str = "a field name, in any case";
const SET: &str = "The field to set; other lines of that name go.";
const ADD: &str = "The field to add a line of.";
const REMOVE: &str = "The field to take off.";
const SECURITY: &str = "Security headers of answers.";
const SECURITY_LONG: &str = "`basic`: `Strict-Transport-Security` for a year (over TLS only), `X-Content-Type-Options: nosniff`, \
    `X-Frame-Options: SAMEORIGIN`, `Referrer-Policy: strict-origin-when-cross-origin`. `strict`: two years and sub-domains too, \
    `X-Frame-Options: DENY`, `Referrer-Policy: no-referrer`, `Permissions-Policy` without camera, location, microphone, payment and \
    USB, `Cross-Origin-Opener-Policy` and `Cross-Origin-Resource-Policy: same-origin`, and a `Content-Security-Policy` against framing, \
    plug-ins and another base. A field that the backend has set stays.";

/// In every route.
pub(in crate::config::reference) const ROUTE: &[Key] = &[
    key(
        "http-filter.route.strip_prefix",
        Kind::Text("a path"),
        Preset::Absent("nothing"),
        "A beginning that is taken off the path before it is sent on, cut at slashes.",
        "`/api` makes `/api/x` into `/x`, `/api` into `/`, and leaves `/apix` as it is. Rules and routes judge the path as it came.",
    ),
    key(
        "http-filter.route.rewrite_path",
        Kind::Shapes("`{ prefix = \"/old\", to = \"/new\" }` or `{ regex = '^/u/(\\d+)$', to = \"/user?id=${1}\" }`"),
        Preset::Absent("nothing"),
        "Another path for the backend.",
        "`prefix` is replaced where it stands, cut at slashes; of a `regex`, what it matches first is replaced. The outcome is \
         normalised again. The query stays, unless `to` has one; what captures bring into a query is encoded.",
    ),
    key(
        "http-filter.route.rewrite_path.prefix",
        Kind::Text("a path"),
        Preset::Absent("`regex`"),
        "What is replaced.",
        "",
    ),
    key(
        "http-filter.route.rewrite_path.regex",
        Kind::Text("a regular expression"),
        Preset::Absent("`prefix`"),
        "What is replaced.",
        "",
    ),
    key(
        "http-filter.route.rewrite_path.to",
        Kind::Text("a path; with `regex` a text with placeholders and captures"),
        Preset::Required,
        "What stands there instead.",
        "",
    ),
    key(
        "http-filter.route.request_headers",
        list(RULES),
        Preset::Absent("none"),
        "Changes to what is sent on.",
        RULES_LONG,
    ),
    key("http-filter.route.request_headers.set", Kind::Text(NAME), Preset::Absent("`add` or `remove`"), SET, ""),
    key("http-filter.route.request_headers.add", Kind::Text(NAME), Preset::Absent("`set` or `remove`"), ADD, ""),
    key("http-filter.route.request_headers.remove", Kind::Text(NAME), Preset::Absent("`set` or `add`"), REMOVE, ""),
    key(
        "http-filter.route.request_headers.value",
        Kind::Text("a text"),
        Preset::Absent("with `remove`"),
        "Its value.",
        PLACEHOLDERS,
    ),
    key(
        "http-filter.route.response_headers",
        list(RULES),
        Preset::Absent("none"),
        "Changes to the answer.",
        RULES_LONG,
    ),
    key("http-filter.route.response_headers.set", Kind::Text(NAME), Preset::Absent("`add` or `remove`"), SET, ""),
    key("http-filter.route.response_headers.add", Kind::Text(NAME), Preset::Absent("`set` or `remove`"), ADD, ""),
    key("http-filter.route.response_headers.remove", Kind::Text(NAME), Preset::Absent("`set` or `add`"), REMOVE, ""),
    key(
        "http-filter.route.response_headers.value",
        Kind::Text("a text"),
        Preset::Absent("with `remove`"),
        "Its value.",
        PLACEHOLDERS,
    ),
    key(
        "http-filter.route.security_headers",
        Kind::Choice(&["off", "basic", "strict"]),
        Preset::Absent("as `http-filter.security_headers`"),
        SECURITY,
        "What is answered before a route is found (refusals by access rules and limits, malformed requests, no route) carries the section's.",
    ),
    key(
        "http-filter.route.compress",
        Kind::Flag,
        value("true"),
        "Whether answers of this route may be compressed, where `[http-filter.compression]` is on.",
        "",
    ),
];

/// For the whole section.
pub(in crate::config::reference) const SECTION: &[Key] = &[
    key(
        "http-filter.request_headers",
        list(RULES),
        Preset::Absent("none"),
        "Changes to every request that is sent on.",
        RULES_LONG,
    ),
    key("http-filter.request_headers.set", Kind::Text(NAME), Preset::Absent("`add` or `remove`"), SET, ""),
    key("http-filter.request_headers.add", Kind::Text(NAME), Preset::Absent("`set` or `remove`"), ADD, ""),
    key("http-filter.request_headers.remove", Kind::Text(NAME), Preset::Absent("`set` or `add`"), REMOVE, ""),
    key(
        "http-filter.request_headers.value",
        Kind::Text("a text"),
        Preset::Absent("with `remove`"),
        "Its value.",
        PLACEHOLDERS,
    ),
    key(
        "http-filter.response_headers",
        list(RULES),
        Preset::Absent("none"),
        "Changes to every answer, our own included.",
        RULES_LONG,
    ),
    key("http-filter.response_headers.set", Kind::Text(NAME), Preset::Absent("`add` or `remove`"), SET, ""),
    key("http-filter.response_headers.add", Kind::Text(NAME), Preset::Absent("`set` or `remove`"), ADD, ""),
    key("http-filter.response_headers.remove", Kind::Text(NAME), Preset::Absent("`set` or `add`"), REMOVE, ""),
    key(
        "http-filter.response_headers.value",
        Kind::Text("a text"),
        Preset::Absent("with `remove`"),
        "Its value.",
        PLACEHOLDERS,
    ),
    key(
        "http-filter.security_headers",
        Kind::Choice(&["off", "basic", "strict"]),
        value("\"off\""),
        SECURITY,
        SECURITY_LONG,
    ),
    key(
        "http-filter.security_headers_override",
        Kind::Flag,
        value("false"),
        "Whether security headers replace those that the backend has set.",
        "",
    ),
];
