//! Versions, protocols, names, certificates, tickets: what both sides agree on, and how a client is turned away.

use std::sync::Arc;

use common::config::TlsVersion;
use rustls::{AlertDescription, Error, HandshakeKind, NamedGroup, ProtocolVersion, SignatureScheme};
use tls_terminator::settings::Strangers;

use crate::client::{Client, TLS12, TLS13, config, config_with, reason};
use crate::world::{Plan, World};

#[track_caller]
fn refused(client: &mut Client, alert: AlertDescription) {
    let error = client.shake().expect_err("the handshake fails");
    assert_eq!(reason(&error), Some(&Error::AlertReceived(alert)), "{error}");
}

#[test]
fn both_versions_carry_bytes_and_the_filter_hears_the_facts() {
    let world = World::start(Plan::default());
    for (versions, version, suite) in
        [(TLS13, "TLSv1.3", "TLS_AES_256_GCM_SHA384"), (TLS12, "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")]
    {
        let mut client = Client::new(&world, config(&world, versions, &["http/1.1"]), "shop.example");
        client.echo(b"hello");
        let message = world.message();
        assert_eq!((&*message.version, &*message.suite), (version, suite));
        assert_eq!(message.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(message.server_name.as_deref(), Some("shop.example"));
        assert_eq!((&*message.ja4, message.ends.client), ("t13d", client.tcp.local_addr().unwrap()));
    }
    assert_eq!((world.figure("tls13"), world.figure("tls12"), world.figure("handshakes_full")), (1, 1, 2));
}

#[test]
fn the_protocol_is_the_sites_choice_and_none_is_allowed() {
    let world = World::start(Plan::default());
    for (offered, agreed) in [(&["http/1.1", "h2"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)] {
        for versions in [TLS13, TLS12] {
            let mut client = Client::new(&world, config(&world, versions, offered), "shop.example");
            client.echo(b"x");
            assert_eq!(client.tls.alpn_protocol(), agreed.map(str::as_bytes));
            assert_eq!(world.message().alpn.as_deref(), agreed.map(str::as_bytes));
        }
    }
}

#[test]
fn protocols_without_an_overlap_end_with_the_proper_alert() {
    let world = World::start(Plan::default());
    for (name, offered) in [("shop.example", "imap"), ("one.shop.example", "h2")] {
        let mut client = Client::new(&world, config(&world, TLS13, &[offered]), name);
        refused(&mut client, AlertDescription::NoApplicationProtocol);
    }
    world.await_figure("handshakes_incompatible", 2);
}

#[test]
fn the_name_chooses_the_certificate() {
    let world = World::start(Plan::default());
    for (name, site) in [("shop.example", 0), ("SHOP.example", 0), ("www.shop.example", 0), ("one.shop.example", 1)] {
        let mut client = Client::new(&world, config(&world, TLS13, &[]), name);
        client.echo(b"x");
        assert_eq!(client.tls.peer_certificates().unwrap()[0], world.leaves[site].0, "{name}");
    }
}

#[test]
fn an_unknown_name_is_refused_unless_the_configuration_lets_strangers_in() {
    let world = World::start(Plan::default());
    for name in ["other.example", "myshop.example", "127.0.0.1"] {
        let mut client = Client::new(&world, config(&world, TLS13, &[]), name);
        refused(&mut client, AlertDescription::UnrecognisedName);
    }
    world.await_figure("refused_name", 3);
    drop(world);

    let strangers = Strangers { without_name: true, unknown_name: true };
    let world = World::start(Plan { strangers, ..Plan::default() });
    for name in ["other.example", "127.0.0.1"] {
        let mut client = Client::new(&world, config(&world, TLS13, &[]), name);
        // It gets the first site's certificate, which is not for that name: the client says so.
        let error = client.shake().unwrap_err();
        assert!(matches!(reason(&error), Some(Error::InvalidCertificate(_))), "{error}");
        let _ = client.tls.write_tls(&mut client.tcp);
    }
    world.await_figure("handshakes_rejected", 2);
}

#[test]
fn a_hello_that_two_parsers_read_differently_is_refused() {
    for blind in ["one.shop.example", ""] {
        let strangers = Strangers { without_name: true, unknown_name: true };
        let world = World::start(Plan { blind: Some(blind), strangers, ..Plan::default() });
        let mut client = Client::new(&world, config(&world, TLS13, &[]), "shop.example");
        refused(&mut client, AlertDescription::AccessDenied);
        world.await_figure("handshakes_faulty", 1);
    }
}

#[test]
fn a_client_that_cannot_check_ecdsa_gets_the_rsa_certificate() {
    let world = World::start(Plan::default());
    for versions in [TLS13, TLS12] {
        let mut provider = tls_terminator::tls_config::provider();
        let all = provider.signature_verification_algorithms.mapping;
        let rsa: Vec<_> = all.iter().filter(|(scheme, _)| is_rsa(*scheme)).copied().collect();
        provider.signature_verification_algorithms.mapping = Vec::leak(rsa);
        let mut client = Client::new(&world, config_with(provider, &world, versions, &[]), "shop.example");
        client.shake().unwrap_or_default(); // the authority's signature is ECDSA: all the same, `all` may check it
        assert_eq!(Some(&client.tls.peer_certificates().unwrap()[0]), world.leaves[0].1.as_ref());
    }
}

fn is_rsa(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PSS_SHA256 | SignatureScheme::RSA_PSS_SHA384 | SignatureScheme::RSA_PSS_SHA512
    )
}

#[test]
fn the_post_quantum_group_is_preferred() {
    let world = World::start(Plan::default());
    let mut client = Client::good(&world);
    client.echo(b"x");
    let group = client.tls.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    assert_eq!(world.figure("post_quantum"), 1);

    // A client that offers it, but sent no key share for it, is asked for one.
    let mut provider = tls_terminator::tls_config::provider();
    provider.kx_groups.sort_by_key(|group| group.name() == NamedGroup::X25519MLKEM768);
    let mut client = Client::new(&world, config_with(provider, &world, TLS13, &[]), "shop.example");
    client.echo(b"x");
    assert_eq!(client.tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn an_old_version_is_refused_where_the_configuration_says_so() {
    let world = World::start(Plan { min_version: TlsVersion::Tls13, ..Plan::default() });
    let mut client = Client::new(&world, config(&world, TLS12, &[]), "shop.example");
    refused(&mut client, AlertDescription::ProtocolVersion);
    world.await_figure("handshakes_incompatible", 1);
    Client::good(&world).echo(b"x");
}

#[test]
fn a_second_connection_is_resumed_in_both_versions() {
    let world = World::start(Plan::default());
    for (count, versions) in [TLS13, TLS12].into_iter().enumerate() {
        let config = Arc::new(config(&world, versions, &["h2"]));
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = Client::shared(&world, &config, "shop.example");
            client.echo(b"ticket, please");
            assert_eq!(client.tls.handshake_kind(), Some(expected));
        }
        assert_eq!(world.figure("handshakes_resumed"), u64::try_from(count).unwrap() + 1);
        // A ticket of one name does not open another one.
        let mut client = Client::shared(&world, &config, "www.shop.example");
        client.echo(b"x");
        assert_eq!(client.tls.handshake_kind(), Some(HandshakeKind::Full));
    }
}
