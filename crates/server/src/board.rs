//! The scoreboard: one mapping that all processes and threads of a server share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::admission::QueueDelay;
use crate::alarm::Alarm;
use crate::log::Repeats;
use crate::refused::Refused;
use crate::restart::state::Restart;

/// What concerns the whole server.
#[derive(Debug, Default)]
pub struct Board {
    /// When the drain began, monotonic ns; 0 before.
    pub(crate) drain_began_ns: AtomicU64,
    /// Connections that were cut at the end of the drain.
    pub(crate) cut: AtomicU64,
    /// Workers that ended unexpectedly and were replaced.
    pub(crate) respawned: AtomicU64,
    /// How long requests wait for workers that take from one queue.
    pub(crate) queue_delay: QueueDelay,
    /// Workers that have ended as planned and were replaced.
    pub(crate) retired: AtomicU64,
    /// Connections that the main thread has put into a queue for workers; see [`Block::queued`].
    pub(crate) queued: AtomicU64,
    /// When busy connections are cut before their grace is over, monotonic ns; 0: they are not.
    pub(crate) cut_at_ns: AtomicU64,
    /// The hot restart.
    pub(crate) restart: Restart,
    /// A successor serves at the listeners: they are left as they are.
    pub(crate) handed_over: AtomicBool,
    /// Another process serves at the listeners, or may do so.
    pub(crate) leaves: AtomicBool,
    /// A worker process can serve.
    pub(crate) has_worker: AtomicBool,
    /// The listeners were emptied in a drain, and are shut.
    pub(crate) is_emptied: AtomicBool,
    /// When the drain begins that SIGTERM has announced, monotonic ns; 0: none is announced.
    pub(crate) drain_due_ns: AtomicU64,
    /// The server listens, and wants new connections.
    ready: AtomicBool,
    /// Messages that repeat.
    pub(crate) repeats: Repeats,
    /// A worker's service was built, so it can be.
    pub(crate) has_started: AtomicBool,
    /// Exit status of a server whose service could not be built; 0 of any other.
    pub(crate) failed: AtomicU32,
    /// What limits have refused.
    pub(crate) refused: Refused,
}

impl Board {
    /// Says whether the server wants new connections: `/readyz` answers by this.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::SeqCst);
    }

    /// Whether it wants new connections. In a drain it never does.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst) && self.drain_began_ns.load(Ordering::SeqCst) == 0
    }
}

/// The part of one worker, on cache lines of its own. Only this worker writes the counters.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Block {
    /// The worker's [`Activity`] in the high half, the descriptor of its connection in the low one.
    activity: AtomicU64,
    /// Until when its current call may block, monotonic ns: see [`watchdog`](crate::watchdog).
    pub(crate) deadline_ns: AtomicU64,
    /// The alarm of the worker's process, if that has no other worker.
    pub(crate) alarm: Alarm,
    /// Whether the worker is a process of its own.
    is_process: AtomicBool,
    /// Not 0: the worker's process drains, alone or with the server.
    pub(crate) draining: AtomicU64,
    /// Whether the worker's process was told to end, and is to be replaced.
    pub(crate) retires: AtomicBool,
    /// Whether the service was started for the worker.
    pub(crate) is_started: AtomicBool,
    /// Whether a process of this worker has ended: there was one, even if it has counted nothing.
    pub(crate) has_ended: AtomicBool,
    /// Process or thread id, 0 while there is none.
    pub id: AtomicU32,
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Of these, closed.
    pub closed: AtomicU64,
    /// Requests served.
    pub requests: AtomicU64,
    /// Requests refused: malformed, too large, too slow. Not those on which the service has panicked.
    pub refused: AtomicU64,
    /// Of the requests served, those that were answered with 503 because they had waited too long.
    pub shed: AtomicU64,
    /// Of the requests served, those on which the service has panicked.
    pub panicked: AtomicU64,
    /// Requests or connections that this worker has put into a queue for other workers.
    pub(crate) queued: AtomicU64,
    /// Those that it has taken from such a queue.
    pub(crate) taken: AtomicU64,
    /// Connections that a peer has reset or the network has lost.
    pub broken: AtomicU64,
    /// Bytes received.
    pub bytes_in: AtomicU64,
    /// Bytes sent.
    pub bytes_out: AtomicU64,
    /// How often a request held the loop that called the service: it was not quick, by its nature.
    pub held: AtomicU64,
    /// For how long altogether, ns.
    pub held_ns: AtomicU64,
}

