//! Each condition means what it says; what is absent matches nothing that asks for it.

use super::*;

fn matches(table: &str, conditions: &str, facts: &Facts<'_>) -> bool {
    !set(table, &rule(table, conditions), Action::Allow).unwrap_or_else(|e| panic!("{e:?}")).decide(facts).allow
}

/// Conditions of http-filter with what they say of the request of [`World`].
const HTTP: &[(&str, bool)] = &[
    ("", true),
    ("clients = ['192.0.2.0/24', '2001:db8::/32']", true),
    ("clients = '198.51.100.0/24'", false),
    ("countries = ['at', 'DE']", true),
    ("countries = 'AT'", false),
    ("hours = '08:00-18:00'", true),
    ("hours = '09:30-09:31'", true),
    ("hours = '08:00-09:30'", false),
    ("hours = ['22:00-06:00', '09:00-10:00']", true),
    ("hours = '22:00-06:00'", false),
    ("hours = '09:00-24:00'", true),
    ("days = 'thu'", true),
    ("days = 'mon-fri'", true),
    ("days = 'sat-mon'", false),
    ("days = ['sun', 'thu']\nhours = '08:00-09:00'", false),
    ("server_names = 'shop.example'", true),
    ("server_names = '*.example'", true),
    ("server_names = '*.shop.example'", false),
    ("ja4 = 't13d1516h2_8daaf6152771_b186095e22b6'", true),
    ("ja4 = 't13d*'", true),
    ("ja4 = 't12*'", false),
    ("tls_versions = ['1.2', '1.3']", true),
    ("tls_versions = '1.2'", false),
    ("certificate_subjects = 'CN=ada'", true),
    ("certificate_subjects = 'cn=ada'", true),
    ("certificate_subjects = ['CN=bob', 'O=Sh*']", true),
    ("certificate_subjects = 'CN=ad'", false),
    ("certificate_issuers = 'CN=staff CA'", true),
    ("certificate_issuers = 'CN=ada'", false),
    ("certificate_names = 'DNS:*.staff.example'", true),
    ("certificate_names = 'DNS:*'", true),
    ("certificate_names = 'URI:spiffe://shop/*'", true),
    ("certificate_names = 'email:*'", false),
    ("certificate_names = 'URI:ada.staff.example'", false),
    ("methods = ['GET', 'HEAD']", true),
    ("methods = 'POST'", false),
    ("hosts = 'shop.example'", true),
    ("hosts = '*.shop.example'", false),
    ("paths = '/admin/users'", true),
    ("paths = '/admin/*'", true),
    ("paths = '/admin'", false),
    ("path_regex = '^/admin/[a-z]+$'", true),
    ("path_regex = 'users'", true),
    ("path_regex = '^users'", false),
    ("paths = '/nowhere'\npath_regex = 'users'", true),
    ("headers = [{ name = 'X-A' }]", true),
    ("headers = [{ name = 'x-b' }]", false),
    ("headers = [{ name = 'x-b', absent = true }]", true),
    ("headers = [{ name = 'x-a', absent = true }]", false),
    ("headers = [{ name = 'x-a', value = 'one' }]", true),
    ("headers = [{ name = 'x-a', value = 'two*' }]", true),
    ("headers = [{ name = 'x-a', value = '*three' }]", true),
    ("headers = [{ name = 'x-a', value = '*o t*' }]", true),
    ("headers = [{ name = 'x-a', value = 'two' }]", false),
    ("headers = [{ name = 'x-a' }, { name = 'x-b' }]", false),
    ("cookies = [{ name = 'session', value = 'def' }]", true),
    ("cookies = [{ name = 'theme', value = 'dark' }]", true),
    ("cookies = [{ name = 'Session' }]", false),
    ("cookies = [{ name = 'other', absent = true }]", true),
    ("parameters = [{ name = 'debug', value = '1' }]", true),
    ("parameters = [{ name = 'q', value = 'a b' }, { name = 'q', value = 'c' }]", true),
    ("parameters = [{ name = 'Q' }]", false),
    ("content_types = 'application/json'", true),
    ("content_types = 'application/*'", true),
    ("content_types = 'text/*'", false),
    ("body_larger_than = 2047", true),
    ("body_larger_than = '2KiB'", false),
    ("methods = 'GET'\npaths = '/x'", false),
];

