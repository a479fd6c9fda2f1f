//! Signals of a whole process: their handlers, and the timer behind SIGALRM.
//!
//! Handlers are installed without `SA_RESTART`, so that a blocked system call returns EINTR when a
//! handler has run, and its caller can react.
//!
//! What is marked async-signal-safe here may be called from a handler (`signal-safety(7)`): it makes
//! system calls through rustix or libc, which neither allocate nor lock.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{self, SaFlags, SigAction, SigHandler, SigSet, SigmaskHow};
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

/// Installs `handler` for `signals`. It may only do what is async-signal-safe.
///
/// # Panics
/// On SIGKILL or SIGSTOP, which cannot be handled, and on real-time signals: a programmer's error.
pub fn handle(signals: &[Signal], handler: extern "C" fn(i32)) {
    let handler = SigHandler::Handler(handler);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    for &signal in signals {
        let done = signal::Signal::try_from(signal.as_raw()).and_then(|signal| {
            // SAFETY: every handler of this project obeys `signal-safety(7)`, and the action that
            // was set before is not used.
            unsafe { signal::sigaction(signal, &action) }
        });
        assert!(done.is_ok(), "{signal:?} cannot be handled: {done:?}");
    }
}

/// A handler that does nothing. Its effect is that blocked calls return EINTR.
pub extern "C" fn do_nothing(_: i32) {}

/// A handler for a signal that must end a wait even if it comes just before the wait begins, when it
/// interrupts nothing: SIGALRM follows 20 ms later, unless a timer is running that sends it anyway.
pub extern "C" fn repeat_with_alarm(_: i32) {
    keeping_errno(|| {
        let mut running = MaybeUninit::<libc::itimerval>::zeroed();
        // SAFETY: getitimer fills the struct it is given; a single system call, async-signal-safe.
        let running = unsafe {
            libc::getitimer(libc::ITIMER_REAL, running.as_mut_ptr());
            running.assume_init().it_value
        };
        if running.tv_sec == 0 && running.tv_usec == 0 {
            alarm_in(SOON);
        }
    });
}

/// Long enough for a thread that was about to block to do so.
const SOON: Duration = Duration::from_millis(20);

/// Blocks every signal in the calling thread and returns the mask it had before.
pub fn block_all() -> SigSet {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    before.expect("pthread_sigmask refuses nothing but an unknown operation")
}

/// Restores a mask.
pub fn restore(mask: &SigSet) {
    mask.thread_set_mask()
        .expect("pthread_sigmask refuses nothing but an unknown operation");
}

/// Has SIGALRM sent to this process every `period`. Async-signal-safe.
pub fn alarm_every(period: Duration) {
    crate::inline::set_timer(period, period);
}

/// Has SIGALRM sent to this process once, `delay` from now, instead of whatever was set before.
/// Async-signal-safe.
pub fn alarm_in(delay: Duration) {
    crate::inline::set_timer(delay, Duration::ZERO);
}

/// Writes to standard error, without a buffer and without reporting errors. Async-signal-safe.
pub fn write_to_stderr(bytes: &[u8]) {
    let _ = rustix::io::write(rustix::stdio::stderr(), bytes);
}

/// Makes a TCP listener ignore new connection requests from now on: the kernel drops segments with
/// SYN and without ACK, and completes the handshakes that have begun. So no connection can arrive
/// between the last accept and the `shutdown(2)` that would reset it. A client whose SYN was dropped
/// sends it again a second later, and is refused then.
///
/// A filter of classic BPF does it (`socket(7)`, `SO_ATTACH_FILTER`), which sees the TCP header.
/// Sockets of other kinds have no such segments. Async-signal-safe; errors are not reported, as the
/// listener then works as before.
pub fn ignore_syns(listener: BorrowedFd<'_>) {
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    const fn step(code: u32, if_not: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter {
            code: code as u16,
            jt: 0,
            jf: if_not,
            k,
        }
    }
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, FLAGS),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, SYN | ACK),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, SYN),
        step(libc::BPF_RET | libc::BPF_K, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: setsockopt only reads the program and its steps, which live to the end of the call.
    unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
}

/// CLOCK_MONOTONIC, ns: one clock for all processes. Async-signal-safe.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Runs the body of a handler, and restores `errno` for the code that the signal interrupted.
pub fn keeping_errno(body: impl FnOnce()) {
    let before = Errno::last_raw();
    body();
    Errno::set_raw(before);
}
