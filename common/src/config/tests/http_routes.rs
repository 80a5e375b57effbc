//! `[[http-filter.route]]` and what is done to requests and answers: what is wrong is said under its line.

use super::*;

fn route(keys: &str) -> String {
    format!("{BASE}[[http-filter.route]]\nname = \"r\"\n{keys}\n")
}

fn read(keys: &str) -> HttpRoute {
    sound(&route(keys)).0.http_filter.routes.remove(0)
}

#[test]
fn a_route_leads_to_exactly_one_thing() {
    fails(&route(""), "[[http-filter.route]]", &["does not say what happens", "`respond` and `status`"]);
    fails(&route("pool = \"p\"\nstatus = 404"), "status = 404", &["`pool` and `status` exclude each other"]);
    fails(&route("redirect = \"https\"\nrespond = { body = \"x\" }"), "respond", &["exclude each other"]);
    assert_eq!(read("status = 410").action, RouteTarget::Status(410));
    fails(&route("status = 302"), "302", &["`http-filter.route.status`", "too small"]);
    let text = route("pool = \"p\"");
    let line = u32::try_from(line_of(&text, "[[http-filter.route]]")).unwrap();
    assert_eq!(sound(&text).0.http_filter.routes[0].line, line);
}

#[test]
fn shares_of_pools() {
    let route_of = |keys| read(keys).action;
    let RouteTarget::Split(split) =
        route_of("split = [{ pool = \"p\", weight = 9 }, { pool = \"p\", weight = 1 }]\nsplit_by = \"header:X-Id\"")
    else {
        panic!("a split")
    };
    assert_eq!((split.shares.len(), split.by), (2, SplitBy::Header("x-id".into())));
    fails(
        &route("split = [{ pool = \"q\", weight = 1 }]"),
        "\"q\"",
        &["`http-filter.route.split.pool`", "no pool named `q`"],
    );
    fails(&route("split = [{ pool = \"p\", weight = 0 }]"), "weight = 0", &["nobody would serve"]);
    fails(&route("split = [{ pool = \"p\" }]"), "split", &["`http-filter.route.split.weight`", "must be given"]);
    fails(
        &route("split = [{ pool = \"p\", weight = 1 }]\nsplit_by = \"cookies:x\""),
        "cookies",
        &["not a way to split", "`\"cookie:NAME\"`"],
    );
    let proxied = route("split = [{ pool = \"p\", weight = 1 }]")
        .replace("name = \"p\"", "name = \"p\"\nproxy_protocol = \"v2\"");
    fails(&proxied, "split", &["sends PROXY headers"]);
}

#[test]
fn redirects() {
    let status = |keys| match read(keys).action {
        RouteTarget::Redirect(redirect) => redirect.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status("redirect = \"https\""), 308);
    assert_eq!(status("redirect = \"/new\""), 302);
    assert_eq!(status("redirect = { to = \"https\", status = 301 }"), 301);
    fails(&route("redirect = { to = \"/x\", status = 304 }"), "304", &["304 does not redirect"]);
    fails(&route("redirect = \"/x/${1}\""), "${1}", &["a capture needs a regex beside it"]);
    fails(&route("redirect = \"/${hots}\""), "hots", &["did you mean `${host}`?"]);
    fails(
        &route("path_regex = '(.*)'\nredirect = \"https://x.example${1}\""),
        "redirect",
        &["only `${host}` may stand"],
    );
    fails(&route("redirect = \"javascript://x\""), "javascript", &["not a scheme"]);
}

#[test]
fn fixed_answers() {
    fails(&route("respond = { status = 204, body = \"x\" }"), "204", &["has no body"]);
    fails(&route("respond = { body = \"x\", file = \"y\" }"), "respond", &["exclude each other"]);
    fails(&route("respond = { content_type = \"html\" }"), "html", &["not a media type"]);
    let (config, _) = sound(&route("respond = { file = \"pages/x\" }"));
    assert!(
        config
            .files
            .iter()
            .any(|file| file.path == Path::new("/etc/b/pages/x") && file.is_for(crate::process::Process::HttpFilter))
    );
}

