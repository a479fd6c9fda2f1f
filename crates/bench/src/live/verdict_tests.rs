use std::collections::BTreeMap;

use super::*;
use crate::live::contender::Contender;
use crate::live::counted::{Counts, Side};
use crate::live::slice::Slice;

/// A session of 40 rotations in which B costs `factors` times as much, in the order of [`Kind::ALL`].
fn session(factors: [f64; 4], edit: impl Fn(&mut Rotation)) -> Session {
    let [cpu, throughput, p50, p99] = factors;
    let rotation = |number: u32| {
        // Moods of the machine are in both; a small alternating rest is not.
        let mood = 1.0 + f64::from(number % 7) / 10.0;
        let rest = 1.0
            + if number.is_multiple_of(2) {
                0.004
            } else {
                -0.004
            };
        let open = |cpu: f64, p50: f64, p99: f64| Slice {
            cpu_us: Some(10.0 * mood * cpu),
            p50_us: Some(80.0 * mood * p50),
            p99_us: Some(300.0 * mood * p99),
            scheduled: 1_000,
            ..Slice::default()
        };
        let closed = |cost: f64| Slice {
            throughput_rps: Some(50_000.0 / mood / cost),
            scheduled: 1_000,
            ..Slice::default()
        };
        let mut rotation = Rotation {
            start: 1 + number / 4,
            open: [
                open(1.0, 1.0, 1.0),
                open(cpu * rest, p50 * rest, p99 * rest),
            ],
            closed: [closed(1.0), closed(throughput * rest)],
        };
        edit(&mut rotation);
        rotation
    };
    let parse = |name, model| Contender::parse(name, model, "/own".as_ref()).expect("a model");
    let mut session = Session {
        contenders: [parse("A", "prefork"), parse("B", "thread-pool")],
        path: "/plaintext".into(),
        path_b: None,
        connections: 16,
        rate_rps: 5_000.0,
        within: 3.0,
        rotations: (0..40).map(rotation).collect(),
        gate: Gate::Timed,
        counts: None,
        judged: BTreeMap::new(),
        starts: 4,
        rotation_s: 1.0,
        taken_s: 44.0,
        interrupted: false,
        failed: None,
    };
    for kind in Kind::ALL {
        let told = sequential::judge(&session.logs(kind), 0.01, kind.bounds(session.within));
        session.judged.extend(told.map(|told| (kind, told)));
    }
    session
}

fn said(outcome: &Outcome) -> Vec<Said> {
    outcome.figures.iter().map(|figure| figure.said).collect()
}

#[test]
fn equal_servers_end_with_zero() {
    let outcome = of(&session([1.0; 4], |_| ()));
    assert_eq!((said(&outcome), outcome.exit), (vec![Said::Equal; 4], 0));
    let most = outcome.figures[0].differs_by_at_most.expect("a bound");
    assert!(most < 1.0, "{most}");
}

#[test]
fn one_slower_figure_ends_with_one_and_a_faster_one_with_zero() {
    let outcome = of(&session([1.0, 1.25, 1.0, 1.0], |_| ()));
    assert_eq!(outcome.exit, 1);
    assert_eq!(outcome.figures[1].said, Said::Slower);
    // 1.25 times slower is a fifth less.
    let ratio = outcome.figures[1].ratio.expect("a ratio");
    assert!((ratio - 0.8).abs() < 0.005, "{ratio}");
    let outcome = of(&session([0.9; 4], |_| ()));
    assert_eq!((said(&outcome), outcome.exit), (vec![Said::Faster; 4], 0));
}

#[test]
fn what_varies_too_much_cannot_be_decided_and_says_for_how_long() {
    let number = std::cell::Cell::new(0_u32);
    let outcome = of(&session([1.0; 4], |rotation| {
        number.set(number.get() + 1);
        let noise = f64::from(number.get() * 37 % 21) / 10.0 - 1.0;
        let p99 = &mut rotation.open[1].p99_us;
        *p99 = p99.map(|each| each * 2_f64.powf(noise));
    }));
    assert_eq!(outcome.exit, 3);
    let p99 = &outcome.figures[3];
    assert_eq!(p99.said, Said::Undecided);
    assert!(p99.seconds_to_decide.is_some_and(|seconds| seconds > 10.0));
    assert!(p99.smallest_slowdown.is_some_and(|percent| percent > 5.0));
}

#[test]
fn failures_of_b_alone_are_worse_and_a_bound_generator_is_not_judged() {
    let outcome = of(&session([1.0; 4], |rotation| rotation.open[1].failures = 1));
    assert_eq!((outcome.exit, outcome.failures), (1, [0, 40]));
    let outcome = of(&session([1.0; 4], |rotation| {
        rotation.open[0].failures = 1;
        rotation.open[1].failures = 1;
    }));
    assert_eq!(outcome.exit, 0);
    let outcome = of(&session([1.0, 2.0, 1.0, 1.0], |rotation| {
        rotation.closed[0].generator_bound = true;
    }));
    assert_eq!(
        (outcome.figures[1].said, outcome.exit),
        (Said::NotJudged, 0)
    );
}

