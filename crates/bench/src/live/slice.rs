//! One slice: a short load on one server, over connections that stay.

use report::data::Mode;
use schema::load::LoadResult;
use schema::{Code, Effect, Figure};
use serde::Serialize;

use crate::judge::gates;
use crate::observe::measured::Sample;
use crate::run::held::Held;

/// Fewer requests do not have a 99th percentile.
pub const REQUESTS_MIN_FOR_P99: u64 = 400;

/// A late generator spoils a 99th percentile sooner than a median: that counts as long as nine of ten
/// requests were late by no more than this part of it.
const LATE_SHARE_OF_P50: f64 = 0.05;

/// What one slice says. `None` is not known, or not to be used.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Slice {
    /// CPU of the server's tree, µs per right answer.
    pub cpu_us: Option<f64>,
    /// Its context switches per right answer.
    pub switches: Option<f64>,
    /// Right answers per second.
    pub throughput_rps: Option<f64>,
    /// Median of the response, µs.
    pub p50_us: Option<f64>,
    /// Its 99th percentile, µs.
    pub p99_us: Option<f64>,
    /// Requests that were not answered rightly, by the server's doing.
    pub failures: u64,
    /// Requests due.
    pub scheduled: u64,
    /// Connections that got no reply.
    pub silent: u64,
    /// `true` where the generator was the limit.
    pub generator_bound: bool,
    /// `true` where the median is not to be used, because the generator sent too late...
    pub late_p50: bool,
    /// ...and where the 99th percentile is not.
    pub late_p99: bool,
    /// The share of the CPUs that others used, where that was too much for anything else to be known.
    pub shared_by: Option<f64>,
}

/// Both servers in one rotation.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rotation {
    /// Which start of the servers it was measured on, from 1.
    pub start: u32,
    /// Open loop: A, then B.
    pub open: [Slice; 2],
    /// Closed loop.
    pub closed: [Slice; 2],
}

/// What a sample of `own` says, beside what the samples of `other` say of who else uses the CPUs.
pub fn of_pair(own: &Held, mut sample: Sample, other: &Held) -> Slice {
    let beyond = own.beside.beyond([&own.beside, &other.beside].into_iter());
    sample.others.beside(beyond);
    of(&sample)
}

/// What a sample says.
fn of(sample: &Sample) -> Slice {
    let load = &sample.load;
    let read = read(load);
    if gates::is_shared(&sample.others) {
        // A server that does not get its CPU does not answer in time: that is not its fault either.
        return Slice {
            scheduled: read.scheduled,
            shared_by: Some(sample.others.server.share.max(sample.others.load.share)),
            ..Slice::default()
        };
    }
    Slice {
        cpu_us: sample.cpu_us(),
        switches: sample.switches(),
        ..read
    }
}

/// What the generator's result says, as far as its own gates let it.
pub fn read(load: &LoadResult) -> Slice {
    let (is_open, is_late) = (
        load.mode == Mode::Open,
        load.reasons.has(Code::GeneratorLate),
    );
    let latency = |value: Option<f64>, requests_min: u64| {
        let value = value.or_else(|| (load.failures() > 0).then_some(f64::INFINITY));
        let usable = is_open && load.scheduled >= requests_min;
        // Of a window this short, Little's law is off by what is in flight at its edges.
        let ignored = [Code::LittlesLaw, Code::GeneratorLate];
        value.filter(|_| usable && !is_spoilt(load, Figure::Latency, &ignored))
    };
    let late_p50 = is_late && !is_median_in_time(load);
    let about_latency = [
        Code::GeneratorLate,
        Code::GeneratorCpu,
        Code::NotSent,
        Code::LittlesLaw,
    ];
    let throughput_counts = !is_open && !is_spoilt(load, Figure::Throughput, &about_latency);
    Slice {
        throughput_rps: throughput_counts.then_some(load.rate_achieved),
        p50_us: latency(load.response_us.p50, 1).filter(|_| !late_p50),
        p99_us: latency(load.response_us.p99, REQUESTS_MIN_FOR_P99).filter(|_| !is_late),
        failures: load.failures(),
        scheduled: load.scheduled,
        silent: load.silent_connections.unwrap_or(0),
        generator_bound: load.reasons.has(Code::GeneratorCpu),
        late_p50: is_open && late_p50,
        late_p99: is_open && is_late,
        ..Slice::default()
    }
}

