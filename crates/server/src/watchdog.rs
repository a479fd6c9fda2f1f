//! Deadlines of blocking workers, without a system call or a kernel timer per receive.
//!
//! `SO_RCVTIMEO` would make the kernel arm and cancel a timer in every receive. Instead, a worker
//! publishes its deadline in its block of the scoreboard before a call that may block. Its process
//! has one [`Alarm`], set to the earliest published deadline or an earlier time. When the alarm
//! expires, the handler of SIGALRM reads all deadlines, interrupts each worker that is past its own,
//! and sets the alarm to the earliest of the others.
//!
//! A worker sets the alarm itself only when its deadline is before the alarm. That happens with the
//! first connection and seldom afterwards, because each request moves its deadline later and leaves
//! the alarm where it is.
//!
//! An interrupted receive returns EINTR, and the worker compares the time with its deadline. A signal
//! that arrives just before the worker blocks does not interrupt it; the worker is still past its
//! deadline then, so the next alarm, 10 ms later, signals it again.

use std::sync::atomic::Ordering;

use os::signal;

use crate::Limits;
use crate::alarm::{ALARM, Alarm, OFF, set_timer};
use crate::board::{Block, NO_DEADLINE};

/// After how long a worker past its deadline is signalled again, ns.
const AGAIN_NS: u64 = 10_000_000;

/// Says that the worker of `block` is about to make a call that may block until `deadline_ns`.
/// `alarm` is the alarm of its process.
#[inline]
pub(crate) fn arm(block: &Block, alarm: &Alarm, deadline_ns: u64) {
    block.deadline_ns.store(deadline_ns, Ordering::SeqCst);
    alarm.cover(deadline_ns, set_timer);
}

/// Says that the call has returned.
#[inline]
pub(crate) fn disarm(block: &Block) {
    block.deadline_ns.store(NO_DEADLINE, Ordering::Relaxed);
}

/// Handles the alarm of this process: interrupts the workers that are past their deadline, and sets
/// the alarm for the others. `own` is the worker that is this whole process, if one is; this signal
/// has interrupted it already. Async-signal-safe.
pub(crate) fn on_alarm(blocks: &[Block], own: Option<&Block>, limits: &Limits) {
    let (now_ns, usual_ns) = (signal::monotonic_ns(), usual_ns(limits));
    match own {
        Some(block) => {
            let blocks = std::slice::from_ref(block);
            check(&block.alarm, blocks, now_ns, usual_ns, |_| {}, set_timer);
        }
        None => {
            let interrupt = |block: &Block| os::interrupt::thread(block.id.load(Ordering::Relaxed));
            check(&ALARM, blocks, now_ns, usual_ns, interrupt, set_timer);
        }
    }
}

/// The shortest time that a new connection's deadline can be away, ns. While the alarm is not later
/// than this, a new connection need not set it.
fn usual_ns(limits: &Limits) -> u64 {
    let shortest_ms = limits.head_ms.min(limits.body_ms).min(limits.idle_ms);
    shortest_ms.saturating_mul(1_000_000)
}

/// Calls `interrupt` for each worker past its deadline, and sets the alarm for the others, at most
/// `usual_ns` from now.
fn check(
    alarm: &Alarm,
    blocks: &[Block],
    now_ns: u64,
    usual_ns: u64,
    interrupt: impl Fn(&Block),
    set: impl Fn(u64),
) {
    alarm.take_off();
    let mut next_ns = OFF;
    for block in blocks {
        match block.deadline_ns.load(Ordering::SeqCst) {
            NO_DEADLINE => {}
            deadline_ns if deadline_ns > now_ns => next_ns = next_ns.min(deadline_ns),
            _ => {
                interrupt(block);
                next_ns = next_ns.min(now_ns + AGAIN_NS);
            }
        }
    }
    if next_ns != OFF {
        alarm.bring_forward(next_ns.min(now_ns.saturating_add(usual_ns)), set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::PERIODIC;
    use std::cell::RefCell;
    use std::sync::atomic::AtomicU64;

    fn waiting(deadlines_ns: &[u64]) -> Vec<Block> {
        let blocks: Vec<_> = deadlines_ns.iter().map(|_| Block::default()).collect();
        for (block, deadline_ns) in blocks.iter().zip(deadlines_ns) {
            block.deadline_ns.store(*deadline_ns, Ordering::SeqCst);
        }
        blocks
    }

    #[test]
    fn late_workers_are_interrupted_and_the_alarm_set_for_the_next() {
        let alarm = Alarm(AtomicU64::new(70));
        let blocks = waiting(&[NO_DEADLINE, 60, 500, 70, 300]);
        let (interrupted, set) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let check = |now_ns, usual_ns| {
            interrupted.borrow_mut().clear();
            set.borrow_mut().clear();
            let interrupt = |block: &Block| {
                interrupted
                    .borrow_mut()
                    .push(block.deadline_ns.load(Ordering::SeqCst));
            };
            super::check(&alarm, &blocks, now_ns, usual_ns, interrupt, |at_ns| {
                set.borrow_mut().push(at_ns);
            });
        };
        check(70, 1_000);
        assert_eq!(
            (&*interrupted.borrow(), &*set.borrow()),
            (&vec![60, 70], &vec![300])
        );
        disarm(&blocks[1]);
        disarm(&blocks[3]);
        // The next deadline is 300, but the alarm is set at most 150 from now.
        check(100, 150);
        assert_eq!(
            (interrupted.borrow().len(), &*set.borrow()),
            (0, &vec![250])
        );
        disarm(&blocks[2]);
        disarm(&blocks[4]);
        check(300, 1_000);
        assert_eq!((interrupted.borrow().len(), set.borrow().len()), (0, 0));
        assert_eq!(alarm.0.load(Ordering::SeqCst), OFF);
    }

    #[test]
    fn only_an_earlier_deadline_sets_the_alarm_and_a_periodic_one_stays() {
        let alarm = Alarm(AtomicU64::new(OFF));
        let set = RefCell::new(Vec::new());
        let note = |at_ns| set.borrow_mut().push(at_ns);
        for deadline_ns in [500, 900, 500, 400] {
            alarm.cover(deadline_ns, note);
        }
        assert_eq!(*set.borrow(), [500, 400]);
        alarm.bring_forward(PERIODIC, note);
        alarm.cover(100, note);
        check(&alarm, &waiting(&[100]), 50, 1_000, |_| {}, note);
        assert_eq!(*set.borrow(), [500, 400, PERIODIC]);
    }

    /// The race: workers publish deadlines and cover them while the alarm expires and its handler
    /// reads the deadlines. In every order the timer that was set last is not after any deadline.
    #[test]
    fn no_deadline_is_left_uncovered() {
        for round in 0..1_000 {
            let alarm = Alarm(AtomicU64::new(10));
            let timer_ns = AtomicU64::new(OFF);
            let set = |at_ns| timer_ns.store(at_ns, Ordering::SeqCst);
            let blocks = waiting(&[NO_DEADLINE, NO_DEADLINE]);
            let (alarm, blocks) = (&alarm, &blocks);
            std::thread::scope(|scope| {
                for (index, block) in blocks.iter().enumerate() {
                    scope.spawn(move || {
                        let deadline_ns = 100 + (round + index as u64) % 2;
                        block.deadline_ns.store(deadline_ns, Ordering::SeqCst);
                        alarm.cover(deadline_ns, set);
                    });
                }
                check(alarm, blocks, 10, 1_000, |_| {}, set);
            });
            assert_eq!(timer_ns.load(Ordering::SeqCst), 100, "round {round}");
        }
    }
}
