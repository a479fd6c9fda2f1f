//! Calls that would go through the C library, made here.
//!
//! Its code lies on pages of its own. Whoever has just been forked pays a fault for the first use of
//! each, and whoever has just been switched to a miss in the TLB; rustix makes nearly every call of
//! a request without it. What is left is here: calls that rustix does not have, and, under the names
//! that the standard library asks for, the clock and close.

use std::ffi::{c_int, c_long};
use std::time::Duration;

/// A system call of up to three arguments: what the kernel returns, an error negated.
///
/// # Safety
/// That of the call.
unsafe fn call(number: c_long, a: usize, b: usize, c: usize) -> isize {
    #[cfg(target_arch = "x86_64")]
    {
        let returned: isize;
        // SAFETY: the kernel's convention (syscall(2)); it changes rcx, r11 and the answer.
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") number as isize => returned,
                in("rdi") a, in("rsi") b, in("rdx") c,
                lateout("rcx") _, lateout("r11") _,
                options(nostack),
            );
        }
        returned
    }
    #[cfg(target_arch = "aarch64")]
    {
        let returned: isize;
        // SAFETY: the kernel's convention (syscall(2)); it changes the answer and nothing else.
        unsafe {
            std::arch::asm!(
                "svc 0",
                in("x8") number,
                inlateout("x0") a as isize => returned,
                in("x1") b, in("x2") c,
                options(nostack),
            );
        }
        returned
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        // SAFETY: the caller's.
        match unsafe { libc::syscall(number, a, b, c) } {
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

/// `exit_group(2)`: no destructors, no buffers written.
pub(crate) fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: it ends the process.
        unsafe { call(libc::SYS_exit_group, code as usize, 0, 0) };
    }
}

/// As C functions answer: -1 and `errno`, or 0.
#[cfg(target_env = "gnu")]
fn answer(returned: isize) -> c_int {
    if returned < 0 {
        nix::errno::Errno::set_raw(-returned as c_int);
        return -1;
    }
    0
}

/// Shadows the C library's, which looks up the same function of the kernel's page by way of three
/// pages of its own.
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
            return answer(returned);
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

/// Shadows the C library's, which is a point of thread cancellation besides; nobody here cancels.
#[cfg(target_env = "gnu")]
#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    // SAFETY: the caller owns the descriptor.
    answer(unsafe { call(libc::SYS_close, fd as usize, 0, 0) })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    /// Through the standard library, which must not notice.
    #[test]
    fn the_clocks_tell_the_time_and_errors_are_told() {
        let (began, wall) = (Instant::now(), SystemTime::now());
        std::thread::sleep(Duration::from_millis(20));
        assert!(began.elapsed() >= Duration::from_millis(20));
        let wall = wall.elapsed().unwrap();
        assert!(wall > Duration::from_millis(10) && wall < Duration::from_secs(20));
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: a valid timespec to write to; a number that is no clock; one that is not open.
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
