//! A digest that is the same on every machine and in every version.

/// FNV-1a: equal bytes are told from others, and a name gives the same number wherever it is used.
pub fn digest(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(digest(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
