//! The listeners of a handle set: suspended while somebody accepts, shut while there is no room.

use std::sync::atomic::Ordering;

use server::{Accepted, Backoff, Phase, Worker};

use super::{Handles, LISTENER, PAUSE_ENDS};

/// How the set treats the server's listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    state: State,
    backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// They are another's, or a drain has left them.
    None,
    Open,
    /// The drain has begun, and they still have to be emptied.
    Leaving,
}

impl Listeners {
    pub fn new(backoff: Backoff, ours: bool) -> Listeners {
        let state = if ours { State::Open } else { State::None };
        Listeners { state, backoff }
    }
}

/// What came of a batch of accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    /// Nobody waits any more.
    Empty,
    /// More may wait.
    Whole,
    /// No room, or no resources: the listener is shut until a connection ends or the pause does.
    Shut,
}

impl Handles {
    /// Whether the listeners are not, or no longer, this set's to look at.
    pub(super) fn has_left_listeners(&self) -> bool {
        self.listeners.lock().state == State::None
    }

    /// Accepts what waits at a listener, a batch at most, and ends its suspension.
    pub(super) fn accept(&self, index: usize, worker: &mut Worker) {
        let mut listeners = self.listeners.lock();
        if listeners.state == State::Open
            && self.accept_batch(index, &mut listeners, worker) != Batch::Shut
        {
            self.arm_listener(index, &mut listeners, worker);
        }
    }

    fn accept_batch(&self, index: usize, listeners: &mut Listeners, worker: &mut Worker) -> Batch {
        for _ in 0..self.server.limits.events_max {
            if self.is_full() {
                self.shut.store(true, Ordering::SeqCst);
                // Whoever has ended a connection since looks whether the listeners are shut.
                if self.is_full() {
                    return Batch::Shut;
                }
                self.shut.store(false, Ordering::SeqCst);
            }
            match self.server.accept_ready(index, &mut listeners.backoff) {
                Accepted::Socket(socket) => self.adopt(socket, worker),
                Accepted::Interrupted => {}
                Accepted::Empty => return Batch::Empty,
                Accepted::Pause(pause) => {
                    self.pause(pause, worker);
                    return Batch::Shut;
                }
            }
        }
        Batch::Whole
    }

    fn pause(&self, pause: std::time::Duration, worker: &Worker) {
        self.shut.store(true, Ordering::SeqCst);
        let ends = worker.now + pause;
        if self.clockwork.lock().schedule_number(PAUSE_ENDS, ends) {
            self.nudge.wake();
        }
    }

    fn arm_listener(&self, index: usize, listeners: &mut Listeners, worker: &Worker) {
        let (listener, number) = (&self.server.listeners[index], LISTENER + index as u64);
        if self.set.rearm(listener, number).is_err() {
            self.pause(listeners.backoff.pause(), worker); // Out of kernel memory.
        }
    }

    /// There is room again, or the pause is over.
    pub(super) fn open_listeners(&self, worker: &mut Worker) {
        if self.is_full() || !self.shut.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut listeners = self.listeners.lock();
        match listeners.state {
            State::None => {}
            State::Open => (0..self.server.listeners.len())
                .for_each(|index| self.arm_listener(index, &mut listeners, worker)),
            State::Leaving => {
                self.leave_listeners(&mut listeners, worker);
                drop(listeners);
                self.end_wait_if_over();
            }
        }
    }

    /// The drain has begun: takes what still waits at the listeners, then looks at them no more. With a
    /// full table, or none of some resource, it goes on when a connection ends or the pause does.
    pub(super) fn begin_leaving(&self, worker: &mut Worker) {
        let mut listeners = self.listeners.lock();
        if listeners.state == State::Open {
            listeners.state = State::Leaving;
            self.leave_listeners(&mut listeners, worker);
        }
    }

    fn leave_listeners(&self, listeners: &mut Listeners, worker: &mut Worker) {
        if self.server.drain.phase() < Phase::Cutting {
            for index in 0..self.server.listeners.len() {
                loop {
                    match self.accept_batch(index, listeners, worker) {
                        Batch::Empty => break,
                        Batch::Whole => {}
                        Batch::Shut => return,
                    }
                }
            }
        }
        listeners.state = State::None;
        self.server.shut_down_listeners();
    }
}
