//! What a record costs: 1 KiB and 64 KiB sealed and opened, beside rustls doing the same over its buffered API, with all suites; and ours for TLS 1.2.
//! `cargo bench -p tls-record`; the figures are printed (the best and the median of many rounds), nothing is asserted.
//!
//! Both sides begin and end alike: sealing ends with records in order in memory (ours: the caller's buffer; rustls: chunks, looked at as
//! `writev` would), opening begins with records that are copied into a buffer, as `read` would, and ends with the plaintext in a buffer of the
//! caller. What a connection costs, and a change of keys, stands below.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs, dead_code)]

use std::hint::black_box;
use std::io::{self, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ServerConnection};
use tls_record::{Direction, Limits, Opened, RecordLayer, Secret, State, Suite, tls12};

#[path = "../tests/record/rustls_peer.rs"]
mod rustls_peer;

use rustls_peer::{Pair, take};

/// Bytes measured per figure.
const VOLUME: usize = 256 << 20;

fn main() {
    println!("ns per operation, best / median of 64 rounds");
    for suite in Suite::ALL {
        for size in [1024, 65_536] {
            let (ours, theirs) = (ours(pair(suite, Limits::default()), size), theirs(suite, size));
            let ratio = |at: usize| ours[at].0.as_secs_f64() / theirs[at].0.as_secs_f64();
            for (at, what) in ["sealed", "opened"].into_iter().enumerate() {
                println!(
                    "{suite:?} {size:>6} B {what}: tls-record {:>7} / {:>7}   rustls {:>7} / {:>7}   ratio {:.2}",
                    ours[at].0.as_nanos(),
                    ours[at].1.as_nanos(),
                    theirs[at].0.as_nanos(),
                    theirs[at].1.as_nanos(),
                    ratio(at)
                );
            }
        }
        let (made, updated) = keys(suite);
        println!("{suite:?} a connection made: {} ns, a key replaced: {} ns", made.as_nanos(), updated.as_nanos());
    }
    for suite in [0xc02f, 0xc030, 0xcca8].map(|number| tls12::Suite::try_from(number).unwrap()) {
        for size in [1024, 65_536] {
            let [sealed, opened] =
                ours(old_pair(suite), size).map(|(best, median)| (best.as_nanos(), median.as_nanos()));
            println!("{suite:?} {size:>6} B: sealed {sealed:?}, opened {opened:?}");
        }
    }
}

