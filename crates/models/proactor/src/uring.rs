//! The loop of the io_uring variant: completions in, operations out.

mod listeners;

use std::os::fd::AsFd;

use os::Errno;
use os::ring::{Completion, Ring, Sizes};
use proto::Want;
use reactor::{Slots, Timer, Token, Wheel};
use server::{Connection, OnDeadline, Server, Worker};

use listeners::Listeners;

/// A ring, and everything one thread does for all its connections.
pub struct Proactor {
    server: &'static Server,
    worker: Worker,
    ring: Ring,
    held: Slots<Held>,
    wheel: Wheel,
    listeners: Listeners,
    draining: bool,
}

/// A connection, and what is under way for it: one operation each way at most.
struct Held {
    connection: Connection,
    receive: Flight,
    send: Flight,
    fate: Fate,
    /// Its entry in the wheel.
    timer: Option<Timer>,
}

/// Where an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flight {
    /// There is none: the last one has completed.
    Landed,
    /// The kernel has it.
    Out,
    /// The kernel was asked to give it back, and its completion will come.
    Recalled,
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    /// To be closed by the drain, unless its last request has come when its receive is back.
    Parting,
    /// To be dropped by the last completion.
    Closing,
}

/// In the wheel: accept may be tried again.
const PAUSE_ENDS: u64 = u64::MAX - 2;

/// Completions that the kernel can leave for each operation handed to it at once: receives and
/// accepts complete many times.
const COMPLETIONS_PER_OPERATION: usize = 8;

impl Proactor {
    /// A ring at the server's listeners.
    ///
    /// # Errors
    /// Memory or descriptors have run out. That io_uring is forbidden was said before anybody listened.
    pub fn new(server: &'static Server) -> server::Result<Proactor> {
        server.make_listeners_nonblocking()?; // For the drain, which looks at them itself.
        let limits = &server.limits;
        let ring = Ring::new(&Sizes {
            operations: limits.events_max,
            completions: limits.events_max * COMPLETIONS_PER_OPERATION,
            buffers: limits.lent_buffers,
            buffer_bytes: limits.lent_buffer_bytes,
        })
        .map_err(|error| format!("cannot set up io_uring: {error}"))?;
        let worker = Worker::ready(server, 0);
        Ok(Proactor {
            server,
            ring,
            held: Slots::new(limits.connections_max),
            wheel: Wheel::new(worker.now),
            worker,
            listeners: Listeners::new(server),
            draining: false,
        })
    }

    /// Serves until drained.
    ///
    /// # Errors
    /// The kernel has lost completions for want of memory, so nothing could be relied on.
    pub fn run(mut self) -> server::Result {
        let mut due = Vec::new();
        self.ring.watch(self.server.waker.as_fd());
        self.look_at_listeners();
        while !(self.draining && self.held.is_empty() && self.listeners.are_done()) {
            self.worker.tick();
            let timeout = self.wheel.timeout(self.worker.now);
            self.ring
                .wait(timeout)
                .map_err(|error| format!("the ring has lost completions: {error}"))?;
            self.worker.tick();
            // Before any completion: what they add is placed from here on.
            self.wheel.advance(self.worker.now, &mut due);
            while let Some(completion) = self.ring.next() {
                match completion {
                    Completion::Received { token, bytes, more } => {
                        self.received(Token::from_number(token), bytes, more);
                    }
                    Completion::Sent {
                        token,
                        output,
                        bytes,
                    } => self.sent(Token::from_number(token), output, bytes),
                    Completion::Accepted {
                        listener,
                        socket,
                        more,
                    } => {
                        self.accepted(listener, socket, more);
                    }
                    Completion::Readable => self.drain(),
                }
            }
            for (number, tick) in due.drain(..) {
                match number {
                    PAUSE_ENDS => self.end_pause(),
                    number => self.expire(Token::from_number(number), tick),
                }
            }
        }
        Ok(())
    }

