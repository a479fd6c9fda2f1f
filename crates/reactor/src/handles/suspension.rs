//! The suspension of a connection's handle, without a system call.

use crate::sync::{AtomicUsize, Ordering};

/// Counts the events of a handle from the one that gives its connection to a thread until that
/// thread has served it. Meanwhile the connection is given to no other thread.
///
/// Updates to the counter are totally ordered, so no event is lost: the event that finds 0 gives
/// the connection to a thread, which steps it after that; later ones only increment. The thread
/// that has served the connection sets the counter back to 0. If the counter is 1, the thread's own
/// event was the only one. Otherwise the thread arms the handle again, so that the kernel reports
/// the socket if there is anything left to do. A thread that steps a connection because its
/// deadline has passed may set back a counter that another thread's event has raised; that other
/// thread steps the connection all the same.
///
/// `Relaxed` is enough, because the connection that the threads share is behind a lock. An event
/// that the kernel reports because the handle was armed again finds what [`end`](Self::end) stored
/// before that, since waiting and arming take one lock in the kernel.
#[derive(Debug)]
pub(super) struct Suspension {
    events: AtomicUsize,
}

impl Suspension {
    /// Of a handle that is not suspended.
    pub fn none() -> Suspension {
        Suspension {
            events: AtomicUsize::new(0),
        }
    }

    /// Counts an event. True if it suspends the handle, so that the connection is to be given to a
    /// thread. `more` says that something may stand behind what the event reports, so that the
    /// handle has to be armed again in any case.
    pub fn count_event(&self, more: bool) -> bool {
        let events = if more { 2 } else { 1 };
        self.events.fetch_add(events, Ordering::Relaxed) == 0
    }

    /// Ends the suspension, unless there were more events than the one that began it.
    pub fn end_unless_more(&self) -> bool {
        let (ended, not) = (Ordering::Relaxed, Ordering::Relaxed);
        self.events.compare_exchange(1, 0, ended, not).is_ok()
    }

    /// Ends the suspension. Whatever was counted, the handle is to be armed again after this.
    pub fn end(&self) {
        self.events.store(0, Ordering::Relaxed);
    }

    /// Whether a thread serves the connection, or is about to.
    pub fn is_on(&self) -> bool {
        self.events.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sync::{AtomicBool, Condvar, Mutex};

    #[test]
    fn an_event_in_between_is_counted() {
        shuttle::check_random(
            || {
                let suspension = Suspension::none();
                assert!(suspension.count_event(false));
                assert!(suspension.end_unless_more() && !suspension.is_on());
                assert!(suspension.count_event(false));
                assert!(!suspension.count_event(false), "a thread has it");
                assert!(!suspension.end_unless_more() && suspension.is_on());
                suspension.end();
                assert!(suspension.count_event(true) && !suspension.end_unless_more());
            },
            1,
        );
    }

    /// A socket, as far as the kernel reports it.
    #[derive(Default)]
    struct Socket {
        bytes: usize,
        /// It has changed, or was armed again, and no wait has reported it since.
        listed: bool,
        received: usize,
    }

    /// The most that one receive takes.
    const BUFFER: usize = 2;

    /// A handle set of one connection.
    struct Set {
        socket: Mutex<Socket>,
        changed: Condvar,
        connection: Mutex<()>,
        suspension: Suspension,
        /// An event has given the connection to a thread.
        given: AtomicBool,
    }

    impl Set {
        fn new() -> Set {
            Set {
                socket: Mutex::default(),
                changed: Condvar::new(),
                connection: Mutex::default(),
                suspension: Suspension::none(),
                given: AtomicBool::new(false),
            }
        }

        fn change(&self, change: impl FnOnce(&mut Socket)) {
            let mut socket = self.socket.lock().unwrap();
            change(&mut socket);
            socket.listed = true;
            self.changed.notify_all();
        }

        /// Waits for an event; false once all `bytes` were received.
        fn wait(&self, bytes: usize) -> bool {
            let mut socket = self.socket.lock().unwrap();
            while socket.received < bytes {
                if std::mem::take(&mut socket.listed) && socket.bytes > 0 {
                    return true;
                }
                socket = self.changed.wait(socket).unwrap();
            }
            false
        }

        /// One receive. Whether it came short.
        fn receive(&self) -> bool {
            let mut socket = self.socket.lock().unwrap();
            let received = socket.bytes.min(BUFFER);
            socket.bytes -= received;
            socket.received += received;
            self.changed.notify_all(); // That all was received.
            received < BUFFER
        }

        fn serve(&self) {
            let _connection = self.connection.lock().unwrap();
            let spent = self.receive();
            self.given.store(false, Ordering::SeqCst);
            if !(spent && self.suspension.end_unless_more()) {
                self.suspension.end();
                self.change(|_| {});
            }
        }
    }

    /// A peer sends while one thread waits, and each event that suspends the handle is served by a
    /// thread of its own; a deadline may be, too. But for that, the connection is given to no
    /// thread while another has it. An event upon which no thread acts would leave the waiter
    /// waiting for ever, which shuttle reports as a deadlock.
    fn everything_is_received(sent: &'static [usize], deadline: bool) {
        let bytes = sent.iter().sum();
        let set = Arc::new(Set::new());
        let spawn = |does: fn(&Set, &[usize])| {
            let set = Arc::clone(&set);
            shuttle::thread::spawn(move || does(&set, sent))
        };
        let mut threads = vec![spawn(|set, sent| {
            for bytes in sent {
                set.change(|socket| socket.bytes += bytes);
            }
        })];
        if deadline {
            threads.push(spawn(|set, _| set.serve()));
        }
        while set.wait(bytes) {
            if set.suspension.count_event(false) {
                let given = set.given.swap(true, Ordering::SeqCst);
                assert!(deadline || !given, "two have it");
                threads.push(spawn(|set, _| set.serve()));
            }
        }
        threads.into_iter().for_each(|one| one.join().unwrap());
    }

    #[test]
    fn no_event_is_lost() {
        shuttle::check_random(|| everything_is_received(&[1, 1, 2, 1], false), 2_000);
        shuttle::check_pct(|| everything_is_received(&[3, 1, 1], false), 2_000, 3);
    }

    #[test]
    fn nor_when_a_deadline_comes_in_between() {
        shuttle::check_random(|| everything_is_received(&[1, 1, 2, 1], true), 2_000);
        shuttle::check_pct(|| everything_is_received(&[3, 1, 1], true), 2_000, 3);
    }
}
