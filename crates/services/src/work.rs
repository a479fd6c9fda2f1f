//! `/work/CPU_US/BLOCKED_US/WAIT_US/REPLY_BYTES`: any class of a workload in one request.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use rustix::fs::{MemfdFlags, memfd_create};

/// Most bytes of a reply, by `/bytes/N` as by `/work`.
pub const BYTES_MAX: u64 = 64 << 20;
/// Longest that `/cpu`, `/wait`, `/sleep` and each time of `/work` take, µs.
pub const MICROS_MAX: u64 = 60_000_000;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work<'a> {
    /// CPU, µs.
    pub cpu_us: u64,
    /// Time that the worker is blocked, µs.
    pub blocked_us: u64,
    /// Time after that with the worker free, µs.
    pub wait_us: u64,
    /// Bytes of the reply.
    pub reply_bytes: u64,
    /// The lock that is held for the CPU time; empty for none.
    pub lock: &'a str,
}

impl<'a> Work<'a> {
    /// Reads the four numbers of the path, and the lock of the query `lock=NAME`; `None` for anything
    /// else, or a number that is too large.
    pub(crate) fn parse(numbers: &str, query: Option<&'a str>) -> Option<Work<'a>> {
        let mut parts = numbers.split('/');
        let mut next = |max| number_up_to(parts.next()?, max);
        let work = Work {
            cpu_us: next(MICROS_MAX)?,
            blocked_us: next(MICROS_MAX)?,
            wait_us: next(MICROS_MAX)?,
            reply_bytes: next(BYTES_MAX)?,
            lock: match query {
                None | Some("") => "",
                Some(query) => query.strip_prefix("lock=")?,
            },
        };
        parts.next().is_none().then_some(work)
    }
}

/// Locks that requests may hold while they compute, shared by all workers of the server, processes among
/// them, as a store or a cache in front of all of them would be.
///
/// Threads of a process exclude each other by a mutex, processes by a lock on a file in memory that they
/// inherit, of which each lock is a byte (fcntl(2), "Advisory record locking": such locks belong to a
/// process). It is made before the first fork.
#[derive(Debug)]
pub(crate) struct Locks {
    mutexes: [Mutex<()>; LOCKS],
    /// Without it, no lock is given.
    file: Option<OwnedFd>,
}

/// Names are spread over so many locks.
const LOCKS: usize = 8;

/// A lock that is held until this is dropped.
pub(crate) struct NameLock<'a> {
    file: &'a OwnedFd,
    number: usize,
    _mutex: MutexGuard<'a, ()>,
}

impl Locks {
    pub(crate) fn new() -> Locks {
        Locks {
            mutexes: std::array::from_fn(|_| Mutex::new(())),
            file: memfd_create("turnstile-locks", MemfdFlags::CLOEXEC).ok(),
        }
    }

    /// Waits for the lock `name`. `None` where the kernel has no lock between processes to give.
    pub(crate) fn hold(&self, name: &str) -> Option<NameLock<'_>> {
        // FNV-1a: the same lock for a name in every process.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let number = (hash % LOCKS as u64) as usize;
        let file = self.file.as_ref()?;
        let mutex = self.mutexes[number].lock();
        let mutex = mutex.unwrap_or_else(PoisonError::into_inner);
        loop {
            match fcntl(file, FcntlArg::F_SETLKW(&range(number, libc::F_WRLCK))) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
        Some(NameLock {
            file,
            number,
            _mutex: mutex,
        })
    }
}

/// The byte of lock `number`.
fn range(number: usize, kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: number as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

impl Drop for NameLock<'_> {
    fn drop(&mut self) {
        // To unlock what is locked cannot fail.
        let _ = fcntl(
            self.file,
            FcntlArg::F_SETLK(&range(self.number, libc::F_UNLCK)),
        );
    }
}

/// A plain decimal number up to `max`.
pub(crate) fn number_up_to(text: &str, max: u64) -> Option<u64> {
    let digits =
        !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| digits && number <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_numbers_and_perhaps_a_lock() {
        let work = Work::parse("1/2/3/4", None).expect("four numbers");
        assert_eq!(
            (work.cpu_us, work.blocked_us, work.wait_us, work.reply_bytes),
            (1, 2, 3, 4)
        );
        let locked = Work::parse("1/2/3/4", Some("lock=store")).expect("with a lock");
        assert_eq!(locked.lock, "store");
        for bad in [
            "",
            "1/2/3",
            "1/2/3/4/5",
            "1/2/3/",
            "-1/2/3/4",
            "1/2/3/x",
            "60000001/0/0/0",
            "0/60000001/0/0",
            "0/0/60000001/0",
            "0/0/0/67108865",
            "1//3/4",
            "1/2/3/4/",
        ] {
            assert_eq!(Work::parse(bad, None), None, "{bad}");
        }
        assert_eq!(Work::parse("1/2/3/4", Some("x=1")), None);
    }

    #[test]
    fn a_lock_is_held_by_one_thread_at_a_time() {
        let locks = Locks::new();
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let held = locks.hold("store");
                        assert!(held.is_some(), "this kernel has record locks");
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
