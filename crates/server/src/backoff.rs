//! Pauses that double as long as a resource is exhausted.

use std::time::Duration;

/// Pauses that double from 5 ms up to a bound, as in the accept loop of Go's net/http.
#[derive(Debug, Clone)]
pub struct Backoff {
    next_ms: u64,
    max_ms: u64,
}

const FIRST_MS: u64 = 5;

impl Backoff {
    /// No pause is longer than `max_ms`.
    pub fn new(max_ms: u64) -> Backoff {
        Backoff {
            next_ms: FIRST_MS.min(max_ms),
            max_ms,
        }
    }

    /// How long to pause now; the next pause is twice as long.
    pub fn pause(&mut self) -> Duration {
        let pause = Duration::from_millis(self.next_ms);
        self.next_ms = (self.next_ms * 2).min(self.max_ms);
        pause
    }

    /// Whether the next pause is the first one since the last success. Only then it should be logged.
    pub fn is_first(&self) -> bool {
        self.next_ms <= FIRST_MS
    }

    /// Takes note of a success: the next pause is short again.
    pub fn reset(&mut self) {
        self.next_ms = FIRST_MS.min(self.max_ms);
    }
}
