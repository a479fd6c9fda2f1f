//! The trials of a visit: runs it, and makes a line of each window, with figures and reasons.

use report::data::{Figures, Mode, Pass, Trial, Validity};
use schema::load::BodyCheck;
use schema::{Code, Effect, Reason, Reasons};

use crate::failure::{Failure, Unmeasured};
use crate::judge::fairness::Shares;
use crate::judge::figures::figures;
use crate::judge::gates::{self, Evidence};
use crate::observe::measured::{Measured, Sample};
use crate::plan::contenders::Start;
use crate::plan::visit::{Visit, Window};
use crate::run::capacity::{self, Known};
use crate::run::memory;
use crate::run::server::Launch;
use crate::run::setup::Setup;
use crate::run::visit;

/// The most attempts at a window: one more where only noise spoilt the first.
pub const ATTEMPTS_MAX: u32 = 2;

/// Runs `windows` of a visit; `attempt` counts from 0.
///
/// # Errors
/// [`Failure::Interrupted`]. Everything else that goes wrong is a reason of the trial.
pub fn run(
    setup: &Setup,
    visit: &Visit,
    windows: &[Window],
    known: Known,
    attempt: u32,
) -> Result<Vec<Trial>, Failure> {
    let line = |window: &Window| blank(setup, visit, window, attempt);
    let all = |reason: &Reason| -> Vec<Trial> {
        let judged = |window| judged(line(window), [reason.clone()]);
        windows.iter().map(judged).collect()
    };
    if let Some(reason) = &visit.blocked {
        return Ok(all(reason));
    }
    // In the passes that are not compared each window is a visit of its own.
    let each = |run: &dyn Fn(Trial, &Window) -> Result<Trial, Unmeasured>| {
        let run = |window| run(line(window), window);
        windows.iter().map(run).collect()
    };
    let result = match visit.pass {
        Pass::Measure | Pass::Drain => measure(setup, visit, windows, known, line),
        Pass::Capacity => each(&|trial, _| search(setup, visit, trial, known)),
        Pass::Memory => each(&|trial, _| read_memory(setup, visit, trial)),
        Pass::SystemCalls => each(&|trial, window| count(setup, visit, window, trial)),
    };
    match result {
        Ok(trials) => Ok(trials),
        Err(Unmeasured::Because(reason)) => Ok(all(&reason)),
        Err(Unmeasured::Interrupted) => Err(Failure::Interrupted),
    }
}

/// The trial with `reasons`, and the validity that follows from them.
pub fn judged(mut trial: Trial, reasons: impl IntoIterator<Item = Reason>) -> Trial {
    trial.reasons.extend(reasons);
    Trial {
        validity: gates::validity(&trial.reasons),
        ..trial
    }
}

fn measure(
    setup: &Setup,
    visit: &Visit,
    windows: &[Window],
    known: Known,
    line: impl Fn(&Window) -> Trial,
) -> Result<Vec<Trial>, Unmeasured> {
    let measured = visit::measure(setup, visit, windows)?;
    let samples = windows.iter().zip(&measured.samples);
    let trials = samples.map(|(window, sample)| match sample {
        Ok(sample) => finish(visit, window, line(window), sample, &measured, known),
        Err(reason) => judged(line(window), [reason.clone()]),
    });
    Ok(trials.collect())
}

fn search(setup: &Setup, visit: &Visit, trial: Trial, known: Known) -> Result<Trial, Unmeasured> {
    let how = visit.scenario.search(setup.size);
    let (Some((how, coarse)), Some(objective)) = (how, visit.scenario.objective) else {
        let text = "there is no objective to search for";
        return Err(Unmeasured::new(Code::NoObjective, text));
    };
    let (server, _) = visit::begin(setup, visit)?;
    let mut found = capacity::search(setup, visit, &server, &how, objective, known)?;
    found
        .reasons
        .extend(coarse.then(|| capacity::why_coarse(&how, visit)));
    let drained = server.drain(&setup.interrupt)?;
    let mut shape = trial.shape.clone();
    shape.rate = found.capacity.highest_ok_rps;
    shape.duration_s = how.near[0].as_secs_f64();
    let trial = Trial {
        shape,
        load_command: found.command,
        capacity: Some(found.capacity),
        ..trial
    };
    let reasons = found.reasons.0.into_iter().chain(drained.problems.0);
    Ok(judged(trial, reasons))
}

fn read_memory(setup: &Setup, visit: &Visit, trial: Trial) -> Result<Trial, Unmeasured> {
    let memory_steps = memory::read(setup, visit)?;
    let held = memory_steps.iter().filter(|step| step.held);
    let most = held.map(|step| step.connections).max();
    let mut shape = trial.shape.clone();
    shape.connections = most.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    shape.duration_s = 0.0;
    let trial = Trial {
        shape,
        memory_steps,
        ..trial
    };
    Ok(judged(trial, []))
}

