//! Makes hellos for tests, right ones and wrong ones.

/// Two bytes of length, then the bytes.
pub(super) fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// One byte of length, then the bytes.
pub(super) fn vec8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

pub(super) fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vec16(data)].concat()
}

pub(super) fn server_name(name: &[u8]) -> Vec<u8> {
    extension(0, &vec16(&[&[0][..], &vec16(name)].concat()))
}

pub(super) fn alpn(protocols: &[&[u8]]) -> Vec<u8> {
    extension(16, &vec16(&protocols.iter().flat_map(|protocol| vec8(protocol)).collect::<Vec<u8>>()))
}

/// A handshake message: type, three bytes of length, body.
pub(super) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, a, b, c], body].concat()
}

/// The body of a hello with these extensions.
pub(super) fn body(extensions: &[Vec<u8>]) -> Vec<u8> {
    body_of(&[0x13, 0x01, 0xc0, 0x2b], &[0], &vec16(&extensions.concat()))
}

/// The body of a hello with these parts; `extensions` with its length.
pub(super) fn body_of(suites: &[u8], compression: &[u8], extensions: &[u8]) -> Vec<u8> {
    [&[3, 3][..], &[7; 32], &vec8(&[9; 32]), &vec16(suites), &vec8(compression), extensions].concat()
}

pub(super) fn record(fragment: &[u8]) -> Vec<u8> {
    [&[0x16, 3, 1][..], &vec16(fragment)].concat()
}

/// One record with one hello with these extensions.
pub(super) fn stream(extensions: &[Vec<u8>]) -> Vec<u8> {
    record(&handshake(1, &body(extensions)))
}

/// The handshake message in a stream of one record.
pub(super) fn message(stream: &[u8]) -> &[u8] {
    &stream[5..]
}

/// `message` in records of `size` bytes.
pub(super) fn in_records_of(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(record).collect()
}

/// `message` in records cut at `cuts` (sorted).
pub(super) fn cut_at(message: &[u8], cuts: &[usize]) -> Vec<u8> {
    let ends = cuts.iter().copied().chain([message.len()]);
    let mut start = 0;
    ends.flat_map(|end| {
        let piece = &message[start..end];
        start = end;
        if piece.is_empty() { Vec::new() } else { record(piece) }
    })
    .collect()
}
