//! Accepting connections. All models accept through [`Server::accept_completed`], which knows what each
//! error of accept means.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use os::Errno;
use os::net::{self, PollFd, PollFlags};

use crate::addresses::Addresses;
use crate::board::Activity;
use crate::{
    Backoff, Connection, Listener, Listeners, Phase, Server, Topic, Worker, repeated, signals,
};

/// The result of one attempt to accept.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Socket(OwnedFd),
    /// No connection was pending.
    Empty,
    /// A handler of a signal has run, or a connection has ended before it was accepted: try again.
    Interrupted,
    /// Descriptors or memory have run out: try again after this pause, which the caller must make.
    Pause(Duration),
}

/// A resource is exhausted.
fn pause_for(what: &str, error: Errno, backoff: &mut Backoff) -> Accepted {
    repeated(
        Topic::Accept,
        format_args!("{what}: {error}; no connections are accepted until some are free"),
    );
    Accepted::Pause(backoff.pause())
}

impl Server {
    /// Indexes of the listeners at which `worker` accepts: all, unless each worker has its own.
    pub fn listeners_of(&self, worker: usize) -> Range<usize> {
        match self.sharing {
            Listeners::PerWorker => {
                let each = self.listeners.len() / self.workers;
                worker * each..(worker + 1) * each
            }
            Listeners::Shared | Listeners::None => 0..self.listeners.len(),
        }
    }

    /// Waits for a connection at `listeners`. A single listener of our own blocks, so this waits in accept.
    /// Several listeners, or one that other processes use too, do not block, so this waits in poll.
    /// Returns [`Accepted::Empty`] only when a drain has emptied the listeners.
    fn accept_or_wait(
        &self,
        listeners: &[Listener],
        nonblocking: bool,
        backoff: &mut Backoff,
    ) -> Accepted {
        loop {
            let accept = |listener| self.accept_one(listener, nonblocking, backoff);
            let mut accepted = listeners.iter().map(accept);
            match accepted.find(|accepted| !matches!(accepted, Accepted::Empty)) {
                Some(accepted) => return accepted,
                None if self.drain.has_begun() => {
                    self.shut_down(listeners);
                    return Accepted::Empty;
                }
                None if self.poll_listeners(listeners, None).is_err() => {
                    return Accepted::Interrupted;
                }
                None => {}
            }
        }
    }

    /// Waits for a connection, and makes the pause if a resource is exhausted.
    ///
    /// Returns [`Accepted::Empty`] only when a drain has emptied the listeners, or its grace is over.
    /// `nonblocking` is for the new socket.
    pub fn accept_blocking(&self, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        match self.accept_or_wait(&self.listeners, nonblocking, backoff) {
            Accepted::Pause(pause) if self.pause(pause) => Accepted::Interrupted,
            Accepted::Pause(_) => Accepted::Empty,
            other => other,
        }
    }

    /// Makes the pause. False if the grace of a drain is over then, so that no more connections are
    /// accepted.
    fn pause(&self, pause: Duration) -> bool {
        let _ = self.wait_for_drain(pause);
        self.drain.phase() < Phase::Cutting
    }

    /// Waits for a connection, and returns its socket. `None`: the drain has emptied the listeners.
    pub fn next_socket(&self, nonblocking: bool, backoff: &mut Backoff) -> Option<OwnedFd> {
        loop {
            match self.accept_blocking(nonblocking, backoff) {
                Accepted::Socket(socket) => return Some(socket),
                Accepted::Empty => return None,
                Accepted::Interrupted | Accepted::Pause(_) => {}
            }
        }
    }

