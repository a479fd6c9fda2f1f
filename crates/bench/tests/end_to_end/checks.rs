//! What must hold of the folder and the trials of any run.

use std::fs;
use std::path::Path;

use report::data::{Deciding, Mode, Role, ScenarioInfo, Trial, Validity};
use schema::Code;
use schema::gates::NULL_SHARE_MAX;

use crate::fake::FAKE_CAPACITY;
use crate::harness::env;

pub fn the_environment_describes_the_run(path: &Path) {
    let env = env(path);
    assert!(
        env.complete && env.seed == 11 && env.trials_planned == 18 && env.announced_s > 5.0,
        "{env:?}"
    );
    let of = |each: &ScenarioInfo| (each.name.clone(), each.decides);
    let scenarios: Vec<(String, Deciding)> = env.scenarios.iter().map(of).collect();
    let expected = [
        ("latency", Deciding::ResponseP50Us),
        ("cpu", Deciding::ThroughputRps),
    ];
    assert_eq!(scenarios, expected.map(|(name, by)| (name.to_owned(), by)));
    let text = fs::read_to_string(path.join("env.json")).expect("env");
    assert!(
        !text.contains("/proc") && !text.contains("/tmp"),
        "no paths: {text}"
    );
}

pub fn trials_are_whole(trials: &[Trial]) {
    for trial in trials {
        let blocked = trial.model == "iterative" && trial.scenario == "cpu";
        assert_eq!(trial.validity == Validity::Blocks, blocked, "{trial:?}");
        assert_eq!(trial.figures.is_none(), blocked, "{trial:?}");
        assert!(!trial.server_command.contains("/tmp") && !trial.load_command.contains("/tmp/"));
        let Some(figures) = &trial.figures else {
            continue;
        };
        assert!(
            figures.server_cpu_us_per_request.is_some_and(|us| us > 0.0),
            "{trial:?}"
        );
        assert!(
            figures
                .context_switches_per_request
                .is_some_and(|n| n > 0.0),
            "{trial:?}"
        );
        assert!(
            figures.pss_kib > Some(100) && figures.pss_idle_kib > Some(100),
            "{trial:?}"
        );
        assert!(
            figures.tasks >= Some(1) && figures.drain_ms > Some(0.0),
            "{trial:?}"
        );
        let near_null = trial.reasons.has(Code::NearNullServer);
        let open = trial.shape.mode == Mode::Open;
        let late = trial.shape.rate.is_none_or(|rate| rate > FAKE_CAPACITY);
        assert_eq!(figures.response_us.p99.is_none(), late, "{trial:?}");
        assert!(
            !(near_null && (open || trial.role == Role::Null)),
            "{trial:?}"
        );
    }
}

pub fn models_are_compared_with_the_null_server(trials: &[Trial]) {
    // Each model is compared with the null server of its scenario, where that has a figure.
    let closed = |t: &&Trial| t.shape.mode == Mode::Closed;
    let throughput = |t: &Trial| Some(t.figures.as_ref()?.throughput_rps);
    let null_rps = |scenario: &str| {
        let null = |t: &&Trial| t.role == Role::Null && t.scenario == scenario;
        let mut trials = trials.iter().filter(closed).filter(null);
        throughput(trials.find(|t| t.validity != Validity::Invalid)?)
    };
    let mut seen = 0;
    for trial in trials
        .iter()
        .filter(closed)
        .filter(|t| t.role == Role::Model)
    {
        let Some(rps) = throughput(trial) else {
            continue;
        };
        let null_rps = null_rps(&trial.scenario);
        let near = null_rps.is_some_and(|null_rps| rps > NULL_SHARE_MAX * null_rps);
        assert_eq!(trial.reasons.has(Code::NearNullServer), near, "{trial:?}");
        let none = trial.reasons.has(Code::NoNullServer);
        assert_eq!(none, null_rps.is_none(), "{trial:?}");
        seen += 1;
    }
    assert!(seen >= 3, "{trials:#?}");
}

pub fn memory_is_read_as_far_as_it_goes(trials: &[Trial]) {
    let of = |model: &str| {
        let trial = trials.iter().find(|t| t.model == model).expect("a trial");
        assert!(
            trial.figures.is_none() && trial.validity == Validity::Valid,
            "{trial:?}"
        );
        &trial.memory_steps
    };
    let held = |model| {
        of(model)
            .iter()
            .map(|s| (s.connections, s.held))
            .collect::<Vec<_>>()
    };
    assert_eq!(held("prefork"), [(0, true), (100, true), (1_000, true)]);
    assert_eq!(held("iterative"), [(0, true), (100, false), (1_000, false)]);
    for step in of("iterative").iter().chain(of("prefork")) {
        assert_eq!(
            step.pss_kib.is_some_and(|kib| kib > 100),
            step.held,
            "{step:?}"
        );
        assert_eq!(step.reason.is_empty(), step.held, "{step:?}");
    }
}
