//! Pauses that double while a resource is short.

use std::time::Duration;

/// Doubling pauses from 5 ms, as Go's accept loop has them, up to a bound.
#[derive(Debug, Clone)]
pub struct Backoff {
    next_ms: u64,
    max_ms: u64,
}

const FIRST_MS: u64 = 5;

impl Backoff {
    /// No pause yet; none will be longer than `max_ms`.
    pub fn new(max_ms: u64) -> Backoff {
        Backoff {
            next_ms: FIRST_MS.min(max_ms),
            max_ms,
        }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = Duration::from_millis(self.next_ms);
        self.next_ms = (self.next_ms * 2).min(self.max_ms);
        pause
    }

    /// Whether the next pause would be the first of an episode: the time to log it.
    pub fn is_first(&self) -> bool {
        self.next_ms <= FIRST_MS
    }

    /// All is well again.
    pub fn reset(&mut self) {
        self.next_ms = FIRST_MS.min(self.max_ms);
    }
}
