//! What a ring reports.

use std::os::fd::OwnedFd;

use crate::Errno;

/// A completed operation, or one completion of an operation that goes on.
#[derive(Debug)]
pub enum Completion {
    /// An accept.
    Accepted {
        /// The number that the listener was given.
        listener: u32,
        /// The new connection, close-on-exec.
        socket: Result<OwnedFd, Errno>,
        /// The operation goes on.
        more: bool,
    },
    /// A receive. The bytes are in [`Ring::received`](super::Ring::received) until the next completion
    /// is asked for.
    Received {
        /// Of which connection.
        token: u64,
        /// Bytes received, 0 for the peer's FIN. `ENOBUFS`: no buffer was free; nothing is lost.
        bytes: Result<usize, Errno>,
        /// The operation goes on.
        more: bool,
    },
    /// A send. Its output is returned.
    Sent {
        /// Of which connection.
        token: u64,
        /// What was to be sent.
        output: Vec<u8>,
        /// All of it, unless there was an error.
        bytes: Result<usize, Errno>,
    },
    /// A watched listener.
    Waiting {
        /// The number that it was given.
        listener: u32,
        /// A connection waits there, or the listener was shut down. False: the watch was cancelled.
        found: bool,
    },
    /// The watched descriptor is readable.
    Readable,
}

/// The result of an operation: an amount, or an error.
pub(super) fn result(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}
