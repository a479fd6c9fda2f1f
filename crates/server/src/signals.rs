//! The handlers of SIGTERM, SIGINT and SIGALRM: how a process begins a drain and carries it out.
//!
//! Handlers interrupt other code at any point, so they call only what is async-signal-safe
//! (`signal-safety(7)`): atomics, the clock, and single system calls. Nothing in them allocates or
//! takes a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use os::process::{Pid, Signal};
use os::signal;

use crate::alarm::{ALARM, Alarm, set_timer};
use crate::drain::TIME_TO_EXIT;
use crate::log::{log, say};
use crate::observe::helper;
use crate::{Block, Server, listeners, notify, restart, watchdog};

/// How long after the grace the main process ends itself from a handler: its only thread is stuck in
/// a service that blocks, and no other thread or process is left to end it.
const EXIT_AFTER_GRACE: Duration = Duration::from_millis(2 * TIME_TO_EXIT.as_millis() as u64);

/// How long connections have after a second SIGTERM or SIGINT.
const HURRY: Duration = Duration::from_secs(1);

/// The main process was asked to end.
static TERMINATED: AtomicBool = AtomicBool::new(false);
/// How long after that the main process ends, whatever its loops and threads do.
const EXIT_AFTER_HURRY: Duration = Duration::from_millis(200);

static HANGUPS: AtomicU32 = AtomicU32::new(0);
static SERVER: OnceLock<&'static Server> = OnceLock::new();
/// Id of the process that was started, which serves or has forked those that serve.
static MAIN_PROCESS: AtomicU32 = AtomicU32::new(0);

/// Installs the handlers. Forked children inherit them.
///
/// # Panics
/// If this process has a server already.
pub(crate) fn install(server: &'static Server) {
    assert!(SERVER.set(server).is_ok(), "a process has one server");
    MAIN_PROCESS.store(os::process::id(), Ordering::SeqCst);
    signal::handle(&[Signal::TERM, Signal::INT], on_terminate);
    signal::handle(&[Signal::ALARM], on_alarm);
    signal::handle(&[Signal::USR2], on_restart);
    signal::handle(&[Signal::HUP], on_reopen);
    signal::handle(&[Signal::QUIT], on_quit);
    // A write beyond a limit of file size fails then, as any other does.
    signal::handle(&[Signal::XFSZ], signal::do_nothing);
    signal::handle(&[Signal::USR1], on_reopen);
}

/// Whether this is the process that was started.
pub(crate) fn is_main_process() -> bool {
    MAIN_PROCESS.load(Ordering::SeqCst) == os::process::id()
}

/// Has the access log opened again, if there is one. Async-signal-safe.
pub(crate) fn reopen_logs(server: &Server) {
    if let Some(observed) = server.observed {
        observed.reopen();
    }
}

/// How often SIGHUP has come to this process: a model may do something of its own then.
pub fn hangups() -> u32 {
    HANGUPS.load(Ordering::Relaxed)
}

