//! The hand-over: what a state must hold to be taken, that a successor goes on exactly where its predecessor stopped, and that nothing
//! prints a secret.

use std::io::IoSlice;

use tls_record::{Direction, Error, Limits, Opened, RecordLayer, Secret, State, Suite, last_words};
use zeroize::ZeroizeOnDrop;

use crate::peer::{pair, pair_at};

fn state(suite: Suite, read: &[u8], write: &[u8], sequence: u64) -> Result<State, Error> {
    let direction = |bytes: &[u8]| Ok(Direction { secret: Secret::new(suite, bytes)?, sequence });
    Ok(State { suite, read: direction(read)?, write: direction(write)? })
}

#[test]
fn a_successor_goes_on_where_its_predecessor_stopped() {
    for suite in Suite::ALL {
        let (mut peer, mut layer) = pair_at(suite, Limits { records_per_key: 5, ..Limits::default() }, 3, 2);
        for generation in 0_u8..30 {
            let mut record = peer.sends.record(23, &[generation; 9]);
            assert!(matches!(layer.open(&mut record), Ok(Opened::Data { plain, .. }) if plain == [generation; 9]));
            if generation % 4 == 1 {
                let mut record = peer.sends.record(22, &[24, 0, 0, 1, generation % 8 / 4]);
                assert!(matches!(layer.open(&mut record), Ok(Opened::Nothing { .. })));
                peer.sends.update();
            }
            let mut out = Vec::new();
            layer.control(&mut out);
            layer.seal(&[IoSlice::new(&[generation; 20])], 20, 7, &mut out).unwrap();
            assert_eq!(peer.receives.open_data(&out), [generation; 20]);
            assert!(layer.is_movable());
            let state = layer.into_state();
            assert_eq!((state.read.sequence, state.write.sequence), (peer.sends.sequence, peer.receives.sequence));
            assert_eq!(state.suite, suite);
            // As it travels: bytes.
            let copy = |direction: &Direction| Direction {
                secret: Secret::new(suite, direction.secret.expose()).unwrap(),
                sequence: direction.sequence,
            };
            let arrived = State { suite, read: copy(&state.read), write: copy(&state.write) };
            drop(state);
            layer = RecordLayer::new(arrived, Limits { records_per_key: 5, ..Limits::default() }).unwrap();
        }
        assert!(peer.receives.generation > 15, "{} keys", peer.receives.generation);
    }
}

#[test]
fn a_connection_is_movable_only_while_its_state_says_all() {
    let (mut peer, mut layer) = pair(Suite::Aes128GcmSha256, Limits::default());
    assert!(layer.is_movable());
    assert_eq!(layer.open(&mut peer.sends.record(22, &[24])), Ok(Opened::Nothing { consumed: 23 }));
    assert!(!layer.is_movable(), "in the middle of a message");
    let mut record = peer.sends.record(22, &[0, 0, 1, 1]);
    assert!(layer.open(&mut record).is_ok());
    assert!(!layer.is_movable(), "an answer is due");
    let mut out = Vec::new();
    layer.control(&mut out);
    assert!(layer.is_movable());
    layer.close(&mut out);
    assert!(!layer.is_movable(), "our direction has ended");
}

#[test]
fn a_state_that_does_not_fit_together_is_refused() {
    for suite in Suite::ALL {
        let length = suite.secret_len();
        for wrong in (0..100).filter(|wrong| *wrong != length) {
            assert_eq!(Secret::new(suite, &vec![1; wrong]).err(), Some(Error::SecretLength { suite, found: wrong }));
        }
        let (read, write) = (vec![1; length], vec![2; length]);
        assert!(RecordLayer::new(state(suite, &read, &write, 0).unwrap(), Limits::default()).is_ok());
        let same = RecordLayer::new(state(suite, &read, &read, 0).unwrap(), Limits::default());
        assert_eq!(same.err(), Some(Error::SameSecret));
        let late = RecordLayer::new(state(suite, &read, &write, u64::MAX).unwrap(), Limits::default());
        assert_eq!(late.err(), Some(Error::Sequence));
    }
    // Of the same length, but made for another suite.
    let mut mixed = state(Suite::Aes128GcmSha256, &[1; 32], &[2; 32], 0).unwrap();
    mixed.read.secret = Secret::new(Suite::ChaCha20Poly1305Sha256, &[1; 32]).unwrap();
    assert!(matches!(RecordLayer::new(mixed, Limits::default()), Err(Error::OtherSuite { .. })));
}

#[test]
fn suites_have_the_numbers_of_the_registry() {
    let numbers = [0x1301, 0x1302, 0x1303];
    assert_eq!(Suite::ALL.map(u16::from), numbers);
    for number in 0..=u16::MAX {
        match Suite::try_from(number) {
            Ok(suite) => assert_eq!(u16::from(suite), number),
            Err(error) => assert_eq!((error, numbers.contains(&number)), (Error::UnknownSuite(number), false)),
        }
    }
}

#[test]
fn nothing_prints_a_secret() {
    for suite in Suite::ALL {
        let (read, write) = (vec![0xAB; suite.secret_len()], vec![0xCD; suite.secret_len()]);
        let state = state(suite, &read, &write, 5).unwrap();
        let mut printed = format!("{state:?} {:#?} {:?}", state, state.read.secret);
        let layer = RecordLayer::new(state, Limits::default()).unwrap();
        printed += &format!("{layer:?} {layer:#?}");
        for secret in ["171", "205", "0xab", "0xcd", "abab", "cdcd", "ABAB"] {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
        assert!(printed.contains("sequence: 5"), "what helps is shown: {printed}");
    }
}

#[test]
fn secrets_are_wiped() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Secret>();
}

#[test]
fn last_words_are_data_and_close_notify_under_the_next_numbers() {
    for suite in Suite::ALL {
        let (mut peer, layer) = pair_at(suite, Limits::default(), 3, 7);
        let words = b"nobody goes on".repeat(2000); // two records
        let sealed = last_words(layer.into_state().write, &words).unwrap();
        let (mut rest, mut data) = (sealed.as_slice(), Vec::new());
        while data.len() < words.len() {
            let (content, kind) = peer.receives.open(&mut rest);
            assert_eq!(kind, 23);
            data.extend(content);
        }
        assert!(data == words);
        assert_eq!(peer.receives.open(&mut rest), (vec![1, 0], 21), "close_notify");
        assert!(rest.is_empty());
    }
    let secret = Secret::new(Suite::ALL[0], &[7; 32]).unwrap();
    assert!(last_words(Direction { secret, sequence: u64::MAX }, b"x").is_err(), "no number is left");
}
