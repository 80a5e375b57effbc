//! The vocabulary of access rules, once: which keys a table gets depends on what its process knows, what they mean does not.
//! A macro per group, because keys are constants and carry the path of their table. Another table gets the same keys with
//! `use super::access::*` (or `super::super::access::*`) and a list of groups like those at the end of this file; its reader calls
//! `read::access::conditions`, which asks for the keys that the table has.

use super::*;

/// `[access]`
pub(super) const KEYS: &[Key] = &[
    table(
        "access",
        "What access rules and the conditions of routes share.",
        "The tables `[[sni-router.access]]`, `[[http-filter.access]]` and `[[forward-proxy.access]]` speak one language: each \
         has the keys for what its process knows. Rules are tried in order and the first that matches decides; every condition \
         that is given must hold, and within a list any entry may (of `headers`, `cookies` and `parameters` all must). \
         `when` holds an expression in CEL for anything else; docs/access.md describes it.",
    ),
    key(
        "access.country_file",
        Kind::Text("a path, from the directory of this file if relative"),
        Preset::Absent("nothing is known of countries"),
        "Which network lies in which country: lines `network,country`, as in `192.0.2.0/24,DE`.",
        "Of networks within one another the smaller decides. Lines that begin with `#` and empty ones are skipped. Read by each \
         process that has a rule with countries.",
    ),
];

pub(super) const ENTRY: &str = "text, with `*` at its end, start or both for anything";
pub(super) const MUST: &str = "All entries must hold.";
pub(super) const VALUE_LONG: &str = "Byte for byte. `\"abc*\"`: begins so; `\"*abc\"`: ends so; `\"*abc*\"`: has it.";
pub(super) const CERTIFICATE: &str =
    "Only a certificate that tls-terminator has verified counts (`client_auth` of the `[[site]]`).";
pub(super) const WHEN: &str = "An expression in CEL that must be true.";
pub(super) const WHEN_LONG: &str = "It is compiled and its types are checked when the file is read; docs/access.md lists names and functions. \
    If it fails while a request is judged, a rule that denies matches and a rule that allows does not.";

/// What `mode` may be, of rules and of limits.
pub(super) const MODE: Kind = Kind::Choice(&["enforce", "observe"]);
const MODE_SHORT: &str = "`observe`: only log what the rule would have done, and go on to the next one.";

/// Name, verdict and mode of a rule.
macro_rules! rule_keys {
    ($table:literal, $short:literal, $long:literal) => {
        &[
            tables($table, $short, $long),
            key(concat!($table, ".name"), Kind::Text(LABEL), Preset::Required, RULE_NAME, ""),
            key(
                concat!($table, ".action"),
                Kind::Choice(&["allow", "deny"]),
                Preset::Required,
                "What a match decides.",
                "",
            ),
            key(concat!($table, ".mode"), MODE, value("\"enforce\""), MODE_SHORT, ""),
        ]
    };
}

/// What every process knows: who connects and what time it is. Also the expression.
macro_rules! client_keys {
    ($table:literal) => {
        &[
            key(concat!($table, ".clients"), list(NETWORK), Preset::Absent("any client"), "Networks of clients.", ""),
            key(
                concat!($table, ".countries"),
                list("country (`\"DE\"`)"),
                Preset::Absent("any country"),
                "Countries of clients, by `access.country_file`.",
                "An address that the file does not have is in no country.",
            ),
            key(
                concat!($table, ".hours"),
                list("part of a day (`\"08:00-18:00\"`)"),
                Preset::Absent("any time"),
                "Times of day, in UTC.",
                "From the first minute up to, and without, the second; `\"22:00-06:00\"` runs over midnight.",
            ),
            key(
                concat!($table, ".days"),
                list("day or days (`\"sat\"`, `\"mon-fri\"`)"),
                Preset::Absent("any day"),
                "Days of the week, in UTC.",
                "",
            ),
            key(
                concat!($table, ".when"),
                Kind::Text("an expression in CEL"),
                Preset::Absent("always"),
                WHEN,
                WHEN_LONG,
            ),
        ]
    };
}

