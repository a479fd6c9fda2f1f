//! A thread for each connection: started for it, and gone with it.
//!
//! A slot is what such a thread needs and the next can use again: a number, its block of the
//! scoreboard, and a worker with its buffers. So a connection costs a clone, and no allocation.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use os::detached::{Body, Spawner};

use crate::board::Holding;
use crate::threads::{Running, STACK_BYTES};
use crate::{Connection, Server, Threads, Worker, log};

/// As many slots as the server has workers.
#[derive(Debug)]
pub struct ThreadSlots {
    room: &'static Room,
    all: &'static [ThreadSlot],
}

/// What all slots share.
#[derive(Debug)]
struct Room {
    threads: Threads,
    spawner: Spawner,
    /// Numbers of the free ones; the last to be left is the first to be taken, as it is warm.
    free: Mutex<Vec<usize>>,
}

/// A place for one thread at a time.
#[derive(Debug)]
pub struct ThreadSlot {
    room: &'static Room,
    server: &'static Server,
    number: usize,
    table: Mutex<Table>,
}

/// What lies before a thread as it begins, and what it leaves.
#[derive(Debug, Default)]
struct Table {
    client: Option<(OwnedFd, Running)>,
    worker: Option<Worker>,
}

impl ThreadSlots {
    /// All free.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn new(server: &'static Server) -> anyhow::Result<ThreadSlots> {
        let room = Box::leak(Box::new(Room {
            threads: Threads::new(server)?,
            spawner: Spawner::new(STACK_BYTES)?,
            free: Mutex::new((0..server.workers).rev().collect()),
        }));
        let slot = |number| ThreadSlot {
            room,
            server,
            number,
            table: Mutex::default(),
        };
        let all: Vec<_> = (0..server.workers).map(slot).collect();
        Ok(ThreadSlots {
            room,
            all: all.leak(),
        })
    }

    /// A free slot. While all are taken this waits, away from the listener; `None` at the end of a drain
    /// that outlasts its grace.
    pub fn free(&self) -> Option<&'static ThreadSlot> {
        loop {
            if let Some(number) = lock(&self.room.free).pop() {
                return Some(&self.all[number]);
            }
            if self.room.threads.is_overdue() {
                return None;
            }
            let has_come = || !lock(&self.room.free).is_empty();
            self.room.threads.wait(has_come);
        }
    }

    /// Waits until all are free, pressing on what the threads hold; see [`Threads::finish`].
    pub fn finish(self) {
        self.room.threads.clone().finish();
    }
}

impl ThreadSlot {
    /// Starts a thread that serves this client to its end.
    ///
    /// # Errors
    /// EAGAIN where the limit of threads is reached: the client is closed, the slot free again.
    pub fn serve(&'static self, socket: OwnedFd) -> std::io::Result<()> {
        let running = self.room.threads.begin();
        {
            let mut table = lock(&self.table);
            // Made by the main thread, so that the thread itself need not allocate: its first
            // allocation would give it an arena of its own.
            table.worker.get_or_insert_with(|| {
                let mut worker = Worker::blocking(self.server, self.number);
                worker.warm_up();
                worker
            });
            table.client = Some((socket, running));
        }
        self.room.spawner.start(self).inspect_err(|_| {
            lock(&self.table).client = None;
            self.leave();
        })
    }

    fn leave(&self) {
        lock(&self.room.free).push(self.number);
    }
}

impl Body for ThreadSlot {
    fn run(&'static self) {
        let Table { client, worker } = std::mem::take(&mut *lock(&self.table));
        let (Some((socket, running)), Some(mut worker)) = (client, worker) else {
            unreachable!("a thread is started when both are there");
        };
        // Dropped from the last to the first: the slot is free before word of it goes out.
        let _running = running;
        let _free = FreeAgain(self);
        let _lost = Lost {
            server: self.server,
            number: self.number,
        };
        worker.settle();
        let connection = Connection::new(socket, &mut worker);
        worker.serve(connection);
        // A worker whose thread panicked is not used again.
        lock(&self.table).worker = Some(worker);
    }
}

/// Gives a slot free when dropped, by a panic too.
struct FreeAgain(&'static ThreadSlot);

impl Drop for FreeAgain {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Dropped by a panic, it says so, and lets go of what its worker held: the connection is closed,
/// and its descriptor may be another's.
struct Lost {
    server: &'static Server,
    number: usize,
}

impl Drop for Lost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.server.blocks[self.number].announce(Holding::Nothing, 0);
            log(format_args!(
                "a worker thread panicked: its connection is lost, the others go on"
            ));
        }
    }
}

/// No lock here is held over anything that can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
