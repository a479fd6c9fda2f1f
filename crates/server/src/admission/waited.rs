//! How long a request has waited.

use std::time::Duration;

/// How long a request has waited for a worker.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waited {
    /// At least so long, by the clock.
    pub(crate) exact: Duration,
    /// So long in its socket, by the kernel's count of [ticks](net::input_age_step).
    pub(crate) in_ticks: Duration,
}

impl Waited {
    pub(crate) fn exactly(time: Duration) -> Waited {
        let in_ticks = Duration::ZERO;
        Waited {
            exact: time,
            in_ticks,
        }
    }

    pub(crate) fn in_ticks(time: Duration) -> Waited {
        let exact = Duration::ZERO;
        Waited {
            exact,
            in_ticks: time,
        }
    }

    pub(crate) fn longest(self) -> Duration {
        self.exact.max(self.in_ticks)
    }
}
