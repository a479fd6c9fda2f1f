//! A pool that works for loops: a connection whose request is complete moves from its loop to a
//! thread of the pool, and moves back with its reply. What of the work is done there is the model's
//! choice: [computing](Pool::compute) alone, or all that may take time, so that the loop is a
//! [front](crate::front).

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use server::{Client, Server, Worker};

use crate::edge::Seen;
use crate::front::links::FrontLinks;
use crate::front::passing::Passing;
use crate::job::{Job, Work};
use crate::watched::Watched;
use crate::{Consumer, Inbox, Mailbox, Producer, Ready, Token, inbox, work_queue};

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
    /// The threads write, too; the loop waits until they can.
    pub(crate) writes: bool,
    /// There are no threads: requests are passed to other processes.
    pub(crate) passing: Option<Box<Passing>>,
}

/// How a connection that the pool has is registered with the selector of its loop.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Registration {
    fd: RawFd,
    /// Something has happened on it, so it is not watched until it is back.
    pub unwatched: bool,
    /// What has happened on it, if the selector reports changes.
    pub seen: Seen,
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
            writes: false,
            passing: None,
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
            let mut returning = self.returning(job);
            if let Some(job) = &mut returning.job {
                job.watched.connection.compute(&mut worker);
                job.work = Work::Computed;
            }
        }
    }

    /// What a thread behind a [front](crate::front) does: serves, and sends back, until every loop has
    /// ended.
    pub fn serve(self, server: &'static Server, number: usize) {
        let mut worker = Worker::ready(server, number);
        while let Some(job) = self.jobs.take() {
            let mut returning = self.returning(job);
            if let Some(job) = &mut returning.job {
                job.serve(&mut worker);
            }
        }
    }

    fn returning(&self, job: Job) -> Returning<'_> {
        Returning {
            job: Some(job),
            clients: &self.clients,
        }
    }

    /// Waits for a connection that has something to do. `None`: every loop has ended.
    pub fn take(&self) -> Option<Taken> {
        self.jobs.take().map(|job| Taken {
            job: Some(job),
            clients: Arc::clone(&self.clients),
        })
    }
}

/// A job that a thread has. When this is dropped, by a panic too, it goes back to its loop.
struct Returning<'a> {
    job: Option<Job>,
    clients: &'a [Mailbox<Job>],
}

impl Drop for Returning<'_> {
    fn drop(&mut self) {
        give_back(self.job.take(), self.clients);
    }
}

/// A connection that has something to do, for the [thread](server::ThreadSlots) that is started for it.
/// When this is dropped, the connection goes back to its loop; unless it was served it is closed there.
#[derive(Debug)]
pub struct Taken {
    job: Option<Job>,
    clients: Arc<[Mailbox<Job>]>,
}

impl Client for Taken {
    fn worker(server: &'static Server, number: usize) -> Worker {
        Worker::ready(server, number)
    }

    fn serve(mut self, worker: &mut Worker) {
        if let Some(job) = &mut self.job {
            job.serve(worker);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back(self.job.take(), &self.clients);
    }
}

fn give_back(job: Option<Job>, clients: &[Mailbox<Job>]) {
    if let Some(mut job) = job {
        if std::thread::panicking() || !matches!(job.work, Work::Computed | Work::Served(_)) {
            job.work = Work::Failed;
        }
        // A loop ends after its connections; and its inbox has room for all that are in flight.
        let client = &clients[job.client];
        client.put(job);
        client.wake();
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

    /// Whether connections wait for others to come back.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the pool takes no more connections of this loop now.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight >= self.in_flight_max
    }

    /// The same for a pool whose threads [serve](Pool::serve).
    pub fn writing(mut self) -> PoolClient {
        self.writes = true;
        self
    }

    /// The same where requests are passed to other processes; see [`Passing::new`].
    pub(crate) fn passing(
        mut self,
        server: &'static Server,
        pool: Pool,
        links: FrontLinks,
        forks: bool,
    ) -> PoolClient {
        let passing = Passing::new(server, links, pool.jobs, forks);
        self.passing = Some(Box::new(passing));
        self
    }

    /// Sends a connection to the pool, which has room for it.
    pub(crate) fn send(&mut self, token: Token, watched: Watched, work: Work) {
        self.in_flight += 1;
        self.register(token, watched.connection.as_raw_fd());
        self.jobs.put(Job {
            token,
            watched,
            client: self.number,
            work,
        });
    }

    fn register(&mut self, token: Token, fd: RawFd) {
        let index = token.index() as usize;
        if self.registrations.len() <= index {
            self.registrations
                .resize(index + 1, Registration::default());
        }
        self.registrations[index] = Registration {
            fd,
            ..Registration::default()
        };
    }

    /// The descriptor of a connection that the pool has, if it is still watched; from now on it is
    /// not.
    pub(crate) fn unwatch(&mut self, token: Token) -> Option<RawFd> {
        let registration = self.registrations.get_mut(token.index() as usize)?;
        let was_watched = !std::mem::replace(&mut registration.unwatched, true);
        was_watched.then_some(registration.fd)
    }

    /// Remembers an event of a connection that the pool has.
    pub(crate) fn remember(&mut self, token: Token, ready: &Ready) {
        if let Some(registration) = self.registrations.get_mut(token.index() as usize) {
            let seen = &mut registration.seen;
            seen.readable |= ready.readable;
            seen.writable |= ready.writable;
            seen.ended |= ready.half_closed || ready.hung_up;
        }
    }

    /// So many connections that are not back delay no others any more.
    pub(crate) fn leave_places(&mut self, count: isize) {
        self.in_flight = self.in_flight.saturating_add_signed(-count);
    }

    /// A connection has come back.
    pub(crate) fn came_back(&mut self, token: Token) -> Registration {
        self.in_flight -= 1;
        let registration = self.registrations.get(token.index() as usize);
        registration.copied().unwrap_or_default()
    }
}
