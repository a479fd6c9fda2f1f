//! The figures of a load in steps: those of each step, goodput, and the time to recover.

use report::data::{KindFigures, Objective, PhaseFigures, Slice};
use schema::load::{self, LoadResult, SliceFigures};

use crate::plan::visit::Step;

/// The step after which recovery is timed.
const PEAK: &str = "twice";

/// The slices of a window.
pub fn timeline(load: &LoadResult) -> Vec<Slice> {
    let slice = |slice: &SliceFigures| Slice {
        start_s: slice.start_s,
        duration_s: slice.duration_s,
        scheduled: slice.scheduled,
        requests: slice.requests,
        errors: slice.errors_total,
        p50_us: slice.p50_us,
        p99_us: slice.p99_us,
    };
    load.timeline.iter().map(slice).collect()
}

/// The kinds of a mix.
pub fn kinds(load: &LoadResult) -> Vec<KindFigures> {
    let kind = |kind: &load::KindFigures| KindFigures {
        name: format!("{} {}", kind.method, kind.path),
        scheduled: kind.scheduled,
        requests: kind.requests,
        errors: kind.failures(),
        response_us: kind.response_us,
    };
    load.kinds.iter().map(kind).collect()
}

/// The figures of the steps, which are named as in the plan.
///
/// Goodput counts the replies that came within the objective's time: under twice the capacity every
/// request may be answered in the end, and none in time to be of use. The generator counts them one by
/// one.
pub fn phases(
    load: &LoadResult,
    steps: &[Step],
    objective: Option<Objective>,
) -> Vec<PhaseFigures> {
    let of = |(phase, step): (&load::PhaseFigures, &Step)| {
        let good = match objective {
            Some(_) => phase.within_objective.unwrap_or(0),
            None => phase.requests,
        };
        PhaseFigures {
            name: step.name.to_owned(),
            rate: step.rate,
            start_s: phase.start_s,
            duration_s: phase.duration_s,
            scheduled: phase.scheduled,
            requests: phase.requests,
            errors: phase.failures(),
            response_us: phase.response_us,
            goodput_rps: good as f64 / phase.duration_s.max(1e-9),
        }
    };
    load.phases.iter().zip(steps).map(of).collect()
}

/// The time from the end of the step above the capacity until the objective is kept again, up to the end
/// of the window and without an error, ms; `None` where that is not within the window.
///
/// A slice is judged by the requests that were due in it: those that waited behind the queue of the
/// step before are late.
pub fn recovery_ms(load: &LoadResult, steps: &[Step], objective: Objective) -> Option<f64> {
    let peak = steps.iter().position(|step| step.name == PEAK)?;
    let peak = load.phases.get(peak)?;
    let end_s = peak.start_s + peak.duration_s;
    let is_after = |m: &&SliceFigures| m.start_s + m.duration_s / 2.0 >= end_s;
    let after: Vec<&SliceFigures> = load.timeline.iter().filter(is_after).collect();
    let kept = |m: &&&SliceFigures| {
        let quick = m.p99_us.is_some_and(|p99_us| p99_us <= objective.p99_us);
        m.errors_total == 0 && (quick || m.scheduled == 0)
    };
    let last = after.iter().rev().take_while(kept).count();
    let first = after.get(after.len().checked_sub(last)?)?;
    Some(((first.start_s - end_s) * 1e3).max(0.0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OBJECTIVE: Objective = Objective {
        p99_us: 20_000.0,
        errors_max_share: 0.001,
        percentile: 99.0,
        kinds: None,
    };

    /// 0.5 s at 1,000/s, 0.5 s at 4,000/s, 1 s at 1,000/s; slices of 0.1 s with these p99s, ms.
    fn overloaded(p99_ms: [Option<f64>; 20], errors_at: Option<usize>) -> (LoadResult, Vec<Step>) {
        let plan = [
            ("half", 1_000.0, 0.5),
            ("twice", 4_000.0, 0.5),
            ("recovery", 1_000.0, 1.0),
        ];
        let mut load = LoadResult::default();
        let mut start_s = 0.0;
        for (_, rate, duration_s) in plan {
            let scheduled = (rate * duration_s) as u64;
            load.phases.push(load::PhaseFigures {
                rate_from: rate,
                start_s,
                duration_s,
                scheduled,
                requests: scheduled,
                within_objective: Some(scheduled * 3 / 4 + 1),
                ..load::PhaseFigures::default()
            });
            start_s += duration_s;
        }
        for (i, p99_ms) in p99_ms.into_iter().enumerate() {
            let start_s = i as f64 * 0.1;
            let rate = if (5..10).contains(&i) { 4_000 } else { 1_000 };
            load.timeline.push(SliceFigures {
                start_s,
                duration_s: 0.1,
                scheduled: rate / 10,
                requests: rate / 10,
                errors_total: u64::from(errors_at == Some(i)),
                p50_us: p99_ms.map(|ms| ms * 500.0),
                p99_us: p99_ms.map(|ms| ms * 1_000.0),
                ..SliceFigures::default()
            });
        }
        let steps = plan.map(|(name, rate, s)| Step {
            name,
            rate,
            duration: Duration::from_secs_f64(s),
        });
        (load, steps.to_vec())
    }

    /// Responses in time, then a queue that grows through the peak and has gone 0.4 s after it.
    fn usual() -> [Option<f64>; 20] {
        std::array::from_fn(|i| match i {
            0..5 => Some(1.0),
            5..10 => Some(30.0 * (i - 4) as f64),
            10..14 => Some(100.0),
            _ => Some(2.0),
        })
    }

    #[test]
    fn recovery_is_timed_from_the_end_of_the_peak() {
        let (load, steps) = overloaded(usual(), None);
        let recovered = recovery_ms(&load, &steps, OBJECTIVE).expect("it recovers");
        assert!((recovered - 400.0).abs() < 1.0, "{recovered}");
    }

    #[test]
    fn a_relapse_an_error_and_no_end_are_no_recovery() {
        let mut relapse = usual();
        relapse[17] = Some(40.0);
        let (load, steps) = overloaded(relapse, None);
        let recovered = recovery_ms(&load, &steps, OBJECTIVE).expect("in the end");
        assert!((recovered - 800.0).abs() < 1.0, "{recovered}");
        let (load, steps) = overloaded(usual(), Some(15));
        let recovered = recovery_ms(&load, &steps, OBJECTIVE).expect("in the end");
        assert!((recovered - 600.0).abs() < 1.0, "{recovered}");
        let mut never = usual();
        never[19] = None;
        let (load, steps) = overloaded(never, None);
        assert_eq!(recovery_ms(&load, &steps, OBJECTIVE), None);
    }

    #[test]
    fn goodput_is_what_came_in_time() {
        let (load, steps) = overloaded(usual(), None);
        let phases = phases(&load, &steps, Some(OBJECTIVE));
        let names: Vec<&str> = phases.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["half", "twice", "recovery"]);
        // 376 of 500, 1,501 of 2,000 and 751 of 1,000, as they were counted, whatever the percentiles
        // of the slices are.
        let goodput: Vec<f64> = phases.iter().map(|p| p.goodput_rps).collect();
        assert_eq!(goodput, [752.0, 3_002.0, 751.0]);
    }

    #[test]
    fn without_an_objective_every_correct_answer_is_good() {
        let (load, steps) = overloaded(usual(), None);
        let phases = phases(&load, &steps, None);
        assert_eq!(phases[1].goodput_rps, 4_000.0);
    }
}
