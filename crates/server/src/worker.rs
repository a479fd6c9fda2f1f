//! A process, thread or loop that serves: its buffers, its clock, its block of the scoreboard.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use proto::{Place, Scratch, Service, Turn};

use crate::admission::Overloaded;
use crate::alarm::{ALARM, Alarm};
use crate::worker::looks::Looks;
use crate::{Block, Server, board, signals};

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
}

impl Worker {
    /// A worker that waits inside its system calls.
    pub fn blocking(server: &'static Server, number: usize) -> Worker {
        Worker::new(server, number, true)
    }

    /// A worker that waits for readiness or completions, and whose other calls do not block.
    pub fn ready(server: &'static Server, number: usize) -> Worker {
        Worker::new(server, number, false)
    }

    fn new(server: &'static Server, number: usize, blocking: bool) -> Worker {
        let block = &server.blocks[number];
        block.id.store(os::thread::id(), Ordering::Relaxed);
        // In this order, so that the input buffer is allocated behind the output buffer and shares a
        // page with it.
        let scratch = Scratch::new(SystemTime::now);
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
            },
            input,
            scratch,
            looks: Looks::new(&server.limits, now),
            counted: (0, 0),
        }
    }

    /// Makes this worker the only one of the calling process, with this number. The process must have
    /// been forked for it; the drain reaches the worker by signals, see [`Children`](crate::Children).
    pub fn become_process(&mut self, number: usize) {
        self.number = number;
        self.block = &self.server.blocks[number];
        self.block.become_this_process();
        self.alarm = &self.block.alarm;
        self.place.worker = number as u32;
        signals::join_drain(self.server, self.block);
    }

    /// Makes the calling thread the one that is interrupted for this worker.
    pub(crate) fn bind_to_thread(&self) {
        self.block.id.store(os::thread::id(), Ordering::Relaxed);
    }

    /// Does, before forking, what every child would otherwise do first; see [`Scratch::warm_up`]. Each
    /// page that a child does not write is a page fault less.
    pub fn warm_up(&mut self) {
        self.tick();
        self.scratch.warm_up(&self.server.limits, self.now);
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
            board::add(&self.block.refused, now.1 - self.counted.1);
            if self.looks.sheds {
                board::add(&self.block.shed, now.0 - self.counted.0);
            }
            self.counted = now;
        }
        if self.looks.is_tracked {
            self.end_call();
        }
    }

    /// The bytes received last, and what a session needs to process them.
    #[inline(always)]
    pub(crate) fn turn(&mut self) -> (&[u8], Turn<'_>) {
        let service: &dyn Service = match self.looks.sheds {
            true => &Overloaded,
            false => self.server.service,
        };
        let turn = Turn {
            now: self.now,
            limits: &self.server.limits,
            service,
            scratch: &mut self.scratch,
            place: &self.place,
            draining: self.server.drain.flag(),
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
