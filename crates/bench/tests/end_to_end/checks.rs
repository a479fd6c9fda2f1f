//! What must hold of the folder and the trials of any run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use report::data::{Deciding, Mode, Pass, Role, ScenarioInfo, Trial, Validity};
use schema::Code;
use schema::gates::NULL_SHARE_MAX;

use crate::fake::FAKE_CAPACITY;
use crate::harness::env;

/// The lines of the run: in `latency` four servers with eight slices each, in `cpu` three and one that is
/// blocked by design in both windows, and memory; the drain of each of the seven is not planned.
pub const LINES: usize = 32 + 24 + 2 + 2;

pub fn the_environment_describes_the_run(path: &Path) {
    let env = env(path);
    assert!(
        env.complete
            && env.seed == 11
            && env.trials_planned == LINES as u64
            && env.announced_s > 5.0,
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
            figures.server_cpu_us_per_request.is_some_and(|us| us > 0.0)
                || trial.pass == Pass::Drain,
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
        // What is timed when a server has ended is on a line of its own.
        let drained = trial.slice.is_none();
        assert!(
            figures.tasks >= Some(1) && (figures.drain_ms > Some(0.0)) == drained,
            "{trial:?}"
        );
        assert!(figures.private_kib > Some(100), "{trial:?}");
        if trial.pass == Pass::Drain {
            assert!(figures.idle_cpu_us_per_s.is_some(), "{trial:?}");
            continue;
        }
        assert_eq!(trial.response_hdr.as_deref(), Some("made up"));
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
    // Each slice of a model is compared with what the null server did last in its scenario; before its
    // first slice that is its warm-up, which has no line.
    let throughput = |t: &Trial| Some(t.figures.as_ref()?.throughput_rps);
    let closed = |t: &&Trial| t.shape.mode == Mode::Closed && t.slice.is_some();
    let mut null_rps: Option<(&str, f64)> = None;
    let (mut seen, mut nulls) = (0, 0);
    for trial in trials.iter().filter(closed) {
        let Some(rps) = throughput(trial) else {
            continue;
        };
        if trial.role == Role::Null && trial.validity != Validity::Invalid {
            null_rps = Some((&trial.scenario, rps));
            nulls += 1;
        }
        assert!(!trial.reasons.has(Code::NoNullServer), "{trial:?}");
        let null = null_rps.filter(|(scenario, _)| *scenario == trial.scenario);
        if let (Role::Model, Some((_, null_rps))) = (trial.role, null) {
            let near = rps > NULL_SHARE_MAX * null_rps;
            assert_eq!(trial.reasons.has(Code::NearNullServer), near, "{trial:?}");
            seen += 1;
        }
    }
    // One usable slice of the null server may be the last of its scenario, where noise spoilt the rest.
    assert!(seen > 0 || nulls < 2, "{trials:#?}");
}

/// In every rotation every server is loaded once, with the same arrivals.
pub fn rotations_are_whole(trials: &[Trial], rotations: usize, servers: usize) {
    let mut by_rotation: BTreeMap<(&str, u32), Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        if let Some(slice) = trial.slice {
            let place = (trial.scenario.as_str(), slice.rotation);
            by_rotation.entry(place).or_default().push(trial);
        }
    }
    let mut whole = 0;
    for ((scenario, _), slices) in &by_rotation {
        let labels: BTreeSet<&str> = slices.iter().map(|t| t.label.as_str()).collect();
        assert_eq!(labels.len(), slices.len(), "each once: {scenario}");
        let seeds: BTreeSet<u64> = slices.iter().map(|t| t.seed).collect();
        let shapes: BTreeSet<String> = slices
            .iter()
            .map(|t| format!("{:?} {:?}", t.shape.mode, t.shape.rate))
            .collect();
        assert_eq!((seeds.len(), shapes.len()), (1, 1), "{scenario}");
        let places: BTreeSet<u32> = slices
            .iter()
            .filter_map(|t| Some(t.slice?.position))
            .collect();
        assert_eq!(places.len(), slices.len(), "{scenario}");
        whole += usize::from(slices.len() == servers);
    }
    assert!(whole >= rotations, "{whole} of {}", by_rotation.len());
    let ids: BTreeSet<&str> = trials.iter().map(|t| t.id.as_str()).collect();
    assert_eq!(ids.len(), trials.len(), "every line has its own id");
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