    /// Waits for connections, and appends all that are pending to `sockets`, up to `most` and to
    /// [`events_max`](crate::Limits::events_max). The listeners must be
    /// [non-blocking](Self::make_listeners_nonblocking). False: the drain has emptied them.
    pub(crate) fn accept_batch(
        &self,
        sockets: &mut Vec<OwnedFd>,
        most: usize,
        backoff: &mut Backoff,
    ) -> bool {
        let most = most.min(self.limits.events_max);
        loop {
            let mut paused = false;
            for index in 0..self.listeners.len() {
                while sockets.len() < most {
                    match self.accept_ready(index, backoff) {
                        Accepted::Socket(socket) => sockets.push(socket),
                        Accepted::Interrupted => {}
                        Accepted::Empty => break,
                        // What was accepted does not wait for the pause.
                        Accepted::Pause(_) if !sockets.is_empty() => return true,
                        Accepted::Pause(pause) => {
                            paused = self.pause(pause);
                            break;
                        }
                    }
                }
            }
            if !sockets.is_empty() {
                return true;
            }
            if paused {
                continue;
            }
            if self.drain.has_begun() {
                self.shut_down_listeners();
                return false;
            }
            let _ = self.poll_listeners(&self.listeners, None); // EINTR: a signal of the drain.
        }
    }

    fn poll_listeners(
        &self,
        listeners: &[Listener],
        timeout: Option<Duration>,
    ) -> Result<usize, Errno> {
        let mut fds: Vec<_> = listeners
            .iter()
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .collect();
        fds.push(PollFd::new(&self.waker, PollFlags::IN));
        net::poll(&mut fds, timeout)
    }

    /// Sleeps for `timeout`, or until a drain begins. Once it has begun, sleeps for all of `timeout`.
    ///
    /// # Errors
    /// EINTR: a handler of a signal has run.
    pub fn wait_for_drain(&self, timeout: Duration) -> Result<usize, Errno> {
        if self.drain.has_begun() {
            // The waker stays readable, so poll would return at once.
            std::thread::sleep(timeout);
            return Ok(0);
        }
        net::poll(
            &mut [PollFd::new(&self.waker, PollFlags::IN)],
            Some(timeout),
        )
    }

    /// Accepts at listener `index`, which is non-blocking, without waiting. The new socket is non-blocking.
    ///
    /// It does so too when a successor has the listener: the kernel may have woken this process alone for a
    /// connection, just before that ceased to wait, and no other worker would take it before the next one comes.
    #[inline(always)]
    pub fn accept_ready(&self, index: usize, backoff: &mut Backoff) -> Accepted {
        self.accept_completed(net::accept(self.listeners[index].as_fd(), true), backoff)
    }

    /// Accepts at listener `index` without waiting, if that is non-blocking. `nonblocking` is for the new
    /// socket.
    #[inline(always)]
    pub fn accept_at(&self, index: usize, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        self.accept_one(&self.listeners[index], nonblocking, backoff)
    }

    #[inline(always)]
    fn accept_one(
        &self,
        listener: &Listener,
        nonblocking: bool,
        backoff: &mut Backoff,
    ) -> Accepted {
        if self.drain.accepts_no_more() {
            return Accepted::Empty;
        }
        self.accept_completed(net::accept(listener.as_fd(), nonblocking), backoff)
    }

    /// The meaning of a result of accept, which the caller has got from the kernel.
    #[inline(always)]
    pub fn accept_completed(
        &self,
        accepted: Result<OwnedFd, Errno>,
        backoff: &mut Backoff,
    ) -> Accepted {
        match accepted {
            Ok(socket) => {
                backoff.reset();
                match self.addresses {
                    None => Accepted::Socket(socket),
                    Some(addresses) => self.accept_within(addresses, socket),
                }
            }
            Err(Errno::AGAIN) => Accepted::Empty,
            Err(error) => self.accept_failed(error, backoff),
        }
    }

    /// Closes a connection whose address has as many as it may have: before a worker, a queue or a child
    /// has anything to do with it.
    #[cold]
    #[inline(never)]
    fn accept_within(&self, addresses: &Addresses, socket: OwnedFd) -> Accepted {
        match net::peer(socket.as_fd()) {
            Some(peer) if addresses.is_full(peer) => {
                self.board
                    .refused
                    .connections
                    .fetch_add(1, Ordering::Relaxed);
                Accepted::Interrupted
            }
            _ => Accepted::Socket(socket),
        }
    }

