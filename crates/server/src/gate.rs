//! What worker threads wait for before they begin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Holds worker threads back until the server is ready. Otherwise the first could accept connections
/// that are lost if a later one cannot be started.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: AtomicBool,
    lock: Mutex<()>,
    opened: Condvar,
}

impl Gate {
    /// Returns once it is open.
    pub(crate) fn wait(&self) {
        if self.is_open.load(Ordering::SeqCst) {
            return;
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_open.load(Ordering::SeqCst) {
            let waited = self.opened.wait(guard);
            guard = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Opens it. False: it was open before.
    pub(crate) fn open(&self) -> bool {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = self.is_open.swap(true, Ordering::SeqCst);
        self.opened.notify_all();
        !was_open
    }
}
