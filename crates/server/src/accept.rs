//! The one accept: it knows every error accept has, and what each asks for.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use os::Errno;
use os::net::{self, PollFd, PollFlags};

use crate::board::Holding;
use crate::{Backoff, Connection, Listener, Listeners, Phase, Server, Worker, log, signals};

/// What came of one look at the listener.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Socket(OwnedFd),
    /// Nobody waits.
    Empty,
    /// A signal was handled: look around and come again.
    Interrupted,
    /// Descriptors or memory have run out: come again after this pause, which was not taken yet.
    Pause(Duration),
}

/// Some resource is short: says so as an episode begins, and asks for a pause.
fn pause_for(what: &str, error: Errno, backoff: &mut Backoff) -> Accepted {
    if backoff.is_fresh() {
        log(format_args!(
            "{what}: {error}; the listener is left alone until some are free"
        ));
    }
    Accepted::Pause(backoff.pause())
}

impl Server {
    /// Numbers of the listeners at which `worker` accepts: all, unless each has its own.
    pub fn listeners_of(&self, worker: usize) -> Range<usize> {
        match self.sharing {
            Listeners::PerWorker => {
                let each = self.listeners.len() / self.workers;
                worker * each..(worker + 1) * each
            }
            Listeners::Shared | Listeners::None => 0..self.listeners.len(),
        }
    }

    /// Waits at `listeners` for a connection: in accept itself where that is possible, with one listener of
    /// our own. With several, or one that others hold too, waits in poll, and accepts without
    /// blocking. [`Accepted::Empty`] is for a drain that has emptied them.
    fn attend(&self, listeners: &[Listener], nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        loop {
            let look = |listener| self.look(listener, nonblocking, backoff);
            let mut found = listeners.iter().map(look);
            match found.find(|found| !matches!(found, Accepted::Empty)) {
                Some(found) => return found,
                None if self.drain.has_begun() => {
                    shut_down(listeners);
                    return Accepted::Empty;
                }
                None if self.wait_at(listeners, None).is_err() => return Accepted::Interrupted,
                None => {}
            }
        }
    }

    /// Waits for a connection, and takes the pause where resources are short.
    ///
    /// Returns [`Accepted::Empty`] only for a drain that has emptied the backlog, or has no more
    /// time to. `nonblocking` concerns the new socket.
    pub fn accept_blocking(&self, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        match self.attend(&self.listeners, nonblocking, backoff) {
            Accepted::Pause(pause) if self.rests(pause) => Accepted::Interrupted,
            Accepted::Pause(_) => Accepted::Empty,
            other => other,
        }
    }

    /// Takes the pause. False if that has brought a drain to its end: who still waits outside has
    /// nothing to hope for.
    fn rests(&self, pause: Duration) -> bool {
        let _ = self.wait_for_drain(pause);
        self.drain.phase() < Phase::Cutting
    }

    /// Waits for the next socket; `None` once the drain has emptied the listeners.
    pub fn next_socket(&self, nonblocking: bool, backoff: &mut Backoff) -> Option<OwnedFd> {
        loop {
            match self.accept_blocking(nonblocking, backoff) {
                Accepted::Socket(socket) => return Some(socket),
                Accepted::Empty => return None,
                Accepted::Interrupted | Accepted::Pause(_) => {}
            }
        }
    }

    /// Waits for connections, and moves all that wait, up to a batch, to `sockets`. False once the
    /// drain has emptied the listeners, which must not block.
    pub fn accept_batch(&self, sockets: &mut Vec<OwnedFd>, backoff: &mut Backoff) -> bool {
        loop {
            let mut unseen = false;
            for index in 0..self.listeners.len() {
                while sockets.len() < self.limits.events_max {
                    match self.accept_ready(index, backoff) {
                        Accepted::Socket(socket) => sockets.push(socket),
                        Accepted::Interrupted => {}
                        Accepted::Empty => break,
                        Accepted::Pause(pause) => {
                            unseen = self.rests(pause);
                            break;
                        }
                    }
                }
            }
            if !sockets.is_empty() {
                return true;
            }
            if unseen {
                continue;
            }
            if self.drain.has_begun() {
                self.shut_down_listeners();
                return false;
            }
            let _ = self.wait_at(&self.listeners, None); // EINTR: the drain, or its tick.
        }
    }

    fn wait_at(&self, listeners: &[Listener], timeout: Option<Duration>) -> Result<usize, Errno> {
        let mut fds: Vec<_> = listeners
            .iter()
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .collect();
        fds.push(PollFd::new(&self.waker, PollFlags::IN));
        net::poll(&mut fds, timeout)
    }

    /// Sleeps for `timeout`, or until the drain begins. In a drain, whose waker stays readable, sleeps for
    /// all of it.
    pub fn wait_for_drain(&self, timeout: Duration) -> Result<usize, Errno> {
        if self.drain.has_begun() {
            std::thread::sleep(timeout);
            return Ok(0);
        }
        net::poll(
            &mut [PollFd::new(&self.waker, PollFlags::IN)],
            Some(timeout),
        )
    }

