//! When a loop accepts: the state of its listeners, without a system call.
//!
//! A loop that does not block in accept has to know at every moment whether its listeners are
//! watched, and if not, what has to happen before it watches them again. [`Accepting`] knows that,
//! and the loop makes the system calls. The loop reports what has happened, then calls
//! [`next`](Accepting::next) and does what that says, until it says [`Next::Nothing`].
//!
//! ```text
//!   ┌──────┐ ── no room, descriptors are short, another has the accept lock ─▶ ┌─────────┐
//!   │ open │                              unwatch                              │ full,   │
//!   │      │                               watch                               │ paused, │
//!   └──────┘ ◀─ a connection has ended, the pause is over, the lock is ours ── │ locked  │
//!       │                                                                      └─────────┘
//!       └───────────────────────────┐  the drain begins  ┌──────────────────────────┘
//!                                   ▼      unwatch       ▼
//!                     ┌────────────────────────────────────────────┐
//!                     │ emptying: accept at all listeners of the   │
//!                     │ server; full and paused as above           │
//!                     └────────────────────────────────────────────┘
//!                                          │ all are empty: shut down
//!                                          ▼
//!                                        done
//! ```

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::{Accepted, Backoff, Phase, Server};

/// What the loop is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Watch this listener. If that fails, call [`cannot_watch`](Accepting::cannot_watch).
    Watch(usize),
    /// Stop watching this listener, and call [`unwatched`](Accepting::unwatched) once no connection
    /// can come from it any more.
    Unwatch(usize),
    /// Call accept at this listener once, and report the result with
    /// [`accepted`](Accepting::accepted).
    Accept(usize),
    /// Call [`pause_over`](Accepting::pause_over) after this time.
    Pause(Duration),
    /// The drain has emptied the listeners: [shut them down](Server::shut_down_listeners).
    ShutDown,
    /// Wait for the next event.
    Nothing,
}

/// The state of the listeners at which one loop accepts.
#[derive(Debug, Clone)]
pub struct Accepting {
    stage: Stage,
    obstacle: Option<Obstacle>,
    listeners: Vec<Listener>,
    /// The listeners of this worker. In a drain it accepts at all of them.
    own: Range<usize>,
    /// The most connections that it accepts at a listener per turn.
    batch: usize,
    /// It watches its listeners only while it holds a lock.
    locks: bool,
    backoff: Backoff,
    /// A pause that [`next`](Accepting::next) has not returned yet.
    pause: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// The drain has begun.
    Emptying,
    Done,
}

/// Why nothing is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// There is no room for another connection.
    Full,
    /// Descriptors or memory have run out.
    Paused,
    /// Another process holds the accept lock.
    Locked,
}

#[derive(Debug, Clone)]
struct Listener {
    watch: Watch,
    /// A connection may wait in its backlog: how many this turn may still accept.
    waiting: Option<usize>,
    /// It is to be unwatched, and then watched again.
    renew: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Off,
    On,
    /// The loop is to stop watching it, and has not confirmed that.
    Ending,
}

impl Accepting {
    /// The state for `worker`, which accepts at most `batch` connections at a listener per turn.
    pub fn new(server: &Server, worker: usize, batch: usize) -> Accepting {
        let own = server.listeners_of(worker);
        let backoff = Backoff::new(server.limits.accept_pause_ms_max);
        Accepting::at(server.listeners.len(), own, batch, backoff)
    }

    /// The state for a loop without listeners, which gets its sockets from another thread.
    pub fn nowhere() -> Accepting {
        let mut accepting = Accepting::at(0, 0..0, 0, Backoff::new(0));
        accepting.stage = Stage::Done;
        accepting
    }

    fn at(listeners: usize, own: Range<usize>, batch: usize, backoff: Backoff) -> Accepting {
        let unwatched = Listener {
            watch: Watch::Off,
            waiting: None,
            renew: false,
        };
        Accepting {
            stage: Stage::Serving,
            obstacle: None,
            listeners: vec![unwatched; listeners],
            own,
            batch,
            locks: false,
            backoff,
            pause: None,
        }
    }

    /// Makes it watch its listeners only while it holds a lock, which it has to try for first.
    #[must_use]
    pub fn under_lock(mut self) -> Accepting {
        self.locks = true;
        self.obstacle = Some(Obstacle::Locked);
        self
    }

    /// What to do now. `has_room` says whether the table of connections has room for another one.
    /// `phase` is that of the drain; in the last one nothing is accepted any more.
    #[inline]
    pub fn next(&mut self, has_room: bool, phase: Phase) -> Next {
        if let Some(pause) = self.pause.take() {
            return Next::Pause(pause);
        }
        self.obstacle = match self.obstacle {
            None | Some(Obstacle::Locked) if !has_room => Some(Obstacle::Full),
            Some(Obstacle::Full) if has_room => self.obstacle_left(),
            same => same,
        };
        match self.stage {
            Stage::Serving => self.next_serving(),
            Stage::Emptying => self.next_emptying(phase),
            Stage::Done => Next::Nothing,
        }
    }

    #[inline]
    fn next_serving(&mut self) -> Next {
        let (own, is_open) = (self.own.clone(), self.obstacle.is_none());
        for (listener, index) in self.listeners[own.clone()].iter_mut().zip(own) {
            if is_open && listener.take_turn() {
                return Next::Accept(index);
            }
            match listener.watch {
                Watch::On if !is_open || listener.renew => {
                    // What waits there is reported again once the listener is watched again.
                    listener.waiting = None;
                    listener.watch = Watch::Ending;
                    return Next::Unwatch(index);
                }
                Watch::Off if is_open => {
                    listener.watch = Watch::On;
                    listener.renew = false;
                    return Next::Watch(index);
                }
                Watch::On | Watch::Off | Watch::Ending => {}
            }
        }
        Next::Nothing
    }

