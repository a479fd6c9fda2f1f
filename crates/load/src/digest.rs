//! Equal bytes are told from others without keeping them.

/// A digest by which equal bytes are told from others (FNV-1a).
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, fold)
}
