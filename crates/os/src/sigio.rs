//! Signal-driven I/O: descriptors that tell of news by a signal (fcntl(2), `F_SETSIG`).
//!
//! A real-time signal queues, with the number of the descriptor and what is new about it. The queue
//! is bounded (`RLIMIT_SIGPENDING`); when it is full the kernel sends SIGIO instead, once, and
//! whoever sleeps must look at every descriptor. A standard signal does not queue: what comes while
//! it is pending is part of it.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::Errno;
use crate::net::PollFlags;
use crate::time::Timeout;

/// The real-time signal that carries the news of one descriptor, one signal a change. Programs may
/// use those from 34 on (signal(7)); what profilers and debuggers like best is left to them.
pub const QUEUED: i32 = 36;

/// The standard signal that carries news which may coalesce.
pub const COALESCED: i32 = libc::SIGUSR1;

/// What a wait has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Something about this descriptor, as `poll` would say it. The descriptor may be closed by now,
    /// or be another's.
    Of {
        /// Its number when the signal was sent.
        fd: RawFd,
        /// POLLIN, POLLOUT, POLLHUP and so on.
        events: PollFlags,
    },
    /// Datagrams, one or many, on a descriptor watched with [`COALESCED`].
    Datagrams {
        /// Its number.
        fd: RawFd,
    },
    /// The queue was full: news were lost.
    Overflow,
    /// Time has passed, or a handler of another signal has run.
    Nothing,
}

/// The signals of the thread that made it, which takes them when it likes.
#[derive(Debug)]
pub struct Signals {
    taken: libc::sigset_t,
    thread: libc::pid_t,
}

/// `struct f_owner_ex` of fcntl(2), which libc does not have.
#[repr(C)]
struct Owner {
    kind: libc::c_int,
    id: libc::pid_t,
}

const F_SETOWN_EX: libc::c_int = 15;
const F_SETSIG: libc::c_int = 10;
const F_OWNER_TID: libc::c_int = 0;

impl Signals {
    /// Blocks the signals in this thread: from now on they wait to be taken.
    pub fn block() -> Signals {
        let mut taken = MaybeUninit::uninit();
        // SAFETY: sigemptyset fills the set, sigaddset and pthread_sigmask take it; with valid
        // signals none fails.
        let taken = unsafe {
            libc::sigemptyset(taken.as_mut_ptr());
            for signal in [QUEUED, COALESCED, libc::SIGIO] {
                libc::sigaddset(taken.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, taken.as_ptr(), std::ptr::null_mut());
            taken.assume_init()
        };
        Signals {
            taken,
            thread: crate::thread::id() as libc::pid_t,
        }
    }

    /// Has `fd`, which must not block, send `signal` to this thread whenever there is news. What
    /// came before sends nothing.
    ///
    /// # Errors
    /// EBADF and the like: none that an open socket has.
    pub fn watch(&self, fd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
        let owner = Owner {
            kind: F_OWNER_TID,
            id: self.thread,
        };
        let fd = fd.as_raw_fd();
        // SAFETY: F_SETOWN_EX reads the struct it is given; the others take numbers.
        unsafe {
            checked(libc::fcntl(fd, F_SETOWN_EX, &raw const owner))?;
            checked(libc::fcntl(fd, F_SETSIG, signal))?;
            let async_too = libc::O_ASYNC | libc::O_NONBLOCK;
            checked(libc::fcntl(fd, libc::F_SETFL, async_too))
        }
    }

    /// Whether `fd` sends signals: the kernel ignores the wish where it cannot be.
    pub fn is_heard(&self, fd: BorrowedFd<'_>) -> bool {
        // SAFETY: F_GETFL takes no further argument.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
        flags >= 0 && flags & libc::O_ASYNC != 0
    }

    /// Has `fd` send nothing any more. What it has sent still comes.
    pub fn ignore(&self, fd: BorrowedFd<'_>) {
        // SAFETY: F_SETFL takes a number.
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    }

    /// Takes one signal, waiting for it at most `timeout`, for ever with `None`.
    pub fn take(&self, timeout: Option<Duration>) -> News {
        let timeout = Timeout::new(timeout);
        let mut info = MaybeUninit::<Info>::zeroed();
        // SAFETY: the set and the timeout are valid or null, and `info` has the size and alignment
        // of a siginfo_t, of which all bytes may be zero.
        let (signal, info) = unsafe {
            let signal = libc::sigtimedwait(
                &raw const self.taken,
                info.as_mut_ptr().cast(),
                timeout.as_ptr(),
            );
            (signal, info.assume_init())
        };
        match signal {
            QUEUED => News::Of {
                fd: info.fd,
                events: flags(info.band as i16),
            },
            COALESCED => News::Datagrams { fd: info.fd },
            libc::SIGIO => News::Overflow,
            _ => News::Nothing,
        }
    }
}

/// Looks at every descriptor, as is due after an overflow: `found` gets the number of each that is
/// ready, and how, as `poll` says it. Numbers that are not open are passed over.
pub fn sweep(fds: impl Iterator<Item = RawFd>, mut found: impl FnMut(RawFd, PollFlags)) {
    let asked = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP;
    let mut fds: Vec<libc::pollfd> = fds
        .map(|fd| libc::pollfd {
            fd,
            events: asked,
            revents: 0,
        })
        .collect();
    // SAFETY: the pointer and the length are the vector's. With no time to wait and valid arguments
    // it does not fail but for memory, and then nothing is found until the next signal.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, 0) };
    let ready = fds.iter().filter(|fd| fd.revents & !libc::POLLNVAL != 0);
    ready.for_each(|fd| found(fd.fd, flags(fd.revents)));
}

/// `siginfo_t` as SIGPOLL-like signals fill it (sigaction(2)).
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Info {
    numbers: [libc::c_int; 4],
    band: libc::c_long,
    fd: libc::c_int,
    rest: [u8; 100],
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

fn flags(bits: i16) -> PollFlags {
    PollFlags::from_bits_truncate(bits as u16)
}

fn checked(result: libc::c_int) -> Result<(), Errno> {
    if result >= 0 {
        return Ok(());
    }
    // SAFETY: __errno_location points at this thread's errno.
    Err(Errno::from_raw_os_error(unsafe {
        *libc::__errno_location()
    }))
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
        let News::Of { fd, events } = signals.take(SOON) else {
            panic!("no news")
        };
        assert_eq!(fd, ours.as_raw_fd());
        assert!(events.contains(PollFlags::IN));
        signals.ignore(ours.as_fd());
        theirs.write_all(b"x").unwrap();
        assert_eq!(signals.take(Some(Duration::ZERO)), News::Nothing);
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
        assert_eq!(signals.take(SOON), News::Datagrams { fd });
        assert_eq!(signals.take(Some(Duration::ZERO)), News::Nothing);
    }
}
