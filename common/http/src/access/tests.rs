//! First match wins, each condition means what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;

fn facts<'a>(headers: &'a HeaderMap) -> Facts<'a> {
    Facts {
        client: "192.0.2.7".parse().unwrap(),
        user: Some("ada"),
        method: &Method::GET,
        host: "shop.example.org",
        port: Some(443),
        path: "/admin/users",
        headers: Some(headers),
        sni: Some("shop.example.org"),
    }
}

fn networks(list: &[&str]) -> Networks {
    list.iter().map(|n| n.parse::<ipnet::IpNet>().unwrap()).collect()
}

#[test]
fn the_first_match_decides_and_observers_only_watch() {
    let all = Conditions::default;
    let mut rules = vec![
        Rule::new("not-me", Action::Deny, Conditions { methods: vec![Method::PUT], ..all() }),
        Rule { observe: true, ..Rule::new("watch", Action::Deny, all()) },
        Rule { observe: true, ..Rule::new("watch-too", Action::Deny, all()) },
        Rule {
            unless: Some(Conditions { users: vec!["ada".into()], ..all() }),
            ..Rule::new("but-ada", Action::Deny, all())
        },
        Rule::new("in", Action::Allow, Conditions { paths: vec![PathPattern::prefix("/admin/").unwrap()], ..all() }),
        Rule::new("never", Action::Deny, all()),
    ];
    let headers = HeaderMap::new();
    let set = RuleSet { rules: rules.clone(), default: Action::Deny };
    assert_eq!(
        set.decide(&facts(&headers)),
        Decision { allow: true, rule: Some("in"), observed: Some(("watch", Action::Deny)) }
    );
    rules.truncate(1);
    let set = RuleSet { rules, default: Action::Deny };
    assert_eq!(set.decide(&facts(&headers)), Decision { allow: false, rule: None, observed: None });
    assert!(RuleSet::always(Action::Allow).decide(&facts(&headers)).allow);
}

#[test]
fn every_condition_holds_and_fails() {
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_static("one"));
    headers.append("x-a", HeaderValue::from_static("two three"));
    let name = |s| NamePattern::new(s).unwrap();
    let header = |value| vec![HeaderPattern { name: HeaderName::from_static("x-a"), value }];
    let none = |value| vec![HeaderPattern { name: HeaderName::from_static("x-b"), value }];
    let c = Conditions::default;
    let cases: Vec<(Conditions, bool)> = vec![
        (c(), true),
        (Conditions { clients: networks(&["192.0.2.0/28"]), ..c() }, true),
        (Conditions { clients: networks(&["192.0.2.8/29"]), ..c() }, false),
        (Conditions { users: vec!["bob".into(), "ada".into()], ..c() }, true),
        (Conditions { users: vec!["Ada".into()], ..c() }, false),
        (Conditions { methods: vec![Method::HEAD, Method::GET], ..c() }, true),
        (Conditions { methods: vec![Method::HEAD], ..c() }, false),
        (Conditions { hosts: vec![name("SHOP.example.org.")], ..c() }, true),
        (Conditions { hosts: vec![name("*.org")], ..c() }, true),
        (Conditions { hosts: vec![name("*.shop.example.org")], ..c() }, false),
        (Conditions { hosts: vec![name(".shop.example.org")], ..c() }, true),
        (Conditions { hosts: vec![name(".op.example.org")], ..c() }, false),
        (Conditions { hosts: vec![name("*")], ..c() }, true),
        (Conditions { ports: vec![(1, 79), (400, 500)], ..c() }, true),
        (Conditions { ports: vec![(80, 80)], ..c() }, false),
        (Conditions { paths: vec![PathPattern::exact("/admin/users").unwrap()], ..c() }, true),
        (Conditions { paths: vec![PathPattern::exact("/admin").unwrap()], ..c() }, false),
        (Conditions { paths: vec![PathPattern::prefix("/admin/use").unwrap()], ..c() }, false),
        (Conditions { paths: vec![PathPattern::prefix("/").unwrap()], ..c() }, true),
        (Conditions { paths: vec![PathPattern::prefix("/x/../%61dmin").unwrap()], ..c() }, true),
        (Conditions { headers: header(HeaderMatch::Present), ..c() }, true),
        (Conditions { headers: header(HeaderMatch::Absent), ..c() }, false),
        (Conditions { headers: none(HeaderMatch::Absent), ..c() }, true),
        (Conditions { headers: header(HeaderMatch::Exact(b"one".to_vec())), ..c() }, true),
        (Conditions { headers: header(HeaderMatch::Exact(b"two".to_vec())), ..c() }, false),
        (Conditions { headers: header(HeaderMatch::Prefix(b"two".to_vec())), ..c() }, true),
        (Conditions { headers: header(HeaderMatch::Contains(b"o t".to_vec())), ..c() }, true),
        (Conditions { headers: header(HeaderMatch::Contains(b"four".to_vec())), ..c() }, false),
        (Conditions { snis: vec![name("shop.example.org")], ..c() }, true),
        (Conditions { snis: vec![name("example.org")], ..c() }, false),
        (Conditions { methods: vec![Method::GET], users: vec!["bob".into()], ..c() }, false),
    ];
    for (i, (conditions, expected)) in cases.iter().enumerate() {
        assert_eq!(conditions.hold(&facts(&headers)), *expected, "case {i}: {conditions:?}");
    }
    let bare = Facts { user: None, port: None, sni: None, headers: None, ..facts(&headers) };
    for (i, (conditions, _)) in cases.iter().enumerate() {
        let asks_absent = !conditions.users.is_empty()
            || !conditions.ports.is_empty()
            || !conditions.snis.is_empty()
            || !conditions.headers.is_empty();
        assert!(!(asks_absent && conditions.hold(&bare)), "case {i}: an absent fact matches nothing");
    }
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    for bad in ["", "*.", ".", "a*b", "*.*.org", "a:80", "u@a", "127.1", "*.10.0.0.1", "ä"] {
        assert!(NamePattern::new(bad).is_err(), "{bad}");
    }
    assert!(NamePattern::new("2001:DB8::1").unwrap().matches("2001:db8::1"));
    assert!(PathPattern::prefix("admin").is_err() && PathPattern::exact("/..").is_err());
}

#[test]
fn networks_merge_and_know_both_families() {
    let set = networks(&[
        "10.0.0.0/9",
        "10.128.0.0/9",
        "10.1.0.0/16",
        "2001:db8::/32",
        "::ffff:192.0.2.0/120",
        "203.0.113.255/32",
    ]);
    for (address, inside) in [
        ("10.255.255.255", true),
        ("11.0.0.0", false),
        ("9.255.255.255", false),
        ("::ffff:10.0.0.1", true),
        ("192.0.2.255", true),
        ("192.0.3.0", false),
        ("2001:db8:ffff::", true),
        ("2001:db9::", false),
        ("203.0.113.255", true),
        ("203.0.114.0", false),
    ] {
        assert_eq!(set.contains(address.parse().unwrap()), inside, "{address}");
    }
    assert!(networks(&["::/0"]).contains("2001::".parse().unwrap()) && !networks(&[]).contains("::".parse().unwrap()));
}
