//! Signal-driven I/O: descriptors that report readiness by a signal (`fcntl(2)`, `F_SETSIG`).
//!
//! A real-time signal queues, and carries the number of the descriptor and what poll would say of it.
//! The queue is bounded (`RLIMIT_SIGPENDING`). When it is full the kernel sends one SIGIO instead, and
//! the receiver must check every descriptor. A standard signal does not queue: while one is pending,
//! further ones add nothing to it.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::Errno;
use crate::net::{PollFlags, poll};
use crate::realtime::Blocked;
use crate::select::poll_fd;

/// The real-time signal of a descriptor: one signal per change. Programs may use those from 34 on
/// (`signal(7)`); the first two are left to debuggers and profilers, which often use them.
pub const QUEUED: i32 = 36;

/// The standard signal of a descriptor, of which several may become one. It is one that no program sends, since
/// it is blocked where it is waited for: SIGUSR1 and the like are for users.
pub const COALESCED: i32 = libc::SIGVTALRM;

/// The signal that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoSignal {
    /// [`QUEUED`]: this descriptor has changed. It may be closed by now, and its number that of
    /// another file.
    Ready {
        /// Its number when the signal was sent.
        fd: RawFd,
        /// What `poll` would have said of it then.
        events: PollFlags,
    },
    /// [`COALESCED`]: one or more datagrams have arrived at this descriptor.
    Datagrams {
        /// Its number.
        fd: RawFd,
    },
    /// The queue was full, so changes were not reported.
    Overflow,
    /// None: a handler of another signal has run.
    Interrupted,
    /// None: the time has passed.
    None,
}

/// The signals of the thread that made this value, blocked in it.
#[derive(Debug)]
pub struct Signals {
    blocked: Blocked,
    thread: libc::pid_t,
}

/// `struct f_owner_ex` of `fcntl(2)`, which the libc crate does not have.
#[repr(C)]
struct Owner {
    kind: c_int,
    id: libc::pid_t,
}

const F_SETOWN_EX: c_int = 15;
const F_GETOWN_EX: c_int = 16;
const F_SETSIG: c_int = 10;
const F_OWNER_TID: c_int = 0;

impl Signals {
    /// Blocks the signals in the calling thread: from now on they stay pending until they are taken.
    pub fn block() -> Signals {
        Signals {
            blocked: Blocked::new(&[QUEUED, COALESCED, libc::SIGIO]),
            thread: crate::thread::id() as libc::pid_t,
        }
    }

    /// Makes `fd` non-blocking, and has it send `signal` to this thread whenever it becomes ready.
    /// What has arrived before sends no signal.
    ///
    /// # Errors
    /// EBADF. With an open socket this does not fail.
    pub fn watch(&self, fd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
        let owner = Owner {
            kind: F_OWNER_TID,
            id: self.thread,
        };
        let number = fd.as_raw_fd();
        // SAFETY: F_SETOWN_EX reads the struct it is given, F_SETSIG takes a number.
        let done = unsafe {
            libc::fcntl(number, F_SETOWN_EX, &raw const owner) >= 0
                && libc::fcntl(number, F_SETSIG, signal) >= 0
        };
        if !done {
            return Err(crate::last_errno());
        }
        fcntl_setfl(fd, OFlags::ASYNC | OFlags::NONBLOCK)
    }

    /// Has `fd` forget what another process has made of it: in its signals it would go on to have the number
    /// that it has there.
    pub fn take_over(&self, fd: BorrowedFd<'_>) {
        // Of an open descriptor this does not fail.
        let _ = fcntl_setfl(fd, OFlags::NONBLOCK);
    }

    /// Whether `fd` sends signals. The kernel ignores [`watch`](Self::watch) for a file that cannot.
    pub fn is_watched(&self, fd: BorrowedFd<'_>) -> bool {
        fcntl_getfl(fd).is_ok_and(|flags| flags.contains(OFlags::ASYNC))
    }

    /// Whether the signals of `fd` reach no process: another process has taken it over from this thread, and has
    /// ended.
    pub fn is_deserted(&self, fd: BorrowedFd<'_>) -> bool {
        let owner = owner(fd);
        if (owner.kind, owner.id) == (F_OWNER_TID, self.thread) {
            return !self.is_watched(fd);
        }
        // 0: the kernel knows that it has ended. EPERM: it lives, under another user.
        rustix::process::Pid::from_raw(owner.id)
            .is_none_or(|thread| rustix::process::test_kill_process(thread) == Err(Errno::SRCH))
    }

    /// Has `fd` send `signal` to this thread again, if it is [deserted](Self::is_deserted): whether it was.
    pub fn take_back(&self, fd: BorrowedFd<'_>, signal: i32) -> bool {
        let is_deserted = self.is_deserted(fd);
        if is_deserted {
            self.take_over(fd);
            // Of an open descriptor this does not fail.
            let _ = self.watch(fd, signal);
        }
        is_deserted
    }

