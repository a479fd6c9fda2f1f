//! Deadlines of blocking workers, at no system call and no timer a receive.
//!
//! A worker that blocks in receive publishes its deadline in its block of the scoreboard. The process
//! has one alarm, which goes off at the earliest deadline published when it was set, or sooner; its
//! handler then looks at all of them, wakes who is overdue, and sets the alarm anew. A worker sets it
//! itself only where its deadline is before the alarm: once for the first connection, and seldom
//! after that, since a request puts its deadline off and no alarm forward.
//!
//! A woken receive returns EINTR, and its worker looks at the clock. Whoever was about to block when
//! the signal came is still overdue at the next look, a moment later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use os::signal;

use crate::board::Block;
use crate::{Limits, Server};

/// The alarm of a process of several workers, or none. A worker that is a process has one in its
/// [`Block`].
pub(crate) static ALARM: Alarm = Alarm(AtomicU64::new(OFF));

/// When an alarm goes off, monotonic ns.
#[derive(Debug)]
pub(crate) struct Alarm(AtomicU64);

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm(AtomicU64::new(OFF))
    }
}

/// No alarm.
const OFF: u64 = u64::MAX;
/// The drain has it tick, which is before any deadline.
const TICKING: u64 = 0;

/// How often the drain has the alarm tick.
const TICK: Duration = Duration::from_millis(50);
/// When to look again at a worker that was overdue, ns.
const AGAIN_NS: u64 = 10_000_000;

/// What a block says of a worker that does not receive.
pub(crate) const NOT_RECEIVING: u64 = 0;

/// Says that the worker of `block` is about to receive, or to send much, until `deadline_ns`; `alarm`
/// is its process's.
#[inline]
pub(crate) fn blocks(block: &Block, alarm: &Alarm, deadline_ns: u64) {
    block.deadline_ns.store(deadline_ns, Ordering::SeqCst);
    alarm.cover(deadline_ns, set_timer);
}

/// Says that the call has returned.
#[inline]
pub(crate) fn has_returned(block: &Block) {
    block.deadline_ns.store(NOT_RECEIVING, Ordering::Relaxed);
}

/// The alarm of this process has gone off: wakes the workers that are overdue, and sets it for the
/// others. `mine` is the worker that is this whole process, if one is, and awake by being here.
/// Async-signal-safe.
pub(crate) fn look(server: &Server, mine: Option<&Block>) {
    let (now_ns, usual_ns) = (signal::monotonic_ns(), usual_ns(&server.limits));
    match mine {
        Some(block) => {
            let blocks = std::slice::from_ref(block);
            block
                .alarm
                .look(blocks, now_ns, usual_ns, |_| {}, set_timer);
        }
        None => {
            let wake = |block: &Block| os::wake::thread(block.id.load(Ordering::Relaxed));
            ALARM.look(server.blocks, now_ns, usual_ns, wake, set_timer);
        }
    }
}

/// The shortest of the usual deadlines, ns. An alarm no later than this is one that a new connection
/// need not bring forward.
fn usual_ns(limits: &Limits) -> u64 {
    let shortest_ms = limits.head_ms.min(limits.body_ms).min(limits.idle_ms);
    shortest_ms.saturating_mul(1_000_000)
}

fn set_timer(at_ns: u64) {
    if at_ns == TICKING {
        signal::alarm_every(TICK);
    } else {
        let left = at_ns.saturating_sub(signal::monotonic_ns());
        signal::alarm_in(Duration::from_nanos(left));
    }
}

impl Alarm {
    /// Forgets what was set in another process: timers are not inherited.
    pub(crate) fn forget(&self) {
        self.0.store(OFF, Ordering::SeqCst);
    }

    /// Makes it tick for the rest of its process. Async-signal-safe.
    pub(crate) fn tick(&self) {
        self.bring_forward(TICKING, set_timer);
    }

    /// Sees to it that it goes off by `deadline_ns`, which was published before.
    ///
    /// Either [`look`](Self::look), which takes the alarm off before it reads what is published,
    /// sees this deadline, or this sees that the alarm is off: both orders are sequentially
    /// consistent.
    #[inline]
    fn cover(&self, deadline_ns: u64, set: impl Fn(u64)) {
        if deadline_ns < self.0.load(Ordering::SeqCst) {
            self.bring_forward(deadline_ns, set);
        }
    }

    fn bring_forward(&self, mut at_ns: u64, set: impl Fn(u64)) {
        if self.0.fetch_min(at_ns, Ordering::SeqCst) <= at_ns && at_ns != TICKING {
            return; // Somebody else was faster, and sets it.
        }
        // Whoever makes the last of several calls at once has the last word in the kernel, and so
        // must see to it that this is the earliest time.
        loop {
            set(at_ns);
            match self.0.load(Ordering::SeqCst) {
                // It has gone off, and whoever looks is about to set it.
                OFF => return,
                now if now == at_ns => return,
                now => at_ns = now,
            }
        }
    }

