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

/// Least share of their windows that merged runs must have in common.
const OVERLAP_SHARE_MIN: f64 = 0.95;

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
        kept(outcome),
        idle(outcome),
        wrong_bodies(outcome),
        together(outcome),
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

fn kept(outcome: &Outcome) -> Option<String> {
    let closed = outcome.connections_closed;
    (closed > 0).then(|| {
        format!("{closed} connections that were to be kept were closed by the server after a reply")
    })
}

fn idle(outcome: &Outcome) -> Option<String> {
    let idle = outcome.idle.as_ref()?;
    if idle.opened < idle.asked {
        return Some(format!(
            "{} of {} idle connections were opened",
            idle.opened, idle.asked
        ));
    }
    (idle.closed_by_server > 0).then(|| {
        format!(
            "{} of {} idle connections were closed by the server",
            idle.closed_by_server, idle.opened
        )
    })
}

fn together(outcome: &Outcome) -> Option<String> {
    let share = outcome.overlap_share;
    (share < OVERLAP_SHARE_MIN).then(|| {
        format!(
            "the windows of the {} runs have {:.0} % in common: rates are added as if it were all",
            outcome.runs,
            share * 100.0
        )
    })
}

fn wrong_bodies(outcome: &Outcome) -> Option<String> {
    let wrong = outcome.errors.get(Class::WrongBody.name())?;
    Some(format!("{wrong} wrong bodies"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Ledger, Window};
    use crate::mix::Draw;
    use crate::outcome::IdleOutcome;
    use crate::plan::Plan;
    use crate::record::{Begun, Beside, Record};
    use crate::worker::{Report, Usage};

    const SECOND_NS: u64 = 1_000_000_000;

    /// Four connections in a closed loop for a second, each reply after exactly a millisecond.
    fn sound() -> Outcome {
        let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
        plan.connections = 4;
        let mut ledger = Ledger::new(&plan);
        ledger.open(Window {
            start_ns: SECOND_NS,
            end_ns: 2 * SECOND_NS,
        });
        for n in 0..4000 {
            let start_ns = SECOND_NS + n / 4 * 1_000_000;
            let mut flight = ledger.schedule(start_ns, Draw::default());
            flight.sent_ns = start_ns;
            ledger.sent(&flight);
            ledger.settle(&flight, None, start_ns + 1_000_000);
        }
        let usage = Usage {
            wall_ns: SECOND_NS,
            cpu_ns: SECOND_NS / 10,
            ..Usage::default()
        };
        let report = Report {
            books: ledger.close(),
            usage,
            alive: 4,
            lost: 0,
            closed: 0,
            silent: 0,
        };
        Outcome::new(&Record::new(
            &plan,
            vec![report],
            Beside::default(),
            Begun::default(),
            false,
        ))
    }

    #[test]
    fn a_sound_run_passes_and_its_figures_agree() {
        let outcome = sound();
        assert!(
            outcome.valid && outcome.reasons.is_empty(),
            "{:?}",
            outcome.reasons
        );
        assert_eq!(
            (outcome.requests, outcome.scheduled, outcome.sent),
            (4000, 4000, 4000)
        );
        // The last four replies come at the end of the window, which is not part of it.
        assert_eq!(outcome.rate_achieved, 3996.0);
        assert!((outcome.mean_in_flight - 4.0).abs() < 1e-9);
        assert!((outcome.generator.cpu_us_per_request - 25.0).abs() < 0.1);
        assert_eq!(outcome.slip_us.max, Some(0.0));
    }

    #[test]
    fn each_gate_closes() {
        type Damage = fn(&mut Outcome);
        let gates: [(&str, Damage); 13] = [
            ("sent/scheduled", |o| o.sent = 3900),
            ("generator-late", |o| o.generator.late_p99_us = 101.0),
            ("limited: generator CPU", |o| {
                o.generator.busiest_thread_share = 0.86;
            }),
            ("Little's law", |o| o.rate_achieved *= 0.96),
            ("1 connections were lost", |o| o.connections_lost = 1),
            ("2 connections that were to be kept", |o| {
                o.connections_closed = 2;
            }),
            ("3 of 4 connections", |o| o.connections_alive = 3),
            ("outcomes add up", |o| o.requests -= 1),
            ("no request was due", |o| (o.requests, o.scheduled) = (0, 0)),
            ("6 of 7 idle connections were opened", |o| {
                o.idle = Some(IdleOutcome {
                    asked: 7,
                    opened: 6,
                    open_at_end: 6,
                    closed_by_server: 0,
                });
            }),
            ("2 of 7 idle connections were closed", |o| {
                o.idle = Some(IdleOutcome {
                    asked: 7,
                    opened: 7,
                    open_at_end: 5,
                    closed_by_server: 2,
                });
            }),
            ("the windows of the 1 runs have 90 %", |o| {
                o.overlap_share = 0.9;
            }),
            ("1 wrong bodies", |o| {
                o.scheduled += 1;
                o.errors.insert("wrong_body", 1);
            }),
        ];
        for (expected, damage) in gates {
            let mut outcome = sound();
            damage(&mut outcome);
            let reasons = reasons(&outcome);
            assert_eq!(reasons.len(), 1, "{expected}: {reasons:?}");
            assert!(reasons[0].starts_with(expected), "{expected}: {reasons:?}");
        }
    }

    #[test]
    fn lateness_is_judged_against_the_reported_latency() {
        let mut outcome = sound();
        outcome.response_us.p99 = Some(10_000.0);
        outcome.generator.late_p99_us = 499.0;
        assert!(reasons(&outcome).is_empty());
        outcome.generator.late_p99_us = 501.0;
        assert_eq!(reasons(&outcome).len(), 1);
        outcome.response_us.p99 = None;
        assert!(reasons(&outcome).is_empty());
    }

    #[test]
    fn a_full_generator_invalidates_an_open_loop() {
        let mut outcome = sound();
        outcome.mode = "open";
        outcome.generator.busiest_thread_share = 0.9;
        assert!(reasons(&outcome)[0].starts_with("generator CPU"));
    }
}
