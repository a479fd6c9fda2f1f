//! Detached threads that are cheap to start, for models that start one per connection.
//!
//! `std::thread` gives each thread a name, an alternate signal stack and a handle to join it: five
//! system calls and three allocations per thread. The threads here have none of these. What they run
//! exists before them, so starting one allocates nothing, and glibc keeps the stack of a thread that
//! has ended for the next one.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use nix::sys::signal::{SIGURG, SigSet};

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    /// `pthread_attr_setsigmask_np(3)`, since glibc 2.32.
    fn pthread_attr_setsigmask_np(
        attributes: *mut libc::pthread_attr_t,
        mask: *const libc::sigset_t,
    ) -> c_int;
}

/// What a thread runs. It is never freed, so several threads may run it, one after another or at once.
pub trait Body: Sync + 'static {
    /// Everything one thread does. A panic ends this thread only.
    fn run(&'static self);
}

/// Starts threads that are detached and have a small stack. All signals are blocked in them, so that
/// the main thread handles these, except for the one that [interrupts](crate::interrupt) a thread.
pub struct Spawner {
    attributes: libc::pthread_attr_t,
}

// SAFETY: the attributes are written once, by `new`, and from then on only read.
unsafe impl Sync for Spawner {}
// SAFETY: they are tied to no thread.
unsafe impl Send for Spawner {}

impl std::fmt::Debug for Spawner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

/// What is blocked in every thread.
fn mask() -> SigSet {
    let mut mask = SigSet::all();
    mask.remove(SIGURG);
    mask
}

impl Spawner {
    /// For threads with stacks of `stack_bytes`, a multiple of the page size. Pages of a stack that a
    /// thread does not touch take no memory.
    ///
    /// # Errors
    /// ENOMEM. EINVAL: the stack is smaller than the system allows.
    pub fn new(stack_bytes: usize) -> std::io::Result<Spawner> {
        let mut attributes = MaybeUninit::uninit();
        #[cfg(target_env = "gnu")]
        let mask = mask();
        // SAFETY: `attributes` is initialised by the first call and only then used. The copy of a
        // pthread_attr_t is the object: its one pointer is to the heap, and is never freed, since a
        // spawner lives as long as its server.
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
            #[cfg(target_env = "gnu")]
            check(pthread_attr_setsigmask_np(
                attributes.as_mut_ptr(),
                mask.as_ref(),
            ))?;
            Ok(Spawner {
                attributes: attributes.assume_init(),
            })
        }
    }

    /// Starts a thread that runs `body`. From now on this process must not fork.
    ///
    /// # Errors
    /// EAGAIN: the limit of threads is reached, or there is no memory for a stack.
    pub fn start<T: Body>(&self, body: &'static T) -> std::io::Result<()> {
        crate::process::THREADED.store(true, Ordering::Relaxed);
        let mut thread = MaybeUninit::uninit();
        // Where attributes have no mask (musl), a thread inherits that of its maker.
        #[cfg(not(target_env = "gnu"))]
        let before = mask()
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)
            .map_err(std::io::Error::from)?;
        // SAFETY: the attributes are initialised; `life::<T>` takes what it is given here, which
        // is never freed and may be used from any thread (`Body: Sync`).
        let started = check(unsafe {
            libc::pthread_create(
                thread.as_mut_ptr(),
                &raw const self.attributes,
                life::<T>,
                std::ptr::from_ref(body).cast_mut().cast(),
            )
        });
        #[cfg(not(target_env = "gnu"))]
        crate::signal::restore(&before);
        started
    }
}

/// The start routine of every thread.
extern "C" fn life<T: Body>(body: *mut c_void) -> *mut c_void {
    // SAFETY: `start::<T>` passes a `&'static T`.
    let body: &'static T = unsafe { &*body.cast_const().cast::<T>() };
    // A panic has printed its message already. It must not unwind into C.
    let _ = catch_unwind(AssertUnwindSafe(|| body.run()));
    std::ptr::null_mut()
}

/// The error that a pthread function returns, as an error of Rust.
pub(crate) fn check(code: c_int) -> std::io::Result<()> {
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

    /// Sends the mask of signals that its thread blocks.
    struct Report(Mutex<Sender<u64>>);

    impl Body for Report {
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
    fn threads_block_signals_and_a_panic_ends_one_thread_only() {
        let (sender, reports) = channel();
        let body: &'static Report = Box::leak(Box::new(Report(Mutex::new(sender))));
        let maker = Spawner::new(256 << 10).unwrap();
        for _ in 0..3 {
            maker.start(body).unwrap();
            let blocked = reports.recv_timeout(Duration::from_secs(10)).unwrap();
            let term = 1 << (libc::SIGTERM - 1);
            let alarm = 1 << (libc::SIGALRM - 1);
            assert_eq!(blocked & (term | alarm), term | alarm, "{blocked:x}");
        }
    }

    #[test]
    fn a_stack_that_is_too_small_is_refused() {
        assert_eq!(
            Spawner::new(1).unwrap_err().raw_os_error(),
            Some(libc::EINVAL)
        );
    }
}
