//! Attacks by HTTP/2 frames: floods of every kind, cut off by the guard that counts them.

use harness::eventually;

use super::wire::{END_HEADERS, GET, PADDED, POST, frame};
use super::{Attack, Stage};

const END_STREAM: u8 = super::wire::END_STREAM;
const WHOLE: u8 = END_STREAM | END_HEADERS;

pub const ATTACKS: &[Attack] = &[
    ("rapid reset", |stage| {
        let connection = stage.h2();
        connection.flood(20_000, |number| {
            let stream = 2 * number + 1;
            [frame(1, WHOLE, stream, GET), frame(3, 0, stream, &[0, 0, 0, 8])].concat()
        })
    }),
    ("slow rapid reset", |stage| {
        // Not so many at once that the streams had not been accepted yet.
        let mut connection = stage.h2();
        for number in 0..2000u32 {
            let stream = 2 * number + 1;
            let pair = [frame(1, WHOLE, stream, GET), frame(3, 0, stream, &[0, 0, 0, 8])].concat();
            if connection.send(&pair).is_err() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
        connection.ending()
    }),
    ("MadeYouReset", |stage| {
        // A window that overflows is an error of the stream, and the server's to reset (RFC 9113 section 6.9.1).
        let connection = stage.h2();
        connection.flood(5000, |number| {
            let stream = 2 * number + 1;
            [frame(1, WHOLE, stream, GET), frame(8, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat()
        })
    }),
    ("CONTINUATION flood, small", |stage| {
        stage.h2().flood(50_000, |number| match number {
            0 => frame(1, END_STREAM, 1, GET),
            _ => frame(9, 0, 1, b"\x00\x01x\x01y"),
        })
    }),
    ("CONTINUATION flood, large", |stage| {
        stage.h2().flood(5000, |number| match number {
            0 => frame(1, END_STREAM, 1, GET),
            _ => frame(9, 0, 1, &[b"\0\x01x\x7f\x81\x7e".as_slice(), &[b'a'; 16_256]].concat()),
        })
    }),
    ("SETTINGS flood", |stage| counted(stage, "settings", 50_000, |_| frame(4, 0, 0, &[]))),
    ("SETTINGS that change much", |stage| {
        counted(stage, "settings", 50_000, |number| {
            let window = (number % 2 * 60_000 + 1).to_be_bytes();
            frame(4, 0, 0, &[&[0, 1, 0, 0, 0, 0, 0, 4], window.as_slice()].concat())
        })
    }),
    ("PING flood", |stage| counted(stage, "pings", 50_000, |_| frame(6, 0, 0, &[7; 8]))),
    ("PRIORITY flood", |stage| {
        counted(stage, "priorities", 50_000, |number| frame(2, 0, 2 * number + 1, &[0, 0, 0, 0, 1]))
    }),
    ("empty DATA flood", |stage| open_upload(stage, "empty_data", 50_000, |_| frame(0, 0, 1, &[]))),
    ("padded DATA flood", |stage| {
        open_upload(stage, "empty_data", 20_000, |_| frame(0, PADDED, 1, &[[255].as_slice(), &[0; 255]].concat()))
    }),
    // Which of the two guards is first, h2's or ours, depends on how fast the body is read.
    ("tiny DATA flood", |stage| {
        stage.h2().flood(50_000, |number| {
            let begin = if number == 0 { frame(1, END_HEADERS, 1, POST) } else { Vec::new() };
            [begin, frame(0, 0, 1, b"a")].concat()
        })
    }),
    ("WINDOW_UPDATE flood", |stage| counted(stage, "window_updates", 50_000, |_| frame(8, 0, 0, &[0, 0, 0, 1]))),
    ("unknown frames flood", |stage| {
        counted(stage, "unknown_frames", 50_000, |number| frame((number % 100) as u8 + 100, 0, 0, b"grease"))
    }),
    ("GOAWAY flood", |stage| stage.h2().flood(50_000, |_| frame(7, 0, 0, &[0; 8]))),
    ("stream ids that go down", |stage| stage.h2().flood(1000, |number| frame(1, WHOLE, 2001 - 2 * number, GET))),
    ("stream ids of the server", |stage| stage.h2().flood(1000, |number| frame(1, WHOLE, 2 * number + 2, GET))),
    ("a connection window that overflows", |stage| stage.h2().flood(10, |_| frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]))),
    ("frames that are too long", |stage| stage.h2().flood(200, |_| frame(0, 0, 1, &[0; 20_000]))),
];

/// A flood that the guard knows by this name.
fn counted(stage: &Stage, name: &str, most: u32, frames: impl Fn(u32) -> Vec<u8>) -> String {
    let figure = format!("h2_floods_{name}");
    let before = stage.figure(&figure);
    let ended = stage.h2().flood(most, frames);
    eventually(5, &figure, || (stage.figure(&figure) == before + 1).then_some(()));
    ended
}

/// The same, in the body of a request.
fn open_upload(stage: &Stage, name: &str, most: u32, frames: impl Fn(u32) -> Vec<u8>) -> String {
    counted(stage, name, most, |number| {
        let begin = if number == 0 { frame(1, END_HEADERS, 1, POST) } else { Vec::new() };
        [begin, frames(number)].concat()
    })
}
