//! A digest that is the same on every machine and in every version.

/// FNV-1a: a seed gives the same order wherever it is used.
pub fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(digest("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
