//! Counters of the scoreboard, read.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Block;
use crate::observe::view::View;

pub(super) fn read(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}

pub(super) fn sum(view: &View, of: fn(&Block) -> u64) -> u64 {
    view.parts().map(|(_, block, _)| of(block)).sum()
}