    #[cold]
    fn next_emptying(&mut self, phase: Phase) -> Next {
        let is = |watch| move |listener: &Listener| listener.watch == watch;
        if let Some(index) = self.listeners.iter().position(is(Watch::On)) {
            self.listeners[index].watch = Watch::Ending;
            return Next::Unwatch(index);
        }
        if self.listeners.iter().any(is(Watch::Ending)) {
            return Next::Nothing;
        }
        if phase < Phase::Cutting {
            if self.obstacle.is_some() {
                // Handshakes in progress complete meanwhile, also at listeners that were empty.
                self.expect_all();
                return Next::Nothing;
            }
            let mut all = self.listeners.iter_mut();
            if let Some(index) = all.position(Listener::take_turn) {
                return Next::Accept(index);
            }
        }
        self.stage = Stage::Done;
        self.obstacle = None;
        Next::ShutDown
    }

    /// A connection waits at a listener, or may. (In a drain all listeners are tried anyway.)
    #[inline]
    pub fn ready(&mut self, index: usize) {
        if self.stage == Stage::Serving {
            self.listeners[index].waiting = Some(self.batch);
        }
    }

    /// A listener is not watched any more, because it was to be unwatched, or because a watch
    /// reports only once.
    #[inline]
    pub fn unwatched(&mut self, index: usize) {
        let listener = &mut self.listeners[index];
        listener.watch = Watch::Off;
        if self.stage == Stage::Emptying {
            listener.waiting = Some(usize::MAX);
        }
    }

    /// Has a listener unwatched, and then watched again.
    pub fn renew(&mut self, index: usize) {
        self.listeners[index].renew = true;
    }

    /// A listener could not be watched for want of memory; it is tried again after a pause.
    pub fn cannot_watch(&mut self, index: usize) {
        self.listeners[index].watch = Watch::Off;
        let pause = self.backoff.pause();
        self.pause(pause);
    }

    /// The result of an accept at a listener. Returns the socket, if there is one.
    #[inline]
    pub fn accepted(&mut self, index: usize, accepted: Accepted) -> Option<OwnedFd> {
        match accepted {
            Accepted::Socket(socket) => return Some(socket),
            Accepted::Empty => self.listeners[index].waiting = None,
            Accepted::Interrupted => {}
            Accepted::Pause(pause) => self.pause(pause),
        }
        None
    }

    fn pause(&mut self, pause: Duration) {
        self.obstacle = Some(Obstacle::Paused);
        self.pause = Some(pause);
    }

    /// The pauses, for the calls of accept.
    #[inline]
    pub fn backoff(&mut self) -> &mut Backoff {
        &mut self.backoff
    }

    /// A pause has passed. An earlier one may end a later one before its time, which does no harm.
    pub fn pause_over(&mut self) {
        if self.obstacle == Some(Obstacle::Paused) {
            self.obstacle = self.obstacle_left();
        }
    }

    /// A connection has ended: its slot in the table and its descriptor are free. True if
    /// [`next`](Self::next) may say something new because of that.
    #[inline]
    pub fn freed(&mut self) -> bool {
        let waits = self.waits_for_an_end();
        if waits {
            self.obstacle = self.obstacle_left();
        }
        waits
    }

    /// Whether it goes on when a connection ends.
    #[inline]
    pub fn waits_for_an_end(&self) -> bool {
        matches!(self.obstacle, Some(Obstacle::Full) | Some(Obstacle::Paused))
    }

    /// The obstacle that is left when another has gone: the lock has to be tried for again.
    fn obstacle_left(&self) -> Option<Obstacle> {
        (self.locks && self.stage == Stage::Serving).then_some(Obstacle::Locked)
    }

    /// Whether the loop is to try for the lock before the next wait.
    #[inline]
    pub fn wants_lock(&self) -> bool {
        self.stage == Stage::Serving && !self.waits_for_an_end()
    }

    /// The loop has tried for the lock, and either holds it or another process does.
    #[inline]
    pub fn lock_tried(&mut self, ours: bool) {
        if self.wants_lock() {
            self.obstacle = (!ours).then_some(Obstacle::Locked);
        }
    }

    /// The drain begins: what waits at all listeners is accepted, then they are shut down.
    pub fn drain(&mut self) {
        if self.stage == Stage::Serving {
            self.stage = Stage::Emptying;
            self.obstacle = self.obstacle.filter(|it| *it != Obstacle::Locked);
            self.expect_all();
        }
    }

    fn expect_all(&mut self) {
        for listener in &mut self.listeners {
            listener.waiting = Some(usize::MAX);
        }
    }

    /// Whether a turn has ended before a listener was found empty. A loop whose selector reports
    /// changes, and not states, begins the [next turn](Self::next_turn) by itself.
    #[inline]
    pub fn has_more(&self) -> bool {
        let mut own = self.listeners[self.own.clone()].iter();
        own.any(|listener| listener.waiting == Some(0))
    }

    /// Begins the next turn of the listeners that have more.
    pub fn next_turn(&mut self) {
        for listener in &mut self.listeners[self.own.clone()] {
            if listener.waiting == Some(0) {
                listener.waiting = Some(self.batch);
            }
        }
    }

    /// Whether nothing will be accepted any more.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }
}

impl Listener {
    /// Whether one more may be accepted in this turn.
    #[inline]
    fn take_turn(&mut self) -> bool {
        let left = self.waiting.unwrap_or(0);
        self.waiting = self.waiting.map(|_| left.saturating_sub(1));
        left > 0
    }
}

#[cfg(test)]
mod tests;
