//! The connections to back ends that a worker keeps open.

use std::cell::RefCell;

use super::wire::Wire;

/// Connections that a worker keeps open; it uses one at a time.
const KEPT_MAX: usize = 2;

thread_local! {
    static KEPT: RefCell<Vec<Wire>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a connection for the next request of this worker.
pub fn keep(wire: Wire) {
    KEPT.with_borrow_mut(|kept| {
        if kept.len() < KEPT_MAX {
            kept.push(wire);
        }
    });
}

/// The connection that was kept last, if there is one.
pub fn take() -> Option<Wire> {
    KEPT.with_borrow_mut(Vec::pop)
}