#[test]
fn header_rules_and_rewriting() {
    let rule = |text: &str| route(&format!("pool = \"p\"\nrequest_headers = [{text}]"));
    for (text, words) in [
        ("{ set = \"Transfer-Encoding\", value = \"x\" }", "framing of the message"),
        ("{ remove = \"content-length\" }", "framing of the message"),
        ("{ add = \"connection\", value = \"x\" }", "framing of the message"),
        ("{ set = \"a b\", value = \"x\" }", "not the name of a header field"),
        ("{ set = \"x-a\" }", "`value` is missing"),
        ("{ remove = \"x-a\", value = \"1\" }", "`remove` takes no `value`"),
        ("{ set = \"x-a\", add = \"x-b\", value = \"1\" }", "exactly one of"),
        ("{ value = \"1\" }", "exactly one of"),
        ("{ set = \"x-a\", value = \"${cookie}\" }", "no placeholder `${cookie}`"),
        ("{ set = \"x-a\", value = \"a\\r\\nb: c\" }", "may not stand here"),
        ("\"x-a\"", "a table"),
    ] {
        fails(&rule(text), "request_headers", &[words]);
    }
    let rewrite = |text: &str| route(&format!("pool = \"p\"\n{text}"));
    fails(
        &rewrite("strip_prefix = \"/a\"\nrewrite_path = { prefix = \"/a\", to = \"/b\" }"),
        "rewrite_path",
        &["exclude each other"],
    );
    fails(
        &rewrite("rewrite_path = { prefix = \"/a\", regex = \"x\", to = \"/b\" }"),
        "rewrite_path",
        &["exactly one of `prefix` and `regex`"],
    );
    fails(&rewrite("rewrite_path = { prefix = \"/a/*\", to = \"/b\" }"), "rewrite_path", &["a `*` is not wanted here"]);
    fails(&rewrite("rewrite_path = { regex = \"^/a\", to = \"/b#c\" }"), "rewrite_path", &["no `#`"]);
    let Some(Rewrite::Prefix { from, to }) = read("pool = \"p\"\nstrip_prefix = \"/a/\"").rewrite else {
        panic!("a prefix")
    };
    assert_eq!((&*from, &*to), ("/a", ""));
}

#[test]
fn answers() {
    let page = |keys: &str| format!("{BASE}[[http-filter.error-page]]\nfile = \"e.html\"\n{keys}\n");
    let read = sound(&page("statuses = [404, \"5xx\", \"420-430\"]")).0.http_filter.error_pages;
    assert_eq!(read[0].statuses, [(404, 404), (500, 599), (420, 430)]);
    for bad in ["200", "\"3xx\"", "\"430-420\"", "600", "\"x\""] {
        fails(&page(&format!("statuses = [{bad}]")), "statuses", &["is not a status from 400 to 599"]);
    }
    let compress = |keys: &str| format!("{BASE}[http-filter.compression]\n{keys}\n");
    fails(&compress("algorithms = [\"brotli\"]"), "brotli", &["not one of the allowed words"]);
    fails(&compress("algorithms = [\"br\", \"br\"]"), "algorithms", &["stands twice"]);
    for bad in ["text", "*/*", "te*/x", "text/ht*"] {
        fails(&compress(&format!("types = \"{bad}\"")), "types", &["`http-filter.compression.types`"]);
    }
    assert!(sound(BASE).0.http_filter.compression.algorithms.is_empty(), "off unless asked for");
}

#[test]
fn a_route_behind_one_that_takes_all_is_warned_of_unless_that_one_asks_more() {
    let two = |first: &str| {
        format!(
            "{BASE}[[http-filter.route]]\nname = \"a\"\npool = \"p\"\n{first}\n[[http-filter.route]]\nname = \"late\"\npool = \"p\"\n"
        )
    };
    let warned = |text: &str| sound(text).1.iter().any(|warning| warning.message().contains("never asked"));
    assert!(warned(&two("")));
    for more in
        ["methods = \"POST\"", "path_regex = '^/x'", "when = 'request.path == \"/\"'", "clients = \"10.0.0.0/8\""]
    {
        assert!(!warned(&two(more)), "{more}");
    }
    let https = two("").replacen("pool = \"p\"\n\n[[http", "redirect = \"https\"\n\n[[http", 1);
    assert!(https.contains("redirect") && !warned(&https));
}
