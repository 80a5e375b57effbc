//! Every way to write an inward address, the exceptions, and the figures of the registries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use AddressClass::*;
use proptest::prelude::*;

use super::*;

const TABLE: &[(&str, AddressClass)] = &[
    // IPv4, each network at its first and last address and just outside
    ("0.0.0.0", Unspecified),
    ("0.255.255.255", Unspecified),
    ("1.0.0.0", Public),
    ("9.255.255.255", Public),
    ("10.0.0.0", Private),
    ("10.255.255.255", Private),
    ("11.0.0.0", Public),
    ("100.63.255.255", Public),
    ("100.64.0.0", CarrierGradeNat),
    ("100.100.100.200", CarrierGradeNat),
    ("100.127.255.255", CarrierGradeNat),
    ("100.128.0.0", Public),
    ("126.255.255.255", Public),
    ("127.0.0.0", Loopback),
    ("127.0.0.1", Loopback),
    ("127.1.2.3", Loopback),
    ("127.255.255.255", Loopback),
    ("128.0.0.0", Public),
    ("168.63.129.15", Public),
    ("168.63.129.16", CloudInternal),
    ("169.253.255.255", Public),
    ("169.254.0.0", LinkLocal),
    ("169.254.169.254", LinkLocal),
    ("169.254.170.2", LinkLocal),
    ("169.255.0.0", Public),
    ("172.15.255.255", Public),
    ("172.16.0.0", Private),
    ("172.31.255.255", Private),
    ("172.32.0.0", Public),
    ("191.255.255.255", Public),
    ("192.0.0.0", Reserved),
    ("192.0.0.192", Reserved),
    ("192.0.0.255", Reserved),
    ("192.0.1.0", Public),
    ("192.0.2.0", Documentation),
    ("192.0.2.255", Documentation),
    ("192.0.3.0", Public),
    ("192.88.99.1", Transition),
    ("192.88.100.0", Public),
    ("192.167.255.255", Public),
    ("192.168.0.0", Private),
    ("192.168.255.255", Private),
    ("192.169.0.0", Public),
    ("198.17.255.255", Public),
    ("198.18.0.0", Benchmarking),
    ("198.19.255.255", Benchmarking),
    ("198.20.0.0", Public),
    ("198.51.100.7", Documentation),
    ("203.0.113.255", Documentation),
    ("203.0.114.0", Public),
    ("223.255.255.255", Public),
    ("224.0.0.0", Multicast),
    ("239.255.255.255", Multicast),
    ("240.0.0.0", Reserved),
    ("255.255.255.254", Reserved),
    ("255.255.255.255", Broadcast),
    ("8.8.8.8", Public),
    // IPv6
    ("::", Unspecified),
    ("::1", Loopback),
    ("::2", Reserved),
    ("100::1", Reserved),
    ("100:0:0:1::1", Reserved),
    ("1fff:ffff::", Reserved),
    ("2000::", Public),
    ("2001:2::1", Benchmarking),
    ("2001:2:1::1", Reserved),
    ("2001:10::1", Reserved),
    ("2001:20::1", Reserved),
    ("2001:1ff:ffff::", Reserved),
    ("2001:200::1", Public),
    ("2001:db7:ffff::", Public),
    ("2001:db8::1", Documentation),
    ("2001:db8:ffff:ffff::", Documentation),
    ("2001:db9::", Public),
    ("2001:4860:4860::8888", Public),
    ("2606:4700::1111", Public),
    ("3fff::1", Documentation),
    ("3fff:fff::1", Documentation),
    ("3fff:1000::1", Public),
    ("4000::1", Reserved),
    ("5f00::1", Reserved),
    ("fbff:ffff::1", Reserved),
    ("fc00::1", UniqueLocal),
    ("fd00:ec2::254", UniqueLocal),
    ("fdff:ffff::1", UniqueLocal),
    ("fe00::1", Reserved),
    ("fe80::1", LinkLocal),
    ("febf:ffff::1", LinkLocal),
    ("fec0::1", SiteLocal),
    ("feff:ffff::1", SiteLocal),
    ("ff00::1", Multicast),
    ("ff02::1", Multicast),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast),
    // IPv4 inside IPv6
    ("::ffff:127.0.0.1", Loopback),
    ("::ffff:7f00:1", Loopback),
    ("::ffff:0.0.0.0", Unspecified),
    ("::ffff:10.1.2.3", Private),
    ("::ffff:169.254.169.254", LinkLocal),
    ("::ffff:100.64.0.1", CarrierGradeNat),
    ("::ffff:255.255.255.255", Broadcast),
    ("::ffff:8.8.8.8", Public),
    ("::127.0.0.1", Loopback),
    ("::7f00:1", Loopback),
    ("::192.168.1.1", Private),
    ("::8.8.8.8", Transition),
    ("::ffff:0:127.0.0.1", Loopback),
    ("::ffff:0:8.8.8.8", Transition),
    ("64:ff9b::7f00:1", Loopback),
    ("64:ff9b::10.0.0.1", Private),
    ("64:ff9b::169.254.169.254", LinkLocal),
    ("64:ff9b::0.0.0.0", Unspecified),
    ("64:ff9b::168.63.129.16", CloudInternal),
    ("64:ff9b::8.8.8.8", Public),
    ("64:ff9b:0:1::8.8.8.8", Reserved),
    ("64:ff9b:1::8.8.8.8", Transition),
    ("64:ff9b:1:ffff:7f00:1::", Transition),
    ("64:ff9b:2::1", Reserved),
    ("2002:7f00:1::", Loopback),
    ("2002:7f00:0001::1", Loopback),
    ("2002:a00:1::1", Private),
    ("2002:c0a8:101::1", Private),
    ("2002:a9fe:a9fe::1", LinkLocal),
    ("2002:808:808::1", Transition),
    ("2001:0:53aa:64c::80ff:fffe", Loopback), // !7f00:0001
    ("2001:0:1:2:3:4:f5ff:fffe", Private),    // !0a00:0001
    ("2001:0:1:2:3:4:f7f7:f7f7", Transition), // !0808:0808
    ("2001:4860::5efe:127.0.0.1", Loopback),
    ("2001:4860::200:5efe:10.0.0.1", Private),
    ("2001:4860::5efe:8.8.8.8", Transition),
    ("fe80::5efe:8.8.8.8", LinkLocal),
    ("fd00::5efe:8.8.8.8", UniqueLocal),
];