/// What both record layers can do.
trait Layer {
    fn seal(&mut self, parts: &[IoSlice<'_>], out: &mut Vec<u8>);
    fn open<'b>(&mut self, input: &'b mut [u8]) -> (usize, &'b [u8]);
}

macro_rules! layer {
    ($layer:ty) => {
        impl Layer for $layer {
            fn seal(&mut self, parts: &[IoSlice<'_>], out: &mut Vec<u8>) {
                <$layer>::seal(self, parts, 65_536, 16_384, out).unwrap();
            }
            fn open<'b>(&mut self, input: &'b mut [u8]) -> (usize, &'b [u8]) {
                let Ok(Opened::Data { consumed, plain }) = <$layer>::open(self, input) else { panic!("data") };
                (consumed, plain)
            }
        }
    };
}
layer!(RecordLayer);
layer!(tls12::RecordLayer);

/// Two layers at the two ends of a TLS 1.2 connection.
fn old_pair(suite: tls12::Suite) -> (tls12::RecordLayer, tls12::RecordLayer) {
    let layer = |read: u8, write: u8| {
        let direction = |byte| tls12::Direction {
            keys: tls12::Keys::new(suite, &vec![byte; suite.key_len()], &[byte; 12]).unwrap(),
            sequence: 1,
        };
        let state = tls12::State { suite, read: direction(read), write: direction(write) };
        tls12::RecordLayer::new(state, Limits::default()).unwrap()
    };
    (layer(1, 2), layer(2, 1))
}

/// Two layers at the two ends of a connection.
fn pair(suite: Suite, limits: Limits) -> (RecordLayer, RecordLayer) {
    let layer = |read: u8, write: u8| {
        let direction =
            |byte| Direction { secret: Secret::new(suite, &vec![byte; suite.secret_len()]).unwrap(), sequence: 0 };
        RecordLayer::new(State { suite, read: direction(read), write: direction(write) }, limits).unwrap()
    };
    (layer(1, 2), layer(2, 1))
}

/// Best and median.
type Figure = (Duration, Duration);

/// Runs both halves of a round 64 times. `seal` writes `count` messages, `open` reads them.
fn rounds(
    size: usize,
    mut seal: impl FnMut(usize) -> Duration,
    mut open: impl FnMut(usize) -> Duration,
) -> [Figure; 2] {
    const ROUNDS: usize = 64;
    let count = VOLUME / size / ROUNDS / 16;
    let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        sealed.push(seal(count) / u32::try_from(count).unwrap());
        opened.push(open(count) / u32::try_from(count).unwrap());
    }
    [sealed, opened].map(|mut times| {
        times.sort_unstable();
        (times[0], times[ROUNDS / 2])
    })
}

fn ours((mut reader, mut writer): (impl Layer, impl Layer), size: usize) -> [Figure; 2] {
    let text = vec![b'x'; size];
    let (head, body) = text.split_at(100);
    let wire = std::cell::RefCell::new(Vec::<Vec<u8>>::new());
    let mut socket = vec![0; 70_000];
    let mut user = vec![0; size];
    rounds(
        size,
        |count| {
            let mut wire = wire.borrow_mut();
            wire.resize(count, Vec::with_capacity(70_000));
            let began = Instant::now();
            for out in wire.iter_mut() {
                out.clear();
                writer.seal(&[IoSlice::new(head), IoSlice::new(body)], out);
                black_box(out);
            }
            began.elapsed()
        },
        |_| {
            let wire = wire.borrow();
            let began = Instant::now();
            for records in wire.iter() {
                socket[..records.len()].copy_from_slice(records);
                let (mut at, mut done) = (0, 0);
                while at < records.len() {
                    let (consumed, plain) = reader.open(&mut socket[at..records.len()]);
                    user[done..done + plain.len()].copy_from_slice(plain);
                    (at, done) = (at + consumed, done + plain.len());
                }
                black_box(&mut user);
            }
            began.elapsed()
        },
    )
}

/// Looks at what is written, as `writev` would, and keeps it if told to.
struct Sink<'a>(Option<&'a mut Vec<u8>>);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(keep) = &mut self.0 {
            parts.iter().for_each(|part| keep.extend_from_slice(part));
        }
        Ok(black_box(parts).iter().map(|part| part.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(suite: Suite, size: usize) -> [Figure; 2] {
    let Pair { mut client, mut server, .. } = Pair::new(suite);
    assert!(take(&mut client).is_empty() && take(&mut server).is_empty());
    // Sealing is measured on a connection of its own, because what it writes is not kept.
    let mut measured: ServerConnection = Pair::new(suite).server;
    client.set_buffer_limit(None);
    server.set_buffer_limit(None);
    measured.set_buffer_limit(None);
    let text = vec![b'x'; size];
    let (head, body) = text.split_at(100);
    let mut user = vec![0; size];
    rounds(
        size,
        |count| {
            let began = Instant::now();
            for _ in 0..count {
                assert_eq!(measured.writer().write_vectored(&[IoSlice::new(head), IoSlice::new(body)]).unwrap(), size);
                while measured.wants_write() {
                    measured.write_tls(&mut Sink(None)).unwrap();
                }
            }
            began.elapsed()
        },
        |count| {
            let mut wire = Vec::new();
            for _ in 0..count {
                server.writer().write_all(&text).unwrap();
                let mut records = Vec::with_capacity(70_000);
                while server.wants_write() {
                    server.write_tls(&mut Sink(Some(&mut records))).unwrap();
                }
                wire.push(records);
            }
            let began = Instant::now();
            for records in &wire {
                read(&mut client, records, &mut user);
            }
            began.elapsed()
        },
    )
}

fn read(client: &mut ClientConnection, mut records: &[u8], user: &mut [u8]) {
    let mut done = 0;
    while done < user.len() {
        client.read_tls(&mut records).unwrap();
        let ready = client.process_new_packets().unwrap().plaintext_bytes_to_read();
        client.reader().read_exact(&mut user[done..done + ready]).unwrap();
        done += ready;
    }
    black_box(user);
}

/// A layer made, and a key replaced (with the KeyUpdate that says so).
fn keys(suite: Suite) -> (Duration, Duration) {
    const TIMES: u32 = 20_000;
    let began = Instant::now();
    for _ in 0..TIMES / 2 {
        black_box(pair(suite, Limits::default()));
    }
    let made = began.elapsed() / TIMES;
    let (_, mut writer) = pair(suite, Limits { records_per_key: 2, ..Limits::default() });
    let (_, mut plain) = pair(suite, Limits::default());
    let time = |layer: &mut RecordLayer| {
        let mut out = Vec::new();
        let began = Instant::now();
        for _ in 0..TIMES {
            out.clear();
            layer.seal(&[IoSlice::new(b"x")], 1, 1, &mut out).unwrap();
        }
        began.elapsed() / TIMES
    };
    (made, time(&mut writer).saturating_sub(time(&mut plain)))
}