    #[cold]
    #[inline(never)]
    fn accept_failed(&self, error: Errno, backoff: &mut Backoff) -> Accepted {
        match error {
            // The listener is shut down: by our own drain, after the last connection was accepted, or
            // by another process that shares it.
            Errno::INVAL => {
                signals::on_listener_shut_down(self);
                Accepted::Empty
            }
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
                pause_for("accept", error, backoff)
            }
            // EINTR, and errors of a connection that has ended before it was accepted. accept(2) says of
            // ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH
            // and ECONNABORTED that they should be treated like EAGAIN, by trying again.
            _ => Accepted::Interrupted,
        }
    }

    /// Shuts down our own listeners: from now on, the kernel refuses connections. This resets connections
    /// in the backlog, so it must come after the last accept.
    pub fn shut_down_listeners(&self) {
        self.shut_down(&self.listeners);
    }

    fn shut_down(&self, listeners: &[Listener]) {
        if !self.drain.leaves_listeners() {
            self.board.is_emptied.store(true, Ordering::SeqCst);
            let owned = listeners.iter().filter(|listener| listener.owned);
            owned.for_each(|listener| net::shutdown_read(listener.as_fd().as_raw_fd()));
        }
    }

    /// Makes the listeners non-blocking, for models that wait for readiness before they accept.
    ///
    /// # Errors
    /// Those of `fcntl(2)`; with an open listener there are none.
    pub fn make_listeners_nonblocking(&self) -> Result<(), Errno> {
        self.listeners
            .iter()
            .try_for_each(|listener| net::set_nonblocking(listener.as_fd()))
    }
}

/// Accepting for blocking workers. Each function returns `None` when the drain has emptied the listeners,
/// or the worker [retires](Worker::is_retiring): what waits at the listeners waits for its replacement.
impl Worker {
    /// Waits for a connection, in accept if the listener blocks.
    pub fn accept(&mut self, backoff: &mut Backoff) -> Option<Connection> {
        self.accept_with(backoff, |server, listeners, backoff| {
            server.accept_or_wait(listeners, false, backoff)
        })
    }

    /// Waits in poll, then accepts. The listeners must be
    /// [non-blocking](Server::make_listeners_nonblocking): poll wakes several workers for one connection,
    /// and only one of them gets it.
    pub fn accept_polled(&mut self, backoff: &mut Backoff) -> Option<Connection> {
        self.accept_with(backoff, |server, listeners, backoff| {
            match server.poll_listeners(listeners, None) {
                Ok(_) => server.accept_or_wait(listeners, false, backoff),
                Err(_) if server.drain.accepts_no_more() => Accepted::Empty,
                Err(_) => Accepted::Interrupted,
            }
        })
    }

    /// Waits in accept while it holds the guard that `lock` returns, and drops the guard before it does
    /// anything else. If there is no memory for the lock, it pauses without accepting. In a drain the
    /// listeners do not block, and no lock is taken.
    pub fn accept_holding<Guard>(
        &mut self,
        backoff: &mut Backoff,
        lock: impl Fn() -> Result<Guard, Errno>,
    ) -> Option<Connection> {
        self.accept_with(backoff, |server, listeners, backoff| {
            match (!server.drain.has_begun()).then(&lock).transpose() {
                Ok(_guard) => server.accept_or_wait(listeners, false, backoff),
                Err(error) => pause_for("the lock around accept", error, backoff),
            }
        })
    }

    fn accept_with(
        &mut self,
        backoff: &mut Backoff,
        accept: impl Fn(&Server, &[Listener], &mut Backoff) -> Accepted,
    ) -> Option<Connection> {
        let server = self.server;
        if self.is_retiring() {
            return None;
        }
        self.block.announce(Activity::Accepting, -1);
        let socket = loop {
            // In a drain, a worker accepts at the listeners of busy workers too.
            let own = match server.drain.has_begun() {
                true => 0..server.listeners.len(),
                false => server.listeners_of(self.number),
            };
            match accept(server, &server.listeners[own], backoff) {
                Accepted::Socket(socket) => break Some(socket),
                Accepted::Interrupted => {}
                Accepted::Pause(pause) if server.pause(pause) => {}
                Accepted::Empty | Accepted::Pause(_) => break None,
            }
        };
        self.block.announce(Activity::None, 0);
        socket.map(|socket| Connection::new(socket, self))
    }
}
