//! The handle set that the threads share, and the right to wait at it.

use std::collections::VecDeque;
use std::time::Instant;

use os::net::Bell;
use parking_lot::{Condvar, Mutex, MutexGuard};
use reactor::{Events, Interest, Selector, Slots, Timer, Token, Wheel, ready};
use server::{Accepted, Backoff, Connection, Need, Server, Worker};

/// What passes from leader to leader. Who has it locked leads.
#[derive(Debug)]
struct Leadership {
    /// The leader waits at the set, and has let go of the lock meanwhile.
    waiting: bool,
    /// No handle will ever be ready again.
    over: bool,
    /// Handles found ready, or due, and not yet served.
    ready: VecDeque<Handle>,
    due: Vec<(u64, u64)>,
    /// When the last wait ended.
    now: Instant,
}

/// Something that is ready: its handle is suspended until it has been served.
#[derive(Debug, Clone, Copy)]
pub enum Handle {
    Door(usize),
    Connection {
        token: Token,
        hung_up: bool,
    },
    /// A deadline that may have passed.
    Due {
        token: Token,
        tick: u64,
    },
    /// Accept may be tried again.
    PauseEnds,
    /// The bell of the drain.
    Bell,
    /// The wait ended without any.
    Nothing,
}

/// The handle set.
#[derive(Debug)]
pub struct Handles {
    server: &'static Server,
    selector: Selector,
    leadership: Mutex<Leadership>,
    followers: Condvar,
    table: Mutex<Table>,
    /// Ends the leader's wait, where a deadline has come to stand before the one it waits for.
    nudge: Bell,
}

/// Every connection that no thread has in hand, and all deadlines.
#[derive(Debug)]
struct Table {
    held: Slots<Held>,
    wheel: Wheel,
    /// The tick until which the leader waits.
    wait_ends: u64,
    /// Doors are not armed: the table was full, resources short, or the server drains.
    doors_shut: bool,
    draining: bool,
    backoff: Backoff,
}

/// A place in the table; empty while a thread has its connection in hand.
#[derive(Debug)]
struct Held {
    connection: Option<Box<Connection>>,
    need: Need,
    timer: Option<Timer>,
    /// Its handle is armed, so its events may come.
    armed: bool,
}

/// The one thread that may wait.
#[derive(Debug)]
pub struct Leader<'a> {
    handles: &'a Handles,
    leadership: MutexGuard<'a, Leadership>,
}

const BELL: u64 = u64::MAX;
const NUDGE: u64 = u64::MAX - 1;
const PAUSE_ENDS: u64 = u64::MAX - 2;
const DOOR: u64 = 1 << 63;
const NEVER: u64 = u64::MAX;

impl Handles {
    /// The set, with the doors and the bell in it.
    pub fn new(server: &'static Server) -> anyhow::Result<Handles> {
        server.make_doors_nonblocking()?;
        let selector = Selector::new()?;
        let nudge = Bell::new()?;
        selector.add_bell(&nudge, NUDGE)?;
        selector.add_oneshot(&server.bell, BELL, Interest::Read)?;
        for (index, door) in server.doors.iter().enumerate() {
            selector.add_oneshot(door, DOOR + index as u64, Interest::Read)?;
        }
        Ok(Handles {
            server,
            selector,
            leadership: Mutex::new(Leadership {
                waiting: false,
                over: false,
                ready: VecDeque::new(),
                due: Vec::new(),
                now: Instant::now(),
            }),
            followers: Condvar::new(),
            nudge,
            table: Mutex::new(Table {
                held: Slots::new(server.limits.connections_max),
                wheel: Wheel::new(Instant::now()),
                wait_ends: 0,
                doors_shut: false,
                draining: false,
                backoff: Backoff::new(server.limits.accept_pause_ms_max),
            }),
        })
    }

