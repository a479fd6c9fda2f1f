//! A run: threads that begin together, and one result made of theirs.

mod start_line;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::start_line::StartLine;
use crate::beside::{self, Beside, Idle};
use crate::clock::{now_ns, unix_ns};
use crate::edges::Edge;
use crate::plan::Plan;
use crate::record::{Begun, Record};
use crate::shared::{Progress, Shared};
use crate::slot::Slot;
use crate::socket;
use crate::thread_result::Report;
use crate::window::Window;
use crate::worker::Worker;

/// Descriptors needed beside the connections, generously.
const DESCRIPTORS_SPARE: u64 = 32;

/// How often the progress is looked at.
const PROGRESS_PERIOD: Duration = Duration::from_millis(250);

/// Who is told how a run goes.
pub struct Watch<'a> {
    /// Called with the replies and failures of the window so far, a few times a second.
    pub progress: &'a mut dyn FnMut(u64, u64),
    /// Called at each [`Edge`]; the run goes on when it returns.
    pub edge: Option<&'a dyn Fn(Edge)>,
}

/// Runs a plan to its end, or until `stop` becomes true, and tells `watch` how it goes.
///
/// # Errors
/// An unusable plan, a target that refuses every connection, or a lack of descriptors: nothing was
/// measured then. All other failures are counted in the record.
pub fn run_watched(plan: &Plan, stop: &AtomicBool, watch: Watch<'_>) -> Result<Record> {
    plan.check()?;
    let connections = plan.connections + plan.idle + plan.slow.senders + plan.slow.readers;
    let wanted = connections as u64 + DESCRIPTORS_SPARE;
    if let Some(limit) = socket::raise_descriptor_limit().filter(|&limit| limit < wanted) {
        bail!("{connections} connections need {wanted} descriptors; the limit is {limit}");
    }
    let shared = Shared::new(plan, stop);
    let idle = (plan.idle > 0)
        .then(|| Idle::open(plan, &shared.models, stop))
        .transpose()?;
    let begun_unix_ns = unix_ns();
    let (reports, mut beside, anchor_ns) = work_together(&shared, watch)?;
    // The two clocks are read at one moment, to place the window among those of other machines.
    let window_ns = Window::of(plan, anchor_ns).start_ns;
    let window_unix_ns = unix_ns().saturating_sub(now_ns().saturating_sub(window_ns));
    beside.idle = idle.map(Idle::close);
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(Record::new(
        plan,
        reports,
        beside,
        Begun {
            run_unix_ns: begun_unix_ns,
            window_unix_ns,
        },
        interrupted,
    ))
}

/// Runs the threads of the load and those beside it.
fn work_together(shared: &Shared<'_>, watch: Watch<'_>) -> Result<(Vec<Report>, Beside, u64)> {
    let plan = shared.plan;
    let slow = plan.slow.senders + plan.slow.readers > 0;
    let companions = usize::from(slow) + usize::from(plan.poison.is_some());
    // Who watches the edges lets the others start.
    let watches = usize::from(watch.edge.is_some());
    let line = StartLine::new(plan.threads + companions + watches);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let slow =
            slow.then(|| companion(scope, "load-slow", &line, |_| Ok(beside::slow(plan, &over))));
        let poison = plan.poison.as_ref().map(|poison| {
            companion(scope, "load-poison", &line, |anchor_ns| {
                let window = Window::of(plan, anchor_ns);
                beside::poison(plan, poison, window, &over)
            })
        });
        let reports = drive(scope, shared, &line, watch);
        over.store(true, Ordering::Relaxed);
        let beside = Beside {
            idle: None,
            slow: slow.map(join).transpose()?.flatten(),
            poison: poison.map(join).transpose()?.flatten(),
        };
        Ok((reports?, beside, line.anchor_ns()))
    })
}

/// A thread that does its part beside the load, from the anchor of the schedule on.
fn companion<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    line: &'scope StartLine,
    part: impl FnOnce(u64) -> Result<T> + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, Result<Option<T>>>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, move || line.wait().map(part).transpose())
        .inspect_err(|_| line.abandon())
        .context("cannot start a thread")
}

fn join<T>(companion: Result<ScopedJoinHandle<'_, Result<Option<T>>>>) -> Result<Option<T>> {
    companion?
        .join()
        .unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs the threads of the load to their end.
fn drive<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared<'_>,
    line: &'scope StartLine,
    watch: Watch<'_>,
) -> Result<Vec<Report>> {
    let threads = shared.plan.threads;
    let progress: Arc<[Progress]> = (0..threads).map(|_| Progress::default()).collect();
    let (done, finished) = mpsc::channel();
    for share in 0..threads {
        let (done, progress) = (done.clone(), Arc::clone(&progress));
        thread::Builder::new()
            .name(format!("load-{share}"))
            .spawn_scoped(scope, move || {
                let (report, open) = match work(shared, &progress[share], share, line) {
                    Ok(Some((report, open))) => (Ok(Some(report)), open),
                    Ok(None) => (Ok(None), Vec::new()),
                    Err(error) => (Err(error), Vec::new()),
                };
                // The receiver outlives the threads; if it panicked, so does the scope.
                let _ = done.send(report);
                drop(done);
                line.wait_to_leave();
                drop(open);
            })
            .inspect_err(|_| line.abandon())
            .context("cannot start a thread")?;
    }
    drop(done);
    if let Some(edge) = watch.edge
        && line.others_stand()
    {
        edge(Edge::Opened);
        line.wait();
    }
    let mut reports = Vec::new();
    loop {
        match finished.recv_timeout(PROGRESS_PERIOD) {
            Ok(report) => reports.push(report),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let sum = |of: fn(&Progress) -> u64| progress.iter().map(of).sum();
                (watch.progress)(sum(Progress::finished), sum(Progress::failed));
            }
        }
    }
    if let Some(edge) = watch.edge.filter(|_| !line.is_abandoned()) {
        edge(Edge::Done);
    }
    line.let_leave();
    let reports: Vec<Option<Report>> = reports.into_iter().collect::<Result<_>>()?;
    Ok(reports.into_iter().flatten().collect())
}

/// A thread of the run; `None` when another thread could not start.
fn work(
    shared: &Shared<'_>,
    progress: &Progress,
    share: usize,
    line: &StartLine,
) -> Result<Option<(Report, Vec<Slot>)>> {
    let opened = Worker::new(shared, progress, share).and_then(|mut worker| {
        worker.open_all()?;
        Ok(worker)
    });
    if opened.is_err() {
        line.abandon();
    }
    let worker = opened?;
    line.wait()
        .map(|anchor_ns| worker.run(anchor_ns))
        .transpose()
}
