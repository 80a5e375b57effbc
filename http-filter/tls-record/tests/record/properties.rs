//! Whatever both sides do in whatever order, and however the bytes are cut on their way, what arrives is what was sent, each record has a
//! number of its own, and no byte behind a record is touched. Also: no input at all makes the layer panic, or open what was not sealed.

use std::io::IoSlice;

use proptest::prelude::*;
use tls_record::{Limits, OVERHEAD, Opened, RecordLayer, Suite};

use crate::peer::{Peer, pair_at};

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// The peer sends data with padding.
    Data(usize, usize),
    /// The peer updates its key, asks for ours, in two pieces cut there.
    Update(bool, usize),
    /// The peer cancels something.
    Warning,
    /// Bytes arrive here, so many.
    Arrive(usize),
    /// We send slices of these lengths, up to a limit, in records of a size.
    Seal(Vec<usize>, usize, usize),
    /// We send what is due.
    Control,
    /// A successor takes over.
    HandOver,
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![4 => 0..40_usize, 2 => 40..2000_usize, 1 => 16_000..=16_384_usize];
    prop_oneof![
        4 => (length(), 0..60_usize).prop_map(|(data, padding)| Step::Data(data, padding)),
        2 => (any::<bool>(), 0..6_usize).prop_map(|(ask, cut)| Step::Update(ask, cut)),
        1 => Just(Step::Warning),
        8 => prop_oneof![0..30_usize, 0..40_000_usize].prop_map(Step::Arrive),
        4 => (proptest::collection::vec(length(), 0..5), prop_oneof![Just(usize::MAX), 0..5000_usize],
              prop_oneof![0..100_usize, 1000..20_000_usize]).prop_map(|(parts, limit, size)| Step::Seal(parts, limit, size)),
        2 => Just(Step::Control),
        1 => Just(Step::HandOver),
    ]
}

fn text(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|at| (at + salt * 7) as u8).collect()
}

const LIMITS: Limits = Limits {
    records_per_key: 7,
    key_updates: u32::MAX,
    empty_records: u32::MAX,
    warnings: u32::MAX,
    renegotiations: 1,
};

/// Everything on both sides, and on the way between them.
struct World {
    peer: Peer,
    layer: RecordLayer,
    on_the_way: Vec<u8>,
    arrived: Vec<u8>,
    sent: Vec<u8>,
    received: Vec<u8>,
    /// Requests that were opened and not yet answered.
    asked: bool,
}

impl World {
    fn go(&mut self, step: Step, salt: usize) {
        match step {
            Step::Data(length, padding) => {
                let data = text(length, salt);
                let padding = padding.min(16384 - length);
                let record = self.peer.sends.seal(&[&data[..], &[23], &vec![0; padding]].concat());
                self.on_the_way.extend_from_slice(&record);
                self.sent.extend_from_slice(&data);
            }
            Step::Update(ask, cut) => {
                let message = [24, 0, 0, 1, u8::from(ask)];
                for piece in [&message[..cut.min(5)], &message[cut.min(5)..]] {
                    if !piece.is_empty() {
                        let record = self.peer.sends.record(22, piece);
                        self.on_the_way.extend_from_slice(&record);
                    }
                }
                self.peer.sends.update();
            }
            Step::Warning => self.on_the_way.extend_from_slice(&self.peer.sends.record(21, &[1, 90])),
            Step::Arrive(bytes) => {
                self.arrived.extend(self.on_the_way.drain(..bytes.min(self.on_the_way.len())));
                self.open();
            }
            Step::Seal(parts, limit, size) => self.seal(&parts, limit, size, salt),
            Step::Control => {
                let mut out = Vec::new();
                let due = self.layer.wants_control();
                assert_eq!(due, self.asked);
                self.layer.control(&mut out);
                assert_eq!(out.len(), if due { OVERHEAD + 5 } else { 0 });
                self.take(&out, b"");
                self.asked = false;
            }
            Step::HandOver if self.layer.is_movable() => {
                let state =
                    std::mem::replace(&mut self.layer, pair_at(Suite::Aes128GcmSha256, LIMITS, 0, 0).1).into_state();
                assert_eq!(state.write.sequence, self.peer.receives.sequence);
                self.layer = RecordLayer::new(state, LIMITS).unwrap();
            }
            Step::HandOver => {}
        }
    }

    /// Opens what has arrived, record by record.
    fn open(&mut self) {
        let mut at = 0;
        loop {
            let before = self.arrived[at..].to_vec();
            let whole = (before.len() >= 5).then(|| 5 + usize::from(u16::from_be_bytes([before[3], before[4]])));
            let asked = self.layer.wants_control();
            let (consumed, plain) = match self.layer.open(&mut self.arrived[at..]).unwrap() {
                Opened::Incomplete { wanted } => {
                    assert_eq!(wanted, whole.unwrap_or(0));
                    assert!(whole.is_none_or(|whole| whole > before.len()));
                    assert_eq!(self.arrived[at..], before, "nothing was changed");
                    break;
                }
                Opened::Data { consumed, plain } => (consumed, plain.to_vec()),
                Opened::Nothing { consumed } => (consumed, Vec::new()),
                Opened::Closed { .. } => panic!("nobody closed"),
            };
            assert_eq!(Some(consumed), whole);
            assert_eq!(self.arrived[at + consumed..], before[consumed..], "nothing behind the record was touched");
            assert!(!asked || self.layer.wants_control(), "what is owed stays owed");
            self.asked = self.layer.wants_control();
            self.received.extend_from_slice(&plain);
            at += consumed;
        }
        self.arrived.drain(..at);
    }