    /// Wakes whoever is overdue, and sets the alarm for the others, at most `usual_ns` from now.
    fn look(
        &self,
        blocks: &[Block],
        now_ns: u64,
        usual_ns: u64,
        wake: impl Fn(&Block),
        set: impl Fn(u64),
    ) {
        // The handler of SIGTERM may interrupt this one: that it ticks must stay.
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |at_ns| {
                (at_ns != TICKING).then_some(OFF)
            });
        let mut next_ns = OFF;
        for block in blocks {
            match block.deadline_ns.load(Ordering::SeqCst) {
                NOT_RECEIVING => {}
                deadline_ns if deadline_ns > now_ns => next_ns = next_ns.min(deadline_ns),
                _ => {
                    wake(block);
                    next_ns = next_ns.min(now_ns + AGAIN_NS);
                }
            }
        }
        if next_ns != OFF {
            self.bring_forward(next_ns.min(now_ns.saturating_add(usual_ns)), set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn receiving(deadlines_ns: &[u64]) -> Vec<Block> {
        let blocks: Vec<_> = deadlines_ns.iter().map(|_| Block::default()).collect();
        for (block, deadline_ns) in blocks.iter().zip(deadlines_ns) {
            block.deadline_ns.store(*deadline_ns, Ordering::SeqCst);
        }
        blocks
    }

    #[test]
    fn the_overdue_are_woken_and_the_next_is_awaited() {
        let alarm = Alarm(AtomicU64::new(70));
        let blocks = receiving(&[NOT_RECEIVING, 60, 500, 70, 300]);
        let (woken, set) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let look = |now_ns, usual_ns| {
            woken.borrow_mut().clear();
            set.borrow_mut().clear();
            let wake = |block: &Block| {
                woken
                    .borrow_mut()
                    .push(block.deadline_ns.load(Ordering::SeqCst));
            };
            alarm.look(&blocks, now_ns, usual_ns, wake, |at_ns| {
                set.borrow_mut().push(at_ns);
            });
        };
        look(70, 1_000);
        assert_eq!(
            (&*woken.borrow(), &*set.borrow()),
            (&vec![60, 70], &vec![300])
        );
        has_returned(&blocks[1]);
        has_returned(&blocks[3]);
        // No later than a usual deadline from now.
        look(100, 150);
        assert_eq!((woken.borrow().len(), &*set.borrow()), (0, &vec![250]));
        has_returned(&blocks[2]);
        has_returned(&blocks[4]);
        look(300, 1_000);
        assert_eq!((woken.borrow().len(), set.borrow().len()), (0, 0));
        assert_eq!(alarm.0.load(Ordering::SeqCst), OFF);
    }

    #[test]
    fn only_an_earlier_deadline_sets_it_and_ticking_stays() {
        let alarm = Alarm(AtomicU64::new(OFF));
        let set = RefCell::new(Vec::new());
        let note = |at_ns| set.borrow_mut().push(at_ns);
        for deadline_ns in [500, 900, 500, 400] {
            alarm.cover(deadline_ns, note);
        }
        assert_eq!(*set.borrow(), [500, 400]);
        alarm.bring_forward(TICKING, note);
        alarm.cover(100, note);
        alarm.look(&receiving(&[100]), 50, 1_000, |_| {}, note);
        assert_eq!(*set.borrow(), [500, 400, TICKING]);
    }

    /// The race: workers publish deadlines and cover them while the alarm goes off and somebody
    /// looks. Whatever the order, the timer that was set last is not after any deadline.
    #[test]
    fn no_deadline_is_left_uncovered() {
        for round in 0..1_000 {
            let alarm = Alarm(AtomicU64::new(10));
            let timer_ns = AtomicU64::new(OFF);
            let set = |at_ns| timer_ns.store(at_ns, Ordering::SeqCst);
            let blocks = receiving(&[NOT_RECEIVING, NOT_RECEIVING]);
            let (alarm, blocks) = (&alarm, &blocks);
            std::thread::scope(|scope| {
                for (index, block) in blocks.iter().enumerate() {
                    scope.spawn(move || {
                        let deadline_ns = 100 + (round + index as u64) % 2;
                        block.deadline_ns.store(deadline_ns, Ordering::SeqCst);
                        alarm.cover(deadline_ns, set);
                    });
                }
                alarm.look(blocks, 10, 1_000, |_| {}, set);
            });
            assert_eq!(timer_ns.load(Ordering::SeqCst), 100, "round {round}");
        }
    }
}
