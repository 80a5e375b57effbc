//! rustls as a second opinion: where both accept a hello, both must see the same name and protocols.

use super::*;
use proptest::prelude::*;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::sync::Arc;

/// Server name and protocols as rustls reads them; `None` if it refuses or wants more.
pub(super) fn second_opinion(bytes: &[u8]) -> Option<(Option<String>, Vec<Vec<u8>>)> {
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        acceptor.read_tls(&mut rest).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            let hello = accepted.client_hello();
            let alpn = hello.alpn().map(|list| list.map(<[u8]>::to_vec).collect()).unwrap_or_default();
            return Some((hello.server_name().map(str::to_owned), alpn));
        }
    }
    None
}

/// What we read, in the same form.
pub(super) fn first_opinion(hello: &ClientHello) -> (Option<String>, Vec<Vec<u8>>) {
    (hello.server_name.as_ref().map(|name| name.as_str().to_owned()), hello.alpn.iter().map(<[u8]>::to_vec).collect())
}

/// What a rustls client sends first.
fn hello_of(
    name: &str,
    alpn: &[&str],
    post_quantum: bool,
    send_name: bool,
    versions: &[&'static SupportedProtocolVersion],
) -> Vec<u8> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = match post_quantum {
        true => vec![kx_group::X25519MLKEM768, kx_group::X25519],
        false => vec![kx_group::X25519, kx_group::SECP256R1],
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config.enable_sni = send_name;
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

#[test]
fn hellos_of_rustls_with_and_without_post_quantum_keys() {
    for (post_quantum, expected) in [(true, 1000..2500), (false, 100..600)] {
        let bytes = hello_of("Shop.test", &["h2"], post_quantum, true, rustls::ALL_VERSIONS);
        assert!(expected.contains(&bytes.len()), "{}", bytes.len());
        let Reading::Hello(hello) = read_every_prefix(&bytes, LIMIT) else { panic!("refused") };
        assert_eq!(first_opinion(&hello), (Some("shop.test".to_owned()), vec![b"h2".to_vec()]));
        assert_eq!(second_opinion(&bytes), Some(first_opinion(&hello)));
        assert!(hello.ja4.as_str().starts_with("t13d"), "{}", hello.ja4);
    }
    let bytes = hello_of("shop.test", &[], false, true, &[&rustls::version::TLS12]);
    assert_eq!(hello(&bytes).highest_version, ProtocolVersion::TLS1_2);
    let bytes = hello_of("192.0.2.1", &[], false, true, rustls::ALL_VERSIONS);
    assert_eq!(hello(&bytes).server_name, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_and_protocols_as_rustls_sent_them(
        name in "[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,20}[a-z])?(\\.[a-z][a-z0-9-]{0,20}[a-z0-9]){0,5}\\.?",
        alpn in prop::collection::vec("[ -~]{1,20}", 0..6),
        post_quantum: bool,
        send_name: bool,
        sizes in prop::collection::vec(1usize..400, 1..8),
    ) {
        prop_assume!(ServerName::try_from(name.as_str()).is_ok_and(|name| matches!(name, ServerName::DnsName(_))));
        let alpn: Vec<&str> = alpn.iter().map(String::as_str).collect();
        let whole = hello_of(&name, &alpn, post_quantum, send_name, rustls::ALL_VERSIONS);
        let mut at = 0;
        let cuts: Vec<usize> = sizes.iter().map(|size| { at += size; at }).filter(|at| *at < message(&whole).len()).collect();
        let bytes = cut_at(message(&whole), &cuts);
        let read = hello(&bytes);
        let expected = send_name.then(|| name.trim_end_matches('.').to_ascii_lowercase());
        prop_assert_eq!(read.server_name.as_ref().map(|name| name.as_str().to_owned()), expected);
        prop_assert_eq!(second_opinion(&bytes), Some(first_opinion(&read)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn where_both_accept_a_mutated_hello_both_read_the_same(
        changes in prop::collection::vec((0usize..200, any::<u8>()), 1..4),
        name in "[a-z0-9._-]{1,30}",
    ) {
        let mut bytes = stream(&[
            extension(10, &vec16(&[0, 29])),
            server_name(name.as_bytes()),
            alpn(&[b"h2", b"http/1.1"]),
            extension(13, &vec16(&[4, 3, 8, 4])),
            extension(11, &vec8(&[0])),
        ]);
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let (Reading::Hello(hello), Some(theirs)) = (read(&bytes, LIMIT), second_opinion(&bytes)) {
            let (name, protocols) = first_opinion(&hello);
            prop_assert_eq!(name, theirs.0.map(|name| name.trim_end_matches('.').to_owned()));
            // Ours leaves GREASE out.
            prop_assert!(protocols.iter().all(|protocol| theirs.1.contains(protocol)));
        }
    }
}
