//! What the helper knows of the server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use os::signal::monotonic_ns;

use super::{Figures, Observed};
use crate::{Block, Board, Limits};

/// What the helper knows of the server.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) model: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) workers: usize,
    /// Whether workers are processes that the main process has forked.
    pub(crate) processes: bool,
    pub(crate) limits: Limits,
    pub(crate) board: &'static Board,
    pub(crate) blocks: &'static [Block],
    pub(crate) observed: &'static Observed,
    /// The process that was started.
    pub(crate) main: u32,
    /// Within how much time the service manager wants to hear that the server is well.
    pub(crate) watchdog: Option<Duration>,
}

impl View {
    /// The block and the figures of each worker and extra thread that has started, by its number.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (usize, &'static Block, &'static Figures)> {
        let (blocks, figures) = (self.blocks, self.observed.figures);
        let numbers = self.observed.numbers();
        numbers.map(move |number| (number, &blocks[number], &figures[number]))
    }

    /// Their figures alone.
    pub(crate) fn figures(&self) -> impl Iterator<Item = &'static Figures> {
        self.parts().map(|(_, _, figures)| figures)
    }

    /// How many workers are in a call that is longer than `--stuck-ms`.
    pub(crate) fn stuck_now(&self) -> usize {
        self.longer_than(Duration::from_millis(self.limits.stuck_ms))
    }

    /// How many workers are in a call that is longer than this; 0: none is too long.
    pub(crate) fn longer_than(&self, most: Duration) -> usize {
        let most_ns = most.as_nanos() as u64;
        let now_ns = monotonic_ns();
        let is_stuck = |figures: &&Figures| match figures.call_began_ns.load(Ordering::Relaxed) {
            0 => false,
            began_ns => most_ns > 0 && now_ns.saturating_sub(began_ns) >= most_ns,
        };
        self.figures().filter(is_stuck).count()
    }
}
