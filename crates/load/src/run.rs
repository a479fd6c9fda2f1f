//! A run: threads that start together, and one record made of their results.

mod barrier;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::barrier::Barrier;
use crate::clock::{now_ns, unix_ns};
use crate::edges::Edge;
use crate::extra_clients::{self, ExtraCounts, IdleConnections};
use crate::plan::Plan;
use crate::record::{RunRecord, StartTimes};
use crate::shared::{Progress, Shared, SoFar};
use crate::slot::Slot;
use crate::socket;
use crate::sockets::Sockets;
use crate::thread_result::ThreadResult;
use crate::window::Window;
use crate::worker::Worker;

/// Descriptors needed in addition to the connections, generously.
const DESCRIPTORS_SPARE: u64 = 32;

/// Time between two reports of the progress.
const PROGRESS_PERIOD: Duration = Duration::from_millis(250);

/// Who is told about the progress of a run.
pub struct Observer<'a> {
    /// Called some times per second, and with the whole window at its end.
    pub progress: &'a mut dyn FnMut(SoFar),
    /// Called at each [`Edge`]; the run goes on when it returns.
    pub edge: Option<&'a dyn Fn(Edge)>,
}

/// Runs a plan to its end, or until `stop` becomes true, and tells `observer` about its
/// progress.
///
/// # Errors
/// An unusable plan, a target that refuses every connection, or a lack of descriptors: nothing was
/// measured then. All other failures are counted in the record.
pub fn run_observed(plan: &Plan, stop: &AtomicBool, observer: Observer<'_>) -> Result<RunRecord> {
    run_on(plan, stop, observer, None)
}

/// The same on the connections in `sockets`, where those stay that are open at its end.
pub(crate) fn run_on(
    plan: &Plan,
    stop: &AtomicBool,
    observer: Observer<'_>,
    sockets: Option<&Sockets>,
) -> Result<RunRecord> {
    plan.check()?;
    plan.target.reach(plan.timeout)?;
    let once = if plan.is_mixed() { plan.connections } else { 0 };
    let connections = plan.connections + once + plan.idle + plan.slow.senders + plan.slow.readers;
    let wanted = connections as u64 + DESCRIPTORS_SPARE;
    if let Some(limit) = socket::raise_descriptor_limit().filter(|&limit| limit < wanted) {
        bail!("{connections} connections need {wanted} descriptors; the limit is {limit}");
    }
    let shared = Shared::new(plan, stop, sockets);
    let idle = (plan.idle > 0)
        .then(|| IdleConnections::open(plan, &shared.reference_bodies, stop))
        .transpose()?;
    let run_unix_ns = unix_ns();
    let (results, mut extra, anchor_ns) = run_threads(&shared, observer)?;
    // The two clocks are read at one moment, to place the window among those of other machines.
    let window_ns = Window::of(plan, anchor_ns).start_ns;
    let window_unix_ns = unix_ns().saturating_sub(now_ns().saturating_sub(window_ns));
    extra.idle = idle.map(IdleConnections::close);
    let started = StartTimes {
        run_unix_ns,
        window_unix_ns,
    };
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(RunRecord::new(plan, results, extra, started, interrupted))
}

/// Runs the threads of the load and those of the extra clients.
fn run_threads(
    shared: &Shared<'_>,
    observer: Observer<'_>,
) -> Result<(Vec<ThreadResult>, ExtraCounts, u64)> {
    let plan = shared.plan;
    let slow = plan.slow.senders + plan.slow.readers > 0;
    let extra_threads = usize::from(slow) + usize::from(plan.poison.is_some());
    // An observer of the edges takes part: the others start when it lets them.
    let observers = usize::from(observer.edge.is_some());
    let barrier = Barrier::new(plan.threads + extra_threads + observers);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let slow = slow.then(|| {
            spawn_extra(scope, "load-slow", &barrier, |_| {
                Ok(extra_clients::run_slow_clients(plan, &over))
            })
        });
        let poison = plan.poison.as_ref().map(|poison| {
            spawn_extra(scope, "load-poison", &barrier, |anchor_ns| {
                let window = Window::of(plan, anchor_ns);
                extra_clients::send_poison(plan, poison, window, &over)
            })
        });
        let results = run_load(scope, shared, &barrier, observer);
        over.store(true, Ordering::Relaxed);
        let extra = ExtraCounts {
            idle: None,
            slow: slow.map(join).transpose()?.flatten(),
            poison: poison.map(join).transpose()?.flatten(),
        };
        Ok((results?, extra, barrier.anchor_ns()))
    })
}