fn count(setup: &Setup, visit: &Visit, window: &Window, trial: Trial) -> Result<Trial, Unmeasured> {
    let visit::Counted {
        sample,
        calls,
        wakeups,
        drained,
    } = visit::count(setup, visit, window)?;
    let requests = sample.load.requests;
    if requests == 0 {
        let text = "no request was answered under the tracer";
        return Err(Unmeasured::new(Code::NothingAnswered, text));
    }
    let (all, by_name) = calls.per_request(requests);
    let mut shape = trial.shape.clone();
    shape.duration_s = setup.size.windows().calls.as_secs_f64();
    // Of a traced window only the counts mean anything.
    let figures = Figures {
        scheduled: sample.load.scheduled,
        requests,
        errors: sample.load.errors.clone(),
        system_calls_per_request: Some(all),
        system_calls: by_name,
        wakeups_per_request: wakeups,
        ..Figures::default()
    };
    let trial = Trial {
        shape,
        load_command: sample.command,
        figures: Some(figures),
        ..trial
    };
    Ok(judged(trial, drained.problems.0))
}

/// What a reader must know of a reply that changes.
fn reply_changes(visit: &Visit) -> Option<Reason> {
    let what = match visit.check {
        BodyCheck::Exact => return None,
        BodyCheck::Length => "length",
        BodyCheck::None => "status",
    };
    let text =
        format!("only the {what} of its replies is checked: they are not the same every time");
    Some(Reason::new(Code::ReplyChanges, Effect::Notes, text))
}

/// What a reader must know of a server that keeps no connection.
fn closes(visit: &Visit) -> Option<Reason> {
    let text = "it closes the connection after each reply: each request has a new one";
    let note = || Reason::new(Code::ConnectionsClosed, Effect::Notes, text);
    visit.closes.then(note)
}

/// The line of a trial before anything is measured.
pub fn blank(setup: &Setup, visit: &Visit, window: &Window, attempt: u32) -> Trial {
    let retried = if attempt == 0 { "" } else { "r" };
    let target = visit.contender.target.as_ref();
    let launch = || Launch::of(visit, &setup.server, &setup.own, &setup.db).command();
    let notes = reply_changes(visit).into_iter().chain(closes(visit));
    Trial {
        id: format!("{}{retried}", window.id),
        model: visit.contender.model.clone(),
        variant: visit.contender.variant.clone(),
        label: visit.contender.label.clone(),
        role: visit.contender.role,
        pass: visit.pass,
        target: target
            .filter(|target| target.start.is_none())
            .map(|target| target.url.clone()),
        beside: target.and_then(|target| target.beside.clone()),
        grid: target.and_then(|target| target.grid.clone()),
        scenario: visit.scenario.name.to_owned(),
        size: setup.size.name().to_owned(),
        block: visit.block,
        order: visit.order,
        seed: visit.seed,
        slice: None,
        response_hdr: None,
        workers: visit.workers,
        shape: setup.shape(visit, Some(window)),
        validity: Validity::Blocks,
        reasons: Reasons(notes.collect()),
        server_command: target.map_or_else(launch, |target| {
            let started = target.start.as_ref().map(Start::command);
            started.unwrap_or_else(|| "not started by the bench".to_owned())
        }),
        load_command: String::new(),
        figures: None,
        capacity: None,
        memory_steps: Vec::new(),
        drain_connections: None,
        workers_connections: Vec::new(),
        jain_connections: None,
    }
}

/// The trial with its figures, judged by the gates. A server that did not end as it must makes all its
/// figures doubtful.
fn finish(
    visit: &Visit,
    window: &Window,
    trial: Trial,
    sample: &Sample,
    measured: &Measured,
    known: Known,
) -> Trial {
    let figures = figures(visit, window, sample, measured);
    let evidence = Evidence::of(&trial.shape, &figures, sample, known.ceiling);
    let reasons = gates::judge(&evidence);
    let drained = &measured.drained;
    let fresh = Shares::of_connections(&measured.fresh, measured.workers);
    let trial = Trial {
        load_command: sample.command.clone(),
        figures: Some(figures),
        drain_connections: drained.drain_ms.is_some().then_some(measured.held),
        workers_connections: fresh.counts,
        jain_connections: fresh.jain,
        ..trial
    };
    let problems = drained.problems.iter().cloned();
    judged(trial, reasons.0.into_iter().chain(problems))
}

/// The null server's throughput, when `trial` is a closed-loop trial of it that may be used.
///
/// Such a trial is usually LIMITED: there the generator is the limit, which it is there to show.
pub fn as_ceiling(trial: &Trial) -> Option<f64> {
    let usable = matches!(trial.validity, Validity::Valid | Validity::Limited);
    let closed = trial.shape.mode == Mode::Closed;
    let figures = trial.figures.as_ref().filter(|_| usable && closed);
    Some(figures?.throughput_rps)
}
