//! From what a visit measured to the lines that are kept: figures, verdicts, reasons.

use report::data::{Figures, Mode, Trial, Validity};

use crate::failure::Failure;
use crate::gates::{self, Ceiling, Evidence};
use crate::plan::{Visit, Window};
use crate::server::Launch;
use crate::visit::{Measured, Rig, Sample};

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

/// Runs `windows` of a visit; `attempt` counts from 0.
///
/// # Errors
/// [`Failure::Interrupted`]: everything else that goes wrong is a trial's verdict.
pub fn run(
    rig: &Rig,
    visit: &Visit,
    windows: &[Window],
    ceiling: Ceiling,
    attempt: u32,
) -> Result<Vec<Outcome>, Failure> {
    let line = |window: &Window| blank(rig, visit, window, attempt);
    if let Some(reason) = &visit.blocked {
        let blocked = windows.iter().map(|window| {
            let trial = Trial {
                reasons: vec![reason.clone()],
                ..line(window)
            };
            Outcome {
                trial,
                noise: false,
            }
        });
        return Ok(blocked.collect());
    }
    let measured = match rig.measure(visit, windows) {
        Ok(measured) => measured,
        Err(Failure::Interrupted) => return Err(Failure::Interrupted),
        Err(failure) => {
            let failed = windows.iter().map(|window| {
                let reasons = vec![failure.to_string()];
                let trial = Trial {
                    validity: Validity::Invalid,
                    reasons,
                    ..line(window)
                };
                Outcome {
                    trial,
                    noise: false,
                }
            });
            return Ok(failed.collect());
        }
    };
    let outcomes = windows
        .iter()
        .zip(&measured.samples)
        .map(|(window, sample)| match sample {
            Ok(sample) => finish(line(window), sample, &measured, ceiling),
            Err(reason) => {
                let reasons = vec![reason.clone()];
                let trial = Trial {
                    validity: Validity::Invalid,
                    reasons,
                    ..line(window)
                };
                Outcome {
                    trial,
                    noise: false,
                }
            }
        });
    Ok(outcomes.collect())
}

/// The line of a trial in which nothing was measured (yet).
fn blank(rig: &Rig, visit: &Visit, window: &Window, attempt: u32) -> Trial {
    let retried = if attempt == 0 { "" } else { "r" };
    Trial {
        id: format!("{}{retried}", window.id),
        model: visit.contender.model.clone(),
        variant: visit.contender.variant.clone(),
        label: visit.contender.label.clone(),
        role: visit.contender.role,
        scenario: visit.scenario.name.to_owned(),
        size: rig.size.name().to_owned(),
        block: visit.block,
        order: visit.order,
        seed: visit.seed,
        workers: visit.workers,
        shape: rig.shape(visit, Some(window)),
        validity: Validity::Blocks,
        reasons: Vec::new(),
        server_command: Launch::of(visit, &rig.server, &rig.own).command(),
        load_command: String::new(),
        figures: None,
    }
}

/// Puts the figures together and has them judged.
fn finish(trial: Trial, sample: &Sample, measured: &Measured, ceiling: Ceiling) -> Outcome {
    let figures = figures(sample, measured);
    let mut verdict = gates::judge(&Evidence {
        shape: &trial.shape,
        figures: &figures,
        load: &sample.report,
        ticks: sample.machine.used,
        ceiling,
    });
    if !measured.drained.problems.is_empty() {
        verdict.validity = Validity::Invalid;
        verdict.noise = false;
        verdict
            .reasons
            .extend(measured.drained.problems.iter().cloned());
    }
    let trial = Trial {
        validity: verdict.validity,
        reasons: verdict.reasons,
        load_command: sample.command.clone(),
        figures: Some(figures),
        ..trial
    };
    Outcome {
        trial,
        noise: verdict.noise,
    }
}

fn figures(sample: &Sample, measured: &Measured) -> Figures {
    let report = &sample.report;
    let each = |total: f64| (report.requests > 0).then(|| total / report.requests as f64);
    // Where tasks ended within the window their switches are known for the whole visit only.
    let switches = match (sample.usage.switches, measured.drained.exit) {
        (Some(switches), _) => each(switches as f64),
        (None, Some(exit)) if sample.usage.cpu_us.is_some() => {
            Some(exit.switches as f64 / measured.answers as f64)
        }
        _ => None,
    };
    let loaded = (measured.loaded.tasks > 0).then_some(measured.loaded);
    Figures {
        scheduled: report.scheduled,
        requests: report.requests,
        throughput_rps: report.rate_achieved,
        response_us: report.response_us,
        service_us: report.service_us,
        slip_us: report.slip_us,
        connect_us: report.connect_us,
        errors: report.errors.clone(),
        silent_connections: report.silent_connections,
        server_cpu_us_per_request: sample.usage.cpu_us.and_then(each),
        machine_cpu_us_per_request: each(sample.machine.busy_us),
        context_switches_per_request: switches,
        pss_kib: loaded.map(|footprint| footprint.pss_kib),
        pss_idle_kib: Some(measured.idle.pss_kib),
        tasks: loaded.map(|footprint| footprint.tasks),
        generator_cpu_us_per_request: report.generator.cpu_us_per_request,
        generator_cpu_share: report.generator.busy_share(),
        generator_late_p99_us: report.generator.late_p99_us,
        steal_share: Some(sample.machine.used.stolen_share()),
        drain_ms: Some(measured.drained.drain_ms),
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
