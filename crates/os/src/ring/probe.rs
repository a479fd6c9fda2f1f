//! Whether this process can have a ring.

use super::{Ring, Sizes};
use crate::Errno;

impl Ring {
    /// Makes a small ring, to find out whether this process can have one.
    ///
    /// # Errors
    /// Why it cannot, in one line.
    pub fn probe() -> Result<(), String> {
        let smallest = Sizes {
            operations: 1,
            completions: 2,
            buffers: 1,
            buffer_bytes: 1,
        };
        Ring::new(&smallest).map(drop).map_err(refusal)
    }
}

/// Why there is no ring, in one line.
fn refusal(error: Errno) -> String {
    match error {
        Errno::NOSYS => {
            "io_uring is not available: this kernel has none, or a seccomp filter hides it".into()
        }
        Errno::PERM | Errno::ACCESS => {
            "io_uring is forbidden, by the sysctl kernel.io_uring_disabled or a seccomp filter"
                .into()
        }
        Errno::INVAL => "io_uring is too old in this kernel: Linux 6.1 is needed".into(),
        error => format!("io_uring cannot be set up: {error}"),
    }
}
