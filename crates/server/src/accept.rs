//! The one accept: it knows every error accept has, and what each asks for.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use os::Errno;
use os::net::{self, PollFd, PollFlags};

use crate::board::Holding;
use crate::{Backoff, Connection, Door, Doors, Phase, Server, Worker, drain, log};

/// What came of one look at the door.
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
            "{what}: {error}; the door is left alone until some are free"
        ));
    }
    Accepted::Pause(backoff.pause())
}

impl Server {
    /// Numbers of the doors at which `worker` accepts: all, unless each has its own.
    pub fn doors_of(&self, worker: usize) -> Range<usize> {
        match self.variant.needs.doors {
            Doors::Each => {
                let each = self.doors.len() / self.workers;
                worker * each..(worker + 1) * each
            }
            Doors::Shared | Doors::Elsewhere => 0..self.doors.len(),
        }
    }

    /// Waits at `doors` for a connection: in accept itself where that is possible, with one door of
    /// our own. With several, or one that others hold too, waits in poll, and accepts without
    /// blocking. [`Accepted::Empty`] is for a drain that has emptied them.
    fn attend(&self, doors: &[Door], nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        loop {
            let look = |door| self.look(door, nonblocking, backoff);
            let mut found = doors.iter().map(look);
            match found.find(|found| !matches!(found, Accepted::Empty)) {
                Some(found) => return found,
                None if self.drain.has_begun() => {
                    bolt(doors);
                    return Accepted::Empty;
                }
                None if self.wait_at(doors, None).is_err() => return Accepted::Interrupted,
                None => {}
            }
        }
    }

    /// Waits for a connection, and takes the pause where resources are short.
    ///
    /// Returns [`Accepted::Empty`] only for a drain that has emptied the backlog, or has no more
    /// time to. `nonblocking` concerns the new socket.
    pub fn accept_blocking(&self, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        match self.attend(&self.doors, nonblocking, backoff) {
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

    /// Waits for the next socket; `None` once the drain has emptied the doors.
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
    /// drain has emptied the doors, which must not block.
    pub fn accept_batch(&self, sockets: &mut Vec<OwnedFd>, backoff: &mut Backoff) -> bool {
        loop {
            let mut unseen = false;
            for index in 0..self.doors.len() {
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
                self.bolt_doors();
                return false;
            }
            let _ = self.wait_at(&self.doors, None); // EINTR: the drain, or its tick.
        }
    }

    fn wait_at(&self, doors: &[Door], timeout: Option<Duration>) -> Result<usize, Errno> {
        let mut fds: Vec<_> = doors
            .iter()
            .map(|door| PollFd::new(door, PollFlags::IN))
            .collect();
        fds.push(PollFd::new(&self.bell, PollFlags::IN));
        net::poll(&mut fds, timeout)
    }

    /// Sleeps for `timeout`, or until the drain begins. In a drain, whose bell rings on, sleeps for
    /// all of it.
    pub fn wait_for_drain(&self, timeout: Duration) -> Result<usize, Errno> {
        if self.drain.has_begun() {
            std::thread::sleep(timeout);
            return Ok(0);
        }
        net::poll(&mut [PollFd::new(&self.bell, PollFlags::IN)], Some(timeout))
    }

    /// One look at door number `index` for models that wait elsewhere; the new socket does not block.
    pub fn accept_ready(&self, index: usize, backoff: &mut Backoff) -> Accepted {
        self.accept_at(index, true, backoff)
    }

    /// One look at door number `index`; `nonblocking` concerns the new socket.
    pub fn accept_at(&self, index: usize, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        self.look(&self.doors[index], nonblocking, backoff)
    }

    /// One look at one door: blocks if the door does.
    fn look(&self, door: &Door, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        self.accept_completed(net::accept(door.as_fd(), nonblocking), backoff)
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
                drain::begin_unasked(self);
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

    /// The drain has emptied the backlog: from now on our own doors refuse. (`shutdown(2)` of a
    /// listener resets what waits in it, so this comes after the last accept.)
    pub fn bolt_doors(&self) {
        bolt(&self.doors);
    }

    /// Makes accept on the doors return at once, for models that wait for readiness first.
    ///
    /// # Errors
    /// None that a listener can cause.
    pub fn make_doors_nonblocking(&self) -> Result<(), Errno> {
        self.doors
            .iter()
            .try_for_each(|door| net::set_nonblocking(door.as_fd()))
    }

    /// The drain's part: blocked acceptors of our own doors find them empty. Async-signal-safe.
    pub(crate) fn close_doors(&self) {
        for door in &self.doors {
            if door.owned {
                os::signal::ignore_knocks(door.as_fd().as_raw_fd());
                os::signal::set_nonblocking(door.as_fd().as_raw_fd());
            }
        }
    }
}

fn bolt(doors: &[Door]) {
    doors
        .iter()
        .filter(|door| door.owned)
        .for_each(|door| net::shutdown_read(door.as_fd().as_raw_fd()));
}

/// How blocking workers accept for themselves. Each returns `None` once the drain has emptied the
/// doors.
impl Worker {
    /// Waits for the next connection, in accept where that is possible.
    pub fn accept(&mut self, backoff: &mut Backoff) -> Option<Connection> {
        self.next(backoff, |server, doors, backoff| {
            server.attend(doors, false, backoff)
        })
    }

    /// Waits in poll, then accepts. The doors must [not block](Server::make_doors_nonblocking): of
    /// all that poll has woken for one connection, one gets it.
    pub fn accept_polled(&mut self, backoff: &mut Backoff) -> Option<Connection> {
        self.next(backoff, |server, doors, backoff| {
            match server.wait_at(doors, None) {
                Ok(_) => server.attend(doors, false, backoff),
                Err(_) => Accepted::Interrupted,
            }
        })
    }

    /// Waits in accept while it holds what `lock` returns, and lets go of it before it does anything
    /// else. While the lock cannot be had for want of memory, it leaves the doors alone. In a drain
    /// they do not block, and the lock is not taken.
    pub fn accept_holding<Held>(
        &mut self,
        backoff: &mut Backoff,
        lock: impl Fn() -> Result<Held, Errno>,
    ) -> Option<Connection> {
        self.next(backoff, |server, doors, backoff| {
            match (!server.drain.has_begun()).then(&lock).transpose() {
                Ok(_held) => server.attend(doors, false, backoff),
                Err(error) => pause_for("the lock around accept", error, backoff),
            }
        })
    }

    fn next(
        &mut self,
        backoff: &mut Backoff,
        attend: impl Fn(&Server, &[Door], &mut Backoff) -> Accepted,
    ) -> Option<Connection> {
        let server = self.server;
        self.block.announce(Holding::Accepting, -1);
        let socket = loop {
            // Whoever is free in a drain empties all of them: a busy worker's clients need not wait.
            let mine = match server.drain.has_begun() {
                true => 0..server.doors.len(),
                false => server.doors_of(self.number),
            };
            match attend(server, &server.doors[mine], backoff) {
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