    fn seal(&mut self, parts: &[usize], limit: usize, size: usize, salt: usize) {
        let parts: Vec<Vec<u8>> = parts.iter().enumerate().map(|(at, length)| text(*length, salt + at)).collect();
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut out = vec![0xEE; 3];
        let taken = self.layer.seal(&slices, limit, size, &mut out).unwrap();
        let whole = parts.concat();
        assert_eq!(taken, whole.len().min(limit));
        assert_eq!(out[..3], [0xEE; 3], "appended");
        if taken > 0 {
            self.asked = false;
        }
        let size = size.clamp(1, 16384);
        let generation = self.peer.receives.generation;
        self.take(&out[3..], &whole[..taken]);
        let updates = (self.peer.receives.generation - generation) as usize;
        assert_eq!(out.len() - 3, taken + taken.div_ceil(size) * OVERHEAD + updates * (OVERHEAD + 5));
    }

    /// The peer opens what we sent: each record with the next number of its key, so none was used twice.
    fn take(&mut self, bytes: &[u8], expected: &[u8]) {
        assert!(self.peer.receives.open_data(bytes) == expected);
        assert!(self.peer.receives.sequence < LIMITS.records_per_key, "no key protects more");
    }
}

proptest! {
    #[test]
    fn what_arrives_is_what_was_sent(
        suite in 0..3_usize,
        (read, write) in (0..1000_u64, 0..7_u64),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let (peer, layer) = pair_at(Suite::ALL[suite], LIMITS, read, write);
        let mut world = World {
            peer, layer,
            on_the_way: Vec::new(), arrived: Vec::new(), sent: Vec::new(), received: Vec::new(),
            asked: false,
        };
        for (salt, step) in steps.into_iter().enumerate() {
            world.go(step, salt);
        }
        world.go(Step::Arrive(usize::MAX), 0);
        prop_assert!(world.received == world.sent);
        prop_assert!(world.arrived.is_empty());
    }

    #[test]
    fn no_bytes_at_all_are_opened_by_chance(
        suite in 0..3_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        header in any::<bool>(),
    ) {
        let (_, mut layer) = pair_at(Suite::ALL[suite], LIMITS, 0, 0);
        let mut bytes = bytes;
        if header && bytes.len() >= 5 {
            let length = ((bytes.len() - 5) as u16).to_be_bytes();
            bytes[..5].copy_from_slice(&[23, 3, 3, length[0], length[1]]);
        }
        let length = bytes.len();
        match layer.open(&mut bytes) {
            Ok(Opened::Incomplete { wanted }) => prop_assert!(wanted == 0 || wanted > length),
            Ok(other) => prop_assert!(false, "{other:?}"),
            Err(fault) => prop_assert!(fault.alert().is_some()),
        }
    }

    #[test]
    fn any_inner_bytes_are_judged_and_the_first_fault_is_final(
        suite in 0..3_usize,
        records in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..30),
                (prop_oneof![Just(20_u8), Just(21), Just(22), Just(23)], proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(24), Just(90)], 0..8))
                    .prop_map(|(kind, mut content)| { content.push(kind); content }),
            ],
            1..30,
        ),
    ) {
        let (mut peer, mut layer) = pair_at(Suite::ALL[suite], Limits::default(), 0, 0);
        let mut ended = None;
        for inner in records {
            let mut record = peer.sends.seal(&inner);
            let consumed = record.len();
            match layer.open(&mut record) {
                Err(fault) => prop_assert_eq!(*ended.get_or_insert(fault), fault),
                Ok(Opened::Closed { .. }) => break,
                Ok(Opened::Data { consumed: done, plain }) => {
                    prop_assert_eq!(done, consumed);
                    prop_assert!(inner.starts_with(plain) && !plain.is_empty());
                }
                Ok(Opened::Nothing { consumed: done }) => prop_assert_eq!(done, consumed),
                Ok(Opened::Incomplete { .. }) => prop_assert!(false),
            }
        }
        let mut out = Vec::new();
        layer.control(&mut out);
        prop_assert!(!layer.wants_control());
        // An answer to a KeyUpdate, an alert, or nothing.
        let alert = ended.and_then(|fault| fault.alert());
        let length = if alert.is_some() { OVERHEAD + 2 } else { 0 };
        prop_assert!(out.len() == length || (ended.is_none() && out.len() == OVERHEAD + 5));
    }
}
