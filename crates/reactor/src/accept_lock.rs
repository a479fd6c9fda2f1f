//! The accept lock: of several processes at one listener, one watches it.

use std::sync::atomic::{AtomicU64, Ordering};

use server::Server;

/// The lock, in memory that forked processes share.
#[derive(Debug, Clone, Copy)]
pub struct AcceptLock {
    /// Number and process of the worker that holds it, 0 if none does.
    holder: &'static AtomicU64,
    server: &'static Server,
}

impl AcceptLock {
    /// A lock that no worker holds; to be made before the first fork.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(server: &'static Server) -> Result<AcceptLock, os::Errno> {
        Ok(AcceptLock {
            holder: &os::shared::slice(1)?[0],
            server,
        })
    }

    fn name(&self, worker: usize) -> u64 {
        let id = self.server.blocks[worker].id.load(Ordering::Relaxed);
        (worker as u64) << 32 | u64::from(id)
    }

    /// Takes the lock for `worker` if no worker holds it, or one that has died: when the parent
    /// reaps a process, it removes the id of that process from the scoreboard. It never waits.
    pub(crate) fn take(&self, worker: usize) -> bool {
        let mine = self.name(worker);
        let held = self.holder.load(Ordering::Relaxed);
        let number = (held >> 32) as usize;
        let is_free = held == 0 || held == mine || self.name(number) != held;
        let (taken, not) = (Ordering::Acquire, Ordering::Relaxed);
        is_free && self.holder.compare_exchange(held, mine, taken, not).is_ok()
    }

    /// Releases it, if `worker` holds it.
    pub(crate) fn release(&self, worker: usize) {
        let (mine, released) = (self.name(worker), Ordering::Release);
        let _ = self
            .holder
            .compare_exchange(mine, 0, released, Ordering::Relaxed);
    }
}
