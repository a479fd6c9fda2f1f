//! The loop of the posix-aio variant: the same, with glibc's helper threads for the kernel.

mod accept;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use os::Errno;
use os::aio::{Aio, Completion, Waited};
use os::net::Addr;
use os::sigio::{QUEUED, Signals};
use proto::Want;
use reactor::{Slots, Source, Timer, Token, Wheel};
use server::{Accepting, Connection, OnDeadline, Phase, Server, Worker, log};

/// Signals, and everything one thread does for all its connections.
pub struct Proactor {
    server: &'static Server,
    worker: Worker,
    aio: Aio,
    signals: Signals,
    connections: Slots<AioConnection>,
    /// Receive buffers that no operation needs now; one per connection at most.
    spare: Vec<Vec<u8>>,
    wheel: Wheel,
    accepting: Accepting,
    draining: bool,
    /// It was logged that no helper thread can be had.
    has_logged_shortage: bool,
    /// The send timeout of Unix listeners, unlike that of TCP, is not that of the sockets they
    /// accept.
    some_inherit_no_timeout: bool,
}

/// A connection, and whether a helper thread has an operation of it: one at most, since a helper
/// that waits in a read would hold up a write to the same socket.
struct AioConnection {
    connection: Connection,
    in_flight: bool,
    /// It is closed when its operation has completed.
    closing: bool,
    /// Before this its operation is not cancelled.
    cancel_from: Instant,
    /// The receive timeout of the socket; zero for none.
    receive_timeout: Duration,
    timer: Option<Timer>,
}

impl AioConnection {
    fn new(socket: OwnedFd, worker: &mut Worker) -> AioConnection {
        AioConnection {
            connection: Connection::new(socket, worker),
            in_flight: false,
            closing: false,
            cancel_from: worker.now,
            receive_timeout: Duration::ZERO,
            timer: None,
        }
    }

    /// When to look at it, given its deadline.
    fn next_look(&self, deadline: Instant) -> Instant {
        match self.in_flight {
            true => deadline.max(self.cancel_from),
            false => deadline,
        }
    }
}

/// How often the loop looks for operations whose signal was lost, because the queue was full.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The least time that an operation has before it is cancelled, and before it is cancelled again.
const CANCEL_AFTER: Duration = Duration::from_millis(50);

/// The shortest receive timeout: zero would mean "for ever" to the kernel.
const RECEIVE_TIMEOUT_MIN: Duration = Duration::from_millis(1);

impl Proactor {
    /// A loop at the server's listeners, with as many helper threads as it may have connections.
    ///
    /// # Errors
    /// The listeners send no signals.
    pub fn new(server: &'static Server) -> server::Result<Proactor> {
        server.make_listeners_nonblocking()?;
        let signals = Signals::block();
        for listener in &server.listeners {
            signals.watch(listener.as_fd(), QUEUED)?;
        }
        let connections_max = server.workers.min(server.limits.connections_max);
        let worker = Worker::ready(server, 0);
        let is_unix = |listener: &server::Listener| !matches!(listener.addr, Addr::Tcp(_));
        Ok(Proactor {
            server,
            aio: Aio::new(connections_max),
            signals,
            connections: Slots::new(connections_max),
            spare: Vec::new(),
            wheel: Wheel::new(worker.now),
            worker,
            accepting: Accepting::new(server, 0, usize::MAX),
            draining: false,
            has_logged_shortage: false,
            some_inherit_no_timeout: server.listeners.iter().any(is_unix),
        })
    }

