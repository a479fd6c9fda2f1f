//! Durations as the kernel takes them.

use std::time::Duration;

/// A timeout for calls that take a pointer to a `timespec`, null for none.
pub(crate) struct Timeout(Option<libc::timespec>);

impl Timeout {
    /// `None` waits for ever.
    pub(crate) fn new(timeout: Option<Duration>) -> Timeout {
        Timeout(timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(timeout.subsec_nanos() as i32),
        }))
    }

    /// Valid for as long as the timeout is.
    pub(crate) fn as_ptr(&self) -> *const libc::timespec {
        self.0.as_ref().map_or(std::ptr::null(), std::ptr::from_ref)
    }
}
