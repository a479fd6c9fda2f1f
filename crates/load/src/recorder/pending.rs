//! A request that has no outcome yet.

/// A request between its intended start and its outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingRequest {
    /// When it should have been sent.
    pub(crate) intended_ns: u64,
    /// When a connection was given to it: later than intended if the generator was late, or if no
    /// connection was free.
    pub(crate) assigned_ns: u64,
    /// When it was written: later than assigned if its connection had to be opened.
    pub(crate) sent_ns: u64,
    /// The number drawn for its path.
    pub(crate) number: u32,
    /// The slice of the window that it was scheduled in, where its outcome counts.
    pub(super) slice: u16,
    /// Its kind, in a mix.
    pub(crate) kind: u16,
}

/// The slice of a request outside the window, whose outcome does not count.
pub(super) const NO_SLICE: u16 = u16::MAX;

impl PendingRequest {
    /// It was scheduled within the window, so its outcome counts.
    #[inline]
    pub(crate) fn measured(&self) -> bool {
        self.slice != NO_SLICE
    }
}
