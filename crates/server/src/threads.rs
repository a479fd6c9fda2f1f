//! Worker threads of the blocking models: started, pressed by the drain, joined.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use os::net::{self, PollFd, PollFlags, Waker};

use crate::drain::TIME_TO_EXIT;
use crate::{Server, log};

/// Threads that serve, from the main thread's point of view.
#[derive(Debug, Clone)]
pub struct Threads {
    server: &'static Server,
    state: Arc<State>,
}

/// Threads still running. The waker is woken as one ends, if the main thread waits for that.
#[derive(Debug)]
struct State {
    count: AtomicUsize,
    awaited: AtomicBool,
    waker: Waker,
}

/// Stack of a worker thread, bytes; only what is touched is paid for.
pub(crate) const STACK_BYTES: usize = 256 << 10;

impl Threads {
    /// None yet.
    ///
    /// # Errors
    /// Descriptors have run out.
    pub fn new(server: &'static Server) -> anyhow::Result<Threads> {
        os::interrupt::install();
        Ok(Threads {
            server,
            state: Arc::new(State {
                count: AtomicUsize::new(0),
                awaited: AtomicBool::new(false),
                waker: Waker::new()?,
            }),
        })
    }

    /// Starts worker `number`. It is not joined; [`finish`](Self::finish) waits for its end.
    ///
    /// # Errors
    /// EAGAIN where the limit of threads is reached.
    pub fn spawn(
        &self,
        number: usize,
        body: impl FnOnce(usize) + Send + 'static,
    ) -> std::io::Result<()> {
        let (server, running) = (self.server, self.begin());
        let spawned = os::thread::spawn(format!("worker {number}"), STACK_BYTES, move || {
            os::interrupt::unblock();
            let _running = running;
            let _whole = Whole { server, number };
            body(number);
        });
        spawned.map(drop)
    }

    /// Counts a thread, until what this returns is dropped.
    pub(crate) fn begin(&self) -> Running {
        self.state.count.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.state))
    }

    /// Waits until all have ended, and presses on what they hold as the drain goes on. Those that
    /// outstay the grace, inside a service that blocks, end with the process.
    pub fn finish(self) {
        let none_is_left = || self.state.count.load(Ordering::SeqCst) == 0;
        while !none_is_left() {
            if self.is_overdue() {
                self.give_up();
                return;
            }
            self.wait(none_is_left);
        }
    }

    /// Waits for a thread to end, unless what that would bring `has_come` already, and presses on
    /// what the others hold. Returns early when a signal was handled or the drain goes on.
    pub(crate) fn wait(&self, has_come: impl Fn() -> bool) {
        self.state.awaited.store(true, Ordering::SeqCst);
        if !has_come() {
            let mut fds = [PollFd::new(&self.state.waker, PollFlags::IN)];
            // EINTR is the drain's tick, and as good a reason to look around.
            let _ = net::poll(
                &mut fds,
                self.server.drain.has_begun().then_some(PRESS_EVERY),
            );
        }
        self.state.awaited.store(false, Ordering::SeqCst);
        self.state.waker.clear();
        for block in self.server.blocks {
            self.server.drain.close_or_cut(block);
            // The listeners do not block any more, but those who block there already do not know.
            if self.server.drain.has_begun() && block.is_accepting() {
                os::interrupt::thread(block.id.load(Ordering::Relaxed));
            }
        }
    }

    /// Whether the grace is over, and what a worker may take to go.
    pub(crate) fn is_overdue(&self) -> bool {
        let began = self.server.drain.began();
        began.is_some_and(|began| {
            Instant::now() > self.server.drain.grace_ends(began) + TIME_TO_EXIT
        })
    }

    /// Counts as cut what the threads still have open, unless pressing has counted it.
    fn give_up(&self) {
        let stuck = self.state.count.load(Ordering::SeqCst);
        log(format_args!(
            "{stuck} worker threads outstay the drain: cut"
        ));
        self.server.count_open_as_cut();
    }
}

/// How often the drain looks at what the threads hold.
const PRESS_EVERY: Duration = Duration::from_millis(20);

/// Counts its thread as ended when dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<State>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        if self.0.awaited.load(Ordering::SeqCst) {
            self.0.waker.wake();
        }
    }
}

/// Dropped by a panic, it ends the process. What a service panics with stays in its connection, so
/// this is an error of ours, and a server short of a loop would limp on unnoticed: whoever supervises
/// it can start a whole one.
#[derive(Debug)]
struct Whole {
    server: &'static Server,
    number: usize,
}

impl Drop for Whole {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let number = self.number;
            log(format_args!("worker {number} panicked, so the server ends"));
            self.server.remove_paths();
            os::process::exit_now(1);
        }
    }
}
