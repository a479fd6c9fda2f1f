//! A process, thread or loop that serves: its buffers, its clock, its block of the scoreboard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use proto::{AsyncService, Pending, Place, Scratch, Service, Turn};

use crate::alarm::{ALARM, Alarm};
use crate::observe::{self, Figures, Recorder};
use crate::worker::looks::Looks;
use crate::{Block, Server, board, signals};

mod looking;
mod looks;

/// A worker. A connection borrows its buffers for one step.
#[derive(Debug)]
pub struct Worker {
    /// The server.
    pub server: &'static Server,
    /// Its number, from 0.
    pub number: usize,
    /// The time of the last receive in a blocking worker, of the last wake-up in another.
    pub now: Instant,
    pub(crate) block: &'static Block,
    /// The alarm of its process, which interrupts its calls at their deadline.
    pub(crate) alarm: &'static Alarm,
    pub(crate) blocking: bool,
    place: Place,
    input: Vec<u8>,
    scratch: Scratch,
    /// What it knows of the delay of requests.
    looks: Looks,
    /// Requests served and refused that are in the scoreboard already.
    counted: (u64, u64),
    /// Calls of the service that have panicked and are in the scoreboard already.
    panics_counted: u64,
    /// Its figures, while a flag asks for them.
    figures: Option<&'static Figures>,
    /// Not 0: every reply says close.
    draining: &'static AtomicU64,
    /// This process is to be replaced, by its own figures.
    retires: bool,
}

impl Worker {
    /// A worker that waits inside its system calls.
    pub fn blocking(server: &'static Server, number: usize) -> Worker {
        Worker::new(server, number, true).started()
    }

    /// The same for a process that is yet to be forked, where [`become_process`](Worker::become_process)
    /// completes it. It serves no client before.
    pub fn before_fork(server: &'static Server) -> Worker {
        Worker::new(server, 0, true)
    }

    /// A worker that waits for readiness or completions, and whose other calls do not block.
    pub fn ready(server: &'static Server, number: usize) -> Worker {
        Worker::new(server, number, false).started()
    }

    fn new(server: &'static Server, number: usize, blocking: bool) -> Worker {
        let block = &server.blocks[number];
        let (process, thread) = (os::process::id(), os::thread::id());
        block.id.store(thread, Ordering::Relaxed);
        // In this order, so that the input buffer is allocated behind the output buffer and shares a
        // page with it.
        let mut scratch = Scratch::new(SystemTime::now);
        if server.receives {
            scratch.receive_in_calls(server);
        }
        let input = Vec::with_capacity(server.limits.input_bytes);
        let now = Instant::now();
        Worker {
            server,
            number,
            now,
            block,
            alarm: &ALARM,
            blocking,
            place: Place {
                model: server.model,
                variant: server.variant,
                worker: number as u32,
                process,
                thread,
                may_wait_to_send: server.may_wait_to_send,
            },
            input,
            scratch,
            looks: Looks::new(&server.limits, server.asks_ages, now),
            counted: (0, 0),
            panics_counted: 0,
            figures: None,
            draining: match block.is_process(process) {
                true => &block.draining,
                false => server.drain.flag(),
            },
            retires: false,
        }
        .observed()
    }

    /// Has its exchanges recorded, if a flag asks for that.
    fn observed(mut self) -> Worker {
        self.observe();
        self
    }

    fn observe(&mut self) {
        if let Some(observed) = self.server.observed {
            let figures = &observed.figures[self.number];
            figures.retire.store(0, Ordering::SeqCst);
            self.figures = Some(figures);
            self.scratch
                .observe(Box::new(Recorder::new(observed, self.number)));
        }
    }

    /// Starts the service for this worker.
    fn started(self) -> Worker {
        self.server.start_service(&self.place, self.block);
        self
    }

    /// Makes this worker the only one of the calling process, with this number. The process must have
    /// been forked for it; the drain reaches the worker by signals, see [`Children`](crate::Children).
    pub fn become_process(&mut self, number: usize) {
        self.number = number;
        self.block = &self.server.blocks[number];
        let process = self.block.become_this_process();
        self.alarm = &self.block.alarm;
        self.draining = &self.block.draining;
        self.place.worker = number as u32;
        (self.place.process, self.place.thread) = (process, process);
        self.observe();
        signals::join_drain(self.server, self.block);
        self.server.start_service(&self.place, self.block);
    }

    /// Makes the calling thread the one that is interrupted for this worker.
    pub fn bind_to_thread(&mut self) {
        self.place.thread = os::thread::id();
        self.block.id.store(self.place.thread, Ordering::Relaxed);
    }

    /// Does, before forking, what every child would otherwise do first; see [`Scratch::warm_up`]. Each
    /// page that a child does not write is a page fault less.
    pub fn warm_up(&mut self) {
        self.tick();
        self.scratch.warm_up(&self.server.limits, self.now);
    }

