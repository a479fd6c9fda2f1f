//! The scoreboard: one mapping that every process and thread of a server shares.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::alarm::Alarm;

/// What the whole server shares.
#[derive(Debug, Default)]
pub struct Board {
    /// Monotonic time at which the drain began, ns; 0 before.
    pub(crate) drain_began_ns: AtomicU64,
    /// Connections that had to be cut at the end of the drain.
    pub(crate) cut: AtomicU64,
    /// Workers that died and were replaced.
    pub(crate) respawned: AtomicU64,
}

/// One worker's figures, on cache lines of its own. Only this worker writes the counters.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Block {
    /// What the worker does with which descriptor: see [`Holding`].
    holding: AtomicU64,
    /// Until when its call may block, monotonic ns: see [`watchdog`](crate::watchdog).
    pub(crate) deadline_ns: AtomicU64,
    /// That of the worker's process, if it is alone in it.
    pub(crate) alarm: Alarm,
    /// Whether the worker is a whole process.
    alone: AtomicBool,
    /// Process or thread id, 0 while there is none.
    pub id: AtomicU32,
    /// Connections taken on.
    pub connections: AtomicU64,
    /// Of these, ended.
    pub closed: AtomicU64,
    /// Requests served.
    pub requests: AtomicU64,
    /// Requests refused: malformed, too large, too slow.
    pub refused: AtomicU64,
    /// Connections that a peer reset or the network broke.
    pub broken: AtomicU64,
    /// Bytes received.
    pub bytes_in: AtomicU64,
    /// Bytes sent.
    pub bytes_out: AtomicU64,
}

/// What a block says of a worker that is in no call that has a deadline.
pub(crate) const NO_DEADLINE: u64 = 0;

/// Adds to a counter that only this worker writes: a load and a store, no locked instruction.
#[inline]
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}

/// What a blocking worker holds: how a drain finds the idle connections and leaves the busy ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Holding {
    Nothing = 0,
    /// A connection that is being served.
    Busy = 1,
    /// A connection that waits for its next request.
    Idle = 2,
    /// The drain has its hands on it for a moment; the worker must not close it now.
    Seized = 3,
    /// A connection that the end of the grace has cut: it stays so until the worker lets go of it.
    Cut = 4,
    /// No connection: it blocks at a listener, or is about to.
    Accepting = 5,
}

fn pack(holding: Holding, fd: i32) -> u64 {
    u64::from(holding as u32) << 32 | u64::from(fd as u32)
}

impl Block {
    /// The worker says what it holds. Sequentially consistent, so that an announcement of idleness
    /// followed by a look at the drain, and the beginning of a drain followed by a look at the
    /// announcements, cannot both miss each other.
    pub(crate) fn announce(&self, holding: Holding, fd: i32) {
        let (seized, cut) = (Holding::Seized as u64, Holding::Cut as u64);
        loop {
            let now = self.holding.load(Ordering::SeqCst);
            if now >> 32 == seized {
                std::hint::spin_loop();
                continue;
            }
            if now >> 32 == cut && holding != Holding::Nothing {
                return;
            }
            if self
                .holding
                .compare_exchange(now, pack(holding, fd), Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            {
                return;
            }
        }
    }

    /// The worker says that it is the process that calls, and nobody else is. What it needs as such
    /// is here, and not in memory of the process's own, of which a child would have to copy a page.
    pub(crate) fn is_this_process(&self) {
        self.alarm.reset();
        self.id.store(os::process::id(), Ordering::Relaxed);
        self.alone.store(true, Ordering::SeqCst);
    }

    /// Whether its worker is process `id`, and nobody else is. Async-signal-safe.
    pub(crate) fn is_process(&self, id: u32) -> bool {
        self.alone.load(Ordering::SeqCst) && self.id.load(Ordering::Relaxed) == id
    }

    /// The drain acts on the descriptor if the worker holds it as `holding`; the worker cannot
    /// close it meanwhile. Safe in a signal handler of the worker itself. True if it acted.
    pub(crate) fn seize(&self, holding: Holding, act: impl FnOnce(i32)) -> bool {
        self.change(holding, holding, act)
    }

    /// The same with a busy connection, which is cut by this, once.
    pub(crate) fn cut(&self, act: impl FnOnce(i32)) -> bool {
        self.change(Holding::Busy, Holding::Cut, act)
    }

    /// Whether what it holds was cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.holding.load(Ordering::SeqCst) >> 32 == Holding::Cut as u64
    }

    /// Whether it waits for a connection.
    pub(crate) fn is_accepting(&self) -> bool {
        self.holding.load(Ordering::SeqCst) >> 32 == Holding::Accepting as u64
    }

    fn change(&self, holding: Holding, then: Holding, act: impl FnOnce(i32)) -> bool {
        let now = self.holding.load(Ordering::SeqCst);
        if now >> 32 != u64::from(holding as u32) {
            return false;
        }
        let fd = now as u32 as i32;
        if self
            .holding
            .compare_exchange(
                now,
                pack(Holding::Seized, fd),
                Ordering::SeqCst,
                Ordering::SeqCst,
            )
            .is_err()
        {
            return false;
        }
        act(fd);
        self.holding.store(pack(then, fd), Ordering::SeqCst);
        true
    }

    /// Connections this worker has open.
    pub fn open(&self) -> u64 {
        self.connections
            .load(Ordering::Relaxed)
            .saturating_sub(self.closed.load(Ordering::Relaxed))
    }

    /// The worker is gone, and with it what it held.
    pub(crate) fn bury(&self) {
        self.alone.store(false, Ordering::SeqCst);
        self.holding.store(0, Ordering::SeqCst);
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
    fn only_what_is_announced_can_be_seized() {
        let block = block();
        assert!(!block.seize(Holding::Idle, |_| unreachable!()));
        block.announce(Holding::Busy, 7);
        assert!(!block.seize(Holding::Idle, |_| unreachable!()));
        block.announce(Holding::Idle, 7);
        assert!(block.seize(Holding::Idle, |fd| assert_eq!(fd, 7)));
    }

    #[test]
    fn what_is_cut_is_cut_once() {
        let block = block();
        block.announce(Holding::Busy, 7);
        assert!(block.cut(|fd| assert_eq!(fd, 7)));
        block.announce(Holding::Busy, 7);
        assert!(!block.cut(|_| unreachable!()));
        block.announce(Holding::Nothing, 0);
        block.announce(Holding::Busy, 8);
        assert!(block.cut(|fd| assert_eq!(fd, 8)));
    }

    /// The race of the drain. The worker announces idle, looks at the drain, and blocks if it saw
    /// none; the drain begins, then wakes the idle. If both could miss, the worker would block on.
    #[test]
    fn idle_workers_and_the_drain_never_both_miss() {
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
                    block.announce(Holding::Idle, 3);
                    while !draining.load(Ordering::SeqCst) && !woken.load(Ordering::SeqCst) {
                        assert!(Instant::now() < patience, "both missed");
                        // Blocked: only being woken counts from here on.
                        while !woken.load(Ordering::SeqCst) {
                            assert!(Instant::now() < patience, "both missed");
                            std::thread::yield_now();
                        }
                    }
                    block.announce(Holding::Nothing, 0);
                    open.store(false, Ordering::SeqCst);
                });
                draining.store(true, Ordering::SeqCst);
                block.seize(Holding::Idle, |_| {
                    assert!(open.load(Ordering::SeqCst), "seized, yet closed");
                    woken.store(true, Ordering::SeqCst);
                });
            });
        }
    }
}