    /// Serves until drained.
    pub fn run(mut self) {
        let mut fired = Vec::new();
        self.accept_waiting();
        while !(self.connections.is_empty() && self.accepting.is_done()) {
            self.worker.tick();
            let timeout = self.wheel.timeout(self.worker.now).unwrap_or(LOOK_EVERY);
            let waited = self.aio.wait(timeout.min(LOOK_EVERY));
            self.worker.tick();
            self.wheel.advance(self.worker.now, &mut fired);
            match waited {
                Waited::Completed(completion) => self.on_completion(completion),
                Waited::Descriptor => self.on_listeners(),
                Waited::Interrupted => {
                    self.take_back();
                    self.find_completions();
                }
                Waited::None => self.find_completions(),
            }
            for (source, tick) in fired.drain(..) {
                match source {
                    Source::Connection(token) => self.on_deadline(token, tick),
                    Source::AcceptPause => self.on_pause_over(),
                    Source::Listener(_) | Source::Drain | Source::Wake => {}
                }
            }
            if self.server.drain.has_begun() && !self.draining {
                self.on_drain();
            }
        }
    }

    /// An operation has completed: tells the connection, and begins the next.
    fn on_completion(&mut self, completion: Completion) {
        let token = Token::from_number(completion.token);
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        entry.in_flight = false;
        let (worker, buffer) = (&mut self.worker, completion.buffer);
        // Its timeout has passed, or it was cancelled.
        let in_vain = matches!(
            completion.bytes,
            Err(Errno::AGAIN | Errno::INTR | Errno::CANCELED)
        );
        let mut lost = entry.closing;
        match completion.bytes {
            _ if entry.closing => {}
            Ok(bytes) if completion.wrote => entry.connection.sent(buffer, bytes, worker),
            Ok(0) => entry.connection.received_fin(worker),
            Ok(_) => {
                entry.connection.received(&buffer, worker);
                self.spare.push(buffer);
            }
            Err(_) if in_vain && completion.wrote => entry.connection.return_output(buffer),
            Err(_) if in_vain => self.spare.push(buffer),
            Err(_) => {
                entry.connection.count_broken(worker);
                lost = true;
            }
        }
        match lost {
            true => self.close(token),
            false => self.begin_operation(token, in_vain && !completion.wrote),
        }
    }

