//! The TLS 1.2 record layer: hostile ciphertext (raw, damaged) and hostile plaintext (sealed well around any bytes), while both sides
//! send, hand over, ask for handshakes and close. Nothing is opened that was not sealed, in order; a fault is final; what we send, the peer opens
//! with the next number of its key, never with a nonce that it has seen, and never more of it than a key may protect.
#![no_main]

use std::collections::VecDeque;
use std::io::IoSlice;

use libfuzzer_sys::fuzz_target;
use tls_record::tls12::{RecordLayer, Suite};
use tls_record::{Fault, Limits, Opened};

#[path = "../../http-filter/tls-record/tests/record/tls12/peer.rs"]
#[allow(dead_code)]
mod peer;

use peer::{Peer, pair_at};

/// The input as a tape of instructions.
struct Tape<'a>(&'a [u8]);

impl<'a> Tape<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A length, then so many bytes, or what there is.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?).min(self.0.len());
        let (now, later) = self.0.split_at(length);
        self.0 = later;
        Some(now)
    }
}

struct World {
    peer: Peer,
    layer: RecordLayer,
    limits: Limits,
    wire: Vec<u8>,
    /// Type and content of what the peer has sealed and we have not opened.
    sealed: VecDeque<(u8, Vec<u8>)>,
    fault: Option<Fault>,
    closed: bool,
    finished: bool,
}

impl World {
    fn send(&mut self, kind: u8, version: [u8; 2], content: &[u8]) -> usize {
        let record = self.peer.sends.seal_as(kind, version, content);
        self.wire.extend_from_slice(&record);
        self.sealed.push_back((kind, content.to_vec()));
        record.len()
    }

    fn step(&mut self, tape: &mut Tape<'_>) -> Option<()> {
        const VERSION: [u8; 2] = [3, 3];
        match tape.byte()? % 13 {
            0 | 1 => {
                let (kind, content) = (20 + tape.byte()? % 5, tape.bytes()?);
                self.send(kind, VERSION, content);
            }
            2 => {
                let long = usize::from(tape.byte()?) * 66;
                let content = [tape.bytes()?, &vec![0; long]].concat();
                self.send(23, VERSION, &content);
            }
            3 => {
                let length = usize::from(tape.byte()?) * 9;
                let [_, a, b, c] = u32::try_from(length).unwrap().to_be_bytes();
                let hello = [&[1, a, b, c][..], &vec![7; length]].concat();
                let cut = usize::from(tape.byte()?).min(hello.len());
                for piece in [&hello[..cut], &hello[cut..]].into_iter().filter(|piece| !piece.is_empty()) {
                    self.send(22, VERSION, piece);
                }
            }
            4 => self.peer.sends.sequence += 1,
            5 => self.wire.extend_from_slice(tape.bytes()?),
            6 => {
                let (kind, version) = (tape.byte()?, [tape.byte()?, tape.byte()?]);
                let content = tape.bytes()?;
                self.send(kind, version, content);
            }
            7 => {
                let (at, bit) = (usize::from(tape.byte()?), tape.byte()? % 8);
                let content = tape.bytes()?;
                let length = self.send(23, VERSION, content);
                let start = self.wire.len() - length;
                self.wire[start + at % length] ^= 1 << bit;
                // It cannot be opened as it is, nor can anything behind it.
            }
            8 => self.seal(tape)?,
            9 => {
                let mut out = Vec::new();
                self.layer.control(&mut out);
                assert!(!self.layer.wants_control());
                let was_finished = self.finished;
                self.take(&out, b"");
                if self.finished && !was_finished && self.fault.is_none() {
                    // The key was worn when a handshake was to be refused.
                    assert_eq!(self.peer.receives.sequence, self.limits.records_per_key);
                    self.fault = Some(Fault::Exhausted);
                }
            }
            10 if self.layer.is_movable() => {
                let spare = pair_at(Suite::ALL[0], self.limits, 0, 0).1;
                let state = std::mem::replace(&mut self.layer, spare).into_state();
                assert_eq!(state.write.sequence, self.peer.receives.sequence);
                self.layer = RecordLayer::new(state, self.limits).unwrap();
            }
            11 if tape.byte()? > 200 => {
                let mut out = Vec::new();
                self.layer.close(&mut out);
                self.take(&out, b"");
            }
            _ => {}
        }
        self.open();
        Some(())
    }

