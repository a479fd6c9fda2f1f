//! Real-time signals, which neither rustix nor nix takes: blocked, and waited for one at a time.

use std::ffi::{c_int, c_long};
use std::time::Duration;

use nix::sys::time::TimeSpec;

use crate::inline;

/// `siginfo_t` as signals fill it that a descriptor or an asynchronous operation sends
/// (`sigaction(2)`).
#[repr(C, align(8))]
struct Info {
    numbers: [c_int; 4],
    /// `si_band` of a descriptor's signal; process and user id of others.
    band: c_long,
    /// `si_fd` of a descriptor's signal; `si_value` of others.
    value: [u8; 8],
    rest: [u8; 96],
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

/// A signal that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Its number, or -1 if none was pending in time.
    pub(crate) signal: i32,
    /// None was pending when a handler of another signal had run.
    pub(crate) is_interrupted: bool,
    band: c_long,
    value: [u8; 8],
}

impl Taken {
    /// The descriptor that has sent it, and what poll would say of it (`fcntl(2)`, `F_SETSIG`).
    pub(crate) fn descriptor(&self) -> (i32, i16) {
        let [a, b, c, d, ..] = self.value;
        (i32::from_ne_bytes([a, b, c, d]), self.band as i16)
    }

    /// The value that was given with the request for the signal (`sigevent(3type)`).
    pub(crate) fn value(&self) -> u64 {
        u64::from_ne_bytes(self.value)
    }
}

/// Signals that are blocked in the thread that waits for them.
#[derive(Debug)]
pub(crate) struct Blocked(libc::sigset_t);

impl Blocked {
    /// Blocks `signals` in the calling thread: from now on they stay pending until they are taken.
    pub(crate) fn new(signals: &[i32]) -> Blocked {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: sigemptyset fills the set, sigaddset and pthread_sigmask take it; with valid
        // signals none fails.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for &signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            Blocked(set.assume_init())
        }
    }

    /// Takes one pending signal; waits for one at most `timeout`, without an end if that is `None`.
    /// Takes none if that time has passed, or a handler of another signal has run (`EINTR`).
    #[inline(always)]
    pub(crate) fn take(&self, timeout: Option<Duration>) -> Taken {
        let timeout = timeout.map(TimeSpec::from);
        let timeout = timeout.as_ref().map(TimeSpec::as_ref);
        let mut info = Info {
            numbers: [0; 4],
            band: 0,
            value: [0; 8],
            rest: [0; 96],
        };
        // SAFETY: set and timeout are valid or null, and `info` has the size and alignment of a
        // siginfo_t.
        let signal = unsafe {
            inline::take_signal(
                &raw const self.0,
                (&raw mut info).cast(),
                timeout.map_or(std::ptr::null(), std::ptr::from_ref),
            )
        };
        Taken {
            signal: signal.max(-1) as i32,
            is_interrupted: signal as i32 == -libc::EINTR,
            band: info.band,
            value: info.value,
        }
    }
}
