//! When a worker looks at how long requests have waited, and what it does then: see
//! [`admission`](crate::admission).

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use os::net;
use os::thread::RunDelay;
use proto::{Limits, Session};

use crate::Worker;
use crate::admission::{Call, Overloaded, Waited, rhythm_ns};

/// When a worker whose clock says `now` looks again. A loop reads its clock once per wake-up: what is due
/// by that clock is due for the rest of its batch, too.
fn next_look(looks_at_all: bool, now: Instant, limits: &Limits) -> Instant {
    match looks_at_all {
        true => now,
        false => now + Duration::from_nanos(rhythm_ns(limits)),
    }
}

impl Worker {
    /// Whether it is time to look at how long what was received has waited.
    #[inline(always)]
    pub(crate) fn is_look_due(&self) -> bool {
        self.now >= self.looks.at
    }

    /// Decides whether what was received from `socket` is served.
    #[cold]
    #[inline(never)]
    pub(crate) fn look(&mut self, socket: BorrowedFd<'_>, session: &mut Session) {
        if self.server.asks_ages {
            let age = net::input_age(socket).unwrap_or_default();
            let now = Instant::now();
            session.set_arrival(now.checked_sub(age).unwrap_or(now));
            if self.server.limits.queue_delay_ms == 0 {
                return; // Every request is looked at, and none is shed.
            }
        }
        // A loop reads the clock once per wake-up, and much may have been computed since.
        let now = Instant::now();
        let now_ns = self.server.drain.shared_ns(now);
        let limits = &self.server.limits;
        let shared = &self.server.board.queue_delay;
        let looks_at_all = if self.blocking {
            let overloaded = shared.is_overloaded(now_ns, limits);
            if !overloaded {
                self.looks.run_delay = None;
            }
            let is_next = self.looks.waited_before.is_some();
            if overloaded || is_next || shared.is_follow_due(now_ns) {
                let waited = self.waited(socket, overloaded);
                if is_next && !overloaded {
                    shared.observe(waited.longest(), now_ns, limits);
                }
                self.begin_call(waited, now_ns);
            } else {
                self.looks.sheds = false;
            }
            shared.is_overloaded(now_ns, limits)
        } else {
            let in_socket = net::input_age(socket);
            let since_woken = now.saturating_duration_since(self.now);
            let waited = Waited {
                exact: match in_socket {
                    // What a loop was woken for is at least as old as that, however short the kernel's count.
                    Some(_) => since_woken,
                    // Requests that come evenly while one batch is served have all waited for as long as that takes
                    // when it is their turn in the next. This is so long on average, over a batch.
                    None => 2 * since_woken,
                },
                in_ticks: in_socket.unwrap_or_default(),
            };
            let age = waited.longest();
            let looks_at_batch = in_socket.is_none() && self.looks.at_whole_batch(self.now);
            let queue = match self.server.shares_queue {
                true => shared,
                false => &self.looks.own,
            };
            if let Some(served) = self.looks.served.take() {
                queue.took(now.saturating_duration_since(served));
            }
            let is_late = queue.observe(age, now_ns, limits);
            let overloaded = queue.is_overloaded(now_ns, limits);
            self.looks.sheds = overloaded && queue.refuses(waited, limits);
            self.looks.served = (overloaded && !self.looks.sheds).then_some(now);
            self.scratch.set_begins(!self.looks.sheds);
            self.looks.input_age = in_socket.map_or(since_woken, |_| age);
            if let Some(figures) = self.figures {
                let until_ns = queue.overloaded_until_ns(limits);
                let shown_ns = &figures.overloaded_until_ns;
                shown_ns.store(until_ns, Ordering::Relaxed);
            }
            is_late || looks_at_batch || overloaded || shared.is_overloaded(now_ns, limits)
        };
        if self.looks.sheds {
            let shared = &self.server.board.queue_delay;
            self.looks.refusal = shared.refusal(session, now, now_ns);
        }
        let looks_at_all = looks_at_all || self.server.asks_ages;
        self.looks.at = next_look(looks_at_all, self.now, limits);
    }

