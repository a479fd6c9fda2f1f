//! The loop of the posix-aio variant: the same, with glibc's helper threads for the kernel.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use os::Errno;
use os::aio::{Aio, Completion, Waited};
use os::net::Addr;
use os::sigio::{QUEUED, Signals};
use proto::Want;
use reactor::{Slots, Timer, Token, Wheel};
use server::{Accepted, Backoff, Connection, OnDeadline, Phase, Server, Worker, log};

/// Serves until drained.
///
/// # Errors
/// Like [`Proactor::new`].
pub(crate) fn run(server: &'static Server) -> server::Result {
    Proactor::new(server)?.run();
    Ok(())
}

/// Signals, and everything one thread does for all its connections.
pub struct Proactor {
    server: &'static Server,
    worker: Worker,
    aio: Aio,
    signals: Signals,
    held: Slots<Held>,
    /// Receive buffers that no operation needs now; one for each connection at most.
    spare: Vec<Vec<u8>>,
    wheel: Wheel,
    backoff: Backoff,
    listeners: Listeners,
    draining: bool,
    /// It was said that helpers cannot be had.
    helpless: bool,
    /// What Unix listeners accept does not have their timeout for sends, as with TCP.
    some_inherit_no_timeout: bool,
}

/// A connection, and whether an operation is under way for it: one at most, since a helper that
/// waits in a read would hold up a write to the same socket.
struct Held {
    connection: Connection,
    underway: bool,
    /// To be dropped when its operation is back.
    doomed: bool,
    /// Until when its operation is left alone.
    chance_ends: Instant,
    /// The socket's own timeout for receives; zero for none.
    patience: Duration,
    timer: Option<Timer>,
}

impl Held {
    /// When to look at it, given its deadline.
    fn left_alone_until(&self, deadline: Instant) -> Instant {
        if self.underway {
            deadline.max(self.chance_ends)
        } else {
            deadline
        }
    }
}

/// How the loop treats the server's listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listeners {
    /// They tell of connections.
    Open,
    /// The table is full, or resources are short: what they tell is looked into later.
    Shut,
    /// The drain has emptied them.
    Bolted,
}

/// In the wheel: accept may be tried again.
const PAUSE_ENDS: u64 = u64::MAX - 2;

/// How often the loop looks for operations whose end no signal has told, because the queue was full.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The least that an operation has before it is asked back, and then again.
const CHANCE: Duration = Duration::from_millis(50);

impl Proactor {
    /// A loop at the server's listeners, with as many helpers as it may have connections.
    ///
    /// # Errors
    /// The listeners cannot tell of connections by signals.
    pub fn new(server: &'static Server) -> server::Result<Proactor> {
        server.make_listeners_nonblocking()?;
        let signals = Signals::block();
        for listener in &server.listeners {
            signals.watch(listener.as_fd(), QUEUED)?;
        }
        let connections_max = server.workers.min(server.limits.connections_max);
        let worker = Worker::ready(server, 0);
        Ok(Proactor {
            server,
            aio: Aio::new(connections_max),
            signals,
            held: Slots::new(connections_max),
            spare: Vec::new(),
            wheel: Wheel::new(worker.now),
            worker,
            backoff: Backoff::new(server.limits.accept_pause_ms_max),
            listeners: Listeners::Open,
            draining: false,
            helpless: false,
            some_inherit_no_timeout: server
                .listeners
                .iter()
                .any(|listener| !matches!(listener.addr, Addr::Tcp(_))),
        })
    }

    /// Serves until drained.
    pub fn run(mut self) {
        let mut due = Vec::new();
        self.look_at_listeners(); // Who came before they were watched has sent no signal.
        while !(self.held.is_empty() && self.listeners == Listeners::Bolted) {
            self.worker.tick();
            let timeout = self.wheel.timeout(self.worker.now).unwrap_or(LOOK_EVERY);
            let waited = self.aio.wait(timeout.min(LOOK_EVERY));
            self.worker.tick();
            self.wheel.advance(self.worker.now, &mut due);
            match waited {
                Waited::Completed(completion) => self.complete(completion),
                Waited::Descriptor => self.look_at_listeners(),
                Waited::None => self.sweep(),
            }
            for (number, tick) in due.drain(..) {
                match number {
                    PAUSE_ENDS => self.look_at_listeners(),
                    number => self.expire(Token::from_number(number), tick),
                }
            }
            if self.server.drain.has_begun() && !self.draining {
                self.drain();
            }
        }
    }

