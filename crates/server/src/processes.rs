//! Worker processes: forked, reaped, replaced, drained.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use os::Errno;
use os::process::{Ended, Fork, Pid, Signal, exit_now, fork, kill, reap};

use crate::drain::TIME_TO_EXIT;
use crate::{Backoff, Server, log};

/// The children of a serving parent, by the number of the worker each of them is.
#[derive(Debug)]
pub struct Children {
    server: &'static Server,
    numbers: HashMap<Pid, (usize, Instant)>,
    free: Vec<usize>,
    told: bool,
}

/// What a fork came to, in the child: the number of the worker it is. It serves, then calls
/// [`end`](ServingChild::end).
#[derive(Debug)]
pub struct ServingChild {
    /// Its number.
    pub number: usize,
}

impl ServingChild {
    /// Ends the process.
    pub fn end(self) -> ! {
        exit_now(0)
    }

    /// Ends the process for a failure of its own: the parent replaces it, after a pause.
    pub fn fail(self, error: &anyhow::Error) -> ! {
        log(format_args!("worker {}: {error:#}", self.number));
        exit_now(1)
    }
}

/// A child that lives shorter than this died of something that a replacement may die of as well.
const CRASH_LOOP: Duration = Duration::from_secs(1);

impl Children {
    /// None yet; at most as many as the server has workers.
    ///
    /// What starting has left of free memory goes back to the kernel: every fork would copy it.
    pub fn new(server: &'static Server) -> Children {
        os::process::trim_heap();
        Children {
            server,
            numbers: HashMap::new(),
            free: (0..server.workers).rev().collect(),
            told: false,
        }
    }

    /// Whether there may be no more.
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// The number that the next child will have, if there may be one.
    pub fn next_number(&self) -> Option<usize> {
        self.free.last().copied()
    }

    /// Forks a child with the next free number: `Some` in the child, `None` in the parent.
    ///
    /// # Errors
    /// EAGAIN or ENOMEM from fork. The number stays free.
    ///
    /// # Panics
    /// If [`is_full`](Self::is_full).
    pub fn fork(&mut self) -> Result<Option<ServingChild>, Errno> {
        let number = self
            .next_number()
            .expect("the caller has looked whether there may be more");
        match fork()? {
            Fork::Child => Ok(Some(ServingChild { number })),
            Fork::Parent(pid) => {
                self.free.pop();
                self.numbers.insert(pid, (number, Instant::now()));
                Ok(None)
            }
        }
    }

    /// Reaps every child that has ended by now (SIGCHLD coalesces), and gives their numbers free.
    pub fn reap_ended(&mut self) {
        while let Ok(Some((pid, ended))) = reap(false) {
            self.bury(pid, ended);
        }
    }

    /// Waits for one child to end; returns early when a signal was handled. What it lived, if one did.
    pub fn wait(&mut self) -> Option<Duration> {
        let (pid, ended) = reap(true).ok().flatten()?;
        self.bury(pid, ended)
    }

    fn bury(&mut self, pid: Pid, ended: Ended) -> Option<Duration> {
        let (number, born) = self.numbers.remove(&pid)?;
        self.server.blocks[number].bury();
        self.free.push(number);
        if ended != Ended::Exited(0) && !self.server.drain.has_begun() {
            log(format_args!(
                "worker {number} (process {}) ended: {ended:?}",
                pid.as_raw_nonzero()
            ));
        }
        Some(born.elapsed())
    }

    /// Forks until none is free, then replaces whatever dies, until the drain: `Some` in a child.
    ///
    /// A child that dies young is replaced after a pause that doubles up to the limit, so that a
    /// crash loop does not take the machine.
    pub fn keep(&mut self) -> Option<ServingChild> {
        let mut backoff = Backoff::new(self.server.limits.respawn_pause_ms_max);
        while !self.server.drain.has_begun() {
            if !self.is_full() {
                match self.fork() {
                    Ok(Some(child)) => return Some(child),
                    Ok(None) => {}
                    Err(error) => {
                        if backoff.is_fresh() {
                            log(format_args!("fork: {error}; trying again"));
                        }
                        let _ = self.server.wait_for_drain(backoff.pause());
                    }
                }
                continue;
            }
            if let Some(lived) = self.wait() {
                let pause = self.pause_after(lived, &mut backoff);
                if !pause.is_zero() {
                    let _ = self.server.wait_for_drain(pause);
                }
            }
        }
        // A drain that finds no child needs one, for what waits in the backlog.
        if self.numbers.is_empty() {
            return self.fork().ok().flatten();
        }
        None
    }

    /// Reaps every child that has ended by now, for a parent that replaces them while it does other
    /// things: how long it should leave that.
    pub fn reap_to_replace(&mut self, backoff: &mut Backoff) -> Duration {
        let mut longest = Duration::ZERO;
        while let Ok(Some((pid, ended))) = reap(false) {
            if let Some(lived) = self.bury(pid, ended) {
                longest = longest.max(self.pause_after(lived, backoff));
            }
        }
        longest
    }

    /// How long to leave the place empty of a child that lived this long.
    fn pause_after(&self, lived: Duration, backoff: &mut Backoff) -> Duration {
        self.server.board.respawned.fetch_add(1, Ordering::Relaxed);
        if lived < CRASH_LOOP {
            return backoff.pause();
        }
        backoff.reset();
        Duration::ZERO
    }

    /// Passes the signal to drain on, once. Children forked later know of the drain from the start.
    pub fn tell_to_drain(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            self.numbers.keys().for_each(|&pid| kill(pid, Signal::TERM));
        }
    }

    /// Tells all to drain, waits until they have, and kills those that outstay the grace.
    pub fn drain(mut self) {
        self.tell_to_drain();
        let mut killed = false;
        while !self.numbers.is_empty() {
            self.wait(); // The drain's tick interrupts it.
            let overdue = self.server.drain.began().is_some_and(|began| {
                Instant::now() > self.server.drain.grace_ends(began) + TIME_TO_EXIT
            });
            if overdue {
                if !std::mem::replace(&mut killed, true) {
                    // Stuck in a service: what such a loop still holds, nobody else can cut.
                    self.server.count_open_as_cut();
                }
                self.numbers.keys().for_each(|&pid| kill(pid, Signal::KILL));
            }
        }
    }
}