    /// How long what a blocking worker has received from `socket` has waited for it.
    ///
    /// Only TCP knows when input came. Elsewhere it is told by the scheduler: a thread that slept in its receive could
    /// have run since the input came, so what it has waited for a CPU since it answered the request before, this one
    /// has waited. Of the first request of a connection neither is known. Where the age is known the scheduler is not
    /// asked, since that costs more and finds no more.
    fn waited(&mut self, socket: BorrowedFd<'_>, overloaded: bool) -> Waited {
        let looks = &mut self.looks;
        let before = looks.waited_before.take();
        let age = net::input_age(socket);
        looks.asks_scheduler = age.is_none();
        if let Some(age) = age {
            return Waited::in_ticks(age);
        }
        let by_now = match overloaded {
            true => {
                looks.run_delay = looks.run_delay.take().or_else(RunDelay::of_this_thread);
                looks.run_delay.as_ref().and_then(RunDelay::read)
            }
            false => before.and_then(|_| os::thread::run_delay()),
        };
        looks.waited_before = by_now.filter(|_| overloaded);
        let waited = before.zip(by_now);
        Waited::exactly(waited.map_or(Duration::ZERO, |(before, by_now)| {
            by_now.saturating_sub(before)
        }))
    }

    /// Since when the request that was received last has waited for a worker.
    pub(crate) fn waits_since(&mut self) -> Instant {
        let age = std::mem::take(&mut self.looks.input_age);
        self.now.checked_sub(age).unwrap_or(self.now)
    }

    /// Decides whether a request is served that has waited in a queue of the server since `queued`.
    #[inline]
    pub(crate) fn look_at_queued(&mut self, queued: Instant, session: &mut Session) {
        if self.server.limits.queue_delay_ms > 0 {
            let waited = self.now.saturating_duration_since(queued);
            let now_ns = self.server.drain.shared_ns(self.now);
            self.begin_call(Waited::exactly(waited), now_ns);
            if self.looks.sheds {
                let shared = &self.server.board.queue_delay;
                self.looks.refusal = shared.refusal(session, self.now, now_ns);
            }
        }
    }

    /// A request that has waited for so long is about to be served by one of several workers that share
    /// CPUs: decides whether it is.
    fn begin_call(&mut self, waited: Waited, now_ns: u64) {
        let queue = &self.server.board.queue_delay;
        if let Some((began_ns, before)) = self.looks.followed.take() {
            let time = Duration::from_nanos(now_ns.saturating_sub(began_ns));
            if time <= Duration::from_nanos(8 * rhythm_ns(&self.server.limits))
                && let Some(run_delay) = os::thread::run_delay()
            {
                queue.waited_for_cpu(run_delay.saturating_sub(before), time);
            }
        }
        let call = queue.begin(Some(waited), now_ns, &self.server.limits);
        self.looks.followed = call.as_ref().and_then(Call::followed);
        self.looks.sheds = call.is_none();
        self.looks.refusal = Overloaded::NOW;
        self.looks.call = call.filter(Call::is_tracked);
    }

    /// The request is answered, or waits for something else than a worker.
    #[cold]
    #[inline(never)]
    pub(super) fn end_call(&mut self) {
        if let Some(call) = self.looks.call.take() {
            let queue = &self.server.board.queue_delay;
            let followed = queue.end(call, &self.server.limits);
            let looks = &mut self.looks;
            if looks.asks_scheduler {
                looks.waited_before = match &looks.run_delay {
                    Some(run_delay) => run_delay.read(),
                    None => followed,
                };
                // Of the one behind one that was followed, it is told how long it has waited for this worker.
                if looks.waited_before.is_some() {
                    looks.at = self.now;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_all_are_looked_at_the_next_of_the_same_batch_is_too() {
        let (now, limits) = (Instant::now(), Limits::default());
        assert!(now >= next_look(true, now, &limits));
        assert!(now < next_look(false, now, &limits));
    }
}
