//! A bounded queue from loops to the threads behind them.
//!
//! A loop adds all the items of a batch and then wakes one thread. A thread that takes an item and
//! leaves others wakes the next thread before it begins to work, and while one thread is being
//! woken no other is. So an item that blocks its thread delays no other item, and quick items are
//! worked on by threads that are awake, without a wake-up each.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};

use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, PoisonError};

/// The end at which items are added. Once the last one is dropped and the queue is empty, the
/// consumers learn that nothing will come any more.
#[derive(Debug)]
pub struct Producer<T> {
    sender: Option<Sender<T>>,
    sleepers: Arc<Sleepers>,
}

/// The end at which items are taken; each thread has its own.
#[derive(Debug)]
pub struct Consumer<T> {
    receiver: Receiver<T>,
    sleepers: Arc<Sleepers>,
}

/// The consumers that sleep.
#[derive(Debug)]
struct Sleepers {
    /// How many sleep, or are about to look at the queue once more and then to sleep.
    asleep: AtomicUsize,
    /// One of them is being woken and has not looked at the queue yet.
    waking: AtomicBool,
    state: Mutex<State>,
    waker: Condvar,
}

#[derive(Debug)]
struct State {
    /// One may stop sleeping.
    woken: bool,
    producers: usize,
}

/// A queue for at most `max` items.
pub fn work_queue<T>(max: usize) -> (Producer<T>, Consumer<T>) {
    let (sender, receiver) = bounded(max);
    let sleepers = Arc::new(Sleepers {
        asleep: AtomicUsize::new(0),
        waking: AtomicBool::new(false),
        state: Mutex::new(State {
            woken: false,
            producers: 1,
        }),
        waker: Condvar::new(),
    });
    let producer = Producer {
        sender: Some(sender),
        sleepers: Arc::clone(&sleepers),
    };
    (producer, Consumer { receiver, sleepers })
}

/// Sends `item`. Where there is no room, wakes the thread that makes some and waits for it. False if no thread receives
/// any more.
pub(crate) fn send<T>(sender: Option<&Sender<T>>, item: T, wake: impl FnOnce()) -> bool {
    let Some(sender) = sender else {
        return false;
    };
    match sender.try_send(item) {
        Ok(()) => true,
        Err(TrySendError::Disconnected(_)) => false,
        Err(TrySendError::Full(item)) => {
            wake();
            sender.send(item).is_ok()
        }
    }
}

impl<T> Producer<T> {
    /// Adds `item`; no consumer need look before [`wake`](Self::wake). Waits while the queue is
    /// full: the loop does nothing else then. False if all consumers have ended.
    pub fn put(&self, item: T) -> bool {
        send(self.sender.as_ref(), item, || self.wake())
    }

    /// Wakes a consumer, if there is an item and a consumer sleeps.
    pub fn wake(&self) {
        if self
            .sender
            .as_ref()
            .is_some_and(|sender| !sender.is_empty())
        {
            self.sleepers.wake();
        }
    }
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Producer<T> {
        self.sleepers.lock().producers += 1;
        Producer {
            sender: self.sender.clone(),
            sleepers: Arc::clone(&self.sleepers),
        }
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.sender = None;
        let mut state = self.sleepers.lock();
        state.producers -= 1;
        if state.producers == 0 {
            drop(state);
            self.sleepers.waker.notify_all();
        }
    }
}

impl<T> Consumer<T> {
    /// An item, if there is one.
    pub fn try_take(&self) -> Option<T> {
        self.receiver.try_recv().ok()
    }

    /// Waits for an item; `None` once there will be none.
    pub fn take(&self) -> Option<T> {
        loop {
            match self.receiver.try_recv() {
                Ok(item) => {
                    if !self.receiver.is_empty() {
                        self.sleepers.wake();
                    }
                    return Some(item);
                }
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            // The consumer publishes that it sleeps, then looks once more; a producer adds an item,
            // then looks whether one sleeps. So one of them sees what the other did.
            self.sleepers.asleep.fetch_add(1, Ordering::SeqCst);
            if self.receiver.is_empty() {
                self.sleepers.sleep();
            }
            self.sleepers.asleep.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl<T> Clone for Consumer<T> {
    fn clone(&self) -> Consumer<T> {
        Consumer {
            receiver: self.receiver.clone(),
            sleepers: Arc::clone(&self.sleepers),
        }
    }
}

impl Sleepers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 && !self.waking.swap(true, Ordering::SeqCst) {
            self.lock().woken = true;
            self.waker.notify_one();
        }
    }

    /// Sleeps until woken. A consumer that was woken publishes that it is awake and then looks at
    /// the queue, so it sees the items that were added meanwhile without a wake-up.
    fn sleep(&self) {
        let mut state = self.lock();
        while !state.woken && state.producers > 0 {
            state = self
                .waker
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.woken = false;
        drop(state);
        self.waking.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shuttle::thread;

    /// Whatever the interleaving, every item is taken once and every thread ends. A consumer that
    /// slept although there is an item would leave all waiting for ever, which shuttle reports as a
    /// deadlock.
    fn everything_is_taken_once(batch: usize) {
        let (producer, consumer) = work_queue(8);
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let consumer = consumer.clone();
                thread::spawn(move || {
                    let mut taken = Vec::new();
                    while let Some(item) = consumer.take() {
                        taken.push(item);
                    }
                    taken
                })
            })
            .collect();
        drop(consumer);
        let producers: Vec<_> = (0..2)
            .map(|number| {
                let producer = producer.clone();
                thread::spawn(move || {
                    for item in 0..4 {
                        assert!(producer.put(4 * number + item));
                        if item % batch == batch - 1 {
                            producer.wake();
                        }
                    }
                })
            })
            .collect();
        drop(producer);
        producers.into_iter().for_each(|one| one.join().unwrap());
        let mut all: Vec<_> = consumers
            .into_iter()
            .flat_map(|one| one.join().unwrap())
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn no_item_is_missed_when_each_wakes() {
        shuttle::check_random(|| everything_is_taken_once(1), 1_000);
    }

    #[test]
    fn no_item_is_missed_when_a_batch_wakes() {
        shuttle::check_pct(|| everything_is_taken_once(4), 1_000, 3);
    }

    /// An item that blocks its thread delays no other: each waits until the other two have begun.
    #[test]
    fn one_wake_up_wakes_as_many_as_there_are_items() {
        shuttle::check_random(
            || {
                let (producer, consumer) = work_queue(3);
                let begun = Arc::new((Mutex::new(0), Condvar::new()));
                let threads: Vec<_> = (0..3)
                    .map(|_| {
                        let (consumer, begun) = (consumer.clone(), Arc::clone(&begun));
                        thread::spawn(move || {
                            while consumer.take().is_some() {
                                let mut count = begun.0.lock().unwrap();
                                *count += 1;
                                begun.1.notify_all();
                                while *count < 3 {
                                    count = begun.1.wait(count).unwrap();
                                }
                            }
                        })
                    })
                    .collect();
                (0..3).for_each(|item| assert!(producer.put(item)));
                producer.wake();
                let mut count = begun.0.lock().unwrap();
                while *count < 3 {
                    count = begun.1.wait(count).unwrap();
                }
                drop((count, producer));
                threads.into_iter().for_each(|one| one.join().unwrap());
            },
            1_000,
        );
    }
}
