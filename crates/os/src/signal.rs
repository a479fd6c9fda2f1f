//! Signals: one handler each for "go away", "a child ended" and "time has passed".
//!
//! Handlers are installed without `SA_RESTART`, so that a blocked call returns EINTR and its
//! caller looks around.

use std::mem::MaybeUninit;
use std::time::Duration;

/// A saved signal mask.
#[derive(Clone, Copy)]
pub struct Mask(libc::sigset_t);

/// Installs `handler` for `signals`. It may only do what is async-signal-safe (`signal-safety(7)`).
///
/// # Panics
/// On a signal that cannot be handled: a programmer's error.
pub fn handle(signals: &[i32], handler: extern "C" fn(i32)) {
    for &signal in signals {
        // SAFETY: a zeroed sigaction is valid (default handler, empty mask, no flags), and sigaction
        // only reads it.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as extern "C" fn(i32) as usize;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut())
        };
        assert_eq!(done, 0, "signal {signal} cannot be handled");
    }
}

/// A handler whose only effect is that blocked calls return EINTR.
pub extern "C" fn nothing(_: i32) {}

/// A handler for signals that must not be slept over. One that comes just before a blocking call
/// does not interrupt it; so SIGALRM follows soon, unless a timer runs that will ring anyway.
pub extern "C" fn insist(_: i32) {
    keeping_errno(|| {
        let mut running = MaybeUninit::<libc::itimerval>::zeroed();
        // SAFETY: getitimer fills the struct it is given; a bare system call, safe in a handler.
        let running = unsafe {
            libc::getitimer(libc::ITIMER_REAL, running.as_mut_ptr());
            running.assume_init().it_value
        };
        if running.tv_sec == 0 && running.tv_usec == 0 {
            alarm_in(SOON);
        }
    });
}

/// By then whoever was about to block does.
const SOON: Duration = Duration::from_millis(20);

/// Blocks every signal in the calling thread and returns what was blocked before.
pub fn block_all() -> Mask {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: sigfillset fills `all`, pthread_sigmask fills `before`; with valid arguments neither fails.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        Mask(before.assume_init())
    }
}

/// Restores a mask.
pub fn restore(mask: &Mask) {
    // SAFETY: `mask` came from pthread_sigmask.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask.0, std::ptr::null_mut()) };
}

/// Has SIGALRM sent to this process every `period`. Async-signal-safe (a bare system call).
pub fn alarm_every(period: Duration) {
    let period = libc::timeval {
        tv_sec: period.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(period.subsec_micros() as i32),
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    crate::inline::set_timer(&timer);
}

/// Has SIGALRM sent to this process once, `delay` from now, instead of whatever was set before.
/// Async-signal-safe.
pub fn alarm_in(delay: Duration) {
    // Rounded up, as none must come too early; zero would turn it off.
    let micros = delay.as_nanos().div_ceil(1_000).max(1) as u64;
    let value = libc::timeval {
        tv_sec: (micros / 1_000_000) as libc::time_t,
        tv_usec: (micros % 1_000_000) as libc::suseconds_t,
    };
    let never = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let timer = libc::itimerval {
        it_interval: never,
        it_value: value,
    };
    crate::inline::set_timer(&timer);
}

/// [`Waker::wake`](crate::net::Waker::wake) by number, for handlers.
pub fn wake(fd: i32) {
    crate::net::wake_raw(fd);
}

/// Writes what it can to a descriptor, for handlers.
pub fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: `bytes` is readable; write is async-signal-safe. Nobody is left to be told of an error.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
}

/// Sets O_NONBLOCK by number, for handlers.
pub fn set_nonblocking(fd: i32) {
    // SAFETY: fcntl with these commands touches no memory and is async-signal-safe.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags >= 0 {
            libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK);
        }
    }
}

/// Has a TCP listener ignore who knocks from now on, by number, for handlers: handshakes that have
/// begun go on, new ones do not begin. So nobody can arrive between the last accept and the
/// `shutdown(2)` that would reset him; a client whose knock was ignored knocks again a second later
/// and is refused. A filter of classic BPF does it (`socket(7)`, `SO_ATTACH_FILTER`): it sees the TCP
/// header, and drops segments with SYN and without ACK. Other sockets have no such segments.
pub fn ignore_syns(fd: i32) {
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
    // SAFETY: setsockopt only reads the program and its steps, which live to the end of the call; a
    // bare system call, safe in a handler. Where it fails, all is as it was before.
    unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
}

/// CLOCK_MONOTONIC, ns; async-signal-safe, and one clock for all processes.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid timespec to write to. This clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Runs the body of a handler and leaves `errno` as the interrupted code had it.
pub fn keeping_errno(body: impl FnOnce()) {
    // SAFETY: __errno_location points at this thread's errno for as long as the thread lives.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        body();
        *errno = before;
    }
}

/// Signal numbers that handlers are installed for.
pub use libc::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGTERM};
