//! The loop of the io_uring variant: completions in, operations out.

mod accept;

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use os::Errno;
use os::ring::{Completion, Ring, Sizes};
use proto::Want;
use reactor::{Slots, Source, Timer, Token, Wheel};
use server::{Accepting, Connection, OnDeadline, Server, Worker};

/// A ring, and everything one thread does for all its connections.
pub struct Proactor {
    server: &'static Server,
    worker: Worker,
    ring: Ring,
    connections: Slots<RingConnection>,
    /// Most connections of this ring, those that wait for a slot included.
    connections_max: usize,
    wheel: Wheel,
    accepting: Accepting,
    /// By listener.
    accepts_by: Vec<AcceptsBy>,
    /// At how many listeners it accepts, before a drain.
    listeners: usize,
    /// Most connections that multishot accepts may take at once.
    backlog: usize,
    /// Sockets that they took although there was no room; each waits for a slot in the table.
    surplus: VecDeque<OwnedFd>,
    draining: bool,
}

/// What is under way at a listener that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AcceptsBy {
    /// One accept of the kernel, which takes all that come.
    All,
    /// The same, which is to be cancelled.
    AllNoMore,
    /// One accept of the kernel, which takes one.
    One,
    /// A poll, after which the loop accepts.
    Loop,
}

/// A connection, and what the kernel does for it: one operation each way at most.
struct RingConnection {
    connection: Connection,
    receive: Operation,
    send: Operation,
    closing: Closing,
    /// Its entry in the wheel.
    timer: Option<Timer>,
}

/// The state of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// There is none: the last one has completed.
    None,
    Submitted,
    /// The kernel was asked to cancel it, and its completion will come.
    Cancelled,
}

/// Whether a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// The drain closes it, unless its last request has come by the time its receive has completed.
    IfIdle,
    /// The last completion closes it.
    Yes,
}

/// Completions that the kernel can leave for each operation submitted at once: receives and accepts
/// complete many times.
const COMPLETIONS_PER_OPERATION: usize = 8;

impl Proactor {
    /// Ring `number`, at the listeners of the worker of that number. The calling thread alone may
    /// use it.
    ///
    /// # Errors
    /// Memory or descriptors have run out. That io_uring is forbidden was said before anybody
    /// listened.
    pub fn new(server: &'static Server, number: usize) -> server::Result<Proactor> {
        server.make_listeners_nonblocking()?; // For the drain, in which the loop itself accepts.
        let limits = &server.limits;
        let ring = Ring::new(&Sizes {
            operations: limits.events_max,
            completions: limits.events_max * COMPLETIONS_PER_OPERATION,
            buffers: limits.lent_buffers,
            buffer_bytes: limits.lent_buffer_bytes,
        })
        .map_err(|error| format!("cannot set up io_uring: {error}"))?;
        let worker = Worker::ready(server, number);
        let connections_max = server.connections_max_of(number, server.workers);
        Ok(Proactor {
            server,
            ring,
            connections: Slots::new(connections_max),
            connections_max,
            wheel: Wheel::new(worker.now),
            worker,
            accepting: Accepting::new(server, number, limits.events_max),
            accepts_by: vec![AcceptsBy::One; server.listeners.len()],
            listeners: server.listeners_of(number).len(),
            backlog: limits.backlog.max(1) as usize * server.listeners_of(number).len(),
            surplus: VecDeque::new(),
            draining: false,
        })
    }

    /// Serves until drained.
    ///
    /// # Errors
    /// The kernel has lost completions for want of memory, so nothing could be relied on.
    pub fn run(mut self) -> server::Result {
        let mut fired = Vec::new();
        self.ring.watch(self.server.waker.as_fd());
        self.accept_waiting();
        while !self.is_done() {
            self.worker.tick();
            let timeout = self.wheel.timeout(self.worker.now);
            self.ring
                .wait(timeout)
                .map_err(|error| format!("the ring has lost completions: {error}"))?;
            self.worker.tick();
            // Before any completion: the deadlines that completions add are placed from here on.
            self.wheel.advance(self.worker.now, &mut fired);
            while let Some(completion) = self.ring.next() {
                self.on_completion(completion);
            }
            for (source, tick) in fired.drain(..) {
                match source {
                    Source::Connection(token) => self.on_deadline(token, tick),
                    Source::AcceptPause => self.on_pause_over(),
                    Source::Listener(_) | Source::Drain | Source::Wake => {}
                }
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.draining
            && self.connections.is_empty()
            && self.accepting.is_done()
            && self.surplus.is_empty()
    }

    #[inline(always)]
    fn on_completion(&mut self, completion: Completion) {
        match completion {
            Completion::Received { token, bytes, more } => {
                self.on_receive(Token::from_number(token), bytes, more);
            }
            Completion::Sent {
                token,
                output,
                bytes,
            } => self.on_send(Token::from_number(token), output, bytes),
            Completion::Accepted {
                listener,
                socket,
                more,
            } => self.on_accept(listener as usize, socket, more),
            Completion::Waiting { listener, found } => self.on_waiting(listener as usize, found),
            Completion::Readable => self.on_drain(),
        }
    }

    fn on_receive(&mut self, token: Token, bytes: Result<usize, Errno>, more: bool) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        if !more {
            entry.receive = Operation::None;
        }
        match bytes {
            _ if entry.closing == Closing::Yes => {}
            Ok(0) => entry.connection.received_fin(&mut self.worker),
            Ok(_) => entry
                .connection
                .received(self.ring.received(), &mut self.worker),
            // All buffers were in use (they are back with the next batch), or it was cancelled.
            Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                entry.connection.count_broken(&self.worker);
                entry.closing = Closing::Yes;
            }
        }
        self.update_operations(token);
    }

