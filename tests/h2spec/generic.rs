//! What every server must take: ordinary frames in every state that allows them, and every way of writing a header field.

use harness::clients::frames::{block, flag, kind};

use crate::Case;
use crate::connection::{Connection, GET, POST, code, setting};

/// 44 cases.
pub const CASES: &[Case] = &[
    ("generic/1/1", "preface of the client", |c| {
        c.raw(harness::clients::frames::PREFACE);
        c.settings(&[(setting::WINDOW, 65_535)]);
        let first = c.wait("a frame", |_| true)?;
        let preface = first.kind == kind::SETTINGS && !first.has(flag::ACK);
        if preface { Ok(()) } else { Err(format!("the first frame is {first:?}")) }
    }),
    ("generic/2/1", "PRIORITY on an idle stream", |c| {
        c.handshake()?;
        c.priority(1, 0, 255);
        c.alive()
    }),
    ("generic/2/2", "WINDOW_UPDATE on a half-closed (remote) stream", |c| {
        blocked(c)?;
        c.window(1, 1);
        c.data_of(1)
    }),
    ("generic/2/3", "PRIORITY on a half-closed (remote) stream", |c| {
        blocked(c)?;
        c.priority(1, 0, 255);
        c.window(1, 1);
        c.data_of(1)
    }),
    ("generic/2/4", "RST_STREAM on a half-closed (remote) stream", |c| {
        c.handshake()?;
        c.get(1);
        c.reset(1, code::CANCEL);
        c.alive()
    }),
    ("generic/2/5", "PRIORITY on a closed stream", |c| {
        c.handshake()?;
        c.get(1);
        c.closed(1)?;
        c.priority(1, 0, 255);
        c.alive()
    }),
    ("generic/3.1/1", "DATA", |c| {
        c.handshake()?;
        c.head(1, &POST, false);
        c.data(1, b"test", true);
        c.answered(1)
    }),
    ("generic/3.1/2", "several DATA frames", |c| {
        c.handshake()?;
        c.head(1, &POST, false);
        c.data(1, b"test", false);
        c.data(1, b"test", true);
        c.answered(1)
    }),
    ("generic/3.1/3", "DATA with padding", |c| {
        c.handshake()?;
        c.head(1, &POST, false);
        c.send(kind::DATA, flag::END_STREAM | flag::PADDED, 1, b"\x06test\0\0\0\0\0\0");
        c.answered(1)
    }),
    ("generic/3.2/1", "HEADERS", answers_a_get),
    ("generic/3.2/2", "HEADERS with padding", |c| {
        c.handshake()?;
        let payload = [&[8][..], &block(&GET), &[0; 8]].concat();
        c.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM | flag::PADDED, 1, &payload);
        c.answered(1)
    }),
    ("generic/3.2/3", "HEADERS with priority", |c| {
        c.handshake()?;
        let payload = [&[0, 0, 0, 0, 255][..], &block(&GET)].concat();
        c.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM | flag::PRIORITY, 1, &payload);
        c.answered(1)
    }),
    ("generic/3.3/1", "PRIORITY with weight 1", |c| prioritised(c, 1, 0, 0)),
    ("generic/3.3/2", "PRIORITY with weight 256", |c| prioritised(c, 1, 0, 255)),
    ("generic/3.3/3", "PRIORITY with a dependency", |c| prioritised(c, 3, 1, 0)),
    ("generic/3.3/4", "PRIORITY, exclusive", |c| prioritised(c, 1, 1 << 31, 0)),
    ("generic/3.3/5", "PRIORITY for an idle stream, then HEADERS for a lower one", |c| prioritised(c, 3, 0, 255)),
    ("generic/3.4/1", "RST_STREAM", |c| {
        c.handshake()?;
        c.head(1, &GET, false);
        c.reset(1, code::CANCEL);
        c.alive()
    }),
    ("generic/3.5/1", "SETTINGS", |c| {
        c.handshake()?;
        c.settings(&[(1, 4096), (2, 1), (3, 100), (4, 65_535), (5, 16_384), (6, 100)]);
        c.wait("SETTINGS with ACK", |frame| frame.kind == kind::SETTINGS && frame.has(flag::ACK)).map(drop)
    }),
    ("generic/3.7/1", "PING", |c| {
        c.handshake()?;
        c.alive()
    }),
    ("generic/3.8/1", "GOAWAY", |c| {
        c.handshake()?;
        c.send(kind::GOAWAY, 0, 0, &[0; 8]);
        c.alive_or_ended()
    }),
    ("generic/3.9/1", "WINDOW_UPDATE of the connection", |c| {
        c.handshake()?;
        c.window(0, 1);
        c.alive()
    }),
    ("generic/3.9/2", "WINDOW_UPDATE of a stream", |c| {
        blocked(c)?;
        c.window(1, 1);
        c.data_of(1)
    }),
    ("generic/3.10/1", "CONTINUATION", |c| {
        c.handshake()?;
        let block = block(&GET);
        c.send(kind::HEADERS, flag::END_STREAM, 1, &block[..5]);
        c.send(kind::CONTINUATION, flag::END_HEADERS, 1, &block[5..]);
        c.answered(1)
    }),
    ("generic/3.10/2", "several CONTINUATION frames", |c| {
        c.handshake()?;
        let block = block(&GET);
        c.send(kind::HEADERS, flag::END_STREAM, 1, &block[..5]);
        c.send(kind::CONTINUATION, 0, 1, &block[5..10]);
        c.send(kind::CONTINUATION, flag::END_HEADERS, 1, &block[10..]);
        c.answered(1)
    }),
    ("generic/4/1", "GET", answers_a_get),
    ("generic/4/2", "HEAD", |c| {
        c.handshake()?;
        c.head(1, &[(":method", "HEAD"), GET[1], GET[2], GET[3]], true);
        c.answered(1)
    }),
    ("generic/4/3", "POST", |c| {
        c.handshake()?;
        c.head(1, &POST, false);
        c.data(1, b"test", true);
        c.answered(1)
    }),
    ("generic/4/4", "POST with trailers", |c| {
        c.handshake()?;
        c.head(1, &[POST[0], POST[1], POST[2], POST[3], ("trailer", "x-test")], false);
        c.data(1, b"test", false);
        c.head(1, &[("x-test", "ok")], true);
        c.answered(1)
    }),
    ("generic/5/1", "an indexed field", |c| takes(c, &[0x80 | 58])),
    ("generic/5/2", "a literal with indexing, indexed name", |c| takes(c, b"\x7a\x06h2spec")),
    ("generic/5/3", "the same in Huffman code", |c| takes(c, &[&[0x7a][..], HUFFMAN_VALUE].concat())),
    ("generic/5/4", "a literal with indexing, new name", |c| takes(c, b"\x40\x06x-test\x06h2spec")),
    ("generic/5/5", "the same in Huffman code", |c| takes(c, &[&[0x40][..], HUFFMAN_NAME, HUFFMAN_VALUE].concat())),
    ("generic/5/6", "a literal without indexing, indexed name", |c| takes(c, b"\x0f\x2b\x06h2spec")),
    ("generic/5/7", "the same in Huffman code", |c| takes(c, &[&[0x0f, 0x2b][..], HUFFMAN_VALUE].concat())),
    ("generic/5/8", "a literal without indexing, new name", |c| takes(c, b"\x00\x06x-test\x06h2spec")),
    ("generic/5/9", "the same in Huffman code", |c| takes(c, &[&[0x00][..], HUFFMAN_NAME, HUFFMAN_VALUE].concat())),
    ("generic/5/10", "a literal never indexed, indexed name", |c| takes(c, b"\x1f\x2b\x06h2spec")),
    ("generic/5/11", "the same in Huffman code", |c| takes(c, &[&[0x1f, 0x2b][..], HUFFMAN_VALUE].concat())),
    ("generic/5/12", "a literal never indexed, new name", |c| takes(c, b"\x10\x06x-test\x06h2spec")),
    ("generic/5/13", "the same in Huffman code", |c| takes(c, &[&[0x10][..], HUFFMAN_NAME, HUFFMAN_VALUE].concat())),
    ("generic/5/14", "a size update", |c| takes_behind(c, &[0x20])),
    ("generic/5/15", "two size updates", |c| takes_behind(c, &[0x20, 0x3f, 0xe1, 0x1f])),
];

