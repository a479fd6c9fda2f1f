//! A sound run passes every gate; each kind of damage is stopped by one.

use schema::load::IdleFigures;

use super::*;
use crate::extra_clients::ExtraCounts;
use crate::mix::Draw;
use crate::plan::Plan;
use crate::record::{RunRecord, StartTimes};
use crate::recorder::Recorder;
use crate::thread_result::{ThreadResult, Usage};
use crate::window::Window;

const SECOND_NS: u64 = 1_000_000_000;

/// Four connections in a closed loop for a second, each reply after exactly a millisecond.
fn sound() -> LoadResult {
    let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
    plan.connections = 4;
    let mut recorder = Recorder::new(&plan);
    recorder.set_window(Window {
        start_ns: SECOND_NS,
        end_ns: 2 * SECOND_NS,
    });
    for n in 0..4000 {
        let start_ns = SECOND_NS + n / 4 * 1_000_000;
        let mut pending = recorder.schedule(start_ns, Draw::default());
        pending.sent_ns = start_ns;
        recorder.sent(&pending);
        recorder.finish(&pending, None, start_ns + 1_000_000);
    }
    let usage = Usage {
        wall_ns: SECOND_NS,
        cpu_ns: SECOND_NS / 10,
        ..Usage::default()
    };
    let result = ThreadResult {
        counts: recorder.into_counts(),
        usage,
        alive: 4,
        lost: 0,
        closed: 0,
        closed_idle: 0,
        silent: 0,
    };
    apply(&mut RunRecord::new(
        &plan,
        vec![result],
        ExtraCounts::default(),
        StartTimes::default(),
        false,
    ))
}

#[test]
fn a_sound_run_passes_and_its_figures_agree() {
    let result = sound();
    assert!(
        result.valid && result.reasons.is_empty(),
        "{:?}",
        result.reasons
    );
    assert_eq!(
        (result.requests, result.scheduled, result.sent),
        (4000, 4000, 4000)
    );
    // The last four replies come at the end of the window, which is not part of it.
    assert_eq!(result.rate_achieved, 3996.0);
    assert!((result.mean_in_flight - 4.0).abs() < 1e-9);
    let cpu_us = result.generator.cpu_us_per_request;
    assert!(cpu_us.is_some_and(|us| (us - 25.0).abs() < 0.1));
    assert_eq!(result.slip_us.max, Some(0.0));
}

#[test]
fn each_gate_closes() {
    type Damage = fn(&mut LoadResult);
    let gates: [(Code, &str, Damage); 13] = [
        (Code::NotSent, "only 0.975 of the scheduled", |o| {
            o.sent = 3900;
        }),
        (
            Code::GeneratorLate,
            "the generator was late: p99 101 µs, 100 µs",
            |o| {
                o.generator.late_p99_us = Some(101.0);
            },
        ),
        (
            Code::GeneratorCpu,
            "the busiest thread of the generator used 86 %",
            |o| {
                o.generator.busiest_thread_share = Some(0.86);
            },
        ),
        (Code::LittlesLaw, "Little's law", |o| {
            o.rate_achieved *= 0.96;
        }),
        (Code::ConnectionsLost, "1 connections were lost", |o| {
            o.connections_lost = 1;
        }),
        (
            Code::ConnectionsClosed,
            "the server closed 2 connections that",
            |o| {
                o.connections_closed = 2;
            },
        ),
        (Code::ConnectionsMissing, "only 3 of 4 connections", |o| {
            o.connections_alive = 3;
        }),
        (
            Code::OutcomesDoNotAddUp,
            "the outcomes add up to 3999",
            |o| {
                o.requests -= 1;
            },
        ),
        (Code::NothingDue, "no request was due", |o| {
            (o.requests, o.scheduled) = (0, 0);
        }),
        (
            Code::IdleMissing,
            "only 6 of 7 idle connections were opened",
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
            "the windows of the 1 runs have only 90 %",
            |o| {
                o.overlap_share = 0.9;
            },
        ),
        (Code::WrongBodies, "1 replies had a wrong body", |o| {
            o.scheduled += 1;
            o.errors.insert("wrong_body".to_owned(), 1);
        }),
    ];
    for (code, expected, damage) in gates {
        let mut result = sound();
        damage(&mut result);
        let reasons = reasons(&result, little);
        assert_eq!(reasons.len(), 1, "{expected}: {reasons:?}");
        assert!(reasons[0].text.starts_with(expected), "{reasons:?}");
        assert_eq!(reasons[0].code, code);
        let limits = reasons[0].effect == Effect::Limits;
        assert_eq!(limits, code == Code::GeneratorCpu, "{reasons:?}");
    }
}

#[test]
fn lateness_is_judged_against_the_reported_latency() {
    let mut result = sound();
    result.response_us.p99 = Some(10_000.0);
    result.generator.late_p99_us = Some(499.0);
    assert!(reasons(&result, little).is_empty());
    result.generator.late_p99_us = Some(501.0);
    assert_eq!(reasons(&result, little).len(), 1);
    result.response_us.p99 = None;
    assert!(reasons(&result, little).is_empty());
}

#[test]
fn a_full_generator_invalidates_an_open_loop() {
    let mut result = sound();
    result.mode = Mode::Open;
    result.generator.busiest_thread_share = Some(0.9);
    let found = &reasons(&result, little)[0];
    let expected = (Code::GeneratorCpu, Effect::Invalidates);
    assert_eq!((found.code, found.effect), expected);
}

#[test]
fn a_slice_counts_what_was_in_flight_and_not_what_ended_in_time() {
    // Sixteen in flight, each for 16 ms, in 0.2 s: the last sixteen end behind it.
    let mut slice = LoadResult {
        mode: Mode::Closed,
        connections: 16,
        pipeline: 1,
        rate_achieved: 184.0 / 0.2,
        response_us: schema::load::Latency {
            mean: Some(16_000.0),
            ..schema::load::Latency::default()
        },
        mean_in_flight: 16.0,
        ..LoadResult::default()
    };
    assert!(
        little(&slice).is_some(),
        "a whole run would not be believed"
    );
    assert_eq!(in_flight(&slice), None);
    slice.mean_in_flight = 15.0;
    let reason = in_flight(&slice).unwrap();
    assert!(reason.concerns(Figure::Latency) && !reason.concerns(Figure::ServerCpu));
}

#[test]
fn clients_that_think_are_not_missed_and_a_late_generator_is_told() {
    let mut result = sound();
    // Of twelve clients eight think, for 2 ms each; a reply takes 1 ms.
    result.connections = 12;
    result.connections_alive = 12;
    assert_eq!(reasons(&result, little)[0].code, Code::LittlesLaw);
    (result.think_ms, result.mean_thinking) = (2.0, 8.0);
    assert!(reasons(&result, little).is_empty() && reasons(&result, in_flight).is_empty());
    // Late by 3 % of 3 ms, and by more: the throughput is a lower bound, and responses are what they are.
    result.late_us.mean = Some(89.0);
    assert!(reasons(&result, little).is_empty());
    result.late_us.mean = Some(91.0);
    let found = &reasons(&result, little)[0];
    let expected = (Code::GeneratorLate, Effect::Limits);
    assert_eq!((found.code, found.effect), expected);
    assert!(found.concerns(Figure::Throughput) && !found.concerns(Figure::Latency));
}
