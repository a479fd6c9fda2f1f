//! The state of a hot restart, in the scoreboard.

use std::sync::atomic::AtomicU32;

/// No restart is under way.
pub(super) const IDLE: u32 = 0;
/// A watcher waits for a successor.
pub(super) const STARTING: u32 = 1;
/// The successor is ready.
pub(super) const READY: u32 = 2;
/// There is no successor, as the watcher has said.
pub(super) const FAILED: u32 = 3;
/// The server drains for another reason meanwhile.
pub(super) const CANCELLED: u32 = 4;

/// The state of a restart, for the server and its watcher.
#[derive(Debug, Default)]
pub(crate) struct Restart {
    pub(super) state: AtomicU32,
    /// Process id of the successor that is ready.
    pub(crate) successor: AtomicU32,
    /// How many restarts there were before this server, since the first one was started by hand.
    pub(crate) before: AtomicU32,
    /// Successors of this server that did not become ready.
    pub(crate) failed: AtomicU32,
}
