//! Header blocks that are none (RFC 7541): errors of the connection of type COMPRESSION_ERROR.

use harness::clients::frames::{block, flag, kind};

use crate::Case;
use crate::connection::{Connection, GET, code};

/// 8 cases.
pub const CASES: &[Case] = &[
    ("hpack/2.3.3/1", "an index beyond both tables", |c| refuses(c, &[0x80 | 70])),
    ("hpack/2.3.3/2", "a literal whose name has such an index", |c| refuses(c, b"\x7f\x07\x05empty")),
    ("hpack/4.2/1", "a size update at the end of a block", |c| refuses(c, &[0x20])),
    ("hpack/5.2/1", "Huffman padding longer than 7 bits", |c| refuses(c, b"\x00\x01x\x82\x1f\xff")),
    ("hpack/5.2/2", "Huffman padding of zeros", |c| refuses(c, b"\x00\x01x\x81\x18")),
    ("hpack/5.2/3", "Huffman with the EOS symbol", |c| refuses(c, b"\x00\x01x\x84\xff\xff\xff\xff")),
    ("hpack/6.1/1", "index 0", |c| refuses(c, &[0x80])),
    ("hpack/6.3/1", "a size update above what the settings allow", |c| {
        c.handshake()?;
        // 65,536; the server has said nothing, so 4,096 holds.
        let block = [&[0x3f, 0xe1, 0xff, 0x03][..], &block(&GET)].concat();
        c.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block);
        c.connection_error(&[code::COMPRESSION])
    }),
];

fn refuses(c: &mut Connection, field: &[u8]) -> crate::Verdict {
    c.handshake()?;
    c.head_with(1, field);
    c.connection_error(&[code::COMPRESSION])
}
