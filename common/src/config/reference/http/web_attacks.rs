//! Keys of `[http-filter.web-attacks]` and of its scopes and exclusions.

use super::super::access::*;
use super::super::*;

pub(in crate::config::reference) const TABLES: &[&[Key]] = &[
    SECTION,
    LIMITS,
    WORK,
    SCOPE,
    client_keys!("http-filter.web-attacks.scope"),
    hello_keys!("http-filter.web-attacks.scope"),
    handshake_keys!("http-filter.web-attacks.scope"),
    method_keys!("http-filter.web-attacks.scope"),
    place_keys!("http-filter.web-attacks.scope"),
    request_keys!("http-filter.web-attacks.scope"),
    EXCLUDE,
    client_keys!("http-filter.web-attacks.exclude"),
    hello_keys!("http-filter.web-attacks.exclude"),
    handshake_keys!("http-filter.web-attacks.exclude"),
    method_keys!("http-filter.web-attacks.exclude"),
    place_keys!("http-filter.web-attacks.exclude"),
    request_keys!("http-filter.web-attacks.exclude"),
];

const MODE: Kind = Kind::Choice(&["off", "detect", "block"]);
const OVER_LIMIT: Kind = Kind::Choice(&["reject", "inspect-part", "skip"]);
const REJECT_OR_PASS: Kind = Kind::Choice(&["reject", "pass"]);
const PARANOIA: Kind = integer(1, 4);
const THRESHOLD: Kind = integer(1, 1_000_000);
const MAX_BODY: Kind = size(1, GIB);
const AS_ELSEWHERE: Preset = Preset::Absent("as the next scope that applies, or else the section");

/// Which rules, and what they may do.
const SECTION: &[Key] = &[
    table("http-filter.web-attacks", "Rules that recognise attacks on the application in requests.", ABOUT),
    key(
        "http-filter.web-attacks.mode",
        MODE,
        value("\"off\""),
        "Whether rules run, and whether they refuse.",
        MODE_LONG,
    ),
    key(
        "http-filter.web-attacks.rules",
        list_or_empty("path of a file in SecLang; `*` and `?` in it stand for anything but `/`"),
        value("[]"),
        "The rules, in this order; `[]`: a small set that is built in.",
        RULES_LONG,
    ),
    key(
        "http-filter.web-attacks.paranoia",
        PARANOIA,
        value("1"),
        "Paranoia level of the OWASP Core Rule Set.",
        PARANOIA_LONG,
    ),
    key(
        "http-filter.web-attacks.inbound_threshold",
        THRESHOLD,
        value("5"),
        "Anomaly score from which a request is refused.",
        "Each rule that matches adds to the score, of the Core Rule Set 2 (notice) to 5 (critical). The rules see this as \
         `tx.inbound_anomaly_score_threshold`; a `crs-setup.conf` that sets it itself has the last word.",
    ),
    key(
        "http-filter.web-attacks.outbound_threshold",
        THRESHOLD,
        value("4"),
        "Anomaly score from which an answer is withheld, with `responses`.",
        "",
    ),
    key(
        "http-filter.web-attacks.early_blocking",
        Kind::Flag,
        value("false"),
        "Look at the score after the header already, before the body is read.",
        "",
    ),
    key(
        "http-filter.web-attacks.responses",
        Kind::Flag,
        value("false"),
        "Look at answers, too (phases 3 and 4): leaks of source code, error messages, web shells.",
        "The beginning of an answer waits until it was looked at.",
    ),
    key(
        "http-filter.web-attacks.shadow",
        list_or_empty("path of a file in SecLang, as in `rules`"),
        value("[]"),
        "A second set of rules that sees the same requests and never refuses; what it decides differently is logged.",
        "For trying a new release of a rule set, or another one, on live traffic. It costs as much again.",
    ),
    key(
        "http-filter.web-attacks.mask",
        list_or_empty("part of a name, in any case"),
        value(
            "[\"password\", \"passwd\", \"passphrase\", \"pwd\", \"secret\", \"token\", \"api_key\", \"apikey\", \"authorization\", \
             \"cookie\", \"session\"]",
        ),
        "Values of parameters, headers and cookies whose name has one of these in it do not appear in records.",
        "",
    ),
];

