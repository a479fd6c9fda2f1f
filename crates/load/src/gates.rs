//! When a run may be believed: the gates that the generator itself can judge.

use crate::class::Class;
use crate::outcome::Outcome;

/// Least share of the scheduled requests that must have been sent.
const SENT_SHARE_MIN: f64 = 0.99;

/// Lateness that is always allowed, 99th percentile, microseconds.
const LATE_P99_US_MAX: f64 = 100.0;

/// Lateness allowed as a share of the reported 99th percentile.
const LATE_SHARE_MAX: f64 = 0.05;

/// Most CPU a generator thread may need before it is itself the bottleneck.
const CPU_SHARE_MAX: f64 = 0.85;

/// How far |N - X R| may be from zero, as a share of N.
const LITTLE_GAP_MAX: f64 = 0.03;

/// One line a gate that the run does not pass; none when it is valid.
pub(crate) fn reasons(outcome: &Outcome) -> Vec<String> {
    let closed = outcome.mode == "closed";
    let gates = [
        scheduled(outcome),
        sent(outcome),
        late(outcome),
        cpu(outcome, closed),
        if closed { little(outcome) } else { None },
        alive(outcome),
        wrong_bodies(outcome),
    ];
    gates.into_iter().flatten().collect()
}

fn scheduled(outcome: &Outcome) -> Option<String> {
    if outcome.scheduled == 0 {
        return Some("no request was due in the window".to_owned());
    }
    let sum = outcome.requests + outcome.failures();
    (sum != outcome.scheduled).then(|| {
        format!(
            "outcomes add up to {sum}, scheduled were {}",
            outcome.scheduled
        )
    })
}

fn sent(outcome: &Outcome) -> Option<String> {
    let share = outcome.sent as f64 / outcome.scheduled.max(1) as f64;
    (share < SENT_SHARE_MIN && outcome.scheduled > 0)
        .then(|| format!("sent/scheduled {share:.3} is below {SENT_SHARE_MIN}"))
}

fn late(outcome: &Outcome) -> Option<String> {
    // An infinite p99 allows any lateness: the generator did not make it what it is.
    let p99_us = outcome.response_us.p99.unwrap_or(f64::INFINITY);
    let allowed_us = LATE_P99_US_MAX.max(LATE_SHARE_MAX * p99_us);
    let late_us = outcome.generator.late_p99_us;
    (late_us > allowed_us)
        .then(|| format!("generator-late p99 {late_us:.0} µs is above {allowed_us:.0} µs"))
}

fn cpu(outcome: &Outcome, closed: bool) -> Option<String> {
    let share = outcome.generator.busiest_thread_share;
    // A closed loop goes as fast as the slower side; when that is the generator, the figures are
    // a lower bound of what the server can do, and not wrong.
    let prefix = if closed { "limited: " } else { "" };
    (share > CPU_SHARE_MAX).then(|| {
        let (percent, most) = (share * 100.0, CPU_SHARE_MAX * 100.0);
        format!("{prefix}generator CPU {percent:.0} % is above {most:.0} %")
    })
}

fn little(outcome: &Outcome) -> Option<String> {
    let asked = (outcome.connections * outcome.pipeline) as f64;
    let mean_us = outcome.response_us.mean.unwrap_or(0.0) + outcome.closing_mean_us;
    let found = outcome.rate_achieved * mean_us / 1e6;
    ((asked - found).abs() > LITTLE_GAP_MAX * asked).then(|| {
        format!("Little's law: throughput times response is {found:.2} in flight, not {asked:.0}")
    })
}

fn alive(outcome: &Outcome) -> Option<String> {
    let asked = outcome.connections as u64;
    if outcome.connections_lost > 0 {
        return Some(format!(
            "{} connections were lost",
            outcome.connections_lost
        ));
    }
    (!outcome.new_connection && outcome.connections_alive != asked).then(|| {
        format!(
            "{} of {asked} connections were alive",
            outcome.connections_alive
        )
    })
}

fn wrong_bodies(outcome: &Outcome) -> Option<String> {
    let wrong = outcome.errors.get(Class::WrongBody.name())?;
    Some(format!("{wrong} wrong bodies"))
}
