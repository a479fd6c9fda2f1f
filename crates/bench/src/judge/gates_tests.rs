use Code::*;
use Mode::{Closed, Open};
use report::data::Latency as Percentiles;

use super::*;

struct Case {
    shape: Shape,
    figures: Figures,
    load: LoadResult,
    ticks: Ticks,
    others: Others,
    slice: bool,
    usually_late: bool,
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
            response_us: Percentiles {
                count: 10_010,
                mean: Some(6_400.0),
                p99: Some(10_000.0),
                ..Percentiles::default()
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
            ..Ticks::default()
        },
        others: Others::default(),
        slice: false,
        usually_late: false,
        ceiling: Ceiling::Rps(14_286.0),
    }
}

fn verdict(case: &Case) -> Reasons {
    judge(&Evidence {
        shape: &case.shape,
        figures: &case.figures,
        load: &case.load,
        ticks: case.ticks,
        others: &case.others,
        slice: case.slice,
        usually_late: case.usually_late,
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

/// Breaks one thing of a good trial: one gate must say so, with a text that holds `text`, and no other.
fn fails(mode: Mode, code: Code, expected: (Validity, bool), text: &str, break_it: fn(&mut Case)) {
    let mut case = good(mode);
    break_it(&mut case);
    let verdict = verdict(&case);
    assert_eq!((validity(&verdict), is_noise(&verdict)), expected, "{text}");
    assert_eq!(verdict.len(), 1, "{text}: {verdict:?}");
    assert_eq!(verdict[0].code, code);
    assert!(verdict[0].text.contains(text), "{text}: {}", verdict[0]);
}

const FAULT: (Validity, bool) = (Validity::Invalid, false);
const BY_CHANCE: (Validity, bool) = (Validity::Invalid, true);
const BOUND: (Validity, bool) = (Validity::Limited, false);

#[test]
fn the_gates_of_server_and_bookkeeping() {
    fails(
        Open,
        NothingAnswered,
        FAULT,
        "no request was answered",
        |c| (c.figures.requests, c.figures.scheduled) = (0, 10),
    );
    fails(
        Closed,
        OutcomesDoNotAddUp,
        FAULT,
        "do not add up: 10011 scheduled, 10010",
        |c| c.figures.scheduled += 1,
    );
    fails(
        Closed,
        WrongBodies,
        FAULT,
        "1 replies had a wrong body",
        |c| {
            c.figures.errors.insert("wrong_body".into(), 1);
            c.figures.scheduled += 1;
        },
    );
    fails(Closed, LittlesLaw, FAULT, "Little's law", |c| {
        c.figures.response_us.mean = Some(6_200.0);
    });
    fails(Closed, LittlesLaw, FAULT, "Little's law", |c| {
        c.load.closing_mean_us = 200.0;
    });
    fails(
        Closed,
        ConnectionsSilent,
        BOUND,
        "3 of 64 connections",
        |c| c.figures.silent_connections = Some(3),
    );
}

#[test]
fn the_gates_of_machine_and_generator() {
    fails(Open, GeneratorLate, BY_CHANCE, "was late: p99 501", |c| {
        c.figures.generator_late_p99_us = Some(501.0);
    });
    fails(
        Open,
        GeneratorLate,
        BY_CHANCE,
        "was late: p99 101 µs, 100 µs",
        |c| {
            c.figures.response_us.p99 = Some(900.0);
            c.figures.generator_late_p99_us = Some(101.0);
        },
    );
    fails(Open, GeneratorCpu, BOUND, "86 % of its CPU", |c| {
        c.figures.generator_cpu_share = Some(0.86);
    });
    fails(Closed, Steal, BY_CHANCE, "hypervisor took 1.5 %", |c| {
        c.ticks.stolen = 3;
    });
    fails(
        Closed,
        NearNullServer,
        BOUND,
        "at least 10000/s: this is 71 %",
        |c| c.ceiling = Ceiling::Rps(14_000.0),
    );
    fails(
        Closed,
        NoNullServer,
        BOUND,
        "no figure of the null server",
        |c| c.ceiling = Ceiling::Unknown,
    );
    fails(Open, GeneratorCpu, BOUND, "90 % of its CPU", |c| {
        c.load.generator.busiest_thread_share = Some(0.9);
    });
}

#[test]
fn the_generators_own_reasons_are_taken_over() {
    fails(Open, GeneratorCpu, BOUND, "as the generator says", |c| {
        c.load.reasons = says(GeneratorCpu, Effect::Limits);
    });
    fails(Open, ConnectionsLost, FAULT, "as the generator says", |c| {
        c.load.reasons = says(ConnectionsLost, Effect::Invalidates);
    });
    fails(Open, NotSent, BY_CHANCE, "as the generator says", |c| {
        c.load.reasons = says(NotSent, Effect::Invalidates);
    });
    fails(
        Open,
        GeneratorInvalid,
        FAULT,
        "calls its run invalid",
        |c| c.load.valid = false,
    );
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
    case.ticks = Ticks {
        all: 40,
        stolen: 1,
        ..Ticks::default()
    };
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

#[test]
fn others_on_the_cpus_are_noise_and_leave_memory_alone() {
    for mode in [Mode::Closed, Mode::Open] {
        let mut case = good(mode);
        case.others.server = Used {
            beyond: None,
            share: 0.48,
            most: Some(("loop".to_owned(), 0.47)),
        };
        let reasons = verdict(&case);
        assert!(is_noise(&reasons), "{reasons:?}");
        assert_eq!(reasons[0].code, ServerCpusShared);
        assert_eq!(
            reasons.text(),
            "others used 48 % of the server's CPUs (loop: 47 %), 5 % allowed"
        );
        let worst = |figure| reasons.worst(figure);
        assert_eq!(worst(Throughput), Some(Effect::Invalidates));
        assert_eq!(worst(ServerCpu), Some(Effect::Invalidates));
        assert_eq!(worst(schema::Figure::Memory), None);
        case.others = Others::default();
        case.others.load.share = 0.06;
        assert_eq!(verdict(&case)[0].code, LoadCpusShared);
        case.others.load.share = 0.05;
        assert!(verdict(&case).is_empty());
    }
}

#[test]
fn a_slice_bears_what_its_neighbours_bear() {
    let mut case = good(Mode::Closed);
    let mut with = |share: f64, beyond: f64| {
        case.others.server.share = share;
        case.others.beside([beyond, 0.0]);
        verdict(&case)
    };
    assert!(with(0.15, 0.05).is_empty());
    assert_eq!(with(0.16, 0.0)[0].code, ServerCpusShared);
    let reasons = with(0.11, 0.095);
    assert_eq!(
        reasons.text(),
        "others used 11 % of the server's CPUs, as a rule 10 % more than beside another server, 5 % allowed"
    );
    // As a rule they do, but not in this one.
    assert!(with(0.04, 0.095).is_empty());
}

#[test]
fn a_late_generator_spoils_latency_and_nothing_else() {
    let mut case = good(Mode::Open);
    case.figures.generator_late_p99_us = Some(501.0);
    let reasons = verdict(&case);
    assert_eq!(validity(&reasons), Validity::Invalid);
    assert_eq!(reasons.worst(Latency), Some(Effect::Invalidates));
    assert_eq!(reasons.worst(ServerCpu), None);
    assert_eq!(reasons.worst(Throughput), None);
}

#[test]
fn a_slice_is_late_when_a_tenth_of_it_is_or_when_most_slices_are() {
    let mut case = good(Mode::Open);
    case.figures.generator_late_p99_us = Some(501.0);
    let own = Reason::new(GeneratorLate, Effect::Invalidates, "late").spoiling(&[Latency]);
    case.load.reasons = vec![own].into();
    case.slice = true;
    assert!(verdict(&case).is_empty(), "a hundredth, once");
    case.usually_late = true;
    assert_eq!(verdict(&case).worst(Latency), Some(Effect::Invalidates));
    case.usually_late = false;
    case.load.late_us.p90 = Some(501.0);
    let reasons = verdict(&case);
    assert_eq!(reasons.worst(Latency), Some(Effect::Invalidates));
    assert_eq!(reasons.worst(ServerCpu), None);
}

#[test]
fn the_edges_of_a_slice_are_part_of_what_was_in_flight() {
    let mut case = good(Mode::Closed);
    // The last 64 of 700 replies came behind the end.
    case.figures.throughput_rps *= 0.91;
    case.load.mean_in_flight = 64.0;
    assert_eq!(verdict(&case)[0].code, LittlesLaw);
    case.slice = true;
    assert!(verdict(&case).is_empty());
    case.load.mean_in_flight = 60.0;
    assert_eq!(verdict(&case)[0].code, LittlesLaw);
}

#[test]
fn clients_that_think_are_not_missed_and_no_null_server_is_held_against_them() {
    let mut case = good(Mode::Closed);
    case.shape.connections = 96;
    case.shape.think_ms = 3.2;
    case.ceiling = Ceiling::Rps(10_000.0);
    assert_eq!(verdict(&case)[0].code, LittlesLaw);
    case.load.mean_thinking = 32.0;
    assert!(verdict(&case).is_empty());
    // That they thought for longer than was asked limits a slice, too.
    let own = Reason::new(GeneratorLate, Effect::Limits, "late").spoiling(&[Throughput]);
    case.load.reasons = vec![own].into();
    case.load.mean_in_flight = 64.0;
    case.slice = true;
    assert_eq!(validity(&verdict(&case)), Validity::Limited);
}

#[test]
fn replies_of_another_status_are_told_with_what_would_help() {
    let mut case = good(Mode::Closed);
    // The generator counts 503 apart from other statuses.
    case.figures.errors.insert("shed".into(), 90);
    case.figures.scheduled += 90;
    case.load.statuses = [("200".to_owned(), 10_000), ("503".to_owned(), 90)].into();
    let said = |case: &Case| {
        let reasons = verdict(case);
        let found = reasons.iter().find(|r| r.code == Code::WrongStatuses);
        found.map(|reason| (reason.effect, reason.text.clone()))
    };
    let (effect, text) = said(&case).expect("a note");
    assert_eq!(effect, Effect::Notes);
    assert!(text.starts_with("90 of 10090 replies had another status and do not count (503: 90)"));
    assert!(text.contains("--queue-delay-ms 0"), "{text}");
    case.figures.errors.remove("shed");
    case.figures.errors.insert("status".into(), 90);
    case.load.statuses = [("200".to_owned(), 10_000), ("404".to_owned(), 90)].into();
    let (_, text) = said(&case).expect("a note");
    assert!(text.ends_with("(404: 90)"), "{text}");
    // Steps of an overload are there to see what is refused.
    case.shape.profile = Some("10:1s".into());
    assert_eq!(said(&case), None);
}
