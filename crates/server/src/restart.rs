//! The hot restart: SIGUSR2 starts the program again, with the listeners, and this server drains once
//! the new one is ready.
//!
//! ```text
//!   server ── SIGUSR2 ─▶ forks a watcher, and serves on
//!   watcher ─ executes ─▶ successor: takes the listeners, says that it is ready
//!   watcher ─ SIGUSR2 ──▶ server: drains, and leaves the listeners as they are
//! ```
//!
//! The listeners are the same sockets in both, so a client that waits in a backlog is served by the successor.
//! If that ends, or is not ready in time, the watcher says so in one line and this server has lost
//! nothing. The watcher is not a thread, because models of processes must not have one where they fork.

use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use os::net;
use os::process::{Pid, Signal, exit_now, kill};
use os::signal;
use os::successor::{self, Outcome, Program};

use crate::log::{log, say};
use crate::refusal::Refusal;
use crate::restart::state::{CANCELLED, FAILED, IDLE, READY, STARTING};
use crate::{Board, Listener, Server, notify};

pub(crate) mod state;

/// How long a successor may take to be ready.
const PATIENCE: Duration = Duration::from_secs(10);

const OWN: &str = "turnstile.own";
const GIVEN: &str = "turnstile.given";
const DATAGRAMS: &str = "turnstile.datagrams";
const ADMIN: &str = "turnstile.admin";

/// What a server was given by the process that has started it.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) datagrams: Vec<UdpSocket>,
    pub(crate) admin: Option<OwnedFd>,
    /// Where to say that this successor is ready. `None`: it has no predecessor.
    pub(crate) ready: Option<OwnedFd>,
    /// How many restarts there were, this one included.
    pub(crate) restarts: u32,
}

fn number(name: &str) -> Option<Result<u32, Refusal>> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .map_err(|_| Refusal::Usage(format!("{name}={text}: not a number"))),
    )
}

