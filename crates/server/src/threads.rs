//! Worker threads of the blocking models: how the main thread starts and drains them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use os::net::{self, PollFd, PollFlags, Waker};

use crate::drain::TIME_TO_EXIT;
use crate::{Server, log};

/// The worker threads, for the main thread.
#[derive(Debug, Clone)]
pub struct Threads {
    server: &'static Server,
    state: Arc<State>,
}

/// How many threads run. When one ends, it wakes the main thread if that waits.
#[derive(Debug)]
struct State {
    running: AtomicUsize,
    main_waits: AtomicBool,
    waker: Waker,
}

/// Stack of a worker thread, bytes. Pages of it that are not touched take no memory.
pub(crate) const STACK_BYTES: usize = 256 << 10;

impl Threads {
    /// No threads yet.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new(server: &'static Server) -> crate::Result<Threads> {
        os::interrupt::install();
        Ok(Threads {
            server,
            state: Arc::new(State {
                running: AtomicUsize::new(0),
                main_waits: AtomicBool::new(false),
                waker: Waker::new()?,
            }),
        })
    }

    /// Starts a thread for worker `number`, which begins once the server is [ready](Server::ready).
    /// [`finish`](Self::finish) waits until it has ended.
    ///
    /// # Errors
    /// EAGAIN: the limit of threads is reached.
    pub fn spawn(
        &self,
        number: usize,
        body: impl FnOnce(usize) + Send + 'static,
    ) -> std::io::Result<()> {
        let server = self.server;
        self.spawn_at_once(number, move |number| {
            server.gate.wait();
            body(number);
        })
    }

    /// The same for a thread that has something to set up before the server is ready.
    ///
    /// # Errors
    /// EAGAIN: the limit of threads is reached.
    pub fn spawn_at_once(
        &self,
        number: usize,
        body: impl FnOnce(usize) + Send + 'static,
    ) -> std::io::Result<()> {
        let (server, running) = (self.server, self.count_one());
        let spawned = os::thread::spawn(format!("worker {number}"), STACK_BYTES, move || {
            os::interrupt::unblock();
            let _running = running;
            let _guard = ExitOnPanic { server, number };
            body(number);
        });
        spawned.map(drop)
    }

    /// Counts a thread as running until the returned value is dropped.
    pub(crate) fn count_one(&self) -> Running {
        self.state.running.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.state))
    }

    /// Says that the server is ready, waits until all threads have ended, and meanwhile closes and cuts their connections as the drain
    /// requires. Threads that have not ended after the grace are stuck in a service; the process ends
    /// without them.
    pub fn finish(self) {
        self.server.ready(); // All are started.
        let none_is_left = || self.state.running.load(Ordering::SeqCst) == 0;
        while !none_is_left() {
            if self.are_overdue() {
                self.give_up();
                return;
            }
            self.wait(none_is_left);
        }
    }

    /// Waits until a thread ends, unless `is_done` says that this is not necessary any more. Then closes and
    /// cuts connections as the drain requires. Returns early when a handler of a signal has run, and
    /// regularly during a drain.
    pub(crate) fn wait(&self, is_done: impl Fn() -> bool) {
        self.state.main_waits.store(true, Ordering::SeqCst);
        if !is_done() {
            let mut fds = [PollFd::new(&self.state.waker, PollFlags::IN)];
            // EINTR: SIGALRM, which a drain sends regularly.
            let timeout = self.server.drain.has_begun().then_some(CHECK_EVERY);
            let _ = net::poll(&mut fds, timeout);
        }
        self.state.main_waits.store(false, Ordering::SeqCst);
        self.state.waker.clear();
        for block in self.server.blocks {
            self.server.drain.close_or_cut(block);
            // Accept does not block any more, but calls that had begun before still do.
            if self.server.drain.has_begun() && block.is_accepting() {
                os::interrupt::thread(block.id.load(Ordering::Relaxed));
            }
        }
    }

    /// Whether the grace is over, and the time that a worker may take to end after it.
    pub(crate) fn are_overdue(&self) -> bool {
        let began = self.server.drain.began();
        began.is_some_and(|began| {
            Instant::now() > self.server.drain.grace_ends(began) + TIME_TO_EXIT
        })
    }

    /// Counts connections as cut that the threads still have.
    fn give_up(&self) {
        let stuck = self.state.running.load(Ordering::SeqCst);
        log(format_args!(
            "{stuck} worker threads have not ended in time: their connections are cut"
        ));
        self.server.count_open_as_cut();
    }
}

/// How often the main thread checks the connections of its threads in a drain.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// Its thread counts as running until this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<State>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        if self.0.main_waits.load(Ordering::SeqCst) {
            self.0.waker.wake();
        }
    }
}

/// Ends the process if its thread panics. A panic of a service does not get here, so this is an error of
/// the server. With one worker less it would go on serving in part; a supervisor can restart the process.
#[derive(Debug)]
struct ExitOnPanic {
    server: &'static Server,
    number: usize,
}

impl Drop for ExitOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let number = self.number;
            log(format_args!("worker {number} panicked, so the server ends"));
            self.server.remove_paths();
            os::process::exit_now(1);
        }
    }
}
