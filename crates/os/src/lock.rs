//! Locks between processes, for models in which one process at a time waits in accept.
//!
//! When a process dies that holds a lock, the kernel releases it, so a worker that is killed meanwhile
//! does not stop the others.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{FlockOperation, MemfdFlags, Mode, OFlags, flock, memfd_create, open};

use crate::detached::check;

/// A file without a name, to be locked. A lock of `flock(2)` belongs to the open file description,
/// which forked processes share, so each of them must [open](LockFile::open) the file again.
#[derive(Debug)]
pub struct LockFile(OwnedFd);

/// A [`LockFile`] as one process has opened it.
#[derive(Debug)]
pub struct FileLock(OwnedFd);

/// Holds the lock on a file until dropped.
#[derive(Debug)]
pub struct FileGuard<'a>(&'a FileLock);

impl LockFile {
    /// Creates a file in memory.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM. ENOENT: `/proc` is not mounted.
    pub fn new() -> rustix::io::Result<LockFile> {
        let file = LockFile(memfd_create("accept lock", MemfdFlags::CLOEXEC)?);
        file.open()?;
        Ok(file)
    }

    /// Opens the file for this process.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn open(&self) -> rustix::io::Result<FileLock> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(FileLock)
    }
}

impl FileLock {
    /// Waits for the lock. Handlers of signals that run meanwhile do not end the wait.
    ///
    /// # Errors
    /// ENOLCK: the kernel has no memory for the lock.
    pub fn lock(&self) -> rustix::io::Result<FileGuard<'_>> {
        let lock = || flock(self.0.as_fd(), FlockOperation::LockExclusive);
        rustix::io::retry_on_intr(lock).map(|()| FileGuard(self))
    }
}

impl Drop for FileGuard<'_> {
    fn drop(&mut self) {
        // Unlocking an open file cannot fail.
        let _ = flock(self.0.0.as_fd(), FlockOperation::Unlock);
    }
}

/// A mutex in memory that forked processes share (`pthread_mutexattr_setpshared(3)`). It is robust: when
/// its owner has died, the next process gets it (`pthread_mutexattr_setrobust(3)`).
pub struct SharedMutex(UnsafeCell<libc::pthread_mutex_t>);

/// Holds a mutex until dropped, in the thread that has locked it.
#[derive(Debug)]
pub struct MutexGuard<'a>(&'a SharedMutex, PhantomData<*const ()>);

// SAFETY: a pthread mutex may be used by several threads and, with these attributes, processes.
unsafe impl Sync for SharedMutex {}

impl Default for SharedMutex {
    /// Must be initialised in its final place before it is used.
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
    /// A mutex that this process shares with all that it forks later.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> std::io::Result<&'static SharedMutex> {
        let mutex = &crate::shared::slice::<SharedMutex>(1)?[0];
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are initialised by the first call and destroyed by the last. The
        // mutex is not in use yet, is never moved, and its memory is never unmapped.
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

    /// Waits for the mutex. Handlers of signals that run meanwhile do not end the wait.
    ///
    /// # Panics
    /// If this thread holds it already: a programmer's error.
    pub fn lock(&self) -> MutexGuard<'_> {
        // SAFETY: `new` has initialised the mutex, which is never freed.
        let mut code = unsafe { libc::pthread_mutex_lock(self.0.get()) };
        if code == libc::EOWNERDEAD {
            // The mutex protects no data that its dead owner could have left inconsistent.
            // SAFETY: as above, and this thread holds the mutex now.
            code = unsafe { libc::pthread_mutex_consistent(self.0.get()) };
        }
        assert_eq!(
            code, 0,
            "a robust mutex that is always made consistent can be locked"
        );
        MutexGuard(self, PhantomData)
    }
}

impl Drop for MutexGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread has locked it: the guard is not `Send`.
        unsafe { libc::pthread_mutex_unlock(self.0.0.get()) };
    }
}
