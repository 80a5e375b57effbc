//! Attacks by HTTP/2 streams: many, endless, stalled; and header blocks that grow when they are decoded.

use std::time::Duration;

use harness::eventually;

use super::Attack;
use super::wire::{END_HEADERS, END_STREAM, GET, H2, POST, cut, drip, frame, get, pause};

const WHOLE: u8 = END_STREAM | END_HEADERS;

pub const ATTACKS: &[Attack] = &[
    ("a window that never opens", |stage| {
        // The client takes 64 KiB of a large answer and no more, but keeps the connection alive.
        let mut connection = stage.h2();
        connection.send(&frame(1, WHOLE, 1, &get("/bytes/30000000"))).unwrap();
        reset_while_pinging(&mut connection, 1)
    }),
    ("no window, and many streams", |stage| {
        let mut connection = stage.h2();
        connection.send(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])).unwrap();
        // Far more than is taken of each; with megabytes it would be the hundred threads of the test's backend that keep others waiting.
        for number in 0..100 {
            connection.send(&frame(1, WHOLE, 2 * number + 1, &get("/bytes/300000"))).unwrap();
        }
        reset_while_pinging(&mut connection, 100)
    }),
    ("windows of one byte", |stage| {
        let mut connection = stage.h2();
        connection.send(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 1])).unwrap();
        for number in 0..100 {
            connection.send(&frame(1, WHOLE, 2 * number + 1, &get("/bytes/60000"))).unwrap();
        }
        let mut others: Vec<H2> = (0..3)
            .map(|_| {
                let mut other = stage.h2();
                other.send(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 1])).unwrap();
                (0..100).for_each(|number| other.send(&frame(1, WHOLE, 2 * number + 1, &get("/bytes/60000"))).unwrap());
                other
            })
            .collect();
        let before = stage.figure("timeouts");
        eventually(20, "they are cut off", || {
            others.iter_mut().for_each(|other| drop(other.send(&frame(6, 0, 0, &[0; 8]))));
            (stage.figure("timeouts") >= before + 4).then_some(())
        });
        others.into_iter().for_each(|other| drop(other.ending()));
        connection.ending()
    }),
    ("windows that open byte by byte", |stage| {
        let mut connection = stage.h2();
        connection.send(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])).unwrap();
        connection.send(&frame(1, WHOLE, 1, &get("/bytes/30000000"))).unwrap();
        for _ in 0..150 {
            if connection.send(&frame(8, 0, 1, &[0, 0, 0, 1])).is_err() {
                break;
            }
            pause(20);
        }
        connection.resets(1);
        "cut: the stream".into()
    }),
    ("TCP window closed under HTTP/2", |stage| {
        let mut connection = stage.h2();
        connection.send(&frame(8, 0, 0, &[0x3f, 0xff, 0xff, 0xff])).unwrap();
        connection.send(&frame(4, 0, 0, &[0, 4, 0x3f, 0xff, 0xff, 0xff])).unwrap();
        for number in 0..20 {
            connection.send(&frame(1, WHOLE, 2 * number + 1, &get("/bytes/3000000"))).unwrap();
        }
        let before = stage.figure("timeouts");
        eventually(20, "it is cut off", || (stage.figure("timeouts") > before).then_some(()));
        connection.ending()
    }),
    ("uploads that never end", |stage| {
        let mut connection = stage.h2();
        for number in 0..100 {
            connection.send(&frame(1, END_HEADERS, 2 * number + 1, POST)).unwrap();
        }
        reset_while_pinging(&mut connection, 100)
    }),
    ("more streams than allowed", |stage| {
        stage.h2().flood(20_000, |number| frame(1, END_HEADERS, 2 * number + 1, POST))
    }),
    ("requests without reading answers", |stage| {
        stage.h2().flood(100_000, |number| frame(1, WHOLE, 2 * number + 1, GET))
    }),
    ("HPACK bomb: one entry again and again", |stage| {
        // An entry of 3,900 bytes is put into the table (RFC 7541 section 6.2.1), then 16,000 indexes of one byte refer to it.
        let mut entry = b"\x40\x01x\x7f".to_vec();
        entry.extend([0xbd, 0x1d]); // 3,900 - 127 in seven bits each
        entry.extend([b'a'; 3900]);
        let first = [GET, entry.as_slice()].concat();
        let bomb = [GET, &[0xbe; 16_000]].concat();
        let connection = stage.h2();
        connection.flood(2000, |number| match number {
            0 => frame(1, WHOLE, 1, &first),
            _ => frame(1, WHOLE, 2 * number + 1, &bomb),
        })
    }),
    ("HPACK bomb: many small fields", |stage| {
        let bomb = [GET, &[0x90; 16_000]].concat();
        stage.h2().flood(2000, |number| frame(1, WHOLE, 2 * number + 1, &bomb))
    }),
    ("a header list that is too large", |stage| {
        let fields: Vec<u8> = b"\0\x01x\x7f\x81\x7e".iter().copied().chain([b'a'; 16_256]).collect();
        stage.h2().flood(1000, |number| {
            let stream = 2 * number + 1;
            [
                frame(1, END_STREAM, stream, GET),
                frame(9, 0, stream, &fields),
                frame(9, 0, stream, &fields),
                frame(9, END_HEADERS, stream, &fields),
            ]
            .concat()
        })
    }),
    ("a header block byte by byte", |stage| {
        let connection = stage.h2();
        let mut stream = connection.0;
        drip(&mut stream, Duration::from_millis(50), |number| match number {
            0 => frame(1, END_STREAM, 1, GET),
            _ => vec![*frame(9, 0, 1, &[0; 200]).get(number).unwrap_or(&0)],
        })
    }),
    ("a preface byte by byte", |stage| {
        let mut stream = stage.h2_stream();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        drip(&mut stream, Duration::from_millis(200), |number| {
            preface.get(number).map(|byte| vec![*byte]).unwrap_or_default()
        })
    }),
    ("PINGs to stay for ever", |stage| {
        let connection = stage.h2();
        let mut stream = connection.0;
        drip(&mut stream, Duration::from_millis(100), |_| frame(6, 0, 0, &[0; 8]))
    }),
    ("GOAWAY, then silence", |stage| {
        let mut connection = stage.h2();
        connection.send(&frame(7, 0, 0, &[0; 8])).unwrap();
        cut(&mut connection.0)
    }),
    ("TLS handshakes and HTTP/2 prefaces", |stage| {
        let held: Vec<H2> = (0..100).map(|_| stage.h2()).collect();
        held.into_iter().map(H2::ending).last().unwrap()
    }),
];

/// Keeps the connection alive until so many of its streams have been reset.
fn reset_while_pinging(connection: &mut H2, streams: usize) -> String {
    for _ in 0..15 {
        if connection.send(&frame(6, 0, 0, &[0; 8])).is_err() {
            break;
        }
        pause(200);
    }
    let resets = connection.resets(streams);
    format!("cut: {resets} streams reset")
}
