//! The guard of the keys: full handshakes of one network beyond its rate are refused before anything is computed, resumed ones are not, and
//! who slipped in meanwhile is stopped before the signature.

use std::num::NonZeroU32;
use std::sync::Arc;

use common::config::HandshakeRate;
use common::ipc::messages::Ends;
use common::ipc::messages::router_to_terminator::Terminate;
use common::process::Process;
use common::wiring::ROUTER_TO_TERMINATOR;
use rustls::{AlertDescription, ClientConfig, Error, HandshakeKind, SignatureScheme};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::client::{Client, TLS12, TLS13, config, reason};
use crate::world::{Plan, World};

const NAME: &str = "shop.example";

fn plan(burst: u32) -> Plan {
    let mut plan = Plan::default();
    let [per_second, burst] = [1, burst].map(|number| NonZeroU32::new(number).unwrap());
    plan.terminator.full_handshakes = Some(HandshakeRate { per_second, burst, v4_prefix: 24, v6_prefix: 64 });
    plan
}

/// The kind of a finished handshake, or the alert.
fn shake(world: &World, config: &Arc<ClientConfig>) -> Result<HandshakeKind, AlertDescription> {
    let mut client = Client::shared(world, config, NAME);
    match client.shake() {
        Ok(()) => {
            client.echo(b"served"); // and tickets come in
            client.goodbye();
            Ok(client.tls.handshake_kind().unwrap())
        }
        Err(error) => match reason(&error) {
            Some(Error::AlertReceived(alert)) => Err(*alert),
            other => panic!("{other:?} {error}"),
        },
    }
}

#[test]
fn new_clients_of_a_network_are_refused_and_known_ones_are_not() {
    for versions in [TLS13, TLS12] {
        let world = World::start(plan(4));
        let new = || Arc::new(config(&world, versions, &[]));
        let known = new();
        assert_eq!(shake(&world, &known), Ok(HandshakeKind::Full));
        // However slow this machine is: some day one of many comes too early.
        let mut refused = (0..200).filter_map(|_| shake(&world, &new()).err());
        assert_eq!(refused.next(), Some(AlertDescription::AccessDenied));
        for _ in 0..5 {
            while shake(&world, &new()).is_ok() {}
            assert_eq!(shake(&world, &known), Ok(HandshakeKind::Resumed), "{versions:?}");
        }
        assert!(world.figure("refused_rate") >= 6);
        assert_eq!(world.figure("handshakes_resumed"), 5);
        assert_eq!(world.figure("handshakes_faulty") + world.figure("handshakes_incompatible"), 0);
    }
}

#[test]
fn a_ticket_that_does_not_open_is_no_way_in() {
    let [world, other] = [plan(2), plan(100)].map(|plan| {
        // One world at a time: the second one waits for the first.
        let sessions = Arc::new(rustls::client::ClientSessionMemoryCache::new(8));
        (plan, sessions)
    });
    let (plan, sessions) = other;
    {
        let strange = World::start(plan);
        let mut client = config(&strange, TLS13, &[]);
        client.resumption = rustls::client::Resumption::store(sessions.clone());
        assert_eq!(shake(&strange, &Arc::new(client)), Ok(HandshakeKind::Full));
    }
    let world = World::start(world.0);
    let mut client = config(&world, TLS13, &[]);
    client.resumption = rustls::client::Resumption::store(sessions);
    // Sealed by the keys of another process: an ordinary full handshake while there is room, and refused when there is none.
    while shake(&world, &Arc::new(config(&world, TLS13, &[]))).is_ok() {}
    assert_eq!(shake(&world, &Arc::new(client)), Err(AlertDescription::AccessDenied));
    assert_eq!(world.figure("handshakes_resumed"), 0);
}

#[test]
fn who_slipped_in_is_stopped_at_the_key() {
    for (versions, alert) in [(TLS13, AlertDescription::HandshakeFailure), (TLS12, AlertDescription::AccessDenied)] {
        let world = World::start(Plan { blind: Some(NAME), ..plan(3) });
        // All are let in before the first of them says anything.
        let mut clients: Vec<Client> =
            (0..30).map(|_| Client::new(&world, config(&world, versions, &[]), NAME)).collect();
        world.await_figure("handshakes", 30);
        let outcomes: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                client.shake().map_err(|error| match reason(&error) {
                    Some(Error::AlertReceived(alert)) => *alert,
                    other => panic!("{other:?} {error}"),
                })
            })
            .collect();
        let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!((3..30).contains(&served), "{served}");
        assert!(outcomes.iter().all(|outcome| outcome.is_ok() || *outcome == Err(alert)), "{outcomes:?}");
        world.await_figure("handshakes", 0);
        assert_eq!(world.figure("refused_rate"), u64::try_from(30 - served).unwrap());
        assert_eq!(world.figure("handshakes_full"), u64::try_from(served).unwrap());
    }
}

#[test]
fn nobody_can_ask_for_a_signature() {
    // What reaches this process: hand-overs of the router, which carry a socket and what the router read, and the control socket of the front
    // door. A message that carries something to be signed would be a new edge or a new message, and this test the place to think about it.
    let incoming: Vec<_> =
        common::wiring::EDGES.iter().filter(|edge| edge.receiver == Process::TlsTerminator).collect();
    assert_eq!(incoming.len(), 1);
    assert_eq!((incoming[0].name, incoming[0].sender), (ROUTER_TO_TERMINATOR.name, Process::SniRouter));
    let Terminate { ends: _, server_name: _, ja4: _ } = Terminate {
        ends: Ends { client: "127.0.0.1:1".parse().unwrap(), local: "127.0.0.1:2".parse().unwrap() },
        server_name: None,
        ja4: "".into(),
    };
    // And a key that was loaded as those of sites are answers nobody outside of a handshake.
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = tls_terminator::tls_config::provider().key_provider.load_private_key(der).unwrap();
    assert!(key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).is_none());
}
