//! What a worker knows of the delay of its requests: see [`admission`](crate::admission).

use std::time::{Duration, Instant};

use os::thread::RunDelay;
use proto::Limits;

use crate::admission::{Call, Overloaded, QueueDelay};

/// What a worker knows of the delay of its requests.
#[derive(Debug)]
pub(super) struct Looks {
    /// When it looks again.
    pub(super) at: Instant,
    /// Requests are answered with 503 until it has looked again.
    pub(super) sheds: bool,
    /// What refuses them.
    pub(super) refusal: &'static Overloaded,
    /// The present request, if it counts in the window or is followed.
    pub(super) call: Option<Call>,
    /// When a request that was followed began, and how long the thread had waited for a CPU by then: it is asked
    /// again when the next begins.
    pub(super) followed: Option<(u64, Duration)>,
    /// Of a blocking worker: only the scheduler knows how long its input has waited.
    pub(super) asks_scheduler: bool,
    /// During an overload: what tells how long its thread has waited for a CPU.
    pub(super) run_delay: Option<RunDelay>,
    /// How long it had by the end of its last request. What it has waited more when it has received the next,
    /// that request has waited: it came while the thread slept in its receive.
    pub(super) waited_before: Option<Duration>,
    /// When a loop began to serve its last request, in an overload: what it takes until the next is its
    /// service time, and what it waited for that.
    pub(super) served: Option<Instant>,
    /// How long the last input had waited, if that was looked at.
    pub(super) input_age: Duration,
    /// The clock of the batch of a loop of which all requests are looked at.
    batch: Option<Instant>,
    /// The queue of a loop, if that is its own.
    pub(super) own: QueueDelay,
}

/// A time that does not come.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

impl Looks {
    pub(super) fn new(limits: &Limits, asks_ages: bool, now: Instant) -> Looks {
        let first = match limits.queue_delay_ms {
            0 if !asks_ages => NEVER,
            _ => Duration::ZERO,
        };
        Looks {
            at: now + first,
            sheds: false,
            refusal: Overloaded::NOW,
            call: None,
            followed: None,
            asks_scheduler: false,
            run_delay: None,
            waited_before: None,
            served: None,
            input_age: Duration::ZERO,
            batch: None,
            own: QueueDelay::default(),
        }
    }

    /// Whether a loop that was woken at `now` looks at the next request, too, since nothing but the clock tells how
    /// long what it was woken for has waited: the first of a batch seems to have come just now, and the last has waited
    /// for all before it. Once in a rhythm it looks at a whole batch, and ends with the first of the next.
    pub(super) fn at_whole_batch(&mut self, now: Instant) -> bool {
        match self.batch {
            Some(batch) if batch != now => self.batch = None,
            _ => self.batch = Some(now),
        }
        self.batch.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_batch_is_looked_at_and_the_next_begins_with_the_end() {
        let now = Instant::now();
        let mut looks = Looks::new(&Limits::default(), false, now);
        assert!(looks.at_whole_batch(now) && looks.at_whole_batch(now));
        let next = now + Duration::from_millis(1);
        assert!(!looks.at_whole_batch(next), "the rhythm begins");
        assert!(looks.at_whole_batch(next + Duration::from_millis(12)));
    }
}
