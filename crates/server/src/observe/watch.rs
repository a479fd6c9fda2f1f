//! What the helper looks for by itself: workers that are stuck in a call of the service, and worker
//! processes that have grown too large.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use os::signal::monotonic_ns;

use super::process;
use super::view::View;
use crate::log::{self, Topic};

/// The state between two looks.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(super) view: View,
    /// The call of each worker that was found stuck, by when it began.
    stuck: Vec<u64>,
    sizes_after: Instant,
}

/// How often sizes are looked at.
const SIZES_EVERY: Duration = Duration::from_secs(1);
/// The longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Watch {
    pub(crate) fn new(view: View) -> Watch {
        Watch {
            stuck: vec![0; view.blocks.len()],
            sizes_after: Instant::now(),
            view,
        }
    }

    /// How long to wait until the next look.
    pub(crate) fn every(&self) -> Duration {
        match self.view.limits.stuck_ms {
            0 => LOOK_EVERY,
            ms => Duration::from_millis((ms / 4).clamp(10, 250)),
        }
    }

    pub(crate) fn look(&mut self) {
        if self.view.limits.stuck_ms > 0 {
            for number in self.view.observed.numbers() {
                self.look_at(number);
            }
        }
        let max = self.view.limits.worker_rss_max;
        if max > 0 && self.view.processes && Instant::now() >= self.sizes_after {
            self.sizes_after = Instant::now() + SIZES_EVERY;
            for number in self.view.observed.numbers() {
                self.look_at_size_of(number, max);
            }
        }
    }

    /// A call is reported once, however long it goes on.
    fn look_at(&mut self, number: usize) {
        let figures = &self.view.observed.figures[number];
        let began_ns = figures.call_began_ns.load(Ordering::Relaxed);
        let held_ns = monotonic_ns().saturating_sub(began_ns);
        let is_stuck =
            began_ns != 0 && held_ns >= self.view.limits.stuck_ms.saturating_mul(1_000_000);
        if !is_stuck || std::mem::replace(&mut self.stuck[number], began_ns) == began_ns {
            return;
        }
        let shared = self.view.observed.shared;
        shared.stuck.fetch_add(1, Ordering::Relaxed);
        let ms = held_ns / 1_000_000;
        let id = self.view.blocks[number].id.load(Ordering::Relaxed);
        // Counted before it is seen to end.
        let killed = self.view.processes && self.kill(id);
        let what = match killed {
            true => "it is killed",
            false => "its connections wait",
        };
        if killed {
            shared.killed.fetch_add(1, Ordering::Relaxed);
        }
        log::repeated(
            Topic::Stuck,
            format_args!(
                "worker {number} ({id}) is stuck in a call of the service for {ms} ms; {what}"
            ),
        );
    }

    /// Kills worker process `id`. Only a child of the server is killed: what has got the number of one
    /// that has ended is none.
    fn kill(&self, id: u32) -> bool {
        let Ok(worker) = os::helper::process(id) else {
            return false;
        };
        let is_worker = process::usage(id).is_some_and(|usage| usage.parent == self.view.main);
        is_worker && os::helper::kill(&worker).is_ok()
    }

    fn look_at_size_of(&self, number: usize, max: u64) {
        let id = self.view.blocks[number].id.load(Ordering::Relaxed);
        let usage = (id != 0).then(|| process::usage(id)).flatten();
        if usage.is_some_and(|usage| usage.parent == self.view.main && usage.resident_bytes > max) {
            let figures = &self.view.observed.figures[number];
            figures.retire.store(1, Ordering::SeqCst);
        }
    }
}
