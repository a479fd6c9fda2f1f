//! Chance that is the same on every machine and in every version: a seed is a whole run.

/// FNV-1a: a fixed function, so that a seed gives the same order on every machine and version.
pub fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): enough to shuffle nine servers and draw seeds.
pub struct Random(u64);

impl Random {
    /// A stream from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for each key, whatever was drawn from this one.
    pub fn fork(&self, key: u64) -> Self {
        let mut mixed = Self(self.0 ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(mixed.next())
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fisher and Yates. The modulo's bias is below 2^-58 for so few items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.next() % (i as u64 + 1);
            items.swap(i, usize::try_from(j).expect("j is at most i, a usize"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_and_independent() {
        // The first value of the published SplitMix64 for seed 0.
        assert_eq!(Random::new(0).next(), 0xe220_a839_7b1d_cdaf);
        assert_ne!(Random::new(1).fork(1).next(), Random::new(1).fork(2).next());
        let mut items: Vec<u32> = (0..9).collect();
        Random::new(5).shuffle(&mut items);
        assert_ne!(items, (0..9).collect::<Vec<u32>>());
        items.sort_unstable();
        assert_eq!(items, (0..9).collect::<Vec<u32>>());
        assert_eq!(digest("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
