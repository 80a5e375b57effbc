//! Texts with a grammar of their own inside the file: names, networks, paths, headers, servers.

use super::*;
use std::net::IpAddr;

#[test]
fn bad_names() {
    let bad = [
        ("*", "`*` alone"),
        ("a..example", "empty label"),
        (".example", "empty label"),
        ("*.*.example", "whole first label"),
        ("a.*.example", "whole first label"),
        ("bücher.example", "xn--"),
        ("a b.example", "may not stand"),
        ("-a.example", "start or end with `-`"),
        ("192.0.2.1", "an address"),
        ("", "empty"),
    ];
    for (name, words) in bad {
        let text = BASE.replace("\"pass.example\"", &format!("\"{name}\""));
        fails(&text, "server_names", &["`route.server_names`", words, "host name or"]);
    }
    let long = format!("{}.example", "a".repeat(64));
    fails(&BASE.replace("pass.example", &long), "server_names", &["longer than 63"]);
    let longest = ["a".repeat(60).as_str(); 5].join(".");
    fails(&BASE.replace("pass.example", &longest), "server_names", &["longer than 253"]);
}

#[test]
fn names_match_and_cover() {
    let suffix = NamePattern::parse("*.Shop.Example.").unwrap();
    assert_eq!(suffix.as_str(), "*.shop.example");
    assert!(suffix.matches("a.shop.example") && suffix.matches("a.b.shop.example"));
    assert!(!suffix.matches("shop.example") && !suffix.matches(".shop.example") && !suffix.matches("ashop.example"));
    let exact = NamePattern::parse("shop.example").unwrap();
    assert!(exact.matches("shop.example") && !exact.matches("a.shop.example"));
    let deeper = NamePattern::parse("*.a.shop.example").unwrap();
    assert!(suffix.covers(&deeper) && !deeper.covers(&suffix) && suffix.covers(&suffix));
    assert!(!suffix.covers(&exact) && !exact.covers(&suffix));
}

#[test]
fn networks() {
    let rule =
        |clients: &str| format!("{BASE}[[sni-router.access]]\nname = \"a\"\naction = \"deny\"\nclients = {clients}\n");
    fails(&rule("\"10.0.0.1/8\""), "clients", &["`sni-router.access.clients`", "the network is `10.0.0.0/8`"]);
    fails(&rule("[\"10.0.0.0/8\", \"10.0.0.0/33\"]"), "clients", &["not a network", "found `\"10.0.0.0/33\"`"]);
    let (config, _) = sound(&rule("[\"10.0.0.0/8\", \"2001:db8::1\"]"));
    let clients = config.sni_router.access[0].conditions.clients.clone().unwrap();
    let has = |text: &str| clients.contains(text.parse::<IpAddr>().unwrap());
    assert!(has("10.1.2.3") && has("::ffff:10.1.2.3") && has("2001:db8::1"));
    assert!(!has("11.0.0.1") && !has("2001:db8::2"));
}

#[test]
fn paths() {
    for (path, words) in [
        ("admin", "starts with `/`"),
        ("/a*b", "only stand at the end"),
        ("/a?b", "without the query"),
        ("/a/../b", "would match nothing"),
        ("/ü", "may not stand"),
    ] {
        let text = format!("{BASE}[[http-filter.access]]\nname = \"a\"\naction = \"deny\"\npaths = \"{path}\"\n");
        fails(&text, "paths", &["`http-filter.access.paths`", words]);
    }
    let prefix = PathPattern::parse("/admin/*").unwrap();
    assert!(prefix.matches("/admin/") && prefix.matches("/admin/x") && !prefix.matches("/admin"));
    assert!(PathPattern::parse("/admin").unwrap().matches("/admin"));
    assert!(PathPattern::parse("/*").unwrap().covers(&prefix));
}

