use super::*;
use crate::plan::size::Size;

fn how() -> size::Search {
    Size::Quick.search().expect("quick searches")
}

/// Searches with a made-up outcome for each rate.
fn run(most: Option<f64>, mut came: impl FnMut(f64, u32) -> Came) -> Found {
    let how = how();
    let mut search = Search::new(&how, 1_000.0, most);
    let mut ends = Ends::default();
    let mut found = Found {
        capacity: Capacity::default(),
        validity: Validity::Valid,
        reasons: Vec::new(),
        command: String::new(),
    };
    let mut n = 0;
    while let Some(rate) = search.next().filter(|_| n < how.steps_max) {
        n += 1;
        let came = came(rate, n);
        let step = CapacityStep {
            rate,
            p50_us: None,
            p99_us: None,
            errors_share: 0.0,
            ok: came == Came::Decided(true),
            validity: Validity::Valid,
        };
        found.capacity.steps.push(step);
        if !ends.take(&mut search, rate, came) {
            break;
        }
    }
    conclude(&search, &ends, most, &mut found);
    found
}

#[test]
fn resets_above_a_rate_are_its_capacity() {
    let found = run(None, |rate, _| Came::Decided(rate < 2_000.0));
    assert!(found.capacity.confirmed && found.reasons.is_empty());
    let mut report = Report {
        requests: 900,
        scheduled: 1_000,
        ..Report::default()
    };
    report.errors.insert("reset".to_owned(), 100);
    report.connections_lost = 100;
    let figures = Figures {
        scheduled: 1_000,
        requests: 900,
        ..Figures::default()
    };
    let verdict = Verdict {
        validity: Validity::Invalid,
        reasons: vec!["100 connections were lost".to_owned()],
        noise: false,
    };
    assert_eq!(
        came_of(&figures, &report, &verdict, false),
        Came::Decided(false)
    );
}

#[test]
fn a_late_generator_is_at_its_limit_only_without_cpu_to_spare() {
    let figures = Figures {
        scheduled: 1_000,
        requests: 1_000,
        ..Figures::default()
    };
    let of = |reasons: &[&str]| {
        let verdict = Verdict {
            validity: Validity::Invalid,
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            noise: true,
        };
        came_of(&figures, &Report::default(), &verdict, false)
    };
    let late = "the generator itself was late: p99 900 µs, 100 µs allowed";
    let bound = "generator-bound: it used 97 % of its CPU, 85 % allowed";
    assert!(matches!(of(&[late]), Came::Noise(_)));
    assert!(matches!(of(&[late, bound]), Came::Generator(_)));
}

#[test]
fn noise_ends_a_search_and_is_named() {
    let noisy = "the hypervisor took 9 % of the CPU time";
    let found = run(None, |rate, _| {
        if rate < 1_500.0 {
            Came::Decided(true)
        } else {
            Came::Noise(noisy.to_owned())
        }
    });
    let capacity = &found.capacity;
    assert!(capacity.highest_ok_rps.is_some() && !capacity.confirmed);
    assert_eq!(found.validity, Validity::Limited);
    assert!(found.reasons[0].contains(noisy), "{:?}", found.reasons);
    assert!(
        !found.reasons[0].contains("generator"),
        "{:?}",
        found.reasons
    );
    assert!(capacity.steps.len() < how().steps_max as usize);
    let nothing = run(None, |_, _| Came::Noise(noisy.to_owned()));
    assert_eq!(nothing.validity, Validity::Invalid);
    assert_eq!(nothing.capacity.steps.len(), NOISE_TIMES as usize);
}

#[test]
fn one_hiccup_of_the_generator_is_not_its_limit() {
    let mut hiccups = 0;
    let found = run(None, |rate, _| {
        if rate > 1_500.0 && hiccups == 0 {
            hiccups += 1;
            return Came::Generator("it used 99 % of its CPU".to_owned());
        }
        Came::Decided(rate < 2_500.0)
    });
    assert!(found.capacity.confirmed, "{found:?}");
    let limited = run(None, |rate, _| {
        if rate > 1_500.0 {
            Came::Generator("it used 99 % of its CPU".to_owned())
        } else {
            Came::Decided(true)
        }
    });
    assert_eq!(limited.validity, Validity::Limited);
    let reason = &limited.reasons[0];
    assert!(
        reason.starts_with("at least ") && reason.contains("used 99 %"),
        "{reason}"
    );
    assert!(!limited.capacity.confirmed);
}

#[test]
fn the_null_servers_share_and_a_broken_server_are_said() {
    let found = run(Some(2_000.0), |_, _| Came::Decided(true));
    assert!(
        found.reasons[0].contains("70 % of what the null server does"),
        "{found:?}"
    );
    let broken = run(None, |rate, _| {
        if rate > 1_200.0 {
            Came::Broken("7 connections that were to be kept were closed".to_owned())
        } else {
            Came::Decided(true)
        }
    });
    assert_eq!(broken.validity, Validity::Invalid);
    assert!(broken.reasons[0].contains("were to be kept"), "{broken:?}");
}

#[test]
fn a_search_begins_below_the_closed_loop_or_at_the_rates_of_a_scenario_without_one() {
    let begins = |name: &str, closed_rps| {
        let scenario = crate::plan::scenarios::SCENARIOS
            .iter()
            .find(|s| s.name == name);
        let known = Known {
            ceiling: Ceiling::Unknown,
            closed_rps,
        };
        guess(known, scenario.expect("known"), Size::Full)
    };
    assert_eq!(begins("tiny-keepalive", Some(10_000.0)), 7_000.0);
    assert_eq!(begins("tiny-keepalive", None), GUESS_RPS);
    assert_eq!(begins("idle-many", None), 20_000.0);
}
