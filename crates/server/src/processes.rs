//! Worker processes: how the parent forks, reaps, replaces and drains them.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use os::Errno;
use os::process::{Ended, Fork, Pid, Signal, exit_now, fork, kill, reap};

use crate::drain::TIME_TO_EXIT;
use crate::observe::helper;
use crate::{Backoff, Server, Topic, Worker, log, repeated, signals};

/// The children of a parent, each of which is a worker.
#[derive(Debug)]
pub struct Children {
    server: &'static Server,
    /// By process id: the worker number, and when the child was forked.
    numbers: HashMap<Pid, (usize, Instant)>,
    /// Worker numbers without a child.
    free: Vec<usize>,
    drain_signalled: bool,
}

/// What the child gets from a fork. It serves as worker `number`, and then calls
/// [`end`](ServingChild::end).
#[derive(Debug)]
pub struct ServingChild {
    server: &'static Server,
    /// The number of the worker.
    pub number: usize,
}

impl ServingChild {
    /// The worker that this process is, for one that waits for readiness or for other processes.
    pub fn worker(&self) -> Worker {
        let worker = Worker::ready(self.server, self.number);
        signals::join_drain(self.server, &self.server.blocks[self.number]);
        worker
    }

    /// Says that this child can serve: with the first that can, the server is ready.
    pub fn ready(&self) {
        self.server.board.has_worker.store(true, Ordering::SeqCst);
    }

    /// Ends the process, after what the service has built in it.
    pub fn end(self) -> ! {
        self.server.end_service();
        exit_now(0)
    }

    /// Logs the error and ends the process with an error code. The parent replaces it after a pause.
    pub fn fail(self, error: &crate::Error) -> ! {
        log(format_args!("worker {}: {error}", self.number));
        exit_now(1)
    }
}

/// How the life of a child went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It has ended because it was to be replaced.
    Planned,
    /// It has ended by itself, so long after its fork.
    Crashed(Duration),
}

/// If a child ends sooner than this, its replacement will probably end as soon: a pause comes before it.
const CRASH_LOOP_BELOW: Duration = Duration::from_secs(1);

/// How often the parent looks whether its first child can serve. Afterwards it looks no more.
const LOOK_EVERY: Duration = Duration::from_millis(1);

impl Children {
    /// No children yet; there may be as many as the server has workers.
    ///
    /// Returns freed memory to the kernel first, since every fork would copy its pages.
    pub fn new(server: &'static Server) -> Children {
        Children::numbered(server, server.workers)
    }

    /// The same with the [front](crate::Front), whose number is that of the first [extra
    /// thread](Server::extra_thread), and as many more as there are extra threads.
    pub fn with_front(server: &'static Server) -> Children {
        Children::numbered(server, server.blocks.len())
    }

    fn numbered(server: &'static Server, count: usize) -> Children {
        os::process::trim_heap();
        Children {
            server,
            numbers: HashMap::new(),
            free: (0..count).rev().collect(),
            drain_signalled: false,
        }
    }

    /// Whether there are as many as there may be.
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// The worker number of the next child. `None`: there may be no more.
    pub fn next_number(&self) -> Option<usize> {
        self.free.last().copied()
    }

    /// Forks a child with the next free number. Returns `Some` in the child, `None` in the parent.
    ///
    /// # Errors
    /// EAGAIN or ENOMEM from fork. The number stays free.
    ///
    /// # Panics
    /// If [`is_full`](Self::is_full).
    pub fn fork(&mut self) -> Result<Option<ServingChild>, Errno> {
        let number = self
            .next_number()
            .expect("the caller has checked that there may be more");
        match fork()? {
            Fork::Child => {
                let server = self.server;
                // A loop has no other moment for it; other workers become a process by themselves.
                if !server.may_wait_to_send {
                    server.blocks[number].become_this_process();
                }
                Ok(Some(ServingChild { server, number }))
            }
            Fork::Parent(pid) => {
                self.free.pop();
                self.numbers.insert(pid, (number, Instant::now()));
                Ok(None)
            }
        }
    }

    /// Forks the child with this number, if it is free: `Ok(None)` in the parent, and if it is not.
    ///
    /// # Errors
    /// EAGAIN or ENOMEM from fork. The number stays free.
    pub fn fork_number(&mut self, number: usize) -> Result<Option<ServingChild>, Errno> {
        let Some(at) = self.free.iter().position(|free| *free == number) else {
            return Ok(None);
        };
        let last = self.free.len() - 1;
        self.free.swap(at, last);
        self.fork()
    }

    /// Reaps all children that have ended (one SIGCHLD may stand for several). Their numbers are free then.
    pub fn reap_ended(&mut self) {
        self.reap_each(|_, _| {});
    }

    /// The same, and `on_end` is told the number of each, and whether it has ended well.
    pub fn reap_each(&mut self, mut on_end: impl FnMut(usize, bool)) {
        while let Ok(Some((pid, ended))) = reap(false) {
            if let Some((number, well)) = self.take_note_of_number(pid, ended) {
                on_end(number, well);
            }
        }
    }

    /// Waits until one child ends: its number, and whether it has ended well. `None`: a handler of a signal
    /// has run, or there are no children.
    pub fn wait_for_number(&mut self) -> Option<(usize, bool)> {
        let (pid, ended) = reap(true).ok().flatten()?;
        self.take_note_of_number(pid, ended)
    }

