//! What the limits have refused, and what they count.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the limits have refused, in the scoreboard.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// Connections beyond the cap of their address.
    pub(crate) connections: AtomicU64,
    /// Connections whose address had no room in the table.
    pub(crate) untracked: AtomicU64,
    /// Requests beyond the rate of their address.
    pub(crate) rate: AtomicU64,
    /// Requests beyond those in flight.
    pub(crate) in_flight: AtomicU64,
    /// Requests whose deadline had passed.
    pub(crate) late: AtomicU64,
    /// Deadlines that made no sense.
    pub(crate) nonsense: AtomicU64,
    /// Not refused: requests that are in flight now, if their number is bounded.
    pub(crate) now_in_flight: AtomicU64,
}

impl Refused {
    /// The process of a worker has ended with `own` requests in flight.
    pub(crate) fn forget(&self, own: &AtomicU64) {
        let lost = own.swap(0, Ordering::SeqCst);
        self.now_in_flight.fetch_sub(lost, Ordering::SeqCst);
    }
}
