//! Processes: fork, wait, kill, exit, and the limit of descriptors.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, Result};
pub use rustix::process::{Pid, Signal};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Whether this process has started a thread. Then a fork could copy a lock that another thread holds,
/// and the child would never get it.
pub(crate) static THREADED: AtomicBool = AtomicBool::new(false);

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// The parent, with the child's id.
    Parent(Pid),
    /// The child.
    Child,
}

unsafe extern "C" {
    /// fork without the locks and handlers of the C library (POSIX.1-2024; glibc 2.34, musl 1.2.3).
    fn _Fork() -> libc::pid_t;
}

/// Forks. The kernel kills the child when the thread that has forked it ends.
///
/// Beyond the system call, `fork(3)` of the C library handles threads and `pthread_atfork`, for which
/// every child would copy three pages. A process that forks here has neither.
///
/// # Errors
/// EAGAIN: the limit of processes is reached. ENOMEM.
///
/// # Panics
/// If this process has started a thread.
pub fn fork() -> Result<Fork> {
    assert!(
        !THREADED.load(Ordering::Relaxed),
        "a process with threads must not fork"
    );
    let parent = rustix::process::getpid();
    // SAFETY: there is one thread, which holds no lock here, so in the child every lock is free.
    match unsafe { _Fork() } {
        -1 => Err(crate::last_errno()),
        0 => {
            // With a valid signal this cannot fail.
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            if rustix::process::getppid() != Some(parent) {
                exit_now(1); // The parent died before the prctl.
            }
            Ok(Fork::Child)
        }
        child => Ok(Fork::Parent(
            Pid::from_raw(child).expect("fork returns a positive id"),
        )),
    }
}

/// Returns pages of the heap that hold no allocation to the kernel, if the C library can do that.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It called exit with this code.
    Exited(i32),
    /// A signal killed it.
    Killed(i32),
}

/// Reaps one child that has ended. With `block`, waits until one ends. `None`: no child has ended, or
/// this process has no children.
///
/// # Errors
/// EINTR, with `block`: a handler of a signal has run.
pub fn reap(block: bool) -> Result<Option<(Pid, Ended)>> {
    use rustix::process::{WaitOptions, wait};
    let options = if block {
        WaitOptions::empty()
    } else {
        WaitOptions::NOHANG
    };
    match wait(options) {
        Ok(Some((pid, status))) => Ok(Some((
            pid,
            match status.terminating_signal() {
                Some(signal) => Ended::Killed(signal),
                None => Ended::Exited(status.exit_status().unwrap_or(0)),
            },
        ))),
        Ok(None) | Err(Errno::CHILD) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends `signal` to a child. For one that has ended but was not reaped yet, this has no effect.
pub fn kill(pid: Pid, signal: Signal) {
    let _ = rustix::process::kill_process(pid, signal);
}

/// The id of this process. Async-signal-safe.
pub fn id() -> u32 {
    std::process::id()
}

/// Ends this process at once, without destructors and without writing buffers, which a forked child
/// would write a second time. Async-signal-safe.
pub fn exit_now(code: i32) -> ! {
    crate::inline::exit(code)
}

/// Raises the soft limit of descriptors to the hard one. Where that is refused, the old one stays.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Lowers the soft limit of descriptors, so that new descriptors have numbers below `end`. A limit that
/// is lower already stays.
pub fn limit_descriptors(end: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    let end = end as u64;
    if limit.current.is_none_or(|current| current > end) {
        // Lowering the own soft limit is never refused.
        limit.current = Some(end);
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// What new files of this process are not permitted to be (`umask(2)`). Returns what it was before.
pub fn set_umask(mask: u32) -> u32 {
    let mask = rustix::fs::Mode::from_bits_truncate(mask);
    rustix::process::umask(mask).bits()
}

/// Size of a page of memory, bytes.
pub fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

/// Ticks of the clock per second, in which `/proc` gives times.
pub fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// The soft limit of descriptors; `None`: there is none.
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