#[test]
fn every_condition_of_http_filter() {
    let world = World::new();
    for (conditions, expected) in HTTP {
        assert_eq!(matches("http-filter", conditions, &world.facts()), *expected, "{conditions}");
    }
}

#[test]
fn what_is_absent_matches_nothing() {
    let world = World::new();
    let bare = Facts {
        client: address("203.0.113.1"),
        tls: None,
        request: None,
        user: None,
        destination: None,
        ..world.facts()
    };
    for (conditions, _) in HTTP {
        let of_time = ["hours", "days"].iter().any(|key| conditions.starts_with(key));
        if conditions.is_empty() || of_time {
            continue;
        }
        assert!(!matches("http-filter", conditions, &bare), "{conditions}");
    }
}

#[test]
fn every_condition_of_forward_proxy_and_sni_router() {
    let world = World::new();
    for (conditions, expected) in [
        ("users = 'ada'", true),
        ("users = '*'", true),
        ("users = 'bob'", false),
        ("destinations = '*.example'", true),
        ("destinations = '10.0.0.0/8'", false),
        ("ports = ['80-90', 443]", true),
        ("ports = 22", false),
        ("methods = 'GET'", true),
        ("when = 'user == \"ada\" && destination.port == 443 && destination.host.endsWith(\".example\")'", true),
    ] {
        assert_eq!(matches("forward-proxy", conditions, &world.facts()), expected, "{conditions}");
    }
    for (conditions, expected) in [
        ("listen = 'https'", true),
        ("listen = 'http'", false),
        ("server_names = 'shop.example'\nja4 = '*b186095e22b6'", true),
        ("when = 'listener == \"https\" && tls.server_name != \"\"'", true),
    ] {
        assert_eq!(matches("sni-router", conditions, &world.facts()), expected, "{conditions}");
    }
}

#[test]
fn a_user_would_help_only_where_a_rule_would_allow() {
    let world = World::new();
    let nobody = Facts { user: None, ..world.facts() };
    for (rules, help) in [
        ("action = 'allow'\nusers = '*'", true),
        ("action = 'deny'\nusers = '*'", false),
        ("action = 'allow'\nusers = '*'\nmode = 'observe'", false),
        ("action = 'allow'\nusers = '*'\nports = 22", false),
        ("action = 'allow'\nwhen = 'user in [\"ada\", \"bob\"]'", true),
        ("action = 'allow'\nwhen = 'destination.port == 1'", false),
    ] {
        let rules =
            set("forward-proxy", &format!("[[forward-proxy.access]]\nname = 'r'\n{rules}\n"), Action::Deny).unwrap();
        let decision = rules.decide(&nobody);
        assert_eq!((decision.allow, decision.user_would_help), (false, help));
    }
}

#[test]
fn networks_and_paths_keep_their_forms() {
    let normal = |path: &str| if path.contains("..") { Err("no".to_owned()) } else { Ok(path.replace("%7E", "~")) };
    let own = configured("http-filter", &rule("http-filter", "paths = ['/%7Eada/*', '/x']"));
    let environment = Environment { normal_path: normal, ..Environment::default() };
    let rules = RuleSet::compile(&own, Action::Allow, Place::Http, &environment).unwrap();
    let world = World::new();
    let request = Request { path: "/~ada/a", ..world.facts().request.unwrap() };
    assert!(!rules.decide(&Facts { request: Some(request), ..world.facts() }).allow);
}

#[test]
fn a_bad_regular_expression_and_an_unknown_country_are_found_when_the_file_is_read() {
    let bad = set("http-filter", &rule("http-filter", "path_regex = ['^/a', '(b']"), Action::Allow).unwrap_err();
    assert!(
        bad[0].contains("b.toml:") && bad[0].contains("regular expression") && bad[0].contains("'(b'"),
        "{}",
        bad[0]
    );
    let bad = set("http-filter", &rule("http-filter", "countries = 'US'"), Action::Allow).unwrap_err();
    assert!(bad[0].contains("`US`") && bad[0].contains("rule 'r'"), "{}", bad[0]);
}