/// What a request may hold and cost, before and while rules look at it.
const LIMITS: &[Key] = &[
    key(
        "http-filter.web-attacks.max_body",
        MAX_BODY,
        value("\"1MiB\""),
        "Bytes of a request's body that rules look at.",
        "Never above `max_held`. A body that rules look at is read whole before the request is sent on; all others stream through.",
    ),
    key(
        "http-filter.web-attacks.over_limit",
        OVER_LIMIT,
        value("\"reject\""),
        "What becomes of a request beyond a limit.",
        OVER_LIMIT_LONG,
    ),
    key(
        "http-filter.web-attacks.malformed_body",
        REJECT_OR_PASS,
        value("\"reject\""),
        "What becomes of a form, multipart, JSON or XML body that cannot be taken apart.",
        "`reject`: 400. `pass`: rules see what could be read of it, and it is counted.",
    ),
    key(
        "http-filter.web-attacks.unread_types",
        list_or_empty("media type (`\"application/pdf\"`, `\"image/*\"`)"),
        value(
            "[\"application/grpc*\", \"application/octet-stream\", \"image/*\", \"video/*\", \"audio/*\", \"font/*\"]",
        ),
        "Request bodies of these types stream through unlooked-at.",
        "Their headers and queries are looked at. WebSockets are never waited for.",
    ),
    key(
        "http-filter.web-attacks.budget",
        duration(1, 5 * SECOND),
        value("\"50ms\""),
        "CPU time that the rules may take for one request.",
        "Work is counted and not timed: how much this machine does in the time is measured when the rules are loaded, so a busy machine \
         does not make rules miss anything.",
    ),
    key(
        "http-filter.web-attacks.over_budget",
        REJECT_OR_PASS,
        value("\"reject\""),
        "What becomes of a request that needs more.",
        "`reject`: 403. `pass`: it goes on with what was found so far. Logged and counted in any case.",
    ),
    key(
        "http-filter.web-attacks.max_arguments",
        integer(1, 65_536),
        value("256"),
        "Parameters of a request.",
        "Of query and body each.",
    ),
    key("http-filter.web-attacks.max_depth", integer(1, 256), value("32"), "Nesting of a JSON or XML body.", ""),
    key(
        "http-filter.web-attacks.max_nodes",
        integer(1, 10_000_000),
        value("10000"),
        "Values of a JSON body; elements, attributes and texts of an XML one.",
        "",
    ),
    key("http-filter.web-attacks.max_name_length", size(1, MIB), value("1024"), "Bytes of a parameter's name.", ""),
    key(
        "http-filter.web-attacks.max_value_length",
        size(1, GIB),
        value("\"1MiB\""),
        "Bytes of a parameter's value.",
        "",
    ),
    key("http-filter.web-attacks.max_parts", integer(1, 65_536), value("256"), "Parts of a multipart body.", ""),
    key(
        "http-filter.web-attacks.max_response_body",
        size(1, GIB),
        value("\"512KiB\""),
        "Bytes of an answer's body that rules look at; the rest passes unlooked-at and is counted.",
        "With `responses`, of the types that `SecResponseBodyMimeType` names; without such a line text/html, text/plain, text/xml and \
         application/json.",
    ),
];

/// How one process does the work.
const WORK: &[Key] = &[
    key(
        "http-filter.web-attacks.inline_body",
        size(0, MIB),
        value("\"4KiB\""),
        "Larger bodies are looked at on an inspection thread, so that other requests do not wait.",
        "",
    ),
    key("http-filter.web-attacks.threads", integer(1, 16), value("1"), "Inspection threads of one process.", ""),
    key(
        "http-filter.web-attacks.max_waiting",
        integer(1, 65_536),
        value("64"),
        "Bodies that may wait for an inspection thread in one process; one more is a 503.",
        "",
    ),
    key(
        "http-filter.web-attacks.max_held",
        size(64 * KIB, 64 * GIB),
        value("\"16MiB\""),
        "Bytes of bodies that one process holds for inspection, in all; a body for which there is no room is a 503.",
        "",
    ),
    key(
        "http-filter.web-attacks.collections",
        integer(1, MANY),
        value("10000"),
        "Records that rules keep from one request to the next (`IP`, `GLOBAL` and the like), in one process.",
        "With more, those that were not used for longest are forgotten.",
    ),
];

const SCOPE: &[Key] = &[
    tables("http-filter.web-attacks.scope", "What is different for some hosts, paths or clients.", SCOPE_LONG),
    key(
        "http-filter.web-attacks.scope.name",
        Kind::Text(LABEL),
        Preset::Required,
        "Name of the scope in records and in `explain`; unique among scopes.",
        "",
    ),
    key("http-filter.web-attacks.scope.mode", MODE, AS_ELSEWHERE, "As `mode` of the section.", ""),
    key("http-filter.web-attacks.scope.paranoia", PARANOIA, AS_ELSEWHERE, "As `paranoia` of the section.", ""),
    key(
        "http-filter.web-attacks.scope.inbound_threshold",
        THRESHOLD,
        AS_ELSEWHERE,
        "As `inbound_threshold` of the section.",
        "",
    ),
    key(
        "http-filter.web-attacks.scope.outbound_threshold",
        THRESHOLD,
        AS_ELSEWHERE,
        "As `outbound_threshold` of the section.",
        "",
    ),
    key("http-filter.web-attacks.scope.max_body", MAX_BODY, AS_ELSEWHERE, "As `max_body` of the section.", ""),
    key("http-filter.web-attacks.scope.over_limit", OVER_LIMIT, AS_ELSEWHERE, "As `over_limit` of the section.", ""),
    key("http-filter.web-attacks.scope.responses", Kind::Flag, AS_ELSEWHERE, "As `responses` of the section.", ""),
];

