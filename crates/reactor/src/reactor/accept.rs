//! Accepting at the listeners, which the loop may share with others.

use std::time::Duration;

use server::{Next, Phase, log};

use crate::{Interest, Reactor, Selector, Sharing, Source};

impl<S: Selector> Reactor<S> {
    /// Watches the listeners for the first time.
    pub(super) fn watch_listeners(&mut self) -> server::Result {
        while let Next::Watch(index) = self.listeners.accepting.next(true, Phase::Serving) {
            self.watch_listener(index)
                .map_err(|error| format!("cannot watch the listeners: {error}"))?;
        }
        Ok(())
    }

    #[inline(never)]
    fn watch_listener(&mut self, index: usize) -> Result<(), os::Errno> {
        let (listener, source) = (&self.server.listeners[index], Source::Listener(index));
        match self.listeners.sharing {
            Sharing::Exclusive => self.selector.add_shared(listener, source),
            _ => self.selector.add(listener, source, Interest::Read),
        }
    }

    /// Before a wait: tries for the accept lock, if there is one. Without the lock the loop does
    /// not watch the listeners, and tries again soon. Returns how long to wait at most.
    #[inline]
    pub(super) fn try_accept_lock(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let Sharing::Lock(lock) = self.listeners.sharing else {
            return timeout;
        };
        if !self.listeners.accepting.wants_lock() {
            return timeout;
        }
        let ours = lock.take(self.worker.number);
        self.listeners.accepting.lock_tried(ours);
        self.accept_waiting_rarely();
        let soon = Duration::from_millis(self.server.limits.accept_pause_ms_max);
        match ours {
            true => timeout,
            false => Some(timeout.map_or(soon, |timeout| timeout.min(soon))),
        }
    }

    /// After a wait: accepts before anything else, and then releases the lock.
    #[inline]
    pub(super) fn accept_under_lock(&mut self, events: &[S::Event]) {
        let Sharing::Lock(lock) = self.listeners.sharing else {
            return;
        };
        for event in events {
            if let Source::Listener(index) = S::ready(event).source {
                self.listeners.accepting.ready(index);
            }
        }
        self.accept_waiting_rarely();
        lock.release(self.worker.number);
    }

    /// A connection waits at a listener.
    #[inline(always)]
    pub(super) fn on_listener(&mut self, index: usize) {
        // Under the lock, connections were accepted before it was released.
        if !matches!(self.listeners.sharing, Sharing::Lock(_)) {
            self.listeners.accepting.ready(index);
            self.accept_waiting();
        }
    }

    /// The pause that was taken because some resource was short is over.
    pub(super) fn on_pause_over(&mut self) {
        self.listeners.accepting.pause_over();
        self.accept_waiting_rarely();
    }

    /// A connection has ended, or left the queue for the pool.
    #[inline]
    pub(super) fn on_room(&mut self) {
        if self.listeners.accepting.freed() {
            self.accept_waiting_rarely();
        }
    }

    /// Does what the state of the listeners says: accepts, watches them, or stops watching.
    #[inline(always)]
    fn accept_waiting(&mut self) {
        loop {
            let has_room = self.has_room();
            let accepting = &mut self.listeners.accepting;
            match accepting.next(has_room, self.server.drain.phase()) {
                Next::Accept(index) => {
                    let accepted = self.server.accept_ready(index, accepting.backoff());
                    if let Some(socket) = accepting.accepted(index, accepted) {
                        self.listeners.count(index);
                        self.adopt(socket);
                    }
                }
                Next::Watch(index) => {
                    if self.watch_listener(index).is_err() {
                        self.listeners.accepting.cannot_watch(index);
                    }
                }
                Next::Unwatch(index) => {
                    accepting.unwatched(index);
                    self.selector.remove(&self.server.listeners[index]);
                    self.log_bound();
                }
                Next::Pause(pause) => {
                    let over = self.worker.now + pause;
                    self.wheel.add(Source::AcceptPause, over);
                }
                Next::ShutDown => self.server.shut_down_listeners(),
                Next::Nothing => return,
            }
        }
    }

    /// The same out of line, for what is not a loop's usual turn.
    #[inline(never)]
    pub(super) fn accept_waiting_rarely(&mut self) {
        self.accept_waiting();
    }

    /// Says once that it is the selector that takes no more connections.
    #[cold]
    #[inline(never)]
    fn log_bound(&mut self) {
        if self.connections.is_full() && std::mem::take(&mut self.has_unlogged_bound) {
            let open = self.connections.len();
            log(format_args!(
                "{}: with {open} connections the listener is left alone until one ends",
                S::BOUND
            ));
        }
    }
}