/// What is known of a TLS connection before it is terminated.
macro_rules! hello_keys {
    ($table:literal) => {
        &[
            key(
                concat!($table, ".server_names"),
                list(HOST),
                Preset::Absent("any name and none"),
                "Names in the ClientHello (SNI).",
                "",
            ),
            key(
                concat!($table, ".ja4"),
                list(ENTRY),
                Preset::Absent("any client"),
                "JA4 fingerprints of the ClientHello.",
                "",
            ),
        ]
    };
}

/// What is known of a TLS connection after its handshake.
macro_rules! handshake_keys {
    ($table:literal) => {
        &[
            key(
                concat!($table, ".tls_versions"),
                list("`\"1.2\"`, `\"1.3\"`"),
                Preset::Absent("any version, and plain text"),
                "TLS versions.",
                "",
            ),
            key(
                concat!($table, ".certificate_subjects"),
                list("attribute of a distinguished name (`\"CN=ada\"`, `\"O=Shop*\"`)"),
                Preset::Absent("any client, with a certificate or without"),
                "Attributes of the subject of the client's certificate.",
                CERTIFICATE,
            ),
            key(
                concat!($table, ".certificate_names"),
                list("name with its kind (`\"DNS:*.shop.example\"`, `\"email:…\"`, `\"URI:…\"`, `\"IP:…\"`)"),
                Preset::Absent("any client, with a certificate or without"),
                "Alternative names (SAN) of the client's certificate.",
                CERTIFICATE,
            ),
            key(
                concat!($table, ".certificate_issuers"),
                list("attribute of a distinguished name (`\"CN=staff CA\"`)"),
                Preset::Absent("any client, with a certificate or without"),
                "Attributes of the issuer of the client's certificate.",
                CERTIFICATE,
            ),
        ]
    };
}

/// The method, known to whoever reads requests.
macro_rules! method_keys {
    ($table:literal) => {
        &[key(concat!($table, ".methods"), list("method (`\"POST\"`)"), Preset::Absent("any method"), "Methods.", "")]
    };
}

/// Where in the site a request goes.
macro_rules! place_keys {
    ($table:literal) => {
        &[
            key(
                concat!($table, ".hosts"),
                list(HOST),
                Preset::Absent("any host"),
                "Hosts the request is for.",
                "`*.shop.example` does not stand for `shop.example` itself.",
            ),
            key(
                concat!($table, ".paths"),
                list("`\"/exact\"` or `\"/prefix*\"`"),
                Preset::Absent("any path"),
                "Paths, compared after normalisation and without the query.",
                "`/admin/*` does not stand for `/admin` itself; write both.",
            ),
        ]
    };
}

/// What else a request says.
macro_rules! request_keys {
    ($table:literal) => {
        &[
            key(
                concat!($table, ".path_regex"),
                list("regular expression (`'^/api/v[0-9]+/'`)"),
                Preset::Absent("any path"),
                "Regular expressions that are looked for in the normalised path.",
                "Without `^` and `$` they match anywhere in it. Together with `paths`, one entry of either list is enough. Their cost \
                 is linear in the path; look-around and back-references do not exist.",
            ),
            key(
                concat!($table, ".headers"),
                list("`{ name = \"x-debug\", value = \"1\" }`"),
                Preset::Absent("any headers"),
                "Header fields that are there, or are not.",
                MUST,
            ),
            key(concat!($table, ".headers.name"), Kind::Text("a field name, in any case"), Preset::Required, "Name of the field.", ""),
            key(concat!($table, ".headers.value"), Kind::Text(ENTRY), Preset::Absent("any value"), "What one of its lines must be.", VALUE_LONG),
            key(concat!($table, ".headers.absent"), Kind::Flag, value("false"), "The field must not be there.", ""),
            key(
                concat!($table, ".cookies"),
                list("`{ name = \"session\", value = \"a*\" }`"),
                Preset::Absent("any cookies"),
                "Cookies that are there, or are not.",
                MUST,
            ),
            key(concat!($table, ".cookies.name"), Kind::Text("a name"), Preset::Required, "Name of the cookie.", ""),
            key(concat!($table, ".cookies.value"), Kind::Text(ENTRY), Preset::Absent("any value"), "What its value must be.", VALUE_LONG),
            key(concat!($table, ".cookies.absent"), Kind::Flag, value("false"), "The cookie must not be there.", ""),
            key(
                concat!($table, ".parameters"),
                list("`{ name = \"debug\", value = \"1\" }`"),
                Preset::Absent("any query, and none"),
                "Parameters of the query that are there, or are not.",
                "All entries must hold. Names and values are compared after percent-decoding, `+` as a space; of a parameter that \
                 stands twice either may match.",
            ),
            key(concat!($table, ".parameters.name"), Kind::Text("a name"), Preset::Required, "Name of the parameter.", ""),
            key(concat!($table, ".parameters.value"), Kind::Text(ENTRY), Preset::Absent("any value"), "What its value must be.", VALUE_LONG),
            key(concat!($table, ".parameters.absent"), Kind::Flag, value("false"), "The parameter must not be there.", ""),
            key(
                concat!($table, ".content_types"),
                list("media type (`\"application/json\"`, `\"image/*\"`)"),
                Preset::Absent("any type, and none"),
                "Types of the request's body (`Content-Type`), without parameters.",
                "",
            ),
            key(
                concat!($table, ".body_larger_than"),
                size(0, 1024 * GIB),
                Preset::Absent("any body"),
                "The request declares (`Content-Length`) a body of more bytes.",
                "A body whose length is not declared does not match; `max_body` limits both kinds.",
            ),
        ]
    };
}

