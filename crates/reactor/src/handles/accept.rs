//! Accepting at the listeners of a handle set: each is suspended while some thread accepts at it.

use std::sync::atomic::Ordering;

use server::{Accepting, Next, Worker};

use super::Handles;
use crate::Source;

impl Handles {
    /// Accepts what waits at a listener, a batch at most, and ends its suspension.
    pub(super) fn on_listener(&self, index: usize, worker: &mut Worker) {
        self.update_listeners(worker, |accepting| {
            accepting.unwatched(index);
            accepting.ready(index);
        });
    }

    /// Reports an event to the state of the listeners, and does what it says.
    pub(super) fn update_listeners(&self, worker: &mut Worker, event: impl FnOnce(&mut Accepting)) {
        let mut accepting = self.accepting.lock();
        event(&mut accepting);
        loop {
            match accepting.next(!self.is_full(), self.server.drain.phase()) {
                Next::Accept(index) => {
                    let accepted = self.server.accept_ready(index, accepting.backoff());
                    if let Some(socket) = accepting.accepted(index, accepted) {
                        self.adopt(socket, worker);
                    }
                }
                Next::Watch(index) => {
                    let listener = &self.server.listeners[index];
                    if self.set.rearm(listener, Source::Listener(index)).is_err() {
                        accepting.cannot_watch(index);
                    }
                }
                // It reports once more at most, and is suspended then.
                Next::Unwatch(index) => accepting.unwatched(index),
                Next::Pause(pause) => {
                    let over = worker.now + pause;
                    if self.deadlines.lock().add(Source::AcceptPause, over) {
                        self.waker.wake();
                    }
                }
                Next::ShutDown => self.server.shut_down_listeners(),
                Next::Nothing if self.publish_wait(accepting.waits_for_an_end()) => {}
                Next::Nothing => break,
            }
        }
        let is_done = accepting.is_done();
        drop(accepting);
        if is_done {
            self.end_wait_if_over();
        }
    }

    /// Publishes whether the listeners wait for the end of a connection. True if that has changed:
    /// a thread that has ended a connection just before did not know, so the room has to be looked
    /// at once more.
    fn publish_wait(&self, waits: bool) -> bool {
        self.waits_for_an_end.swap(waits, Ordering::SeqCst) != waits
    }

    /// A connection has ended.
    pub(super) fn on_end(&self, worker: &mut Worker) {
        if self.waits_for_an_end.load(Ordering::SeqCst) {
            self.update_listeners(worker, |accepting| {
                accepting.freed();
            });
        }
    }
}
