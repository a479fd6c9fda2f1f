//! A thread for each client, which ends with it.
//!
//! A slot has what such a thread needs and the next one can use again: a worker number with its block of
//! the scoreboard, and a worker with its buffers. So a new connection costs a `clone(2)`, and no
//! allocation.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use os::detached::{Body, Spawner};

use crate::board::Activity;
use crate::threads::{Running, STACK_BYTES};
use crate::{Connection, Server, Threads, Worker, log};

/// Whom a thread serves, from its beginning to its end.
pub trait Client: Send + std::fmt::Debug + 'static {
    /// Makes the worker of a slot, which all its threads use one after another.
    fn worker(server: &'static Server, number: usize) -> Worker;

    /// Serves the client.
    fn serve(self, worker: &mut Worker);
}

/// A connection, from its first byte to its close.
impl Client for OwnedFd {
    fn worker(server: &'static Server, number: usize) -> Worker {
        Worker::blocking(server, number)
    }

    #[inline(always)]
    fn serve(self, worker: &mut Worker) {
        let connection = Connection::new(self, worker);
        worker.serve(connection);
    }
}

/// As many slots as the server has workers.
#[derive(Debug)]
pub struct ThreadSlots<C: Client = OwnedFd> {
    shared: &'static Shared,
    slots: &'static [ThreadSlot<C>],
}

/// What all slots share.
#[derive(Debug)]
struct Shared {
    threads: Threads,
    spawner: Spawner,
    /// Numbers of the free slots. The one that was freed last is used first: its memory is in the cache.
    free: Mutex<Vec<usize>>,
}

/// A slot for one thread at a time.
#[derive(Debug)]
pub struct ThreadSlot<C: Client = OwnedFd> {
    shared: &'static Shared,
    server: &'static Server,
    number: usize,
    handover: Mutex<Handover<C>>,
}

/// What a thread takes when it begins. When it ends, it returns the worker.
#[derive(Debug)]
struct Handover<C> {
    client: Option<(C, Running)>,
    worker: Option<Worker>,
}

impl<C: Client> ThreadSlots<C> {
    /// As many free slots as the server has workers.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new(server: &'static Server) -> crate::Result<ThreadSlots<C>> {
        let shared = Box::leak(Box::new(Shared {
            threads: Threads::new(server)?,
            spawner: Spawner::new(STACK_BYTES)?,
            free: Mutex::new((0..server.workers).rev().collect()),
        }));
        let slot = |number| ThreadSlot {
            shared,
            server,
            number,
            handover: Mutex::new(Handover {
                client: None,
                worker: None,
            }),
        };
        let slots: Vec<_> = (0..server.workers).map(slot).collect();
        Ok(ThreadSlots {
            shared,
            slots: slots.leak(),
        })
    }

    /// A free slot. Waits while there is none, and meanwhile no connection is accepted. `None`: the grace of
    /// a drain is over, and none has become free.
    pub fn free(&self) -> Option<&'static ThreadSlot<C>> {
        loop {
            if let Some(number) = lock(&self.shared.free).pop() {
                return Some(&self.slots[number]);
            }
            if self.shared.threads.are_overdue() {
                return None;
            }
            let is_free = || !lock(&self.shared.free).is_empty();
            self.shared.threads.wait(is_free);
        }
    }

    /// The threads, for the caller to start others.
    pub fn threads(&self) -> &Threads {
        &self.shared.threads
    }

    /// Waits until all threads have ended; see [`Threads::finish`].
    pub fn finish(self) {
        self.shared.threads.clone().finish();
    }
}

impl<C: Client> ThreadSlot<C> {
    /// Starts a thread that serves this client.
    ///
    /// # Errors
    /// EAGAIN: the limit of threads is reached. The client comes back, and the slot is free.
    pub fn serve(&'static self, client: C) -> Result<(), (std::io::Error, Option<C>)> {
        let running = self.shared.threads.count_one();
        {
            let mut handover = lock(&self.handover);
            // Created here in the main thread. If the new thread allocated, malloc would create an arena
            // for it.
            handover.worker.get_or_insert_with(|| {
                let mut worker = C::worker(self.server, self.number);
                worker.warm_up();
                worker
            });
            handover.client = Some((client, running));
        }
        self.shared.spawner.start(self).map_err(|error| {
            let client = lock(&self.handover).client.take();
            self.set_free();
            (error, client.map(|(client, _)| client))
        })
    }

    fn set_free(&self) {
        lock(&self.shared.free).push(self.number);
    }
}

impl<C: Client> Body for ThreadSlot<C> {
    fn run(&'static self) {
        let (client, worker) = {
            let mut handover = lock(&self.handover);
            (handover.client.take(), handover.worker.take())
        };
        let (Some((client, running)), Some(mut worker)) = (client, worker) else {
            unreachable!("`serve` sets both before it starts a thread");
        };
        // Dropped in reverse order: the slot is free before the main thread is woken.
        let _running = running;
        let _free = FreeOnDrop(self);
        let _panic = PanicGuard {
            server: self.server,
            number: self.number,
        };
        worker.bind_to_thread();
        client.serve(&mut worker);
        // Not reached after a panic: the next thread gets a new worker.
        lock(&self.handover).worker = Some(worker);
    }
}

/// Frees a slot when dropped, after a panic too.
struct FreeOnDrop<C: Client>(&'static ThreadSlot<C>);

impl<C: Client> Drop for FreeOnDrop<C> {
    fn drop(&mut self) {
        self.0.set_free();
    }
}

/// Logs a panic of its thread. The connection is closed by then, and the worker must not announce its
/// descriptor any more.
struct PanicGuard {
    server: &'static Server,
    number: usize,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.server.blocks[self.number].announce(Activity::None, 0);
            log(format_args!(
                "a worker thread panicked: its connection is closed, the others go on"
            ));
        }
    }
}

/// While one of these locks is held, nothing can panic, so a poisoned one can be used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