#[test]
fn headers() {
    let rule =
        |header: &str| format!("{BASE}[[http-filter.access]]\nname = \"a\"\naction = \"deny\"\nheaders = [{header}]\n");
    fails(&rule("{ name = \"x y\" }"), "x y", &["not the name of a header field"]);
    fails(&rule("{ name = \"x\", value = \"a*b\" }"), "a*b", &["only stand at the end"]);
    fails(&rule("\"x\""), "headers", &["a table", "is wanted"]);
    fails(&rule("{ name = \"x\", vlaue = \"1\" }"), "vlaue", &["did you mean `value`?"]);
    let (config, _) =
        sound(&rule("{ name = \"X-A\", value = \"1*\" }, { name = \"x-b\", value = \"1\" }, { name = \"x-c\" }"));
    let headers = &config.http_filter.access[0].conditions.headers;
    assert_eq!(&*headers[0].name, "x-a");
    assert!(headers[0].value.matches(b"12") && !headers[0].value.matches(b"21"));
    assert!(headers[1].value.matches(b"1") && !headers[1].value.matches(b"12"));
    assert!(headers[2].value.matches(b""));
}

#[test]
fn servers() {
    for (server, words) in [
        ("backend", "the port is missing"),
        ("backend:0", "not a port"),
        ("backend:65536", "not a port"),
        ("2001:db8::1:443", "in brackets"),
        ("[2001:db8::g]:443", "not an IPv6 address"),
        ("10.0.0.256:80", "not an IPv4 address"),
        (":80", "empty"),
        ("a b:80", "may not stand"),
    ] {
        fails(&BASE.replace("127.0.0.1:9443", server), "servers", &["`pool.servers`", words]);
    }
    let (config, _) = sound(
        &BASE.replace("\"127.0.0.1:9443\"", "[\"[2001:DB8::1]:443\", { address = \"B.internal.:80\", weight = 7 }]"),
    );
    let servers: Vec<(String, u32)> = config.pools[0].servers.iter().map(|s| (s.to_string(), s.weight)).collect();
    assert_eq!(servers, [("[2001:db8::1]:443".to_owned(), 1), ("b.internal:80".to_owned(), 7)]);
}

#[test]
fn the_rest() {
    let forward = |line: &str| {
        format!("[forward-proxy]\n{line}\n[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:3128\"\n")
    };
    fails(&forward("ports = [0]"), "ports", &["not a port"]);
    fails(&forward("ports = [\"90-80\"]"), "ports", &["write `80-90`"]);
    fails(&forward("realm = 'a\"b'"), "realm", &["cannot be a realm"]);
    let rule = |line: &str| forward(&format!("[[forward-proxy.access]]\nname = \"a\"\naction = \"deny\"\n{line}"));
    fails(&rule("destinations = \"10.0.0.0/40\""), "destinations", &["not a network"]);
    fails(&rule("destinations = \"exa mple\""), "destinations", &["may not stand in a host name"]);
    fails(&rule("methods = \"connect\""), "methods", &["write `CONNECT`"]);
    fails(
        &forward("users_file = \"u\"\n[[forward-proxy.access]]\nname = \"a\"\naction = \"deny\"\nusers = \"a:b\""),
        "a:b",
        &["not a user name"],
    );
    fails(&format!("{BASE}[bulkhead]\nruntime_dir = \"run\"\n"), "runtime_dir", &["not absolute"]);
    fails(&format!("{BASE}[bulkhead]\nruntime_dir = \"/{}\"\n", "r".repeat(60)), "runtime_dir", &["longer than 60"]);
    fails(&BASE.replace("\"https\"", "\"ht:tps\""), "ht:tps", &["may not stand in a name"]);
    fails(&BASE.replace("127.0.0.1:8443", "localhost:8443"), "localhost", &["not resolved"]);
    fails(&BASE.replace("passthrough = \"p\"", "passthrough = \"p\"\nalpn = \"\""), "alpn", &["1 to 255 bytes"]);
}