    /// Follows until there is no leader, then leads. `None` once everything is drained.
    pub fn become_leader(&self) -> Option<Leader<'_>> {
        let mut leadership = self.leadership.lock();
        while leadership.waiting && !leadership.over {
            self.followers.wait(&mut leadership);
        }
        (!leadership.over).then_some(Leader {
            handles: self,
            leadership,
        })
    }

    /// The wait itself, at most until the next deadline.
    fn wait(&self, worker: &mut Worker, events: &mut Events) {
        let timeout = {
            let mut table = self.table.lock();
            worker.tick();
            let timeout = table.wheel.timeout(worker.now);
            let ends = timeout.map(|timeout| table.wheel.tick_of(worker.now + timeout));
            table.wait_ends = ends.unwrap_or(NEVER);
            timeout
        };
        self.selector.wait(events, timeout);
        worker.tick();
        self.table.lock().wait_ends = 0;
    }

    /// Serves one ready handle and ends its suspension.
    pub fn serve(&self, handle: Handle, worker: &mut Worker) {
        match handle {
            Handle::Nothing => {}
            Handle::Door(index) => self.accept(index, worker),
            Handle::Connection { token, hung_up } => {
                if let Some((mut connection, need)) = self.take(token, None) {
                    let need = match need {
                        Need::Time if hung_up => Need::Closed,
                        Need::Time => Need::Time,
                        _ => connection.step(worker),
                    };
                    self.put_back(token, connection, need, false);
                }
            }
            Handle::Due { token, tick } => {
                if let Some((mut connection, need)) = self.take(token, Some(tick)) {
                    let is_due = connection.deadline(self.server) <= worker.now;
                    let need = if is_due {
                        connection.expire(worker)
                    } else {
                        need
                    };
                    self.put_back(token, connection, need, true);
                }
            }
            Handle::PauseEnds => self.open_doors(),
            Handle::Bell => self.drain(worker),
        }
    }

    /// Takes a connection in hand, unless it is gone, or in another thread's, or (for a deadline)
    /// its entry is stale.
    fn take(&self, token: Token, tick: Option<u64>) -> Option<(Box<Connection>, Need)> {
        let mut table = self.table.lock();
        let held = table.held.get_mut(token)?;
        match tick {
            Some(tick) if !Timer::is_spent(&mut held.timer, tick) => return None,
            Some(_) => {}
            None => held.armed = false,
        }
        Some((held.connection.take()?, held.need))
    }

    /// Puts a connection back and arms its handle, or ends it.
    fn put_back(&self, token: Token, connection: Box<Connection>, need: Need, was_due: bool) {
        let mut guard = self.table.lock();
        let table = &mut *guard;
        if need == Need::Closed {
            table.held.remove(token);
            let (reopen, over) = (
                table.doors_shut && !table.draining,
                table.draining && table.held.is_empty(),
            );
            drop(guard);
            drop(connection);
            if reopen {
                self.open_doors();
            }
            if over {
                self.end();
            }
            return;
        }
        let deadline = connection.deadline(self.server);
        let Some(held) = table.held.get_mut(token) else {
            return;
        };
        let interest = match need {
            Need::Writable => Interest::Write,
            Need::Time => Interest::Nothing,
            Need::Readable | Need::Compute | Need::Closed => Interest::Read,
        };
        let rearm = !(held.armed && held.need == need && was_due);
        (held.need, held.armed) = (need, true);
        if table.wheel.cover(&mut held.timer, token.number(), deadline)
            && held
                .timer
                .is_some_and(|timer| timer.tick() < table.wait_ends)
        {
            self.nudge.ring();
        }
        // Armed under the lock: the event may come at once, and must find the connection here.
        let armed = !rearm
            || self
                .selector
                .rearm(&*connection, token.number(), interest)
                .is_ok();
        if armed {
            held.connection = Some(connection);
        } else {
            table.held.remove(token);
        }
    }

    fn accept(&self, index: usize, worker: &mut Worker) {
        for _ in 0..self.server.limits.events_max {
            let mut table = self.table.lock();
            if table.held.is_full() {
                table.doors_shut = true;
                return;
            }
            let accepted = self.server.accept_ready(index, &mut table.backoff);
            match accepted {
                Accepted::Socket(socket) => self.adopt(&mut table, Connection::new(socket, worker)),
                Accepted::Interrupted => {}
                Accepted::Empty => break,
                Accepted::Pause(pause) => {
                    table.doors_shut = true;
                    table.wheel.add(PAUSE_ENDS, worker.now + pause);
                    return;
                }
            }
        }
        self.arm_door(index);
    }

    /// Takes on a connection: the table has it before its first event can come.
    fn adopt(&self, table: &mut Table, connection: Connection) {
        let deadline = connection.deadline(self.server);
        let token = table.held.insert(Held {
            connection: None,
            need: Need::Readable,
            timer: None,
            armed: true,
        });
        if self
            .selector
            .add_oneshot(&connection, token.number(), Interest::Read)
            .is_err()
        {
            table.held.remove(token);
            return;
        }
        let timer = table.wheel.add(token.number(), deadline);
        if timer.tick() < table.wait_ends {
            self.nudge.ring();
        }
        if let Some(held) = table.held.get_mut(token) {
            (held.connection, held.timer) = (Some(Box::new(connection)), Some(timer));
        }
    }

    fn arm_door(&self, index: usize) {
        let mut table = self.table.lock();
        if table.draining || table.doors_shut {
            return;
        }
        if self
            .selector
            .rearm(
                &self.server.doors[index],
                DOOR + index as u64,
                Interest::Read,
            )
            .is_err()
        {
            table.doors_shut = true;
            let again = Instant::now() + table.backoff.pause();
            table.wheel.add(PAUSE_ENDS, again);
        }
    }

    fn open_doors(&self) {
        {
            let mut table = self.table.lock();
            if table.draining || table.held.is_full() {
                return;
            }
            table.doors_shut = false;
        }
        (0..self.server.doors.len()).for_each(|index| self.arm_door(index));
    }

    /// Takes what still waits at the doors, looks at them no more, and brings deadlines forward.
    fn drain(&self, worker: &mut Worker) {
        (0..self.server.doors.len()).for_each(|index| self.accept(index, worker));
        self.server.bolt_doors();
        let mut guard = self.table.lock();
        let table = &mut *guard;
        table.draining = true;
        for token in table.held.tokens() {
            // Those in a thread's hand are scheduled as they are put back.
            if let Some(held) = table.held.get_mut(token)
                && let Some(connection) = &held.connection
            {
                let deadline = connection.deadline(self.server);
                table.wheel.cover(&mut held.timer, token.number(), deadline);
            }
        }
        let over = table.held.is_empty();
        drop(guard);
        if over {
            self.end();
        }
    }

    /// Nothing is left to wait for: every thread may go.
    fn end(&self) {
        self.leadership.lock().over = true;
        self.followers.notify_all();
        self.nudge.ring();
    }
}

