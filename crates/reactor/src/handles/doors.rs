//! The doors of a handle set: suspended while somebody accepts, shut while there is no room.

use std::sync::atomic::Ordering;

use server::{Accepted, Backoff, Phase, Worker};

use super::{DOOR, Handles, PAUSE_ENDS};

/// How the set treats the server's doors.
#[derive(Debug)]
pub(super) struct Doors {
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

impl Doors {
    pub fn new(backoff: Backoff, ours: bool) -> Doors {
        let state = if ours { State::Open } else { State::None };
        Doors { state, backoff }
    }
}

/// What came of a batch of accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    /// Nobody waits any more.
    Empty,
    /// More may wait.
    Whole,
    /// No room, or no resources: the door is shut until a connection ends or the pause does.
    Shut,
}

impl Handles {
    /// Whether the doors are not, or no longer, this set's to look at.
    pub(super) fn has_left_doors(&self) -> bool {
        self.doors.lock().state == State::None
    }

    /// Accepts what waits at a door, a batch at most, and ends its suspension.
    pub(super) fn accept(&self, index: usize, worker: &mut Worker) {
        let mut doors = self.doors.lock();
        if doors.state == State::Open && self.accept_batch(index, &mut doors, worker) != Batch::Shut
        {
            self.arm_door(index, &mut doors, worker);
        }
    }

    fn accept_batch(&self, index: usize, doors: &mut Doors, worker: &mut Worker) -> Batch {
        for _ in 0..self.server.limits.events_max {
            if self.is_full() {
                self.shut.store(true, Ordering::SeqCst);
                // Whoever has ended a connection since looks whether the doors are shut.
                if self.is_full() {
                    return Batch::Shut;
                }
                self.shut.store(false, Ordering::SeqCst);
            }
            match self.server.accept_ready(index, &mut doors.backoff) {
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
            self.nudge.ring();
        }
    }

    fn arm_door(&self, index: usize, doors: &mut Doors, worker: &Worker) {
        let (door, number) = (&self.server.doors[index], DOOR + index as u64);
        if self.set.rearm(door, number).is_err() {
            self.pause(doors.backoff.pause(), worker); // Out of kernel memory.
        }
    }

    /// There is room again, or the pause is over.
    pub(super) fn open_doors(&self, worker: &mut Worker) {
        if self.is_full() || !self.shut.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut doors = self.doors.lock();
        match doors.state {
            State::None => {}
            State::Open => (0..self.server.doors.len())
                .for_each(|index| self.arm_door(index, &mut doors, worker)),
            State::Leaving => {
                self.leave_doors(&mut doors, worker);
                drop(doors);
                self.end_wait_if_over();
            }
        }
    }

    /// The drain has begun: takes what still waits at the doors, then looks at them no more. With a
    /// full table, or none of some resource, it goes on when a connection ends or the pause does.
    pub(super) fn begin_leaving(&self, worker: &mut Worker) {
        let mut doors = self.doors.lock();
        if doors.state == State::Open {
            doors.state = State::Leaving;
            self.leave_doors(&mut doors, worker);
        }
    }

    fn leave_doors(&self, doors: &mut Doors, worker: &mut Worker) {
        if self.server.drain.phase() < Phase::Cutting {
            for index in 0..self.server.doors.len() {
                loop {
                    match self.accept_batch(index, doors, worker) {
                        Batch::Empty => break,
                        Batch::Whole => {}
                        Batch::Shut => return,
                    }
                }
            }
        }
        doors.state = State::None;
        self.server.bolt_doors();
    }
}
