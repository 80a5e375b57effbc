//! Two layers at the two ends of a connection, and any sequence of what they may do: what goes in comes out, once and in order, across
//! hand-overs and any cuts of the stream; and any bytes at all have an answer.

use std::io::IoSlice;

use proptest::prelude::*;
use tls_record::tls12::{Direction, Keys, RecordLayer, State, Suite};
use tls_record::{Fault, Limits, MAX_RECORD, Opened};

use super::peer::pair;

fn layers(suite: Suite) -> [RecordLayer; 2] {
    let direction = |byte: u8| Direction {
        keys: Keys::new(suite, &vec![byte; suite.key_len()], &[byte; 12]).unwrap(),
        sequence: 1,
    };
    let layer = |read, write| {
        let state = State { suite, read: direction(read), write: direction(write) };
        RecordLayer::new(state, Limits::default()).unwrap()
    };
    [layer(1, 2), layer(2, 1)]
}

#[derive(Clone, Debug)]
enum Act {
    /// By which side, how much, in records of which size.
    Send(usize, usize, usize),
    /// By which side, how much of the wire.
    Receive(usize, usize),
    /// Which side goes on elsewhere.
    HandOver(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..2_usize, 0..40_000_usize, 1..20_000_usize)
            .prop_map(|(side, length, record)| Act::Send(side, length, record)),
        (0..2_usize, 0..60_000_usize).prop_map(|(side, length)| Act::Receive(side, length)),
        (0..2_usize).prop_map(Act::HandOver),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out(number in 0..6_usize, acts in proptest::collection::vec(act(), 1..30)) {
        let mut sides = layers(Suite::ALL[number]);
        // Towards each side: sealed bytes on the way, and bytes that came but were not opened; plaintext sent, plaintext received.
        let (mut wire, mut held) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        let (mut sent, mut received) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        let end = [Act::Receive(0, usize::MAX), Act::Receive(1, usize::MAX)];
        for (step, act) in acts.into_iter().chain(end).enumerate() {
            match act {
                Act::Send(side, length, record) => {
                    let text: Vec<u8> = (0..length).map(|at| (at * 7 + step) as u8).collect();
                    let (head, body) = text.split_at(length / 5);
                    let parts = [IoSlice::new(head), IoSlice::new(b""), IoSlice::new(body)];
                    prop_assert_eq!(sides[side].seal(&parts, usize::MAX, record, &mut wire[1 - side]), Ok(length));
                    sent[1 - side].extend_from_slice(&text);
                }
                Act::Receive(side, length) => {
                    let length = length.min(wire[side].len());
                    held[side].extend(wire[side].drain(..length));
                    let mut at = 0;
                    loop {
                        match sides[side].open(&mut held[side][at..]) {
                            Ok(Opened::Data { consumed, plain }) => {
                                received[side].extend_from_slice(plain);
                                at += consumed;
                            }
                            Ok(Opened::Incomplete { wanted }) => {
                                prop_assert!(wanted <= MAX_RECORD);
                                break;
                            }
                            other => prop_assert!(false, "{:?}", other),
                        }
                    }
                    held[side].drain(..at);
                }
                Act::HandOver(side) => {
                    prop_assert!(sides[side].is_movable());
                    let spare = layers(Suite::ALL[0]).into_iter().next().unwrap();
                    let state = std::mem::replace(&mut sides[side], spare).into_state();
                    sides[side] = RecordLayer::new(state, Limits::default()).unwrap();
                }
            }
        }
        prop_assert!(sent == received);
    }

    #[test]
    fn any_bytes_have_an_answer(number in 0..6_usize, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (_, mut layer) = pair(Suite::ALL[number], Limits::default());
        let mut framed = [&[23, 3, 3, 0, u8::try_from(bytes.len()).unwrap()][..], &bytes].concat();
        prop_assert_eq!(layer.open(&mut framed), Err(Fault::BadRecord));
        let (_, mut layer) = pair(Suite::ALL[number], Limits::default());
        let mut copy = bytes.clone();
        match layer.open(&mut copy) {
            Ok(Opened::Incomplete { wanted }) => prop_assert!(wanted == 0 && bytes.len() < 5 || wanted > bytes.len()),
            Ok(other) => prop_assert!(false, "{:?}", other),
            Err(_) => {}
        }
    }

    #[test]
    fn messages_around_any_bytes_are_judged(kind in 21..23_u8, contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..6)) {
        let (mut peer, mut layer) = pair(Suite::ALL[2], Limits::default());
        for content in contents {
            let mut record = peer.sends.record(kind, &content);
            let consumed = record.len();
            match layer.open(&mut record) {
                Ok(Opened::Nothing { consumed: all }) if all == consumed => {
                    prop_assert!(kind == 22 || content.len() == 2 && content[0] == 1 && content[1] != 0);
                }
                Ok(Opened::Closed { .. }) => {
                    prop_assert!(kind == 21 && content[1] == 0);
                    break;
                }
                Ok(other) => prop_assert!(false, "{:?}", other),
                Err(_) => {
                    let mut out = Vec::new();
                    layer.control(&mut out);
                    prop_assert!(!layer.wants_control());
                    break;
                }
            }
        }
    }
}
