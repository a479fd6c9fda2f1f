//! System calls on the path of a request that would otherwise go through the C library.
//!
//! The code of the C library is on pages of its own. A process that was just forked has a page fault
//! at the first use of each such page, and a thread that was just scheduled has a TLB miss. rustix
//! makes nearly all system calls of a request without the C library. The rest is here: calls that
//! rustix does not have (of them `rt_sigtimedwait`, with which signal-driven's loop waits), and the functions `clock_gettime` and `close`, which the standard library
//! calls by these names.

use std::ffi::{c_int, c_long};
use std::time::Duration;

/// A system call with up to three arguments. Returns what the kernel returns: an error is negative.
///
/// # Safety
/// The arguments must be valid for the call.
#[inline(always)]
unsafe fn call(number: c_long, a: usize, b: usize, c: usize) -> isize {
    // SAFETY: the caller's arguments are valid, and the kernel reads no fourth one.
    unsafe { call4(number, a, b, c, 0) }
}

/// The same with up to four arguments.
///
/// # Safety
/// The arguments must be valid for the call.
#[inline(always)]
unsafe fn call4(number: c_long, a: usize, b: usize, c: usize, d: usize) -> isize {
    #[cfg(target_arch = "x86_64")]
    {
        let returned: isize;
        // SAFETY: the kernel's convention (syscall(2)); it changes rcx, r11 and the result.
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") number as isize => returned,
                in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
                lateout("rcx") _, lateout("r11") _,
                options(nostack),
            );
        }
        returned
    }
    #[cfg(target_arch = "aarch64")]
    {
        let returned: isize;
        // SAFETY: the kernel's convention (syscall(2)); it changes nothing but the result.
        unsafe {
            std::arch::asm!(
                "svc 0",
                in("x8") number,
                inlateout("x0") a as isize => returned,
                in("x1") b, in("x2") c, in("x3") d,
                options(nostack),
            );
        }
        returned
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        // SAFETY: the caller's arguments are valid.
        match unsafe { libc::syscall(number, a, b, c, d) } {
            -1 => {
                -(std::io::Error::last_os_error()
                    .raw_os_error()
                    .unwrap_or(libc::EIO) as isize)
            }
            done => done as isize,
        }
    }
}

/// `setitimer(2)` of the real clock: SIGALRM after `first`, then every `period`, or once if that is
/// zero. A `first` of zero counts as one microsecond, since zero would turn the timer off.
pub(crate) fn set_timer(first: Duration, period: Duration) {
    // Rounded up, so that it is never early.
    let value = |duration: Duration| {
        let micros = duration.as_nanos().div_ceil(1_000) as u64;
        libc::timeval {
            tv_sec: (micros / 1_000_000) as libc::time_t,
            tv_usec: (micros % 1_000_000) as libc::suseconds_t,
        }
    };
    let timer = libc::itimerval {
        it_interval: value(period),
        it_value: value(first.max(Duration::from_micros(1))),
    };
    let real = libc::ITIMER_REAL as usize;
    // SAFETY: the timer is only read. A valid one, as here, is never refused.
    unsafe { call(libc::SYS_setitimer, real, (&raw const timer) as usize, 0) };
}

/// `rt_sigtimedwait(2)`: takes a pending signal of `set`, and waits for it at most `timeout`, or without an end
/// if that is null. Returns its number, or a negative error.
///
/// The C library's function returns to the loop behind the system call, which is slow on processors that guard
/// return addresses.
///
/// # Safety
/// `set` and `timeout` must be valid or null, and `info` must have room for a `siginfo_t`.
#[inline(always)]
pub(crate) unsafe fn take_signal(
    set: *const libc::sigset_t,
    info: *mut libc::siginfo_t,
    timeout: *const libc::timespec,
) -> isize {
    // The kernel's set has a bit per signal, and is the beginning of the C library's.
    const SET_BYTES: usize = 8;
    // SAFETY: the caller's arguments are valid.
    unsafe {
        call4(
            libc::SYS_rt_sigtimedwait,
            set as usize,
            info as usize,
            timeout as usize,
            SET_BYTES,
        )
    }
}

/// `exit_group(2)`: ends the process without destructors, and without writing buffers.
pub(crate) fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: the call takes a number, and ends the process.
        unsafe { call(libc::SYS_exit_group, code as usize, 0, 0) };
    }
}

/// What a C function returns for the result of a system call: 0, or -1 with the error in `errno`.
#[cfg(target_env = "gnu")]
fn c_result(returned: isize) -> c_int {
    if returned < 0 {
        nix::errno::Errno::set_raw(-returned as c_int);
        return -1;
    }
    0
}

/// Replaces the function of the C library, which calls the same function of the vDSO but uses three
/// pages of its own for that.
#[cfg(target_env = "gnu")]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    use rustix::time::ClockId;
    let clock = match clock {
        libc::CLOCK_MONOTONIC => ClockId::Monotonic,
        libc::CLOCK_REALTIME => ClockId::Realtime,
        _ => {
            // SAFETY: the caller's pointer, which the kernel checks.
            let returned =
                unsafe { call(libc::SYS_clock_gettime, clock as usize, time as usize, 0) };
            return c_result(returned);
        }
    };
    let now = rustix::time::clock_gettime(clock);
    // SAFETY: the caller's pointer is to a timespec.
    unsafe {
        time.write(libc::timespec {
            tv_sec: now.tv_sec,
            tv_nsec: now.tv_nsec,
        });
    }
    0
}

/// Replaces the function of the C library, which is a cancellation point too; no thread here is ever
/// cancelled.
#[cfg(target_env = "gnu")]
#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    // SAFETY: the caller owns the descriptor.
    c_result(unsafe { call(libc::SYS_close, fd as usize, 0, 0) })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    /// The standard library calls the replacements, and works as before.
    #[test]
    fn the_clocks_run_and_errors_are_reported() {
        let (began, wall) = (Instant::now(), SystemTime::now());
        std::thread::sleep(Duration::from_millis(20));
        assert!(began.elapsed() >= Duration::from_millis(20));
        let wall = wall.elapsed().unwrap();
        assert!(wall > Duration::from_millis(10) && wall < Duration::from_secs(20));
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the timespec may be written to; the last calls take numbers that do not exist.
        unsafe {
            let cpu = libc::CLOCK_THREAD_CPUTIME_ID;
            assert_eq!(libc::clock_gettime(cpu, &raw mut time), 0);
            assert!(time.tv_sec > 0 || time.tv_nsec > 0);
            assert_eq!(libc::clock_gettime(9_999, &raw mut time), -1);
            let error = std::io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            assert_eq!(libc::close(-1), -1);
            let error = std::io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(far);
        let read = std::io::Read::read(&mut &near, &mut [0]);
        assert_eq!(read.unwrap(), 0, "dropping closes");
    }
}
