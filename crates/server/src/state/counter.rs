//! A counter that all processes of a server share.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A number that all processes and threads of a server share, in a page of shared memory. Copies are the
/// same counter.
///
/// It must be made before the server starts, because only processes that are forked later share the page.
#[derive(Clone, Copy)]
pub struct SharedCounter(&'static AtomicU64);

/// This process serves, or was forked by one that does.
static SERVING: AtomicBool = AtomicBool::new(false);

/// From now on no page is shared with all workers.
pub(crate) fn serving_begins() {
    SERVING.store(true, Ordering::SeqCst);
}

impl SharedCounter {
    /// A counter at 0.
    ///
    /// # Errors
    /// The server has started, so other processes would not see this counter. Or there is no memory.
    pub fn new() -> io::Result<SharedCounter> {
        if SERVING.load(Ordering::SeqCst) {
            return Err(io::Error::other(
                "a SharedCounter is to be made before the server starts: other processes would not see this one",
            ));
        }
        let page = os::shared::slice::<AtomicU64>(1)?;
        Ok(SharedCounter(&page[0]))
    }

    /// Adds `amount`, and returns the sum. It wraps around at 2^64.
    pub fn add(&self, amount: u64) -> u64 {
        self.0
            .fetch_add(amount, Ordering::SeqCst)
            .wrapping_add(amount)
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for SharedCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedCounter").field(&self.get()).finish()
    }
}
