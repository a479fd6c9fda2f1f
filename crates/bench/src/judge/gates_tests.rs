use Code::*;
use report::data::Latency;

use super::*;

struct Case {
    shape: Shape,
    figures: Figures,
    load: LoadResult,
    ticks: Ticks,
    ceiling: Ceiling,
}

/// A trial that every gate passes: 64 connections, 10,000 requests per second of 6.4 ms each.
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
        load: LoadResult {
            valid: true,
            ..LoadResult::default()
        },
        ticks: Ticks {
            all: 200,
            stolen: 2,
        },
        ceiling: Ceiling::Rps(14_286.0),
    }
}

fn verdict(case: &Case) -> Reasons {
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
        assert_eq!(verdict, Reasons::default());
        assert_eq!(validity(&verdict), Validity::Valid);
    }
}

/// A reason of the generator's own.
fn says(code: Code, effect: Effect) -> Reasons {
    vec![Reason::new(code, effect, "as the generator says")].into()
}

/// Breaks one thing; the one gate that must see it says so, and no other.
#[test]
fn each_gate_fails_for_what_it_is_there_for() {
    use Mode::{Closed, Open};
    use Validity::{Invalid, Limited};
    type Break = fn(&mut Case);
    let table: &[(Mode, Break, Code, Validity, bool, &str)] = &[
        (
            Open,
            |c| (c.figures.requests, c.figures.scheduled) = (0, 10),
            NothingAnswered,
            Invalid,
            false,
            "no request was answered",
        ),
        (
            Closed,
            |c| c.figures.scheduled += 1,
            OutcomesDoNotAddUp,
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
            WrongBodies,
            Invalid,
            false,
            "1 replies had a wrong body",
        ),
        (
            Closed,
            |c| c.figures.response_us.mean = Some(6_200.0),
            LittlesLaw,
            Invalid,
            false,
            "Little's law",
        ),
        (
            Closed,
            |c| c.load.closing_mean_us = 200.0,
            LittlesLaw,
            Invalid,
            false,
            "Little's law",
        ),
        (
            Closed,
            |c| c.figures.silent_connections = Some(3),
            ConnectionsSilent,
            Limited,
            false,
            "3 of 64 connections",
        ),
        (
            Open,
            |c| c.figures.generator_late_p99_us = Some(501.0),
            GeneratorLate,
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
            GeneratorLate,
            Invalid,
            true,
            "was late: p99 101 µs, 100 µs",
        ),
        (
            Open,
            |c| c.figures.generator_cpu_share = Some(0.86),
            GeneratorCpu,
            Limited,
            false,
            "86 % of its CPU",
        ),
        (
            Closed,
            |c| c.ticks.stolen = 3,
            Steal,
            Invalid,
            true,
            "hypervisor took 1.5 %",
        ),
        (
            Closed,
            |c| c.ceiling = Ceiling::Rps(14_000.0),
            NearNullServer,
            Limited,
            false,
            "at least 10000/s: this is 71 %",
        ),
        (
            Closed,
            |c| c.ceiling = Ceiling::Unknown,
            NoNullServer,
            Limited,
            false,
            "no figure of the null server",
        ),
        (
            Open,
            |c| c.load.reasons = says(GeneratorCpu, Effect::Limits),
            GeneratorCpu,
            Limited,
            false,
            "as the generator says",
        ),
        (
            Open,
            |c| c.load.reasons = says(ConnectionsLost, Effect::Invalidates),
            ConnectionsLost,
            Invalid,
            false,
            "as the generator says",
        ),
        (
            Open,
            |c| c.load.reasons = says(NotSent, Effect::Invalidates),
            NotSent,
            Invalid,
            true,
            "as the generator says",
        ),
        (
            Open,
            |c| c.load.generator.busiest_thread_share = Some(0.9),
            GeneratorCpu,
            Limited,
            false,
            "90 % of its CPU",
        ),
        (
            Open,
            |c| c.load.valid = false,
            GeneratorInvalid,
            Invalid,
            false,
            "calls its run invalid",
        ),
    ];
    for (mode, break_it, code, expected, noise, text) in table {
        let mut case = good(*mode);
        break_it(&mut case);
        let verdict = verdict(&case);
        assert_eq!(
            (validity(&verdict), is_noise(&verdict)),
            (*expected, *noise),
            "{text}"
        );
        assert_eq!(verdict.len(), 1, "{text}: {verdict:?}");
        assert_eq!(verdict[0].code, *code);
        assert!(verdict[0].text.contains(text), "{text}: {}", verdict[0]);
    }
}

#[test]
fn the_figures_behind_a_reason_are_data() {
    let mut case = good(Mode::Closed);
    case.ticks.stolen = 3;
    let verdict = verdict(&case);
    assert_eq!(verdict[0].figures["steal_share"], 0.015);
    assert_eq!(verdict[0].figures["steal_share_max"], STEAL_SHARE_MAX);
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
    case.load.reasons = says(NotSent, Effect::Invalidates);
    case.load.no_connection_p99_us = 300_000.0;
    assert_eq!(validity(&verdict(&case)), Validity::Valid);
    // Unless the generator did not even notice that they were due.
    case.figures.generator_late_p99_us = Some(20_000.0);
    assert_eq!(validity(&verdict(&case)), Validity::Invalid);
}

#[test]
fn the_null_server_is_not_compared_with_itself_and_one_tick_of_steal_says_nothing() {
    let mut case = good(Mode::Closed);
    case.ceiling = Ceiling::Itself;
    case.ticks = Ticks { all: 40, stolen: 1 };
    assert_eq!(validity(&verdict(&case)), Validity::Valid);
}

#[test]
fn noise_beside_a_real_fault_is_not_only_noise() {
    let mut case = good(Mode::Open);
    case.ticks.stolen = 50;
    assert!(is_noise(&verdict(&case)));
    case.figures.scheduled += 5;
    let verdict = verdict(&case);
    assert_eq!(
        (validity(&verdict), is_noise(&verdict), verdict.len()),
        (Validity::Invalid, false, 2)
    );
}

#[test]
fn what_both_have_seen_is_said_once() {
    let mut case = good(Mode::Open);
    case.figures.generator_cpu_share = Some(0.9);
    case.load.valid = false;
    case.load.reasons = says(GeneratorCpu, Effect::Invalidates);
    let reasons = verdict(&case);
    assert_eq!(validity(&reasons), Validity::Limited);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    // That nothing was due is why nothing was answered.
    let mut case = good(Mode::Open);
    (case.figures.requests, case.figures.scheduled) = (0, 10);
    case.load.reasons = says(NothingDue, Effect::Invalidates);
    let reasons = verdict(&case);
    assert_eq!((reasons.len(), reasons[0].code), (1, NothingAnswered));
}
