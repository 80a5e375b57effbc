//! CRC-32C (Castagnoli; RFC 3720 appendix B.4), only ever over one PROXY header: small, not fast.

const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The checksum of the parts one behind the other.
pub(super) fn checksum<const N: usize>(parts: [&[u8]; N]) -> u32 {
    !parts.into_iter().flatten().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_3720() {
        assert_eq!(checksum([b"123456789"]), 0xe306_9283);
        assert_eq!(checksum([&[0; 20][..], &[0; 12]]), 0x8a91_36aa);
        assert_eq!(checksum([&[0xff; 32]]), 0x62a8_ab43);
    }
}
