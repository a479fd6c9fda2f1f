//! A slot for each worker, in a table that grows without moving what it has.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// Slots by worker number. Bucket b has 2^b of them, and is made when the first is used.
pub(super) struct Slots<T> {
    buckets: [OnceLock<Box<[Padded<T>]>>; BUCKETS],
}

/// Enough for every number of a worker that there may be.
const BUCKETS: usize = u32::BITS as usize;

/// On cache lines of its own: only its worker uses it.
#[repr(align(128))]
struct Padded<T>(Mutex<Option<T>>);

/// The slot of a worker, as long as the worker uses it. If that panics, the slot is empty when it is
/// locked again.
pub(super) struct Slot<'s, T>(MutexGuard<'s, Option<T>>);

impl<T> Deref for Slot<'_, T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<T> DerefMut for Slot<'_, T> {
    fn deref_mut(&mut self) -> &mut Option<T> {
        &mut self.0
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots {
            buckets: [const { OnceLock::new() }; BUCKETS],
        }
    }
}

impl<T> Slots<T> {
    /// The slot of a worker. It is empty at first.
    pub(super) fn lock(&self, worker: u32) -> Slot<'_, T> {
        let (bucket, index) = position(worker);
        let slots = self.buckets[bucket].get_or_init(|| {
            let empty = || Padded(Mutex::new(None));
            std::iter::repeat_with(empty).take(1 << bucket).collect()
        });
        let mutex = &slots[index].0;
        Slot(mutex.lock().unwrap_or_else(|poisoned| {
            mutex.clear_poison();
            let mut slot = poisoned.into_inner();
            *slot = None;
            slot
        }))
    }

    /// What `look` says of the first that is not empty.
    pub(super) fn first<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        let slot = self.all().find_map(|slot| {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.is_some().then_some(slot)
        });
        slot.and_then(|slot| slot.as_ref().map(look))
    }

    /// Drops what the slots have, in the order of the workers, except where one is in use.
    pub(super) fn clear(&self) {
        for slot in self.all() {
            match slot.try_lock() {
                Ok(mut slot) => *slot = None,
                Err(TryLockError::Poisoned(poisoned)) => *poisoned.into_inner() = None,
                Err(TryLockError::WouldBlock) => {}
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Mutex<Option<T>>> {
        let made = self.buckets.iter().filter_map(OnceLock::get);
        made.flat_map(|slots| slots.iter().map(|padded| &padded.0))
    }
}

/// Bucket, and index in it.
fn position(worker: u32) -> (usize, usize) {
    let number = u64::from(worker) + 1;
    let bucket = number.ilog2();
    (bucket as usize, (number - (1 << bucket)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_has_a_slot_of_its_own() {
        let slots = Slots::default();
        for worker in 0..1000 {
            assert!(slots.lock(worker).is_none(), "{worker}");
            *slots.lock(worker) = Some(worker);
        }
        for worker in 0..1000 {
            assert_eq!(*slots.lock(worker), Some(worker));
        }
        assert_eq!(position(u32::MAX - 1).0, BUCKETS - 1);
    }

    #[test]
    fn what_a_panic_has_left_is_dropped() {
        let slots = Slots::default();
        *slots.lock(3) = Some("whole");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _slot = slots.lock(3);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert!(slots.lock(3).is_none());
        *slots.lock(3) = Some("new");
        assert_eq!(*slots.lock(3), Some("new"));
    }

    #[test]
    fn slots_are_cleared_in_order_except_those_in_use() {
        struct Said<'a>(u32, &'a Mutex<Vec<u32>>);
        impl Drop for Said<'_> {
            fn drop(&mut self) {
                self.1
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(self.0);
            }
        }
        let dropped = Mutex::new(Vec::new());
        let slots = Slots::default();
        for worker in [4, 0, 2, 1] {
            *slots.lock(worker) = Some(Said(worker, &dropped));
        }
        let in_use = slots.lock(1);
        slots.clear();
        assert_eq!(
            *dropped.lock().unwrap_or_else(PoisonError::into_inner),
            [0, 2, 4]
        );
        drop(in_use);
    }
}