    fn on_send(&mut self, token: Token, output: Vec<u8>, bytes: Result<usize, Errno>) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        entry.send = Operation::None;
        match bytes {
            _ if entry.closing == Closing::Yes => {}
            Ok(bytes) => entry.connection.sent(output, bytes, &mut self.worker),
            Err(Errno::CANCELED) => {
                entry.connection.return_output(output);
                self.expire(token);
            }
            Err(_) => {
                entry.connection.count_broken(&self.worker);
                entry.closing = Closing::Yes;
            }
        }
        self.update_operations(token);
    }

    /// An entry of the wheel has fired: is it the connection's, and has the deadline passed?
    fn on_deadline(&mut self, token: Token, tick: u64) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        if !Timer::take_fired(&mut entry.timer, tick) {
            return;
        }
        if entry.closing == Closing::No && entry.connection.deadline(self.server) <= self.worker.now
        {
            self.expire(token);
        }
        self.update_operations(token);
    }

    fn expire(&mut self, token: Token) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        match entry.connection.on_deadline(&mut self.worker) {
            OnDeadline::GoOn => {}
            OnDeadline::Close => entry.closing = Closing::Yes,
            OnDeadline::CloseIfIdle => entry.closing = Closing::IfIdle,
            OnDeadline::TakeBackOutput if entry.send == Operation::Submitted => {
                entry.send = Operation::Cancelled;
                self.ring.cancel_send(token.number());
            }
            OnDeadline::TakeBackOutput => {}
        }
    }

    /// Submits what the connection wants, cancels what it does not want any more, and closes it
    /// with the last completion.
    fn update_operations(&mut self, token: Token) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        let number = token.number();
        if entry.closing == Closing::IfIdle && entry.receive == Operation::None {
            entry.closing = match entry.connection.is_idle() {
                true => Closing::Yes,
                false => Closing::No,
            };
        }
        let want = match entry.closing {
            Closing::Yes => Want::Close,
            _ => entry.connection.want(),
        };
        match want {
            Want::Close => entry.closing = Closing::Yes,
            Want::Linger if !entry.connection.half_close() => entry.closing = Closing::Yes,
            Want::Write if entry.send == Operation::None => {
                entry.send = Operation::Submitted;
                let output = entry.connection.take_output(&mut self.worker);
                let (ring, socket) = (&mut self.ring, entry.connection.as_fd());
                match entry.connection.idle_deadline_once_sent() {
                    Some(until) => {
                        ring.send_quietly(socket, number, output);
                        self.wheel
                            .arm(&mut entry.timer, Source::Connection(token), until);
                    }
                    None => ring.send(socket, number, output),
                }
            }
            _ => {}
        }
        let receives = entry.closing == Closing::No && entry.connection.takes_input(self.server);
        match entry.receive {
            Operation::None if receives => {
                entry.receive = Operation::Submitted;
                self.ring.receive(entry.connection.as_fd(), number);
            }
            Operation::Submitted if !receives => {
                entry.receive = Operation::Cancelled;
                self.ring.cancel_receive(number);
            }
            _ => {}
        }
        if entry.closing == Closing::Yes {
            self.close(token);
            return;
        }
        let deadline = entry.connection.deadline(self.server);
        self.wheel
            .arm(&mut entry.timer, Source::Connection(token), deadline);
    }

    /// Closes a connection if the kernel has no operation of it any more; the last completion leads
    /// here.
    fn close(&mut self, token: Token) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        if entry.send == Operation::Submitted {
            entry.send = Operation::Cancelled;
            self.ring.cancel_send(token.number());
        }
        if (entry.receive, entry.send) == (Operation::None, Operation::None) {
            self.connections.remove(token);
            self.on_room();
        }
    }

    /// The drain begins: the kernel is to accept no more, and every deadline comes forward.
    fn on_drain(&mut self) {
        self.draining = true;
        self.accepting.drain();
        self.accept_waiting();
        for token in self.connections.tokens() {
            self.update_operations(token);
        }
    }
}

impl RingConnection {
    fn new(connection: Connection) -> RingConnection {
        RingConnection {
            connection,
            receive: Operation::None,
            send: Operation::None,
            closing: Closing::No,
            timer: None,
        }
    }
}
