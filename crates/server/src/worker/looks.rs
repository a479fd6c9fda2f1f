//! What a worker knows of the delay of its requests: see [`admission`](crate::admission).

use std::time::{Duration, Instant};

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
    /// When a loop began to serve its last request, in an overload: what it takes until the next is its
    /// service time, and what it waited for that.
    pub(super) served: Option<Instant>,
    /// How long the last input had waited, if that was looked at.
    pub(super) input_age: Duration,
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
            served: None,
            input_age: Duration::ZERO,
            own: QueueDelay::default(),
        }
    }
}