    /// Begins the operation that the connection wants next. `read_in_vain`: its last read has just
    /// ended without a byte.
    fn begin_operation(&mut self, token: Token, read_in_vain: bool) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        let worker = &mut self.worker;
        if entry.connection.deadline(self.server) <= worker.now {
            match entry.connection.on_deadline(worker) {
                OnDeadline::Close => return self.close(token),
                // What has come is served, so there is one more read.
                OnDeadline::CloseIfIdle if read_in_vain => return self.close(token),
                OnDeadline::CloseIfIdle | OnDeadline::GoOn | OnDeadline::TakeBackOutput => {}
            }
        }
        let (number, connection) = (token.number(), &mut entry.connection);
        let begun = match connection.want() {
            Want::Close => return self.close(token),
            Want::Linger if !connection.half_close() => return self.close(token),
            Want::Read | Want::Linger => {
                let deadline = connection.deadline(self.server);
                let left = deadline.saturating_duration_since(worker.now);
                limit_receive(connection.as_fd(), &mut entry.receive_timeout, left);
                let bytes = self.server.limits.lent_buffer_bytes;
                let buffer = self.spare.pop();
                let buffer = buffer.unwrap_or_else(|| Vec::with_capacity(bytes));
                entry.in_flight = true;
                self.aio.read(connection.as_fd(), number, buffer)
            }
            Want::Write => {
                let output = connection.take_output(worker);
                entry.in_flight = true;
                self.aio.write(connection.as_fd(), number, output)
            }
            Want::Wait | Want::Compute => Ok(()),
        };
        if let Err(error) = begun {
            return self.close_for_shortage(token, error);
        }
        // A handler may have taken longer than its reply may take: that has its time all the same.
        worker.tick();
        entry.cancel_from = worker.now + CANCEL_AFTER;
        let next = entry.next_look(entry.connection.deadline(self.server));
        self.wheel
            .arm(&mut entry.timer, Source::Connection(token), next);
    }

    /// No helper thread can be had: this connection is closed, the others stay.
    fn close_for_shortage(&mut self, token: Token, error: Errno) {
        if !std::mem::replace(&mut self.has_logged_shortage, true) {
            log(format_args!(
                "no helper thread for a connection, which is closed: {error}"
            ));
        }
        if let Some(entry) = self.connections.get_mut(token) {
            entry.connection.count_broken(&self.worker);
        }
        self.close(token);
    }

    fn close(&mut self, token: Token) {
        self.connections.remove(token);
        if self.accepting.freed() {
            self.accept_waiting();
        }
    }

    /// An entry of the wheel has fired: is it the connection's, and has the deadline passed?
    fn on_deadline(&mut self, token: Token, tick: u64) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        if !Timer::take_fired(&mut entry.timer, tick) {
            return;
        }
        let (now, deadline) = (self.worker.now, entry.connection.deadline(self.server));
        if deadline <= now && !entry.in_flight {
            return self.begin_operation(token, false);
        }
        if deadline <= now && entry.cancel_from <= now {
            entry.cancel_from = now + CANCEL_AFTER;
            self.end_operation(token);
        }
        if let Some(entry) = self.connections.get_mut(token) {
            let next = entry.next_look(deadline);
            self.wheel
                .arm(&mut entry.timer, Source::Connection(token), next);
        }
    }

    /// The deadline of a connection has passed and a helper thread has its operation. The receive
    /// timeout of the socket ends it, or a shutdown if the drain has brought the deadline forward;
    /// an operation that no helper has begun is cancelled.
    fn end_operation(&mut self, token: Token) {
        let Some(entry) = self.connections.get_mut(token) else {
            return;
        };
        let fd = entry.connection.as_fd().as_raw_fd();
        match self.server.drain.phase() {
            Phase::Cutting if !entry.closing => {
                entry.closing = entry.connection.on_deadline(&mut self.worker) == OnDeadline::Close;
                os::net::shutdown_both(fd);
            }
            Phase::Closing if entry.connection.is_idle() => os::net::shutdown_read(fd),
            // In a long write the send timeout begins again with each part that the socket takes.
            _ if entry.connection.is_output_taken() && !entry.closing => {
                entry.closing = true;
                os::net::shutdown_both(fd);
            }
            _ => {}
        }
        self.aio.cancel(token.number());
    }

    /// Watches listeners again that a successor has taken over which is no more. The server is told of its end
    /// by a signal.
    #[cold]
    fn take_back(&mut self) {
        if self.draining {
            return;
        }
        let mut any = false;
        for listener in &self.server.listeners {
            any |= self.signals.take_back(listener.as_fd(), QUEUED);
        }
        if any {
            self.on_listeners(); // What has come meanwhile has sent no signal.
        }
    }

    /// Looks for operations that have completed without a signal.
    fn find_completions(&mut self) {
        while let Some(completion) = self.aio.sweep() {
            self.on_completion(completion);
        }
    }

    /// The drain begins: empties the listeners, and brings every deadline forward.
    fn on_drain(&mut self) {
        self.draining = true;
        self.accepting.drain();
        self.accept_waiting();
        for token in self.connections.tokens() {
            if let Some(entry) = self.connections.get_mut(token) {
                let deadline = entry.connection.deadline(self.server);
                self.wheel
                    .arm(&mut entry.timer, Source::Connection(token), deadline);
            }
        }
    }
}

/// Sets the receive timeout of the socket if the one in force would last beyond what is `left`. A
/// shorter one stays: a receive that ends early is begun again. So a warm connection never pays for
/// it.
fn limit_receive(socket: BorrowedFd<'_>, timeout: &mut Duration, left: Duration) {
    let left = left.max(RECEIVE_TIMEOUT_MIN);
    if timeout.is_zero() || *timeout > left {
        // A socket that takes no timeout is broken, and the receive will say so.
        let _ = os::net::set_receive_timeout(socket, left);
        *timeout = left;
    }
}