    /// An operation has ended; what it means for the connection, and what is to be begun next.
    fn complete(&mut self, completion: Completion) {
        let token = Token::from_number(completion.token);
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        held.underway = false;
        let (worker, buffer) = (&mut self.worker, completion.buffer);
        // Nothing came in the time that the socket gave it, or it was taken back.
        let fruitless = matches!(
            completion.bytes,
            Err(Errno::AGAIN | Errno::INTR | Errno::CANCELED)
        );
        let mut lost = held.doomed;
        match completion.bytes {
            _ if held.doomed => {}
            Ok(bytes) if completion.wrote => held.connection.sent(buffer, bytes, worker),
            Ok(0) => held.connection.received_fin(worker),
            Ok(_) => {
                held.connection.received(&buffer, worker);
                self.spare.push(buffer);
            }
            Err(_) if fruitless && completion.wrote => held.connection.return_output(buffer),
            Err(_) if fruitless => self.spare.push(buffer),
            Err(_) => {
                held.connection.count_broken(worker);
                lost = true;
            }
        }
        if lost {
            self.remove(token);
        } else {
            self.go_on(token, fruitless && !completion.wrote);
        }
    }

    /// Begins what the connection wants next. `nothing_came`: it was just listened to in vain.
    fn go_on(&mut self, token: Token, nothing_came: bool) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        let worker = &mut self.worker;
        if held.connection.deadline(self.server) <= worker.now {
            match held.connection.on_deadline(worker) {
                OnDeadline::Close => return self.remove(token),
                // What has come is served, so it is listened to once more.
                OnDeadline::CloseIfIdle if nothing_came => return self.remove(token),
                OnDeadline::CloseIfIdle | OnDeadline::GoOn | OnDeadline::TakeBackOutput => {}
            }
        }
        let (number, socket) = (token.number(), &mut held.connection);
        let begun = match socket.want() {
            Want::Close => return self.remove(token),
            Want::Linger if !socket.half_close() => return self.remove(token),
            Want::Read | Want::Linger => {
                let deadline = socket.deadline(self.server);
                let left = deadline.saturating_duration_since(worker.now);
                be_patient(socket.as_fd(), &mut held.patience, left);
                let bytes = self.server.limits.lent_buffer_bytes;
                let buffer = self.spare.pop();
                let buffer = buffer.unwrap_or_else(|| Vec::with_capacity(bytes));
                held.underway = true;
                self.aio.read(socket.as_fd(), number, buffer)
            }
            Want::Write => {
                let output = socket.take_output(worker);
                held.underway = true;
                self.aio.write(socket.as_fd(), number, output)
            }
            Want::Wait | Want::Compute => Ok(()),
        };
        if let Err(error) = begun {
            return self.cannot_help(token, error);
        }
        // A handler may have taken longer than its reply may take: that has its chance all the same.
        worker.tick();
        held.chance_ends = worker.now + CHANCE;
        let deadline = held.connection.deadline(self.server);
        let next = held.left_alone_until(deadline);
        self.wheel.cover(&mut held.timer, number, next);
    }

    /// No helper thread can be had: this client goes, the others stay.
    fn cannot_help(&mut self, token: Token, error: Errno) {
        if !std::mem::replace(&mut self.helpless, true) {
            log(format_args!(
                "no helper thread for a connection, which is closed: {error}"
            ));
        }
        if let Some(held) = self.held.get_mut(token) {
            held.connection.count_broken(&self.worker);
        }
        self.remove(token);
    }

    fn remove(&mut self, token: Token) {
        self.held.remove(token);
        if self.listeners == Listeners::Shut {
            self.look_at_listeners();
        }
    }

    /// An entry of the wheel has come up: is it the connection's, and is it really due?
    fn expire(&mut self, token: Token, tick: u64) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        if !Timer::is_spent(&mut held.timer, tick) {
            return;
        }
        let (now, deadline) = (self.worker.now, held.connection.deadline(self.server));
        if deadline <= now && !held.underway {
            return self.go_on(token, false);
        }
        if deadline <= now && held.chance_ends <= now {
            held.chance_ends = now + CHANCE;
            self.hurry(token);
        }
        if let Some(held) = self.held.get_mut(token) {
            let next = held.left_alone_until(deadline);
            self.wheel.cover(&mut held.timer, token.number(), next);
        }
    }

    /// The deadline of a connection has passed and a helper has it. The socket's own timeout ends the
    /// operation, or a shutdown where the drain has brought the deadline forward; one that no helper
    /// has begun is taken back.
    fn hurry(&mut self, token: Token) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        let fd = held.connection.as_fd().as_raw_fd();
        match self.server.drain.phase() {
            Phase::Cutting if !held.doomed => {
                held.doomed = held.connection.on_deadline(&mut self.worker) == OnDeadline::Close;
                os::net::shutdown_both(fd);
            }
            Phase::Closing if held.connection.is_idle() => os::net::shutdown_read(fd),
            // Each small step of a long write has the socket's timeout anew.
            _ if held.connection.is_output_taken() && !held.doomed => {
                held.doomed = true;
                os::net::shutdown_both(fd);
            }
            _ => {}
        }
        self.aio.cancel(token.number());
    }

    /// Takes operations that have ended without a signal.
    fn sweep(&mut self) {
        while let Some(completion) = self.aio.sweep() {
            self.complete(completion);
        }
    }

    /// Accepts what waits, as far as there is room.
    fn look_at_listeners(&mut self) {
        if self.listeners == Listeners::Bolted {
            return;
        }
        self.listeners = Listeners::Shut;
        for number in 0..self.server.listeners.len() {
            loop {
                if self.held.is_full() {
                    return;
                }
                match self.server.accept_at(number, false, &mut self.backoff) {
                    Accepted::Socket(socket) => self.adopt(socket),
                    Accepted::Interrupted => {}
                    Accepted::Empty => break,
                    Accepted::Pause(pause) => {
                        self.wheel.add(PAUSE_ENDS, self.worker.now + pause);
                        return;
                    }
                }
            }
        }
        self.listeners = Listeners::Open;
        if self.draining {
            self.listeners = Listeners::Bolted;
            for listener in &self.server.listeners {
                self.signals.unwatch(listener.as_fd());
            }
            self.server.shut_down_listeners();
        }
    }

    fn adopt(&mut self, socket: OwnedFd) {
        if self.some_inherit_no_timeout {
            // A socket that takes none is broken, and will say so.
            let write = Duration::from_millis(self.server.limits.write_ms);
            let _ = os::net::set_send_timeout(socket.as_fd(), write);
        }
        let token = self.held.insert(Held {
            connection: Connection::new(socket, &mut self.worker),
            underway: false,
            doomed: false,
            chance_ends: self.worker.now,
            patience: Duration::ZERO,
            timer: None,
        });
        self.go_on(token, false);
    }

    /// Takes what still waits at the listeners, and brings every deadline forward.
    fn drain(&mut self) {
        self.draining = true;
        self.look_at_listeners();
        for token in self.held.tokens() {
            if let Some(held) = self.held.get_mut(token) {
                let deadline = held.connection.deadline(self.server);
                self.wheel.cover(&mut held.timer, token.number(), deadline);
            }
        }
    }
}

/// Sets the socket's timeout where the one in force would last beyond what is `left`. A shorter one
/// stays: a receive that ends early is begun again. So a warm connection never pays for it.
fn be_patient(socket: BorrowedFd<'_>, patience: &mut Duration, left: Duration) {
    let left = left.max(SHORTEST);
    if patience.is_zero() || *patience > left {
        // A socket that takes no timeout is broken, and the receive will say so.
        let _ = os::net::set_receive_timeout(socket, left);
        *patience = left;
    }
}

/// Zero would mean "for ever" to the kernel.
const SHORTEST: Duration = Duration::from_millis(1);
