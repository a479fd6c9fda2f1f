//! Pseudo-random numbers that a recorded seed repeats on every machine and in every version.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
/// 2014).
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

/// What the state grows by: 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl SplitMix64 {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for each key, derived from the present state of this one.
    pub fn fork(&self, key: u64) -> Self {
        let mut mixed = Self(self.0 ^ key.wrapping_mul(GAMMA));
        Self(mixed.next_u64())
    }

    /// Uniform over all 64-bit numbers.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), 53 bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform below `bound`, which is not zero, to within one part in 2^32.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next_u64() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Puts the items into a random order (Fisher and Yates). The bias of the modulo is below
    /// 2^-50 for up to ten thousand items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.next_u64() % (last as u64 + 1);
            items.swap(last, other as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_and_independent() {
        // The first value of the published SplitMix64 for seed 0.
        assert_eq!(SplitMix64::new(0).next_u64(), 0xE220_A839_7B1D_CDAF);
        let forked = |key| SplitMix64::new(1).fork(key).next_u64();
        assert_ne!(forked(1), forked(2));
    }

    #[test]
    fn items_are_reordered_and_none_is_lost() {
        let mut items: Vec<u32> = (0..9).collect();
        SplitMix64::new(5).shuffle(&mut items);
        assert_ne!(items, (0..9).collect::<Vec<u32>>());
        items.sort_unstable();
        assert_eq!(items, (0..9).collect::<Vec<u32>>());
    }
}
