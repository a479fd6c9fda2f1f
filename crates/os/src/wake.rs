//! Waking a thread out of a blocking call, so that it looks around.
//!
//! The signal is SIGURG, as in Go's runtime: what nobody handles it ignores, so a stray one harms no
//! program, and no library waits for it.

use nix::sys::signal::SigSet;
use rustix::process::Signal;

use crate::signal;

/// Installs the handler, which does nothing: what counts is that the call returns EINTR.
pub fn install() {
    signal::handle(&[Signal::URG], signal::nothing);
}

/// Lets the calling thread be woken, whatever signals it blocks otherwise.
pub fn hear() {
    SigSet::from(nix::sys::signal::SIGURG)
        .thread_unblock()
        .expect("pthread_sigmask refuses nothing but an unknown operation");
}

/// Wakes thread `id` of this process. If it has ended this does nothing; if it was about to block
/// the call blocks all the same, so whoever must be sure wakes it again. Async-signal-safe.
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
    fn a_thread_that_blocks_is_woken() {
        install();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (id, woken) = (AtomicU32::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let before = signal::block_all();
                hear();
                id.store(crate::thread::id(), Ordering::SeqCst);
                let mut byte = [0u8; 1];
                let got = rustix::net::recv(&ours, &mut byte, rustix::net::RecvFlags::empty());
                assert_eq!(got.map(|(bytes, _)| bytes), Err(Errno::INTR));
                woken.store(true, Ordering::SeqCst);
                signal::restore(&before);
            });
            while !woken.load(Ordering::SeqCst) {
                if id.load(Ordering::SeqCst) != 0 {
                    thread(id.load(Ordering::SeqCst));
                }
                std::thread::sleep(Duration::from_millis(1)); // The pace of waking.
            }
        });
    }
}