    fn take_note_of_number(&mut self, pid: Pid, ended: Ended) -> Option<(usize, bool)> {
        let number = self.numbers.get(&pid).map(|(number, _)| *number);
        self.take_note(pid, ended);
        number.map(|number| (number, ended == Ended::Exited(0)))
    }

    /// Waits until one child ends. `None`: a handler of a signal has run, or there are no children.
    pub fn wait(&mut self) -> Option<Life> {
        let (pid, ended) = reap(true).ok().flatten()?;
        self.take_note(pid, ended)
    }

    /// Takes note of a child that was reaped, and returns how its life went.
    fn take_note(&mut self, pid: Pid, ended: Ended) -> Option<Life> {
        let Some((number, born)) = self.numbers.remove(&pid) else {
            if helper::was(pid.as_raw_nonzero().get() as u32) {
                log(format_args!(
                    "the helper process ended: {ended:?}; metrics and access log end with it"
                ));
            }
            return None;
        };
        let was_retired = ended == Ended::Exited(0) && self.server.has_retired(number);
        self.server.blocks[number].mark_ended();
        self.server.forget_worker(number);
        self.free.push(number);
        let is_drained = self.server.drain.has_begun();
        if ended != Ended::Exited(0) && !is_drained {
            repeated(
                Topic::WorkerEnded,
                format_args!(
                    "worker {number} (process {}) ended: {ended:?}",
                    pid.as_raw_nonzero()
                ),
            );
        }
        if was_retired {
            self.server.board.retired.fetch_add(1, Ordering::Relaxed);
            return Some(Life::Planned);
        }
        Some(Life::Crashed(born.elapsed()))
    }

    /// Forks a child for each worker, and replaces those that end, until the drain. Returns `Some` in each
    /// child, `None` in the parent.
    ///
    /// If children end soon after their fork, the parent pauses before it replaces them. The pause doubles
    /// up to a limit, so that a crash loop does not use up the CPU.
    pub fn supervise(&mut self) -> Option<ServingChild> {
        let mut backoff = Backoff::new(self.server.limits.respawn_pause_ms_max);
        // Not all children can be had now.
        let mut is_short = false;
        while !self.server.drain.has_begun() {
            let can_serve = self.server.board.has_worker.load(Ordering::SeqCst);
            if can_serve && (self.is_full() || is_short) {
                self.server.ready();
            }
            if !self.is_full() {
                match self.fork() {
                    Ok(Some(child)) => return Some(child),
                    Ok(None) => {}
                    Err(error) => {
                        is_short = true;
                        repeated(
                            Topic::Fork,
                            format_args!("fork: {error}; it is tried again"),
                        );
                        let _ = self.server.wait_for_drain(backoff.pause());
                    }
                }
                continue;
            }
            if !can_serve {
                let pause = self.reap_to_replace(&mut backoff);
                let _ = self.server.wait_for_drain(pause.max(LOOK_EVERY));
                continue;
            }
            if let Some(life) = self.wait() {
                let pause = self.pause_after(life, &mut backoff);
                if !pause.is_zero() {
                    let _ = self.server.wait_for_drain(pause);
                }
            }
        }
        self.await_children();
        // Children that were told to end alone leave the backlog to others. If the drain finds no other, it
        // needs one more.
        let board = self.server.board;
        if board.is_emptied.load(Ordering::SeqCst) || self.server.drain.leaves_listeners() {
            return None;
        }
        self.fork().ok().flatten()
    }

    /// Reaps all children that have ended, and returns how long to pause before replacing them. For a parent
    /// that does other things meanwhile.
    pub fn reap_to_replace(&mut self, backoff: &mut Backoff) -> Duration {
        let mut longest = Duration::ZERO;
        while let Ok(Some((pid, ended))) = reap(false) {
            if let Some(life) = self.take_note(pid, ended) {
                longest = longest.max(self.pause_after(life, backoff));
            }
        }
        longest
    }

    /// How long to pause before replacing a child.
    fn pause_after(&self, life: Life, backoff: &mut Backoff) -> Duration {
        let Life::Crashed(lived) = life else {
            return Duration::ZERO;
        };
        if self.server.drain.has_begun() {
            return Duration::ZERO; // It was told to end as well, and is not replaced.
        }
        self.server.board.respawned.fetch_add(1, Ordering::Relaxed);
        if lived < CRASH_LOOP_BELOW {
            return backoff.pause();
        }
        backoff.reset();
        Duration::ZERO
    }

    /// Sends SIGTERM to all children, once. Children that are forked later find the drain begun.
    pub fn signal_drain(&mut self) {
        if !std::mem::replace(&mut self.drain_signalled, true) {
            self.numbers.keys().for_each(|&pid| kill(pid, Signal::TERM));
        }
    }

    /// Drains all children: sends SIGTERM, waits until they have ended, and kills those that have not ended
    /// after the grace.
    pub fn drain(mut self) {
        self.await_children();
    }

    fn await_children(&mut self) {
        self.signal_drain();
        let mut killed = false;
        while !self.numbers.is_empty() {
            self.wait(); // SIGALRM interrupts it every 50 ms.
            let overdue = self.server.drain.began().is_some_and(|began| {
                Instant::now() > self.server.drain.grace_ends(began) + TIME_TO_EXIT
            });
            if overdue {
                if !std::mem::replace(&mut killed, true) {
                    // These children are stuck in a service. Their connections are cut with them.
                    self.server.count_open_as_cut();
                }
                self.numbers.keys().for_each(|&pid| kill(pid, Signal::KILL));
            }
        }
    }
}
