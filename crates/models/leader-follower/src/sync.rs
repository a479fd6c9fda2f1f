//! The lock and its condition variable: parking_lot's, and in tests those whose interleavings
//! shuttle explores.

#[cfg(not(test))]
pub use parking_lot::{Condvar, Mutex, MutexGuard};

#[cfg(test)]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard};

#[cfg(not(test))]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(not(test))]
pub fn wait<'a, T>(waker: &Condvar, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    waker.wait(&mut guard);
    guard
}

#[cfg(test)]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

#[cfg(test)]
pub fn wait<'a, T>(waker: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    waker.wait(guard).unwrap()
}
