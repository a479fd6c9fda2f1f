//! The right to wait at the handle set, and how it passes from thread to thread.

use std::collections::VecDeque;
use std::time::Instant;

use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait};

/// Passes from leader to leader, with the handles that the last wait found and no thread has taken.
#[derive(Debug)]
pub struct Leadership<T> {
    state: Mutex<State<T>>,
    followers: Condvar,
}

/// The thread that has it locked leads.
#[derive(Debug)]
struct State<T> {
    /// The leader waits at the set, with the lock released.
    waiting: bool,
    /// Nothing will ever be ready again.
    over: bool,
    ready: VecDeque<T>,
    /// When the last wait ended.
    now: Instant,
    /// Followers that sleep.
    asleep: usize,
    /// One of them has been promoted and has not woken yet.
    promoted: bool,
}

/// The one thread that may wait.
#[derive(Debug)]
pub struct Leader<'a, T> {
    leadership: &'a Leadership<T>,
    state: MutexGuard<'a, State<T>>,
}

impl<T> Leadership<T> {
    /// Any thread may take it.
    pub fn new() -> Leadership<T> {
        Leadership {
            state: Mutex::new(State {
                waiting: false,
                over: false,
                ready: VecDeque::new(),
                now: Instant::now(),
                asleep: 0,
                promoted: false,
            }),
            followers: Condvar::new(),
        }
    }

    /// Follows until there is no leader, then leads. `None` once nothing will be ready any more.
    #[inline(always)]
    pub fn follow(&self) -> Option<Leader<'_, T>> {
        let mut state = lock(&self.state);
        while state.waiting && !state.over {
            state.asleep += 1;
            state = wait(&self.followers, state);
            state.asleep -= 1;
            state.promoted = false;
        }
        (!state.over).then_some(Leader {
            leadership: self,
            state,
        })
    }
}

impl<'a, T> Leader<'a, T> {
    /// Returns a handle that is ready, and the time at which it was found. A leader takes one
    /// handle of those that a wait has found: the others pass to the next leader, which need not
    /// wait. `wait_at_set` adds the handles it finds and returns the time, or `None` if nothing
    /// will be ready any more; then so does this. If a wait finds nothing, the leader waits again
    /// instead of promoting another thread.
    #[inline(always)]
    pub fn wait(
        self,
        mut wait_at_set: impl FnMut(&mut VecDeque<T>) -> Option<Instant>,
    ) -> (Leader<'a, T>, Option<(T, Instant)>) {
        let mut leader = self;
        while leader.state.ready.is_empty() && !leader.state.over {
            leader = leader.wait_unlocked(&mut wait_at_set);
        }
        let taken = leader.state.ready.pop_front();
        let now = leader.state.now;
        (leader, taken.map(|taken| (taken, now)))
    }

    #[inline(always)]
    fn wait_unlocked(
        self,
        wait_at_set: impl FnOnce(&mut VecDeque<T>) -> Option<Instant>,
    ) -> Leader<'a, T> {
        let Leader {
            leadership,
            mut state,
        } = self;
        state.waiting = true;
        let mut ready = std::mem::take(&mut state.ready);
        drop(state);
        let waited = wait_at_set(&mut ready);
        let mut state = lock(&leadership.state);
        state.waiting = false;
        state.ready = ready;
        match waited {
            Some(now) => state.now = now,
            None => {
                state.over = true;
                leadership.followers.notify_all();
            }
        }
        Leader { leadership, state }
    }

    /// Lets the next thread lead, and wakes one if all are asleep. The leader serves the handle
    /// that it has taken after this, never before.
    #[inline(always)]
    pub fn promote(mut self) {
        let wake = self.state.asleep > 0 && !self.state.promoted;
        self.state.promoted |= wake;
        drop(self.state);
        if wake {
            self.leadership.followers.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A set at which so many handles become ready, a few in each wait.
    struct Set {
        left: Mutex<usize>,
        batch: usize,
    }

    impl Set {
        fn wait(&self, ready: &mut VecDeque<usize>) -> Option<Instant> {
            let mut left = lock(&self.left);
            let found = self.batch.min(*left);
            *left -= found;
            ready.extend((0..found).map(|number| *left + number));
            (found > 0).then(Instant::now)
        }
    }

    /// Threads that follow, lead, promote and serve, as in the model.
    fn threads(
        count: usize,
        set: Set,
        serve: impl Fn(usize) + Send + Sync + 'static,
    ) -> Vec<shuttle::thread::JoinHandle<()>> {
        let leadership = Arc::new(Leadership::new());
        let shared = Arc::new((set, serve));
        let spawn = |_| {
            let (leadership, shared) = (Arc::clone(&leadership), Arc::clone(&shared));
            shuttle::thread::spawn(move || {
                while let Some(leader) = leadership.follow() {
                    let (leader, taken) = leader.wait(|ready| shared.0.wait(ready));
                    leader.promote();
                    if let Some((taken, _)) = taken {
                        (shared.1)(taken);
                    }
                }
            })
        };
        (0..count).map(spawn).collect()
    }

    /// Whatever the interleaving; and every thread ends.
    fn each_handle_once() {
        let served = Arc::new(Mutex::new(Vec::new()));
        let ours = Arc::clone(&served);
        let (left, batch) = (Mutex::new(6), 3);
        let threads = threads(3, Set { left, batch }, move |number| {
            lock(&ours).push(number);
        });
        threads.into_iter().for_each(|one| one.join().unwrap());
        let mut served = lock(&served).clone();
        served.sort_unstable();
        assert_eq!(served, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn every_handle_is_served_once() {
        shuttle::check_random(each_handle_once, 500);
        shuttle::check_pct(each_handle_once, 500, 3);
    }

    /// A leader that serves for long has promoted another thread before: each of three handles
    /// takes until the others are served, too, by as many threads. A promotion that is lost would
    /// leave all waiting for ever, which shuttle reports as a deadlock.
    #[test]
    fn no_promotion_is_lost() {
        shuttle::check_random(
            || {
                let begun = Arc::new((Mutex::new(0), Condvar::new()));
                let (left, batch) = (Mutex::new(3), 2);
                let threads = threads(4, Set { left, batch }, move |_| {
                    let mut count = lock(&begun.0);
                    *count += 1;
                    begun.1.notify_all();
                    while *count < 3 {
                        count = wait(&begun.1, count);
                    }
                });
                threads.into_iter().for_each(|one| one.join().unwrap());
            },
            1_000,
        );
    }
}
