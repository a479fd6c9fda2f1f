//! Serving what a wait has found, in whatever thread has it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;
use server::{Need, Phase, Worker};

use super::table::{Held, Place};
use super::{Handle, Handles};
use crate::{Interest, Token};

/// When a deadline is looked at again that came up while a thread had the connection in hand, or was
/// about to take it.
const ABOUT_TO_BE_SERVED: Duration = Duration::from_millis(50);

impl Handles {
    /// Serves one ready handle and ends its suspension. In a staged set, returns a connection that
    /// is to be [computed](Self::compute): it stays suspended until then.
    pub fn serve(&self, handle: Handle, worker: &mut Worker) -> Option<Token> {
        match handle {
            Handle::Listener(index) => self.accept(index, worker),
            Handle::PauseEnds => self.open_listeners(worker),
            Handle::Drain => self.drain(worker),
            Handle::Connection { token, hung_up } => return self.step(token, hung_up, worker),
            Handle::Due { token, tick } => return self.expire(token, tick, worker),
        }
        None
    }

    /// The part of a loop that only waits: opens listeners, begins a drain, puts off deadlines that have
    /// moved. What is returned is for somebody else to [serve](Self::serve), since it is a call on a
    /// connection, and perhaps of the service.
    pub fn tend(&self, handle: Handle, worker: &mut Worker) -> Option<Handle> {
        match handle {
            Handle::Connection { .. } => Some(handle),
            Handle::Due { token, tick } => {
                let due = self.take_due(token, tick, worker).is_some();
                due.then_some(handle)
            }
            Handle::Listener(_) | Handle::PauseEnds | Handle::Drain => {
                self.serve(handle, worker);
                None
            }
        }
    }

    fn step(&self, token: Token, hung_up: bool, worker: &mut Worker) -> Option<Token> {
        let (place, mut guard) = self.take(token)?;
        let held = guard.as_mut()?;
        let need = match held.need {
            Need::Time if hung_up => Need::Closed,
            Need::Time => Need::Time,
            _ => held.connection.step(worker),
        };
        self.settle(token, place, guard, need, worker)
    }

    /// Calls the service for the request in hand; whoever waits is told when it can be answered.
    pub fn compute(&self, token: Token, worker: &mut Worker) {
        let Some((place, mut guard)) = self.take(token) else {
            return;
        };
        let Some(held) = guard.as_mut() else {
            return;
        };
        held.connection.compute(worker);
        // The answer waits for the event that says that the socket takes it.
        self.settle(token, place, guard, Need::Writable, worker);
    }

    /// Takes a connection in hand, unless it has gone.
    fn take(&self, token: Token) -> Option<(&Place, MutexGuard<'_, Option<Held>>)> {
        let place = self.table.place(token.index());
        let held = place.held.lock();
        (place.generation() == token.generation()).then_some((place, held))
    }

    fn expire(&self, token: Token, tick: u64, worker: &mut Worker) -> Option<Token> {
        let (place, mut guard) = self.take_due(token, tick, worker)?;
        place.set_tick(0);
        let need = guard.as_mut()?.connection.expire(worker);
        self.settle(token, place, guard, need, worker)
    }

    /// An entry of the wheel has come up: takes its connection in hand, if the entry is the one
    /// remembered and the deadline has passed. Where it has not, another entry takes over.
    fn take_due(
        &self,
        token: Token,
        tick: u64,
        worker: &Worker,
    ) -> Option<(&Place, MutexGuard<'_, Option<Held>>)> {
        let place = self.table.place(token.index());
        let Some(guard) = place.held.try_lock() else {
            // Some thread has it in hand. Waiting for that thread could take long.
            let again = worker.now + ABOUT_TO_BE_SERVED;
            let mut clockwork = self.clockwork.lock();
            if clockwork.reschedule(token, place, tick, again) {
                self.nudge.wake();
            }
            return None;
        };
        if place.generation() != token.generation() || place.tick() != tick {
            return None;
        }
        let held = guard.as_ref()?;
        if place.suspension.is_on() && self.server.drain.phase() < Phase::Cutting {
            // What it needed has come, and somebody is about to see to it.
            place.set_tick(0);
            self.schedule_at(token, place, worker.now + ABOUT_TO_BE_SERVED);
            return None;
        }
        if held.connection.deadline(self.server) > worker.now {
            place.set_tick(0);
            self.schedule(token, place, held);
            return None;
        }
        Some((place, guard))
    }

    /// Sees to it that the connection comes up at its deadline or before; mostly it does already.
    pub(super) fn schedule(&self, token: Token, place: &Place, held: &Held) {
        let deadline = held.connection.deadline(self.server);
        let covered = place.tick() != 0 && place.tick() <= self.ticks.of(deadline);
        if !covered {
            self.schedule_at(token, place, deadline);
        }
    }

    fn schedule_at(&self, token: Token, place: &Place, at: Instant) {
        if self.clockwork.lock().schedule(token, place, at) {
            self.nudge.wake();
        }
    }

    /// Lets go of a connection, to be given to somebody when what it needs is there, or ends it.
    fn settle(
        &self,
        token: Token,
        place: &Place,
        mut guard: MutexGuard<'_, Option<Held>>,
        need: Need,
        worker: &mut Worker,
    ) -> Option<Token> {
        let held = guard.as_mut()?;
        let interest = match need {
            Need::Closed => {
                self.end(token, place, guard, worker);
                return None;
            }
            Need::Readable => Some(Interest::Read),
            Need::Writable => Some(Interest::Write),
            Need::Time => Some(Interest::Nothing),
            Need::Compute => None,
        };
        let before = std::mem::replace(&mut held.need, need);
        self.schedule(token, place, held);
        let Some(interest) = interest else {
            return Some(token);
        };
        // Only news are worth another look, and those come to a handle that is free.
        let spent = need == before && held.connection.would_block();
        if spent && place.suspension.end_if_quiet() {
            return None;
        }
        place.suspension.end();
        // Under the lock: an event may come at once, and must find the connection here.
        let told = self
            .set
            .look_anew(&held.connection, token.number(), interest);
        if told.is_err() {
            self.end(token, place, guard, worker); // Out of kernel memory: never woken again.
        }
        None
    }

    fn end(
        &self,
        token: Token,
        place: &Place,
        mut guard: MutexGuard<'_, Option<Held>>,
        worker: &mut Worker,
    ) {
        let gone = guard.take();
        drop(guard);
        drop(gone);
        let (was_full, left) = {
            let mut clockwork = self.clockwork.lock();
            let was_full = clockwork.is_full();
            clockwork.release(token, place);
            (was_full, clockwork.len())
        };
        if was_full {
            self.nudge.wake(); // Whoever has connections for this set may give them to it.
        }
        if self.shut.load(Ordering::SeqCst) {
            self.open_listeners(worker);
        }
        if left == 0 {
            self.end_wait_if_over();
        }
    }
}