    /// Has `fd` send no more signals. Those it has sent already still arrive.
    pub fn unwatch(&self, fd: BorrowedFd<'_>) {
        let owner = owner(fd);
        if (owner.kind, owner.id) != (F_OWNER_TID, self.thread) {
            return; // A listener that a successor watches by now: the flag is one for both.
        }
        // Of an open descriptor this does not fail.
        let _ = fcntl_setfl(fd, OFlags::NONBLOCK);
    }

    /// Takes one signal; waits for it at most `timeout`, without an end if that is `None`.
    #[inline(always)]
    pub fn take(&self, timeout: Option<Duration>) -> IoSignal {
        let taken = self.blocked.take(timeout);
        let (fd, events) = taken.descriptor();
        match taken.signal {
            QUEUED => IoSignal::Ready {
                fd,
                events: PollFlags::from_bits_truncate(events as u16),
            },
            COALESCED => IoSignal::Datagrams { fd },
            libc::SIGIO => IoSignal::Overflow,
            _ if taken.is_interrupted => IoSignal::Interrupted,
            _ => IoSignal::None,
        }
    }
}

/// To whom the signals of `fd` go.
fn owner(fd: BorrowedFd<'_>) -> Owner {
    let mut owner = Owner { kind: 0, id: 0 };
    // SAFETY: F_GETOWN_EX fills the struct it is given.
    unsafe { libc::fcntl(fd.as_raw_fd(), F_GETOWN_EX, &raw mut owner) };
    owner
}

/// Checks every descriptor, as is necessary after an overflow: calls `found` with the number of each
/// that is ready, and what `poll` says of it. Numbers that are not open are skipped.
pub fn sweep(fds: impl Iterator<Item = RawFd>, mut found: impl FnMut(RawFd, PollFlags)) {
    let events = PollFlags::IN | PollFlags::OUT | PollFlags::RDHUP;
    let mut fds: Vec<_> = fds.map(|fd| poll_fd(fd, events)).collect();
    // Without a wait this fails only if there is no memory. Then nothing is found, and the next signal
    // leads here again.
    let _ = poll(&mut fds, Some(Duration::ZERO));
    for fd in &fds {
        if !(fd.revents() - PollFlags::NVAL).is_empty() {
            found(fd.as_fd().as_raw_fd(), fd.revents());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    const SOON: Option<Duration> = Some(Duration::from_secs(5));

    #[test]
    fn a_queued_signal_names_its_descriptor() {
        let signals = Signals::block();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        signals.watch(ours.as_fd(), QUEUED).unwrap();
        theirs.write_all(b"x").unwrap();
        let IoSignal::Ready { fd, events } = signals.take(SOON) else {
            panic!("no signal")
        };
        assert_eq!(fd, ours.as_raw_fd());
        assert!(events.contains(PollFlags::IN));
        signals.unwatch(ours.as_fd());
        theirs.write_all(b"x").unwrap();
        assert_eq!(signals.take(Some(Duration::ZERO)), IoSignal::None);
    }

    #[test]
    fn what_a_thread_takes_over_is_deserted_when_it_has_ended() {
        let signals = Signals::block();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        signals.watch(ours.as_fd(), QUEUED).unwrap();
        assert!(!signals.is_deserted(ours.as_fd()));
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| {
                let others = Signals::block();
                others.take_over(ours.as_fd());
                assert!(signals.is_deserted(ours.as_fd()), "no process watches it");
                others.watch(ours.as_fd(), QUEUED).unwrap();
                assert!(!signals.is_deserted(ours.as_fd()));
            });
            taken.join().unwrap();
        });
        // A thread that was joined may be there for a moment yet.
        let patience = std::time::Instant::now() + Duration::from_secs(5);
        while !signals.is_deserted(ours.as_fd()) {
            assert!(std::time::Instant::now() < patience, "its owner has ended");
            std::thread::yield_now();
        }
        assert!(signals.take_back(ours.as_fd(), QUEUED));
        assert!(!signals.take_back(ours.as_fd(), QUEUED));
        theirs.write_all(b"x").unwrap();
        assert!(matches!(signals.take(SOON), IoSignal::Ready { .. }));
    }

    #[test]
    fn what_coalesces_is_one_signal() {
        let signals = Signals::block();
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        signals.watch(ours.as_fd(), COALESCED).unwrap();
        for _ in 0..3 {
            theirs.send(b"x").unwrap();
        }
        let fd = ours.as_raw_fd();
        assert_eq!(signals.take(SOON), IoSignal::Datagrams { fd });
        assert_eq!(signals.take(Some(Duration::ZERO)), IoSignal::None);
    }
}