    fn seal(&mut self, tape: &mut Tape<'_>) -> Option<()> {
        let (size, limit) = (usize::from(tape.byte()?), usize::from(tape.byte()?) * 4);
        let text = vec![b'x'; usize::from(tape.byte()?) * 3];
        let (head, body) = text.split_at(text.len() / 3);
        let mut out = Vec::new();
        match self.layer.seal(&[IoSlice::new(head), IoSlice::new(body)], limit, size, &mut out) {
            Ok(taken) => {
                assert!(!self.finished && self.fault.is_none());
                self.take(&out, &text[..taken]);
                let worn = self.peer.receives.sequence + 1 == self.limits.records_per_key;
                assert!(taken == text.len().min(limit) || taken > 0 && worn, "less is taken only at the end of a key");
            }
            Err(Fault::Exhausted) if self.fault.is_none() => {
                assert!(out.is_empty() && self.peer.receives.sequence + 1 >= self.limits.records_per_key);
                self.fault = Some(Fault::Exhausted);
            }
            Err(fault) => assert!(out.is_empty() && (self.finished || self.fault == Some(fault))),
        }
        Some(())
    }

    /// The peer opens what we sent, in order, to the end.
    fn take(&mut self, mut bytes: &[u8], expected: &[u8]) {
        let mut data = Vec::new();
        while !bytes.is_empty() {
            assert!(!self.finished, "nothing is sent behind the last record");
            let (content, kind) = self.peer.receives.open(&mut bytes);
            match kind {
                21 if content == [1, 100] => assert!(self.fault.is_none()),
                21 => {
                    let alert = match self.fault {
                        None | Some(Fault::Exhausted) => 0,
                        Some(fault) => fault.alert().unwrap().0,
                    };
                    assert_eq!(content[1], alert);
                    self.finished = true;
                }
                23 => data.extend_from_slice(&content),
                other => panic!("we sent type {other}"),
            }
        }
        assert_eq!(data, expected);
        assert!(self.peer.receives.sequence <= self.limits.records_per_key);
    }

    /// Opens what is on the wire.
    fn open(&mut self) {
        loop {
            let before = self.wire.clone();
            let opened = self.layer.open(&mut self.wire);
            if let Some(fault) = self.fault {
                assert_eq!(opened, Err(fault), "the first fault is final");
                return self.wire.clear();
            }
            let (consumed, content) = match opened {
                Err(fault) => {
                    self.fault = Some(fault);
                    continue;
                }
                Ok(Opened::Incomplete { wanted }) => {
                    assert!(wanted == 0 && before.len() < 5 || wanted > before.len());
                    assert!(wanted <= tls_record::MAX_RECORD && self.wire == before);
                    return;
                }
                Ok(Opened::Closed { consumed }) if self.closed => {
                    assert_eq!(consumed, before.len());
                    return self.wire.clear();
                }
                Ok(Opened::Data { consumed, plain }) => (consumed, Some(plain.to_vec())),
                Ok(Opened::Nothing { consumed }) => (consumed, None),
                Ok(Opened::Closed { consumed }) => {
                    self.closed = true;
                    (consumed, None)
                }
            };
            assert_eq!(self.wire[consumed..], before[consumed..], "nothing behind the record is touched");
            let (kind, inner) = self.sealed.pop_front().expect("what was opened was sealed");
            match content {
                Some(content) => assert!(kind == 23 && content == inner && !content.is_empty()),
                None => assert!(kind == 23 && inner.is_empty() || [21, 22].contains(&kind) && !inner.is_empty()),
            }
            self.wire.drain(..consumed);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut tape = Tape(bytes);
    let (Some(first), Some(second)) = (tape.byte(), tape.byte()) else { return };
    let suite = Suite::ALL[usize::from(first) % 6];
    let limits = Limits { records_per_key: u64::from(second % 64), ..Limits::default() };
    let (read, write) = (u64::from(first / 6), 0);
    let (peer, layer) = pair_at(suite, limits, read, write);
    let limits = Limits { records_per_key: limits.records_per_key.max(2), ..limits };
    let mut world = World {
        peer,
        layer,
        limits,
        wire: Vec::new(),
        sealed: VecDeque::new(),
        fault: None,
        closed: false,
        finished: false,
    };
    while world.step(&mut tape).is_some() {}
    let ended = world.layer.end();
    assert_eq!(ended, world.fault.map_or(if world.closed { Ok(()) } else { Err(Fault::Truncated) }, Err));
});