/// The deadline of a worker that is in no call with a deadline.
pub(crate) const NO_DEADLINE: u64 = 0;

/// Adds to a counter that only this worker writes. A load and a store suffice for that; an atomic
/// addition would cost more.
#[inline]
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}

/// What a blocking worker does. From this a drain knows which connections are idle and may be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Activity {
    /// Nothing with a descriptor.
    None = 0,
    /// It serves a request on a connection.
    Busy = 1,
    /// It waits for the next request of a connection.
    Idle = 2,
    /// The drain uses the descriptor for a moment. The worker must wait before it closes it.
    Locked = 3,
    /// The drain has cut the connection, and the worker has not closed it yet.
    Cut = 4,
    /// It waits at a listener, or is about to.
    Accepting = 5,
}

fn pack(activity: Activity, fd: i32) -> u64 {
    u64::from(activity as u32) << 32 | u64::from(fd as u32)
}

fn is(packed: u64, activity: Activity) -> bool {
    packed >> 32 == u64::from(activity as u32)
}

impl Block {
    /// The worker says what it does, and with which descriptor.
    ///
    /// A worker announces that it is idle and then checks whether a drain has begun. A drain begins and
    /// then reads the announcements. All these accesses are sequentially consistent, so at least one of
    /// the two sees the other.
    pub(crate) fn announce(&self, activity: Activity, fd: i32) {
        loop {
            let now = self.activity.load(Ordering::SeqCst);
            if is(now, Activity::Locked) {
                std::hint::spin_loop();
                continue;
            }
            if is(now, Activity::Cut) && activity != Activity::None {
                return;
            }
            let next = pack(activity, fd);
            let set = self
                .activity
                .compare_exchange(now, next, Ordering::SeqCst, Ordering::SeqCst);
            if set.is_ok() {
                return;
            }
        }
    }

    /// The worker says that it is the calling process, which has no other worker.
    ///
    /// Its alarm is in shared memory like the rest of the block: a forked process would have to copy a
    /// page to have it in memory of its own.
    ///
    /// Returns the id of that process.
    pub(crate) fn become_this_process(&self) -> u32 {
        self.retires.store(false, Ordering::SeqCst);
        self.draining.store(0, Ordering::SeqCst);
        self.alarm.reset();
        let id = os::process::id();
        self.id.store(id, Ordering::Relaxed);
        self.is_process.store(true, Ordering::SeqCst);
        id
    }

    /// Whether the worker is process `id`, which has no other worker. Async-signal-safe.
    pub(crate) fn is_process(&self, id: u32) -> bool {
        self.is_process.load(Ordering::SeqCst) && self.id.load(Ordering::Relaxed) == id
    }

    /// If this is what the worker does, calls `act` with the descriptor, which the worker cannot close
    /// meanwhile, and returns true. Async-signal-safe, in a handler of this worker too.
    pub(crate) fn act_if(&self, activity: Activity, act: impl FnOnce(i32)) -> bool {
        self.change(activity, activity, act)
    }

    /// The same for a busy worker, whose connection counts as cut from then on.
    pub(crate) fn cut(&self, act: impl FnOnce(i32)) -> bool {
        self.change(Activity::Busy, Activity::Cut, act)
    }

    /// Whether the worker's connection was cut.
    pub(crate) fn is_cut(&self) -> bool {
        is(self.activity.load(Ordering::SeqCst), Activity::Cut)
    }

    /// Whether a blocking worker serves a request, or waits for the rest of one.
    pub(crate) fn is_busy(&self) -> bool {
        is(self.activity.load(Ordering::SeqCst), Activity::Busy)
    }