extern "C" fn on_reopen(number: i32) {
    signal::keeping_errno(|| {
        if number == Signal::HUP.as_raw() {
            HANGUPS.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(server) = SERVER.get() {
            reopen_logs(server);
        }
    });
}

/// Makes a worker that has just become a process of its own take part in a drain that began before
/// it was forked: the signal did not reach it.
pub(crate) fn join_drain(server: &Server, block: &Block) {
    if server.drain.has_begun() {
        block.draining.store(1, Ordering::SeqCst);
        block.alarm.make_periodic();
    }
}

/// Drains because accept says that its listener is shut down, unless our own drain has done that.
/// Another process that shares the listener has shut it down, so no connection can arrive any more;
/// without a drain, every wait at the listener would return at once.
pub(crate) fn on_listener_shut_down(server: &Server) {
    if server.drain.begin() {
        log(format_args!(
            "a listener was shut down by another process: no connection can arrive any more"
        ));
        end_server(server);
    }
}

/// Has the whole server drain, from any of its processes.
pub(crate) fn end_server(server: &Server) {
    begin_drain(server);
    // As after a signal from outside, the main process tells its children.
    if let Some(main) = Pid::from_raw(MAIN_PROCESS.load(Ordering::SeqCst) as i32) {
        os::process::kill(main, Signal::TERM);
    }
}

fn begin_drain(server: &Server) {
    server.drain.begin(); // A second signal changes nothing.
    let says_close = |block: &Block| block.draining.store(1, Ordering::SeqCst);
    server.blocks.iter().for_each(says_close);
    if !server.drain.leaves_listeners() {
        listeners::stop_accepting(&server.listeners);
    }
    server.waker.wake();
}

/// The block of the worker that is this whole process, if one is.
fn own_block(server: &Server) -> Option<&Block> {
    let id = os::process::id();
    server.blocks.iter().find(|block| block.is_process(id))
}

extern "C" fn on_terminate(number: i32) {
    signal::keeping_errno(|| {
        let Some(server) = SERVER.get() else {
            return;
        };
        let is_term = number == Signal::TERM.as_raw();
        if !is_main_process() {
            match own_block(server) {
                Some(block) if is_term && !server.drain.has_begun() => retire(server, block),
                _ => drain_now(server),
            }
            return;
        }
        restart::cancel(server.board);
        notify::send(format_args!("STOPPING=1\nSTATUS=draining"));
        if TERMINATED.swap(true, Ordering::SeqCst) {
            server.drain.cut_after(HURRY);
        } else if is_term && announce_drain(server) {
            return;
        }
        drain_now(server);
    });
}

/// SIGTERM to one worker process: it ends when it has served what it has, and its parent replaces it. Who
/// means the whole group signals the parent as well, which tells this process to drain.
fn retire(server: &Server, block: &Block) {
    block.retires.store(true, Ordering::SeqCst);
    server.drain.begin_own();
    block.draining.store(1, Ordering::SeqCst);
    block.alarm.make_periodic();
}

/// If there is to be a delay before the drain, says that the server is not ready any more, and goes on
/// serving for so long. False: there is no delay, or the drain has begun.
fn announce_drain(server: &Server) -> bool {
    let delay_ns = server.limits.drain_delay_ms.saturating_mul(1_000_000);
    if delay_ns == 0 || server.drain.has_begun() {
        return false;
    }
    server.board.set_ready(false);
    let due_ns = signal::monotonic_ns().saturating_add(delay_ns);
    server.board.drain_due_ns.store(due_ns, Ordering::SeqCst);
    own_alarm(server).cover(due_ns, set_timer);
    true
}

/// Begins the drain that was announced, once it is due.
fn begin_if_due(server: &Server) {
    match server.board.drain_due_ns.load(Ordering::SeqCst) {
        0 => {}
        due_ns if signal::monotonic_ns() >= due_ns => drain_now(server),
        due_ns => own_alarm(server).cover(due_ns, set_timer),
    }
}

/// The alarm of this process.
fn own_alarm(server: &Server) -> &Alarm {
    own_block(server).map_or(&ALARM, |block| &block.alarm)
}

/// Ends at once: every connection is cut.
extern "C" fn on_quit(_: i32) {
    signal::keeping_errno(|| {
        if let Some(server) = SERVER.get() {
            if is_main_process() {
                restart::cancel(server.board);
                server.drain.cut_after(Duration::ZERO);
            }
            drain_now(server);
        }
    });
}

fn drain_now(server: &Server) {
    begin_drain(server);
    own_alarm(server).make_periodic();
}

/// Starts a successor, or learns how that has ended.
extern "C" fn on_restart(_: i32) {
    signal::keeping_errno(|| {
        if let Some(server) = SERVER.get()
            && is_main_process()
            && restart::on_signal(server)
        {
            server.board.handed_over.store(true, Ordering::SeqCst);
            drain_now(server);
        }
    });
}

/// Enforces the deadlines of this process's workers and, in a drain, closes or cuts the connection
/// of a worker that is this process. Ends a main process that is stuck.
extern "C" fn on_alarm(_: i32) {
    signal::keeping_errno(|| {
        let Some(server) = SERVER.get() else {
            return;
        };
        let own = own_block(server);
        watchdog::on_alarm(server.blocks, own, &server.limits);
        if !server.drain.has_begun() {
            if server.board.drain_due_ns.load(Ordering::SeqCst) != 0 && is_main_process() {
                begin_if_due(server);
            }
            return;
        }
        if let Some(block) = own {
            server.drain.close_or_cut(block);
        }
        if (server.drain.has_outlived_grace_by(EXIT_AFTER_GRACE)
            || server.drain.is_hurried(EXIT_AFTER_HURRY))
            && is_main_process()
        {
            exit_from_handler(server);
        }
    });
}

/// Does what [`serve`](crate::serve) does at its end, without allocating.
fn exit_from_handler(server: &Server) -> ! {
    server.count_open_as_cut();
    if let Some(observed) = server.observed {
        observed.stop();
        helper::wait_until_done(observed, TIME_TO_EXIT);
    }
    server.remove_paths();
    say(format_args!("{}", server.shutdown()));
    os::process::exit_now(0)
}
