//! MD5 and SHA-1 as transformations. Rules make short keys with them (CRS: of the user agent); nothing rests on their strength.

use sha1::Digest as _;

/// 16 bytes (RFC 1321).
pub(super) fn md5(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&md5::Md5::digest(input));
}

/// 20 bytes (RFC 3174).
pub(super) fn sha1(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&sha1::Sha1::digest(input));
}
