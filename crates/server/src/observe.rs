//! What is seen of a running server from outside: its figures, its access log, its stuck workers.
//!
//! Everything is written by the workers into shared memory, each into a part of its own, and read by a
//! helper process that is forked before the model runs ([`helper`]). Without a flag that asks for it
//! none of this exists: no mapping, no process, and a comparison per request.

pub(crate) mod access;
mod admin;
mod figures;
pub(crate) mod format;
mod heartbeat;
pub(crate) mod helper;
mod metrics;
mod process;
mod recorder;
mod ring;
pub(crate) mod sink;
pub(crate) mod view;
mod waiting;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use os::Errno;
use os::net::Waker;

use crate::Limits;

pub(crate) use figures::Figures;
pub(crate) use recorder::Recorder;
pub(crate) use ring::Ring;
pub(crate) use waiting::{Waiting, counted};

/// What workers write for the helper, and how they wake it.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) shared: &'static Shared,
    pub(crate) figures: &'static [Figures],
    /// How many of them are workers'; the rest are extra threads'.
    workers: usize,
    /// The rings of the access log, one after another; empty without one.
    words: &'static [AtomicU64],
    /// Wakes the thread that writes the access log.
    pub(crate) waker: Waker,
}

/// What concerns the whole server.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// One more than the highest number of a worker that has started.
    workers: AtomicUsize,
    /// The same of extra threads, whose numbers follow those of all workers.
    extras: AtomicUsize,
    /// The thread that writes the access log sleeps.
    pub(crate) sleeps: AtomicBool,
    /// How often the access log was asked to be opened again.
    pub(crate) reopen: AtomicU64,
    /// The server has ended; the helper is to write what is left, and to end.
    pub(crate) stop: AtomicBool,
    /// It has.
    pub(crate) done: AtomicBool,
    /// Lines of the access log that were written.
    pub(crate) lines: AtomicU64,
    /// Lines that could not be written where they should.
    pub(crate) unwritten: AtomicU64,
    /// Calls that have held a worker too long.
    pub(crate) stuck: AtomicU64,
    /// Workers that were killed for it.
    pub(crate) killed: AtomicU64,
    /// The most CPU time that was ever seen, ticks of the clock.
    pub(crate) cpu_ticks: AtomicU64,
}

impl Observed {
    /// For so many blocks of the scoreboard, of which the first are the workers'; with rings if there
    /// is an access log.
    pub(crate) fn new(
        blocks: usize,
        workers: usize,
        limits: &Limits,
        log: bool,
    ) -> Result<Observed, Errno> {
        let each = match log {
            true => (limits.access_log_bytes_max / 8).max(ring::WORDS_MIN),
            false => 0,
        };
        let (shared, figures) = os::shared::with_header::<Shared, Figures>(blocks)?;
        Ok(Observed {
            shared,
            figures,
            workers,
            words: os::shared::words(each * blocks)?,
            waker: Waker::new()?,
        })
    }

    /// A worker or an extra thread of this number starts.
    pub(crate) fn see(&self, number: usize) {
        let (seen, first) = match number < self.workers {
            true => (&self.shared.workers, 0),
            false => (&self.shared.extras, self.workers),
        };
        seen.fetch_max(number - first + 1, Ordering::SeqCst);
    }

    /// The numbers of workers and extra threads that have started. The parts of the others are not read: with a
    /// thread or process for each client there may be tens of thousands, and the first read of a page of
    /// shared memory allocates it.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let workers = self.shared.workers.load(Ordering::SeqCst);
        let extras = self.shared.extras.load(Ordering::SeqCst);
        (0..workers).chain(self.workers..self.workers + extras)
    }

    /// Whether there is an access log.
    pub(crate) fn has_log(&self) -> bool {
        !self.words.is_empty()
    }

    /// The ring of worker `number`, if there is an access log.
    pub(crate) fn ring(&'static self, number: usize) -> Option<Ring> {
        let each = self.words.len() / self.figures.len().max(1);
        let words = self.words.get(number * each..(number + 1) * each)?;
        (each > 0).then(|| Ring::new(&self.figures[number].ends, words))
    }

    /// Has the access log opened again. Async-signal-safe.
    pub(crate) fn reopen(&self) {
        self.shared.reopen.fetch_add(1, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Has the helper write what is left, and end. Async-signal-safe.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Whether lines of the access log were lost, and how many.
    pub(crate) fn dropped(&self) -> u64 {
        let dropped = |number: usize| self.figures[number].ends.dropped.load(Ordering::Relaxed);
        let full: u64 = self.numbers().map(dropped).sum();
        full + self.shared.unwritten.load(Ordering::Relaxed)
    }
}
