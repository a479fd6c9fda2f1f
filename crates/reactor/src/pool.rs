//! A pool that computes for loops: a connection whose request is whole leaves its loop, is computed
//! in a thread of the pool, and comes back to be written.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use server::{Need, Server, Worker};

use crate::reactor::INBOX;
use crate::reactor::connections::Held;
use crate::{Consumer, Inbox, Interest, Mailbox, Producer, Reactor, Selector, Slots, Token};
use crate::{inbox, work};

/// A connection on its way to the pool, or back. Its place in the loop's table is kept.
#[derive(Debug)]
pub(crate) struct Job {
    token: Token,
    held: Held,
    /// Number of its loop.
    home: usize,
    /// The thread that had it in hand has panicked.
    lost: bool,
}

/// The pool, as its threads see it.
#[derive(Debug, Clone)]
pub struct Pool {
    jobs: Consumer<Job>,
    homes: Arc<[Mailbox<Job>]>,
}

/// The pool, as a loop sees it.
#[derive(Debug)]
pub struct Stage {
    number: usize,
    loops: usize,
    jobs: Producer<Job>,
    returns: Inbox<Job>,
    /// Connections that are away, and how many may be.
    out: usize,
    out_max: usize,
    /// Where those were that are away, by place.
    absent: Vec<Absent>,
    /// Connections that wait until others come back: to be handed out, or to be read.
    lined_up: VecDeque<Token>,
}

/// What the loop remembers of a connection that is away.
#[derive(Debug, Clone, Copy)]
struct Absent {
    fd: RawFd,
    /// Something has happened on it: it is not watched until it is back.
    unwatched: bool,
}

/// A pool of `size` threads for so many loops. Each loop may have its share of `queue_max`
/// connections in the queue beside those in a thread's hands, so the queue is never full.
///
/// # Errors
/// Descriptors have run out.
pub fn pool(
    server: &'static Server,
    loops: usize,
    size: usize,
) -> anyhow::Result<(Vec<Stage>, Pool)> {
    let out_max = (server.limits.queue_max + size).div_ceil(loops);
    let (producer, consumer) = work(out_max * loops);
    let (mut stages, mut homes) = (Vec::new(), Vec::new());
    for number in 0..loops {
        let (home, returns) = inbox(out_max)?;
        homes.push(home);
        stages.push(Stage {
            number,
            loops,
            jobs: producer.clone(),
            returns,
            out: 0,
            out_max,
            absent: Vec::new(),
            lined_up: VecDeque::new(),
        });
    }
    let pool = Pool {
        jobs: consumer,
        homes: homes.into(),
    };
    Ok((stages, pool))
}

impl Pool {
    /// The life of a thread: computes, and sends back, until every loop is gone.
    pub fn compute(self, server: &'static Server, number: usize) {
        let mut worker = Worker::ready(server, number);
        while let Some(job) = self.jobs.take() {
            worker.tick();
            let mut job = InHand {
                home: &self.homes[job.home],
                job: Some(job),
            };
            job.compute(&mut worker);
        }
    }
}

/// A job in a thread's hands. Dropped, by a panic too, it goes home.
struct InHand<'a> {
    job: Option<Job>,
    home: &'a Mailbox<Job>,
}

impl InHand<'_> {
    fn compute(&mut self, worker: &mut Worker) {
        if let Some(job) = &mut self.job {
            job.held.connection.compute(worker);
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(mut job) = self.job.take() {
            job.lost = std::thread::panicking();
            // A loop outlives its connections, so it is there; and it has room for all that are out.
            self.home.put(job);
            self.home.wake();
        }
    }
}

impl Stage {
    pub(crate) fn may_sleep(&self) -> bool {
        self.returns.may_sleep()
    }

    /// After a batch: wakes a thread for what was handed out.
    pub(crate) fn wake(&self) {
        self.jobs.wake();
    }

    fn is_full(&self) -> bool {
        self.out >= self.out_max
    }

    fn absent(&mut self, token: Token) -> Option<&mut Absent> {
        self.absent.get_mut(token.index() as usize)
    }

