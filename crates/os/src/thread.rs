//! Threads that leave signals to the main thread.

use std::sync::atomic::Ordering;

/// Spawns a named thread in which all signals are blocked, so that their handlers interrupt the
/// main thread's system calls and no other's. From now on this process must not fork.
///
/// # Errors
/// EAGAIN where the limit of threads is reached.
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

/// The calling thread's id, as the kernel and strace know it.
pub fn id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}
