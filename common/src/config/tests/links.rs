//! What needs the whole file: names, addresses, routes, sites, pools.

use super::*;

const SITE: &str = r#"
[[route]]
name = "www"
server_names = ["www.example", "*.www.example"]
terminate = true

[[site]]
names = ["www.example", "*.www.example"]
certificate = "www.pem"
key = "www.key"

[[http-filter.route]]
name = "all"
pool = "p"
"#;

fn with(more: &str) -> String {
    format!("{BASE}{more}")
}

#[test]
fn the_base_is_sound_and_silent() {
    assert!(sound(BASE).1.is_empty());
    assert!(sound(&with(SITE)).1.is_empty());
}

#[test]
fn unknown_pools_and_listeners() {
    fails(
        &BASE.replace("passthrough = \"p\"", "passthrough = \"q\""),
        "\"q\"",
        &["`route.passthrough`", "no pool named `q`", "known pools: p", "did you mean `p`?"],
    );
    fails(&with("[sni-router.otherwise]\nno_sni = { passthrough = \"zzz\" }\n"), "zzz", &["no pool named `zzz`"]);
    fails(
        &with(SITE).replace("pool = \"p\"", "pool = \"app\""),
        "\"app\"",
        &["`http-filter.route.pool`", "no pool named `app`"],
    );
    fails(
        &BASE.replace("passthrough = \"p\"", "passthrough = \"p\"\nlisten = \"htps\""),
        "htps",
        &["no listener named `htps`", "did you mean `https`?"],
    );
    let forward = "[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:3128\"\n[[sni-router.access]]\nname = \"a\"\naction = \"deny\"\nlisten = \"out\"\n";
    fails(&with(forward), "listen = \"out\"", &["no listener named `out`", "known listeners: https"]);
    fails(
        "[[route]]\nname = \"a\"\nserver_names = \"a.example\"\npassthrough = \"x\"\n",
        "\"x\"",
        &["the file has no pools at all"],
    );
}

#[test]
fn names_twice_show_both_places() {
    let twice = [
        ("[[pool]]\nname = \"p\" # again\nservers = \"b:1\"\n", "two pools named `p`"),
        (
            "[[route]]\nname = \"pass\" # again\nserver_names = \"b.example\"\nrefuse = \"close\"\n",
            "two routes named `pass`",
        ),
        ("[[sni-router.listen]]\nname = \"https\" # again\naddress = \"127.0.0.1:1\"\n", "two listeners named `https`"),
        (
            "[[forward-proxy.listen]]\nname = \"https\" # again\naddress = \"127.0.0.1:1\"\n",
            "two listeners named `https`",
        ),
    ];
    for (more, words) in twice {
        fails(&with(more), "# again", &[words, "first here"]);
    }
    let rules = "\n[[sni-router.access]]\nname = \"r\"\naction = \"deny\"\n\n[[sni-router.access]]\nname = \"r\" # again\naction = \"deny\"\n";
    for section in ["sni-router", "http-filter", "forward-proxy"] {
        fails(&with(&rules.replace("sni-router", section)), "# again", &["two rules named `r`", "first here", section]);
    }
    fails(
        &with(&format!("{SITE}\n[[http-filter.route]]\nname = \"all\" # again\npool = \"p\"\n")),
        "# again",
        &["two routes named `all`"],
    );
}

#[test]
fn two_routes_for_one_name() {
    let second = "[[route]]\nname = \"b\"\nserver_names = [\"x.example\", \"PASS.example.\"]\nrefuse = \"alert\"\n";
    fails(&with(second), "PASS", &["two routes take `pass.example`", "first here", "8 |"]);
    // Different listeners or protocols are no conflict; an overlap is.
    let listener = "[[sni-router.listen]]\nname = \"other\"\naddress = \"127.0.0.1:9999\"\n";
    let apart = BASE.replace("passthrough = \"p\"", "passthrough = \"p\"\nlisten = \"https\"");
    sound(&format!("{apart}{listener}{second}listen = \"other\"\n"));
    fails(
        &format!("{apart}{listener}{second}listen = [\"other\", \"https\"]\n"),
        "PASS",
        &["two routes take `pass.example`"],
    );
    sound(&with(&format!("{second}alpn = \"acme-tls/1\"\n")));
    let acme = "[[route]]\nname = \"c\"\nalpn = [\"acme-tls/1\", \"x\"]\nrefuse = \"close\"\n";
    fails(
        &with(&format!("{acme}{}", acme.replace("\"c\"", "\"d\" # again"))),
        "# again",
        &["every name with the same `alpn`"],
    );
    // Twice in one list.
    fails(
        &BASE.replace("\"pass.example\"", "[\"pass.example\", \"Pass.example\"]"),
        "Pass",
        &["stands twice in one list"],
    );
}