/// Starts a thread for extra clients, which runs `part` when the schedule starts.
fn spawn_extra<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    barrier: &'scope Barrier,
    part: impl FnOnce(u64) -> Result<T> + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, Result<Option<T>>>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, move || barrier.wait().map(part).transpose())
        .inspect_err(|_| barrier.cancel())
        .context("cannot start a thread")
}

fn join<T>(thread: Result<ScopedJoinHandle<'_, Result<Option<T>>>>) -> Result<Option<T>> {
    thread?.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs the threads of the load to their end.
fn run_load<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared<'_>,
    barrier: &'scope Barrier,
    observer: Observer<'_>,
) -> Result<Vec<ThreadResult>> {
    let threads = shared.plan.threads;
    let progress: Arc<[Progress]> = (0..threads).map(|_| Progress::default()).collect();
    let (done, finished) = mpsc::channel();
    for thread in 0..threads {
        let (done, progress) = (done.clone(), Arc::clone(&progress));
        thread::Builder::new()
            .name(format!("load-{thread}"))
            .spawn_scoped(scope, move || {
                let (result, open) = match run_thread(shared, &progress[thread], thread, barrier) {
                    Ok(Some((result, open))) => (Ok(Some(result)), open),
                    Ok(None) => (Ok(None), Vec::new()),
                    Err(error) => (Err(error), Vec::new()),
                };
                // The receiver outlives the threads; if it panicked, so does the scope.
                let _ = done.send(result);
                drop(done);
                barrier.wait_for_end();
                if let Some(sockets) = shared.sockets {
                    // Others close here.
                    let idle = open.into_iter().filter_map(Slot::into_idle);
                    sockets.keep(thread, idle.collect());
                }
            })
            .inspect_err(|_| barrier.cancel())
            .context("cannot start a thread")?;
    }
    drop(done);
    if let Some(edge) = observer.edge
        && barrier.wait_for_others()
    {
        edge(Edge::Opened);
        barrier.wait();
    }
    let mut results = Vec::new();
    loop {
        match finished.recv_timeout(PROGRESS_PERIOD) {
            Ok(result) => results.push(result),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                (observer.progress)(Progress::sum(&progress));
            }
        }
    }
    (observer.progress)(Progress::sum(&progress));
    if let Some(edge) = observer.edge.filter(|_| !barrier.is_cancelled()) {
        edge(Edge::Done);
    }
    barrier.end();
    let results: Vec<Option<ThreadResult>> = results.into_iter().collect::<Result<_>>()?;
    Ok(results.into_iter().flatten().collect())
}

/// One thread of the load; `None` when another thread could not start. The connections that are
/// still open come with the result: they are closed when the run is over for all.
fn run_thread(
    shared: &Shared<'_>,
    progress: &Progress,
    thread: usize,
    barrier: &Barrier,
) -> Result<Option<(ThreadResult, Vec<Slot>)>> {
    let opened = Worker::new(shared, progress, thread).and_then(|mut worker| {
        worker.open_all()?;
        Ok(worker)
    });
    let worker = opened.inspect_err(|_| barrier.cancel())?;
    barrier
        .wait()
        .map(|anchor_ns| worker.run(anchor_ns))
        .transpose()
}