    /// Has [staged](crate::Connection::staged) connections begin to answer with `service` where they receive
    /// a request: see [`Connection::take_begun`](crate::Connection::take_begun).
    pub fn begin_with(&mut self, service: Arc<dyn AsyncService>) {
        self.scratch.begin_with(service);
    }

    /// Whether requests are refused at present, because they have waited too long.
    pub(crate) fn sheds(&self) -> bool {
        self.looks.sheds
    }

    /// Reads the clock. Loops do this once per wake-up.
    #[inline(always)]
    pub fn tick(&mut self) {
        self.now = Instant::now();
    }

    /// Adds what was served and refused since the last call to the scoreboard.
    #[inline(always)]
    pub(crate) fn count(&mut self) {
        let now = (self.scratch.served(), self.scratch.refused());
        if now != self.counted {
            board::add(&self.block.requests, now.0 - self.counted.0);
            if self.looks.sheds {
                board::add(&self.block.shed, now.0 - self.counted.0);
            }
            let refused = now.1 - self.counted.1;
            self.counted = now;
            if self.figures.is_some() || refused > 0 {
                self.count_rarely(refused);
            }
        }
        if self.looks.call.is_some() {
            self.end_call();
        }
    }

    /// The same for a request that was awaited: it began before the worker refused others, if it does.
    pub(crate) fn count_awaited(&mut self) {
        let sheds = std::mem::replace(&mut self.looks.sheds, false);
        self.count();
        self.looks.sheds = sheds;
    }

    /// A reply that is to be awaited, which counts as in flight meanwhile if a flag asks for figures.
    pub(crate) fn counted(&self, pending: Pending) -> Pending {
        match self.figures {
            Some(figures) => observe::counted(pending, &figures.waiting),
            None => pending,
        }
    }

    /// Counts what was refused, panics apart, and finds out whether the worker is to end.
    #[cold]
    #[inline(never)]
    fn count_rarely(&mut self, refused: u64) {
        let panics = self.scratch.panicked();
        let new_panics = panics - self.panics_counted;
        board::add(&self.block.refused, refused.saturating_sub(new_panics));
        board::add(&self.block.panicked, new_panics);
        self.panics_counted = panics;
        let Some(figures) = self.figures else {
            return;
        };
        let max = self.server.limits.worker_requests_max;
        if max > 0 && self.scratch.served() >= max {
            figures.retire.store(1, Ordering::SeqCst);
        }
        if figures.retire.load(Ordering::SeqCst) != 0
            && self.block.is_process(os::process::id())
            && !signals::is_main_process()
        {
            self.retires = true;
            self.block.draining.store(1, Ordering::SeqCst);
            if !self.blocking {
                // A loop ends with its connections: idle ones must not keep it.
                self.server.drain.begin_own();
            }
        }
    }

    /// Whether this process is to end when it has served its connection, and to be replaced.
    pub fn is_retiring(&self) -> bool {
        self.retires || self.server.drain.is_own()
    }

    /// Counts a connection or a request that it puts into a queue for other workers. Who takes it gives
    /// the result to [`count_taken`](Self::count_taken).
    #[inline(always)]
    pub fn count_queued(&self) -> Option<Instant> {
        board::add(&self.block.queued, 1);
        self.figures.map(|_| self.now)
    }

    /// Counts one that it has taken from there, and how long that has waited, if `since` is known.
    #[inline(always)]
    pub fn count_taken(&self, since: Option<Instant>) {
        board::add(&self.block.taken, 1);
        if let (Some(figures), Some(since)) = (self.figures, since) {
            figures.queued.record(since.elapsed());
        }
    }

    /// The bytes received last, and what a session needs to process them.
    #[inline(always)]
    pub(crate) fn turn(&mut self) -> (&[u8], Turn<'_>) {
        let service: &dyn Service = match self.looks.sheds {
            true => self.looks.refusal,
            false => self.server.service,
        };
        let turn = Turn {
            now: self.now,
            limits: &self.server.limits,
            service,
            scratch: &mut self.scratch,
            place: &self.place,
            draining: self.draining,
        };
        (&self.input, turn)
    }

    /// Whether output of this size is part of a body that is longer than one buffer.
    #[inline(always)]
    pub(crate) fn is_long(&self, bytes: usize) -> bool {
        bytes >= self.server.limits.unsent_bytes_max
    }

    #[inline(always)]
    pub(crate) fn input(&mut self) -> &mut Vec<u8> {
        &mut self.input
    }

    #[inline(always)]
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    #[inline(always)]
    pub(crate) fn scratch_mut(&mut self) -> &mut Scratch {
        &mut self.scratch
    }
}