/// Takes what the `LISTEN_FDS` protocol gives to this process (`sd_listen_fds(3)`), from a service
/// manager or from a predecessor. Variables that are for another process mean nothing.
pub(crate) fn given() -> Result<Given, Refusal> {
    let mut given = Given::default();
    let (Some(pid), Some(count)) = (number("LISTEN_PID"), number("LISTEN_FDS")) else {
        return Ok(given);
    };
    if !os::init::is_own(pid?) {
        return Ok(given);
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    for fd in (successor::FIRST..).take(count? as usize) {
        let refused = |why: &dyn std::fmt::Display| {
            Refusal::Usage(format!("LISTEN_FDS: descriptor {fd}: {why}"))
        };
        let name = names.next().unwrap_or_default();
        let socket = successor::take(fd).map_err(|error| refused(&error))?;
        match name {
            DATAGRAMS => given.datagrams.push(socket.into()),
            ADMIN => given.admin = Some(socket),
            _ => {
                let addr = net::listens_at(socket.as_fd()).map_err(|error| refused(&error))?;
                let listener = Listener::given(socket, addr, name == OWN);
                given.listeners.push(listener);
            }
        }
    }
    if let Some(fd) = number(successor::READY_FD) {
        let failed = |error| Refusal::Usage(format!("{}: {error}", successor::READY_FD));
        given.ready = Some(successor::take(fd? as RawFd).map_err(failed)?);
        given.restarts = number(successor::RESTARTS).transpose()?.unwrap_or_default();
    }
    Ok(given)
}

/// What a successor of `server` would be.
pub(crate) fn program(server: &Server) -> Result<Program, String> {
    let listener = |listener: &Listener| {
        let name = if listener.owned { OWN } else { GIVEN };
        (listener.as_fd().as_raw_fd(), name.to_owned())
    };
    let mut passed: Vec<_> = server.listeners.iter().map(listener).collect();
    let datagrams = server.datagrams.iter();
    passed.extend(datagrams.map(|socket| (socket.as_raw_fd(), DATAGRAMS.to_owned())));
    let admin = server.admin.iter();
    passed.extend(admin.map(|admin| (admin.as_raw_fd(), ADMIN.to_owned())));
    let before = server.board.restart.before.load(Ordering::SeqCst);
    Program::new(&passed, before.saturating_add(1))
}

/// What a handler of SIGUSR2 does, in the main process. Returns whether the server is to drain.
/// Async-signal-safe.
pub(crate) fn on_signal(server: &Server) -> bool {
    let restart = &server.board.restart;
    match restart.state.load(Ordering::SeqCst) {
        READY => {
            let id = restart.successor.load(Ordering::SeqCst);
            notify::send(format_args!("MAINPID={id}\nREADY=1\nSTATUS=serving"));
            return true;
        }
        FAILED => {
            restart.state.store(IDLE, Ordering::SeqCst);
            // A loop that was about to wait learns of this signal, too: see `signal-driven`.
            signal::repeat_with_alarm(0);
            notify::send(format_args!(
                "READY=1\nSTATUS=serving; the restart has failed"
            ));
        }
        IDLE if !server.drain.has_begun() => begin(server),
        _ => {}
    }
    false
}

fn begin(server: &Server) {
    let Some(program) = server.program.get() else {
        return;
    };
    if os::init::is_in_container() {
        say(format_args!(
            "no restart: this is process 1, and with its end the container ends"
        ));
        return;
    }
    let main = os::process::id();
    server.board.restart.state.store(STARTING, Ordering::SeqCst);
    let now_us = signal::monotonic_ns() / 1_000;
    notify::send(format_args!(
        "RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=starting a successor"
    ));
    match successor::fork_aside() {
        Ok(false) => {}
        Ok(true) => watch(server.board, program, main),
        Err(error) => {
            server.board.restart.state.store(IDLE, Ordering::SeqCst);
            say(format_args!("no restart: fork: {error}"));
        }
    }
}

/// The server drains for another reason: a successor that is on its way is not wanted any more.
/// Async-signal-safe.
pub(crate) fn cancel(board: &Board) {
    let state = &board.restart.state;
    let _ = state.compare_exchange(STARTING, CANCELLED, Ordering::SeqCst, Ordering::SeqCst);
}

/// The watcher. It makes system calls only.
fn watch(board: &'static Board, program: &Program, main: u32) -> ! {
    let state = &board.restart.state;
    let is_cancelled = || state.load(Ordering::SeqCst) != STARTING;
    let failed = |why: std::fmt::Arguments<'_>| {
        say(format_args!("no restart: {why}; process {main} serves on"));
        board.restart.failed.fetch_add(1, Ordering::SeqCst);
        FAILED
    };
    let next = match successor::start(program, PATIENCE, is_cancelled) {
        Outcome::Ready(id) => {
            board.restart.successor.store(id, Ordering::SeqCst);
            READY
        }
        Outcome::Cancelled => exit_now(0),
        Outcome::Ended(id, Some(how)) => failed(format_args!(
            "the successor (process {id}) ended before it was ready: {how:?}"
        )),
        Outcome::Ended(id, None) => failed(format_args!(
            "the successor (process {id}) ended before it was ready"
        )),
        Outcome::Late(id) => failed(format_args!(
            "the successor (process {id}) was not ready within {} s",
            PATIENCE.as_secs()
        )),
        Outcome::Failed(error) => failed(format_args!("the successor cannot be started: {error}")),
    };
    let changed = state.compare_exchange(STARTING, next, Ordering::SeqCst, Ordering::SeqCst);
    let (to, signal) = match changed {
        Ok(_) => (main, Signal::USR2),
        // The server drains meanwhile. So does a successor that has just become ready.
        Err(_) if next == READY => {
            let successor = board.restart.successor.load(Ordering::SeqCst);
            (successor, Signal::TERM)
        }
        Err(_) => exit_now(0),
    };
    if let Some(pid) = Pid::from_raw(to as i32) {
        kill(pid, signal);
    }
    exit_now(0)
}

/// Prepares for a restart; where it cannot be, says so, and SIGUSR2 does nothing.
pub(crate) fn prepare(server: &Server) {
    if server.listeners.is_empty() {
        return;
    }
    match program(server) {
        Ok(program) => drop(server.program.set(program)),
        Err(why) => log(format_args!("there will be no hot restart: {why}")),
    }
}

/// Says to the predecessor that this server is ready. From now on the listeners are its own. False: it has
/// no predecessor.
pub(crate) fn say_ready(server: &Server) -> bool {
    let predecessor = server.predecessor.lock();
    let Some(ready) = predecessor.ok().and_then(|mut it| it.take()) else {
        return false;
    };
    server.drain.leave_listeners(false);
    successor::say_ready(ready.as_fd());
    true
}
