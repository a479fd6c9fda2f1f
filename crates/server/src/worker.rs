//! One process, thread or loop that serves: its buffers, its clock, its block of the scoreboard.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use proto::{Place, Scratch, Turn};

use crate::alarm::{ALARM, Alarm};
use crate::{Block, Server, board, signals};

/// A worker. Connections borrow its buffers for a step at a time.
#[derive(Debug)]
pub struct Worker {
    /// The server it works for.
    pub server: &'static Server,
    /// Its number, from 0.
    pub number: usize,
    /// The time: of the last receive in blocking workers, of the last wake-up in others.
    pub now: Instant,
    pub(crate) block: &'static Block,
    /// Goes off where it would block for too long.
    pub(crate) alarm: &'static Alarm,
    pub(crate) blocking: bool,
    place: Place,
    input: Vec<u8>,
    scratch: Scratch,
    counted: (u64, u64),
}

impl Worker {
    /// A worker that waits inside its system calls. In a process of its own, the drain reaches it
    /// by signals; see [`Children`](crate::Children).
    pub fn blocking(server: &'static Server, number: usize) -> Worker {
        Worker::new(server, number, true)
    }

    /// A worker that is told of readiness before it calls.
    pub fn ready(server: &'static Server, number: usize) -> Worker {
        Worker::new(server, number, false)
    }

    fn new(server: &'static Server, number: usize, blocking: bool) -> Worker {
        let block = &server.blocks[number];
        block.id.store(os::thread::id(), Ordering::Relaxed);
        // In this order: where the output ends the input begins, and both may be on one page.
        let scratch = Scratch::new(SystemTime::now);
        let input = Vec::with_capacity(server.limits.input_bytes);
        Worker {
            server,
            number,
            now: Instant::now(),
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
            counted: (0, 0),
        }
    }

    /// Makes this worker, in a process forked for it, worker `number`: the drain presses on it from
    /// a signal handler of that process.
    pub fn become_process(&mut self, number: usize) {
        self.number = number;
        self.block = &self.server.blocks[number];
        self.block.is_this_process();
        self.alarm = &self.block.alarm;
        self.place.worker = number as u32;
        signals::join_drain(self.server, self.block);
    }

    /// Says that this thread is the worker from now on.
    pub(crate) fn settle(&self) {
        self.block.id.store(os::thread::id(), Ordering::Relaxed);
    }

    /// Does once, before a fork, what every child would do first; see [`Scratch::warm_up`]. Every
    /// page that a child need not touch is a fault less.
    pub fn warm_up(&mut self) {
        self.tick();
        self.scratch.warm_up(&self.server.limits, self.now);
    }

    /// Reads the clock. Loops do it once a wake-up.
    #[inline]
    pub fn tick(&mut self) {
        self.now = Instant::now();
    }

    /// Brings the scoreboard up to date after a step.
    #[inline]
    pub(crate) fn count(&mut self) {
        let now = (self.scratch.served(), self.scratch.refused());
        if now != self.counted {
            board::add(&self.block.requests, now.0 - self.counted.0);
            board::add(&self.block.refused, now.1 - self.counted.1);
            self.counted = now;
        }
    }

    /// What was received last, and a turn that borrows the rest.
    #[inline]
    pub(crate) fn lend(&mut self) -> (&[u8], Turn<'_>) {
        let turn = Turn {
            now: self.now,
            limits: &self.server.limits,
            service: self.server.service,
            scratch: &mut self.scratch,
            place: &self.place,
            draining: self.server.drain.flag(),
        };
        (&self.input, turn)
    }

    /// Whether so much output is a buffer of a longer body.
    pub(crate) fn is_much(&self, bytes: usize) -> bool {
        bytes >= self.server.limits.unsent_bytes_max
    }

    pub(crate) fn input(&mut self) -> &mut Vec<u8> {
        &mut self.input
    }

    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    pub(crate) fn scratch_mut(&mut self) -> &mut Scratch {
        &mut self.scratch
    }
}
