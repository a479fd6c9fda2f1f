//! Threads that cost no more than the kernel asks: for models that start one a connection.
//!
//! `std::thread` names each thread, gives it an alternate signal stack and a handle to join it by:
//! five system calls and three allocations a thread. These have none of that, and no allocation:
//! what they run is there already. glibc keeps their stacks for the next.

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use nix::sys::signal::{SIGURG, SigSet};

unsafe extern "C" {
    /// `pthread_attr_setsigmask_np(3)`, since glibc 2.32.
    fn pthread_attr_setsigmask_np(
        attributes: *mut libc::pthread_attr_t,
        mask: *const libc::sigset_t,
    ) -> libc::c_int;
}

/// What a thread runs. It lives as long as the process, so it may be started again and again.
pub trait Body: Sync + 'static {
    /// The whole life of one thread. A panic ends the thread, and nothing else.
    fn run(&'static self);
}

/// How threads are made: detached, with a small stack, and deaf to signals, which are the main
/// thread's, but for the one that [wakes](crate::wake) them.
pub struct Maker {
    attributes: libc::pthread_attr_t,
}

// SAFETY: the attributes are written once, by `new`, and from then on only read.
unsafe impl Sync for Maker {}
// SAFETY: they are tied to no thread.
unsafe impl Send for Maker {}

impl std::fmt::Debug for Maker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maker").finish_non_exhaustive()
    }
}

impl Maker {
    /// Threads with stacks of `stack_bytes`, a multiple of the page size; what is not touched is not
    /// paid for.
    ///
    /// # Errors
    /// ENOMEM; EINVAL for a stack below the system's least.
    pub fn new(stack_bytes: usize) -> std::io::Result<Maker> {
        let mut attributes = MaybeUninit::uninit();
        let mut mask = SigSet::all();
        mask.remove(SIGURG);
        // SAFETY: `attributes` is initialised by the first call and only then used. The copy of a
        // pthread_attr_t is the object: its one pointer is to the heap, and is never freed, as a
        // maker lives as long as its server.
        unsafe {
            check(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
            check(libc::pthread_attr_setdetachstate(
                attributes.as_mut_ptr(),
                libc::PTHREAD_CREATE_DETACHED,
            ))?;
            check(libc::pthread_attr_setstacksize(
                attributes.as_mut_ptr(),
                stack_bytes,
            ))?;
            check(pthread_attr_setsigmask_np(
                attributes.as_mut_ptr(),
                mask.as_ref(),
            ))?;
            Ok(Maker {
                attributes: attributes.assume_init(),
            })
        }
    }

    /// Starts a thread. From now on this process must not fork.
    ///
    /// # Errors
    /// EAGAIN where the limit of threads is reached, or memory for a stack is short.
    pub fn start<T: Body>(&self, body: &'static T) -> std::io::Result<()> {
        crate::process::THREADED.store(true, Ordering::Relaxed);
        let mut thread = MaybeUninit::uninit();
        // SAFETY: the attributes are initialised; `life::<T>` takes what it is given here, which
        // lives for ever and may be used from any thread (`Body: Sync`).
        check(unsafe {
            libc::pthread_create(
                thread.as_mut_ptr(),
                &raw const self.attributes,
                life::<T>,
                std::ptr::from_ref(body).cast_mut().cast(),
            )
        })
    }
}

/// A thread from its first to its last instruction of ours.
extern "C" fn life<T: Body>(body: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `start::<T>` passes a `&'static T`.
    let body: &'static T = unsafe { &*body.cast_const().cast::<T>() };
    // The panic has printed itself. It must not unwind into C.
    let _ = catch_unwind(AssertUnwindSafe(|| body.run()));
    std::ptr::null_mut()
}

/// pthread calls return their error.
pub(crate) fn check(code: libc::c_int) -> std::io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(std::io::Error::from_raw_os_error(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    struct Tell(Mutex<Sender<u64>>);

    impl Body for Tell {
        fn run(&'static self) {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let blocked = status
                .lines()
                .find_map(|line| line.strip_prefix("SigBlk:"))
                .map(|mask| u64::from_str_radix(mask.trim(), 16).unwrap());
            self.0.lock().unwrap().send(blocked.unwrap()).unwrap();
            panic!("this ends the thread, not the process");
        }
    }

    #[test]
    fn threads_are_deaf_and_their_panics_their_own() {
        let (sender, told) = channel();
        let body: &'static Tell = Box::leak(Box::new(Tell(Mutex::new(sender))));
        let maker = Maker::new(256 << 10).unwrap();
        for _ in 0..3 {
            maker.start(body).unwrap();
            let blocked = told.recv_timeout(Duration::from_secs(10)).unwrap();
            let term = 1 << (libc::SIGTERM - 1);
            let alarm = 1 << (libc::SIGALRM - 1);
            assert_eq!(blocked & (term | alarm), term | alarm, "{blocked:x}");
        }
    }

    #[test]
    fn a_stack_too_small_is_refused() {
        assert_eq!(
            Maker::new(1).unwrap_err().raw_os_error(),
            Some(libc::EINVAL)
        );
    }
}
