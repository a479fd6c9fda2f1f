//! Threads in which signals are blocked, so that the main thread handles them.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

/// Spawns a named thread in which all signals are blocked, so that handlers run in the main thread and
/// interrupt its system calls only. From now on this process must not fork.
///
/// # Errors
/// EAGAIN: the limit of threads is reached.
pub fn spawn<T: Send + 'static>(
    name: String,
    stack_bytes: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    crate::process::THREADED.store(true, Ordering::Relaxed);
    let before = crate::signal::block_all();
    let spawned = std::thread::Builder::new()
        .name(name)
        .stack_size(stack_bytes)
        .spawn(body);
    crate::signal::restore(&before);
    spawned
}

/// The id of the calling thread (`gettid(2)`).
pub fn id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// How many mappings a process may have (`vm.max_map_count`, `proc_sys_vm(5)`). `None`: it cannot be read.
pub fn mappings_max() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    text.trim().parse().ok()
}

/// How long the calling thread has waited for a CPU since it began, while it could have run. `None`: the
/// kernel does not count that, or descriptors have run out.
pub fn run_delay() -> Option<Duration> {
    RunDelay::of_this_thread()?.read()
}

/// The same for who asks often: it keeps a descriptor, and asks in one system call instead of three.
#[derive(Debug)]
pub struct RunDelay(OwnedFd);

impl RunDelay {
    /// That of the calling thread; any thread may read it.
    pub fn of_this_thread() -> Option<RunDelay> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open("/proc/thread-self/schedstat", flags, Mode::empty()).ok()?;
        Some(RunDelay(file))
    }

    /// How long the thread has waited until now.
    pub fn read(&self) -> Option<Duration> {
        let mut room = [0; 80];
        let bytes = rustix::io::pread(&self.0, &mut room, 0).ok()?;
        // Three numbers: time on a CPU, time waited for one, both ns, and how often.
        let text = std::str::from_utf8(&room[..bytes]).ok()?;
        let waited = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(waited))
    }
}