#[test]
fn exactly_one_action() {
    let route = "[[route]] # this\nname = \"b\"\nserver_names = \"b.example\"\n";
    fails(&with(route), "# this", &["does not say what happens", "exactly one"]);
    fails(&with(&format!("{route}passthrough = \"p\"\nrefuse = \"alert\" # two\n")), "# two", &["exclude each other"]);
    fails(&with(&format!("{route}terminate = false # off\n")), "# off", &["only `true` can be written"]);
    fails(&with("[[route]] # this\nname = \"b\"\nrefuse = \"alert\"\n"), "# this", &["for which names it is"]);
    fails(&with("[sni-router.otherwise]\nno_sni = { terminate = false }\n"), "no_sni", &["exactly one of"]);
    fails(
        &with("[sni-router.otherwise]\nnot_tls = { terminate = true }\n"),
        "not_tls",
        &["`sni-router.otherwise.not_tls.terminate`", "no such key"],
    );
    fails(
        &with("[sni-router.otherwise]\nmalformed = { passthrough = \"p\" }\n"),
        "malformed",
        &["a text in quotes is wanted"],
    );
}

#[test]
fn addresses_twice() {
    let again = |address: &str| format!("[[forward-proxy.listen]]\nname = \"out\"\naddress = \"{address}\" # again\n");
    fails(&with(&again("127.0.0.1:8443")), "# again", &["127.0.0.1:8443 is listened on twice", "first here"]);
    fails(&with(&again("0.0.0.0:8443")), "# again", &["cannot both be opened", "every address of the machine"]);
    sound(&with(&again("[::]:8443")));
    sound(&with(&again("127.0.0.2:8443")));
    fails(&BASE.replace("\"127.0.0.1:8443\"", "[\"[::]:1\", \"[::1]:1\"]"), "[::1]", &["cannot both be opened"]);
}

#[test]
fn a_terminated_name_needs_a_site() {
    let text =
        with(SITE).replace("names = [\"www.example\", \"*.www.example\"]\ncert", "names = \"a.www.example\"\ncert");
    fails(
        &text,
        "server_names = [\"www.example\"",
        &["no `[[site]]` covers `www.example`", "no certificate for this name"],
    );
    fails(&text, "server_names = [\"www.example\"", &["covers `*.www.example`", "covers only a part of it"]);
    // A wildcard site covers a name below it.
    sound(
        &with(SITE)
            .replace("server_names = [\"www.example\", \"*.www.example\"]", "server_names = \"a.www.example\"")
            .replace("names = [\"www.example\", \"*.www.example\"]\ncert", "names = \"*.www.example\"\ncert"),
    );
    let text = with("[sni-router.otherwise]\nno_sni = { terminate = true }\n");
    fails(&text, "no_sni", &["`sni-router.otherwise.no_sni`", "the file has none", "no certificate to show"]);
    fails(&text, "no_sni", &["`http-filter.route`", "it has no route", "this terminates TLS"]);
}

#[test]
fn a_name_in_two_sites() {
    let more = "[[site]]\nnames = [\"b.example\", \"WWW.example\"] # again\ncertificate = \"b.pem\"\nkey = \"b.key\"\n";
    fails(&with(&format!("{SITE}{more}")), "# again", &["two sites have the name `www.example`", "first here"]);
    let more = "[[site]]\nnames = [\"b.example\", \"b.example\"] # again\ncertificate = \"b.pem\"\nkey = \"b.key\"\n";
    let errors = fails(&with(&format!("{SITE}{more}")), "# again", &["twice in one list"]);
    assert!(!errors.to_string().contains("two sites"), "{errors}");
}

#[test]
fn a_site_no_route_leads_to() {
    let more = "[[site]]\nnames = \"lost.example\"\ncertificate = \"b.pem\"\nkey = \"b.key\"\n";
    warns(&with(&format!("{SITE}{more}")), "lost.example", &["warning:", "no route leads to `lost.example`"]);
    let (_, warnings) =
        sound(&with(&format!("{SITE}{more}[sni-router.otherwise]\nunknown_name = {{ terminate = true }}\n")));
    assert!(warnings.is_empty());
}

#[test]
fn requests_need_a_route_to_a_pool() {
    let (before, _) = SITE.split_once("[[http-filter.route]]").unwrap();
    fails(&with(before), "name = \"www\"", &["`http-filter.route`", "it has no route", "this route terminates TLS"]);
    let http = "[[sni-router.listen]]\nname = \"plain\" # http\naddress = \"127.0.0.1:80\"\nprotocol = \"http\"\n";
    fails(&with(http), "# http", &["it has no route", "this listener speaks HTTP"]);
    fails(
        &with(&format!("{http}[[http-filter.route]]\nname = \"a\"\npool = \"p\"\n"))
            .replace("server_names = \"pass.example\"", "server_names = \"pass.example\"\nlisten = \"plain\""),
        "listen = \"plain\"",
        &["speaks plain HTTP", "this listener"],
    );
}

