//! A pool that computes for loops: a connection whose request is complete moves from its loop to a
//! thread of the pool, and moves back with its reply.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use server::{Server, Worker};

use crate::watched::Watched;
use crate::{Consumer, Inbox, Mailbox, Producer, Token, inbox, work_queue};

/// A connection on its way to the pool, or back. Its slot in the table of its loop is kept.
#[derive(Debug)]
pub(crate) struct Job {
    pub token: Token,
    pub watched: Watched,
    /// Number of its loop.
    client: usize,
    /// The thread that computed it has panicked.
    pub has_panicked: bool,
}

/// The pool, as its threads see it.
#[derive(Debug, Clone)]
pub struct Pool {
    jobs: Consumer<Job>,
    clients: Arc<[Mailbox<Job>]>,
}

/// The pool, as a loop sees it.
#[derive(Debug)]
pub struct PoolClient {
    pub(crate) number: usize,
    /// How many loops the pool computes for.
    pub(crate) clients: usize,
    jobs: Producer<Job>,
    pub(crate) computed: Inbox<Job>,
    /// Connections that the pool has, and how many it may have.
    in_flight: usize,
    in_flight_max: usize,
    /// What the loop remembers of them, by slot.
    registrations: Vec<Registration>,
    /// Connections that wait until others come back: to be computed, or to be read.
    pub(crate) waiting: VecDeque<Token>,
}

/// How a connection that the pool has is registered with the selector of its loop.
#[derive(Debug, Clone, Copy)]
struct Registration {
    fd: RawFd,
    /// Something has happened on it, so it is not watched until it is back.
    unwatched: bool,
}

/// A pool of `size` threads for so many loops. Each loop may have its share of `queue_max`
/// connections in the queue, in addition to those that are being computed, so the queue is never
/// full.
///
/// # Errors
/// Descriptors have run out.
pub fn pool(
    server: &'static Server,
    loops: usize,
    size: usize,
) -> server::Result<(Vec<PoolClient>, Pool)> {
    let in_flight_max = (server.limits.queue_max + size).div_ceil(loops);
    let (producer, consumer) = work_queue(in_flight_max * loops);
    let (mut clients, mut mailboxes) = (Vec::new(), Vec::new());
    for number in 0..loops {
        let (mailbox, computed) = inbox(in_flight_max)?;
        mailboxes.push(mailbox);
        clients.push(PoolClient {
            number,
            clients: loops,
            jobs: producer.clone(),
            computed,
            in_flight: 0,
            in_flight_max,
            registrations: Vec::new(),
            waiting: VecDeque::new(),
        });
    }
    let pool = Pool {
        jobs: consumer,
        clients: mailboxes.into(),
    };
    Ok((clients, pool))
}

impl Pool {
    /// What a thread of the pool does: computes, and sends back, until every loop has ended.
    pub fn compute(self, server: &'static Server, number: usize) {
        let mut worker = Worker::ready(server, number);
        while let Some(job) = self.jobs.take() {
            worker.count_taken(None); // The session knows since when.
            worker.tick();
            let mut computing = Computing {
                client: &self.clients[job.client],
                job: Some(job),
            };
            if let Some(job) = &mut computing.job {
                job.watched.connection.compute(&mut worker);
            }
        }
    }
}

/// A job that a thread computes. When it is dropped, by a panic too, it goes back to its loop.
struct Computing<'a> {
    job: Option<Job>,
    client: &'a Mailbox<Job>,
}

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        if let Some(mut job) = self.job.take() {
            job.has_panicked = std::thread::panicking();
            // A loop ends after its connections; and its inbox has room for all that are in flight.
            self.client.put(job);
            self.client.wake();
        }
    }
}

impl PoolClient {
    /// Whether nothing has come back.
    pub(crate) fn may_sleep(&self) -> bool {
        self.computed.may_sleep()
    }

    /// After a batch: wakes a thread for the connections that were sent.
    pub(crate) fn wake(&self) {
        self.jobs.wake();
    }

    /// Whether the pool takes no more connections of this loop now.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight >= self.in_flight_max
    }

    /// Sends a connection to the pool, which has room for it.
    pub(crate) fn send(&mut self, token: Token, watched: Watched) {
        self.in_flight += 1;
        self.register(token, watched.connection.as_raw_fd());
        self.jobs.put(Job {
            token,
            watched,
            client: self.number,
            has_panicked: false,
        });
    }

    fn register(&mut self, token: Token, fd: RawFd) {
        let index = token.index() as usize;
        if self.registrations.len() <= index {
            let none = Registration {
                fd: -1,
                unwatched: false,
            };
            self.registrations.resize(index + 1, none);
        }
        self.registrations[index] = Registration {
            fd,
            unwatched: false,
        };
    }

    /// The descriptor of a connection that the pool has, if it is still watched; from now on it is
    /// not.
    pub(crate) fn unwatch(&mut self, token: Token) -> Option<RawFd> {
        let registration = self.registrations.get_mut(token.index() as usize)?;
        let was_watched = !std::mem::replace(&mut registration.unwatched, true);
        was_watched.then_some(registration.fd)
    }

    /// A connection has come back. Whether it is still watched.
    pub(crate) fn came_back(&mut self, token: Token) -> bool {
        self.in_flight -= 1;
        let registration = self.registrations.get(token.index() as usize);
        registration.is_some_and(|registration| !registration.unwatched)
    }
}
