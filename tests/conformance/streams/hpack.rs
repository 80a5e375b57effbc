//! Header blocks that cannot be decoded (RFC 7541): the connection ends, because what follows could not be decoded either.

use super::{Case, GET, Must, Sent, with};
use crate::case::latin;

/// `:method GET`, `:scheme https`, `:path /` of the static table, and `:authority` as a literal.
const HEAD: &[u8] = b"\x82\x87\x84\x41\x08www.test";

fn block(name: &str, more: &[u8], must: Must) -> Case {
    let case = Case::new(format!("HPACK: {name}"), &[], must);
    Case { block: Some([HEAD, &b"\x00\x01x\x01\xa7"[..], more].concat()), ..case }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        block("index 0", &[0x80], Must::Fatal),
        block("index 63 of a table of one", &[0xbf], Must::Fatal),
        block("index 255", &[0xff, 0x80, 0x01], Must::Fatal),
        block("index beyond 32 bits", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], Must::Fatal),
        block(
            "index beyond 64 bits",
            &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
            Must::Fatal,
        ),
        block("a name of index 63", &[0x7f, 0x00, 0x01, b'a'], Must::Fatal),
        block("a name of index 70, never indexed", &[0x1f, 0x37, 0x01, b'a'], Must::Fatal),
        block("a size update behind a field", &[0x20], Must::Fatal),
        block("a literal cut before its name", &[0x00], Must::Fatal),
        block("a literal cut in its name", &[0x00, 0x05, b'a'], Must::Fatal),
        block("a literal cut before its value", &[0x00, 0x01, b'a'], Must::Fatal),
        block("a literal cut in its value", &[0x00, 0x01, b'a', 0x05, b'b'], Must::Fatal),
        block("a length cut", &[0x00, 0x7f], Must::Fatal),
        block("a length beyond 32 bits", &[0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f, b'a'], Must::Fatal),
        block("Huffman: EOS", &[0x00, 0x01, b'y', 0x84, 0xff, 0xff, 0xff, 0xff], Must::Fatal),
        block("Huffman: padding of zeros", &[0x00, 0x01, b'y', 0x81, 0b0001_1000], Must::Fatal),
        block("Huffman: padding of eight bits", &[0x00, 0x01, b'y', 0x82, 0b0001_1111, 0xff], Must::Fatal),
        block("Huffman: cut", &[0x00, 0x01, b'y', 0x85, 0x1f], Must::Fatal),
    ];
    let update = |name: &str, bytes: &[u8], must: Must| {
        let case = Case::new(format!("HPACK: {name}"), &[], must);
        Case { block: Some([bytes, HEAD, &b"\x00\x01x\x01\xa7"[..]].concat()), ..case }
    };
    let sent = || Must::Forwarded(Sent::get().to("/").with("x", "§"));
    cases.push(update("a size update above what we allow", &[0x3f, 0xe2, 0x1f], Must::Fatal));
    cases.push(update("a size update of 2^31", &[0x3f, 0xe1, 0xff, 0xff, 0xff, 0x07], Must::Fatal));
    cases.push(update("good: a size update to 0", &[0x20], sent()));
    cases.push(update("good: two size updates", &[0x20, 0x3f, 0xe1, 0x1f], sent()));
    cases.push(block("good: nothing wrong", &[], sent()));
    cases.push(block(
        "good: an indexed literal, used again",
        &[0x40, 0x01, b'y', 0x01, b'a', 0xbe],
        sent_with(&[("y", "a"), ("y", "a")]),
    ));
    cases.push(block("good: Huffman", &[0x00, 0x01, b'y', 0x81, 0b0001_1111], sent_with(&[("y", "a")])));
    cases.push(block(
        "CR LF by Huffman",
        &[0x00, 0x01, b'y', 0x88, 0xff, 0xff, 0xff, 0xe7, 0xff, 0xff, 0xff, 0xf3],
        Must::Refused,
    ));
    let bomb: Vec<u8> = latin(&"\u{be}".repeat(20_000));
    let first = [&[0x40, 0x01, b'y', 0x7f, 0x80 + 0x71, 0x1e][..], &[b'a'; 4_000]].concat();
    cases.push(block("a bomb: 80 MB in 24 KB", &[first, bomb].concat(), Must::Refused));
    let large = "a".repeat(40 * 1024);
    cases.push(Case::refused("HPACK: a field of 40 KiB", &with(&GET, &[("x", "§"), ("y", &large)])));
    cases
}

fn sent_with(fields: &[(&str, &str)]) -> Must {
    let sent = Sent::get().to("/").with("x", "§");
    Must::Forwarded(fields.iter().fold(sent, |sent, (name, value)| sent.with(name, value)))
}