#[test]
fn a_session_without_pairs_decides_nothing() {
    let mut empty = session([1.0; 4], |_| ());
    empty.rotations.clear();
    empty.judged.clear();
    assert_eq!(of(&empty).exit, 3);
    empty.failed = Some((1, "it ended".into()));
    assert_eq!(of(&empty).exit, 1);
}

#[test]
fn slices_that_others_disturbed_are_told_and_decide_nothing() {
    let disturbed = |rotation: &mut Rotation| {
        for slice in rotation.open.iter_mut().chain(&mut rotation.closed) {
            *slice = Slice {
                scheduled: slice.scheduled,
                shared_by: Some(0.47),
                ..Slice::default()
            };
        }
    };
    let outcome = of(&session([2.0; 4], disturbed));
    let notes = outcome.notes.join(" ");
    let told = "160 of 160 slices are left out, because others used the CPUs: up to 47 % of them.";
    assert_eq!(notes, told);
    let said = |figure: &Figure| figure.said == Said::NotJudged;
    assert!(outcome.figures.iter().all(said));
    assert_eq!(outcome.exit, EXIT_UNDECIDED);
}

#[test]
fn a_late_generator_is_named_where_latency_has_no_verdict() {
    let late = |rotation: &mut Rotation| {
        for slice in &mut rotation.open {
            (slice.p50_us, slice.p99_us) = (None, None);
            (slice.late_p50, slice.late_p99) = (true, true);
        }
    };
    let outcome = of(&session([1.0; 4], late));
    let [cpu, _, p50, p99] = &outcome.figures[..] else {
        panic!("{:?}", outcome.figures)
    };
    for figure in [p50, p99] {
        let why = "in 80 of 80 slices the generator sent requests too late";
        assert_eq!((figure.said, figure.why.as_str()), (Said::NotJudged, why));
    }
    assert_eq!((cpu.said, outcome.exit), (Said::Equal, 0));
    let text = crate::live::text::table(&outcome);
    let end = "would have been seen there, and not in p50 response, p99 response.";
    assert!(text.contains(end), "{text}");
}

#[test]
fn a_figure_that_some_slices_have_is_waited_for() {
    let mut session = session([1.0; 4], |_| ());
    assert!(session.is_decided());
    session.judged.remove(&Kind::P99);
    for rotation in &mut session.rotations[3..] {
        rotation.open[0].p99_us = None;
    }
    assert!(!session.is_decided(), "three pairs are too few");
    for rotation in &mut session.rotations {
        rotation.open[0].p99_us = None;
    }
    assert!(session.is_decided(), "no slice will have it");
}

#[test]
fn a_verdict_that_rested_on_few_pairs_is_taken_back() {
    // What the first starts of B happened to differ by is not what the servers do.
    let mut whole = session([1.0; 4], |rotation| {
        if rotation.start <= 3 {
            let closed = &mut rotation.closed[1].throughput_rps;
            *closed = closed.map(|rps| rps * 1.1);
        }
    });
    let rest = whole.rotations.split_off(12);
    whole.look(0.001);
    let said_of = |session: &Session| of(session).figures[1].said;
    assert_eq!(said_of(&whole), Said::Faster);
    whole.rotations.extend(rest);
    whole.look(0.001);
    assert_eq!(said_of(&whole), Said::Undecided);
    assert!(!whole.is_decided());
}

#[test]
fn the_exact_gate_rests_on_what_is_counted_alone() {
    let counted = |gate, calls: [f64; 2]| {
        // CPU is twice as much, and that decides the timed gate.
        let mut session = session([2.0, 1.0, 1.0, 1.0], |_| ());
        session.gate = gate;
        session.counts = Some(calls.map(|calls| Counts {
            calls: Side {
                values: vec![calls; 2],
                missing: None,
            },
            ..Counts::default()
        }));
        of(&session)
    };
    assert_eq!(counted(Gate::Exact, [3.0, 3.0]).exit, 0);
    assert_eq!(counted(Gate::Exact, [3.0, 4.0]).exit, 1);
    assert_eq!(counted(Gate::Timed, [3.0, 3.0]).exit, 1);
    let table = crate::live::text::table(&counted(Gate::Exact, [3.0, 4.0]));
    assert!(
        table.contains("B is worse than A in system calls."),
        "{table}"
    );
    // Where nothing could be counted, nothing is decided.
    let mut session = session([1.0; 4], |_| ());
    session.gate = Gate::Exact;
    session.counts = Some([Counts::default(), Counts::default()]);
    assert_eq!(of(&session).exit, EXIT_UNDECIDED);
}
