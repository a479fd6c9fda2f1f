//! What goes to the pool and comes back: a connection, and what is to be done with it.

use server::{End, Need, Worker};

use crate::Token;
use crate::watched::Watched;

/// A connection on its way to the pool, or back. Its slot in the table of its loop is kept.
#[derive(Debug)]
pub(crate) struct Job {
    pub token: Token,
    pub watched: Watched,
    /// Number of its loop.
    pub(crate) client: usize,
    pub work: Work,
}

/// What is to be done with a connection in the pool, or was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Its request is complete.
    Compute,
    /// There is room for more of its reply. Only threads that write get this.
    Write,
    /// Its delay is over. Only threads that write get this.
    Expire,
    /// Computed; the loop writes.
    Computed,
    /// Served as far as possible without waiting; this is what it needs next.
    Served(Need),
    /// Another process has answered it so.
    Answered(End),
    /// The thread has panicked, or no thread takes it any more; or the process that had it has died.
    Failed,
}

impl Job {
    /// Does what is to be done, and all that follows from it without waiting for the peer: pipelined
    /// requests are computed one after another, and written as far as the socket takes it.
    #[inline(always)]
    pub(crate) fn serve(&mut self, worker: &mut Worker) {
        worker.count_taken(None); // The session knows since when.
        worker.tick();
        let connection = &mut self.watched.connection;
        let mut need = match self.work {
            Work::Write => connection.step(worker),
            Work::Expire => connection.expire(worker),
            _ => Need::Compute,
        };
        while need == Need::Compute {
            connection.compute(worker);
            need = connection.step(worker);
        }
        self.work = Work::Served(need);
    }
}
