//! Interrupting a thread that blocks in a system call, so that the call returns EINTR.
//!
//! The signal is SIGURG, as in Go's runtime. A process that does not handle it ignores it, so a stray
//! one does no harm, and no library uses it.

use nix::sys::signal::SigSet;
use rustix::process::Signal;

use crate::signal;

/// Installs the handler. It does nothing, but without a handler no call would be interrupted.
pub fn install() {
    signal::handle(&[Signal::URG], signal::do_nothing);
}

/// Unblocks the signal in the calling thread, whatever other signals that blocks.
pub fn unblock() {
    SigSet::from(nix::sys::signal::SIGURG)
        .thread_unblock()
        .expect("pthread_sigmask refuses nothing but an unknown operation");
}

/// Interrupts thread `id` of this process. If the thread has ended, nothing happens. If it was just
/// about to block, the call blocks all the same, so a caller that must be sure does this repeatedly.
/// Async-signal-safe.
pub fn thread(id: u32) {
    // SAFETY: tgkill takes numbers. It reaches threads of this process only.
    unsafe {
        libc::syscall(
            libc::SYS_tgkill,
            crate::process::id(),
            id,
            Signal::URG.as_raw(),
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Duration;

    #[test]
    fn a_blocked_thread_is_interrupted() {
        install();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (id, interrupted) = (AtomicU32::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let before = signal::block_all();
                unblock();
                id.store(crate::thread::id(), Ordering::SeqCst);
                let mut byte = [0u8; 1];
                let got = rustix::net::recv(&ours, &mut byte, rustix::net::RecvFlags::empty());
                assert_eq!(got.map(|(bytes, _)| bytes), Err(Errno::INTR));
                interrupted.store(true, Ordering::SeqCst);
                signal::restore(&before);
            });
            while !interrupted.load(Ordering::SeqCst) {
                if id.load(Ordering::SeqCst) != 0 {
                    thread(id.load(Ordering::SeqCst));
                }
                std::thread::sleep(Duration::from_millis(1)); // How often to try.
            }
        });
    }
}