impl Leader<'_> {
    /// Waits until a handle is ready. What one wait finds is served one by one: the rest passes to
    /// the next leader, who need not call.
    pub fn wait(&mut self, worker: &mut Worker, events: &mut Events) -> Handle {
        if self.leadership.ready.is_empty() {
            self.leadership.waiting = true;
            let handles = self.handles;
            MutexGuard::unlocked(&mut self.leadership, || handles.wait(worker, events));
            self.leadership.waiting = false;
            self.gather(worker, events);
        }
        worker.now = self.leadership.now;
        self.leadership.ready.pop_front().unwrap_or(Handle::Nothing)
    }

    /// Takes over what the wait has found, and what has fallen due.
    fn gather(&mut self, worker: &Worker, events: &Events) {
        let Leadership {
            ready: found,
            due,
            now,
            ..
        } = &mut *self.leadership;
        *now = worker.now;
        self.handles.table.lock().wheel.advance(worker.now, due);
        found.extend(events.iter().map(|event| handle(ready(event))));
        found.extend(due.drain(..).map(|(number, tick)| match number {
            PAUSE_ENDS => Handle::PauseEnds,
            number => Handle::Due {
                token: Token::from_number(number),
                tick,
            },
        }));
    }

    /// Lets the next thread lead. The handle in hand is served after this, never before.
    pub fn promote(self) {
        let Leader {
            handles,
            leadership,
        } = self;
        drop(leadership);
        handles.followers.notify_one();
    }
}

fn handle(ready: reactor::Ready) -> Handle {
    match ready.token {
        BELL => Handle::Bell,
        NUDGE => Handle::Nothing,
        door if door & DOOR != 0 => Handle::Door((door - DOOR) as usize),
        number => Handle::Connection {
            token: Token::from_number(number),
            hung_up: ready.hung_up,
        },
    }
}