    /// Whether the worker waits for a connection.
    pub(crate) fn is_accepting(&self) -> bool {
        is(self.activity.load(Ordering::SeqCst), Activity::Accepting)
    }

    fn change(&self, from: Activity, to: Activity, act: impl FnOnce(i32)) -> bool {
        let now = self.activity.load(Ordering::SeqCst);
        if !is(now, from) {
            return false;
        }
        let fd = now as u32 as i32;
        let locked = pack(Activity::Locked, fd);
        let set = self
            .activity
            .compare_exchange(now, locked, Ordering::SeqCst, Ordering::SeqCst);
        if set.is_err() {
            return false;
        }
        act(fd);
        self.activity.store(pack(to, fd), Ordering::SeqCst);
        true
    }

    /// Connections of this worker that are closed.
    pub fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// Connections of this worker that are open.
    pub fn open(&self) -> u64 {
        self.connections
            .load(Ordering::Relaxed)
            .saturating_sub(self.closed.load(Ordering::Relaxed))
    }

    /// The worker's process has ended, and the kernel has closed its connections.
    pub(crate) fn mark_ended(&self) {
        self.is_process.store(false, Ordering::SeqCst);
        self.is_started.store(false, Ordering::SeqCst);
        self.has_ended.store(true, Ordering::Relaxed);
        self.activity.store(0, Ordering::SeqCst);
        self.deadline_ns.store(NO_DEADLINE, Ordering::SeqCst);
        self.id.store(0, Ordering::Relaxed);
        self.closed
            .store(self.connections.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> &'static Block {
        &os::shared::slice::<Block>(1).unwrap()[0]
    }

    #[test]
    fn the_drain_acts_only_on_the_announced_activity() {
        let block = block();
        assert!(!block.act_if(Activity::Idle, |_| unreachable!()));
        block.announce(Activity::Busy, 7);
        assert!(!block.act_if(Activity::Idle, |_| unreachable!()));
        block.announce(Activity::Idle, 7);
        assert!(block.act_if(Activity::Idle, |fd| assert_eq!(fd, 7)));
    }

    #[test]
    fn a_connection_is_cut_once() {
        let block = block();
        block.announce(Activity::Busy, 7);
        assert!(block.cut(|fd| assert_eq!(fd, 7)));
        block.announce(Activity::Busy, 7);
        assert!(!block.cut(|_| unreachable!()));
        block.announce(Activity::None, 0);
        block.announce(Activity::Busy, 8);
        assert!(block.cut(|fd| assert_eq!(fd, 8)));
    }

    /// The race of the drain. The worker announces that it is idle, checks whether a drain has begun, and
    /// blocks if not. The drain begins, and then wakes idle workers. If neither could see the other, the
    /// worker would block for ever.
    #[test]
    fn an_idle_worker_and_the_drain_cannot_both_miss_the_other() {
        use std::sync::atomic::AtomicBool;
        use std::time::{Duration, Instant};
        let block = block();
        for _ in 0..5_000 {
            let (draining, woken, open) = (
                AtomicBool::new(false),
                AtomicBool::new(false),
                AtomicBool::new(true),
            );
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let patience = Instant::now() + Duration::from_secs(5);
                    block.announce(Activity::Idle, 3);
                    while !draining.load(Ordering::SeqCst) && !woken.load(Ordering::SeqCst) {
                        assert!(Instant::now() < patience, "both missed");
                        // Blocked: from here on, only the drain can wake it.
                        while !woken.load(Ordering::SeqCst) {
                            assert!(Instant::now() < patience, "both missed");
                            std::thread::yield_now();
                        }
                    }
                    block.announce(Activity::None, 0);
                    open.store(false, Ordering::SeqCst);
                });
                draining.store(true, Ordering::SeqCst);
                block.act_if(Activity::Idle, |_| {
                    assert!(
                        open.load(Ordering::SeqCst),
                        "the drain uses a closed descriptor"
                    );
                    woken.store(true, Ordering::SeqCst);
                });
            });
        }
    }
}
