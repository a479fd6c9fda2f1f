//! Serving what a wait has found, in whatever thread has taken it.

use std::time::Instant;

use parking_lot::MutexGuard;
use server::{Accepting, Connection, Need, Phase, Worker};

use super::table::{Open, Slot};
use super::{Handle, Handles};
use crate::{Interest, Source, Token};

/// A connection that this thread serves: no other can meanwhile.
struct Locked<'a> {
    token: Token,
    slot: &'a Slot,
    open: MutexGuard<'a, Option<Open>>,
}

impl Handles {
    /// Serves one ready handle and ends its suspension. In a staged set, returns a connection that
    /// is to be [computed](Self::compute): it stays suspended until then.
    #[inline(always)]
    pub fn serve(&self, handle: Handle, worker: &mut Worker) -> Option<Token> {
        match handle {
            Handle::Connection { token, hung_up } => return self.step(token, hung_up, worker),
            Handle::Deadline { token, tick } => return self.expire(token, tick, worker),
            Handle::Listener(index) => self.on_listener(index, worker),
            Handle::PauseOver => self.update_listeners(worker, Accepting::pause_over),
            Handle::Drain => self.on_drain(worker),
        }
        None
    }

    /// What a loop that only waits does with a handle: it accepts, begins a drain, and puts off
    /// deadlines that have moved. It returns what another thread is to [serve](Self::serve), since
    /// that calls a connection, and perhaps the service.
    pub fn dispatch(&self, handle: Handle, worker: &mut Worker) -> Option<Handle> {
        match handle {
            Handle::Connection { .. } => Some(handle),
            Handle::Deadline { token, tick } => {
                let passed = self.lock_expired(token, tick, worker).is_some();
                passed.then_some(handle)
            }
            Handle::Listener(_) | Handle::PauseOver | Handle::Drain => {
                self.serve(handle, worker);
                None
            }
        }
    }

    #[inline(always)]
    fn step(&self, token: Token, hung_up: bool, worker: &mut Worker) -> Option<Token> {
        let mut locked = self.lock(token)?;
        let open = locked.open.as_mut()?;
        let need = match open.need {
            Need::Time if hung_up => Need::Closed,
            Need::Time => Need::Time,
            _ => open.connection.step(worker),
        };
        self.resume(locked, need, worker)
    }

    /// Calls the service for the complete request of a connection. An event says when the reply can
    /// be written.
    pub fn compute(&self, token: Token, worker: &mut Worker) {
        let Some(mut locked) = self.lock(token) else {
            return;
        };
        let Some(open) = locked.open.as_mut() else {
            return;
        };
        open.connection.compute(worker);
        self.resume(locked, Need::Writable, worker);
    }

    /// Locks a connection, unless it has ended.
    #[inline(always)]
    fn lock(&self, token: Token) -> Option<Locked<'_>> {
        let slot = self.table.slot(token.index());
        let open = slot.open.lock();
        let is_its = slot.generation() == token.generation();
        is_its.then_some(Locked { token, slot, open })
    }

    #[cold]
    #[inline(never)]
    fn expire(&self, token: Token, tick: u64, worker: &mut Worker) -> Option<Token> {
        let mut locked = self.lock_expired(token, tick, worker)?;
        locked.slot.set_tick(0);
        let need = locked.open.as_mut()?.connection.expire(worker);
        self.resume(locked, need, worker)
    }

    /// An entry of the wheel has fired: locks its connection, if the entry is the one remembered
    /// and the deadline has passed. If it has not, another entry takes over.
    fn lock_expired(&self, token: Token, tick: u64, worker: &Worker) -> Option<Locked<'_>> {
        let slot = self.table.slot(token.index());
        let Some(open) = slot.open.try_lock() else {
            // Some thread serves it. Waiting for that thread could take long.
            let again = worker.now + slot.put_off();
            let mut deadlines = self.deadlines.lock();
            if deadlines.reschedule(token, slot, tick, again) {
                self.waker.wake();
            }
            return None;
        };
        if slot.generation() != token.generation() || slot.tick() != tick {
            return None;
        }
        let connection = &open.as_ref()?.connection;
        if slot.suspension.is_on() && self.server.drain.phase() < Phase::Cutting {
            // What it needed has come, and some thread is about to serve it.
            slot.set_tick(0);
            self.schedule_at(token, slot, worker.now + slot.put_off());
            return None;
        }
        slot.looked_at();
        if connection.deadline(self.server) > worker.now {
            slot.set_tick(0);
            self.schedule(token, slot, connection);
            return None;
        }
        Some(Locked { token, slot, open })
    }

    /// Makes sure that an entry fires at the deadline of a connection or before; mostly one does.
    pub(super) fn schedule(&self, token: Token, slot: &Slot, connection: &Connection) {
        let deadline = connection.deadline(self.server);
        let serves = slot.tick() != 0 && slot.tick() <= self.ticks.of(deadline);
        if !serves {
            self.schedule_at(token, slot, deadline);
        }
    }

    fn schedule_at(&self, token: Token, slot: &Slot, at: Instant) {
        if self.deadlines.lock().schedule(token, slot, at) {
            self.waker.wake();
        }
    }

    /// Ends the suspension of a connection, so that it is given to a thread when what it needs is
    /// there; or closes it.
    fn resume(&self, mut locked: Locked<'_>, need: Need, worker: &mut Worker) -> Option<Token> {
        let Locked { token, slot, .. } = locked;
        let open = locked.open.as_mut()?;
        let interest = match need {
            Need::Closed => {
                self.close(locked, worker);
                return None;
            }
            Need::Readable => Some(Interest::Read),
            Need::Writable => Some(Interest::Write),
            Need::Time => Some(Interest::Nothing),
            Need::Compute => None,
        };
        let before = std::mem::replace(&mut open.need, need);
        self.schedule(token, slot, &open.connection);
        let Some(interest) = interest else {
            return Some(token);
        };
        // Only another event is worth a step, and that comes to a handle that is not suspended.
        let spent = need == before && open.connection.would_block();
        if spent && slot.suspension.end_unless_more() {
            return None;
        }
        slot.suspension.end();
        // Under the lock: an event may come at once, and must find the connection here.
        let source = Source::Connection(token);
        let told = self.set.rearm_edge(&open.connection, source, interest);
        if told.is_err() {
            self.close(locked, worker); // Out of kernel memory: no event would ever be reported.
        }
        None
    }

    fn close(&self, mut locked: Locked<'_>, worker: &mut Worker) {
        let Locked { token, slot, .. } = locked;
        let closed = locked.open.take();
        drop(locked);
        drop(closed);
        let (was_full, left) = {
            let mut deadlines = self.deadlines.lock();
            let was_full = deadlines.is_full();
            deadlines.release(token, slot);
            (was_full, deadlines.len())
        };
        if was_full {
            self.waker.wake(); // A loop with connections for this set may add them now.
        }
        self.on_end(worker);
        if left == 0 {
            self.end_wait_if_over();
        }
    }
}
