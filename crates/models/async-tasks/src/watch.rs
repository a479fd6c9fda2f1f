//! Descriptors that the selector of a runtime watches.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the selector of the runtime: the one `epoll_ctl` until it is
/// dropped.
pub fn watch<T: AsRawFd>(watched: T, interest: Interest) -> std::io::Result<AsyncFd<T>> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for types that may close or change their descriptor; these do not"
    )]
    AsyncFd::with_interest(watched, interest)
}

/// A descriptor that the server owns for as long as it runs.
#[derive(Debug)]
pub struct Borrowed(pub BorrowedFd<'static>);

impl AsRawFd for Borrowed {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