#[test]
fn every_network_is_what_the_registries_say() {
    for (text, class) in TABLE {
        assert_eq!(classify(text.parse().unwrap()), *class, "{text}");
    }
}

fn guard(allow: &[&str], deny: &[&str], own: &[&str]) -> Guard {
    Guard {
        allow: allow.iter().map(|n| n.parse().unwrap()).collect(),
        deny: deny.iter().map(|n| n.parse().unwrap()).collect(),
        own_listeners: own.iter().map(|n| n.parse().unwrap()).collect(),
    }
}

fn why(guard: &Guard, address: &str) -> Option<Why> {
    guard.check(address.parse().unwrap()).err().map(|refused| refused.why)
}

#[test]
fn by_default_exactly_the_public_is_open() {
    let guard = Guard::default();
    for (text, class) in TABLE {
        let address = SocketAddr::new(text.parse().unwrap(), 443);
        assert_eq!(guard.check(address).is_ok(), *class == Public, "{text}");
    }
    assert_eq!(why(&guard, "8.8.8.8:0"), Some(Why::PortZero));
}

#[test]
fn an_exception_opens_what_it_names_and_nothing_that_only_looks_like_it() {
    let guard = guard(&["10.0.0.0/8", "fd00::/8", "127.0.0.0/8"], &["10.9.0.0/16", "8.8.4.0/24"], &[]);
    for open in ["10.0.0.1:80", "[::ffff:10.0.0.1]:80", "[fd12::1]:80", "127.0.0.1:80", "8.8.8.8:80"] {
        assert_eq!(why(&guard, open), None, "{open}");
    }
    for shut in [
        "[64:ff9b::10.0.0.1]:80",
        "[2002:a00:1::1]:80",
        "192.168.0.1:80",
        "[::1]:80",
        "[fc00::1]:80",
        "[::10.0.0.1]:80",
    ] {
        assert_eq!(why(&guard, shut), Some(Why::Class), "{shut}");
    }
    for denied in ["10.9.1.1:80", "8.8.4.4:80", "[::ffff:8.8.4.4]:80", "[64:ff9b::8.8.4.4]:80", "[2002:808:404::1]:80"]
    {
        assert!(matches!(why(&guard, denied), Some(Why::Denied(_))), "{denied}");
    }
}

#[test]
fn allowing_everything_still_leaves_out_what_is_no_destination() {
    let guard = guard(&["0.0.0.0/0", "::/0"], &[], &["0.0.0.0:3128"]);
    for shut in ["0.0.0.0:80", "[::]:80", "224.0.0.1:80", "255.255.255.255:80", "[ff02::1]:80", "[::ffff:0.0.0.0]:80"] {
        assert_eq!(why(&guard, shut), Some(Why::Class), "{shut}");
    }
    for open in ["127.0.0.1:80", "169.254.169.254:80", "[2002:7f00:1::]:80", "[fe80::1]:80"] {
        assert_eq!(why(&guard, open), None, "{open}");
    }
    assert!(matches!(why(&guard, "127.0.0.1:3128"), Some(Why::OwnListener(_))));
}

