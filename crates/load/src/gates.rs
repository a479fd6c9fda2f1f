//! When a run may be believed: the gates that the generator itself can judge.

use schema::load::{LoadResult, Mode};
use schema::{Code, Effect, Reason, gates};

use crate::class::Class;
use crate::record::Record;
use crate::result;

/// Judges a run: adds to its record the reasons why it may not be believed, and returns its
/// result with the verdict.
pub(crate) fn judge(record: &mut Record) -> LoadResult {
    let mut result = result::of(record);
    for reason in reasons(&result) {
        record.add_reason(reason);
    }
    result.reasons = record.reasons.clone();
    result.valid = !result.reasons.any(Effect::Invalidates) && !result.reasons.any(Effect::Limits);
    result
}

/// A reason for each gate that the run does not pass.
fn reasons(result: &LoadResult) -> Vec<Reason> {
    let gates = [
        scheduled(result),
        sent(result),
        late(result),
        cpu(result),
        little(result),
        alive(result),
        kept(result),
        idle(result),
        wrong_bodies(result),
        together(result),
    ];
    gates.into_iter().flatten().collect()
}

fn invalid(code: Code, text: impl Into<String>) -> Reason {
    Reason::new(code, Effect::Invalidates, text)
}

fn scheduled(result: &LoadResult) -> Option<Reason> {
    let scheduled = result.scheduled;
    if scheduled == 0 {
        return Some(invalid(
            Code::NothingDue,
            "no request was due in the window",
        ));
    }
    let outcomes = result.requests + result.failures();
    (outcomes != scheduled).then(|| {
        invalid(
            Code::OutcomesDoNotAddUp,
            format!("outcomes add up to {outcomes}, scheduled were {scheduled}"),
        )
        .with("outcomes", outcomes as f64)
        .with("scheduled", scheduled as f64)
    })
}

fn sent(result: &LoadResult) -> Option<Reason> {
    let (share, min) = (
        result.sent as f64 / result.scheduled.max(1) as f64,
        gates::SENT_SHARE_MIN,
    );
    (share < min && result.scheduled > 0).then(|| {
        invalid(
            Code::NotSent,
            format!("sent/scheduled {share:.3} is below {min}"),
        )
        .with("sent_share", share)
        .with("sent_share_min", min)
    })
}

fn late(result: &LoadResult) -> Option<Reason> {
    let late_us = result.generator.late_p99_us?;
    // An infinite p99 allows any lateness: the generator did not make it what it is.
    let allowed_us = gates::late_us_max(result.response_us.p99.unwrap_or(f64::INFINITY));
    (late_us > allowed_us).then(|| {
        invalid(
            Code::GeneratorLate,
            format!("generator-late p99 {late_us:.0} µs is above {allowed_us:.0} µs"),
        )
        .with("late_p99_us", late_us)
        .with("late_p99_max_us", allowed_us)
    })
}

fn cpu(result: &LoadResult) -> Option<Reason> {
    let share = result.generator.busiest_thread_share?;
    let max = gates::GENERATOR_CPU_SHARE_MAX;
    let effect = match result.mode {
        // A closed loop goes as fast as the slower side; when that is the generator, the figures
        // are a lower bound of what the server can do, and not wrong.
        Mode::Closed => Effect::Limits,
        Mode::Open => Effect::Invalidates,
    };
    (share > max).then(|| {
        let (percent, most) = (share * 100.0, max * 100.0);
        let text = format!("generator CPU {percent:.0} % is above {most:.0} %");
        Reason::new(Code::GeneratorCpu, effect, text)
            .with("busiest_thread_share", share)
            .with("busiest_thread_share_max", max)
    })
}

fn little(result: &LoadResult) -> Option<Reason> {
    if result.mode == Mode::Open {
        return None;
    }
    let asked = (result.connections * result.pipeline) as f64;
    let mean_us = result.response_us.mean.unwrap_or(0.0) + result.closing_mean_us;
    let found = result.rate_achieved * mean_us / 1e6;
    ((asked - found).abs() > gates::LITTLE_GAP_MAX * asked).then(|| {
        invalid(
            Code::LittlesLaw,
            format!(
                "Little's law: throughput times response is {found:.2} in flight, not {asked:.0}"
            ),
        )
        .with("found_in_flight", found)
        .with("asked_in_flight", asked)
    })
}

fn alive(result: &LoadResult) -> Option<Reason> {
    let (asked, alive) = (result.connections as u64, result.connections_alive);
    let lost = result.connections_lost;
    if lost > 0 {
        let text = format!("{lost} connections were lost");
        return Some(invalid(Code::ConnectionsLost, text).with("lost_connections", lost as f64));
    }
    (!result.new_connection && alive != asked).then(|| {
        invalid(
            Code::ConnectionsMissing,
            format!("{alive} of {asked} connections were alive"),
        )
        .with("alive_connections", alive as f64)
        .with("asked_connections", asked as f64)
    })
}

fn kept(result: &LoadResult) -> Option<Reason> {
    let closed = result.connections_closed;
    (closed > 0).then(|| {
        invalid(
            Code::ConnectionsClosed,
            format!(
                "{closed} connections that were to be kept were closed by the server after a reply"
            ),
        )
        .with("closed_connections", closed as f64)
    })
}

