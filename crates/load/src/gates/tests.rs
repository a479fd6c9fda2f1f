//! A sound run passes every gate; each kind of damage is stopped by one.

use schema::load::IdleFigures;

use super::*;
use crate::beside::Beside;
use crate::ledger::Ledger;
use crate::mix::Draw;
use crate::plan::Plan;
use crate::record::{Begun, Record};
use crate::thread_result::{Report, Usage};
use crate::window::Window;

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
