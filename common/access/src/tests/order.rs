//! The first match decides, observers only watch, what is not known yet is waited for, and what fails denies.

use super::*;
use proptest::prelude::*;

#[test]
fn the_first_match_decides_and_says_who_it_was() {
    let rules = "[[http-filter.access]]\nname = 'a'\naction = 'deny'\nmethods = 'PUT'\n\
        [[http-filter.access]]\nname = 'b'\naction = 'deny'\nmode = 'observe'\n\
        [[http-filter.access]]\nname = 'c'\naction = 'deny'\nmode = 'observe'\n\
        [[http-filter.access]]\nname = 'd'\naction = 'allow'\nhosts = 'shop.example'\n\
        [[http-filter.access]]\nname = 'e'\naction = 'deny'\n";
    let (world, set) = (World::new(), set("http-filter", rules, Action::Deny).unwrap());
    let decision = set.decide(&world.facts());
    let named = |rule: Option<&Rule>| rule.map(|rule| (rule.name.to_string(), rule.index));
    assert!(decision.allow);
    assert_eq!(named(decision.rule), Some(("d".to_owned(), 3)));
    assert_eq!(named(decision.observed), Some(("b".to_owned(), 1)));
    let lines: Vec<usize> = set.rules().iter().map(|rule| rule.line).collect();
    assert_eq!(lines, configured("http-filter", rules).iter().map(|rule| rule.line).collect::<Vec<_>>());
    assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "{lines:?}");
    let none = RuleSet::always(Action::Deny);
    assert!(!none.decide(&world.facts()).allow && none.decide(&world.facts()).rule.is_none());
}

#[test]
fn an_expression_that_fails_denies_and_never_allows() {
    let world = World::new();
    let failing = "when = 'int(request.headers[\"x-a\"]) > 0'";
    let rule = |action: &str| format!("[[http-filter.access]]\nname = 'f'\naction = '{action}'\n{failing}\n");
    let deny = set("http-filter", &rule("deny"), Action::Allow).unwrap();
    let decision = deny.decide(&world.facts());
    assert_eq!((decision.allow, decision.failures, &*decision.rule.unwrap().name), (false, 1, "f"));
    let allow = set("http-filter", &rule("allow"), Action::Deny).unwrap();
    let decision = allow.decide(&world.facts());
    assert_eq!((decision.allow, decision.failures, decision.rule.is_none()), (false, 1, true));
    // A rule whose other conditions do not hold does not ask its expression.
    let elsewhere = set("http-filter", &format!("{}methods = 'PUT'\n", rule("deny")), Action::Allow).unwrap();
    assert_eq!(elsewhere.decide(&world.facts()).failures, 0);
}

#[test]
fn rules_are_judged_as_far_as_the_facts_go() {
    let known = Known::USER.and(Known::REQUEST);
    let outcome = |rules: &str, known: Known| {
        let set = set("sni-router", rules, Action::Allow).unwrap();
        set.decide_early(&Facts::of(address("192.0.2.7"), &|| MORNING), known)
            .map(|decision| (decision.allow, decision.rule.map(|rule| rule.name.to_string())))
    };
    let rule = |name: &str, action: &str, more: &str| {
        format!("[[sni-router.access]]\nname = '{name}'\naction = '{action}'\n{more}\n")
    };
    let asks_hello = rule("hello", "deny", "server_names = 'bad.example'");
    let not_them = rule("hello", "deny", "ja4 = 't13*'\nclients = '198.51.100.0/24'");
    let by_expression = rule("hello", "deny", "when = 'tls.ja4.startsWith(\"t13\")'");
    let all = rule("all", "deny", "");
    assert_eq!(outcome(&all, known), Some((false, Some("all".to_owned()))));
    assert_eq!(outcome(&asks_hello, known), None);
    assert_eq!(outcome(&format!("{asks_hello}{all}"), known), None, "the first match decides, and it is not known yet");
    assert_eq!(outcome(&by_expression, known), None);
    assert_eq!(outcome(&format!("{all}{asks_hello}"), known), Some((false, Some("all".to_owned()))));
    assert_eq!(outcome(&not_them, known), Some((true, None)), "another condition settles it");
    assert_eq!(outcome(&asks_hello, Known::ALL), Some((true, None)), "there is no TLS");
    let failing = rule("fails", "deny", "when = '1 / (time.hour - 9) > 0'");
    assert_eq!(outcome(&failing, known), None, "asked again when all is known");
    assert_eq!(outcome(&failing, Known::ALL), Some((false, Some("fails".to_owned()))));
    // An observer does not hold up a refusal, but is heard before a permission.
    let watching = rule("hello", "deny", "server_names = 'bad.example'\nmode = 'observe'");
    assert_eq!(outcome(&format!("{watching}{all}"), known), Some((false, Some("all".to_owned()))));
    assert_eq!(outcome(&watching, known), None);
}

/// A rule of the property test: network, method and port in numbers, action, observer.
type Drawn = (u8, u8, bool, bool);

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_list_decides_as_a_walk_through_it(rules in proptest::collection::vec(any::<Drawn>(), 0..12), client in 0_u8..8, method in 0_u8..3) {
        const METHODS: [&str; 3] = ["GET", "PUT", "POST"];
        let text: String = rules.iter().enumerate().map(|(at, (network, own, allow, observe))| format!(
            "[[http-filter.access]]\nname = 'r{at}'\naction = '{}'\nmode = '{}'\nclients = '10.{}.0.0/16'\nmethods = '{}'\n",
            if *allow { "allow" } else { "deny" }, if *observe { "observe" } else { "enforce" }, network % 8, METHODS[usize::from(own % 3)],
        )).collect();
        let naive = rules.iter().position(|(network, own, _, observe)| !observe && network % 8 == client && own % 3 == method);
        let world = World::new();
        let request = Request { method: METHODS[usize::from(method)], ..world.facts().request.unwrap() };
        let facts = Facts { client: IpAddr::from([10, client, 1, 2]), request: Some(request), ..world.facts() };
        let set = set("http-filter", &text, Action::Allow).unwrap();
        let decision = set.decide(&facts);
        prop_assert_eq!(decision.rule.map(|rule| rule.index), naive);
        prop_assert_eq!(decision.allow, naive.is_none_or(|at| rules[at].2));
    }

    #[test]
    fn networks_hold_what_a_walk_through_them_holds(
        networks in proptest::collection::vec((any::<u32>(), 8_u8..=32, any::<bool>()), 0..40),
        asked in proptest::collection::vec(any::<u32>(), 1..40),
    ) {
        let list: Vec<ipnet::IpNet> = networks.iter().map(|(bits, length, six)| {
            let bits = bits & 0x0fff_ffff; // few enough that some hit
            let (v4, v6) = (std::net::Ipv4Addr::from_bits(bits), std::net::Ipv6Addr::from_bits(u128::from(bits) << 64));
            let net = if *six { ipnet::IpNet::new(v6.into(), *length + 32) } else { ipnet::IpNet::new(v4.into(), *length) };
            net.unwrap().trunc()
        }).collect();
        let set: Networks = list.iter().copied().collect();
        for bits in asked {
            let bits = bits & 0x0fff_ffff;
            let (v4, v6) = (std::net::Ipv4Addr::from_bits(bits), std::net::Ipv6Addr::from_bits(u128::from(bits) << 64));
            for address in [IpAddr::from(v4), v4.to_ipv6_mapped().into(), v6.into()] {
                let naive = list.iter().any(|net| net.contains(&address.to_canonical()));
                prop_assert_eq!(set.contains(address), naive, "{}", address);
            }
        }
    }
}
