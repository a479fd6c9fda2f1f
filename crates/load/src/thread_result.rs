//! What one thread of the generator measured, and what that cost.

use serde::{Deserialize, Serialize};

use crate::counts::Counts;

/// The result of one thread.
#[derive(Debug)]
pub(crate) struct ThreadResult {
    pub(crate) counts: Counts,
    /// What the thread used within the window.
    pub(crate) usage: Usage,
    /// Connections open at the beginning or at the end of the window, whichever were fewer.
    pub(crate) alive: u64,
    /// Connections that broke within the window.
    pub(crate) lost: u64,
    /// Connections that were to be kept and that the server closed within the window: as announced, or
    /// while they were idle.
    pub(crate) closed: u64,
    /// Of them, those that had answered before and had no request.
    pub(crate) closed_idle: u64,
    /// Connections that got no reply in the window.
    pub(crate) silent: u64,
}

/// What a thread has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) wall_ns: u64,
    pub(crate) cpu_ns: u64,
    /// Of that, spent polling until a request is due.
    pub(crate) spin_ns: u64,
    pub(crate) wakeups: u64,
    pub(crate) received_bytes: u64,
    /// Time that connections waited, after their last reply, for the server to close them.
    pub(crate) closing_ns: u64,
}

impl Usage {
    /// CPU seconds per second, polling left out.
    pub(crate) fn busy_share(&self) -> f64 {
        let busy_ns = self.cpu_ns.saturating_sub(self.spin_ns);
        busy_ns as f64 / self.wall_ns.max(1) as f64
    }

    /// Adds the usage of a thread that ran at the same time.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.wall_ns = self.wall_ns.max(other.wall_ns);
        self.cpu_ns += other.cpu_ns;
        self.spin_ns += other.spin_ns;
        self.wakeups += other.wakeups;
        self.received_bytes += other.received_bytes;
        self.closing_ns += other.closing_ns;
    }

    pub(crate) fn since(&self, start: &Self) -> Self {
        Self {
            wall_ns: self.wall_ns - start.wall_ns,
            cpu_ns: self.cpu_ns - start.cpu_ns,
            spin_ns: self.spin_ns - start.spin_ns,
            wakeups: self.wakeups - start.wakeups,
            received_bytes: self.received_bytes - start.received_bytes,
            closing_ns: self.closing_ns - start.closing_ns,
        }
    }
}