fn idle(result: &LoadResult) -> Option<Reason> {
    let idle = result.idle.as_ref()?;
    let (asked, opened, closed) = (idle.asked, idle.opened, idle.closed_by_server);
    let (code, text) = if opened < asked {
        let text = format!("{opened} of {asked} idle connections were opened");
        (Code::IdleMissing, text)
    } else if closed > 0 {
        let text = format!("{closed} of {opened} idle connections were closed by the server");
        (Code::IdleClosed, text)
    } else {
        return None;
    };
    Some(
        invalid(code, text)
            .with("asked_connections", asked as f64)
            .with("opened_connections", opened as f64)
            .with("closed_connections", closed as f64),
    )
}

fn together(result: &LoadResult) -> Option<Reason> {
    let (runs, share) = (result.runs, result.overlap_share);
    (share < gates::OVERLAP_SHARE_MIN).then(|| {
        invalid(
            Code::WindowsApart,
            format!(
                "the windows of the {runs} runs have {:.0} % in common: rates are added as if it \
                 were all",
                share * 100.0
            ),
        )
        .with("overlap_share", share)
        .with("overlap_share_min", gates::OVERLAP_SHARE_MIN)
    })
}

fn wrong_bodies(result: &LoadResult) -> Option<Reason> {
    let wrong = *result.errors.get(Class::WrongBody.name())?;
    let text = format!("{wrong} wrong bodies");
    Some(invalid(Code::WrongBodies, text).with("wrong_replies", wrong as f64))
}

#[cfg(test)]
mod tests {
    use schema::load::IdleFigures;

    use super::*;
    use crate::ledger::{Ledger, Window};
    use crate::mix::Draw;
    use crate::plan::Plan;
    use crate::record::{Begun, Beside, Record};
    use crate::worker::{Report, Usage};

    const SECOND_NS: u64 = 1_000_000_000;

    /// Four connections in a closed loop for a second, each reply after exactly a millisecond.
    fn sound() -> LoadResult {
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
        judge(&mut Record::new(
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
        let cpu_us = outcome.generator.cpu_us_per_request;
        assert!(cpu_us.is_some_and(|us| (us - 25.0).abs() < 0.1));
        assert_eq!(outcome.slip_us.max, Some(0.0));
    }

    #[test]
    fn each_gate_closes() {
        type Damage = fn(&mut LoadResult);
        let gates: [(Code, &str, Damage); 13] = [
            (Code::NotSent, "sent/scheduled", |o| o.sent = 3900),
            (Code::GeneratorLate, "generator-late", |o| {
                o.generator.late_p99_us = Some(101.0);
            }),
            (Code::GeneratorCpu, "generator CPU", |o| {
                o.generator.busiest_thread_share = Some(0.86);
            }),
            (Code::LittlesLaw, "Little's law", |o| {
                o.rate_achieved *= 0.96;
            }),
            (Code::ConnectionsLost, "1 connections were lost", |o| {
                o.connections_lost = 1;
            }),
            (
                Code::ConnectionsClosed,
                "2 connections that were to be kept",
                |o| {
                    o.connections_closed = 2;
                },
            ),
            (Code::ConnectionsMissing, "3 of 4 connections", |o| {
                o.connections_alive = 3;
            }),
            (Code::OutcomesDoNotAddUp, "outcomes add up", |o| {
                o.requests -= 1;
            }),
            (Code::NothingDue, "no request was due", |o| {
                (o.requests, o.scheduled) = (0, 0);
            }),
            (
                Code::IdleMissing,
                "6 of 7 idle connections were opened",
                |o| {
                    o.idle = Some(IdleFigures {
                        asked: 7,
                        opened: 6,
                        open_at_end: 6,
                        closed_by_server: 0,
                    });
                },
            ),
            (
                Code::IdleClosed,
                "2 of 7 idle connections were closed",
                |o| {
                    o.idle = Some(IdleFigures {
                        asked: 7,
                        opened: 7,
                        open_at_end: 5,
                        closed_by_server: 2,
                    });
                },
            ),
            (
                Code::WindowsApart,
                "the windows of the 1 runs have 90 %",
                |o| {
                    o.overlap_share = 0.9;
                },
            ),
            (Code::WrongBodies, "1 wrong bodies", |o| {
                o.scheduled += 1;
                o.errors.insert("wrong_body".to_owned(), 1);
            }),
        ];
        for (code, expected, damage) in gates {
            let mut outcome = sound();
            damage(&mut outcome);
            let reasons = reasons(&outcome);
            assert_eq!(reasons.len(), 1, "{expected}: {reasons:?}");
            assert!(reasons[0].text.starts_with(expected), "{reasons:?}");
            assert_eq!(reasons[0].code, code);
            let limits = reasons[0].effect == Effect::Limits;
            assert_eq!(limits, code == Code::GeneratorCpu, "{reasons:?}");
        }
    }

    #[test]
    fn lateness_is_judged_against_the_reported_latency() {
        let mut outcome = sound();
        outcome.response_us.p99 = Some(10_000.0);
        outcome.generator.late_p99_us = Some(499.0);
        assert!(reasons(&outcome).is_empty());
        outcome.generator.late_p99_us = Some(501.0);
        assert_eq!(reasons(&outcome).len(), 1);
        outcome.response_us.p99 = None;
        assert!(reasons(&outcome).is_empty());
    }

    #[test]
    fn a_full_generator_invalidates_an_open_loop() {
        let mut outcome = sound();
        outcome.mode = Mode::Open;
        outcome.generator.busiest_thread_share = Some(0.9);
        let found = &reasons(&outcome)[0];
        let expected = (Code::GeneratorCpu, Effect::Invalidates);
        assert_eq!((found.code, found.effect), expected);
    }
}
