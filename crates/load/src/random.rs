//! The random numbers of a run, which its seed repeats on every machine.

use schema::random::SplitMix64;

/// The stream of one thread.
pub(crate) fn of_thread(seed: u64, thread: usize) -> SplitMix64 {
    SplitMix64::new(seed ^ (thread as u64).wrapping_mul(0xA076_1D64_78BD_642F))
}
