use report::data::Latency;

use super::*;

struct Case {
    shape: Shape,
    figures: Figures,
    load: Report,
    ticks: Ticks,
    ceiling: Ceiling,
}

/// A trial that every gate passes: 64 connections, 10,000 requests a second of 6.4 ms.
fn good(mode: Mode) -> Case {
    Case {
        shape: Shape {
            mode,
            rate: (mode == Mode::Open).then_some(10_000.0),
            connections: 64,
            pipeline: 1,
            keep_alive: true,
            path: "/plaintext".into(),
            duration_s: 1.0,
            ..Shape::default()
        },
        figures: Figures {
            scheduled: 10_010,
            requests: 10_000,
            throughput_rps: 10_000.0,
            response_us: Latency {
                count: 10_010,
                mean: Some(6_400.0),
                p99: Some(10_000.0),
                ..Latency::default()
            },
            errors: [("timeout".to_owned(), 10)].into(),
            silent_connections: Some(0),
            generator_cpu_share: Some(0.85),
            generator_late_p99_us: Some(500.0),
            ..Figures::default()
        },
        load: Report {
            valid: true,
            ..Report::default()
        },
        ticks: Ticks {
            all: 200,
            stolen: 2,
        },
        ceiling: Ceiling::Rps(14_286.0),
    }
}

fn verdict(case: &Case) -> Verdict {
    judge(&Evidence {
        shape: &case.shape,
        figures: &case.figures,
        load: &case.load,
        ticks: case.ticks,
        ceiling: case.ceiling,
    })
}

#[test]
fn what_is_just_within_every_limit_is_valid() {
    for mode in [Mode::Closed, Mode::Open] {
        let verdict = verdict(&good(mode));
        assert_eq!(verdict.reasons, Vec::<String>::new());
        assert_eq!(verdict.validity, Validity::Valid);
    }
}

/// Breaks one thing; the one gate that must see it says so, and no other.
#[test]
fn each_gate_fails_for_what_it_is_there_for() {
    use Mode::{Closed, Open};
    use Validity::{Invalid, Limited};
    type Break = fn(&mut Case);
    let table: &[(Mode, Break, Validity, bool, &str)] = &[
        (
            Open,
            |c| (c.figures.requests, c.figures.scheduled) = (0, 10),
            Invalid,
            false,
            "no request was answered",
        ),
        (
            Closed,
            |c| c.figures.scheduled += 1,
            Invalid,
            false,
            "do not add up: 10011 scheduled, 10010",
        ),
        (
            Closed,
            |c| {
                c.figures.errors.insert("wrong_body".into(), 1);
                c.figures.scheduled += 1;
            },
            Invalid,
            false,
            "1 replies had a wrong body",
        ),
        (
            Closed,
            |c| c.figures.response_us.mean = Some(6_200.0),
            Invalid,
            false,
            "Little's law",
        ),
        (
            Closed,
            |c| c.load.closing_mean_us = 200.0,
            Invalid,
            false,
            "Little's law",
        ),
        (
            Closed,
            |c| c.figures.silent_connections = Some(3),
            Limited,
            false,
            "3 of 64 connections",
        ),
        (
            Open,
            |c| c.figures.generator_late_p99_us = Some(501.0),
            Invalid,
            true,
            "was late: p99 501",
        ),
        (
            Open,
            |c| {
                c.figures.response_us.p99 = Some(900.0);
                c.figures.generator_late_p99_us = Some(101.0);
            },
            Invalid,
            true,
            "was late: p99 101 µs, 100 µs",
        ),
        (
            Open,
            |c| c.figures.generator_cpu_share = Some(0.86),
            Limited,
            false,
            "86 % of its CPU",
        ),
        (
            Closed,
            |c| c.ticks.stolen = 3,
            Invalid,
            true,
            "hypervisor took 1.5 %",
        ),
        (
            Closed,
            |c| c.ceiling = Ceiling::Rps(14_000.0),
            Limited,
            false,
            "at least 10000/s, generator-bound: 71 %",
        ),
        (
            Closed,
            |c| c.ceiling = Ceiling::Unknown,
            Limited,
            false,
            "no figure of the null server",
        ),
        (
            Open,
            |c| c.load.reasons = vec!["limited: full".into()],
            Limited,
            false,
            "full",
        ),
        (
            Open,
            |c| c.load.reasons = vec!["2 connections died".into()],
            Invalid,
            false,
            "2 connections died",
        ),
        (
            Open,
            |c| c.load.reasons = vec!["sent/scheduled 0.500 is below 0.99".into()],
            Invalid,
            true,
            "sent/scheduled",
        ),
        (
            Open,
            |c| c.load.generator.busiest_thread_share = Some(0.9),
            Limited,
            false,
            "90 % of its CPU",
        ),
        (
            Open,
            |c| c.load.valid = false,
            Invalid,
            false,
            "calls its run invalid",
        ),
    ];
    for (mode, break_it, validity, noise, says) in table {
        let mut case = good(*mode);
        break_it(&mut case);
        let verdict = verdict(&case);
        assert_eq!(
            (verdict.validity, verdict.noise),
            (*validity, *noise),
            "{says}"
        );
        assert_eq!(verdict.reasons.len(), 1, "{says}: {:?}", verdict.reasons);
        assert!(
            verdict.reasons[0].contains(says),
            "{says}: {}",
            verdict.reasons[0]
        );
    }
}

#[test]
fn an_overloaded_server_is_a_result() {
    let mut case = good(Mode::Open);
    case.figures.requests = 3_000;
    case.figures.errors = [("censored".to_owned(), 7_010)].into();
    case.figures.throughput_rps = 3_000.0;
    case.figures.response_us.p99 = None;
    case.figures.silent_connections = Some(60);
    case.load.valid = false;
    case.load.reasons = vec!["sent/scheduled 0.400 is below 0.99".into()];
    case.load.no_connection_p99_us = 300_000.0;
    assert_eq!(verdict(&case).validity, Validity::Valid);
    // Unless the generator did not even notice that they were due.
    case.figures.generator_late_p99_us = Some(20_000.0);
    assert_eq!(verdict(&case).validity, Validity::Invalid);
}

#[test]
fn the_null_server_is_not_compared_with_itself_and_one_tick_of_steal_says_nothing() {
    let mut case = good(Mode::Closed);
    case.ceiling = Ceiling::Itself;
    case.ticks = Ticks { all: 40, stolen: 1 };
    assert_eq!(verdict(&case).validity, Validity::Valid);
}

#[test]
fn noise_beside_a_real_fault_is_not_only_noise() {
    let mut case = good(Mode::Open);
    case.ticks.stolen = 50;
    assert!(verdict(&case).noise);
    case.figures.scheduled += 5;
    let verdict = verdict(&case);
    assert_eq!(
        (verdict.validity, verdict.noise, verdict.reasons.len()),
        (Validity::Invalid, false, 2)
    );
}

#[test]
fn what_both_have_seen_is_said_once() {
    let mut case = good(Mode::Open);
    case.figures.generator_cpu_share = Some(0.9);
    case.load.valid = false;
    case.load.reasons = vec!["generator CPU 90 % is above 85 %".into()];
    let verdict = verdict(&case);
    assert_eq!(verdict.validity, Validity::Limited);
    assert_eq!(verdict.reasons.len(), 1, "{:?}", verdict.reasons);
}
