//! Threads in which signals are blocked, so that the main thread handles them.

use std::sync::atomic::Ordering;

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
