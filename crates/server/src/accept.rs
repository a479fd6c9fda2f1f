//! The one accept: it knows every error accept has, and what each asks for.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use os::Errno;
use os::net::{self, Addr, PollFd, PollFlags};

use crate::{Backoff, Server, log};

/// A listener and what we may do to it.
#[derive(Debug)]
pub struct Door {
    listener: OwnedFd,
    /// What was asked for, with port 0 resolved.
    pub addr: Addr,
    /// We opened it, so making it non-blocking or removing its path harms nobody else.
    pub owned: bool,
}

impl Door {
    pub(crate) fn open(addr: &Addr, backlog: i32) -> std::io::Result<Door> {
        let listener = net::listen(addr, backlog)?;
        let bound = net::local_addr(listener.as_fd(), addr);
        Ok(Door {
            listener,
            addr: bound,
            owned: !matches!(addr, Addr::Inherited(_)),
        })
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

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

/// One look at one door: blocks if the door does, and sorts the errors.
pub(crate) fn accept(door: &Door, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
    match net::accept(door.as_fd(), nonblocking) {
        Ok(socket) => {
            backoff.reset();
            Accepted::Socket(socket)
        }
        // EINVAL: a drain has shut the listener, and whatever waited there is gone or served.
        Err(Errno::AGAIN | Errno::INVAL) => Accepted::Empty,
        Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
            if backoff.is_fresh() {
                log(format_args!(
                    "accept: {error}; the door is left alone until some are free"
                ));
            }
            Accepted::Pause(backoff.pause())
        }
        // EINTR, and the ways in which a connection can die before it is accepted (accept(2) lists
        // ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH
        // and ECONNABORTED as to be treated like EAGAIN by retrying).
        Err(_) => Accepted::Interrupted,
    }
}

impl Server {
    /// Waits for a connection, in accept itself where that is possible: with one door of our own.
    /// With several, or one that others hold too, waits in poll, and accepts without blocking.
    ///
    /// Returns [`Accepted::Empty`] only for a drain that has emptied the backlog; a pause is taken
    /// here. `nonblocking` concerns the new socket.
    pub fn accept_blocking(&self, nonblocking: bool, backoff: &mut Backoff) -> Accepted {
        loop {
            let mut found = self
                .doors
                .iter()
                .map(|door| accept(door, nonblocking, backoff));
            let found = found.find(|found| !matches!(found, Accepted::Empty));
            match found.unwrap_or(Accepted::Empty) {
                Accepted::Empty if self.drain.has_begun() => {
                    self.bolt_doors();
                    return Accepted::Empty;
                }
                Accepted::Empty => match self.wait_at_doors(None) {
                    Ok(_) => {}
                    Err(_) => return Accepted::Interrupted,
                },
                Accepted::Pause(pause) => {
                    let _ = self.wait_for_drain(pause);
                    return Accepted::Interrupted;
                }
                socket_or_interrupted => return socket_or_interrupted,
            }
        }
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
            for index in 0..self.doors.len() {
                while sockets.len() < self.limits.events_max {
                    match self.accept_ready(index, backoff) {
                        Accepted::Socket(socket) => sockets.push(socket),
                        Accepted::Interrupted => {}
                        Accepted::Empty => break,
                        Accepted::Pause(pause) => {
                            let _ = self.wait_for_drain(pause);
                            break;
                        }
                    }
                }
            }
            if !sockets.is_empty() {
                return true;
            }
            if self.drain.has_begun() {
                self.bolt_doors();
                return false;
            }
            let _ = self.wait_at_doors(None); // EINTR: the drain, or its tick.
        }
    }

    fn wait_at_doors(&self, timeout: Option<Duration>) -> Result<usize, Errno> {
        let mut fds: Vec<_> = self
            .doors
            .iter()
            .map(|door| PollFd::new(door, PollFlags::IN))
            .collect();
        fds.push(PollFd::new(&self.bell, PollFlags::IN));
        net::poll(&mut fds, timeout)
    }

    /// Sleeps for `timeout`, or until the drain begins.
    pub fn wait_for_drain(&self, timeout: Duration) -> Result<usize, Errno> {
        net::poll(&mut [PollFd::new(&self.bell, PollFlags::IN)], Some(timeout))
    }

    /// One look at door number `index` for models that wait elsewhere; the new socket does not block.
    pub fn accept_ready(&self, index: usize, backoff: &mut Backoff) -> Accepted {
        accept(&self.doors[index], true, backoff)
    }

    /// The drain has emptied the backlog: from now on our own doors refuse. (`shutdown(2)` of a
    /// listener resets what waits in it, so this comes after the last accept.)
    pub fn bolt_doors(&self) {
        self.doors
            .iter()
            .filter(|door| door.owned)
            .for_each(|door| net::shutdown_read(door.listener.as_raw_fd()));
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
                os::signal::set_nonblocking(door.listener.as_raw_fd());
            }
        }
    }
}