const EXCLUDE: &[Key] = &[
    tables("http-filter.web-attacks.exclude", "Rules that are wrong about some requests.", EXCLUDE_LONG),
    key(
        "http-filter.web-attacks.exclude.name",
        Kind::Text(LABEL),
        Preset::Required,
        "Name of the exclusion in `explain`; unique among exclusions.",
        "",
    ),
    key(
        "http-filter.web-attacks.exclude.rules",
        list("number of a rule (`942100`) or range (`\"942200-942299\"`)"),
        Preset::Absent("none by number"),
        "Rules by their number.",
        "",
    ),
    key(
        "http-filter.web-attacks.exclude.tags",
        list("tag (`\"attack-sqli\"`)"),
        Preset::Absent("none by tag"),
        "Rules by a tag.",
        "",
    ),
    key(
        "http-filter.web-attacks.exclude.targets",
        list("variable (`\"ARGS:text\"`, `\"REQUEST_COOKIES:session\"`, `\"REQUEST_HEADERS:Referer\"`)"),
        Preset::Absent("the rules do not run at all"),
        "What the rules do not look at, as SecLang names it.",
        "",
    ),
    key(
        "http-filter.web-attacks.exclude.arguments",
        list("name of a parameter"),
        Preset::Absent("as `targets`"),
        "Parameters of query and body that the rules do not look at: `\"text\"` is short for the target `\"ARGS:text\"`.",
        "Of a JSON body the name is the path: `json.user.name`. `parameters` is a condition: which requests are meant.",
    ),
];

const ABOUT: &str = "A rule set reads the parts of a request, gives points for what attacks have in them (SQL injection, cross-site \
    scripting, commands, paths that lead out of the site) and refuses from a score on. No rule set finds every attack, and each is wrong \
    at times: begin with `mode = \"detect\"`, look at the log, exclude what is wrong, then `block`. Rules are tried after access rules and \
    limits. Each hit is in the log with the numbers of the rules; a client that is refused is told a reference number.";
const MODE_LONG: &str = "`detect`: rules run and are logged, nothing is refused, not even what goes beyond a limit. `block`: as the rules \
    and the keys below say. `off` costs nothing. It overrides `SecRuleEngine`.";
const RULES_LONG: &str = "One line switches to the OWASP Core Rule Set: `rules = [\"/etc/bulkhead/crs/crs-setup.conf\", \
    \"/etc/bulkhead/crs/rules/*.conf\"]`, or Debian's package modsecurity-crs: `rules = \"/usr/share/modsecurity-crs/owasp-crs.load\"`. A \
    pattern names its files in the order of their names and must name at least one; so must each `Include` inside a file, while \
    `IncludeOptional` may find nothing. Data files (`@pmFromFile`) lie beside the rule file. They are read when the process starts and at \
    each reload, at most 2,000 files and 64 MiB together.";
const PARANOIA_LONG: &str = "1 rarely refuses what is harmless; each level has more rules, finds more and is wrong more often. The rules see \
    this as `tx.blocking_paranoia_level` and `tx.detection_paranoia_level`.";
const OVER_LIMIT_LONG: &str = "A limit is `max_body`, one of the numbers below, or a body with `Content-Encoding`, which cannot be looked \
    into. `reject`: 413 for a large body, 415 for an encoded one, 400 otherwise. `inspect-part`: rules look at what is within the limit, \
    and all of it passes. `skip`: the body passes unlooked-at. Counted and in the log line in any case.";
const SCOPE_LONG: &str = "Conditions are those of access rules. For each setting the first scope that applies and names it decides; where \
    none does, the section. One whose `when` fails does not apply.";
const EXCLUDE_LONG: &str = "Conditions are those of access rules; without any, all requests are meant. Everything that applies adds up. \
    With `targets` or `arguments` the rules named by `rules` and `tags` do not look at those, all rules if none is named; without, the \
    rules do not run. One whose `when` fails does not apply.";