#[test]
fn own_listeners_are_never_reached() {
    let everything = ["0.0.0.0/0", "::/0", "127.0.0.1/32", "198.41.0.4/32"];
    let guard = guard(&everything, &[], &["127.0.0.1:3128", "[::]:443", "198.41.0.4:8080"]);
    let own =
        ["127.0.0.1:3128", "[::ffff:127.0.0.1]:3128", "127.0.0.1:443", "127.8.8.8:443", "[::1]:443", "198.41.0.4:8080"];
    for address in own {
        assert!(matches!(why(&guard, address), Some(Why::OwnListener(_))), "{address}");
    }
    for other in ["127.0.0.1:3129", "127.0.0.2:3128", "198.41.0.4:8081", "[::1]:444"] {
        assert_eq!(why(&guard, other), None, "{other}");
    }
}

#[test]
fn this_machine_is_recognised_by_its_source_address() {
    let here: IpAddr = "198.41.0.4".parse().unwrap();
    let address = |port| SocketAddr::new(here, port);
    let shut = guard(&[], &[], &["0.0.0.0:443"]);
    let refused = shut.check_source(address(22), here).unwrap_err();
    assert_eq!((refused.class, refused.why), (OwnAddress, Why::Class));
    assert!(shut.check_source(address(22), "198.41.0.5".parse().unwrap()).is_ok());
    let open = guard(&["198.41.0.0/24"], &[], &["0.0.0.0:443"]);
    assert!(open.check_source(address(22), here).is_ok());
    assert!(matches!(open.check_source(address(443), here).unwrap_err().why, Why::OwnListener(_)));
}

#[test]
fn a_refusal_says_what_to_do() {
    let text = guard(&[], &[], &[]).check("169.254.169.254:80".parse().unwrap()).unwrap_err().to_string();
    assert_eq!(
        text,
        "169.254.169.254:80 is a link-local address: refused by default; list its network under `allow` if clients are meant to reach it"
    );
}

/// The same question answered by the standard library, where it has an opinion.
fn std_says_inward(ip: Ipv4Addr) -> bool {
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || ip.is_unspecified()
}

proptest! {
    #[test]
    fn no_form_of_an_inward_address_is_public(bits in any::<u32>(), pick in 0usize..7, inward in 0usize..6, filler in any::<u64>()) {
        let prefixes = [0x7f00_0000u32, 0x0a00_0000, 0xa9fe_0000, 0xc0a8_0000, 0x6440_0000, 0xe000_0000];
        let inner = Ipv4Addr::from(prefixes[inward] | (bits & 0xffff));
        prop_assert_ne!(classify(IpAddr::V4(inner)), Public);
        let low = u128::from(u32::from(inner));
        let form = match pick {
            0 => 0xffff_0000_0000 | low,
            1 => low,
            2 => 0xffff_0000_0000_0000 | low,
            3 => (0x0064_ff9b_u128 << 96) | low,
            4 => (0x2002_u128 << 112) | (low << 80) | u128::from(filler),
            5 => (0x2001_0000_u128 << 96) | (u128::from(filler) << 32) | u128::from(!u32::from(inner)),
            _ => (0x2606_4700_u128 << 96) | (0x5efe_u128 << 32) | low,
        };
        let ip = Ipv6Addr::from(form);
        prop_assert_ne!(classify(IpAddr::V6(ip)), Public, "{}", ip);
        prop_assert!(Guard::default().check(SocketAddr::new(ip.into(), 80)).is_err());
    }

    #[test]
    fn never_more_open_than_the_standard_library(v4 in any::<u32>(), v6 in any::<u128>()) {
        let v4 = Ipv4Addr::from(v4);
        if std_says_inward(v4) {
            prop_assert_ne!(classify(IpAddr::V4(v4)), Public);
        }
        let v6 = Ipv6Addr::from(v6);
        if v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.segments()[0] & 0xe000 != 0x2000 {
            prop_assert_ne!(classify(IpAddr::V6(v6)), Public);
        }
    }
}

#[test]
fn the_source_is_asked_for_exactly_when_it_could_still_refuse() {
    let guard = Guard {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        deny: vec![],
        own_listeners: vec!["0.0.0.0:443".parse().unwrap(), "10.0.0.1:8080".parse().unwrap()],
    };
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    for (address, matters) in
        [("10.0.0.7:80", false), ("10.0.0.7:443", true), ("10.0.0.7:8080", false), ("192.0.2.1:80", true)]
    {
        assert_eq!(guard.source_matters(at(address)), matters, "{address}");
        if !matters {
            assert!(
                guard.check_source(at(address), at(address).ip()).is_ok(),
                "{address}: skipping must change nothing"
            );
        }
    }
}
