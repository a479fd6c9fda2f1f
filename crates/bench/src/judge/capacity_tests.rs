use super::*;
use crate::plan::size::{self, Size};

fn how() -> size::Search {
    Size::Quick.search().expect("quick searches")
}

fn because(code: Code, text: &str) -> Reasons {
    vec![Reason::new(code, Effect::Invalidates, text)].into()
}

/// The result of a search.
#[derive(Debug)]
struct Found {
    capacity: Capacity,
    /// Why it is no better; with its reason.
    validity: Validity,
    reason: Option<Reason>,
}

impl Found {
    fn says(&self, code: Code, text: &str) -> bool {
        let says = |reason: &Reason| reason.code == code && reason.text.contains(text);
        self.reason.as_ref().is_some_and(says)
    }
}

/// Searches with a made-up outcome for each rate.
fn run(most: Option<f64>, mut outcome_of: impl FnMut(f64, u32) -> Outcome) -> Found {
    let how = how();
    let mut search = Search::new(&how, 1_000.0, most);
    let mut end = SearchEnd::default();
    let mut capacity = Capacity::default();
    let mut n = 0;
    while let Some(rate) = search.next().filter(|_| n < how.steps_max) {
        n += 1;
        let outcome = outcome_of(rate, n);
        let step = CapacityStep {
            rate,
            p50_us: None,
            p99_us: None,
            errors_share: 0.0,
            ok: outcome == Outcome::Decided(true),
            validity: Validity::Valid,
        };
        capacity.steps.push(step);
        if !end.record(&mut search, rate, outcome) {
            break;
        }
    }
    let reason = conclude(&search, &end, most, &mut capacity);
    let reasons: Vec<Reason> = reason.iter().cloned().collect();
    Found {
        capacity,
        validity: gates::validity(&reasons.into()),
        reason,
    }
}

#[test]
fn resets_above_a_rate_are_its_capacity() {
    let found = run(None, |rate, _| Outcome::Decided(rate < 2_000.0));
    assert!(found.capacity.confirmed && found.reason.is_none());
    let mut load = LoadResult {
        requests: 900,
        scheduled: 1_000,
        ..LoadResult::default()
    };
    load.errors.insert("reset".to_owned(), 100);
    load.connections_lost = 100;
    let figures = Figures {
        scheduled: 1_000,
        requests: 900,
        ..Figures::default()
    };
    let silent = Reason::new(Code::ConnectionsSilent, Effect::Limits, "silent");
    let (mut answered, mut kept) = (figures.clone(), load.clone());
    answered.errors.clear();
    (kept.errors, kept.connections_lost) = Default::default();
    let of = |why: Vec<Reason>| outcome(&answered, &kept, why.into(), false);
    assert_eq!(of(vec![silent.clone()]), Outcome::Decided(false));
    let full = Reason::new(Code::GeneratorCpu, Effect::Limits, "full");
    assert!(matches!(of(vec![silent, full]), Outcome::Generator(_)));
    let lost = because(Code::ConnectionsLost, "100 connections were lost");
    assert_eq!(
        outcome(&figures, &load, lost, false),
        Outcome::Decided(false)
    );
}

#[test]
fn a_late_generator_is_at_its_limit_only_without_cpu_to_spare() {
    let figures = Figures {
        scheduled: 1_000,
        requests: 1_000,
        ..Figures::default()
    };
    let of =
        |reasons: Vec<Reason>| outcome(&figures, &LoadResult::default(), reasons.into(), false);
    let late = Reason::new(Code::GeneratorLate, Effect::Invalidates, "late");
    let bound = Reason::new(Code::GeneratorCpu, Effect::Limits, "no CPU to spare");
    assert!(matches!(of(vec![late.clone()]), Outcome::Noise(_)));
    assert!(matches!(of(vec![late, bound]), Outcome::Generator(_)));
}

#[test]
fn noise_ends_a_search_and_is_named() {
    let noisy = "the hypervisor took 9 % of the CPU time";
    let found = run(None, |rate, _| {
        if rate < 1_500.0 {
            Outcome::Decided(true)
        } else {
            Outcome::Noise(because(Code::Steal, noisy))
        }
    });
    let capacity = &found.capacity;
    assert!(capacity.highest_ok_rps.is_some() && !capacity.confirmed);
    assert_eq!(found.validity, Validity::Limited);
    assert!(found.says(Code::CapacityAtLeast, noisy), "{found:?}");
    assert!(!found.says(Code::CapacityAtLeast, "generator"), "{found:?}");
    assert!(capacity.steps.len() < how().steps_max as usize);
    let nothing = run(None, |_, _| Outcome::Noise(because(Code::Steal, noisy)));
    assert_eq!(nothing.validity, Validity::Invalid);
    assert!(nothing.says(Code::CapacityUndecided, noisy), "{nothing:?}");
    assert_eq!(nothing.capacity.steps.len(), NOISE_TIMES as usize);
}

#[test]
fn one_hiccup_of_the_generator_is_not_its_limit() {
    let mut hiccups = 0;
    let found = run(None, |rate, _| {
        if rate > 1_500.0 && hiccups == 0 {
            hiccups += 1;
            return Outcome::Generator(because(Code::GeneratorCpu, "it used 99 % of its CPU"));
        }
        Outcome::Decided(rate < 2_500.0)
    });
    assert!(found.capacity.confirmed, "{found:?}");
    let limited = run(None, |rate, _| {
        if rate > 1_500.0 {
            Outcome::Generator(because(Code::GeneratorCpu, "it used 99 % of its CPU"))
        } else {
            Outcome::Decided(true)
        }
    });
    assert_eq!(limited.validity, Validity::Limited);
    assert!(
        limited.says(Code::CapacityAtLeast, "used 99 %"),
        "{limited:?}"
    );
    assert!(!limited.capacity.confirmed);
}

#[test]
fn the_null_servers_share_and_a_broken_server_are_said() {
    let found = run(Some(2_000.0), |_, _| Outcome::Decided(true));
    let share = "70 % of what the null server does";
    assert!(found.says(Code::CapacityAtLeast, share), "{found:?}");
    let broken = run(None, |rate, _| {
        if rate > 1_200.0 {
            Outcome::Broken(because(Code::ConnectionsClosed, "7 were closed"))
        } else {
            Outcome::Decided(true)
        }
    });
    assert_eq!(broken.validity, Validity::Invalid);
    assert!(
        broken.says(Code::CapacityNone, "7 were closed"),
        "{broken:?}"
    );
}
