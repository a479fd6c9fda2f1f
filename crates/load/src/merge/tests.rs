//! Sums of records are exact: in whatever order they are added, they equal the record of one
//! generator that sent everything.

use proptest::prelude::*;
use schema::load::Arrivals;

use crate::error_class::ErrorClass;
use crate::extra_clients::{ExtraCounts, PoisonCounts, SlowCounts, SlowSideCounts};
use crate::mix::Draw;
use crate::plan::{Pace, Plan, Poison as PoisonPlan};
use crate::record::{RunRecord, StartTimes};
use crate::recorder::Recorder;
use crate::result;
use crate::thread_result::{ThreadResult, Usage};
use crate::window::Window;

const START_NS: u64 = 5_000_000_000;

/// A request and what became of it.
#[derive(Debug, Clone, Copy)]
struct Event {
    intended_ns: u64,
    late_ns: u64,
    waited_ns: u64,
    service_ns: u64,
    class: Option<ErrorClass>,
    kind: u16,
    part: usize,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let times = (
        0..450_000_000u64,
        0..2_000_000u64,
        0..9_000_000u64,
        1..4_000_000_000u64,
    );
    let class = prop_oneof![
        4 => Just(None),
        1 => proptest::sample::select(&ErrorClass::ALL[..]).prop_map(Some),
    ];
    let event = (times, class, 0..2u16, 0..3usize).prop_map(|(times, class, kind, part)| Event {
        // From shortly before the window to shortly after it.
        intended_ns: START_NS - 20_000_000 + times.0,
        late_ns: times.1 / 1_000_000 * times.1,
        waited_ns: times.2 / 5_000_000 * times.2,
        service_ns: times.3,
        class,
        kind,
        part,
    });
    proptest::collection::vec(event, 0..200).prop_map(|mut events| {
        events.sort_by_key(|event| event.intended_ns);
        events
    })
}

fn plan(open: bool) -> Plan {
    let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
    plan.requests = ["2:GET:/", "1:PUT:/{n:3}"]
        .map(|k| k.parse().unwrap())
        .to_vec();
    plan.profile = ["100.1:150ms", "1-0.7:260ms"]
        .map(|s| s.parse().unwrap())
        .to_vec();
    plan.duration = plan.profile.iter().map(|step| step.duration).sum();
    if open {
        let (rate, arrivals) = (100.1, Arrivals::Poisson);
        plan.pace = Pace::Open { rate, arrivals };
    } else {
        plan.profile.clear();
    }
    plan.slow.readers = 1;
    plan.poison = Some(PoisonPlan {
        path: "/".to_owned(),
        every: None,
    });
    plan
}

/// The record of a generator whose requests had these outcomes.
fn record<'a>(plan: &Plan, events: impl Iterator<Item = &'a Event>, n: u64) -> RunRecord {
    let mut recorder = Recorder::new(plan);
    recorder.set_window(Window::of(plan, START_NS));
    for event in events {
        let (kind, number) = (event.kind, 0);
        let mut pending = recorder.schedule(
            event.intended_ns,
            Draw {
                kind,
                number,
                once: false,
            },
        );
        recorder.noticed(&pending, event.intended_ns + event.late_ns);
        recorder.waited(&pending, event.waited_ns);
        if event.class != Some(ErrorClass::Refused) {
            pending.sent_ns = event.intended_ns + event.late_ns + event.waited_ns;
            recorder.sent(&pending);
        }
        let sent_ns = pending.sent_ns.max(event.intended_ns);
        recorder.finish(&pending, event.class, sent_ns + event.service_ns);
    }
    let usage = Usage {
        wall_ns: 410_000_000 + n,
        cpu_ns: 1000 * n,
        spin_ns: 10 * n,
        wakeups: n,
        received_bytes: n,
        closing_ns: n,
    };
    let result = ThreadResult {
        counts: recorder.into_counts(),
        usage,
        alive: 1,
        lost: n,
        closed: n + 1,
        closed_idle: n,
        silent: n,
    };
    let mut slow = SlowCounts {
        senders: SlowSideCounts::new(0),
        readers: SlowSideCounts::new(1),
    };
    slow.readers.life.record(n * 1000);
    let mut poison = PoisonCounts::default();
    poison.response.record(n);
    let extra = ExtraCounts {
        idle: None,
        slow: Some(slow),
        poison: Some(poison),
    };
    let started = StartTimes {
        run_unix_ns: n,
        window_unix_ns: n,
    };
    RunRecord::new(plan, vec![result], extra, started, n == 2)
}

fn sum(a: &RunRecord, b: &RunRecord) -> RunRecord {
    assert_eq!(b.differs_from(a), None);
    let mut sum = a.clone();
    sum.merge(b);
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..Default::default() })]

    #[test]
    fn merging_is_associative_and_equals_the_whole(events in events(), open in any::<bool>()) {
        let plan = plan(open);
        let part = |k: usize| events.iter().filter(move |event| event.part == k);
        let [a, b, c] = [0, 1, 2].map(|k| record(&plan, part(k), k as u64 + 1));
        let merged = sum(&sum(&a, &b), &c);
        prop_assert_eq!(&merged, &sum(&a, &sum(&b, &c)));
        let whole = record(&plan, events.iter(), 9);
        prop_assert_eq!(&merged.counts, &whole.counts);
        let figures = |record: &RunRecord| {
            let o = result::of(record);
            let counts = (o.requests, o.scheduled, o.sent, o.errors.clone());
            (counts, o.response_us, o.service_us, o.slip_us, o.timeline, o.kinds)
        };
        prop_assert_eq!(figures(&merged), figures(&whole));
        // A record read back from its file is the same.
        let read = RunRecord::parse_text(&merged.to_text()).unwrap();
        prop_assert_eq!(result::of(&read), result::of(&merged));
        prop_assert_eq!(read, merged);
    }
}

#[test]
fn runs_of_different_plans_are_not_added() {
    let (plan, none) = (plan(true), [].iter());
    let first = record(&plan, none.clone(), 1);
    type Change = fn(&mut Plan);
    let changes: [(&str, Change); 5] = [
        ("url is", |p| {
            p.target = "http://127.0.0.1:2/".parse().unwrap();
        }),
        ("pipeline is 2, not 1", |p| p.pipeline = 2),
        ("kinds is", |p| p.requests.truncate(1)),
        ("steps_ns is", |p| p.profile[0].duration *= 2),
        ("timeout_ns is", |p| p.timeout *= 2),
    ];
    for (expected, change) in changes {
        let mut other = plan.clone();
        change(&mut other);
        let difference = record(&other, none.clone(), 2)
            .differs_from(&first)
            .unwrap();
        assert!(difference.starts_with(expected), "{difference}");
    }
    // The rate is not part of the shape: rates add up.
    let mut other = plan.clone();
    other.profile[0].rate_from = 7.0;
    assert_eq!(record(&other, none.clone(), 2).differs_from(&first), None);
    // The window of an interrupted run is shorter.
    let mut short = record(&plan, none, 2);
    short.counts.length_ns /= 2;
    assert!(short.differs_from(&first).unwrap().contains("measured"));
}