#[test]
fn pools_that_do_not_fit() {
    let text =
        with(SITE).replace("servers = \"127.0.0.1:9443\"", "servers = \"127.0.0.1:9443\"\nproxy_protocol = \"v1\"");
    fails(&text, "pool = \"p\"", &["sends PROXY headers", "PROXY header here"]);
    let spoken = BASE.replace("servers = \"127.0.0.1:9443\"", "servers = \"127.0.0.1:9443\"\nprotocol = \"h2c\"");
    fails(&spoken, "passthrough = \"p\"", &["which only http-filter speaks", "bytes pass here as they are"]);
    warns(&with("[[pool]]\nname = \"spare\"\nservers = \"b:1\"\n"), "spare", &["no route uses the pool `spare`"]);
    let twice = BASE.replace("\"127.0.0.1:9443\"", "[\"a:1\", { address = \"A:1\", weight = 3 }]");
    fails(&twice, "A:1", &["same server stands twice"]);
}

#[test]
fn routes_that_are_never_asked() {
    let http = "[[http-filter.route]]\nname = \"narrow\" # late\nhosts = \"a.example\"\npool = \"p\"\n";
    warns(&with(&format!("{SITE}{http}")), "# late", &["`narrow` is never asked", "takes it first"]);
    let plain = "[[sni-router.listen]]\nname = \"h\"\naddress = \"127.0.0.1:80\"\nprotocol = \"http\"\n[[http-filter.route]]\nname = \"a\"\npool = \"p\"\n[[pool]]\nname = \"p\"\nservers = \"a:1\"\n";
    let route = "[[route]]\nname = \"r\"\nserver_names = \"a.example\"\nrefuse = \"close\"\n";
    warns(&format!("{plain}{route}"), "name = \"r\"", &["routes are never asked"]);
    warns(
        "[[sni-router.listen]]\nname = \"https\"\naddress = \"127.0.0.1:443\"\n",
        "https",
        &["every TLS connection is refused"],
    );
}

#[test]
fn no_listener_at_all() {
    let errors = parse("[log]\nlevel = \"info\"\n").err().unwrap();
    let text = errors.to_string();
    assert!(
        text.contains("no listener") && text.contains("b.toml:1:1") && text.contains("[[sni-router.listen]]"),
        "{text}"
    );
    // A listener with an error is not "no listener".
    let errors = parse("[[sni-router.listen]]\nname = \"a\"\naddress = \"nowhere\"\n").err().unwrap();
    assert!(!errors.to_string().contains("has no listener"), "{errors}");
}

#[test]
fn certificates_and_keys_come_in_pairs() {
    let text = with(SITE).replace("\"www.key\"", "[\"a.key\", \"b.key\"]");
    fails(&text, "a.key", &["every certificate needs a key of its own", "2 here", "1 here"]);
}

#[test]
fn users_need_a_file() {
    let proxy = "[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:3128\"\n";
    fails(
        &format!("[forward-proxy]\nrequire_user = true\n{proxy}"),
        "require_user",
        &["there are no users", "users_file"],
    );
    let rule = "[[forward-proxy.access]]\nname = \"a\"\naction = \"allow\"\nusers = \"alice\"\n";
    fails(&format!("{proxy}{rule}"), "alice", &["there are no users"]);
    let (config, _) = sound(&format!("[forward-proxy]\nusers_file = \"users\"\n{proxy}{rule}"));
    assert!(config.forward_proxy.require_user);
    assert_eq!(config.forward_proxy.users_file.as_deref(), Some(Path::new("/etc/b/users")));
}

#[test]
fn an_open_proxy() {
    let listen = "[[forward-proxy.listen]]\nname = \"out\"\naddress = \"0.0.0.0:3128\"\n";
    warns(listen, "0.0.0.0", &["whoever reaches this address may use the proxy", "users_file"]);
    for closed in ["access_default = \"deny\"", "users_file = \"u\""] {
        assert!(sound(&format!("[forward-proxy]\n{closed}\n{listen}")).1.is_empty());
    }
    assert!(sound(&listen.replace("0.0.0.0", "127.0.0.1")).1.is_empty());
}

#[test]
fn one_mistake_is_one_error() {
    let count = |text: String| {
        let errors = parse(&text).unwrap_err();
        eprintln!("{errors}"); // shown when a count below is not right
        errors.errors().len()
    };
    assert_eq!(count(with(SITE).replace("certificate = \"www.pem\"", "certificate = 3")), 1);
    assert_eq!(count(with(SITE).replace("pool = \"p\"", "pool = 3")), 1);
    assert_eq!(count(BASE.replace("\"127.0.0.1:8443\"", "\"127.0.0.1\"")), 1);
    assert_eq!(count(BASE.replace("\"127.0.0.1:9443\"", "{ address = \"x\" }")), 1);
    assert_eq!(count(BASE.replace("name = \"https\"", "nmae = \"https\"")), 2);
}
