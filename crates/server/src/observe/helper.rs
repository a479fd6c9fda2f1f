//! The helper: a process beside the workers that looks at what they write into shared memory.
//!
//! It is forked before the model runs, so that it is the same in every model: models of processes may
//! not have threads in the process that forks, and in models of threads a process of its own still
//! answers when every CPU time of the server is taken, or its memory is corrupt. It does not fork, so
//! it may have threads: one answers `--admin`, one writes the access log, and its first looks for stuck
//! workers. It holds none of the server's descriptors. It ends when the server says so, or has ended.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use os::net::{self, PollFd, PollFlags};
use os::process::{Fork, exit_now, fork};

use super::Observed;
use super::access::AccessLog;
use super::admin;
use super::heartbeat::Heartbeat;
use super::view::View;
use super::watch::Watch;
use crate::{log, notify};

/// What the helper does.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) admin: Option<OwnedFd>,
    pub(crate) access_log: Option<AccessLog>,
}

/// Id of the helper; 0 without one.
static HELPER: AtomicU32 = AtomicU32::new(0);

/// How long the server waits for the access log to be written.
const TIME_TO_END: Duration = Duration::from_secs(2);
/// How long the helper goes on writing after the server has ended without a word.
const TIME_AFTER_SERVER: Duration = Duration::from_secs(1);
/// Stacks of its threads, bytes.
const STACK_BYTES: usize = 512 << 10;

/// Forks it.
///
/// # Errors
/// EAGAIN, ENOMEM.
pub(crate) fn start(view: View, tasks: Tasks) -> Result<(), os::Errno> {
    match fork()? {
        Fork::Parent(pid) => {
            HELPER.store(pid.as_raw_nonzero().get() as u32, Ordering::SeqCst);
            Ok(())
        }
        Fork::Child => {
            run(view, tasks);
            exit_now(0)
        }
    }
}

fn run(view: View, tasks: Tasks) {
    use std::os::fd::AsFd;
    let observed = view.observed;
    let mut keep = vec![observed.waker.as_fd()];
    keep.extend(notify::socket());
    keep.extend(tasks.admin.as_ref().map(AsFd::as_fd));
    let access_log = tasks.access_log.as_ref();
    keep.extend(access_log.and_then(|log| log.sink.descriptor()));
    if let Err(error) = os::helper::detach(&keep, view.main) {
        log(format_args!("the helper process cannot begin: {error}"));
        return;
    }
    let writes = tasks.access_log.is_some();
    if let Some(access_log) = tasks.access_log {
        spawn("access log", move || {
            access_log.run(observed);
            observed.shared.done.store(true, Ordering::SeqCst);
            exit_now(0);
        });
    }
    if let Some(listener) = tasks.admin {
        let view = view.clone();
        spawn("admin", move || admin::run(&listener, &view));
    }
    let mut heartbeat = Heartbeat::new(&view);
    let mut watch = Watch::new(view);
    while !observed.shared.stop.load(Ordering::SeqCst) && !os::helper::parent_ended() {
        watch.look();
        let beat = heartbeat.beat(&watch.view);
        // The writer of the access log, where there is one, is woken instead, and ends the process.
        let mut waker = [PollFd::new(&observed.waker, PollFlags::IN)];
        let fds = &mut waker[usize::from(writes)..];
        let _ = net::poll(fds, Some(watch.every().min(beat)));
    }
    if writes {
        observed.stop();
        std::thread::sleep(TIME_AFTER_SERVER);
    }
    observed.shared.done.store(true, Ordering::SeqCst);
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    if let Err(error) = os::thread::spawn(name.into(), STACK_BYTES, body) {
        log(format_args!(
            "{name}: {error}; the server goes on without it"
        ));
    }
}

/// Has the helper write what is left of the access log, and waits until it has ended.
pub(crate) fn finish(observed: &Observed) {
    observed.stop();
    wait_until_done(observed, TIME_TO_END);
    let id = HELPER.load(Ordering::SeqCst);
    if observed.shared.done.load(Ordering::SeqCst) && id != 0 {
        os::helper::wait_for(id);
    }
}

/// The same, for a handler of a signal: it sleeps, which is async-signal-safe.
pub(crate) fn wait_until_done(observed: &Observed, most: Duration) {
    let end = Instant::now() + most;
    while !observed.shared.done.load(Ordering::SeqCst) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Takes note of a child that has ended. True if it was the helper.
pub(crate) fn was(id: u32) -> bool {
    HELPER
        .compare_exchange(id, 0, Ordering::SeqCst, Ordering::SeqCst)
        .is_ok()
}
