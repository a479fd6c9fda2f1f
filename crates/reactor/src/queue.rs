//! A bounded queue from loops to the threads behind them.
//!
//! A loop that finds much ready puts all of it in and then wakes one thread. A thread that takes
//! something and leaves something wakes the next before it goes to work, and while one is being
//! woken nobody wakes another. So work that blocks holds up nobody, and quick work is done by
//! those who are awake, without a wake-up each.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};

use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, PoisonError};

/// The end where work comes from. Once the last one is dropped, and what they have put in is done,
/// the consumers are told that nothing will come any more.
#[derive(Debug)]
pub struct Producer<T> {
    sender: Option<Sender<T>>,
    sleepers: Arc<Sleepers>,
}

/// The end where work is taken; each thread has its own.
#[derive(Debug)]
pub struct Consumer<T> {
    receiver: Receiver<T>,
    sleepers: Arc<Sleepers>,
}

/// The consumers, as far as they sleep.
#[derive(Debug)]
struct Sleepers {
    /// How many sleep, or are about to look once more and then to sleep.
    asleep: AtomicUsize,
    /// Somebody is being woken and has not looked yet.
    waking: AtomicBool,
    gate: Mutex<Gate>,
    waker: Condvar,
}

#[derive(Debug)]
struct Gate {
    /// One may get up.
    called: bool,
    producers: usize,
}

/// A queue for at most `max` pieces of work.
pub fn work<T>(max: usize) -> (Producer<T>, Consumer<T>) {
    let (sender, receiver) = bounded(max);
    let sleepers = Arc::new(Sleepers {
        asleep: AtomicUsize::new(0),
        waking: AtomicBool::new(false),
        gate: Mutex::new(Gate {
            called: false,
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

impl<T> Producer<T> {
    /// Puts `piece` in; nobody need look before [`wake`](Self::wake). Waits while the queue is full:
    /// whoever fills it then looks at nothing else. False if every consumer is gone.
    pub fn put(&self, piece: T) -> bool {
        let Some(sender) = &self.sender else {
            return false;
        };
        match sender.try_send(piece) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(piece)) => {
                self.wake();
                sender.send(piece).is_ok()
            }
        }
    }

    /// Wakes a consumer, if there is something to take and one sleeps.
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
        self.sleepers.gate().producers += 1;
        Producer {
            sender: self.sender.clone(),
            sleepers: Arc::clone(&self.sleepers),
        }
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.sender = None;
        let mut gate = self.sleepers.gate();
        gate.producers -= 1;
        if gate.producers == 0 {
            drop(gate);
            self.sleepers.waker.notify_all();
        }
    }
}

impl<T> Consumer<T> {
    /// Waits for work; `None` once there will be none.
    pub fn take(&self) -> Option<T> {
        loop {
            match self.receiver.try_recv() {
                Ok(piece) => {
                    if !self.receiver.is_empty() {
                        self.sleepers.wake();
                    }
                    return Some(piece);
                }
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            // Says that it sleeps, then looks once more; a producer puts in, then looks who sleeps.
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
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 && !self.waking.swap(true, Ordering::SeqCst) {
            self.gate().called = true;
            self.waker.notify_one();
        }
    }

    /// Sleeps until called. Whoever is called looks at the queue after saying that it is up: what
    /// others have put in meanwhile, without waking anybody, is seen.
    fn sleep(&self) {
        let mut gate = self.gate();
        while !gate.called && gate.producers > 0 {
            gate = self
                .waker
                .wait(gate)
                .unwrap_or_else(PoisonError::into_inner);
        }
        gate.called = false;
        drop(gate);
        self.waking.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shuttle::thread;

    /// Whatever the interleaving, everything is taken once and everybody goes home. A consumer that
    /// slept over something would leave all waiting for ever, which shuttle reports as a deadlock.
    fn everything_is_taken_once(batch: usize) {
        let (producer, consumer) = work(8);
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let consumer = consumer.clone();
                thread::spawn(move || {
                    let mut taken = Vec::new();
                    while let Some(piece) = consumer.take() {
                        taken.push(piece);
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
                    for piece in 0..4 {
                        assert!(producer.put(4 * number + piece));
                        if piece % batch == batch - 1 {
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
    fn nothing_is_slept_over_when_each_wakes() {
        shuttle::check_random(|| everything_is_taken_once(1), 1_000);
    }

    #[test]
    fn nothing_is_slept_over_when_a_batch_wakes() {
        shuttle::check_pct(|| everything_is_taken_once(4), 1_000, 3);
    }

    /// Work that blocks holds up nobody: each piece waits for the other two to have been begun.
    #[test]
    fn one_wake_up_brings_as_many_as_there_is_work() {
        shuttle::check_random(
            || {
                let (producer, consumer) = work(3);
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
                (0..3).for_each(|piece| assert!(producer.put(piece)));
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
