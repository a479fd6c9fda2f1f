//! The suspension of a connection's handle, without a system call.

use crate::sync::{AtomicUsize, Ordering};

/// From the event that gives a connection to somebody until that one lets go of it, the events of
/// its handle are counted, and the connection is given to nobody else.
///
/// None is lost. All that is done to the count has one order. So an event finds it at zero, and
/// whoever gets the connection steps it after that; or it raises a count that whoever has the
/// connection will yet bring down. That one brings down a count of one, which was its own event, and
/// so knows that no other has come; or any count, and then has the kernel look at the socket anew,
/// which reports it if there is anything left to act upon. Whoever steps a connection because its
/// deadline has passed may bring down a count that is another's; that other steps it yet.
///
/// Relaxed will do: what threads share is the connection, and that is behind its lock. An event
/// that the kernel reports because it was told to look anew finds what [`end`](Self::end) stored
/// before that, for the wait and the telling take one lock in the kernel.
#[derive(Debug)]
pub(super) struct Suspension {
    events: AtomicUsize,
}

impl Suspension {
    /// Of a handle that is free.
    pub fn none() -> Suspension {
        Suspension {
            events: AtomicUsize::new(0),
        }
    }

    /// An event has come. True if it suspends the handle: somebody is to be given the connection.
    /// `more` says that there may be something behind what the event is for, that only another look
    /// will find.
    pub fn begin(&self, more: bool) -> bool {
        let events = if more { 2 } else { 1 };
        self.events.fetch_add(events, Ordering::Relaxed) == 0
    }

    /// Frees the handle, unless more has come than the event that suspended it.
    pub fn end_unless_more(&self) -> bool {
        let (free, not) = (Ordering::Relaxed, Ordering::Relaxed);
        self.events.compare_exchange(1, 0, free, not).is_ok()
    }

    /// Frees the handle. Whatever has come, the kernel is to look for it anew, after this.
    pub fn end(&self) {
        self.events.store(0, Ordering::Relaxed);
    }

    /// Whether somebody has the connection, or is about to.
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
    fn an_event_in_between_is_told() {
        shuttle::check_random(
            || {
                let suspension = Suspension::none();
                assert!(suspension.begin(false));
                assert!(suspension.end_unless_more() && !suspension.is_on());
                assert!(suspension.begin(false));
                assert!(!suspension.begin(false), "it is in somebody's hand");
                assert!(!suspension.end_unless_more() && suspension.is_on());
                suspension.end();
                assert!(suspension.begin(true) && !suspension.end_unless_more());
            },
            1,
        );
    }

    /// A socket, as far as the kernel tells of it.
    #[derive(Default)]
    struct Socket {
        bytes: usize,
        /// It has changed, or was to be looked at anew, and no wait has looked since.
        listed: bool,
        /// Bytes that were received.
        taken: usize,
    }

    /// What a receive takes at most.
    const BUFFER: usize = 2;

    /// A handle set of one connection.
    struct Set {
        socket: Mutex<Socket>,
        news: Condvar,
        held: Mutex<()>,
        suspension: Suspension,
        /// An event has given the connection to somebody.
        given: AtomicBool,
    }

    impl Set {
        fn new() -> Set {
            Set {
                socket: Mutex::default(),
                news: Condvar::new(),
                held: Mutex::default(),
                suspension: Suspension::none(),
                given: AtomicBool::new(false),
            }
        }

        fn change(&self, change: impl FnOnce(&mut Socket)) {
            let mut socket = self.socket.lock().unwrap();
            change(&mut socket);
            socket.listed = true;
            self.news.notify_all();
        }

        /// Waits for an event; false once all `bytes` were received.
        fn wait(&self, bytes: usize) -> bool {
            let mut socket = self.socket.lock().unwrap();
            while socket.taken < bytes {
                if std::mem::take(&mut socket.listed) && socket.bytes > 0 {
                    return true;
                }
                socket = self.news.wait(socket).unwrap();
            }
            false
        }

        /// One receive. Whether it came short.
        fn receive(&self) -> bool {
            let mut socket = self.socket.lock().unwrap();
            let received = socket.bytes.min(BUFFER);
            socket.bytes -= received;
            socket.taken += received;
            self.news.notify_all(); // Of the end.
            received < BUFFER
        }

        fn serve(&self) {
            let _held = self.held.lock().unwrap();
            let spent = self.receive();
            self.given.store(false, Ordering::SeqCst);
            if !(spent && self.suspension.end_unless_more()) {
                self.suspension.end();
                self.change(|_| {});
            }
        }
    }

    /// A peer sends while one thread waits, and each event that suspends the handle is served by a
    /// thread of its own; so may a deadline be. But for that, nobody is given the connection while
    /// another has it. An event that nobody acts upon would leave the waiter waiting for ever, which
    /// shuttle reports as a deadlock.
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
            if set.suspension.begin(false) {
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