    /// One look at listener number `index` for models that wait elsewhere; the new socket does not block.
    pub fn accept_ready(&self, index: usize, backoff: &mut Backoff) -> Accepted {
        self.accept_at(index, true, backoff)
    }

    /// One look at listener number `index`; `nonblocking` concerns the new socket.
    pub fn accept_at(&self, index: usize, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        self.look(&self.listeners[index], nonblocking, backoff)
    }

    /// One look at one listener: blocks if the listener does.
    fn look(&self, listener: &Listener, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        self.accept_completed(net::accept(listener.as_fd(), nonblocking), backoff)
    }

    /// What came of an accept that completed by itself: sorts the errors.
    pub fn accept_completed(
        &self,
        accepted: Result<OwnedFd, Errno>,
        backoff: &mut Backoff,
    ) -> Accepted {
        match accepted {
            Ok(socket) => {
                backoff.reset();
                Accepted::Socket(socket)
            }
            Err(Errno::AGAIN) => Accepted::Empty,
            // The listener was shut: by a drain, and whatever waited there is gone or served; or
            // by whoever shares it with us, and nobody will come any more.
            Err(Errno::INVAL) => {
                signals::on_listener_shut_down(self);
                Accepted::Empty
            }
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                pause_for("accept", error, backoff)
            }
            // EINTR, and the ways in which a connection can die before it is accepted (accept(2)
            // lists ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP,
            // ENETUNREACH and ECONNABORTED as to be treated like EAGAIN by retrying).
            Err(_) => Accepted::Interrupted,
        }
    }

    /// The drain has emptied the backlog: from now on our own listeners refuse. (`shutdown(2)` of a
    /// listener resets what waits in it, so this comes after the last accept.)
    pub fn shut_down_listeners(&self) {
        shut_down(&self.listeners);
    }

    /// Makes accept on the listeners return at once, for models that wait for readiness first.
    ///
    /// # Errors
    /// None that a listener can cause.
    pub fn make_listeners_nonblocking(&self) -> Result<(), Errno> {
        self.listeners
            .iter()
            .try_for_each(|listener| net::set_nonblocking(listener.as_fd()))
    }
}

fn shut_down(listeners: &[Listener]) {
    listeners
        .iter()
        .filter(|listener| listener.owned)
        .for_each(|listener| net::shutdown_read(listener.as_fd().as_raw_fd()));
}

/// How blocking workers accept for themselves. Each returns `None` once the drain has emptied the
/// listeners.
impl Worker {
    /// Waits for the next connection, in accept where that is possible.
    pub fn accept(&mut self, backoff: &mut Backoff) -> Option<Connection> {
        self.next(backoff, |server, listeners, backoff| {
            server.attend(listeners, false, backoff)
        })
    }

    /// Waits in poll, then accepts. The listeners must [not block](Server::make_listeners_nonblocking): of
    /// all that poll has woken for one connection, one gets it.
    pub fn accept_polled(&mut self, backoff: &mut Backoff) -> Option<Connection> {
        self.next(backoff, |server, listeners, backoff| {
            match server.wait_at(listeners, None) {
                Ok(_) => server.attend(listeners, false, backoff),
                Err(_) => Accepted::Interrupted,
            }
        })
    }

    /// Waits in accept while it holds what `lock` returns, and lets go of it before it does anything
    /// else. While the lock cannot be had for want of memory, it leaves the listeners alone. In a drain
    /// they do not block, and the lock is not taken.
    pub fn accept_holding<Held>(
        &mut self,
        backoff: &mut Backoff,
        lock: impl Fn() -> Result<Held, Errno>,
    ) -> Option<Connection> {
        self.next(backoff, |server, listeners, backoff| {
            match (!server.drain.has_begun()).then(&lock).transpose() {
                Ok(_held) => server.attend(listeners, false, backoff),
                Err(error) => pause_for("the lock around accept", error, backoff),
            }
        })
    }

    fn next(
        &mut self,
        backoff: &mut Backoff,
        attend: impl Fn(&Server, &[Listener], &mut Backoff) -> Accepted,
    ) -> Option<Connection> {
        let server = self.server;
        self.block.announce(Holding::Accepting, -1);
        let socket = loop {
            // Whoever is free in a drain empties all of them: a busy worker's clients need not wait.
            let mine = match server.drain.has_begun() {
                true => 0..server.listeners.len(),
                false => server.listeners_of(self.number),
            };
            match attend(server, &server.listeners[mine], backoff) {
                Accepted::Socket(socket) => break Some(socket),
                Accepted::Interrupted => {}
                Accepted::Pause(pause) if server.rests(pause) => {}
                Accepted::Empty | Accepted::Pause(_) => break None,
            }
        };
        self.block.announce(Holding::Nothing, 0);
        socket.map(|socket| Connection::new(socket, self))
    }
}