    fn remember(&mut self, token: Token, fd: RawFd) {
        let index = token.index() as usize;
        if self.absent.len() <= index {
            let nobody = Absent {
                fd: -1,
                unwatched: false,
            };
            self.absent.resize(index + 1, nobody);
        }
        self.absent[index] = Absent {
            fd,
            unwatched: false,
        };
    }
}

impl Reactor {
    /// Has requests computed by a pool. To be called before anything is accepted.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn staged(mut self, stage: Stage) -> anyhow::Result<Reactor> {
        self.selector.add_waker(stage.returns.waker(), INBOX)?;
        let max = self.server.connections_max_of(stage.number, stage.loops);
        self.held = Slots::new(max);
        self.stage = Some(stage);
        Ok(self)
    }
}

impl<S: Selector> Reactor<S> {
    /// Whether connections wait for others to come back from the pool: then nothing more is read or
    /// accepted.
    #[inline]
    pub(crate) fn is_backed_up(&self) -> bool {
        let stage = self.stage.as_ref();
        stage.is_some_and(|stage| !stage.lined_up.is_empty())
    }

    /// Gives a connection to the pool, now or when there is room.
    pub(crate) fn hand_out(&mut self, token: Token) {
        let Some(stage) = &mut self.stage else {
            return;
        };
        if stage.is_full() {
            stage.lined_up.push_back(token);
            self.shut_listeners();
            return;
        }
        let Some(held) = self.held.lend(token) else {
            return;
        };
        stage.out += 1;
        stage.remember(token, held.connection.as_raw_fd());
        let job = Job {
            token,
            held,
            home: stage.number,
            lost: false,
        };
        stage.jobs.put(job);
    }

    /// A connection would be read while others wait for the pool: it waits behind them.
    pub(crate) fn line_up(&mut self, token: Token) {
        self.watch(token, Interest::Nothing);
        if let Some(stage) = &mut self.stage {
            stage.lined_up.push_back(token);
        }
    }

    /// Something has happened on a connection that is away. The set would report it again and again
    /// (a hang-up even if nothing was asked for), so it leaves the set until it is back.
    pub(crate) fn unwatch(&mut self, token: Token) {
        let is_away = self.held.is_lent(token);
        let Some(absent) = self.stage.as_mut().and_then(|stage| stage.absent(token)) else {
            return;
        };
        if is_away && !absent.unwatched {
            absent.unwatched = true;
            os::net::with_number(absent.fd, |fd| self.selector.remove(fd));
        }
    }

    /// Takes back what the pool has computed, and writes it.
    pub(crate) fn take_back(&mut self) {
        let Some(stage) = &self.stage else {
            return;
        };
        stage.returns.awake();
        while let Some(job) = self.stage.as_mut().and_then(|stage| stage.returns.take()) {
            self.come_back(job);
        }
        self.let_in();
    }

    fn come_back(&mut self, job: Job) {
        let Job {
            token, held, lost, ..
        } = job;
        let unwatched = self.stage.as_mut().is_some_and(|stage| {
            stage.out -= 1;
            stage.absent(token).is_some_and(|absent| absent.unwatched)
        });
        let held = self.held.give_back(token, held);
        held.need = Need::Writable;
        self.wheel.forget_if_past(&mut held.timer);
        if unwatched {
            held.interest = Interest::Nothing;
            let number = token.number();
            if self
                .selector
                .add(&held.connection, number, Interest::Nothing)
                .is_err()
            {
                self.end(token); // Out of kernel memory: it could never be woken again.
                return;
            }
        }
        let need = match lost {
            true => Need::Closed,
            false => held.connection.step(&mut self.worker),
        };
        self.settle(token, need);
    }

    /// Those who wait go on, as far as there is room.
    fn let_in(&mut self) {
        if !self.is_backed_up() {
            return;
        }
        while let Some(stage) = self.stage.as_mut().filter(|stage| !stage.is_full()) {
            let Some(token) = stage.lined_up.pop_front() else {
                self.open_listeners();
                return;
            };
            match self.held.get_mut(token).map(|held| held.need) {
                Some(Need::Compute) => self.hand_out(token),
                Some(Need::Readable) => self.watch(token, Interest::Read),
                _ => {} // It has gone meanwhile, or needs something else.
            }
        }
    }
}