    fn received(&mut self, token: Token, bytes: Result<usize, Errno>, more: bool) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        if !more {
            held.receive = Flight::Landed;
        }
        match bytes {
            _ if held.fate == Fate::Closing => {}
            Ok(0) => held.connection.received_fin(&mut self.worker),
            Ok(_) => held
                .connection
                .received(self.ring.received(), &mut self.worker),
            // All buffers were taken (they are back with the next batch), or it was taken back.
            Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                held.connection.count_broken(&self.worker);
                held.fate = Fate::Closing;
            }
        }
        self.settle(token);
    }

    fn sent(&mut self, token: Token, output: Vec<u8>, bytes: Result<usize, Errno>) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        held.send = Flight::Landed;
        match bytes {
            _ if held.fate == Fate::Closing => {}
            Ok(bytes) => held.connection.sent(output, bytes, &mut self.worker),
            Err(Errno::CANCELED) => {
                held.connection.return_output(output);
                self.on_deadline(token);
            }
            Err(_) => {
                held.connection.count_broken(&self.worker);
                held.fate = Fate::Closing;
            }
        }
        self.settle(token);
    }

    /// An entry of the wheel has come up: is it the connection's, and is it really due?
    fn expire(&mut self, token: Token, tick: u64) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        if !Timer::is_spent(&mut held.timer, tick) {
            return;
        }
        if held.fate == Fate::Open && held.connection.deadline(self.server) <= self.worker.now {
            self.on_deadline(token);
        }
        self.settle(token);
    }

    fn on_deadline(&mut self, token: Token) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        match held.connection.on_deadline(&mut self.worker) {
            OnDeadline::GoOn => {}
            OnDeadline::Close => held.fate = Fate::Closing,
            OnDeadline::CloseIfIdle => held.fate = Fate::Parting,
            OnDeadline::TakeBackOutput if held.send == Flight::Out => {
                held.send = Flight::Recalled;
                self.ring.cancel_send(token.number());
            }
            OnDeadline::TakeBackOutput => {}
        }
    }

    /// Begins what the connection wants, recalls what it wants no more, and drops it with the last
    /// completion.
    fn settle(&mut self, token: Token) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        let number = token.number();
        if held.fate == Fate::Parting && held.receive == Flight::Landed {
            held.fate = if held.connection.is_idle() {
                Fate::Closing
            } else {
                Fate::Open
            };
        }
        let want = match held.fate {
            Fate::Closing => Want::Close,
            _ => held.connection.want(),
        };
        match want {
            Want::Close => held.fate = Fate::Closing,
            Want::Linger if !held.connection.half_close() => held.fate = Fate::Closing,
            Want::Write if held.send == Flight::Landed => {
                held.send = Flight::Out;
                let output = held.connection.take_output(&mut self.worker);
                let (ring, socket) = (&mut self.ring, held.connection.as_fd());
                match held.connection.idle_deadline_once_sent() {
                    Some(until) => {
                        ring.send_quietly(socket, number, output);
                        self.wheel.cover(&mut held.timer, number, until);
                    }
                    None => ring.send(socket, number, output),
                }
            }
            _ => {}
        }
        let listens = held.fate == Fate::Open && held.connection.takes_input(self.server);
        match held.receive {
            Flight::Landed if listens => {
                held.receive = Flight::Out;
                self.ring.receive(held.connection.as_fd(), number);
            }
            Flight::Out if !listens => {
                held.receive = Flight::Recalled;
                self.ring.cancel_receive(number);
            }
            _ => {}
        }
        if held.fate == Fate::Closing {
            self.close(token);
            return;
        }
        let deadline = held.connection.deadline(self.server);
        self.wheel.cover(&mut held.timer, number, deadline);
    }

    /// Drops a connection if nothing is under way for it any more; its last completion comes here.
    fn close(&mut self, token: Token) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        if held.send == Flight::Out {
            held.send = Flight::Recalled;
            self.ring.cancel_send(token.number());
        }
        if (held.receive, held.send) == (Flight::Landed, Flight::Landed) {
            self.held.remove(token);
            self.make_use_of_room();
        }
    }

    /// The drain begins: the kernel is to accept no more, and every deadline comes forward.
    fn drain(&mut self) {
        self.draining = true;
        self.listeners.leave(&mut self.ring);
        self.sweep();
        for token in self.held.tokens() {
            self.settle(token);
        }
    }
}