/// What only a proxy for clients going out knows.
macro_rules! outward_keys {
    ($table:literal) => {
        &[
            key(
                concat!($table, ".users"),
                list("user name, or `\"*\"` for any user"),
                Preset::Absent("anybody, also who gave no name"),
                "Users, as proved by their password.",
                "",
            ),
            key(
                concat!($table, ".destinations"),
                list("host name, `\"*.suffix\"`, network or address"),
                Preset::Absent("any destination"),
                "Destinations as the client wrote them: names match names, networks match addresses.",
                "A network does not match a name that resolves into it: what a name resolves to is judged by \
                 `[passthrough-relay.outward]`.",
            ),
            key(
                concat!($table, ".ports"),
                list("port (`443`) or range (`\"8000-8999\"`)"),
                Preset::Absent("any port"),
                "Destination ports.",
                "An `allow` rule without `ports` opens every port of its destinations.",
            ),
        ]
    };
}

#[allow(unused_imports)] // for tables in other files
pub(super) use {
    client_keys, handshake_keys, hello_keys, method_keys, outward_keys, place_keys, request_keys, rule_keys,
};

/// `[[sni-router.access]]`
pub(super) const ROUTER: &[&[Key]] = &[
    rule_keys!(
        "sni-router.access",
        "Who may connect at all.",
        "Rules are tried in order and the first that matches decides; when none does, `access_default`. They are judged before \
         a byte is read, up to the first rule that asks what only the ClientHello says; from there on once it is whole."
    ),
    client_keys!("sni-router.access"),
    hello_keys!("sni-router.access"),
    &[key(
        "sni-router.access.listen",
        list(NAMES_OF_LISTENERS),
        Preset::Absent("every listener"),
        "Listeners the rule speaks of.",
        "",
    )],
];

/// `[[http-filter.access]]`
pub(super) const HTTP: &[&[Key]] = &[
    rule_keys!(
        "http-filter.access",
        "Which requests are allowed.",
        "Rules are tried in order and the first that matches decides. Every condition that is given must hold; within a list any \
         entry may."
    ),
    client_keys!("http-filter.access"),
    hello_keys!("http-filter.access"),
    handshake_keys!("http-filter.access"),
    method_keys!("http-filter.access"),
    place_keys!("http-filter.access"),
    request_keys!("http-filter.access"),
];

/// `[[forward-proxy.access]]`
pub(super) const FORWARD: &[&[Key]] = &[
    rule_keys!(
        "forward-proxy.access",
        "Who may go where.",
        "Rules are tried in order and the first that matches decides. Every condition that is given must hold; within a list any \
         entry may. An `allow` opens its ports, but never an address that the guard of passthrough-relay keeps closed \
         (`[passthrough-relay.outward]`)."
    ),
    client_keys!("forward-proxy.access"),
    method_keys!("forward-proxy.access"),
    outward_keys!("forward-proxy.access"),
];
