//! Processes: fork, wait, and dying together.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, Result};
pub use rustix::process::{Pid, Signal};

/// Set by [`crate::thread::spawn`]: from then on a fork would copy locked locks.
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
    /// fork without the C library's locks and handlers (POSIX.1-2024; glibc 2.34, musl 1.2.3).
    fn _Fork() -> libc::pid_t;
}

/// Forks. The child is killed when its parent's thread that forked ends.
///
/// What the C library's own fork does beyond the call is for threads and for handlers of
/// `pthread_atfork`, and costs every child the copies of three pages.
///
/// # Panics
/// If this process has started a thread.
pub fn fork() -> Result<Fork> {
    assert!(
        !THREADED.load(Ordering::Relaxed),
        "a process with threads must not fork"
    );
    let parent = rustix::process::getpid();
    // SAFETY: there is one thread, so the child's copy of every lock is as it left it: free.
    match unsafe { _Fork() } {
        -1 => Err(crate::last_errno()),
        0 => {
            // Of a valid signal this cannot fail.
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

/// Gives whole pages of freed memory back to the kernel, where the C library can.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim only touches what is free.
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

/// Reaps one child that has ended. With `block`, waits for one; EINTR is reported. `None`: no child
/// has ended, or there is none.
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

/// Sends `signal` to a child. One that has ended but was not reaped yet takes it silently.
pub fn kill(pid: Pid, signal: Signal) {
    let _ = rustix::process::kill_process(pid, signal);
}

/// This process's id.
pub fn id() -> u32 {
    std::process::id()
}

/// Ends this process at once: no destructors, no buffers of the parent written twice.
pub fn exit_now(code: i32) -> ! {
    crate::inline::exit(code)
}

/// Raises the soft limit of descriptors to the hard one. Where that is refused, the old one stays.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

/// Lowers the soft limit of descriptors: from then on their numbers stay below `end`. A limit that
/// is lower already stays.
pub fn limit_descriptors(end: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let end = end as u64;
    if limit.current.is_none_or(|current| current > end) {
        // Lowering one's own soft limit is never refused.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(end),
                maximum: limit.maximum,
            },
        );
    }
}
