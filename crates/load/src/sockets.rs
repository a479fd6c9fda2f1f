//! Sockets that outlive a run: the next slice goes on with them.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// The sockets that go from one slice to the next, by thread.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    threads: Mutex<Vec<Vec<OwnedFd>>>,
    /// How many of them the slice has taken over.
    taken: AtomicUsize,
}

impl Sockets {
    /// The sockets that thread number `thread` is to go on with, without those whose peer has closed
    /// or has sent bytes that were not asked for.
    pub(crate) fn take(&self, thread: usize) -> Vec<OwnedFd> {
        let mut kept = self.kept(thread, std::mem::take);
        kept.retain(is_quiet);
        self.taken.fetch_add(kept.len(), Ordering::Relaxed);
        kept
    }

    /// Keeps the sockets of a thread that have nothing in flight.
    pub(crate) fn keep(&self, thread: usize, idle: Vec<OwnedFd>) {
        self.kept(thread, |kept| *kept = idle);
    }

    /// How many were taken since the last call.
    pub(crate) fn count_taken(&self) -> usize {
        self.taken.swap(0, Ordering::Relaxed)
    }

    fn kept<T>(&self, thread: usize, with: impl FnOnce(&mut Vec<OwnedFd>) -> T) -> T {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() <= thread {
            threads.resize_with(thread + 1, Vec::new);
        }
        with(&mut threads[thread])
    }
}

/// Whether the peer of an idle connection keeps it open and silent.
fn is_quiet(socket: &OwnedFd) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    matches!(recv(socket, &mut [0_u8; 1][..], flags), Err(Errno::AGAIN))
}
