//! From what a visit measured to the lines that are kept: figures, verdicts, reasons.

use report::data::{Figures, Mode, Pass, Trial, Validity};
use schema::Reasons;

use crate::failure::Failure;
use crate::judge::fairness::Shares;
use crate::judge::figures::figures;
use crate::judge::gates::{self, Evidence};
use crate::observe::measured::{Drained, Measured, Sample};
use crate::plan::visit::{Visit, Window};
use crate::run::capacity::{self, Known};
use crate::run::memory;
use crate::run::server::Launch;
use crate::run::setup::Setup;
use crate::run::visit;

/// Most attempts at a window: one more when noise alone spoilt the first.
pub const ATTEMPTS_MAX: u32 = 2;

/// A finished trial, and whether a second attempt may do better.
#[derive(Debug)]
pub struct Outcome {
    /// The line.
    pub trial: Trial,
    /// Only noise of machine or generator made it INVALID.
    pub noise: bool,
}

impl Outcome {
    fn of(trial: Trial) -> Self {
        Self {
            trial,
            noise: false,
        }
    }

    fn invalid(trial: Trial, reason: String) -> Self {
        Self::of(Trial {
            validity: Validity::Invalid,
            reasons: told([reason]),
            ..trial
        })
    }
}

/// Sentences as reasons, read as those of old files are.
pub fn told(texts: impl IntoIterator<Item = String>) -> Reasons {
    let texts: Vec<String> = texts.into_iter().collect();
    serde_json::from_value(serde_json::json!({ "reasons": texts })).unwrap_or_default()
}

/// Runs `windows` of a visit; `attempt` counts from 0.
///
/// # Errors
/// [`Failure::Interrupted`]: everything else that goes wrong is a trial's verdict.
pub fn run(
    setup: &Setup,
    visit: &Visit,
    windows: &[Window],
    known: Known,
    attempt: u32,
) -> Result<Vec<Outcome>, Failure> {
    let line = |window: &Window| blank(setup, visit, window, attempt);
    if let Some(reason) = &visit.blocked {
        let blocked = windows.iter().map(|window| {
            Outcome::of(Trial {
                reasons: told([reason.clone()]),
                ..line(window)
            })
        });
        return Ok(blocked.collect());
    }
    let result = match visit.pass {
        Pass::Measure => measure(setup, visit, windows, known, line),
        Pass::Capacity => one(windows, line, |trial, _| search(setup, visit, trial, known)),
        Pass::Memory => one(windows, line, |trial, _| read_memory(setup, visit, trial)),
        Pass::SystemCalls => one(windows, line, |trial, window| {
            count(setup, visit, window, trial)
        }),
    };
    match result {
        Err(Failure::Interrupted) => Err(Failure::Interrupted),
        Err(failure) => {
            let failed = |window| Outcome::invalid(line(window), failure.to_string());
            Ok(windows.iter().map(failed).collect())
        }
        Ok(outcomes) => Ok(outcomes),
    }
}

/// A pass of which each window is a visit of its own.
fn one(
    windows: &[Window],
    line: impl Fn(&Window) -> Trial,
    mut run: impl FnMut(Trial, &Window) -> Result<Trial, Failure>,
) -> Result<Vec<Outcome>, Failure> {
    let outcome = |window| run(line(window), window).map(Outcome::of);
    windows.iter().map(outcome).collect()
}

fn measure(
    setup: &Setup,
    visit: &Visit,
    windows: &[Window],
    known: Known,
    line: impl Fn(&Window) -> Trial,
) -> Result<Vec<Outcome>, Failure> {
    let measured = visit::measure(setup, visit, windows)?;
    let samples = windows.iter().zip(&measured.samples);
    let outcomes = samples.map(|(window, sample)| match sample {
        Ok(sample) => finish(visit, window, line(window), sample, &measured, known),
        Err(reason) => Outcome::invalid(line(window), reason.clone()),
    });
    Ok(outcomes.collect())
}

fn search(setup: &Setup, visit: &Visit, trial: Trial, known: Known) -> Result<Trial, Failure> {
    let (Some(how), Some(objective)) = (setup.size.search(), visit.scenario.objective) else {
        return Err(anyhow::anyhow!("there is no objective to search for").into());
    };
    let (server, _) = visit::begin(setup, visit)?;
    let found = capacity::search(setup, visit, &server, &how, objective, known)?;
    let drained = server.drain(&setup.interrupt)?;
    let mut shape = trial.shape.clone();
    shape.rate = found.capacity.highest_ok_rps;
    shape.duration_s = setup.size.windows().step.as_secs_f64();
    Ok(unless_broken(
        Trial {
            shape,
            validity: found.validity,
            reasons: told(found.reasons),
            load_command: found.command,
            capacity: Some(found.capacity),
            ..trial
        },
        &drained,
    ))
}

