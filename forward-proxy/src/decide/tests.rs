//! First match wins, each condition means what it says, and every refusal has a name. Rules are written as users write them.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use common::config::Config;

use super::*;

const HEAD: &str = "[forward-proxy]\nusers_file = \"users\"\nrequire_user = false\n";
const TAIL: &str = "\n[[forward-proxy.listen]]\nname = \"proxy\"\naddress = \"127.0.0.1:3128\"\n";

fn policy(text: &str) -> Policy {
    let (config, _) = Config::parse(&format!("{HEAD}{text}{TAIL}"), "test", Path::new("/")).unwrap();
    Policy::new(&config.forward_proxy, &Environment::default()).unwrap()
}

/// `client user method destination` → `allow|deny|login rule`.
fn judge(policy: &Policy, asked: &str) -> String {
    let words: Vec<&str> = asked.split(' ').collect();
    let [client, user, method, destination] = words.as_slice() else { panic!("{asked}") };
    let destination = Destination::of_connect(destination.as_bytes()).unwrap();
    let user = (*user != "-").then_some(*user);
    let facts = Facts { client: client.parse().unwrap(), user, method, destination: &destination };
    let decision = policy.decide(&facts);
    let verdict = match decision.verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::LogIn => "login",
    };
    format!("{verdict} {}", decision.rule)
}

#[test]
fn without_rules_only_the_open_ports_are_open() {
    let open = policy("");
    for (asked, answer) in [
        ("192.0.2.1 - CONNECT a.example:443", "allow forward-proxy.access_default"),
        ("192.0.2.1 - GET a.example:80", "allow forward-proxy.access_default"),
        ("192.0.2.1 - CONNECT a.example:22", "deny forward-proxy.ports"),
        ("192.0.2.1 ada GET a.example:8080", "deny forward-proxy.ports"),
    ] {
        assert_eq!(judge(&open, asked), answer, "{asked}");
    }
    let closed = policy("ports = [8080]\naccess_default = \"deny\"");
    assert_eq!(judge(&closed, "192.0.2.1 - GET a.example:8080"), "deny forward-proxy.access_default");
    assert_eq!(judge(&closed, "192.0.2.1 - GET a.example:80"), "deny forward-proxy.ports");
}

const RULES: &str = r#"
[[forward-proxy.access]]
name = "guests"
action = "deny"
clients = ["198.51.100.0/24"]
methods = ["CONNECT"]

[[forward-proxy.access]]
name = "no-bank"
action = "deny"
destinations = ["*.bank.example", "bank.example", "203.0.113.0/24", "2001:db8:bad::/48"]

[[forward-proxy.access]]
name = "mail-for-ada"
action = "allow"
users = ["ada"]
destinations = ["mail.example"]
ports = [25, "587-590"]

[[forward-proxy.access]]
name = "ssh-for-staff"
action = "allow"
users = ["*"]
ports = [22]
"#;

#[test]
fn the_first_match_decides_by_network_user_destination_port_and_method() {
    let rules = policy(RULES);
    for (asked, answer) in [
        ("198.51.100.7 - CONNECT a.example:443", "deny guests"),
        ("::ffff:198.51.100.7 - CONNECT a.example:443", "deny guests"),
        ("198.51.100.7 - GET a.example:80", "allow forward-proxy.access_default"),
        ("192.0.2.1 ada CONNECT bank.example:443", "deny no-bank"),
        ("192.0.2.1 ada CONNECT x.Bank.Example.:443", "deny no-bank"),
        ("192.0.2.1 ada CONNECT notbank.example:443", "allow forward-proxy.access_default"),
        ("192.0.2.1 - GET 203.0.113.9:80", "deny no-bank"),
        ("192.0.2.1 - GET [::ffff:203.0.113.9]:80", "deny no-bank"),
        ("192.0.2.1 - GET [2001:db8:bad::1]:80", "deny no-bank"),
        ("192.0.2.1 ada CONNECT mail.example:25", "allow mail-for-ada"),
        ("192.0.2.1 ada CONNECT mail.example:589", "allow mail-for-ada"),
        ("192.0.2.1 ada CONNECT mail.example:591", "deny forward-proxy.ports"),
        ("192.0.2.1 bob CONNECT mail.example:25", "deny forward-proxy.ports"),
        ("192.0.2.1 bob CONNECT a.example:22", "allow ssh-for-staff"),
    ] {
        assert_eq!(judge(&rules, asked), answer, "{asked}");
    }
}

#[test]
fn nobody_is_asked_to_log_in_where_that_helps() {
    let rules = policy(RULES);
    assert_eq!(judge(&rules, "192.0.2.1 - CONNECT mail.example:25"), "login forward-proxy.ports");
    assert_eq!(judge(&rules, "192.0.2.1 - CONNECT a.example:22"), "login forward-proxy.ports");
    assert_eq!(judge(&rules, "192.0.2.1 - CONNECT a.example:23"), "deny forward-proxy.ports");
    assert_eq!(judge(&rules, "198.51.100.7 - CONNECT a.example:22"), "deny guests");
}

#[test]
fn observers_are_reported_and_decide_nothing() {
    let rule = |action: &str, observe: bool| {
        let mode = if observe { "observe" } else { "enforce" };
        format!("[[forward-proxy.access]]\nname = \"{action}-{observe}\"\naction = \"{action}\"\nmode = \"{mode}\"\n")
    };
    let rules = policy(&format!("{}{}", rule("deny", true), rule("allow", false)));
    let destination = Destination::of_connect(b"a.example:1").unwrap();
    let facts = Facts { client: "::1".parse().unwrap(), user: None, method: "GET", destination: &destination };
    let decision = rules.decide(&facts);
    assert_eq!((decision.verdict, &*decision.rule), (Verdict::Allow, "allow-false"));
    assert_eq!(decision.observed, Some(("deny-true".into(), Action::Deny)));
}

#[test]
fn a_client_is_refused_before_its_password_only_if_no_user_could_help() {
    let deny = "[[forward-proxy.access]]\nname = \"out\"\naction = \"deny\"\nclients = [\"192.0.2.0/24\"]\n";
    let staff =
        "[[forward-proxy.access]]\nname = \"staff\"\naction = \"allow\"\nusers = [\"*\"]\nclients = [\"192.0.2.9\"]\n";
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(policy(deny).before_user(address("192.0.2.1")).as_deref(), Some("out"));
    assert_eq!(policy(deny).before_user(address("192.0.3.1")), None);
    let both = policy(&format!("{staff}{deny}"));
    assert_eq!(both.before_user(address("192.0.2.9")), None, "the rule before it may allow");
    assert_eq!(both.before_user(address("192.0.2.8")).as_deref(), Some("out"));
    let narrow = policy(&format!("{deny}ports = [25]\n"));
    assert_eq!(narrow.before_user(address("192.0.2.1")), None);
    let observing = policy(&format!("{deny}mode = 'observe'\n"));
    assert_eq!(observing.before_user(address("192.0.2.1")), None);
}
