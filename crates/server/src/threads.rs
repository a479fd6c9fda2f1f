//! Worker threads of the blocking models: started, pressed by the drain, joined.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use os::net::{self, Bell, PollFd, PollFlags};

use crate::drain::LAST_WORDS;
use crate::{Server, log};

/// Threads that serve, from the main thread's point of view.
#[derive(Debug)]
pub struct Threads {
    server: &'static Server,
    /// Threads still running, and a bell that rings as each ends.
    running: Arc<(AtomicUsize, Bell)>,
}

/// Stack of a worker thread, bytes; only what is touched is paid for.
const STACK_BYTES: usize = 256 << 10;

impl Threads {
    /// None yet.
    ///
    /// # Errors
    /// Descriptors have run out.
    pub fn new(server: &'static Server) -> anyhow::Result<Threads> {
        Ok(Threads {
            server,
            running: Arc::new((AtomicUsize::new(0), Bell::new()?)),
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
        let running = Ended(Arc::clone(&self.running));
        self.running.0.fetch_add(1, Ordering::SeqCst);
        let spawned = os::thread::spawn(format!("worker {number}"), STACK_BYTES, move || {
            let _running = running;
            body(number);
        });
        spawned.map(drop)
    }

    /// Waits until all have ended, and presses on what they hold as the drain goes on. Those that
    /// outstay the grace, inside a service that blocks, end with the process.
    pub fn finish(self) {
        let (count, bell) = &*self.running;
        while count.load(Ordering::SeqCst) > 0 {
            if self.is_overdue() {
                self.give_up();
                return;
            }
            let mut fds = [PollFd::new(bell, PollFlags::IN)];
            // EINTR is the drain's tick, and as good a reason to look around.
            let _ = net::poll(
                &mut fds,
                self.server.drain.has_begun().then_some(PRESS_EVERY),
            );
            bell.silence();
            self.server
                .blocks
                .iter()
                .for_each(|block| self.server.drain.press(block));
        }
    }

    fn is_overdue(&self) -> bool {
        let began = self.server.drain.began();
        began.is_some_and(|began| Instant::now() > self.server.drain.grace_ends(began) + LAST_WORDS)
    }

    /// Counts as cut what the threads still have open, unless pressing has counted it.
    fn give_up(&self) {
        let stuck = self.running.0.load(Ordering::SeqCst);
        log(format_args!(
            "{stuck} worker threads outstay the drain: cut"
        ));
        self.server.count_left_as_cut();
    }
}

/// How often the drain looks at what the threads hold.
const PRESS_EVERY: Duration = Duration::from_millis(20);

/// Counts its thread as ended when dropped, by a panic too.
struct Ended(Arc<(AtomicUsize, Bell)>);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log(format_args!(
                "a worker thread panicked: its connection is lost, the others go on"
            ));
        }
        self.0.0.fetch_sub(1, Ordering::SeqCst);
        self.0.1.ring();
    }
}