fn read_memory(setup: &Setup, visit: &Visit, trial: Trial) -> Result<Trial, Failure> {
    let memory_steps = memory::read(setup, visit)?;
    let most = memory_steps
        .iter()
        .filter(|s| s.held)
        .map(|s| s.connections);
    let mut shape = trial.shape.clone();
    shape.connections = most.max().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    shape.duration_s = 0.0;
    Ok(Trial {
        shape,
        validity: Validity::Valid,
        memory_steps,
        ..trial
    })
}

fn count(setup: &Setup, visit: &Visit, window: &Window, trial: Trial) -> Result<Trial, Failure> {
    let (sample, counted, drained) = visit::count(setup, visit, window)?;
    let requests = sample.load.requests;
    if requests == 0 {
        return Err(anyhow::anyhow!("no request was answered under the tracer").into());
    }
    let (all, by_name) = counted.each(requests);
    let mut shape = trial.shape.clone();
    shape.duration_s = setup.size.windows().calls.as_secs_f64();
    // Counts are all that a traced window is good for.
    let figures = Figures {
        scheduled: sample.load.scheduled,
        requests,
        errors: sample.load.errors.clone(),
        system_calls_per_request: Some(all),
        system_calls: by_name,
        ..Figures::default()
    };
    Ok(unless_broken(
        Trial {
            shape,
            validity: Validity::Valid,
            load_command: sample.command,
            figures: Some(figures),
            ..trial
        },
        &drained,
    ))
}

/// A server that did not end as it must makes everything that was seen of it doubtful.
fn unless_broken(mut trial: Trial, drained: &Drained) -> Trial {
    if !drained.problems.is_empty() {
        trial.validity = Validity::Invalid;
        let problems = told(drained.problems.iter().cloned());
        trial.reasons.extend(problems.0);
    }
    trial
}

/// The line of a trial in which nothing was measured (yet).
fn blank(setup: &Setup, visit: &Visit, window: &Window, attempt: u32) -> Trial {
    let retried = if attempt == 0 { "" } else { "r" };
    let target = visit.contender.target.as_ref();
    let launch = || Launch::of(visit, &setup.server, &setup.own, &setup.db).command();
    Trial {
        id: format!("{}{retried}", window.id),
        model: visit.contender.model.clone(),
        variant: visit.contender.variant.clone(),
        label: visit.contender.label.clone(),
        role: visit.contender.role,
        pass: visit.pass,
        target: target.map(|target| target.url.clone()),
        beside: target.and_then(|target| target.beside.clone()),
        scenario: visit.scenario.name.to_owned(),
        size: setup.size.name().to_owned(),
        block: visit.block,
        order: visit.order,
        seed: visit.seed,
        workers: visit.workers,
        shape: setup.shape(visit, Some(window)),
        validity: Validity::Blocks,
        reasons: Reasons::default(),
        server_command: target.map_or_else(launch, |_| "started by someone else".to_owned()),
        load_command: String::new(),
        figures: None,
        capacity: None,
        memory_steps: Vec::new(),
        drain_connections: None,
        workers_connections: Vec::new(),
        jain_connections: None,
    }
}

/// Puts the figures together and has them judged.
fn finish(
    visit: &Visit,
    window: &Window,
    trial: Trial,
    sample: &Sample,
    measured: &Measured,
    known: Known,
) -> Outcome {
    let figures = figures(visit, window, sample, measured);
    let verdict = gates::judge(&Evidence {
        shape: &trial.shape,
        figures: &figures,
        load: &sample.load,
        ticks: sample.machine.used,
        ceiling: known.ceiling,
    });
    let noise = verdict.noise && measured.drained.problems.is_empty();
    let fresh = Shares::of_connections(&measured.fresh, measured.workers);
    let stopped = measured.drained.drain_ms.is_some();
    let trial = Trial {
        validity: verdict.validity,
        reasons: told(verdict.reasons),
        load_command: sample.command.clone(),
        figures: Some(figures),
        drain_connections: stopped.then_some(measured.held),
        workers_connections: fresh.counts,
        jain_connections: fresh.jain,
        ..trial
    };
    Outcome {
        trial: unless_broken(trial, &measured.drained),
        noise,
    }
}

/// The null server's throughput, when `trial` is one that can serve as the ceiling.
///
/// LIMITED is what a ceiling usually is: there the generator is the limit, and that is its purpose.
pub fn as_ceiling(trial: &Trial) -> Option<f64> {
    let usable = matches!(trial.validity, Validity::Valid | Validity::Limited);
    let closed = trial.shape.mode == Mode::Closed;
    trial
        .figures
        .as_ref()
        .filter(|_| usable && closed)
        .map(|figures| figures.throughput_rps)
}
