//! Locks between processes, for one of them at a time to wait at a listener.
//!
//! Both kinds are let go of by the kernel when their holder dies, so a worker that is killed in its
//! turn stops nobody.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{FlockOperation, MemfdFlags, Mode, OFlags, flock, memfd_create, open};
use rustix::io::Errno;

use crate::detached::check;

/// A file without a name to lock. `flock(2)` locks belong to an open file, which forked processes
/// share, so each of them must [open](LockFile::open) it anew.
#[derive(Debug)]
pub struct LockFile(OwnedFd);

/// One process's own opening of a [`LockFile`].
#[derive(Debug)]
pub struct FileLock(OwnedFd);

/// The lock on the file, until dropped.
#[derive(Debug)]
pub struct HeldFile<'a>(&'a FileLock);

impl LockFile {
    /// A new one, in memory.
    ///
    /// # Errors
    /// Descriptors or memory have run out, or there is no `/proc`.
    pub fn new() -> rustix::io::Result<LockFile> {
        let file = LockFile(memfd_create("accept lock", MemfdFlags::CLOEXEC)?);
        file.open()?;
        Ok(file)
    }

    /// Opens it for this process.
    ///
    /// # Errors
    /// Descriptors have run out.
    pub fn open(&self) -> rustix::io::Result<FileLock> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(FileLock)
    }
}

impl FileLock {
    /// Waits for the lock. Signals that are handled meanwhile do not end the wait.
    ///
    /// # Errors
    /// ENOLCK: the kernel has no memory for it.
    pub fn hold(&self) -> rustix::io::Result<HeldFile<'_>> {
        loop {
            match flock(self.0.as_fd(), FlockOperation::LockExclusive) {
                Ok(()) => return Ok(HeldFile(self)),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for HeldFile<'_> {
    fn drop(&mut self) {
        // Unlocking a descriptor that is open cannot fail.
        let _ = flock(self.0.0.as_fd(), FlockOperation::Unlock);
    }
}

/// A mutex in memory that forked processes share (`pthread_mutexattr_setpshared(3)`), robust: the
/// lock of a holder that died passes to the next (`pthread_mutexattr_setrobust(3)`).
pub struct SharedMutex(UnsafeCell<libc::pthread_mutex_t>);

/// The mutex, until dropped by the thread that locked it.
#[derive(Debug)]
pub struct HeldMutex<'a>(&'a SharedMutex, PhantomData<*const ()>);

// SAFETY: a pthread mutex is made to be used from many threads and, as set up here, processes.
unsafe impl Sync for SharedMutex {}

impl Default for SharedMutex {
    /// Not usable before it is set up where it lies.
    fn default() -> SharedMutex {
        SharedMutex(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER))
    }
}

impl std::fmt::Debug for SharedMutex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedMutex").finish_non_exhaustive()
    }
}

impl SharedMutex {
    /// A mutex that this process shares with all it will fork.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> std::io::Result<&'static SharedMutex> {
        let mutex = &crate::shared::slice::<SharedMutex>(1)?[0];
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are initialised by the first call, and destroyed after the last;
        // nobody else knows the mutex yet, it stays where it is, and its memory is never unmapped.
        unsafe {
            check(libc::pthread_mutexattr_init(attributes.as_mut_ptr()))?;
            check(libc::pthread_mutexattr_setpshared(
                attributes.as_mut_ptr(),
                libc::PTHREAD_PROCESS_SHARED,
            ))?;
            check(libc::pthread_mutexattr_setrobust(
                attributes.as_mut_ptr(),
                libc::PTHREAD_MUTEX_ROBUST,
            ))?;
            check(libc::pthread_mutex_init(mutex.0.get(), attributes.as_ptr()))?;
            libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
        }
        Ok(mutex)
    }

    /// Waits for the mutex. Signals that are handled meanwhile do not end the wait.
    ///
    /// # Panics
    /// If this thread holds it already: a programmer's error.
    pub fn hold(&self) -> HeldMutex<'_> {
        // SAFETY: `new` has initialised the mutex, which lives for ever.
        let mut code = unsafe { libc::pthread_mutex_lock(self.0.get()) };
        if code == libc::EOWNERDEAD {
            // It guards no data that the dead could have left half written.
            // SAFETY: as above, and this thread holds it now.
            code = unsafe { libc::pthread_mutex_consistent(self.0.get()) };
        }
        assert_eq!(
            code, 0,
            "a robust mutex that is always made consistent can be locked"
        );
        HeldMutex(self, PhantomData)
    }
}

impl Drop for HeldMutex<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread has locked it: the guard is not `Send`.
        unsafe { libc::pthread_mutex_unlock(self.0.0.get()) };
    }
}