/// `a` and `e` and so on by the table of RFC 7541 appendix B: a name ("aaa") and a value ("ooo") of 5-bit codes, filled up with ones.
const HUFFMAN_NAME: &[u8] = &[0x82, 0b0001_1000, 0b1100_0111];
const HUFFMAN_VALUE: &[u8] = &[0x82, 0b0011_1001, 0b1100_1111];

/// A GET whose answer waits for a window.
fn blocked(c: &mut Connection) -> crate::Verdict {
    c.handshake()?;
    c.settings(&[(setting::WINDOW, 0)]);
    c.get(1);
    Ok(())
}

fn answers_a_get(c: &mut Connection) -> crate::Verdict {
    c.handshake()?;
    c.get(1);
    c.answered(1)
}

fn prioritised(c: &mut Connection, stream: u32, depends_on: u32, weight: u8) -> crate::Verdict {
    c.handshake()?;
    c.priority(stream, depends_on, weight);
    c.get(1);
    c.answered(1)
}

fn takes(c: &mut Connection, field: &[u8]) -> crate::Verdict {
    c.handshake()?;
    c.head_with(1, field);
    c.answered(1)
}

fn takes_behind(c: &mut Connection, begin: &[u8]) -> crate::Verdict {
    c.handshake()?;
    let block = [begin, &block(&GET)].concat();
    c.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block);
    c.answered(1)
}