/// Whether something but what is `ignored` spoils a figure.
fn is_spoilt(load: &LoadResult, figure: Figure, ignored: &[Code]) -> bool {
    load.reasons.iter().any(|reason| {
        reason.effect == Effect::Invalidates
            && reason.concerns(figure)
            && !ignored.contains(&reason.code)
    })
}

/// Whether so few requests were sent late that the median of their responses says what it would have said.
fn is_median_in_time(load: &LoadResult) -> bool {
    match (load.late_us.p90, load.response_us.p50) {
        (Some(late_us), Some(p50_us)) => late_us <= LATE_SHARE_OF_P50 * p50_us,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use schema::Reason;

    use super::*;

    fn result(mode: Mode, reasons: Vec<Reason>) -> LoadResult {
        let mut load = LoadResult {
            mode,
            requests: 1_000,
            scheduled: 1_000,
            rate_achieved: 5_000.0,
            reasons: reasons.into(),
            ..LoadResult::default()
        };
        load.response_us.p50 = Some(80.0);
        load.response_us.p99 = Some(300.0);
        load
    }

    #[test]
    fn each_loop_gives_its_own_figures() {
        let open = read(&result(Mode::Open, Vec::new()));
        assert_eq!((open.p50_us, open.p99_us), (Some(80.0), Some(300.0)));
        assert_eq!(open.throughput_rps, None);
        let closed = read(&result(Mode::Closed, Vec::new()));
        assert_eq!(
            (closed.p50_us, closed.throughput_rps),
            (None, Some(5_000.0))
        );
    }

    #[test]
    fn a_late_generator_spoils_latency_and_a_short_window_no_throughput() {
        let reason = |code, effect| vec![Reason::new(code, effect, "")];
        let late = reason(Code::GeneratorLate, Effect::Invalidates);
        let late = read(&result(Mode::Open, late));
        assert_eq!((late.p50_us, late.p99_us), (None, None));
        assert!(late.late_p50 && late.late_p99);
        // Nine of ten were in time: only the tail is spoilt.
        for (p90, p50_us) in [(3.9, Some(80.0)), (4.1, None)] {
            let reason = Reason::new(Code::GeneratorLate, Effect::Invalidates, "");
            let mut load = result(Mode::Open, vec![reason]);
            load.late_us.p90 = Some(p90);
            let slice = read(&load);
            assert_eq!((slice.p50_us, slice.p99_us), (p50_us, None));
            assert_eq!((slice.late_p50, slice.late_p99), (p50_us.is_none(), true));
        }
        let little = reason(Code::LittlesLaw, Effect::Invalidates);
        assert!(read(&result(Mode::Closed, little)).throughput_rps.is_some());
        let wrong = reason(Code::WrongBodies, Effect::Invalidates);
        assert_eq!(read(&result(Mode::Closed, wrong)).throughput_rps, None);
        let bound = read(&result(
            Mode::Closed,
            reason(Code::GeneratorCpu, Effect::Limits),
        ));
        assert!(bound.generator_bound && bound.throughput_rps.is_some());
    }

    #[test]
    fn few_requests_have_no_99th_percentile_and_failures_are_infinite() {
        let mut few = result(Mode::Open, Vec::new());
        few.scheduled = 399;
        assert_eq!((read(&few).p50_us, read(&few).p99_us), (Some(80.0), None));
        let mut failed = result(Mode::Open, Vec::new());
        failed.errors.insert("timeout".into(), 20);
        failed.response_us.p99 = None;
        assert_eq!(read(&failed).p99_us, Some(f64::INFINITY));
    }
}
